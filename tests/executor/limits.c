/* Bounds: of the queue, of a worker's tasks, of a task's time, of the system. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- The queue ---- */

static void a_full_queue_refuses_who_would_not_wait(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 2});
    struct future *running = submit(executor, hold, "");
    has_begun(1);
    struct future *first = executor_try_submit(executor, echo, "first");
    struct future *second = executor_try_submit(executor, echo, "second");
    errno = 0;
    assert_null(executor_try_submit(executor, echo, "third"));
    assert_int_equal(errno, EAGAIN);
    release(1);
    comes_to(second, RESULT_OK, "second");
    comes_to(executor_try_submit(executor, echo, "fourth"), RESULT_OK, "fourth");
    future_free(running);
    future_free(first);
    executor_free(executor);
}

/* What a thread submits that has to wait for room. */
struct submitter {
    struct executor *executor;
    pid_t thread;
    struct future *future;
    int error;
};

static void *submit_one(void *context)
{
    struct submitter *submitter = context;
    submitter->thread = gettid();
    say_begun();
    submitter->future = executor_submit(submitter->executor, echo, "late");
    submitter->error = submitter->future == NULL ? errno : 0;
    return NULL;
}

/* Starts it with a pool of one worker that holds and a queue that is full. */
static pthread_t submit_to_a_full_queue(struct submitter *submitter)
{
    pthread_t thread;
    submitter->executor =
        pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 1});
    future_free(submit(submitter->executor, hold, ""));
    has_begun(1);
    future_free(submit(submitter->executor, echo, ""));
    assert_int_equal(pthread_create(&thread, NULL, submit_one, submitter), 0);
    has_begun(1);
    is_asleep(submitter->thread);
    return thread;
}

static void who_submits_to_a_full_queue_waits_for_room(void)
{
    struct submitter submitter;
    pthread_t thread = submit_to_a_full_queue(&submitter);
    release(1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    comes_to(submitter.future, RESULT_OK, "late");
    executor_free(submitter.executor);
}

static void who_waits_for_room_is_told_of_the_shutdown(void)
{
    struct submitter submitter;
    pthread_t thread = submit_to_a_full_queue(&submitter);
    pthread_t other = shut_down_meanwhile(submitter.executor);
    assert_int_equal(pthread_join(thread, NULL), 0); /* nobody has made room */
    assert_null(submitter.future);
    assert_int_equal(submitter.error, ESHUTDOWN);
    release(1);
    assert_int_equal(pthread_join(other, NULL), 0);
    executor_free(submitter.executor);
}

/* ---- A worker's tasks, and a task's time ---- */

static void a_thread_pool_has_no_limit_of_time(void)
{
    errno = 0;
    assert_null(pool->open_with(&(struct executor_options){.task_seconds = 1}));
    assert_int_equal(errno, ENOTSUP);
}

static void only_processes_are_replaced_after_some_tasks(void)
{
    errno = 0;
    assert_null(pool->open_with(&(struct executor_options){.max_tasks_per_worker = 1}));
    assert_int_equal(errno, ENOTSUP);
}

static void a_worker_is_replaced_after_its_last_task(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 1, .max_tasks_per_worker = 3});
    pid_t pids[9];
    for (size_t i = 0; i < 9; i++) {
        struct future *future = submit(executor, echo, "");
        assert_int_equal(future_result(future)->status, RESULT_OK);
        pids[i] = future_result(future)->span.pid;
        future_free(future);
    }
    assert_true(pids[0] == pids[2] && pids[3] == pids[5] && pids[6] == pids[8]);
    assert_true(pids[2] != pids[3] && pids[5] != pids[6]);
    is_gone(pids[0]);
    is_gone(pids[3]);
    executor_free(executor);
}

/* CPython's test_max_tasks_early_shutdown. */
static void workers_are_replaced_while_the_pool_shuts_down(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 2, .max_tasks_per_worker = 1});
    struct future *futures[20];
    for (size_t i = 0; i < 20; i++)
        futures[i] = submit(executor, echo, "done");
    executor_shutdown(executor);
    for (size_t i = 0; i < 20; i++)
        comes_to(futures[i], RESULT_OK, "done");
    executor_free(executor);
}

static void a_task_that_takes_too_long_is_killed(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .task_seconds = 0.2});
    struct future *future = submit(executor, hold, "");
    const struct result *result = future_result(future);
    assert_int_equal(result->status, RESULT_TIMED_OUT);
    assert_string_equal(result->text, "timed out after 0.2 s");
    assert_true(result->span.end - result->span.start >= 0.2);
    if (pool->kind == PROCESSES_ONLY)
        is_gone(result->span.pid);
    future_free(future);
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

static void a_task_that_is_in_time_is_not(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 2, .task_seconds = 1000});
    for (size_t i = 0; i < 10; i++)
        comes_to(submit(executor, echo, "in time"), RESULT_OK, "in time");
    executor_free(executor);
}

static void an_initializer_that_takes_too_long_is_killed(void)
{
    char expected[100];
    snprintf(expected, sizeof(expected),
             "the initializer of worker %s-1 failed: timed out after 0.2 s",
             pool->worker);
    struct executor *executor = pool->open_with(&(struct executor_options){
        .workers = 1, .initializer = hold, .task_seconds = 0.2});
    for (size_t i = 0; i < 2; i++)
        comes_to(submit(executor, echo, ""), RESULT_BROKEN, expected);
    executor_free(executor);
}

/* ---- A pool that is idle ---- */

static pid_t caller;

static void remember_caller(struct future *future, void *context)
{
    (void)future;
    (void)context;
    caller = gettid();
    say_begun();
}

/* The pool's own thread that calls back. */
static pid_t caller_of(struct executor *executor)
{
    do {
        struct future *future = submit(executor, echo, "");
        assert_true(future_on_done(future, remember_caller, NULL));
        has_begun(1);
        future_free(future);
    } while (caller == gettid()); /* it was done already */
    return caller;
}

static void an_idle_pool_ends(void)
{
    struct executor *executor = pool->open(1);
    is_asleep(caller_of(executor));
    executor_free(executor);
}

static void a_task_for_an_idle_pool_has_its_limit(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .task_seconds = 0.2});
    is_asleep(caller_of(executor));
    comes_to(submit(executor, hold, ""), RESULT_TIMED_OUT, "timed out after 0.2 s");
    executor_free(executor);
}

static void is_process_asleep(pid_t pid)
{
    char path[40];
    char state = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    while (state != 'S') {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
    }
}

static void a_task_for_an_idle_pool_without_workers_has_its_result(void)
{
    struct executor *executor = pool->open(1);
    pid_t manager = caller_of(executor);
    pid_t fork_server;
    assert_int_equal(find_children(getpid(), &fork_server, 1), 1);
    allow_forks(0);
    comes_to(submit(executor, crash, ""), RESULT_BROKEN,
             "worker process-1 was killed by signal 6 (SIGABRT)");
    is_asleep(manager); /* it has asked for another worker... */
    is_process_asleep(fork_server);
    is_asleep(manager); /* ...and knows that there is none */
    comes_to(submit(executor, echo, ""), RESULT_BROKEN,
             "worker process-1 cannot be started: Resource temporarily unavailable");
    allow_forks(ANY_NUMBER);
    comes_to(submit(executor, echo, "again"), RESULT_OK, "again");
    executor_free(executor);
}

/* ---- The system ---- */

/* Sets a limit to what it was, or returns what it is. */
static struct rlimit limit_descriptors(rlim_t most)
{
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void without_any_worker_there_is_no_pool(void)
{
    int next = dup(0);
    close(next);
    struct rlimit before = limit_descriptors((rlim_t)next + 1);
    errno = 0;
    struct executor *executor = pool->open(2);
    int error = errno;
    limit_descriptors(before.rlim_cur);
    assert_null(executor);
    assert_int_equal(error, EMFILE);
    assert_null(executor_submit(executor, echo, ""));
}

static void with_fewer_workers_than_asked_for_there_is_a_pool(void)
{
    allow_forks(4); /* the fork server, and three workers */
    errno = 0;
    struct executor *executor = pool->open(20);
    assert_non_null(executor);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(executor_workers(executor), 3);
    comes_to(submit(executor, echo, "it works"), RESULT_OK, "it works");
    executor_free(executor);
}

static const struct test_case limits_cases[] = {
    {ANY_POOL, NAMED(a_full_queue_refuses_who_would_not_wait)},
    {ANY_POOL, NAMED(who_submits_to_a_full_queue_waits_for_room)},
    {ANY_POOL, NAMED(who_waits_for_room_is_told_of_the_shutdown)},
    {THREADS_ONLY, NAMED(a_thread_pool_has_no_limit_of_time)},
    {IN_OUR_PROCESS, NAMED(only_processes_are_replaced_after_some_tasks)},
    {IN_PROCESSES, NAMED(a_worker_is_replaced_after_its_last_task)},
    {IN_PROCESSES, NAMED(workers_are_replaced_while_the_pool_shuts_down)},
    {CAN_BE_KILLED | CLUSTERS_ONLY, NAMED(a_task_that_takes_too_long_is_killed)},
    {CAN_BE_KILLED | CLUSTERS_ONLY, NAMED(a_task_that_is_in_time_is_not)},
    {CAN_BE_KILLED | CLUSTERS_ONLY, NAMED(an_initializer_that_takes_too_long_is_killed)},
    {ANY_POOL, NAMED(an_idle_pool_ends)},
    {CAN_BE_KILLED | CLUSTERS_ONLY, NAMED(a_task_for_an_idle_pool_has_its_limit)},
    {IN_PROCESSES, NAMED(a_task_for_an_idle_pool_without_workers_has_its_result)},
    {PROCESSES_ONLY, NAMED(without_any_worker_there_is_no_pool)},
    {PROCESSES_ONLY, NAMED(with_fewer_workers_than_asked_for_there_is_a_pool)},
};

GROUP(limits);
