/* Futures one by one, as they are done. */
#include "cases.h"
#include "monotonic.h"

#include <errno.h>
#include <sched.h>

/* What comes next. */
static void next_is(struct as_completed *completed, struct future *expected)
{
    assert_ptr_equal(as_completed_next(completed), expected);
}

static void ends(struct as_completed *completed)
{
    errno = EINVAL;
    assert_null(as_completed_next(completed));
    assert_int_equal(errno, 0);
    as_completed_free(completed);
}

static void they_come_as_they_are_done(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, hold, ""),
                                submit(executor, hold, "")};
    struct as_completed *completed = as_completed_open(futures, 3, INFINITY);
    has_begun(2);
    assert_true(future_cancel(futures[2]));
    next_is(completed, futures[2]);
    release(2);
    struct future *second = as_completed_next(completed);
    struct future *third = as_completed_next(completed);
    assert_true((second == futures[0] && third == futures[1]) ||
                (second == futures[1] && third == futures[0]));
    ends(completed);
    for (size_t i = 0; i < 3; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static void those_that_are_done_already_come_first(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "1"),
                                submit(executor, refuse, "2")};
    future_result(futures[2]);
    struct as_completed *completed = as_completed_open(futures, 3, INFINITY);
    next_is(completed, futures[1]);
    next_is(completed, futures[2]);
    release(1);
    next_is(completed, futures[0]);
    ends(completed);
    for (size_t i = 0; i < 3; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static void all_of_it_must_be_over_in_time(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "")};
    future_result(futures[1]);
    struct as_completed *completed = as_completed_open(futures, 2, 0.01);
    next_is(completed, futures[1]);
    errno = 0;
    assert_null(as_completed_next(completed));
    assert_int_equal(errno, ETIMEDOUT);
    as_completed_free(completed); /* while one is not done */
    release(1);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void after_the_end_of_the_time_there_are_those_that_are_done(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    struct as_completed *completed = as_completed_open(&future, 1, 0.01);
    for (size_t i = 0; i < 2; i++) {
        errno = 0;
        assert_null(as_completed_next(completed));
        assert_int_equal(errno, ETIMEDOUT);
    }
    release(1);
    future_result(future);
    next_is(completed, future);
    ends(completed);
    future_free(future);
    executor_free(executor);
}

static void without_time_there_are_those_that_are_done(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "")};
    future_result(futures[1]);
    struct as_completed *completed = as_completed_open(futures, 2, 0);
    next_is(completed, futures[1]);
    assert_null(as_completed_next(completed));
    assert_int_equal(errno, ETIMEDOUT);
    as_completed_free(completed);
    release(1);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

/* Else a reader that is slower than the tasks would never come to an end. */
static void the_end_of_the_time_is_told_though_others_are_done(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, echo, "before"),
                                submit(executor, hold, ""), submit(executor, echo, "")};
    future_result(futures[0]);
    has_begun(1);
    struct as_completed *completed = as_completed_open(futures, 3, 0.01);
    double opened = monotonic_seconds();
    while (monotonic_seconds() < opened + 0.01)
        sched_yield();
    release(1);
    future_result(futures[2]);
    next_is(completed, futures[0]);
    assert_null(as_completed_next(completed));
    assert_int_equal(errno, ETIMEDOUT);
    next_is(completed, futures[1]);
    next_is(completed, futures[2]);
    ends(completed);
    assert_true(futures_wait(futures, 3, ALL_COMPLETED, 0));
    for (size_t i = 0; i < 3; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static void the_same_one_comes_once(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    struct future *futures[] = {future, NULL, future};
    struct as_completed *completed = as_completed_open(futures, 3, INFINITY);
    release(1);
    next_is(completed, future);
    ends(completed);
    completed = as_completed_open(futures, 3, INFINITY);
    next_is(completed, future);
    ends(completed);
    future_free(future);
    executor_free(executor);
}

static void two_may_watch_the_same_ones(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, hold, "")};
    struct as_completed *first = as_completed_open(futures, 2, INFINITY);
    struct as_completed *second = as_completed_open(futures, 2, INFINITY);
    struct as_completed *third = as_completed_open(futures, 2, INFINITY);
    as_completed_free(second);
    release(2);
    next_is(first, futures[0]);
    next_is(first, futures[1]);
    next_is(third, futures[0]);
    next_is(third, futures[1]);
    ends(first);
    ends(third);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void one_may_be_freed_once_it_has_come(void)
{
    enum { COUNT = 2000 };
    static struct future *futures[COUNT];
    struct executor *executor = pool->open(2);
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "");
    struct as_completed *completed = as_completed_open(futures, COUNT, INFINITY);
    struct future *future;
    size_t count = 0;
    while ((future = as_completed_next(completed)) != NULL) {
        assert_true(future_done(future));
        future_free(future);
        count++;
    }
    assert_int_equal(count, COUNT);
    ends(completed);
    executor_free(executor);
}

static void there_may_be_none(void)
{
    struct future *none[] = {NULL, NULL};
    ends(as_completed_open(NULL, 0, INFINITY));
    ends(as_completed_open(none, 2, INFINITY));
    errno = 0;
    assert_null(as_completed_open(none, SIZE_MAX / 8, INFINITY));
    assert_int_equal(errno, ENOMEM);
    assert_null(as_completed_next(NULL));
    assert_int_equal(errno, EINVAL);
    as_completed_free(NULL);
}

static const struct test_case as_completed_cases[] = {
    {ANY_POOL, NAMED(they_come_as_they_are_done)},
    {ANY_POOL, NAMED(those_that_are_done_already_come_first)},
    {ANY_POOL, NAMED(all_of_it_must_be_over_in_time)},
    {ANY_POOL, NAMED(after_the_end_of_the_time_there_are_those_that_are_done)},
    {ANY_POOL, NAMED(without_time_there_are_those_that_are_done)},
    {ANY_POOL, NAMED(the_end_of_the_time_is_told_though_others_are_done)},
    {ANY_POOL, NAMED(the_same_one_comes_once)},
    {ANY_POOL, NAMED(two_may_watch_the_same_ones)},
    {ANY_POOL, NAMED(one_may_be_freed_once_it_has_come)},
    {ANY_POOL, NAMED(there_may_be_none)},
};

GROUP(as_completed);
