/*
 * For calls that fail only if the program is wrong, such as to join a thread twice. They
 * are checked all the same, in one word, so that the lesson's line stays the line you
 * see.
 */
#ifndef MUST_H
#define MUST_H

#include "report.h"

#include <string.h>

/* Ends the program with one line if the call returned an error number, as those of
   pthreads do. */
static inline void must(int error, const char *call)
{
    if (error != 0)
        report_fatal("%s: %s", call, strerror(error));
}

#endif
