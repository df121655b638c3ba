/*
 * A picture of who did what when: a row for each worker, a bar for each page, all on one
 * axis of time. But "main", which is alone, has a row for each page, as long as they are
 * few: a staircase.
 *
 *     thread-1  [1........=][4..................]
 *     thread-2  [2......][3.....x[5.............=]
 *               |0 s      |0.2      |0.4
 */
#ifndef TIMELINE_H
#define TIMELINE_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A page, and who fetched it when. */
struct visit {
    size_t number; /* the page's, from 1 */
    bool has_failed;
    char *place; /* HOST/PATH, tidy (text.h) */
    char *error; /* if it has failed; tidy too; or NULL */
    struct span span;
};

/* By worker, thread-2 before thread-10, and each one's by time. */
void timeline_sort(struct visit visits[], size_t count);

/* How to draw it. */
struct timeline {
    double start;   /* of the axis, on the clock of monotonic.h */
    double seconds; /* its length, more than 0 */
    size_t columns; /* how wide the picture may be */
    size_t most_rows;
    bool has_colour; /* with escape sequences for a terminal */
};

/*
 * Draws the sorted visits. Of rows that are too many it says how many are left out.
 * Without memory for one row, it draws nothing.
 *
 * A bar is [1....==]: the page's number, if there is room for it, dots while it waits for
 * the first byte of the answer, equals signs while it reads. An x at its end: it has
 * failed. A page that is too short for a bar is a |, and several in one place are a #.
 */
void timeline_draw(FILE *file, const struct timeline *timeline,
                   const struct visit visits[], size_t count);

#endif
