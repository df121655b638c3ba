/* Lesson 3 with a pipe as the queue: pointers to pages go through it, and its end is the
   end of the pages. */
#include "arguments.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "sync.h"
#include "title.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page {
    const char *url;
    struct result title;
};

static int ends[2]; /* of the pipe: to read from, and to write to */

/* A pointer is written and read in one piece (pipe(7)). */
static struct page *take(void)
{
    struct page *page;
    ssize_t length;
    do
        length = read(ends[0], &page, sizeof(page));
    while (length < 0 && errno == EINTR);
    must(length < 0 ? errno : 0, "read");
    return length == 0 ? NULL : page;
}

static void *work(void *unused)
{
    struct page *page;
    worker_set_next_name("thread");
    while ((page = take()) != NULL) {
        report_begin(page->url);
        page->title = get_title(page->url);
    }
    return unused;
}

static void submit(struct page *page)
{
    ssize_t length;
    do
        length = write(ends[1], &page, sizeof(page));
    while (length < 0 && errno == EINTR);
    must(length < 0 ? errno : 0, "write");
}

static void fetch_all(struct page pages[], size_t count, size_t wanted)
{
    pthread_t *workers = allocate(wanted, sizeof(*workers));
    size_t started = 0;
    int error = 0;
    must(pipe(ends) == 0 ? 0 : errno, "pipe");
    while (started < wanted && error == 0) {
        error = pthread_create(&workers[started], NULL, work, NULL);
        started += error == 0;
    }
    require_workers(started, wanted, strerror(error));
    for (size_t i = 0; i < count; i++)
        submit(&pages[i]);
    close(ends[1]);
    for (size_t i = 0; i < started; i++)
        thread_join(workers[i]);
    close(ends[0]);
    free(workers);
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
