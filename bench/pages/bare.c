/*
 * A floor for fetching pages: what has to be done, and nothing else. One thread, a socket
 * for each of the workers, one epoll(7) for all; a page is asked for, and read up to its
 * title. It knows no other site than ours, whose titles come first.
 *
 *     bare WORKERS FILE    the titles of the pages in a file of URLs
 */
#include "../common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST_URL = 200, MOST_TEXT = 4 * 1024, MOST_EVENTS = 256 };

struct worker {
    int socket;
    bool has_asked;
    size_t length;
    char url[LONGEST_URL];
    char text[MOST_TEXT + 1]; /* what has come of the page */
};

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("setrlimit: %s", strerror(errno));
}

/* Reads the next URL; returns false if there is none. */
static bool next_url(FILE *file, char url[LONGEST_URL])
{
    if (fgets(url, LONGEST_URL, file) == NULL)
        return false;
    url[strcspn(url, "\n")] = '\0';
    return true;
}

/* Begins to connect. Events are told once, when something changes: first that the socket
   is connected, then that something has come. */
static void start_connecting(struct worker *worker, int epoll)
{
    struct epoll_event events = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                 .data.ptr = worker};
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    unsigned short port;
    if (sscanf(worker->url, "http://%15[0-9.]:%hu/", host, &port) != 2 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("not a page of the local site: %s", worker->url);
    address.sin_port = htons(port);
    worker->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (worker->socket < 0 ||
        (connect(worker->socket, (struct sockaddr *)&address, sizeof(address)) < 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, worker->socket, &events) < 0)
        fail("cannot connect for %s: %s", worker->url, strerror(errno));
}

static void ask(struct worker *worker)
{
    char request[2 * LONGEST_URL];
    const char *path = strchr(worker->url + strlen("http://"), '/');
    int length = snprintf(request, sizeof(request),
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    if (write(worker->socket, request, (size_t)length) != length)
        fail("cannot ask for %s: %s", worker->url, strerror(errno));
    worker->has_asked = true;
}

/* Reads what has come of the page. When the title is there, prints it and returns
   true. */
static bool read_title(struct worker *worker)
{
    char *text = worker->text;
    ssize_t length =
        read(worker->socket, text + worker->length, MOST_TEXT - worker->length);
    if (length <= 0)
        fail("no title at the start of %s", worker->url);
    worker->length += (size_t)length;
    text[worker->length] = '\0';
    const char *title = strstr(text, "<title>");
    const char *end = title == NULL ? NULL : strstr(title, "</title>");
    if (end == NULL)
        return false;
    title += strlen("<title>");
    printf("%s\t%.*s\n", worker->url, (int)(end - title), title);
    return true;
}

/* Gives the worker its next page; returns false if there is none. */
static bool begin(struct worker *worker, int epoll, FILE *file)
{
    if (!next_url(file, worker->url))
        return false;
    worker->has_asked = false;
    worker->length = 0;
    start_connecting(worker, epoll);
    return true;
}

/* Goes on with the worker's page. Returns true when its title is printed. */
static bool go_on(struct worker *worker, unsigned events)
{
    if (!worker->has_asked)
        ask(worker);
    if ((events & ~(unsigned)EPOLLOUT) == 0 || !read_title(worker))
        return false;
    close(worker->socket); /* it leaves the epoll instance, too */
    return true;
}

static void fetch_all(FILE *file, struct worker workers[], size_t count)
{
    struct epoll_event events[MOST_EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1: %s", strerror(errno));
    size_t busy = 0;
    for (size_t i = 0; i < count; i++)
        busy += begin(&workers[i], epoll, file);
    while (busy > 0) {
        int ready = epoll_wait(epoll, events, MOST_EVENTS, -1);
        if (ready < 0)
            fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct worker *worker = events[i].data.ptr;
            if (go_on(worker, events[i].events))
                busy -= !begin(worker, epoll, file);
        }
    }
    close(epoll);
}

int main(int argc, char *argv[])
{
    size_t count = number_at(argc, argv, 1, 0);
    const char *name = argc > 2 ? argv[2] : "";
    FILE *file = fopen(name, "re");
    if (file == NULL)
        fail("cannot read '%s': %s", name, strerror(errno));
    raise_descriptor_limit();
    struct worker *workers = calloc(count, sizeof(struct worker));
    if (workers == NULL)
        fail("no memory for %zu workers", count);

    fetch_all(file, workers, count);

    free(workers);
    fclose(file);
}
