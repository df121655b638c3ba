/* The end of a pool. */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void takes_no_task_after_it(void)
{
    struct executor *executor = pool->open(1);
    executor_shutdown(executor);
    errno = 0;
    assert_null(executor_submit(executor, echo, ""));
    assert_int_equal(errno, ESHUTDOWN);
    errno = 0;
    assert_null(executor_try_submit(executor, echo, ""));
    assert_int_equal(errno, ESHUTDOWN);
    executor_shutdown(executor); /* once more is nothing */
    executor_shutdown_now(executor);
    executor_free(executor);
}

/* CPython's test_hang_issue12364. */
static void waits_for_what_was_submitted(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[50];
    for (size_t i = 0; i < 50; i++)
        futures[i] = submit(executor, i == 0 ? hold : echo, "done");
    has_begun(1);
    pthread_t thread = shut_down_meanwhile(executor);
    release(1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < 50; i++) {
        assert_true(future_done(futures[i]));
        comes_to(futures[i], RESULT_OK, "done");
    }
    executor_free(executor);
}

static void freeing_it_waits_as_well(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[50];
    for (size_t i = 0; i < 50; i++)
        futures[i] = submit(executor, echo, "done");
    executor_free(executor);
    for (size_t i = 0; i < 50; i++) {
        assert_true(future_done(futures[i]));
        comes_to(futures[i], RESULT_OK, "done");
    }
}

/* A thread that shuts the executor down now. */
static void *shut_down_now(void *context)
{
    executor_shutdown_now(context);
    return NULL;
}

static void now_cancels_what_has_not_begun_and_waits_for_what_has(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[20];
    pthread_t thread;
    for (size_t i = 0; i < 20; i++)
        futures[i] = submit(executor, hold, "ran");
    has_begun(2);
    assert_int_equal(pthread_create(&thread, NULL, shut_down_now, executor), 0);
    comes_to(futures[19], RESULT_CANCELLED, "cancelled before it began");
    release(2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    size_t cancelled = 0;
    for (size_t i = 0; i < 19; i++) {
        assert_true(future_done(futures[i]));
        cancelled += future_cancelled(futures[i]) ? 1 : 0;
        future_free(futures[i]);
    }
    assert_int_equal(cancelled, 17);
    assert_false(has_any_begun());
    executor_free(executor);
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    for (int i = 0; i < 1000; i++)
        count += fcntl(i, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

static void leaves_no_process_and_no_descriptor(void)
{
    size_t before = count_descriptors();
    struct executor *executor = pool->open(3);
    comes_to(submit(executor, echo, ""), RESULT_OK, "");
    executor_free(executor);
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), before);
}

static void several_threads_may_shut_it_down_at_once(void)
{
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, hold, "");
    pthread_t threads[4];
    has_begun(1);
    for (size_t i = 0; i < 4; i++)
        threads[i] = shut_down_meanwhile(executor);
    release(1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(future_done(future));
    future_free(future);
    executor_free(executor);
}

/* Submits until it may no more; what was taken must be done. */
static void *submit_until_the_end(void *context)
{
    struct executor *executor = context;
    struct future *future;
    say_begun();
    while ((future = executor_submit(executor, echo, "x")) != NULL)
        future_free(future);
    return errno == ESHUTDOWN ? executor : NULL;
}

static void racing_it_a_submit_is_refused_or_done(void)
{
    for (size_t round = 0; round < 20; round++) {
        struct executor *executor = pool->open_with(
            &(struct executor_options){.workers = 2, .queue_capacity = 50});
        pthread_t threads[2];
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, submit_until_the_end, executor), 0);
        has_begun(2);
        struct future *future = submit(executor, echo, "mine");
        executor_shutdown(executor);
        for (size_t i = 0; i < 2; i++) {
            void *value;
            assert_int_equal(pthread_join(threads[i], &value), 0);
            assert_ptr_equal(value, executor);
        }
        assert_true(future_done(future));
        comes_to(future, RESULT_OK, "mine");
        executor_free(executor);
    }
}

static void an_unused_pool_ends_too(void)
{
    executor_free(pool->open(3));
}

static void stopping_workers_is_not_for_threads(void)
{
    struct executor *executor = pool->open(1);
    if (pool->kind == THREADS_ONLY) {
        errno = 0;
        assert_false(executor_kill_workers(executor));
        assert_int_equal(errno, ENOTSUP);
        errno = 0;
        assert_false(executor_terminate_workers(executor));
        assert_int_equal(errno, ENOTSUP);
        comes_to(submit(executor, echo, "goes on"), RESULT_OK, "goes on");
    }
    assert_true(executor_kill_workers(NULL));
    executor_free(executor);
}

static void stop_with(bool (*stop)(struct executor *executor), const char *signal)
{
    char text[100];
    snprintf(text, sizeof(text), "worker %s-1 was killed by signal %s", pool->worker,
             signal);
    struct executor *executor = pool->open(1);
    struct future *running = submit(executor, hold, "");
    struct future *pending = submit(executor, echo, "");
    has_begun(1);
    assert_true(stop(executor));
    comes_to(running, RESULT_BROKEN, text);
    comes_to(pending, RESULT_CANCELLED, "cancelled before it began");
    errno = 0;
    assert_null(executor_submit(executor, echo, ""));
    assert_int_equal(errno, ESHUTDOWN);
    assert_true(stop(executor)); /* once more is nothing */
    executor_shutdown(executor);
    assert_true(stop(executor));
    executor_free(executor);
}

static void killing_the_workers_ends_what_runs(void)
{
    stop_with(executor_kill_workers, "9 (SIGKILL)");
}

static void terminating_the_workers_ends_what_runs(void)
{
    stop_with(executor_terminate_workers, "15 (SIGTERM)");
}

/* In a child of fork(), the pool has no workers: nothing may wait for them. */
static void a_forked_child_has_no_use_for_it(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, echo, ""), RESULT_OK, "");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bool is_refused = executor_submit(executor, echo, "") == NULL && errno == EPERM;
        executor_shutdown(executor);
        executor_free(executor);
        _exit(is_refused ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    comes_to(submit(executor, echo, "still here"), RESULT_OK, "still here");
    executor_free(executor);
}

static void closing_it_does_not_wait(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "held");
    struct future *next = submit(executor, echo, "next");
    has_begun(1);
    executor_close(executor);
    errno = 0;
    assert_null(executor_submit(executor, echo, ""));
    assert_int_equal(errno, ESHUTDOWN);
    assert_false(future_done(held));
    release(1);
    comes_to(held, RESULT_OK, "held");
    comes_to(next, RESULT_OK, "next");
    executor_close(executor);
    executor_free(executor);
}

static const struct test_case shutdown_cases[] = {
    {ANY_POOL, NAMED(takes_no_task_after_it)},
    {ANY_POOL, NAMED(waits_for_what_was_submitted)},
    {ANY_POOL, NAMED(freeing_it_waits_as_well)},
    {ANY_POOL, NAMED(now_cancels_what_has_not_begun_and_waits_for_what_has)},
    {IN_PROCESSES, NAMED(leaves_no_process_and_no_descriptor)},
    {ANY_POOL, NAMED(several_threads_may_shut_it_down_at_once)},
    {ANY_POOL, NAMED(racing_it_a_submit_is_refused_or_done)},
    {ANY_POOL, NAMED(an_unused_pool_ends_too)},
    {ANY_POOL, NAMED(stopping_workers_is_not_for_threads)},
    {CAN_BE_KILLED, NAMED(killing_the_workers_ends_what_runs)},
    {CAN_BE_KILLED, NAMED(terminating_the_workers_ends_what_runs)},
    {ANY_POOL, NAMED(a_forked_child_has_no_use_for_it)},
    {ANY_POOL, NAMED(closing_it_does_not_wait)},
};

GROUP(shutdown);
