/* What each worker runs before its first task. */
#include "cases.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* Each thread, and so each process, has its own. */
static _Thread_local char prepared[20];

static struct result prepare(const char *argument)
{
    snprintf(prepared, sizeof(prepared), "%s", argument);
    return (struct result){.status = RESULT_OK};
}
TASK(prepare);

static struct result tell_prepared(const char *argument)
{
    say_begun();
    (void)argument;
    return result_ok(strdup(prepared));
}
TASK(tell_prepared);

static void runs_in_each_worker_before_its_first_task(void)
{
    char argument[] = "ready";
    struct executor *executor = pool->open_with(&(struct executor_options){
        .workers = 3, .initializer = prepare, .initializer_argument = argument});
    strcpy(argument, "later"); /* it has been copied */
    struct future *futures[30];
    for (size_t i = 0; i < 30; i++)
        futures[i] = submit(executor, tell_prepared, "");
    for (size_t i = 0; i < 30; i++)
        comes_to(futures[i], RESULT_OK, "ready");
    executor_free(executor);
}

static void may_do_without_an_argument(void)
{
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .initializer = prepare});
    comes_to(submit(executor, tell_prepared, ""), RESULT_OK, "");
    executor_free(executor);
}

static void one_that_fails_breaks_the_pool(void)
{
    char expected[100];
    snprintf(expected, sizeof(expected),
             "the initializer of worker %s-1 failed: no licence", pool->worker);
    struct executor *executor = pool->open_with(&(struct executor_options){
        .workers = 1, .initializer = refuse, .initializer_argument = "no licence"});
    struct future *futures[10];
    for (size_t i = 0; i < 10; i++)
        futures[i] = submit(executor, tell, "");
    for (size_t i = 0; i < 10; i++)
        comes_to(futures[i], RESULT_BROKEN, expected);
    comes_to(submit(executor, tell, ""), RESULT_BROKEN, expected);
    assert_false(has_any_begun());
    executor_free(executor);
}

static struct result fail_without_a_word(const char *argument)
{
    (void)argument;
    return (struct result){.status = RESULT_FAILED};
}
TASK(fail_without_a_word);

static void one_that_fails_without_a_word_breaks_it_too(void)
{
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 2, .initializer = fail_without_a_word});
    struct future *future = submit(executor, tell, "");
    assert_int_equal(future_result(future)->status, RESULT_BROKEN);
    assert_non_null(strstr(future_result(future)->text, " failed: no reason given"));
    future_free(future);
    executor_free(executor);
}

static void one_that_crashes_costs_each_task_and_hangs_none(void)
{
    const char *expected = "the initializer of worker process-1 failed: "
                           "worker process-1 was killed by signal 6 (SIGABRT)";
    struct executor *executor =
        pool->open_with(&(struct executor_options){.workers = 1, .initializer = crash});
    struct future *first = submit(executor, tell, "");
    struct future *second = submit(executor, tell, "");
    comes_to(first, RESULT_BROKEN, expected);
    comes_to(second, RESULT_BROKEN, expected);
    assert_false(has_any_begun());
    executor_free(executor);
}

static struct result kill_self(const char *argument)
{
    (void)argument;
    raise(SIGKILL);
    return result_ok(strdup("not reached"));
}
TASK(kill_self);

static void runs_in_a_worker_that_takes_the_place_of_another(void)
{
    struct executor *executor = pool->open_with(&(struct executor_options){
        .workers = 1, .initializer = prepare, .initializer_argument = "ready"});
    comes_to(submit(executor, kill_self, ""), RESULT_BROKEN,
             "worker process-1 was killed by signal 9 (SIGKILL)");
    comes_to(submit(executor, tell_prepared, ""), RESULT_OK, "ready");
    executor_free(executor);
}

static const struct test_case initializer_cases[] = {
    {ANY_POOL, NAMED(runs_in_each_worker_before_its_first_task)},
    {ANY_POOL, NAMED(may_do_without_an_argument)},
    {ANY_POOL, NAMED(one_that_fails_breaks_the_pool)},
    {ANY_POOL, NAMED(one_that_fails_without_a_word_breaks_it_too)},
    {IN_PROCESSES, NAMED(one_that_crashes_costs_each_task_and_hangs_none)},
    {IN_PROCESSES, NAMED(runs_in_a_worker_that_takes_the_place_of_another)},
};

GROUP(initializer);
