/*
 * A floor for fetching pages: what has to be done, and nothing else. One thread, a socket
 * for each of the workers, one poll(2) for all; a page is asked for, and read up to its
 * title. It knows no other site than ours, whose titles come first.
 *
 *     bare WORKERS FILE    the titles of the pages in a file of URLs
 */
#include "../common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST_URL = 200, MOST_TEXT = 16 * 1024 };

struct worker {
    char url[LONGEST_URL];
    char text[MOST_TEXT + 1]; /* what has come of the page */
    size_t length;
};

/* Reads the next URL; returns false if there is none. */
static bool next_url(FILE *file, char url[LONGEST_URL])
{
    if (fgets(url, LONGEST_URL, file) == NULL)
        return false;
    url[strcspn(url, "\n")] = '\0';
    return true;
}

/* Connects, asks for the page, and returns the socket. */
static int ask(const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    unsigned short port;
    char path[LONGEST_URL];
    char request[2 * LONGEST_URL];
    if (sscanf(url, "http://127.0.0.1:%hu%199s", &port, path) != 2)
        fail("not a page of the local site: %s", url);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = snprintf(request, sizeof(request),
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);

    int page = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (page < 0 || connect(page, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        write(page, request, (size_t)length) != length)
        fail("cannot ask for %s: %s", url, strerror(errno));
    return page;
}

/* Reads what has come of the page. When the title is there, prints it and returns
   true. */
static bool read_title(struct worker *worker, int page)
{
    char *text = worker->text;
    ssize_t length = read(page, text + worker->length, MOST_TEXT - worker->length);
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

/* Gives the worker its next page; one without a page has a socket of -1. */
static bool begin(struct worker *worker, struct pollfd *page, FILE *file)
{
    bool has_page = next_url(file, worker->url);
    worker->length = 0;
    *page = (struct pollfd){.fd = has_page ? ask(worker->url) : -1, .events = POLLIN};
    return has_page;
}

static void fetch_all(FILE *file, struct worker workers[], struct pollfd pages[],
                      size_t count)
{
    size_t busy = 0;
    for (size_t i = 0; i < count; i++)
        busy += begin(&workers[i], &pages[i], file);
    while (busy > 0) {
        if (poll(pages, count, -1) < 0)
            fail("poll: %s", strerror(errno));
        for (size_t i = 0; i < count; i++)
            if (pages[i].revents != 0 && read_title(&workers[i], pages[i].fd)) {
                close(pages[i].fd);
                busy -= !begin(&workers[i], &pages[i], file);
            }
    }
}

int main(int argc, char *argv[])
{
    size_t count = number_at(argc, argv, 1, 0);
    const char *name = argc > 2 ? argv[2] : "";
    FILE *file = fopen(name, "re");
    if (file == NULL)
        fail("cannot read '%s': %s", name, strerror(errno));
    struct worker *workers = resident_memory(count * sizeof(struct worker));
    struct pollfd *pages = resident_memory(count * sizeof(struct pollfd));

    fetch_all(file, workers, pages, count);

    free(workers);
    free(pages);
    fclose(file);
}
