/*
 * A library to be preloaded (LD_PRELOAD, ld.so(8)): name servers that do not answer.
 *
 *     NAMES_ASKED=FILE   getaddrinfo(3) adds a line to FILE for each name below .silent,
 *                        and does not return
 */
#include "next.h"

#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

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
    const char *end = node == NULL ? NULL : strstr(node, ".silent");
    *(void **)&next = next_function("getaddrinfo");
    if (end != NULL)
        wait_for_ever(node);
    return next(node, service, hints, addresses);
}
