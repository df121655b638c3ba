/*
 * Lesson 4: a process pool. The workers share nothing: a URL goes to a worker, and its
 * title comes back, as bytes through a socket pair.
 *
 *     make
 *     build/04-process-pool --workers 4 http://example.org/ http://example.com/
 */
#include "arguments.h"
#include "channel.h"
#include "die.h"
#include "http.h"
#include "memory.h"
#include "processes.h"
#include "report.h"
#include "title.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A page, and what became of it. */
struct page {
    const char *url;
    struct result title;
};

struct worker {
    size_t number;
    pid_t pid;
    int socket;        /* our end of the pair */
    struct page *page; /* that it fetches; NULL: it is idle */
};

struct pool {
    struct worker *workers;
    struct pollfd *polls; /* their sockets, for poll() */
    size_t worker_count;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* A result goes member by member: the pointer in it means nothing at the other end. */
static bool send_title(int socket, const struct result *title)
{
    return send_all(socket, &title->status, sizeof(title->status)) &&
           send_all(socket, &title->span, sizeof(title->span)) &&
           send_text(socket, title->text);
}

/* What each process runs: page after page, until the parent closes its end. */
_Noreturn static void work(size_t number, int socket)
{
    char *url;
    worker_set_name("process", number);
    while ((url = receive_text(socket)) != NULL) {
        struct page page = {.url = url};
        fetch(&page);
        if (!send_title(socket, &page.title))
            break; /* there is no parent any more */
        result_free(&page.title);
        free(url);
    }
    http_close();
    close(socket);
    _exit(EXIT_SUCCESS);
}

/* Starts a worker's process. Returns 0, or an error number, as pthread_create() does. */
static int start(struct pool *pool, struct worker *worker)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return errno;
    worker->pid = fork();
    if (worker->pid == 0) {
        for (size_t i = 0; i < pool->worker_count; i++)
            close(pool->workers[i].socket); /* the parent's; inherited */
        close(ends[0]);
        work(worker->number, ends[1]);
    }
    int error = worker->pid < 0 ? errno : 0;
    close(ends[1]);
    if (error == 0)
        worker->socket = ends[0];
    else
        close(ends[0]);
    return error;
}

/* Reaps a worker that has died. This pool cannot do without it. */
static void reap(struct worker *worker)
{
    close(worker->socket);
    const char *end = process_end(process_wait(worker->pid));
    die("worker process-%zu %s", worker->number, end);
}

/* Receives a worker's title. When it dies, its end of the pair is closed. */
static void receive_title(struct worker *worker)
{
    struct result title;
    if (receive_all(worker->socket, &title.status, sizeof(title.status)) &&
        receive_all(worker->socket, &title.span, sizeof(title.span)) &&
        (title.text = receive_text(worker->socket)) != NULL) {
        worker->page->title = title;
        worker->page = NULL;
    } else {
        reap(worker);
    }
}

/* Waits until workers have sent something, and receives their titles. */
static void receive_titles(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        pool->polls[i] = (struct pollfd){.fd = pool->workers[i].socket, .events = POLLIN};
    if (poll(pool->polls, pool->worker_count, -1) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    for (size_t i = 0; i < pool->worker_count; i++) {
        if (pool->polls[i].revents != 0)
            receive_title(&pool->workers[i]);
    }
}

/* Starts the workers, or as many of them as the system allows. */
static void pool_open(struct pool *pool, size_t worker_count)
{
    *pool = (struct pool){
        .workers = allocate(worker_count, sizeof(*pool->workers)),
        .polls = allocate(worker_count, sizeof(*pool->polls)),
    };
    int error = 0;
    while (pool->worker_count < worker_count && error == 0) {
        struct worker *worker = &pool->workers[pool->worker_count];
        worker->number = pool->worker_count + 1;
        error = start(pool, worker);
        if (error == 0)
            pool->worker_count++;
    }
    require_workers(pool->worker_count, worker_count, strerror(error));
}

static struct worker *idle_worker(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->page == NULL)
            return worker;
    }
    return NULL;
}

/* Sends a page to an idle worker; waits while there is none. */
static void pool_submit(struct pool *pool, struct page *page)
{
    struct worker *worker;
    while ((worker = idle_worker(pool)) == NULL)
        receive_titles(pool);
    worker->page = page;
    if (!send_text(worker->socket, page->url))
        reap(worker);
}

/* Receives the titles that are missing, and ends the workers. */
static void pool_close(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->page != NULL)
            receive_title(worker);
        close(worker->socket);
        process_wait(worker->pid);
    }
    free(pool->workers);
    free(pool->polls);
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
