/*
 * Lesson 3: a thread pool. A fixed number of threads share one queue of pages.
 *
 *     make
 *     build/03-thread-pool --workers 4 http://example.org/ http://example.com/
 */
#include "arguments.h"
#include "http.h"
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
    bool is_done; /* from then on, the title is there */
    struct result title;
};

/* How many pages may wait in the queue. */
enum { QUEUE_CAPACITY = 64 };

struct worker {
    size_t number;
    pthread_t thread;
    struct pool *pool;
};

struct pool {
    pthread_mutex_t lock; /* who holds it may touch what follows, and each is_done */
    pthread_cond_t has_page;
    pthread_cond_t has_room;
    pthread_cond_t has_title;
    struct page *queue[QUEUE_CAPACITY]; /* a ring: the first page, and those behind it */
    size_t first;
    size_t count;
    bool is_closed; /* no page will be added any more */

    struct worker *workers;
    size_t worker_count;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* Takes the next page out of the queue; waits while there is none. Returns NULL when
   there will be none any more. */
static struct page *take(struct pool *pool)
{
    struct page *page = NULL;
    mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->is_closed)
        cond_wait(&pool->has_page, &pool->lock);
    if (pool->count > 0) {
        page = pool->queue[pool->first];
        pool->first = (pool->first + 1) % QUEUE_CAPACITY;
        pool->count--;
        cond_signal(&pool->has_room);
    }
    mutex_unlock(&pool->lock);
    return page;
}

static void mark_done(struct pool *pool, struct page *page)
{
    mutex_lock(&pool->lock);
    page->is_done = true;
    cond_signal(&pool->has_title);
    mutex_unlock(&pool->lock);
}

/* What each thread runs: page after page, until there are no more. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    struct page *page;
    worker_set_name("thread", worker->number);
    while ((page = take(worker->pool)) != NULL) {
        fetch(page);
        mark_done(worker->pool, page);
    }
    return NULL;
}

/* Starts the workers, or as many of them as the system allows. */
static void pool_open(struct pool *pool, size_t worker_count)
{
    *pool = (struct pool){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .has_page = PTHREAD_COND_INITIALIZER,
        .has_room = PTHREAD_COND_INITIALIZER,
        .has_title = PTHREAD_COND_INITIALIZER,
        .workers = calloc(worker_count, sizeof(*pool->workers)),
    };
    if (pool->workers == NULL)
        report_fatal("out of memory for %zu workers", worker_count);

    int error = 0;
    while (pool->worker_count < worker_count && error == 0) {
        struct worker *worker = &pool->workers[pool->worker_count];
        *worker = (struct worker){.number = pool->worker_count + 1, .pool = pool};
        error = pthread_create(&worker->thread, NULL, work, worker);
        if (error == 0)
            pool->worker_count++;
    }
    if (error != 0)
        report_fewer_workers(pool->worker_count, worker_count, strerror(error));
}

/* Adds a page to the queue; waits while there is no room. */
static void pool_submit(struct pool *pool, struct page *page)
{
    mutex_lock(&pool->lock);
    while (pool->count == QUEUE_CAPACITY)
        cond_wait(&pool->has_room, &pool->lock);
    pool->queue[(pool->first + pool->count) % QUEUE_CAPACITY] = page;
    pool->count++;
    cond_signal(&pool->has_page);
    mutex_unlock(&pool->lock);
}

static bool pool_is_done(struct pool *pool, const struct page *page)
{
    mutex_lock(&pool->lock);
    bool is_done = page->is_done;
    mutex_unlock(&pool->lock);
    return is_done;
}

/* Waits until the page has its title. */
static void pool_collect(struct pool *pool, const struct page *page)
{
    mutex_lock(&pool->lock);
    while (!page->is_done)
        cond_wait(&pool->has_title, &pool->lock);
    mutex_unlock(&pool->lock);
}

/* Tells the workers that there are no more pages, and waits for them to end. */
static void pool_close(struct pool *pool)
{
    mutex_lock(&pool->lock);
    pool->is_closed = true;
    cond_broadcast(&pool->has_page);
    mutex_unlock(&pool->lock);

    for (size_t i = 0; i < pool->worker_count; i++)
        thread_join(pool->workers[i].thread);
    free(pool->workers);
}

static void print(struct page *page)
{
    report_page(page->url, &page->title);
    result_free(&page->title);
}

/* Has the pool fetch the pages, and prints each when those before it are printed. */
static void fetch_all(char *urls[], size_t count, size_t worker_count)
{
    struct pool pool;
    struct page *pages = calloc(count, sizeof(*pages));
    if (pages == NULL && count > 0)
        report_fatal("out of memory for %zu pages", count);

    size_t printed = 0;
    pool_open(&pool, worker_count);
    for (size_t i = 0; i < count; i++) {
        pages[i].url = urls[i];
        pool_submit(&pool, &pages[i]);
        while (printed <= i && pool_is_done(&pool, &pages[printed]))
            print(&pages[printed++]);
    }
    while (printed < count) {
        pool_collect(&pool, &pages[printed]);
        print(&pages[printed++]);
    }
    pool_close(&pool);
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
