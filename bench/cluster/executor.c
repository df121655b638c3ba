/*
 * Our side: the cluster executor with a server and a worker host of its own, and 2
 * workers. The tasks return their argument of 20 bytes.
 *
 *     executor time COUNT    seconds for COUNT tasks: submit all, then read and free
 *                            each result
 *     executor map COUNT     bytes of memory that this process has had at the most when
 *                            COUNT tasks have gone through executor_map()
 *     executor one COUNT     seconds for one task there and back, the median of COUNT,
 *                            one after the other
 *     executor open COUNT    seconds until cluster_executor() returns, the median of
 *                            COUNT times
 */
#include "../common.h"

#include "executor.h"
#include "monotonic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WORKERS = 2, WARM_UP = 1000 };

static const char argument[] = "12345678901234567890";

static struct result return_argument(const char *text)
{
    return result_ok(strdup(text));
}

static struct executor *open_pool(void)
{
    unsetenv("NATS_URL"); /* a cluster of our own */
    struct executor *executor = cluster_executor(WORKERS, return_argument);
    if (executor == NULL)
        fail("cluster_executor: %s", strerror(errno));
    return executor;
}

static struct future *submit(struct executor *executor)
{
    struct future *future = executor_submit(executor, return_argument, argument);
    if (future == NULL)
        fail("a task could not be submitted: %s", strerror(errno));
    return future;
}

static void expect(const struct result *result)
{
    if (result->status != RESULT_OK || strcmp(result->text, argument) != 0)
        fail("a task returned '%s'", result->text);
}

static double seconds(struct executor *executor, size_t count)
{
    struct future **futures = resident_memory(count * sizeof(struct future *));
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++)
        futures[i] = submit(executor);
    for (size_t i = 0; i < count; i++) {
        expect(future_result(futures[i]));
        future_free(futures[i]);
    }
    double end = monotonic_seconds();
    free(futures);
    return end - begin;
}

/* ---- A stream of tasks ---- */

struct tasks {
    size_t left;
    size_t results;
};

static const char *next_argument(void *context)
{
    struct tasks *tasks = context;
    if (tasks->left == 0)
        return NULL;
    tasks->left--;
    return argument;
}

static bool take_result(void *context, const char *of, const struct result *result)
{
    struct tasks *tasks = context;
    (void)of;
    expect(result);
    tasks->results++;
    return true;
}

static double most_bytes(struct executor *executor, size_t count)
{
    struct tasks tasks = {.left = count};
    struct rusage usage;
    if (!executor_map(executor, return_argument, next_argument, take_result, &tasks,
                      NULL))
        fail("executor_map: %s", strerror(errno));
    if (tasks.results != count)
        fail("%zu results of %zu tasks", tasks.results, count);
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        fail("getrusage: %s", strerror(errno));
    return (double)usage.ru_maxrss * 1024; /* it is in KiB (getrusage(2)) */
}

/* ---- One at a time ---- */

static double there_and_back(struct executor *executor)
{
    double begin = monotonic_seconds();
    struct future *future = submit(executor);
    expect(future_result(future));
    double end = monotonic_seconds();
    future_free(future);
    return end - begin;
}

static double one(struct executor *executor, size_t count)
{
    double *times = resident_memory(count * sizeof(*times));
    for (size_t i = 0; i < count; i++)
        times[i] = there_and_back(executor);
    double time = median(times, count);
    free(times);
    return time;
}

static double opening(size_t count)
{
    double *times = resident_memory(count * sizeof(*times));
    for (size_t i = 0; i < count; i++) {
        double begin = monotonic_seconds();
        struct executor *executor = open_pool();
        times[i] = monotonic_seconds() - begin;
        executor_free(executor);
    }
    double time = median(times, count);
    free(times);
    return time;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    if (strcmp(what, "open") == 0) {
        print_number(opening(count));
        return 0;
    }
    struct executor *executor = open_pool();
    seconds(executor, count < WARM_UP ? count : WARM_UP);
    if (strcmp(what, "time") == 0)
        print_number(seconds(executor, count));
    else if (strcmp(what, "map") == 0)
        print_number(most_bytes(executor, count));
    else if (strcmp(what, "one") == 0)
        print_number(one(executor, count));
    else
        fail("usage: executor time|map|one|open COUNT");
    executor_free(executor);
}
