/* What only an event loop has: suspended waits, slots, interrupted tasks. */
#include "cases.h"

#include "fiber.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The pool of the running case, for its tasks. */
static struct executor *own;

/* ---- Waiting suspends the task only ---- */

static struct executor *elsewhere;

static struct result wait_for_a_thread(const char *argument)
{
    struct future *future = executor_submit(elsewhere, hold, argument);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    return result;
}
TASK(wait_for_a_thread);

static void a_task_that_waits_for_another_pool_holds_up_no_other(void)
{
    elsewhere = thread_pool_executor(1);
    struct executor *executor = pool->open(2);
    struct future *waits = submit(executor, wait_for_a_thread, "from a thread");
    has_begun(1);
    for (size_t i = 0; i < 100; i++)
        comes_to(submit(executor, echo, "meanwhile"), RESULT_OK, "meanwhile");
    assert_false(future_done(waits));
    release(1);
    comes_to(waits, RESULT_OK, "from a thread");
    executor_free(executor);
    executor_free(elsewhere);
}

static size_t most_under_way;

static struct result count_the_others(const char *argument)
{
    static size_t under_way;
    size_t most = 0;
    under_way++;
    for (size_t i = 0; i < 3; i++) {
        most = under_way > most ? under_way : most;
        fiber_suspend(0);
    }
    under_way--;
    most_under_way = most > most_under_way ? most : most_under_way;
    char text[30];
    snprintf(text, sizeof(text), "%zu%s", most, argument);
    return result_ok(strdup(text));
}
TASK(count_the_others);

static void as_many_tasks_are_under_way_as_it_has_workers(void)
{
    enum { COUNT = 40 };
    struct executor *executor = pool->open(7);
    struct future *futures[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, count_the_others, "");
    size_t most = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t seen = (size_t)atoi(future_result(futures[i])->text);
        most = seen > most ? seen : most;
        future_free(futures[i]);
    }
    assert_int_equal(most, 7);
    executor_free(executor);
}

static void wait_in_callback(struct future *future, void *unused)
{
    (void)future, (void)unused;
    comes_to(submit(elsewhere, hold, "held"), RESULT_OK, "held");
}

static struct result wait_for_echo(const char *argument)
{
    struct future *future = executor_submit(own, echo, argument);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    return result;
}
TASK(wait_for_echo);

/* What a thread has of its own, its fibers must not share. */
static void while_a_callback_waits_tasks_may_wait_for_their_own_pool(void)
{
    elsewhere = thread_pool_executor(1);
    own = pool->open(2);
    struct future *held = submit(own, hold, "");
    has_begun(1);
    assert_true(future_on_done(held, wait_in_callback, NULL));
    release(1);
    has_begun(1);
    comes_to(submit(own, wait_for_echo, "an echo"), RESULT_OK, "an echo");
    release(1);
    future_free(held);
    executor_free(own);
    executor_free(elsewhere);
}

/* Asks for it without waiting, over and over. */
static struct result poll_for_echo(const char *argument)
{
    struct future *future = executor_submit(own, echo, argument);
    while (!future_done(future))
        future_result_within(future, 0);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    return result;
}
TASK(poll_for_echo);

static void a_task_that_asks_over_and_over_lets_the_others_run(void)
{
    own = pool->open(2);
    comes_to(submit(own, poll_for_echo, "an echo"), RESULT_OK, "an echo");
    executor_free(own);
}

/* ---- Waits for its own pool ---- */

/* Waits for a task that waits for a task..., so deep. */
static struct result go_down(const char *argument)
{
    int depth = atoi(argument);
    char deeper[20];
    if (depth == 0)
        return result_ok(strdup("bottom"));
    snprintf(deeper, sizeof(deeper), "%d", depth - 1);
    struct future *future = executor_submit(own, go_down, deeper);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    return result;
}
TASK(go_down);

static void tasks_may_wait_for_each_other_a_thousand_deep_with_one_slot(void)
{
    own = pool->open(1);
    comes_to(submit(own, go_down, "1000"), RESULT_OK, "bottom");
    executor_free(own);
}

/* Waits for 20 at once, and tells what the last of them has seen. */
static struct result wait_for_twenty(const char *argument)
{
    struct future *futures[20];
    for (size_t i = 0; i < 20; i++)
        futures[i] = executor_submit(own, count_the_others, argument);
    bool is_done = futures_wait(futures, 20, ALL_COMPLETED, INFINITY);
    struct result result = is_done ? result_ok(strdup(future_result(futures[19])->text))
                                   : result_failed("errno %d", errno);
    for (size_t i = 0; i < 20; i++)
        future_free(futures[i]);
    return result;
}
TASK(wait_for_twenty);

static void what_a_task_waits_for_has_its_slot_one_after_the_other(void)
{
    own = pool->open(1);
    comes_to(submit(own, wait_for_twenty, " at once"), RESULT_OK, "1 at once");
    executor_free(own);
}

/* The task that it waits for runs in its slot, and holds. */
static struct result wait_a_little(const char *argument)
{
    struct future *future = executor_submit(own, hold, argument);
    enum result_status status = future_result_within(future, 0.05)->status;
    bool is_done = future_done(future);
    future_free(future);
    return result_ok(strdup(status == RESULT_TIMED_OUT && !is_done ? "in time" : "late"));
}
TASK(wait_a_little);

static void a_limited_wait_ends_though_the_other_has_its_slot(void)
{
    own = pool->open(1);
    comes_to(submit(own, wait_a_little, ""), RESULT_OK, "in time");
    has_begun(1);
    release(1);
    comes_to(submit(own, echo, "goes on"), RESULT_OK, "goes on");
    executor_free(own);
}

static void free_future(struct future *future, void *unused)
{
    (void)unused;
    future_free(future);
}

/* Its guest goes on in its slot when it has ended itself. */
static struct result leave_a_guest(const char *argument)
{
    struct future *future = executor_submit(own, count_the_others, argument);
    future_result_within(future, 0);
    struct result result = result_ok(strdup(argument));
    future_on_done(future, free_future, NULL);
    return result;
}
TASK(leave_a_guest);

static void a_task_that_ends_before_its_guest_leaves_it_its_slot(void)
{
    enum { COUNT = 20 };
    own = pool->open(1);
    struct future *futures[COUNT];
    most_under_way = 0;
    struct future *held = submit(own, hold, "");
    has_begun(1);
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(own, leave_a_guest, "left");
    release(1);
    comes_to(held, RESULT_OK, "");
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "left");
    executor_free(own);
    assert_int_equal(most_under_way, 1);
}

/* ---- Being given up ---- */

static struct future *awaited;
static struct result seen;
static int seen_error;

static struct result wait_for_awaited(const char *argument)
{
    const struct result *result = future_result(awaited);
    seen_error = errno;
    seen = result_failed("%s", result->text);
    return result_ok(strdup(argument));
}
TASK(wait_for_awaited);

static void sees_that_it_is_given_up(struct executor *executor, struct future *future)
{
    executor_shutdown(executor);
    assert_int_equal(seen_error, ECANCELED);
    assert_string_equal(seen.text, "the task that waits has been given up (ECANCELED)");
    result_free(&seen);
    future_free(future);
    release(1);
    comes_to(awaited, RESULT_OK, "held");
    executor_free(executor);
    executor_free(elsewhere);
}

static void a_task_whose_time_is_up_waits_for_no_future(void)
{
    elsewhere = thread_pool_executor(1);
    awaited = submit(elsewhere, hold, "held");
    has_begun(1);
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 2, .task_seconds = 0.05});
    struct future *future = submit(executor, wait_for_awaited, "not this");
    assert_int_equal(future_result(future)->status, RESULT_TIMED_OUT);
    assert_string_equal(future_result(future)->text, "timed out after 0.05 s");
    sees_that_it_is_given_up(executor, future);
}

static struct result tell_and_wait_for_awaited(const char *argument)
{
    say_begun();
    return wait_for_awaited(argument);
}
TASK(tell_and_wait_for_awaited);

/* Tries again, whatever it is told. */
static struct result poll_for_awaited(const char *argument)
{
    say_begun();
    while (!future_done(awaited))
        future_result_within(awaited, 0.01);
    return result_ok(strdup(argument));
}
TASK(poll_for_awaited);

static void a_task_that_waits_on_though_it_is_given_up_holds_up_no_other(void)
{
    elsewhere = thread_pool_executor(1);
    awaited = submit(elsewhere, hold, "held");
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 2, .task_seconds = 0.05});
    struct future *future = submit(executor, poll_for_awaited, "");
    has_begun(2);
    comes_to(submit(executor, hold, ""), RESULT_TIMED_OUT, "timed out after 0.05 s");
    comes_to(submit(executor, echo, "goes on"), RESULT_OK, "goes on");
    assert_false(future_done(future));
    release(1);
    comes_to(future, RESULT_TIMED_OUT, "timed out after 0.05 s");
    comes_to(awaited, RESULT_OK, "held");
    executor_free(executor);
    executor_free(elsewhere);
}

static void a_task_of_a_pool_that_is_killed_waits_for_no_future(void)
{
    elsewhere = thread_pool_executor(1);
    awaited = submit(elsewhere, hold, "held");
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, tell_and_wait_for_awaited, "not this");
    has_begun(2);
    assert_true(executor_kill_workers(executor));
    assert_int_equal(future_result(future)->status, RESULT_BROKEN);
    assert_string_equal(future_result(future)->text,
                        "worker loop-1 was killed by signal 9 (SIGKILL)");
    sees_that_it_is_given_up(executor, future);
}

/* One timer sees to the limits of all. */
static void limits_hold_for_tasks_that_begin_later(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .task_seconds = 0.05});
    for (size_t i = 0; i < 3; i++) {
        comes_to(submit(executor, hold, ""), RESULT_TIMED_OUT, "timed out after 0.05 s");
        comes_to(submit(executor, echo, "in time"), RESULT_OK, "in time");
    }
    has_begun(3);
    executor_free(executor);
}

/* ---- Without memory for stacks ---- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static atomic_bool stacks_fail;

/* What maps the stacks of fibers calls this one. A sanitizer has its own. */
void *mmap(void *address, size_t length, int protection, int flags, int descriptor,
           off_t offset)
{
    if (atomic_load(&stacks_fail) && (flags & MAP_STACK) != 0 &&
        (flags & MAP_NORESERVE) != 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor,
                           offset);
}

/* Waits for a thread, and then for the task that could not begin meanwhile. */
static struct result wait_for_awaited_at_last(const char *argument)
{
    struct result result = wait_for_a_thread(argument);
    result_free(&result);
    for (size_t i = 0; i < 3; i++)
        fiber_suspend(0); /* meanwhile the loop tries to begin that task */
    return result_ok(strdup(future_result(awaited)->text));
}
TASK(wait_for_awaited_at_last);

static void without_memory_for_a_stack_every_future_ends(void)
{
    enum { COUNT = 64 }; /* as many stacks are mapped at once */
    elsewhere = thread_pool_executor(COUNT);
    struct executor *executor = pool->open(COUNT + 10);
    struct future *futures[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, wait_for_awaited_at_last, "");
    has_begun(COUNT);
    atomic_store(&stacks_fail, true);
    awaited = submit(executor, echo, "");
    release(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "out of memory for its stack");
    comes_to(awaited, RESULT_BROKEN, "out of memory for its stack");
    atomic_store(&stacks_fail, false);
    comes_to(submit(executor, echo, "goes on"), RESULT_OK, "goes on");
    executor_free(executor);
    executor_free(elsewhere);
}

static void a_pool_without_memory_for_a_stack_fails_its_tasks_or_its_opening(void)
{
    atomic_store(&stacks_fail, true);
    struct executor *executor = pool->open(2);
    struct future *futures[100];
    for (size_t i = 0; i < 100; i++)
        futures[i] = submit(executor, echo, "");
    for (size_t i = 0; i < 100; i++)
        comes_to(futures[i], RESULT_BROKEN, "out of memory for its stack");
    errno = 0;
    assert_null(pool->open_with(&(struct executor_options){.initializer = echo}));
    assert_int_equal(errno, ENOMEM);
    atomic_store(&stacks_fail, false);
    comes_to(submit(executor, echo, "goes on"), RESULT_OK, "goes on");
    executor_free(executor);
}
#endif

/* ---- The initializer ---- */

static int initialized;

static struct result initialize(const char *argument)
{
    struct result held = hold(argument);
    result_free(&held);
    for (size_t i = 0; i < 50; i++)
        fiber_suspend(0); /* no task begins meanwhile */
    initialized++;
    return (struct result){.status = RESULT_OK};
}
TASK(initialize);

static struct result tell_initialized(const char *argument)
{
    (void)argument;
    return initialized == 1 ? result_ok(strdup("once"))
                            : result_failed("%d", initialized);
}
TASK(tell_initialized);

static void the_initializer_runs_once_and_before_all_tasks(void)
{
    initialized = 0;
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 3, .initializer = initialize});
    struct future *futures[10];
    for (size_t i = 0; i < 10; i++)
        futures[i] = submit(executor, tell_initialized, "");
    has_begun(1);
    release(1);
    for (size_t i = 0; i < 10; i++)
        comes_to(futures[i], RESULT_OK, "once");
    executor_free(executor);
}

/* ---- EXECUTOR_DEBUG ---- */

static struct result hold_the_loop_up(const char *argument)
{
    usleep(110 * 1000);
    return result_ok(strdup(argument));
}
TASK(hold_the_loop_up);

static void reads_on_standard_error(const char *debug, const char *expected)
{
    int pipes[2];
    char line[200] = "";
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    setenv("EXECUTOR_DEBUG", debug, 1);
    struct executor *executor = pool->open(2);
    future_free(submit(executor, hold_the_loop_up, "http://user:secret@host/page"));
    executor_free(executor);
    unsetenv("EXECUTOR_DEBUG");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(pipes[1]);
    ssize_t length = read(pipes[0], line, sizeof(line) - 1);
    close(pipes[0]);
    assert_in_range(length, strlen(expected), sizeof(line) - 1);
    line[strlen(expected)] = '\0';
    assert_string_equal(line, expected);
    if (expected[0] == '\0')
        assert_int_equal(length, 0);
}

static void a_task_that_holds_the_loop_up_is_named_on_request(void)
{
    reads_on_standard_error("1", "executor: the task host/page held the loop for ");
    reads_on_standard_error("0", "");
}

static const struct test_case loop_cases[] = {
    {LOOPS_ONLY, NAMED(a_task_that_waits_for_another_pool_holds_up_no_other)},
    {LOOPS_ONLY, NAMED(while_a_callback_waits_tasks_may_wait_for_their_own_pool)},
    {LOOPS_ONLY, NAMED(a_task_that_asks_over_and_over_lets_the_others_run)},
    {LOOPS_ONLY, NAMED(as_many_tasks_are_under_way_as_it_has_workers)},
    {LOOPS_ONLY, NAMED(tasks_may_wait_for_each_other_a_thousand_deep_with_one_slot)},
    {LOOPS_ONLY, NAMED(what_a_task_waits_for_has_its_slot_one_after_the_other)},
    {LOOPS_ONLY, NAMED(a_limited_wait_ends_though_the_other_has_its_slot)},
    {LOOPS_ONLY, NAMED(a_task_that_ends_before_its_guest_leaves_it_its_slot)},
    {LOOPS_ONLY, NAMED(a_task_whose_time_is_up_waits_for_no_future)},
    {LOOPS_ONLY, NAMED(a_task_that_waits_on_though_it_is_given_up_holds_up_no_other)},
    {LOOPS_ONLY, NAMED(a_task_of_a_pool_that_is_killed_waits_for_no_future)},
    {LOOPS_ONLY, NAMED(limits_hold_for_tasks_that_begin_later)},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    {LOOPS_ONLY, NAMED(without_memory_for_a_stack_every_future_ends)},
    {LOOPS_ONLY, NAMED(a_pool_without_memory_for_a_stack_fails_its_tasks_or_its_opening)},
#endif
    {LOOPS_ONLY, NAMED(the_initializer_runs_once_and_before_all_tasks)},
    {LOOPS_ONLY, NAMED(a_task_that_holds_the_loop_up_is_named_on_request)},
};

GROUP(loop);
