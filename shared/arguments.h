/*
 * The command line that all lessons have.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

enum pool_kind {
    WITHOUT_POOL, /* --workers is understood, and the help says that it does nothing */
    WITH_POOL,
    WITH_DEADLINE, /* a pool too; only here there is --deadline */
    WITH_LOOP,     /* --workers is how many transfers are under way at once */
};

struct arguments {
    char **urls; /* in the order given; never NULL */
    size_t url_count;
    size_t workers;           /* 1 or more */
    double timeout;           /* for one page, in seconds, more than 0 */
    double deadline;          /* for all pages, like timeout; INFINITY: there is none */
    const char *certificates; /* a file's name, in argv; or NULL */
    bool quiet;
    bool timeline;       /* draw one at the end */
    const char *trace;   /* the name of the file to write one to, in argv; or NULL */
    const char *program; /* its own name, in argv */
};

/*
 * Reads the command line, and the files of URLs that it names. With neither a URL nor a
 * file the URLs are the five sites of the course. Free the result with
 * arguments_free().
 *
 * Wrong usage, and a file that cannot be read, print one line and exit with status 2;
 * --help prints the help and exits with status 0. Without memory for the URLs it exits
 * with status 1.
 */
struct arguments arguments_read(int argc, char *argv[], enum pool_kind pool);

void arguments_free(struct arguments *arguments);

#endif
