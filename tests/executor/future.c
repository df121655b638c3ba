/* One future: its state, its result, its callbacks. */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static void is_pending_then_running_then_done(void)
{
    struct executor *executor = pool->open(1);
    struct future *first = submit(executor, hold, "");
    struct future *second = submit(executor, hold, "");
    has_begun(1);
    assert_true(comes_to_run(first));
    assert_false(future_done(first));
    assert_false(future_running(second));
    assert_false(future_done(second));
    release(1);
    future_result(first);
    assert_true(future_done(first));
    assert_false(future_running(first));
    assert_false(future_cancelled(first));
    has_begun(1);
    assert_true(comes_to_run(second));
    release(1);
    comes_to(second, RESULT_OK, "");
    future_free(first);
    executor_free(executor);
}

static void can_be_cancelled_while_it_is_pending(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, tell, "");
    struct future *next = submit(executor, echo, "next");
    has_begun(1);
    assert_true(future_cancel(future));
    assert_true(future_cancelled(future));
    assert_true(future_done(future));
    assert_false(future_running(future));
    assert_true(future_cancel(future)); /* once more */
    release(1);
    comes_to(next, RESULT_OK, "next");
    assert_false(has_any_begun());
    comes_to(future, RESULT_CANCELLED, "cancelled before it began");
    comes_to(held, RESULT_OK, "");
    executor_free(executor);
}

static void is_done_though_the_next_task_takes_long(void)
{
    struct executor *executor = pool->open(1);
    struct future *first = submit(executor, echo, "first");
    struct future *second = submit(executor, hold, "");
    has_begun(1);
    comes_to(first, RESULT_OK, "first");
    assert_true(comes_to_run(second));
    assert_false(future_cancel(second));
    release(1);
    comes_to(second, RESULT_OK, "");
    executor_free(executor);
}

/* Each is either cancelled or run: one of two threads is faster. */
static void what_is_cancelled_never_runs(void)
{
    enum { COUNT = 500 };
    struct executor *executor = pool->open(2);
    struct future *futures[COUNT];
    size_t cancelled = 0;
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, tell, "ran");
    for (size_t i = COUNT; i-- > 0;)
        cancelled += future_cancel(futures[i]) ? 1 : 0;
    for (size_t i = 0; i < COUNT; i++) {
        bool is_cancelled = future_cancelled(futures[i]);
        comes_to(futures[i], is_cancelled ? RESULT_CANCELLED : RESULT_OK,
                 is_cancelled ? "cancelled before it began" : "ran");
    }
    executor_free(executor);
    has_begun(COUNT - cancelled);
    assert_false(has_any_begun());
}

static void cannot_be_cancelled_once_it_has_begun(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "result");
    has_begun(1);
    assert_false(future_cancel(future));
    assert_false(future_cancelled(future));
    release(1);
    future_result(future);
    assert_false(future_cancel(future));
    assert_false(future_cancelled(future));
    comes_to(future, RESULT_OK, "result");
    executor_free(executor);
}

static pid_t waiter;

static void *wait_for_result(void *context)
{
    waiter = gettid();
    say_begun();
    return (void *)future_result(context);
}

static void cancelling_wakes_who_waits(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, echo, "");
    pthread_t thread;
    has_begun(1);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_result, future), 0);
    has_begun(1);
    is_asleep(waiter);
    assert_true(future_cancel(future));
    assert_int_equal(pthread_join(thread, NULL), 0);
    release(1);
    future_free(held);
    future_free(future);
    executor_free(executor);
}

static void waits_no_longer_than_it_is_told(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "late");
    has_begun(1);
    assert_int_equal(future_result_within(future, 0)->status, RESULT_TIMED_OUT);
    assert_int_equal(future_result_within(future, -1)->status, RESULT_TIMED_OUT);
    assert_int_equal(future_result_within(future, NAN)->status, RESULT_TIMED_OUT);
    assert_int_equal(future_result_within(future, 0.01)->status, RESULT_TIMED_OUT);
    assert_string_equal(future_result_within(future, 0)->text, "it was not done in time");
    assert_true(comes_to_run(future));
    release(1);
    assert_string_equal(future_result_within(future, 1000)->text, "late");
    assert_string_equal(future_result_within(future, 0)->text, "late");
    assert_string_equal(future_result_within(future, INFINITY)->text, "late");
    future_free(future);
    executor_free(executor);
}

static void its_result_outlives_the_executor(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, echo, "still there");
    executor_free(executor);
    assert_string_equal(future_argument(future), "still there");
    comes_to(future, RESULT_OK, "still there");
}

static void may_be_given_up_before_it_is_done(void)
{
    struct executor *executor = pool->open(1);
    struct future *running = submit(executor, hold, "");
    struct future *pending = submit(executor, tell, "");
    has_begun(1);
    future_free(running);
    future_free(pending);
    release(1);
    has_begun(1); /* it runs all the same */
    executor_free(executor);
}

static void none_is_an_error_value(void)
{
    comes_to(NULL, RESULT_FAILED, "it could not be submitted");
    assert_int_equal(future_result_within(NULL, 0)->status, RESULT_FAILED);
    assert_false(future_done(NULL) || future_running(NULL) || future_cancelled(NULL));
    assert_false(future_cancel(NULL));
    assert_null(future_argument(NULL));
    errno = 0;
    assert_false(future_on_done(NULL, NULL, NULL));
    assert_int_equal(errno, EINVAL);
}

/* ---- Callbacks ---- */

/* What a callback has seen; it comes from another thread. */
static struct {
    atomic_int calls;
    struct future *future;
    enum result_status status;
    int order[3];
} seen;

static void see(struct future *future, void *context)
{
    int call = atomic_load(&seen.calls);
    seen.future = future;
    seen.status = future_result(future)->status;
    seen.order[call] = *(int *)context;
    atomic_store(&seen.calls, call + 1);
}

static int one = 1, two = 2, three = 3;

static void see_nothing_yet(void)
{
    atomic_store(&seen.calls, 0);
}

static void calls_back_when_it_is_done(void)
{
    struct executor *executor = pool->open(1);
    see_nothing_yet();
    struct future *future = submit(executor, hold, "");
    assert_true(future_on_done(future, see, &one));
    assert_int_equal(atomic_load(&seen.calls), 0);
    release(1);
    executor_shutdown(executor);
    assert_int_equal(atomic_load(&seen.calls), 1);
    assert_ptr_equal(seen.future, future);
    assert_int_equal(seen.status, RESULT_OK);
    future_free(future);
    executor_free(executor);
}

static void calls_back_when_it_has_failed(void)
{
    struct executor *executor = pool->open(1);
    see_nothing_yet();
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, refuse, "");
    assert_true(future_on_done(future, see, &one));
    release(1);
    executor_shutdown(executor);
    assert_int_equal(atomic_load(&seen.calls), 1);
    assert_int_equal(seen.status, RESULT_FAILED);
    future_free(held);
    future_free(future);
    executor_free(executor);
}

static void calls_back_when_it_is_cancelled(void)
{
    struct executor *executor = pool->open(1);
    see_nothing_yet();
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, echo, "");
    assert_true(future_on_done(future, see, &one));
    has_begun(1);
    assert_true(future_cancel(future));
    assert_int_equal(atomic_load(&seen.calls), 1);
    assert_int_equal(seen.status, RESULT_CANCELLED);
    assert_true(future_cancel(future));
    assert_int_equal(atomic_load(&seen.calls), 1);
    release(1);
    future_free(held);
    future_free(future);
    executor_free(executor);
}

static void calls_back_at_once_if_it_is_done_already(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, echo, ""), submit(executor, refuse, ""),
                                submit(executor, hold, ""), submit(executor, echo, "")};
    has_begun(1);
    assert_true(future_cancel(futures[3]));
    release(1);
    executor_shutdown(executor);
    enum result_status expected[] = {RESULT_OK, RESULT_FAILED, RESULT_OK,
                                     RESULT_CANCELLED};
    for (size_t i = 0; i < 4; i++) {
        see_nothing_yet();
        assert_true(future_on_done(futures[i], see, &one));
        assert_int_equal(atomic_load(&seen.calls), 1);
        assert_int_equal(seen.status, expected[i]);
        future_free(futures[i]);
    }
    executor_free(executor);
}

static void calls_back_in_the_order_in_which_callbacks_came(void)
{
    struct executor *executor = pool->open(1);
    see_nothing_yet();
    struct future *future = submit(executor, hold, "");
    assert_true(future_on_done(future, see, &one));
    assert_true(future_on_done(future, see, &two));
    assert_true(future_on_done(future, see, &three));
    release(1);
    executor_shutdown(executor);
    assert_int_equal(atomic_load(&seen.calls), 3);
    assert_true(seen.order[0] == 1 && seen.order[1] == 2 && seen.order[2] == 3);
    future_free(future);
    executor_free(executor);
}

static void give_up(struct future *future, void *context)
{
    (void)context;
    future_free(future);
    say_begun();
}

static void a_callback_may_free_its_future(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *cancelled = submit(executor, echo, "");
    has_begun(1);
    assert_true(future_on_done(held, give_up, NULL));
    assert_true(future_on_done(cancelled, give_up, NULL));
    assert_true(future_cancel(cancelled));
    release(1);
    has_begun(2);
    struct future *done = submit(executor, echo, "");
    future_result(done);
    assert_true(future_on_done(done, give_up, NULL));
    executor_free(executor);
}

static const struct test_case future_cases[] = {
    {ANY_POOL, NAMED(is_pending_then_running_then_done)},
    {ANY_POOL, NAMED(can_be_cancelled_while_it_is_pending)},
    {ANY_POOL, NAMED(is_done_though_the_next_task_takes_long)},
    {ANY_POOL, NAMED(what_is_cancelled_never_runs)},
    {ANY_POOL, NAMED(cannot_be_cancelled_once_it_has_begun)},
    {ANY_POOL, NAMED(cancelling_wakes_who_waits)},
    {ANY_POOL, NAMED(waits_no_longer_than_it_is_told)},
    {ANY_POOL, NAMED(its_result_outlives_the_executor)},
    {ANY_POOL, NAMED(may_be_given_up_before_it_is_done)},
    {ANY_POOL, NAMED(none_is_an_error_value)},
    {ANY_POOL, NAMED(calls_back_when_it_is_done)},
    {ANY_POOL, NAMED(calls_back_when_it_has_failed)},
    {ANY_POOL, NAMED(calls_back_when_it_is_cancelled)},
    {NOT_A_CLUSTER, NAMED(calls_back_at_once_if_it_is_done_already)},
    {ANY_POOL, NAMED(calls_back_in_the_order_in_which_callbacks_came)},
    {ANY_POOL, NAMED(a_callback_may_free_its_future)},
};

GROUP(future);
