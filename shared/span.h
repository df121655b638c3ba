/*
 * Which worker ran a task, and when: what the timeline draws.
 *
 * A span is a value, and goes through sockets as bytes; it has no gaps between its
 * members, so all of its bytes are set.
 */
#ifndef SPAN_H
#define SPAN_H

#include <sys/types.h>

/* How many moments a task may note of its own course. */
enum { SPAN_MARKS = 4 };

/* All zero if nobody ran it. */
struct span {
    pid_t pid;       /* the worker's process */
    char worker[36]; /* its name (worker.h), cut if it is longer */
    double start;    /* in seconds, on the clock of monotonic.h */
    double end;
    float marks[SPAN_MARKS]; /* in seconds from the start, 0: it did not come so far; the
                                task's own header says what each means */
};

/* A span of the running worker that starts now. */
struct span span_begin(void);

/* Ends it now. */
void span_end(struct span *span);

#endif
