/* Waiting for many futures, in one of three ways. */
#include "cases.h"

#include <errno.h>

static void waits_for_all(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, hold, ""),
                                submit(executor, refuse, "")};
    release(2);
    assert_true(futures_wait(futures, 3, ALL_COMPLETED, INFINITY));
    for (size_t i = 0; i < 3; i++) {
        assert_true(future_done(futures[i]));
        future_free(futures[i]);
    }
    executor_free(executor);
}

static void waits_for_the_first(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "")};
    assert_true(futures_wait(futures, 2, FIRST_COMPLETED, INFINITY));
    assert_false(future_done(futures[0]));
    assert_true(future_done(futures[1]));
    /* And one that is done already is the first. */
    assert_true(futures_wait(futures, 2, FIRST_COMPLETED, 0));
    release(1);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void a_cancelled_one_is_the_first(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "")};
    has_begun(1);
    assert_true(future_cancel(futures[1]));
    assert_true(futures_wait(futures, 2, FIRST_COMPLETED, 0));
    release(1);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void waits_for_the_first_that_fails(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, ""),
                                submit(executor, refuse, ""), submit(executor, hold, "")};
    assert_true(futures_wait(futures, 4, FIRST_EXCEPTION, INFINITY));
    assert_true(future_done(futures[1]) && future_done(futures[2]));
    assert_false(future_done(futures[0]) || future_done(futures[3]));
    assert_true(futures_wait(futures, 4, FIRST_EXCEPTION, 0)); /* failed already */
    release(2);
    for (size_t i = 0; i < 4; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static void waits_for_all_if_none_fails(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, ""),
                                submit(executor, hold, "")};
    has_begun(2);
    release(2);
    assert_true(futures_wait(futures, 3, FIRST_EXCEPTION, INFINITY));
    for (size_t i = 0; i < 3; i++) {
        assert_true(future_done(futures[i]));
        future_free(futures[i]);
    }
    executor_free(executor);
}

static void a_cancelled_one_has_not_failed(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, hold, ""), submit(executor, echo, "")};
    has_begun(1);
    assert_true(future_cancel(futures[1]));
    errno = 0;
    assert_false(futures_wait(futures, 2, FIRST_EXCEPTION, 0));
    assert_int_equal(errno, ETIMEDOUT);
    release(1);
    assert_true(futures_wait(futures, 2, FIRST_EXCEPTION, INFINITY));
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void gives_up_in_time(void)
{
    struct executor *executor = pool->open(2);
    struct future *futures[] = {submit(executor, echo, ""), submit(executor, hold, "")};
    future_result(futures[0]);
    errno = 0;
    assert_false(futures_wait(futures, 2, ALL_COMPLETED, 0.01));
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(future_done(futures[0]));
    assert_false(future_done(futures[1]));
    release(1);
    future_free(futures[0]);
    future_free(futures[1]);
    executor_free(executor);
}

static void the_same_one_may_be_named_twice(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, hold, "");
    struct future *futures[] = {future, future, NULL, future};
    release(1);
    assert_true(futures_wait(futures, 4, ALL_COMPLETED, INFINITY));
    assert_true(futures_wait(futures, 4, ALL_COMPLETED, 0));
    future_free(future);
    executor_free(executor);
}

static void there_is_nothing_to_wait_for_without_futures(void)
{
    struct future *none[] = {NULL};
    assert_true(futures_wait(NULL, 0, ALL_COMPLETED, 0));
    assert_true(futures_wait(none, 1, FIRST_COMPLETED, 0));
    errno = 0;
    assert_false(futures_wait(NULL, 3, ALL_COMPLETED, 0));
    assert_int_equal(errno, EINVAL);
    assert_false(futures_wait(none, SIZE_MAX, ALL_COMPLETED, 0));
    assert_int_equal(errno, ENOMEM);
}

/* CPython's test_pending_calls_race: many are done while it begins to wait. */
static void none_is_missed_that_is_done_meanwhile(void)
{
    enum { COUNT = 1000 };
    static struct future *futures[COUNT];
    struct executor *executor = pool->open(4);
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "");
    assert_true(futures_wait(futures, COUNT, ALL_COMPLETED, INFINITY));
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "");
    executor_free(executor);
}

static const struct test_case wait_cases[] = {
    {ANY_POOL, NAMED(waits_for_all)},
    {ANY_POOL, NAMED(waits_for_the_first)},
    {ANY_POOL, NAMED(a_cancelled_one_is_the_first)},
    {ANY_POOL, NAMED(waits_for_the_first_that_fails)},
    {ANY_POOL, NAMED(waits_for_all_if_none_fails)},
    {ANY_POOL, NAMED(a_cancelled_one_has_not_failed)},
    {ANY_POOL, NAMED(gives_up_in_time)},
    {ANY_POOL, NAMED(the_same_one_may_be_named_twice)},
    {ANY_POOL, NAMED(there_is_nothing_to_wait_for_without_futures)},
    {ANY_POOL, NAMED(none_is_missed_that_is_done_meanwhile)},
};

GROUP(wait);
