/* What a pool does with tasks. */
#include "cases.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void runs_a_task_with_its_argument(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, echo, "grüße"), RESULT_OK, "grüße");
    comes_to(submit(executor, refuse, "no"), RESULT_FAILED, "no");
    executor_free(executor);
}

static void copies_the_argument(void)
{
    struct executor *executor = pool->open(1);
    char argument[] = "first";
    struct future *held = submit(executor, hold, "");
    struct future *future = submit(executor, echo, argument);
    strcpy(argument, "later");
    release(1);
    comes_to(held, RESULT_OK, "");
    assert_string_equal(future_argument(future), "first");
    comes_to(future, RESULT_OK, "first");
    executor_free(executor);
}

static void takes_no_argument_for_an_empty_one(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, echo, NULL), RESULT_OK, "");
    executor_free(executor);
}

static struct result say_nothing(const char *argument)
{
    (void)argument;
    return (struct result){.status = RESULT_OK};
}
TASK(say_nothing);

static void a_task_that_returns_no_text_has_said_nothing(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, say_nothing, ""), RESULT_OK, "");
    executor_free(executor);
}

static void one_worker_runs_tasks_in_the_order_of_their_submission(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[100];
    futures[0] = submit(executor, hold, "");
    has_begun(1);
    for (size_t i = 1; i < 100; i++)
        futures[i] = submit(executor, echo, "");
    release(1);
    for (size_t i = 1; i < 100; i++)
        assert_true(future_result(futures[i])->span.start >=
                    future_result(futures[i - 1])->span.end);
    for (size_t i = 0; i < 100; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static void as_many_tasks_run_at_once_as_there_are_workers(void)
{
    struct executor *executor = pool->open(3);
    struct future *futures[6];
    for (size_t i = 0; i < 6; i++)
        futures[i] = submit(executor, hold, "");
    has_begun(3);
    assert_false(has_any_begun());
    release(1);
    has_begun(1);
    assert_false(has_any_begun());
    release(5);
    for (size_t i = 0; i < 6; i++)
        comes_to(futures[i], RESULT_OK, "");
    executor_free(executor);
}

static void as_many_workers_wake_as_there_are_tasks(void)
{
    struct executor *executor = pool->open(3);
    for (size_t i = 0; i < 200; i++) {
        struct future *futures[3];
        for (size_t j = 0; j < 3; j++)
            futures[j] = submit(executor, hold, "");
        has_begun(3);
        release(3);
        for (size_t j = 0; j < 3; j++)
            comes_to(futures[j], RESULT_OK, "");
    }
    executor_free(executor);
}

/* Whatever a worker that is busy may have taken in advance. */
static void no_task_waits_while_a_worker_is_free(void)
{
    enum { COUNT = 100 };
    struct executor *executor = pool->open(2);
    struct future *held[3], *futures[COUNT];
    for (size_t i = 0; i < 3; i++)
        held[i] = submit(executor, hold, "");
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "");
    has_begun(2);
    release(1); /* a worker comes to the third... */
    has_begun(1);
    release(1); /* ...and another to all the others, in their order */
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(future_result(futures[i])->status, RESULT_OK);
    for (size_t i = 1; i < COUNT; i++)
        assert_true(future_result(futures[i])->span.start >=
                    future_result(futures[i - 1])->span.end);
    for (size_t i = 0; i < COUNT; i++)
        future_free(futures[i]);
    release(1);
    for (size_t i = 0; i < 3; i++)
        comes_to(held[i], RESULT_OK, "");
    executor_free(executor);
}

static void says_who_ran_a_task_and_when(void)
{
    struct executor *executor = pool->open(2);
    struct future *first = submit(executor, hold, "");
    struct future *second = submit(executor, hold, "");
    has_begun(2);
    release(2);
    const struct span *one = &future_result(first)->span;
    const struct span *two = &future_result(second)->span;
    char expected[2][20];
    for (int i = 0; i < 2; i++)
        snprintf(expected[i], sizeof(expected[i]), "%s-%d", pool->worker, i + 1);
    bool is_in_order = strcmp(one->worker, expected[0]) == 0;
    assert_string_equal(one->worker, expected[is_in_order ? 0 : 1]);
    assert_string_equal(two->worker, expected[is_in_order ? 1 : 0]);
    assert_true(one->start < one->end && two->start < two->end);
    assert_true(one->start < two->end && two->start < one->end);
    assert_int_equal(one->pid == getpid(), (pool->kind & IN_PROCESSES) == 0);
    assert_int_equal(one->pid == two->pid, (pool->kind & IN_PROCESSES) == 0);
    future_free(first);
    future_free(second);
    executor_free(executor);
}

static void has_as_many_workers_as_suit_the_machine_if_not_told(void)
{
    struct executor *executor = pool->open(0);
    size_t most = pool->kind == THREADS_ONLY ? 32 : 4096;
    assert_in_range(executor_workers(executor), 1, most);
    comes_to(submit(executor, echo, "it works"), RESULT_OK, "it works");
    executor_free(executor);
    executor = pool->open(3);
    assert_int_equal(executor_workers(executor), 3);
    executor_free(executor);
    assert_int_equal(executor_workers(NULL), 0);
}

static void a_long_text_comes_whole(void)
{
    enum { LENGTH = 64 * 1024 * 1024 };
    struct executor *executor = pool->open(1);
    char *text = malloc(LENGTH + 1);
    assert_non_null(text);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (char)(1 + i % 255);
    text[LENGTH] = '\0';
    comes_to(submit(executor, echo, text), RESULT_OK, text);
    free(text);
    comes_to(submit(executor, echo, "short"), RESULT_OK, "short");
    executor_free(executor);
}

/* Lengths at which a text needs one piece more than before, as an argument or a result.
   */
static void texts_of_each_length_come_whole(void)
{
    static const size_t lengths[] = {199,   200,   201,   32767,  32768,
                                     32769, 65535, 65536, 131072, 300001};
    struct executor *executor = pool->open(1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char *text = malloc(lengths[i] + 1);
        assert_non_null(text);
        for (size_t j = 0; j < lengths[i]; j++)
            text[j] = (char)(1 + j % 251);
        text[lengths[i]] = '\0';
        comes_to(submit(executor, echo, text), RESULT_OK, text);
        free(text);
    }
    executor_free(executor);
}

static void many_tasks_lose_none(void)
{
    enum { COUNT = 20000 };
    struct executor *executor = pool->open(4);
    static struct future *futures[COUNT];
    char text[20];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "%zu", i);
        futures[i] = submit(executor, echo, text);
    }
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "%zu", i);
        comes_to(futures[i], RESULT_OK, text);
    }
    executor_free(executor);
}

static void wrong_arguments_are_errors(void)
{
    struct executor *executor = pool->open(1);
    errno = 0;
    assert_null(executor_submit(executor, NULL, ""));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(executor_submit(NULL, echo, ""));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(executor_try_submit(NULL, echo, ""));
    assert_int_equal(errno, EINVAL);
    executor_free(executor);
    errno = 0;
    assert_null(pool->open_with(NULL));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(pool->open_with(&(struct executor_options){.task_seconds = -1}));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(pool->open(SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
    executor_shutdown(NULL);
    executor_shutdown_now(NULL);
    executor_free(NULL);
}

/* What several threads do at once. */
static void *submit_many(void *context)
{
    struct executor *executor = context;
    for (size_t i = 0; i < 500; i++) {
        struct future *future = executor_submit(executor, echo, "x");
        if (future == NULL || strcmp(future_result(future)->text, "x") != 0)
            abort();
        future_free(future);
    }
    return NULL;
}

static void several_threads_may_submit_at_once(void)
{
    struct executor *executor = pool->open(2);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, executor), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    executor_free(executor);
}

static void two_pools_do_not_get_in_each_others_way(void)
{
    struct executor *first = pool->open(2);
    struct executor *second = pool->open(2);
    struct future *held = submit(first, hold, "");
    has_begun(1);
    comes_to(submit(second, echo, "second"), RESULT_OK, "second");
    executor_free(second);
    release(1);
    comes_to(held, RESULT_OK, "");
    comes_to(submit(first, echo, "first"), RESULT_OK, "first");
    executor_free(first);
}

/* A pending future, its place in the queue, and what malloc adds. */
static void a_pending_task_needs_at_most_160_bytes(void)
{
    enum { COUNT = 10000, OVERHEAD = 16 };
    static struct future *futures[COUNT];
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    has_begun(1);
    size_t before = mallinfo2().uordblks; /* 0 where malloc is another's */
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "");
    size_t after = mallinfo2().uordblks;
    assert_in_range((after - before) / COUNT, 0, 160);
    release(1);
    comes_to(held, RESULT_OK, "");
    for (size_t i = 0; i < COUNT; i++)
        future_free(futures[i]);
    executor_free(executor);
}

static const struct test_case submit_cases[] = {
    {ANY_POOL, NAMED(runs_a_task_with_its_argument)},
    {ANY_POOL, NAMED(copies_the_argument)},
    {ANY_POOL, NAMED(takes_no_argument_for_an_empty_one)},
    {ANY_POOL, NAMED(a_task_that_returns_no_text_has_said_nothing)},
    {ANY_POOL, NAMED(one_worker_runs_tasks_in_the_order_of_their_submission)},
    {ANY_POOL, NAMED(as_many_tasks_run_at_once_as_there_are_workers)},
    {ANY_POOL, NAMED(as_many_workers_wake_as_there_are_tasks)},
    {ANY_POOL, NAMED(no_task_waits_while_a_worker_is_free)},
    {ANY_POOL, NAMED(says_who_ran_a_task_and_when)},
    {ANY_POOL, NAMED(has_as_many_workers_as_suit_the_machine_if_not_told)},
    {NOT_A_CLUSTER, NAMED(a_long_text_comes_whole)},
    {ANY_POOL, NAMED(texts_of_each_length_come_whole)},
    {ANY_POOL, NAMED(many_tasks_lose_none)},
    {ANY_POOL, NAMED(wrong_arguments_are_errors)},
    {ANY_POOL, NAMED(several_threads_may_submit_at_once)},
    {NOT_A_CLUSTER, NAMED(two_pools_do_not_get_in_each_others_way)},
    {ANY_POOL, NAMED(a_pending_task_needs_at_most_160_bytes)},
};

GROUP(submit);
