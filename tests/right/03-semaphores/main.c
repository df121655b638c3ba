/* Lesson 3 with semaphores: one counts the pages in the queue, another is its lock. */
#include "arguments.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "sync.h"
#include "title.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct page {
    const char *url;
    struct result title;
};

/* Page `taken` is the first in the queue, and the one before `added` the last. Where all
   pages are taken, what is counted besides means the end. */
static struct page *pages;
static size_t page_count, added, taken;
static sem_t waiting;
static sem_t lock;

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        must(errno == EINTR ? 0 : errno, "sem_wait");
}

static void post(sem_t *semaphore)
{
    must(sem_post(semaphore) == 0 ? 0 : errno, "sem_post");
}

static struct page *take(void)
{
    wait_for(&waiting);
    wait_for(&lock);
    struct page *page = taken < added ? &pages[taken++] : NULL;
    post(&lock);
    return page;
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

static void submit(const char *url)
{
    wait_for(&lock);
    pages[added++].url = url;
    post(&lock);
    post(&waiting);
}

static void fetch_all(char *urls[], size_t wanted)
{
    pthread_t *workers = allocate(wanted, sizeof(*workers));
    size_t started = 0;
    int error = 0;
    must(sem_init(&waiting, 0, 0) == 0 && sem_init(&lock, 0, 1) == 0 ? 0 : errno,
         "sem_init");
    while (started < wanted && error == 0) {
        error = pthread_create(&workers[started], NULL, work, NULL);
        started += error == 0;
    }
    require_workers(started, wanted, strerror(error));
    for (size_t i = 0; i < page_count; i++)
        submit(urls[i]);
    for (size_t i = 0; i < started; i++)
        post(&waiting);
    for (size_t i = 0; i < started; i++)
        thread_join(workers[i]);
    free(workers);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);
    page_count = arguments.url_count;
    pages = allocate(page_count, sizeof(*pages));

    fetch_all(arguments.urls, arguments.workers);
    for (size_t i = 0; i < page_count; i++) {
        report_page(pages[i].url, &pages[i].title);
        result_free(&pages[i].title);
    }

    free(pages);
    http_close();
    arguments_free(&arguments);
    return report_close();
}
