/*
 * Everything that the lessons print. Standard output is data, one line a page; standard
 * error is for people. Each line of at most 64 KiB goes out in one write, so that lines
 * of several threads, or of several processes, are never mixed. (A title may be longer;
 * but one thread alone prints titles.)
 *
 * report_begin() may be called from any thread or forked child, the others only from the
 * thread that opened the report. report_wrong_usage() and report_help() work also before
 * it is opened.
 */
#ifndef REPORT_H
#define REPORT_H

#include "arguments.h"
#include "result.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Opens the report on the pages of the command line. Unless it is quiet, it prints a line
 * when a page begins, and one at the end of all. On a terminal, with 20 pages or more, a
 * progress bar takes the place of the lines for pages that begin. If the arguments ask
 * for a trace that cannot be written, the program ends with status 2.
 *
 * From here on Ctrl-C ends the program with exit status 130. Descriptors 0, 1 and 2 are
 * open from here on, so that no socket takes the place of a standard output that was
 * closed. Call it before anything opens a descriptor.
 */
void report_open(const struct arguments *arguments);

/* Tells that the running worker (worker.h) begins with a page. Workers that are processes
   must have been forked after report_open(). */
void report_begin(const char *url);

/* Tells what came of a page: its title on standard output, or the error. Its span is what
   the timeline draws. Lines are printed in the order of the calls. If standard output
   cannot be written, nothing more can be told: the program ends, as by SIGPIPE if nobody
   reads it any more, else with status 1. */
void report_page(const char *url, const struct result *title);

/*
 * Each prints the line, unless quiet. Call report_wait() when the workers have been
 * started and before the program waits for the first title, and report_done() when all
 * titles are there. In between pages may begin, which the progress bar counts; nothing
 * else may be told. A program that prints titles as they come calls neither.
 */
void report_wait(const char *line);
void report_done(const char *line);

/* Requires at least one worker: with none, the program ends with status 1 and one line
   that gives the reason. If fewer were started than wanted, a line says how many, and
   why; if as many, nothing is said. */
void require_workers(size_t started, size_t wanted, const char *reason);

/* Tells the end, draws the timeline and writes the trace if the arguments ask for them.
   Returns the exit status: 0 if all is well, 1 if a page failed or the trace cannot be
   written. */
int report_close(void);

/* Prints the message, made as printf makes it, as the wrong usage of the program of this
   name, with a word on where to find the right one, and exits with status 2. */
_Noreturn void report_wrong_usage(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the help on standard output and exits with status 0. */
_Noreturn void report_help(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
