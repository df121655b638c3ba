/*
 * Lesson 4: a process pool. The workers share nothing: bytes go through a socket pair,
 * and a crash stays in its worker.
 *
 *     make
 *     build/04-process-pool --workers 4 http://example.org/ http://example.com/
 */
#include "arguments.h"
#include "http.h"
#include "report.h"
#include "title.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A page, and what became of it. */
struct page {
    const char *url;
    bool is_done; /* from then on, the title is there */
    struct result title;
};

/* What goes through a socket: this, and behind it the bytes of the text. Both ends are
   the same program, so the struct's own bytes will do; there is no gap between its
   members. */
struct header {
    size_t status; /* an enum result_status */
    size_t length;
    struct span span; /* who has fetched the page, and when */
};

struct worker {
    size_t number;
    pid_t pid;            /* 0: there is no process */
    int socket;           /* our end of the pair */
    struct page *page;    /* that it fetches, or NULL */
    struct header header; /* of its reply */
    char *text;           /* of its reply, once the header is there */
    size_t received;      /* bytes of both */
};

struct pool {
    struct worker *workers;
    struct pollfd *sockets; /* of each worker, for poll() */
    size_t worker_count;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* Sends all the bytes. Returns false if nobody is there to receive them. */
static bool send_all(int socket, const void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            bytes = (const char *)bytes + sent;
            length -= (size_t)sent;
        }
    }
    return true;
}

/* Receives so many bytes. Returns false if the other end is closed before. */
static bool receive_all(int socket, void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t received = recv(socket, bytes, length, 0);
        if (received == 0 || (received < 0 && errno != EINTR))
            return false;
        if (received > 0) {
            bytes = (char *)bytes + received;
            length -= (size_t)received;
        }
    }
    return true;
}

static bool send_text(int socket, struct header header, const char *text)
{
    header.length = text == NULL ? 0 : strlen(text);
    return send_all(socket, &header, sizeof(header)) &&
           send_all(socket, text, header.length);
}

static char *new_text(size_t length)
{
    char *text = calloc(length + 1, 1);
    if (text == NULL)
        report_fatal("out of memory for %zu bytes", length);
    return text;
}

/* What each process runs: page after page, until the parent closes its end. */
_Noreturn static void work(size_t number, int socket)
{
    struct header header;
    worker_set_name("process", number);
    while (receive_all(socket, &header, sizeof(header))) {
        char *url = new_text(header.length);
        if (!receive_all(socket, url, header.length))
            break;
        struct page page = {.url = url};
        fetch(&page);
        header = (struct header){.status = page.title.status, .span = page.title.span};
        if (!send_text(socket, header, page.title.text))
            break;
        result_free(&page.title);
        free(url);
    }
    http_close();
    close(socket);
    _exit(EXIT_SUCCESS);
}

/* In a new child: keeps nothing that is not its own, and does not outlive its parent. */
static void leave_parent(const struct pool *pool, pid_t parent)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].pid != 0)
            close(pool->workers[i].socket);
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the parent */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE); /* it has gone already */
}

/* Starts a worker's process. Returns false with errno set if the system gives none. */
static bool start(struct pool *pool, struct worker *worker)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return false;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        leave_parent(pool, parent);
        close(ends[0]);
        work(worker->number, ends[1]);
    }
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = error;
        return false;
    }
    worker->pid = pid;
    worker->socket = ends[0];
    return true;
}

static void finish(struct worker *worker, struct result title)
{
    worker->page->title = title;
    worker->page->is_done = true;
    worker->page = NULL;
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            report_fatal("waitpid: %s", strerror(errno));
    }
    return status;
}

/* How a process ended, in words. */
static struct result describe_end(const struct worker *worker, int status)
{
    if (!WIFSIGNALED(status))
        return result_failed("worker process-%zu exited with status %d", worker->number,
                             WEXITSTATUS(status));
    const char *name = sigabbrev_np(WTERMSIG(status)); /* real-time signals have none */
    return result_failed("worker process-%zu was killed by signal %d (SIG%s)",
                         worker->number, WTERMSIG(status), name == NULL ? "RT" : name);
}

/* A worker whose process has died costs the page that it had, and no other. */
static void bury(struct worker *worker)
{
    close(worker->socket);
    int status = wait_for(worker->pid);
    worker->pid = 0;
    free(worker->text);
    worker->text = NULL;
    if (worker->page != NULL)
        finish(worker, describe_end(worker, status));
}

/* Receives what has come of a reply, which may be a part of it. Returns false if the
   other end is closed: the process has died. */
static bool receive(struct worker *worker)
{
    const size_t header_size = sizeof(worker->header);
    char *next = (char *)&worker->header + worker->received;
    size_t missing = header_size - worker->received;
    if (worker->received >= header_size) {
        size_t received = worker->received - header_size;
        next = worker->text + received;
        missing = worker->header.length - received;
    }
    ssize_t received = recv(worker->socket, next, missing, 0);
    if (received <= 0)
        return received < 0 && errno == EINTR;

    worker->received += (size_t)received;
    if (worker->received == header_size)
        worker->text = new_text(worker->header.length);
    if (worker->text != NULL && worker->received == header_size + worker->header.length) {
        struct result title = {
            .status = worker->header.status,
            .text = worker->text,
            .span = worker->header.span,
        };
        finish(worker, title);
        worker->text = NULL;
    }
    return true;
}

/* Waits until a worker has something to say, at most so many milliseconds (-1: for ever),
   and listens. */
static void listen_to_workers(struct pool *pool, int milliseconds)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = &pool->workers[i];
        pool->sockets[i].fd = worker->pid == 0 ? -1 : worker->socket;
        pool->sockets[i].events = POLLIN;
    }
    int ready = poll(pool->sockets, pool->worker_count, milliseconds);
    if (ready < 0 && errno != EINTR)
        report_fatal("poll: %s", strerror(errno));
    for (size_t i = 0; i < pool->worker_count && ready > 0; i++) {
        if (pool->sockets[i].revents != 0 && !receive(&pool->workers[i]))
            bury(&pool->workers[i]);
    }
}

/* Starts the workers, or as many of them as the system allows. */
static void pool_open(struct pool *pool, size_t worker_count)
{
    *pool = (struct pool){
        .workers = calloc(worker_count, sizeof(*pool->workers)),
        .sockets = calloc(worker_count, sizeof(*pool->sockets)),
    };
    if (pool->workers == NULL || pool->sockets == NULL)
        report_fatal("out of memory for %zu workers", worker_count);

    bool is_started = true;
    while (pool->worker_count < worker_count && is_started) {
        struct worker *worker = &pool->workers[pool->worker_count];
        worker->number = pool->worker_count + 1;
        is_started = start(pool, worker);
        if (is_started)
            pool->worker_count++;
    }
    if (!is_started)
        report_fewer_workers(pool->worker_count, worker_count, strerror(errno));
}

/* A worker without a page; NULL if all have one. In the place of one that has died, a new
   one is started, if the system allows. */
static struct worker *idle_worker(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->page == NULL && (worker->pid != 0 || start(pool, worker)))
            return worker;
    }
    return NULL;
}

static bool is_busy(const struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].page != NULL)
            return true;
    }
    return false;
}

/* Hands a page to an idle worker; waits while there is none. */
static void pool_submit(struct pool *pool, struct page *page)
{
    struct worker *worker;
    listen_to_workers(pool, 0); /* one may have died in its sleep */
    while ((worker = idle_worker(pool)) == NULL && is_busy(pool))
        listen_to_workers(pool, -1);
    if (worker == NULL) {
        page->title = result_failed("no worker can be started: %s", strerror(errno));
        page->is_done = true;
        return;
    }
    worker->page = page;
    worker->received = 0;
    if (!send_text(worker->socket, (struct header){0}, page->url))
        bury(worker);
}

static bool pool_is_done(struct pool *pool, const struct page *page)
{
    (void)pool;
    return page->is_done;
}

/* Waits until the page has its title. */
static void pool_collect(struct pool *pool, const struct page *page)
{
    while (!page->is_done)
        listen_to_workers(pool, -1);
}

/* Tells the workers that there are no more pages, and waits for them to end. */
static void pool_close(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].pid != 0)
            close(pool->workers[i].socket);
    }
    for (size_t i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].pid != 0)
            wait_for(pool->workers[i].pid);
    }
    free(pool->workers);
    free(pool->sockets);
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
