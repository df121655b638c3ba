/*
 * The progress bar on standard error: [####......] 12 of 30 begun. It stands on the last
 * line of the terminal, and is drawn over and over, at most 20 times a second.
 *
 * Its state is in memory that forked workers share. progress_begin() may be called from
 * any thread or forked child, the others only from the thread that opened it. Without a
 * bar all of them do nothing.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

/* There is a bar from now on, for `page_count` pages, more than 0; unless there is no
   memory to share. */
void progress_open(size_t page_count);

/* Whether there is a bar. */
bool progress_is_open(void);

/* A page has begun. While the program waits for all pages, the bar counts this. */
void progress_begin(void);
void progress_wait(bool waits);

/* Shows how many pages are done, and how many of those have failed. */
void progress_show(size_t done, size_t failed);

/* Clears the bar's line, so that something else can be printed there. */
void progress_clear(void);

/* The same in a signal handler: what comes next begins on a line of its own. */
void progress_leave(void);

#endif
