/* Every future ends: of tasks that are cancelled, crash, or lose their worker. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct result wait_for_ever(const char *argument)
{
    say_begun();
    for (;;)
        pause();
    return result_ok(strdup(argument));
}
TASK(wait_for_ever);

static void all_are_done(struct future *const futures[], size_t count)
{
    assert_true(futures_wait(futures, count, ALL_COMPLETED, INFINITY));
}

static void free_all(struct future *const futures[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        future_free(futures[i]);
}

/* ---- Cancelling ---- */

/* More than a ring holds: as tasks in it are cancelled, those behind it come up. */
static void what_is_cancelled_makes_room_for_what_waits(void)
{
    enum { COUNT = 200 };
    struct executor *executor = pool->open(1);
    struct future *futures[COUNT];
    for (size_t round = 0; round < 100; round++) {
        for (size_t i = 0; i < COUNT; i++)
            futures[i] = submit(executor, echo, "x");
        for (size_t i = 0; i < COUNT - 1; i++)
            future_cancel(futures[i]);
        comes_to(futures[COUNT - 1], RESULT_OK, "x");
        free_all(futures, COUNT - 1);
    }
    executor_free(executor);
}

static void what_is_cancelled_makes_room_in_a_queue_with_a_bound(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 10});
    for (size_t i = 0; i < 1000; i++) {
        struct future *cancelled = submit(executor, echo, "x");
        struct future *next = submit(executor, echo, "next");
        future_cancel(cancelled);
        comes_to(next, RESULT_OK, "next");
        future_free(cancelled);
    }
    executor_free(executor);
}

/* CPython's gh-94440. */
static void what_is_cancelled_right_before_the_shutdown_does_not_hold_it_up(void)
{
    for (size_t i = 0; i < 50; i++) {
        struct executor *executor = pool->open(1);
        struct future *held = submit(executor, hold, "held");
        struct future *last = submit(executor, echo, "");
        has_begun(1);
        release(1);
        bool is_cancelled = future_cancel(last);
        executor_shutdown(executor);
        assert_true(future_done(last));
        assert_int_equal(future_cancelled(last), is_cancelled);
        comes_to(held, RESULT_OK, "held");
        future_free(last);
        executor_free(executor);
    }
}

/* CPython's gh-107219. */
static void a_crash_among_cancelled_tasks_costs_its_own_result(void)
{
    enum { COUNT = 150 };
    struct executor *executor = pool->open(2);
    struct future *futures[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, i % 10 == 5 ? crash : echo, "x");
    for (size_t i = 0; i < COUNT; i += 2)
        future_cancel(futures[i]);
    all_are_done(futures, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        enum result_status status = future_result(futures[i])->status;
        enum result_status expected = i % 10 == 5 ? RESULT_BROKEN : RESULT_OK;
        assert_true(status == expected || (i % 2 == 0 && status == RESULT_CANCELLED));
        future_free(futures[i]);
    }
    executor_free(executor);
}

/* ---- Crashes and the end of the pool ---- */

static void a_crash_after_the_shutdown_costs_its_own_result(void)
{
    enum { COUNT = 100 };
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *futures[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, i % 10 == 9 ? crash : echo, "x");
    has_begun(1);
    pthread_t thread = shut_down_meanwhile(executor);
    release(1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(future_done(futures[i]));
        assert_int_equal(future_result(futures[i])->status,
                         i % 10 == 9 ? RESULT_BROKEN : RESULT_OK);
        future_free(futures[i]);
    }
    comes_to(held, RESULT_OK, "");
    executor_free(executor);
}

/* CPython's gh-132969. */
static void a_crash_with_one_task_a_worker_does_not_hold_up_the_shutdown(void)
{
    for (size_t i = 0; i < 10; i++) {
        struct executor *executor = pool->open_with(
            &(struct executor_options){.workers = 2, .max_tasks_per_worker = 1});
        struct future *futures[] = {
            submit(executor, crash, ""), submit(executor, echo, ""),
            submit(executor, crash, ""), submit(executor, echo, "")};
        executor_shutdown(executor);
        for (size_t j = 0; j < 4; j++) {
            assert_true(future_done(futures[j]));
            assert_int_equal(future_result(futures[j])->status,
                             j % 2 == 0 ? RESULT_BROKEN : RESULT_OK);
            future_free(futures[j]);
        }
        executor_free(executor);
    }
}

static void killing_workers_is_nothing_once_they_are_dead(void)
{
    struct executor *executor = pool->open(2);
    struct future *crashed = submit(executor, crash, "");
    assert_int_equal(future_result(crashed)->status, RESULT_BROKEN);
    executor_shutdown(executor);
    assert_true(executor_kill_workers(executor));
    assert_true(executor_terminate_workers(executor));
    future_free(crashed);
    executor_free(executor);
}

static void workers_may_be_killed_twice_and_by_two(void)
{
    struct executor *executor = pool->open(2);
    struct future *held[] = {submit(executor, hold, ""), submit(executor, hold, "")};
    has_begun(2);
    assert_true(executor_terminate_workers(executor));
    assert_true(executor_kill_workers(executor));
    assert_true(executor_kill_workers(executor));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(future_result(held[i])->status, RESULT_BROKEN);
        future_free(held[i]);
    }
    executor_free(executor);
}

static void workers_may_be_killed_before_they_are_ready(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 2, .initializer = wait_for_ever});
    struct future *future = submit(executor, tell, "");
    has_begun(2); /* both are in the initializer */
    assert_true(executor_kill_workers(executor));
    const struct result *result = future_result(future);
    assert_true(result->status == RESULT_CANCELLED || result->status == RESULT_BROKEN);
    executor_shutdown(executor);
    assert_false(has_any_begun());
    future_free(future);
    executor_free(executor);
}

static void workers_may_be_killed_while_they_are_replaced(void)
{
    for (size_t i = 0; i < 30; i++) {
        struct executor *executor = pool->open(2);
        struct future *futures[] = {submit(executor, crash, ""),
                                    submit(executor, crash, ""),
                                    submit(executor, wait_for_ever, "")};
        if (i % 2 == 0)
            future_result(futures[0]);
        assert_true(executor_kill_workers(executor));
        all_are_done(futures, 3);
        free_all(futures, 3);
        executor_free(executor);
    }
    while (has_any_begun())
        has_begun(1);
}

/* ---- Workers that cannot be replaced ---- */

/* CPython's gh-119592. */
static void without_a_new_worker_each_task_has_its_result(void)
{
    enum { COUNT = 100 };
    struct executor *executor = pool->open(1);
    struct future *futures[COUNT];
    allow_forks(0);
    struct future *crashed = submit(executor, crash, "");
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, tell, "");
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_BROKEN,
                 "worker process-1 cannot be started: Resource temporarily unavailable");
    assert_int_equal(future_result(crashed)->status, RESULT_BROKEN);
    assert_false(has_any_begun());
    allow_forks(ANY_NUMBER);
    /* The last attempt that fails may still be under way. */
    struct future *again = submit(executor, echo, "");
    future_result(again);
    comes_to(submit(executor, echo, "again"), RESULT_OK, "again");
    future_free(again);
    future_free(crashed);
    executor_free(executor);
}

static void without_a_new_worker_the_shutdown_ends(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 2, .max_tasks_per_worker = 1});
    struct future *futures[20];
    allow_forks(0);
    for (size_t i = 0; i < 20; i++)
        futures[i] = submit(executor, echo, "");
    executor_shutdown(executor);
    for (size_t i = 0; i < 20; i++)
        assert_true(future_done(futures[i]));
    free_all(futures, 20);
    executor_free(executor);
}

static void without_descriptors_a_worker_is_replaced_all_the_same(void)
{
    struct rlimit before, none;
    struct executor *executor = pool->open(2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    struct future *crashed[] = {submit(executor, crash, ""), submit(executor, crash, "")};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct future *futures[20];
    for (size_t i = 0; i < 20; i++)
        futures[i] = submit(executor, echo, "done");
    bool are_done = futures_wait(futures, 20, ALL_COMPLETED, INFINITY);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(are_done);
    for (size_t i = 0; i < 20; i++)
        comes_to(futures[i], RESULT_OK, "done");
    free_all(crashed, 2);
    executor_free(executor);
}

static void the_death_of_the_fork_server_ends_every_future(void)
{
    enum { COUNT = 300 };
    for (size_t round = 0; round < 10; round++) {
        struct executor *executor = pool->open(3);
        struct future *futures[COUNT];
        pid_t server;
        assert_int_equal(find_children(getpid(), &server, 1), 1);
        for (size_t i = 0; i < COUNT; i++) {
            futures[i] = submit(executor, echo, "x");
            if (i == COUNT / 2)
                kill(server, SIGKILL);
        }
        all_are_done(futures, COUNT);
        free_all(futures, COUNT);
        executor_free(executor);
    }
}

/* ---- Long arguments and results ---- */

enum { LONG = 2000000 };

/* A number that depends on each byte and its place. */
static struct result digest(const char *argument)
{
    char text[20];
    uint32_t sum = 0;
    for (size_t i = 0; argument[i] != '\0'; i++)
        sum = sum * 31 + (unsigned char)argument[i];
    snprintf(text, sizeof(text), "%u", (unsigned)sum);
    return result_ok(strdup(text));
}
TASK(digest);

static void long_arguments_on_their_way_are_lost_with_their_worker_only(void)
{
    enum { COUNT = 12 };
    static char argument[LONG + 1];
    for (size_t i = 0; i < LONG; i++)
        argument[i] = (char)('a' + i * i % 23);
    struct result expected = digest(argument);
    for (size_t round = 0; round < 5; round++) {
        struct executor *executor = pool->open(2);
        struct future *futures[COUNT];
        pid_t pids[2];
        assert_int_equal(find_grandchildren(getpid(), pids, 2), 2);
        for (size_t i = 0; i < COUNT; i++)
            futures[i] = submit(executor, i == 3 ? crash : digest, argument);
        kill(pids[0], SIGKILL); /* in the middle of an argument, as like as not */
        size_t broken = 0;
        for (size_t i = 0; i < COUNT; i++) {
            const struct result *result = future_result(futures[i]);
            broken += result->status == RESULT_BROKEN ? 1 : 0;
            if (result->status != RESULT_BROKEN)
                assert_string_equal(result->text, expected.text);
            future_free(futures[i]);
        }
        assert_in_range(broken, 1, 2);
        executor_free(executor);
    }
    result_free(&expected);
}

static struct result say_much(const char *argument)
{
    size_t length = strtoul(argument, NULL, 10);
    char *text = malloc(length + 1);
    if (text != NULL) {
        memset(text, 'x', length);
        text[length] = '\0';
    }
    return result_ok(text);
}
TASK(say_much);

/* The limit is of our memory only: the worker has been forked before. */
static void without_memory_for_a_result_the_next_ones_come_all_the_same(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* which need all the addresses there are */
#endif
    struct rlimit before, little;
    long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    struct executor *executor = pool->open(1);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    little = before;
    little.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + 50000000;
    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    struct future *futures[10];
    for (size_t i = 0; i < 10; i++)
        futures[i] = submit(executor, say_much, i == 4 ? "200000000" : "4");
    bool are_done = futures_wait(futures, 10, ALL_COMPLETED, INFINITY);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_true(are_done);
    for (size_t i = 0; i < 10; i++)
        comes_to(futures[i], i == 4 ? RESULT_BROKEN : RESULT_OK,
                 i == 4 ? "out of memory for the result" : "xxxx");
    executor_free(executor);
}

/* ---- Descriptors ---- */

static struct result close_all(const char *argument)
{
    closefrom(3);
    return result_ok(strdup(argument));
}
TASK(close_all);

/* Has sockets of its own where the pool's was. */
static struct result replace_all(const char *argument)
{
    int ends[2];
    closefrom(3);
    for (size_t i = 0; i < 5; i++) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
            return result_failed("no socket");
    }
    return result_ok(strdup(argument));
}
TASK(replace_all);

static void call_back(struct future *future, void *context)
{
    (void)future;
    atomic_fetch_add((atomic_int *)context, 1);
}

static void costs_its_own_result(task_fn task)
{
    static atomic_int calls;
    atomic_store(&calls, 0);
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, task, ""), submit(executor, task, ""),
                                submit(executor, echo, "next")};
    assert_true(future_on_done(futures[1], call_back, &calls));
    comes_to(futures[0], RESULT_BROKEN, "worker process-1 exited with status 1");
    comes_to(futures[1], RESULT_BROKEN, "worker process-1 exited with status 1");
    comes_to(futures[2], RESULT_OK, "next");
    executor_free(executor);
    assert_int_equal(atomic_load(&calls), 1);
}

static void a_task_that_closes_all_descriptors_costs_its_own_result(void)
{
    costs_its_own_result(close_all);
}

static void a_task_that_opens_others_in_their_place_costs_its_own_result(void)
{
    costs_its_own_result(replace_all);
}

static const struct test_case settle_cases[] = {
    {ANY_POOL, NAMED(what_is_cancelled_makes_room_for_what_waits)},
    {ANY_POOL, NAMED(what_is_cancelled_makes_room_in_a_queue_with_a_bound)},
    {ANY_POOL, NAMED(what_is_cancelled_right_before_the_shutdown_does_not_hold_it_up)},
    {IN_PROCESSES, NAMED(a_crash_among_cancelled_tasks_costs_its_own_result)},
    {IN_PROCESSES, NAMED(a_crash_after_the_shutdown_costs_its_own_result)},
    {IN_PROCESSES, NAMED(a_crash_with_one_task_a_worker_does_not_hold_up_the_shutdown)},
    {IN_PROCESSES, NAMED(killing_workers_is_nothing_once_they_are_dead)},
    {IN_PROCESSES, NAMED(workers_may_be_killed_twice_and_by_two)},
    {IN_PROCESSES, NAMED(workers_may_be_killed_before_they_are_ready)},
    {IN_PROCESSES, NAMED(workers_may_be_killed_while_they_are_replaced)},
    {IN_PROCESSES, NAMED(without_a_new_worker_each_task_has_its_result)},
    {IN_PROCESSES, NAMED(without_a_new_worker_the_shutdown_ends)},
    {IN_PROCESSES, NAMED(without_descriptors_a_worker_is_replaced_all_the_same)},
    {PROCESSES_ONLY, NAMED(the_death_of_the_fork_server_ends_every_future)},
    {PROCESSES_ONLY, NAMED(long_arguments_on_their_way_are_lost_with_their_worker_only)},
    {PROCESSES_ONLY, NAMED(without_memory_for_a_result_the_next_ones_come_all_the_same)},
    {IN_PROCESSES, NAMED(a_task_that_closes_all_descriptors_costs_its_own_result)},
    {IN_PROCESSES, NAMED(a_task_that_opens_others_in_their_place_costs_its_own_result)},
};

GROUP(settle);
