/*
 * Lessons 8, 10 and 11: as completed. Each title is printed when it arrives.
 *
 *     make && build/08-as-completed --deadline 2 http://example.org/
 *     make && build/10-executor-events --deadline 2 http://example.org/
 */
#include "arguments.h"
#include "executor.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "title.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PoolExecutor(workers) cluster_executor(workers, fetch)

static struct result fetch(const char *url)
{
    report_begin(url);
    return get_title(url);
}

/* Ends the workers, and prints what is left: as failed, unless it has just arrived. */
static void give_up(struct executor *executor, struct as_completed *left, double deadline)
{
    struct result late = result_failed("not fetched within %g s", deadline);
    executor_kill_workers(executor);
    executor_shutdown_now(executor); /* now each future is done */
    for (struct future *future; (future = as_completed_next(left)) != NULL;) {
        const struct result *result = future_result(future);
        bool has_come = result->status == RESULT_OK || result->status == RESULT_FAILED;
        late.span = result->span;
        report_page(future_argument(future), has_come ? result : &late);
    }
    result_free(&late);
}

/* Fetches the pages with a pool, and prints each when it arrives. */
static void fetch_all(char *urls[], size_t count, size_t worker_count, double deadline)
{
    struct future **futures = allocate(count, sizeof(*futures));
    struct executor *executor = PoolExecutor(worker_count);
    require_workers(executor_workers(executor), worker_count, strerror(errno));
    for (size_t i = 0; i < count; i++)
        futures[i] = require_memory(executor_submit(executor, fetch, urls[i]));

    struct as_completed *completed =
        require_memory(as_completed_open(futures, count, deadline));
    for (struct future *future; (future = as_completed_next(completed)) != NULL;)
        report_page(future_argument(future), future_result(future));
    if (errno == ETIMEDOUT)
        give_up(executor, completed, deadline);
    as_completed_free(completed);

    for (size_t i = 0; i < count; i++)
        future_free(futures[i]);
    executor_free(executor);
    free(futures);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_DEADLINE);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);

    fetch_all(arguments.urls, arguments.url_count, arguments.workers, arguments.deadline);

    http_close();
    arguments_free(&arguments);
    return report_close();
}
