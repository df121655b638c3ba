/*
 * A library to be preloaded (LD_PRELOAD, ld.so(8)): name servers that answer late, or
 * never.
 *
 *     NAMES_ASKED=FILE   getaddrinfo(3) adds a line to FILE for each name below .silent,
 *                        and does not return
 *
 * A name below .slow is this machine's after half a second, and one below .quick at once.
 */
#include "next.h"

#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static bool is_below(const char *name, const char *domain)
{
    return name != NULL && strstr(name, domain) != NULL;
}

static void wait_for_ever(const char *name)
{
    const char *file = getenv("NAMES_ASKED");
    int descriptor =
        file == NULL ? -1 : open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    char line[300] = "";
    strncat(line, name, sizeof(line) - 2);
    strcat(line, "\n");
    if (descriptor < 0 || write(descriptor, line, strlen(line)) < 0)
        abort();
    for (;;)
        pause();
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **addresses)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&next = next_function("getaddrinfo");
    if (is_below(node, ".silent"))
        wait_for_ever(node);
    if (is_below(node, ".slow"))
        usleep(500 * 1000);
    if (is_below(node, ".slow") || is_below(node, ".quick"))
        node = "127.0.0.1";
    return next(node, service, hints, addresses);
}
