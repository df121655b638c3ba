/* A stream of arguments through a pool. */
#include "cases.h"
#include "monotonic.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>

/* Where the arguments come from, and what has become of the results. */
struct stream {
    size_t count;
    size_t next;
    size_t received;
    size_t most_ahead; /* how far the arguments were ahead of the results at most */
    size_t stop_at;    /* the sink has enough then; 0: never */
    enum result_status last;
    char text[20];
};

static const char *next_number(void *context)
{
    struct stream *stream = context;
    if (stream->next == stream->count)
        return NULL;
    snprintf(stream->text, sizeof(stream->text), "%zu", stream->next++);
    size_t ahead = stream->next - stream->received;
    if (ahead > stream->most_ahead)
        stream->most_ahead = ahead;
    return stream->text;
}

static bool receive(void *context, const char *argument, const struct result *result)
{
    struct stream *stream = context;
    char expected[20];
    snprintf(expected, sizeof(expected), "%zu", stream->received++);
    assert_string_equal(argument, expected);
    assert_string_equal(result->text, expected);
    stream->last = result->status;
    return stream->received != stream->stop_at;
}

static void results_come_in_the_order_of_the_arguments(void)
{
    struct executor *executor = pool->open(4);
    struct stream stream = {.count = 5000};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_int_equal(stream.received, 5000);
    executor_free(executor);
}

static void no_more_are_there_at_once_than_the_window_holds(void)
{
    struct executor *executor = pool->open(2);
    struct stream stream = {.count = 1000};
    struct map_options options = {.window = 7};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, &options));
    assert_int_equal(stream.received, 1000);
    assert_in_range(stream.most_ahead, 1, 7);
    stream = (struct stream){.count = 1000};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_in_range(stream.most_ahead, 1, 32);
    executor_free(executor);
}

static void a_long_stream_needs_no_more_memory_than_a_short_one(void)
{
    struct executor *executor = pool->open(2);
    struct stream stream = {.count = 100};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, NULL));
    size_t before = mallinfo2().arena;
    stream = (struct stream){.count = 20000};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_in_range(mallinfo2().arena, 0, before + 1024 * 1024);
    executor_free(executor);
}

static void a_window_of_one_takes_turns(void)
{
    struct executor *executor = pool->open(2);
    struct stream stream = {.count = 20};
    struct map_options options = {.window = 1};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, &options));
    assert_int_equal(stream.received, 20);
    assert_int_equal(stream.most_ahead, 1);
    executor_free(executor);
}

static void a_task_that_fails_is_a_result_like_any_other(void)
{
    struct executor *executor = pool->open(2);
    struct stream stream = {.count = 5};
    assert_true(executor_map(executor, refuse, next_number, receive, &stream, NULL));
    assert_int_equal(stream.received, 5);
    assert_int_equal(stream.last, RESULT_FAILED);
    executor_free(executor);
}

static void a_sink_that_has_enough_ends_it(void)
{
    struct executor *executor = pool->open(2);
    struct stream stream = {.count = 1000, .stop_at = 10};
    errno = 0;
    assert_false(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_int_equal(errno, ECANCELED);
    assert_int_equal(stream.received, 10);
    comes_to(submit(executor, echo, "it goes on"), RESULT_OK, "it goes on");
    executor_free(executor);
}

static void it_gives_up_in_time_and_cancels_what_has_not_begun(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 3};
    struct map_options options = {.seconds = 0.01};
    errno = 0;
    assert_false(executor_map(executor, hold, next_number, receive, &stream, &options));
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(stream.received, 0);
    release(1); /* or 0, if not even one has begun */
    comes_to(submit(executor, echo, ""), RESULT_OK, "");
    executor_free(executor);
}

static void results_are_handed_over_while_arguments_are_still_awaited(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 2};
    struct map_options options = {.window = 100};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, &options));
    assert_int_equal(stream.received, 2);
    executor_free(executor);
}

static void there_may_be_no_arguments(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 0};
    assert_true(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_int_equal(stream.received, 0);
    executor_free(executor);
}

static void wrong_arguments_are_errors(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 1};
    struct map_options never = {.seconds = -1};
    struct map_options huge = {.window = SIZE_MAX};
    assert_false(executor_map(NULL, echo, next_number, receive, &stream, NULL));
    assert_false(executor_map(executor, NULL, next_number, receive, &stream, NULL));
    assert_false(executor_map(executor, echo, NULL, receive, &stream, NULL));
    assert_false(executor_map(executor, echo, next_number, NULL, &stream, NULL));
    errno = 0;
    assert_false(executor_map(executor, echo, next_number, receive, &stream, &never));
    assert_int_equal(errno, EINVAL);
    assert_false(executor_map(executor, echo, next_number, receive, &stream, &huge));
    assert_int_equal(errno, ENOMEM);
    executor_shutdown(executor);
    assert_false(executor_map(executor, echo, next_number, receive, &stream, NULL));
    assert_int_equal(errno, ESHUTDOWN);
    executor_free(executor);
}

static void the_time_holds_while_it_waits_for_room(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .queue_capacity = 1});
    struct stream stream = {.count = 10};
    struct map_options options = {.seconds = 0.05};
    errno = 0;
    assert_false(executor_map(executor, hold, next_number, receive, &stream, &options));
    assert_int_equal(errno, ETIMEDOUT);
    release(3); /* as many as may have begun, or will */
    executor_free(executor);
}

/* Each argument takes its time. */
static const char *next_slowly(void *context)
{
    struct stream *stream = context;
    double until = monotonic_seconds() + 0.01;
    while (monotonic_seconds() < until)
        continue;
    return next_number(stream);
}

static bool receive_late(void *context, const char *argument, const struct result *result)
{
    double begun = monotonic_seconds();
    while (monotonic_seconds() < begun + 0.02)
        sched_yield();
    return receive(context, argument, result);
}

static void the_time_holds_while_the_sink_is_slow(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 10000};
    struct map_options options = {.window = 20000, .seconds = 0.1};
    assert_false(
        executor_map(executor, echo, next_number, receive_late, &stream, &options));
    assert_int_equal(errno, ETIMEDOUT);
    assert_in_range(stream.received, 0, 6);
    executor_free(executor);
}

static void the_time_holds_while_arguments_are_slow(void)
{
    struct executor *executor = pool->open(1);
    struct stream stream = {.count = 1000};
    struct map_options options = {.window = 2000, .seconds = 0.05};
    struct future *held = submit(executor, hold, ""); /* so none of the others is done */
    has_begun(1);
    errno = 0;
    assert_false(executor_map(executor, echo, next_slowly, receive, &stream, &options));
    assert_int_equal(errno, ETIMEDOUT);
    assert_in_range(stream.next, 1, 6);
    release(1);
    future_free(held);
    executor_free(executor);
}

static const struct test_case map_cases[] = {
    {ANY_POOL, NAMED(results_come_in_the_order_of_the_arguments)},
    {ANY_POOL, NAMED(no_more_are_there_at_once_than_the_window_holds)},
    {ANY_POOL, NAMED(a_long_stream_needs_no_more_memory_than_a_short_one)},
    {ANY_POOL, NAMED(a_window_of_one_takes_turns)},
    {ANY_POOL, NAMED(a_task_that_fails_is_a_result_like_any_other)},
    {ANY_POOL, NAMED(a_sink_that_has_enough_ends_it)},
    {ANY_POOL, NAMED(it_gives_up_in_time_and_cancels_what_has_not_begun)},
    {ANY_POOL, NAMED(results_are_handed_over_while_arguments_are_still_awaited)},
    {ANY_POOL, NAMED(there_may_be_no_arguments)},
    {ANY_POOL, NAMED(wrong_arguments_are_errors)},
    {ANY_POOL, NAMED(the_time_holds_while_it_waits_for_room)},
    {ANY_POOL, NAMED(the_time_holds_while_arguments_are_slow)},
    {ANY_POOL, NAMED(the_time_holds_while_the_sink_is_slow)},
};

GROUP(map);
