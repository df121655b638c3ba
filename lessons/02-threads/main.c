/*
 * Lesson 2: threads. One thread for each page: start them all, then wait for them all.
 *
 *     make
 *     build/02-threads http://example.org/ http://example.com/
 */
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

/* A page, the thread that fetches it, and what became of it. */
struct page {
    const char *url;
    pthread_t thread;
    bool has_thread;
    struct result title;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* What each thread runs. It touches its own page only: there is nothing to lock. */
static void *work(void *argument)
{
    struct page *page = argument;
    worker_set_next_name("thread");
    fetch(page);
    return NULL;
}

/* A page whose thread cannot be started has failed; the others have not. */
static void start(struct page *page)
{
    int error = pthread_create(&page->thread, NULL, work, page);
    page->has_thread = error == 0;
    if (error != 0)
        page->title = result_failed("cannot start a thread: %s", strerror(error));
}

static void finish(struct page *page)
{
    if (page->has_thread)
        thread_join(page->thread);
}

/* Starts a thread for each page, then waits for them and prints their titles in order. */
static void fetch_all(char *urls[], size_t count)
{
    struct page *pages = allocate(count, sizeof(*pages));

    for (size_t i = 0; i < count; i++) {
        pages[i].url = urls[i];
        start(&pages[i]);
    }
    for (size_t i = 0; i < count; i++) {
        finish(&pages[i]);
        report_page(pages[i].url, &pages[i].title);
        result_free(&pages[i].title);
    }
    free(pages);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITHOUT_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);

    fetch_all(arguments.urls, arguments.url_count);

    http_close();
    arguments_free(&arguments);
    return report_close();
}
