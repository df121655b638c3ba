/*
 * Our side: the executor of lesson 6 and of those after it.
 *
 *     executor threads COUNT [WORKERS [ROUNDS]]    seconds for COUNT empty tasks
 *     executor processes COUNT [WORKERS [ROUNDS]]  the same with processes; the tasks
 *                                                  return their argument
 *     executor pending COUNT                       bytes for each of COUNT pending tasks
 *     executor suspended COUNT                     bytes for each of COUNT tasks of an
 *                                                  event loop, which wait for a future
 *
 * A round is: submit all, then read and free each result. The pool is open before the
 * clock starts. With ROUNDS, one more round comes first which is not counted: so the
 * workers have begun, and the memory has been there before.
 */
#include "executor.h"
#include "common.h"
#include "monotonic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char argument_of_20_bytes[] = "12345678901234567890";

static struct result do_nothing(const char *argument)
{
    (void)argument;
    return (struct result){.status = RESULT_OK};
}

static struct result return_argument(const char *argument)
{
    return result_ok(strdup(argument));
}

static struct result wait_at_gate(const char *argument)
{
    (void)argument;
    gate_wait();
    return (struct result){.status = RESULT_OK};
}

static struct future *submit(struct executor *executor, task_fn task,
                             const char *argument)
{
    struct future *future = executor_submit(executor, task, argument);
    if (future == NULL)
        fail("a task could not be submitted: %s", strerror(errno));
    return future;
}

/* Reads the result, which has to be this one, and frees the future. */
static void expect(struct future *future, const char *text)
{
    const struct result *result = future_result(future);
    if (result->status != RESULT_OK || strcmp(result->text, text) != 0)
        fail("a task returned '%s', and not '%s'", result->text, text);
    future_free(future);
}

static double run_round(struct executor *executor, task_fn task, const char *argument,
                        struct future *futures[], size_t count)
{
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++)
        futures[i] = submit(executor, task, argument);
    for (size_t i = 0; i < count; i++)
        expect(futures[i], argument);
    return monotonic_seconds() - begin;
}

static double seconds_a_round(struct executor *executor, task_fn task,
                              const char *argument, size_t count, size_t rounds,
                              bool warm_up)
{
    struct future **futures = resident_memory(count * sizeof(struct future *));
    double seconds = 0;
    if (warm_up)
        run_round(executor, task, argument, futures, count);
    for (size_t i = 0; i < rounds; i++)
        seconds += run_round(executor, task, argument, futures, count);
    free(futures);
    return seconds / (double)rounds;
}

/* The array of futures is the caller's: it is not counted. */
static double bytes_a_pending_task(struct executor *executor, size_t count)
{
    size_t workers = executor_workers(executor);
    struct future **futures = resident_memory(count * sizeof(struct future *));
    for (size_t i = 0; i < workers; i++)
        future_free(submit(executor, wait_at_gate, ""));
    gate_wait_for(workers);

    size_t before = resident_bytes();
    for (size_t i = 0; i < count; i++)
        futures[i] = submit(executor, do_nothing, "");
    size_t after = resident_bytes();

    gate_open();
    for (size_t i = 0; i < count; i++)
        expect(futures[i], "");
    free(futures);
    return (double)(after - before) / (double)count;
}

static struct future *at_gate;

static struct result wait_for_gate(const char *argument)
{
    (void)argument;
    future_result(at_gate);
    return (struct result){.status = RESULT_OK};
}

static double bytes_a_suspended_task(size_t count)
{
    struct executor *threads = thread_pool_executor(1);
    struct executor *loop = event_loop_executor(count + 1);
    struct future **futures = resident_memory(count * sizeof(struct future *));
    at_gate = submit(threads, wait_at_gate, "");
    gate_wait_for(1);
    expect(submit(loop, do_nothing, ""), ""); /* now the loop runs */

    size_t before = resident_bytes();
    for (size_t i = 0; i < count; i++)
        futures[i] = submit(loop, wait_for_gate, "");
    expect(submit(loop, do_nothing, ""), ""); /* now all of them wait */
    size_t after = resident_bytes();

    gate_open();
    for (size_t i = 0; i < count; i++)
        expect(futures[i], "");
    free(futures);
    future_free(at_gate);
    executor_free(loop);
    executor_free(threads);
    return (double)(after - before) / (double)count;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    size_t workers = number_at(argc, argv, 3, 2);
    size_t rounds = number_at(argc, argv, 4, 1);
    bool has_processes = strcmp(what, "processes") == 0;
    if (strcmp(what, "suspended") == 0) {
        print_number(bytes_a_suspended_task(count));
        return 0;
    }
    struct executor *executor =
        has_processes ? process_pool_executor(workers) : thread_pool_executor(workers);
    if (executor_workers(executor) < workers)
        fail("only %zu of %zu workers: %s", executor_workers(executor), workers,
             strerror(errno));

    if (has_processes)
        print_number(seconds_a_round(executor, return_argument, argument_of_20_bytes,
                                     count, rounds, argc > 4));
    else if (strcmp(what, "threads") == 0)
        print_number(seconds_a_round(executor, do_nothing, "", count, rounds, argc > 4));
    else if (strcmp(what, "pending") == 0)
        print_number(bytes_a_pending_task(executor, count));
    else
        fail("usage: executor threads|processes|pending|suspended COUNT "
             "[WORKERS [ROUNDS]]");
    executor_free(executor);
}
