/* What callbacks may do, and what they may not. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* ---- Waiting in a callback ---- */

/* What waiting for a task that holds came to, in each way. */
static struct {
    const struct result *result;
    int error, within_error, wait_error, completed_error, map_error;
    bool has_waited;
} tried;

static sem_t over; /* the callback has tried all */

static const char *next_one(void *context)
{
    int *left = context;
    return (*left)-- > 0 ? "from a map" : NULL;
}

static bool take(void *context, const char *argument, const struct result *result)
{
    (void)context;
    (void)argument;
    return result->status == RESULT_OK;
}

static void try_all_ways(struct executor *executor, struct future *other)
{
    int left = 1;
    errno = 0;
    tried.result = future_result(other);
    tried.error = errno;
    errno = 0;
    future_result_within(other, 1000);
    tried.within_error = errno;
    errno = 0;
    tried.has_waited = futures_wait(&other, 1, ALL_COMPLETED, INFINITY);
    tried.wait_error = errno;
    struct as_completed *completed = as_completed_open(&other, 1, INFINITY);
    errno = 0;
    tried.has_waited |= as_completed_next(completed) != NULL;
    tried.completed_error = errno;
    as_completed_free(completed);
    errno = 0;
    tried.has_waited |= executor_map(executor, hold, next_one, take, &left, NULL);
    tried.map_error = errno;
}

/* The context is the executor of a task that holds, which it submits. */
static void wait_in_all_ways(struct future *future, void *executor)
{
    (void)future;
    struct future *other = executor_submit(executor, hold, "");
    try_all_ways(executor, other);
    future_free(other);
    sem_post(&over);
}

static void none_has_waited(void)
{
    sem_wait(&over);
    assert_false(tried.has_waited);
    assert_int_equal(tried.result->status, RESULT_FAILED);
    assert_string_equal(tried.result->text,
                        "a callback cannot wait for a task of its own pool (EDEADLK)");
    assert_int_equal(tried.error, EDEADLK);
    assert_int_equal(tried.within_error, EDEADLK);
    assert_int_equal(tried.wait_error, EDEADLK);
    assert_int_equal(tried.completed_error, EDEADLK);
    assert_int_equal(tried.map_error, EDEADLK);
}

/* The tasks of the callback have begun, or not yet; the map's may be cancelled. */
static void end_holding(struct executor *executor)
{
    release(2);
    executor_free(executor);
    while (has_any_begun())
        has_begun(1);
}

static void cannot_wait_for_their_pool_in_any_way(void)
{
    struct executor *executor = pool->open(2);
    struct future *future = submit(executor, hold, "");
    assert_int_equal(sem_init(&over, 0, 0), 0);
    has_begun(1);
    assert_true(future_on_done(future, wait_in_all_ways, executor));
    release(1);
    none_has_waited();
    future_free(future);
    end_holding(executor);
}

static void cannot_wait_for_it_where_a_task_is_cancelled(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, echo, "");
    assert_int_equal(sem_init(&over, 0, 0), 0);
    has_begun(1);
    assert_true(future_on_done(future, wait_in_all_ways, executor));
    assert_true(future_cancel(future));
    none_has_waited();
    future_free(held);
    future_free(future);
    release(1);
    end_holding(executor);
}

static void wait_for_context(struct future *future, void *other)
{
    (void)future;
    tried.result = future_result(other);
    tried.has_waited = futures_wait((struct future *[]){other}, 1, ALL_COMPLETED, 0);
    say_begun();
}

static void may_ask_for_what_is_done(void)
{
    struct executor *executor = pool->open(1);
    struct future *done = submit(executor, echo, "done");
    future_result(done);
    struct future *future = submit(executor, hold, "");
    has_begun(1);
    assert_true(future_on_done(future, wait_for_context, done));
    release(1);
    has_begun(1);
    assert_string_equal(tried.result->text, "done");
    assert_true(tried.has_waited);
    future_free(future);
    future_free(done);
    executor_free(executor);
}

static void may_wait_for_another_pool(void)
{
    struct executor *executor = pool->open(1);
    struct executor *other = pool->open(1);
    struct future *awaited = submit(other, hold, "of another pool");
    struct future *future = submit(executor, hold, "");
    has_begun(2);
    assert_true(future_on_done(future, wait_for_context, awaited));
    release(2);
    has_begun(1);
    assert_string_equal(tried.result->text, "of another pool");
    assert_true(tried.has_waited);
    future_free(future);
    future_free(awaited);
    executor_free(other);
    executor_free(executor);
}

/* ---- Chains ---- */

enum { DEPTH = 100 };

static struct executor *chained;
static struct future *links[DEPTH];
static atomic_int link_count;

/* Each submits the next task, and is its callback too. */
static void submit_next(struct future *future, void *context)
{
    (void)context;
    future_free(future);
    if (atomic_fetch_add(&link_count, 1) + 1 == DEPTH) {
        say_begun();
        return;
    }
    struct future *next = executor_submit(chained, echo, "");
    if (!future_on_done(next, submit_next, NULL))
        abort();
}

static void may_follow_each_other_a_hundred_times(void)
{
    chained = pool->open(2);
    atomic_store(&link_count, 0);
    struct future *first = submit(chained, echo, "");
    assert_true(future_on_done(first, submit_next, NULL));
    has_begun(1);
    assert_int_equal(atomic_load(&link_count), DEPTH);
    executor_free(chained);
}

/* Each is called within the one before it. */
static void cancel_next(struct future *future, void *context)
{
    size_t next = (size_t)((struct future **)context - links) + 1;
    if (!future_cancelled(future))
        abort();
    if (next < DEPTH && !future_cancel(links[next]))
        abort();
}

static void may_be_called_within_each_other_a_hundred_deep(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    has_begun(1);
    for (size_t i = 0; i < DEPTH; i++) {
        links[i] = submit(executor, echo, "");
        assert_true(future_on_done(links[i], cancel_next, &links[i]));
    }
    assert_true(future_cancel(links[0]));
    for (size_t i = 0; i < DEPTH; i++)
        comes_to(links[i], RESULT_CANCELLED, "cancelled before it began");
    release(1);
    comes_to(held, RESULT_OK, "");
    executor_free(executor);
}

/* ---- Callbacks that end their thread ---- */

static _Atomic pid_t ended;

static void end_thread(struct future *future, void *context)
{
    (void)future;
    (void)context;
    ended = gettid();
    pthread_exit(NULL);
}

static void tell_context(struct future *future, void *context)
{
    (void)future;
    (void)context;
    say_begun();
}

static void that_end_their_thread_cost_nothing(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "done");
    struct future *next = submit(executor, echo, "next");
    has_begun(1);
    assert_true(future_on_done(future, end_thread, NULL));
    assert_true(future_on_done(next, tell_context, NULL));
    release(1);
    has_begun(1);
    if (pool->kind != LOOPS_ONLY) /* there it ends its fiber */
        is_thread_gone(ended);
    comes_to(future, RESULT_OK, "done");
    comes_to(next, RESULT_OK, "next");
    comes_to(submit(executor, echo, "another"), RESULT_OK, "another");
    executor_free(executor);
}

/* LeakSanitizer looks for what they leave. */
static void that_end_their_thread_cost_those_behind_them(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    struct future *next = submit(executor, echo, "");
    has_begun(1);
    assert_true(future_on_done(future, tell_context, NULL));
    assert_true(future_on_done(future, end_thread, NULL));
    assert_true(future_on_done(future, tell_context, NULL));
    assert_true(future_on_done(future, end_thread, NULL));
    assert_true(future_on_done(next, tell_context, NULL));
    release(1);
    has_begun(2); /* the first, and that of the next task */
    executor_shutdown(executor);
    assert_false(has_any_begun());
    future_free(future);
    future_free(next);
    executor_free(executor);
}

static void that_end_their_thread_end_no_pool_too_early(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[20];
    struct future *held[] = {submit(executor, hold, ""), submit(executor, hold, "")};
    has_begun(2);
    for (size_t i = 0; i < 20; i++) {
        futures[i] = submit(executor, echo, "done");
        assert_true(future_on_done(futures[i], end_thread, NULL));
    }
    release(2);
    executor_shutdown(executor);
    for (size_t i = 0; i < 20; i++) {
        assert_true(future_done(futures[i]));
        comes_to(futures[i], RESULT_OK, "done");
    }
    future_free(held[0]);
    future_free(held[1]);
    executor_free(executor);
}

static const struct test_case callbacks_cases[] = {
    {ANY_POOL, NAMED(cannot_wait_for_their_pool_in_any_way)},
    {ANY_POOL, NAMED(cannot_wait_for_it_where_a_task_is_cancelled)},
    {ANY_POOL, NAMED(may_ask_for_what_is_done)},
    {NOT_A_CLUSTER, NAMED(may_wait_for_another_pool)},
    {ANY_POOL, NAMED(may_follow_each_other_a_hundred_times)},
    {ANY_POOL, NAMED(may_be_called_within_each_other_a_hundred_deep)},
    {THREAD_MAY_END, NAMED(that_end_their_thread_cost_nothing)},
    {THREAD_MAY_END, NAMED(that_end_their_thread_cost_those_behind_them)},
    {THREAD_MAY_END, NAMED(that_end_their_thread_end_no_pool_too_early)},
};

GROUP(callbacks);
