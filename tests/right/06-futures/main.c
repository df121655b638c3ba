/* Lesson 6, where each task also says in an array that it has begun. Its future orders
   what the task has written before with what is read after its result. */
#include "arguments.h"
#include "die.h"
#include "executor.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "title.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char **all_urls;
static bool *has_begun;

static void tell(const char *url)
{
    size_t i = 0;
    while (strcmp(all_urls[i], url) != 0)
        i++;
    has_begun[i] = true;
}

static struct result fetch(const char *url)
{
    tell(url);
    report_begin(url);
    return get_title(url);
}

static void fetch_all(char *urls[], size_t count, size_t worker_count)
{
    struct future **futures = allocate(count, sizeof(*futures));
    struct executor *executor = thread_pool_executor(worker_count);
    require_workers(executor_workers(executor), worker_count, strerror(errno));
    all_urls = urls;
    has_begun = allocate(count, sizeof(*has_begun));
    for (size_t i = 0; i < count; i++)
        futures[i] = executor_submit(executor, fetch, urls[i]);

    for (size_t i = 0; i < count; i++) {
        report_page(urls[i], future_result(futures[i]));
        if (!has_begun[i])
            die("%s has a title, and was not fetched", urls[i]);
        future_free(futures[i]);
    }
    executor_free(executor);
    free(has_begun);
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
