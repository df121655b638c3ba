/* Threads that end or are cancelled where they should not, and waits within tasks. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* ---- pthread_exit(3) ---- */

static struct result end_thread(const char *argument)
{
    (void)argument;
    pthread_exit(NULL);
}
TASK(end_thread);

static void a_task_that_ends_its_thread_costs_its_own_result(void)
{
    struct executor *executor = pool->open(1);
    char expected[100];
    snprintf(expected, sizeof(expected), "worker %s-1 %s", pool->worker,
             (pool->kind & IN_PROCESSES) != 0
                 ? "exited with status 0"
                 : "ended in the middle of the task (pthread_exit(3))");
    struct future *futures[] = {submit(executor, echo, "1"),
                                submit(executor, end_thread, ""),
                                submit(executor, echo, "2")};
    comes_to(futures[0], RESULT_OK, "1");
    assert_true(future_result(futures[1])->span.end >=
                future_result(futures[1])->span.start);
    comes_to(futures[1], RESULT_BROKEN, expected);
    comes_to(futures[2], RESULT_OK, "2");
    executor_free(executor);
}

static void all_workers_may_end_like_that(void)
{
    enum { COUNT = 20 };
    struct executor *executor = pool->open(3);
    struct future *futures[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, i % 2 == 0 ? end_thread : echo, "there");
    executor_shutdown(executor);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(future_done(futures[i]));
        assert_int_equal(future_result(futures[i])->status,
                         i % 2 == 0 ? RESULT_BROKEN : RESULT_OK);
        future_free(futures[i]);
    }
    executor_free(executor);
}

/* Has threads have this much stack; returns how much they had. */
static size_t set_stack(size_t bytes)
{
    pthread_attr_t attributes;
    size_t before;
    assert_int_equal(pthread_getattr_default_np(&attributes), 0);
    assert_int_equal(pthread_attr_getstacksize(&attributes, &before), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, bytes), 0);
    assert_int_equal(pthread_setattr_default_np(&attributes), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
    return before;
}

static void a_pool_ends_though_a_thread_that_has_ended_cannot_be_replaced(void)
{
    struct executor *executor = pool->open(2);
    size_t stack = set_stack((size_t)1 << 46); /* no machine has as much */
    struct future *future = submit(executor, end_thread, "");
    assert_int_equal(future_result(future)->status, RESULT_BROKEN);
    future_free(future);
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
    set_stack(stack);
}

static struct executor *own;
static struct future *inner;

/* Has the inner task run within its own stack. */
static struct result wait_for_end(const char *argument)
{
    inner = executor_submit(own, end_thread, argument);
    future_result(inner);
    return result_ok(strdup("not reached"));
}
TASK(wait_for_end);

static void a_task_that_ends_its_thread_within_another_costs_both(void)
{
    const char *expected =
        "worker thread-1 ended in the middle of the task (pthread_exit(3))";
    own = pool->open(1);
    struct future *outer = submit(own, wait_for_end, "");
    comes_to(outer, RESULT_BROKEN, expected);
    comes_to(inner, RESULT_BROKEN, expected);
    comes_to(submit(own, echo, "next"), RESULT_OK, "next");
    executor_free(own);
}

static void an_initializer_that_ends_its_thread_breaks_the_pool(void)
{
    char expected[100];
    snprintf(expected, sizeof(expected),
             "the initializer of worker %s-1 failed: its thread ended (pthread_exit(3))",
             pool->worker);
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 1, .initializer = end_thread});
    comes_to(submit(executor, tell, ""), RESULT_BROKEN, expected);
    comes_to(submit(executor, tell, ""), RESULT_BROKEN, expected);
    assert_false(has_any_begun());
    executor_free(executor);
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* Leaves another thread behind, which would keep the process. */
static struct result end_first_thread(const char *argument)
{
    pthread_t thread;
    (void)argument;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
        pthread_exit(NULL);
    return result_failed("no thread");
}
TASK(end_first_thread);

static void a_task_that_ends_its_thread_but_not_its_process_is_no_different(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, end_first_thread, ""), RESULT_BROKEN,
             "worker process-1 exited with status 0");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

static void an_initializer_that_ends_its_process_costs_each_task(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 1, .initializer = end_thread});
    for (size_t i = 0; i < 3; i++)
        comes_to(submit(executor, tell, ""), RESULT_BROKEN,
                 "the initializer of worker process-1 failed: "
                 "worker process-1 exited with status 0");
    executor_free(executor);
}

/* ---- pthread_cancel(3) of a thread that waits ---- */

static struct {
    _Atomic pid_t thread;
    struct executor *executor;
    struct future *future;
    struct as_completed *completed;
} waiting;

static void *wait_for_result(void *unused)
{
    waiting.thread = gettid();
    say_begun();
    future_result(waiting.future);
    return unused;
}

static void *wait_for_many(void *unused)
{
    waiting.thread = gettid();
    say_begun();
    futures_wait(&waiting.future, 1, ALL_COMPLETED, INFINITY);
    return unused;
}

static void *wait_for_next(void *unused)
{
    waiting.thread = gettid();
    say_begun();
    as_completed_next(waiting.completed);
    return unused;
}

static void *wait_for_room(void *unused)
{
    waiting.thread = gettid();
    say_begun();
    executor_submit(waiting.executor, echo, "");
    return unused;
}

static void *wait_for_end_of_pool(void *unused)
{
    waiting.thread = gettid();
    say_begun();
    executor_shutdown(waiting.executor);
    return unused;
}

/* Cancels a thread that runs this, when it sleeps. */
static void cancel_in(void *run(void *unused))
{
    pthread_t thread;
    void *value;
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    has_begun(1);
    is_asleep(waiting.thread);
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &value), 0);
    assert_ptr_equal(value, PTHREAD_CANCELED);
}

static void a_thread_that_waits_may_be_cancelled(void)
{
    waiting.executor = pool->open(1);
    waiting.future = submit(waiting.executor, hold, "held");
    has_begun(1);
    cancel_in(wait_for_result);
    cancel_in(wait_for_many);
    waiting.completed = as_completed_open(&waiting.future, 1, INFINITY);
    cancel_in(wait_for_next);
    release(1);
    assert_ptr_equal(as_completed_next(waiting.completed), waiting.future);
    as_completed_free(waiting.completed);
    comes_to(waiting.future, RESULT_OK, "held");
    executor_free(waiting.executor);
}

static void a_thread_that_waits_for_room_may_be_cancelled(void)
{
    waiting.executor =
        pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 1});
    struct future *held = submit(waiting.executor, hold, "held");
    has_begun(1);
    struct future *queued = submit(waiting.executor, echo, "queued");
    cancel_in(wait_for_room);
    release(1);
    comes_to(held, RESULT_OK, "held");
    comes_to(queued, RESULT_OK, "queued");
    comes_to(submit(waiting.executor, echo, "next"), RESULT_OK, "next");
    executor_free(waiting.executor);
}

static const char *next_held(void *context)
{
    size_t *count = context;
    return ++*count <= 3 ? "held" : NULL;
}

static bool take_held(void *context, const char *argument, const struct result *result)
{
    (void)context;
    return strcmp(argument, result->text) == 0;
}

static void *wait_in_map(void *unused)
{
    size_t count = 0;
    waiting.thread = gettid(); /* the first task says that it has begun */
    executor_map(waiting.executor, hold, next_held, take_held, &count, NULL);
    return unused;
}

static void a_thread_that_maps_may_be_cancelled_and_cancels_what_has_not_begun(void)
{
    waiting.executor = pool->open(1);
    cancel_in(wait_in_map);
    release(1);
    comes_to(submit(waiting.executor, echo, "next"), RESULT_OK, "next");
    executor_free(waiting.executor);
}

static void a_thread_that_shuts_down_may_be_cancelled(void)
{
    waiting.executor = pool->open(1);
    struct future *held = submit(waiting.executor, hold, "held");
    has_begun(1);
    cancel_in(wait_for_end_of_pool);
    release(1);
    comes_to(held, RESULT_OK, "held");
    executor_free(waiting.executor);
}

/* ---- pthread_cancel(3) of a pool's own thread ---- */

static struct {
    pthread_t thread;
    pid_t id;
} worker;

static struct result tell_worker(const char *argument)
{
    worker.thread = pthread_self();
    worker.id = gettid();
    return result_ok(strdup(argument));
}
TASK(tell_worker);

static struct result enable_cancellation(const char *argument)
{
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    return tell_worker(argument);
}
TASK(enable_cancellation);

static struct result cancel_itself(const char *argument)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return result_ok(strdup(argument));
}
TASK(cancel_itself);

static struct result enable_and_cancel_itself(const char *argument)
{
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    return cancel_itself(argument);
}
TASK(enable_and_cancel_itself);

/* Has a worker run the task, and cancels the worker when it waits for the next one, which
   it runs all the same. */
static void is_not_cancelled_after(task_fn task)
{
    struct executor *executor = pool->open(1);
    struct future *first = submit(executor, task, "first");
    while (!future_done(first))
        sched_yield(); /* to wait for it would have the worker wait for a lock, perhaps */
    comes_to(first, RESULT_OK, "first");
    pid_t id = worker.id;
    is_asleep(id);
    assert_int_equal(pthread_cancel(worker.thread), 0);
    has_taken_signals(id); /* or it may be woken for the next task before it is told */
    comes_to(submit(executor, tell_worker, "next"), RESULT_OK, "next");
    assert_int_equal(worker.id, id);
    executor_free(executor);
}

static void a_thread_of_the_pool_cannot_be_cancelled(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 1, .initializer = cancel_itself});
    comes_to(submit(executor, cancel_itself, "still there"), RESULT_OK, "still there");
    executor_free(executor);
    is_not_cancelled_after(tell_worker);
}

static void a_task_that_lets_its_thread_be_cancelled_costs_its_own_result(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, enable_and_cancel_itself, ""), RESULT_BROKEN,
             "worker thread-1 ended in the middle of the task (pthread_exit(3))");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
    is_not_cancelled_after(enable_cancellation);
}

/* ---- Waits of a task for its own pool ---- */

static struct result wait_for_two(const char *argument)
{
    struct future *futures[] = {executor_submit(own, echo, argument),
                                executor_submit(own, echo, argument)};
    bool is_done = futures_wait(futures, 2, ALL_COMPLETED, 100);
    future_free(futures[0]);
    future_free(futures[1]);
    return is_done ? result_ok(strdup(argument)) : result_failed("errno %d", errno);
}
TASK(wait_for_two);

static struct result take_two(const char *argument)
{
    struct future *futures[] = {executor_submit(own, echo, argument),
                                executor_submit(own, echo, argument)};
    struct as_completed *completed = as_completed_open(futures, 2, 100);
    size_t count = 0;
    while (as_completed_next(completed) != NULL)
        count++;
    as_completed_free(completed);
    future_free(futures[0]);
    future_free(futures[1]);
    return count == 2 ? result_ok(strdup(argument)) : result_failed("%zu", count);
}
TASK(take_two);

static struct result take_two_in_time(const char *argument)
{
    struct future *future = executor_submit(own, echo, argument);
    const struct result *result = future_result_within(future, 100);
    struct result copy = result->status == RESULT_OK ? result_ok(strdup(argument))
                                                     : result_failed("%s", result->text);
    future_free(future);
    return copy;
}
TASK(take_two_in_time);

static const char *next_of_five(void *context)
{
    size_t *count = context;
    return ++*count <= 5 ? "five" : NULL;
}

static bool take_five(void *context, const char *argument, const struct result *result)
{
    (void)context;
    return strcmp(argument, result->text) == 0;
}

static struct result map_five(const char *argument)
{
    size_t count = 0;
    struct map_options options = {.seconds = 100};
    bool is_done = executor_map(own, echo, next_of_five, take_five, &count, &options);
    return is_done ? result_ok(strdup(argument)) : result_failed("errno %d", errno);
}
TASK(map_five);

static void a_task_may_wait_for_its_own_pool_in_each_way(void)
{
    own = pool->open(1);
    comes_to(submit(own, wait_for_two, "wait"), RESULT_OK, "wait");
    comes_to(submit(own, take_two, "take"), RESULT_OK, "take");
    comes_to(submit(own, take_two_in_time, "in time"), RESULT_OK, "in time");
    comes_to(submit(own, map_five, "map"), RESULT_OK, "map");
    executor_free(own);
}

/* ---- What a task says of itself ---- */

static struct result say_cancelled(const char *argument)
{
    return (struct result){.status = RESULT_CANCELLED, .text = strdup(argument)};
}
TASK(say_cancelled);

static struct result say_nonsense(const char *argument)
{
    return (struct result){.status = 99, .text = strdup(argument)};
}
TASK(say_nonsense);

static void a_task_that_ran_is_not_cancelled_whatever_it_says(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, say_cancelled, "it ran");
    assert_int_equal(future_result(future)->status, RESULT_FAILED);
    assert_false(future_cancelled(future));
    assert_false(future_cancel(future));
    comes_to(future, RESULT_FAILED, "it ran");
    comes_to(submit(executor, say_nonsense, "it ran"), RESULT_FAILED, "it ran");
    executor_free(executor);
}

static const struct test_case ends_cases[] = {
    {THREAD_MAY_END, NAMED(a_task_that_ends_its_thread_costs_its_own_result)},
    {THREAD_MAY_END, NAMED(all_workers_may_end_like_that)},
    {THREADS_ONLY, NAMED(a_pool_ends_though_a_thread_that_has_ended_cannot_be_replaced)},
    {THREADS_ONLY, NAMED(a_task_that_ends_its_thread_within_another_costs_both)},
    {IN_OUR_PROCESS & THREAD_MAY_END,
     NAMED(an_initializer_that_ends_its_thread_breaks_the_pool)},
    {IN_PROCESSES,
     NAMED(a_task_that_ends_its_thread_but_not_its_process_is_no_different)},
    {IN_PROCESSES, NAMED(an_initializer_that_ends_its_process_costs_each_task)},
    {ANY_POOL, NAMED(a_thread_that_waits_may_be_cancelled)},
    {ANY_POOL, NAMED(a_thread_that_waits_for_room_may_be_cancelled)},
    {ANY_POOL, NAMED(a_thread_that_shuts_down_may_be_cancelled)},
    {ANY_POOL, NAMED(a_thread_that_maps_may_be_cancelled_and_cancels_what_has_not_begun)},
    {THREADS_ONLY, NAMED(a_thread_of_the_pool_cannot_be_cancelled)},
    {THREADS_ONLY, NAMED(a_task_that_lets_its_thread_be_cancelled_costs_its_own_result)},
    {IN_OUR_PROCESS, NAMED(a_task_may_wait_for_its_own_pool_in_each_way)},
    {ANY_POOL, NAMED(a_task_that_ran_is_not_cancelled_whatever_it_says)},
};

GROUP(ends);
