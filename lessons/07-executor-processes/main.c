/*
 * Lessons 6 and 7: an executor. The pool is behind an interface: submit gives a future,
 * the future gives the result. What the workers are, threads or processes, is one line.
 *
 *     make
 *     build/06-executor-threads --workers 4 http://example.org/ http://example.com/
 *     build/07-executor-processes --workers 4 http://example.org/ http://example.com/
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

#define PoolExecutor process_pool_executor

static struct result fetch(const char *url)
{
    report_begin(url);
    return get_title(url);
}

/* Fetches the pages with a pool, and prints them when all are done. */
static void fetch_all(char *urls[], size_t count, size_t worker_count)
{
    struct future **futures = allocate(count, sizeof(*futures));
    struct executor *executor = PoolExecutor(worker_count);
    require_workers(executor_workers(executor), worker_count, strerror(errno));
    for (size_t i = 0; i < count; i++)
        futures[i] = executor_submit(executor, fetch, urls[i]);

    report_wait("Waiting for downloads...");
    executor_shutdown(executor);
    report_done("Done");

    for (size_t i = 0; i < count; i++) {
        report_page(urls[i], future_result(futures[i]));
        future_free(futures[i]);
    }
    executor_free(executor);
    free(futures);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);

    fetch_all(arguments.urls, arguments.url_count, arguments.workers);

    http_close();
    arguments_free(&arguments);
    return report_close();
}
