/* Lesson 3 with whatever there is to wait with, each used rightly: once, a barrier, a
   read-write lock, a recursive mutex, a timed wait, sockets with poll(2), and sleep. */
#include "arguments.h"
#include "http.h"
#include "memory.h"
#include "monotonic.h"
#include "report.h"
#include "sync.h"
#include "title.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct page {
    const char *url;
    struct result title;
};

static struct page *pages;
static size_t page_count, next_page, fetched;
static int ends[2]; /* of a socket pair: a byte for each page that may be taken */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_barrier_t all_are_there;
static pthread_rwlock_t list =
    PTHREAD_RWLOCK_INITIALIZER;  /* protects pages and next_page */
static pthread_mutex_t counting; /* recursive; protects fetched */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_fetched = PTHREAD_COND_INITIALIZER;

static void prepare(void)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    must(pthread_mutex_init(&counting, &recursive), "pthread_mutex_init");
    pthread_mutexattr_destroy(&recursive);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ? errno : 0, "socketpair");
}

/* Waits for a byte, or the end. Another thread may have been faster with the byte. */
static bool may_take(void)
{
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    char byte;
    must(poll(&ready, 1, -1) < 0 ? errno : 0, "poll");
    return recv(ends[0], &byte, 1, 0) == 1;
}

static struct page *take(void)
{
    if (!may_take())
        return NULL;
    must(pthread_rwlock_wrlock(&list), "pthread_rwlock_wrlock");
    struct page *page = &pages[next_page++];
    must(pthread_rwlock_unlock(&list), "pthread_rwlock_unlock");
    return page;
}

static const char *url_of(const struct page *page)
{
    must(pthread_rwlock_rdlock(&list), "pthread_rwlock_rdlock");
    const char *url = page->url;
    must(pthread_rwlock_unlock(&list), "pthread_rwlock_unlock");
    return url;
}

static void count(void)
{
    mutex_lock(&counting);
    while (pthread_mutex_trylock(&lock) != 0)
        sched_yield();
    mutex_lock(&counting);
    fetched++;
    mutex_unlock(&counting);
    cond_signal(&is_fetched);
    mutex_unlock(&lock);
    mutex_unlock(&counting);
}

static void *work(void *unused)
{
    struct page *page;
    worker_set_next_name("thread");
    pthread_once(&once, prepare);
    pthread_barrier_wait(&all_are_there);
    while ((page = take()) != NULL) {
        report_begin(url_of(page));
        page->title = get_title(page->url);
        nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
        count();
    }
    return unused;
}

/* In time, or not: what the timed wait says does not matter here. */
static void wait_for_all(void)
{
    mutex_lock(&lock);
    while (fetched < page_count)
        cond_wait_until(&is_fetched, &lock, monotonic_seconds() + 0.01);
    mutex_unlock(&lock);
}

static void fetch_all(size_t wanted)
{
    pthread_t *workers = allocate(wanted, sizeof(*workers));
    must(pthread_barrier_init(&all_are_there, NULL, (unsigned)wanted + 1), "barrier");
    for (size_t i = 0; i < wanted; i++)
        must(pthread_create(&workers[i], NULL, work, NULL), "pthread_create");
    pthread_once(&once, prepare);
    pthread_barrier_wait(&all_are_there);
    for (size_t i = 0; i < page_count; i++)
        must(send(ends[1], "p", 1, 0) == 1 ? 0 : errno, "send");
    wait_for_all();
    close(ends[1]);
    for (size_t i = 0; i < wanted; i++)
        thread_join(workers[i]);
    close(ends[0]);
    free(workers);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);
    page_count = arguments.url_count;
    pages = allocate(page_count, sizeof(*pages));
    for (size_t i = 0; i < page_count; i++)
        pages[i].url = arguments.urls[i];

    fetch_all(arguments.workers);
    for (size_t i = 0; i < page_count; i++) {
        report_page(pages[i].url, &pages[i].title);
        result_free(&pages[i].title);
    }

    free(pages);
    http_close();
    arguments_free(&arguments);
    return report_close();
}
