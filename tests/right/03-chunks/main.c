/* Threads that share nothing: of three, each has every third page. (In lesson 3, a slow
   page would hold up those behind it.) */
#include "arguments.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "sync.h"
#include "title.h"
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct page {
    const char *url;
    struct result title;
};

struct chunk {
    pthread_t thread;
    struct page *first;
    struct page *end;
    size_t step;
};

static void *work(void *argument)
{
    struct chunk *chunk = argument;
    worker_set_next_name("thread");
    for (struct page *page = chunk->first; page < chunk->end; page += chunk->step) {
        report_begin(page->url);
        page->title = get_title(page->url);
    }
    return NULL;
}

static void fetch_all(struct page pages[], size_t count, size_t workers)
{
    struct chunk *chunks = allocate(workers, sizeof(*chunks));
    for (size_t i = 0; i < workers; i++) {
        chunks[i] =
            (struct chunk){.first = pages + i, .end = pages + count, .step = workers};
        must(pthread_create(&chunks[i].thread, NULL, work, &chunks[i]), "pthread_create");
    }
    for (size_t i = 0; i < workers; i++)
        thread_join(chunks[i].thread);
    free(chunks);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);
    size_t count = arguments.url_count;
    struct page *pages = allocate(count, sizeof(*pages));
    for (size_t i = 0; i < count; i++)
        pages[i].url = arguments.urls[i];

    fetch_all(pages, count, arguments.workers);
    for (size_t i = 0; i < count; i++) {
        report_page(pages[i].url, &pages[i].title);
        result_free(&pages[i].title);
    }

    free(pages);
    http_close();
    arguments_free(&arguments);
    return report_close();
}
