/*
 * Lesson 3: a thread pool. A fixed number of threads share one queue of pages.
 *
 *     make
 *     build/03-thread-pool --workers 4 http://example.org/ http://example.com/
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

/* A page, and what became of it. */
struct page {
    const char *url;
    struct result title;
    struct page *next; /* in the queue, or NULL */
};

struct pool {
    pthread_mutex_t lock;     /* protects the queue and is_closed */
    pthread_cond_t not_empty; /* or closed */
    struct page *first;       /* of the queue; NULL: it is empty */
    struct page *last;
    bool is_closed; /* no page will be added any more */

    pthread_t *workers;
    size_t worker_count;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* Takes the first page out of the queue; waits while it is empty. Returns NULL when it is
   closed as well: there will be no more pages. */
static struct page *take(struct pool *pool)
{
    mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->is_closed)
        cond_wait(&pool->not_empty, &pool->lock);
    struct page *page = pool->first;
    if (page != NULL)
        pool->first = page->next;
    mutex_unlock(&pool->lock);
    return page;
}

/* What each thread runs: page after page, until there are no more. */
static void *work(void *argument)
{
    struct pool *pool = argument;
    struct page *page;
    worker_set_next_name("thread");
    while ((page = take(pool)) != NULL)
        fetch(page);
    return NULL;
}

/* Starts the workers, or as many of them as the system allows. */
static void pool_open(struct pool *pool, size_t worker_count)
{
    *pool = (struct pool){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .not_empty = PTHREAD_COND_INITIALIZER,
        .workers = allocate(worker_count, sizeof(*pool->workers)),
    };
    int error = 0;
    while (pool->worker_count < worker_count && error == 0) {
        pthread_t *worker = &pool->workers[pool->worker_count];
        error = pthread_create(worker, NULL, work, pool);
        if (error == 0)
            pool->worker_count++;
    }
    require_workers(pool->worker_count, worker_count, strerror(error));
}

/* Adds a page at the end of the queue. */
static void pool_submit(struct pool *pool, struct page *page)
{
    mutex_lock(&pool->lock);
    if (pool->first == NULL)
        pool->first = page;
    else
        pool->last->next = page;
    pool->last = page;
    cond_signal(&pool->not_empty);
    mutex_unlock(&pool->lock);
}

/* Tells the workers that there are no more pages, and waits until all are fetched. */
static void pool_close(struct pool *pool)
{
    mutex_lock(&pool->lock);
    pool->is_closed = true;
    cond_broadcast(&pool->not_empty);
    mutex_unlock(&pool->lock);

    for (size_t i = 0; i < pool->worker_count; i++)
        thread_join(pool->workers[i]);
    free(pool->workers);
}

/* Fetches the pages with a pool, and prints them in order when all are done. */
static void fetch_all(char *urls[], size_t count, size_t worker_count)
{
    struct pool pool;
    struct page *pages = allocate(count, sizeof(*pages));

    pool_open(&pool, worker_count);
    report_wait("Waiting for downloads...");
    for (size_t i = 0; i < count; i++) {
        pages[i].url = urls[i];
        pool_submit(&pool, &pages[i]);
    }
    pool_close(&pool);
    report_done("Done");

    for (size_t i = 0; i < count; i++) {
        report_page(pages[i].url, &pages[i].title);
        result_free(&pages[i].title);
    }
    free(pages);
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
