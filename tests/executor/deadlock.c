/* What could come to a standstill, and must not. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* A thread pool, for its tasks to use. */
static struct executor *own;

static struct result submit_one_more(const char *argument)
{
    future_free(executor_submit(own, tell, argument));
    return result_ok(strdup(argument));
}
TASK(submit_one_more);

/* 0, or n plus the sum of the numbers below: each waits for the next. */
static struct result sum(const char *argument)
{
    int number = atoi(argument);
    char text[20] = "0";
    struct result result = {.status = RESULT_OK};
    if (number > 0) {
        snprintf(text, sizeof(text), "%d", number - 1);
        struct future *below = executor_submit(own, sum, text);
        snprintf(text, sizeof(text), "%d", number + atoi(future_result(below)->text));
        future_free(below);
    }
    result.text = strdup(text);
    return result;
}
TASK(sum);

static void a_task_may_submit_to_its_own_pool(void)
{
    own = pool->open(1);
    comes_to(submit(own, submit_one_more, "x"), RESULT_OK, "x");
    has_begun(1);
    executor_free(own);
}

static void a_task_may_wait_for_another_of_its_own_pool(void)
{
    for (size_t workers = 1; workers < 4; workers++) {
        own = pool->open(workers);
        comes_to(submit(own, sum, "100"), RESULT_OK, "5050");
        executor_free(own);
    }
}

static void a_task_may_submit_beyond_the_bound_of_its_own_pool(void)
{
    own = pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 1});
    comes_to(submit(own, sum, "10"), RESULT_OK, "55");
    executor_free(own);
}

static struct result shut_own_down(const char *argument)
{
    executor_shutdown(own);
    return result_ok(strdup(argument));
}
TASK(shut_own_down);

static void a_task_may_shut_its_own_pool_down(void)
{
    own = pool->open(2);
    struct future *held = submit(own, hold, "held");
    comes_to(submit(own, shut_own_down, "shut"), RESULT_OK, "shut");
    assert_null(executor_submit(own, echo, ""));
    release(1);
    comes_to(held, RESULT_OK, "held");
    executor_free(own);
}

/* In a process pool the task sees a copy of the pool, which has no workers there. */
static struct result use_own(const char *argument)
{
    struct future *future = executor_submit(own, echo, argument);
    int error = future == NULL ? errno : 0;
    future_free(future);
    return error == EPERM ? result_ok(strdup("refused")) : result_failed("%d", error);
}
TASK(use_own);

static void a_task_in_a_process_is_refused_its_pool(void)
{
    own = thread_pool_executor(1);
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, use_own, ""), RESULT_OK, "refused");
    executor_free(executor);
    executor_free(own);
}

static struct result use_a_pool_of_its_own(const char *argument)
{
    struct executor *executor = pool->open(2);
    struct future *future = executor_submit(executor, echo, argument);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    executor_free(executor);
    return result;
}
TASK(use_a_pool_of_its_own);

static void a_task_may_open_a_pool_of_its_own(void)
{
    struct executor *executor = pool->open(2);
    comes_to(submit(executor, use_a_pool_of_its_own, "deep"), RESULT_OK, "deep");
    executor_free(executor);
}

/* ---- Callbacks ---- */

static struct future *from_callback;

static void submit_from_callback(struct future *future, void *context)
{
    from_callback = executor_submit(context, echo, future_result(future)->text);
    say_begun();
}

static void a_callback_may_submit(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "again");
    assert_true(future_on_done(future, submit_from_callback, executor));
    has_begun(1);
    release(1);
    has_begun(1);
    comes_to(from_callback, RESULT_OK, "again");
    future_free(future);
    executor_free(executor);
}

static const struct result *in_callback;
static int errno_in_callback;

static void submit_and_wait_from_callback(struct future *future, void *context)
{
    from_callback = executor_submit(context, hold, future_result(future)->text);
    errno = 0;
    in_callback = future_result(from_callback);
    errno_in_callback = errno;
    say_begun();
}

static void a_callback_cannot_wait_for_a_task_of_its_pool(void)
{
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, hold, "again");
    assert_true(future_on_done(future, submit_and_wait_from_callback, executor));
    has_begun(1);
    release(1);
    has_begun(2); /* the callback has returned, and the task has begun */
    assert_int_equal(in_callback->status, RESULT_FAILED);
    assert_string_equal(in_callback->text,
                        "a callback cannot wait for a task of its own pool (EDEADLK)");
    assert_int_equal(errno_in_callback, EDEADLK);
    release(1);
    comes_to(from_callback, RESULT_OK, "again");
    future_free(future);
    executor_free(executor);
}

static void cancel_from_callback(struct future *future, void *context)
{
    (void)future;
    future_cancel(context);
}

static void a_callback_may_cancel(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    struct future *next = submit(executor, hold, "");
    struct future *victim = submit(executor, hold, "");
    assert_true(future_on_done(future, cancel_from_callback, victim));
    release(1);
    comes_to(victim, RESULT_CANCELLED, "cancelled before it began");
    release(1);
    future_free(future);
    future_free(next);
    executor_free(executor);
}

static void hold_in_callback(struct future *future, void *context)
{
    (void)context;
    struct result result = hold(future_argument(future));
    result_free(&result);
}

static void a_callback_that_takes_long_holds_up_no_other_worker(void)
{
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, hold, "");
    has_begun(1);
    assert_true(future_on_done(future, hold_in_callback, NULL));
    release(1);
    has_begun(1);
    for (size_t i = 0; i < 2000; i++)
        comes_to(submit(executor, echo, "other"), RESULT_OK, "other");
    release(1);
    future_free(future);
    executor_free(executor);
}

static void shut_down_from_callback(struct future *future, void *context)
{
    (void)future;
    executor_shutdown(context);
}

static void a_callback_may_shut_down(void)
{
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, hold, "");
    assert_true(future_on_done(future, shut_down_from_callback, executor));
    release(1);
    future_result(future);
    executor_shutdown(executor);
    future_free(future);
    executor_free(executor);
}

static void free_from_callback(struct future *future, void *context)
{
    executor_free(context);
    future_free(future);
    say_begun();
}

static void a_callback_may_free_the_executor(void)
{
    struct executor *executor = pool->open(2);
    struct future *last = submit(executor, hold, "");
    struct future *future = submit(executor, hold, "");
    has_begun(2);
    assert_true(future_on_done(future, free_from_callback, executor));
    release(2);
    comes_to(last, RESULT_OK, "");
    has_begun(1);
}

static void a_callback_may_submit_while_the_pool_shuts_down(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    assert_true(future_on_done(future, submit_from_callback, executor));
    has_begun(1);
    release(1);
    executor_shutdown(executor); /* and the submit came before or after */
    has_begun(1);
    const struct result *result = future_result(from_callback);
    assert_true(result->status == (from_callback == NULL ? RESULT_FAILED : RESULT_OK));
    future_free(from_callback);
    future_free(future);
    executor_free(executor);
}

/* CPython's test_gh105829: submits as fast as can be, while results come. */
static void *submit_fast(void *context)
{
    for (size_t i = 0; i < 2000; i++)
        future_free(executor_submit(context, echo, ""));
    return NULL;
}

static void submitting_fast_does_not_block_the_workers(void)
{
    struct executor *executor = pool->open(2);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, submit_fast, executor), 0);
    submit_fast(executor);
    assert_int_equal(pthread_join(thread, NULL), 0);
    executor_free(executor);
}

static void free_executor_from_callback(struct future *future, void *context)
{
    (void)future;
    executor_free(context);
}

static void *shut_down_now(void *context)
{
    executor_shutdown_now(context);
    return NULL;
}

static void a_callback_of_what_is_cancelled_may_free_the_executor(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, echo, "");
    pthread_t thread;
    has_begun(1);
    future_free(held); /* so that no future of ours keeps the executor's memory */
    assert_true(future_on_done(future, free_executor_from_callback, executor));
    assert_int_equal(pthread_create(&thread, NULL, shut_down_now, executor), 0);
    comes_to(future, RESULT_CANCELLED, "cancelled before it began");
    release(1);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A future of another pool. */
static struct future *of_another;

static void wait_for_context(struct future *future, void *context)
{
    (void)future;
    assert_int_equal(future_result(context)->status, RESULT_FAILED);
    assert_int_equal(errno, EDEADLK);
}

static void cancel_of_another(struct future *future, void *held)
{
    (void)future;
    assert_true(future_on_done(of_another, wait_for_context, held));
    assert_true(future_cancel(of_another));
}

/* The callback of one pool is called within that of the other, and waits for the other.
   */
static void a_callback_within_another_cannot_wait_for_the_pool_of_either(void)
{
    struct executor *executor = pool->open(1);
    struct executor *other = pool->open(1);
    struct future *held = submit(executor, hold, "held");
    struct future *held_by_other = submit(other, hold, "held");
    has_begun(2);
    struct future *future = submit(executor, echo, "");
    of_another = submit(other, echo, "");
    assert_true(future_on_done(future, cancel_of_another, held));
    assert_true(future_cancel(future));
    release(2);
    comes_to(held, RESULT_OK, "held");
    comes_to(held_by_other, RESULT_OK, "held");
    future_free(of_another);
    future_free(future);
    executor_free(other);
    executor_free(executor);
}

static const struct test_case deadlock_cases[] = {
    {IN_OUR_PROCESS, NAMED(a_task_may_submit_to_its_own_pool)},
    {IN_OUR_PROCESS, NAMED(a_task_may_wait_for_another_of_its_own_pool)},
    {IN_OUR_PROCESS, NAMED(a_task_may_submit_beyond_the_bound_of_its_own_pool)},
    {IN_OUR_PROCESS, NAMED(a_task_may_shut_its_own_pool_down)},
    {IN_PROCESSES, NAMED(a_task_in_a_process_is_refused_its_pool)},
    {ANY_POOL, NAMED(a_task_may_open_a_pool_of_its_own)},
    {ANY_POOL, NAMED(a_callback_may_submit)},
    {ANY_POOL, NAMED(a_callback_cannot_wait_for_a_task_of_its_pool)},
    {ANY_POOL, NAMED(a_callback_may_cancel)},
    {THREADS_ONLY, NAMED(a_callback_that_takes_long_holds_up_no_other_worker)},
    {ANY_POOL, NAMED(a_callback_may_shut_down)},
    {ANY_POOL, NAMED(a_callback_may_free_the_executor)},
    {ANY_POOL, NAMED(a_callback_may_submit_while_the_pool_shuts_down)},
    {ANY_POOL, NAMED(submitting_fast_does_not_block_the_workers)},
    {ANY_POOL, NAMED(a_callback_of_what_is_cancelled_may_free_the_executor)},
    {NOT_A_CLUSTER, NAMED(a_callback_within_another_cannot_wait_for_the_pool_of_either)},
};

GROUP(deadlock);
