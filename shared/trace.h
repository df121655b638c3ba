/*
 * Who did what when, for https://ui.perfetto.dev and chrome://tracing to show.
 */
#ifndef TRACE_H
#define TRACE_H

#include "timeline.h"

/*
 * Writes the sorted visits as Chrome trace events ("Trace Event Format", its JSON Array
 * Format): a complete event (X) for each page, within it one for each phase that its
 * marks (http.h) tell apart, and the names of processes and workers (M). Times are in
 * microseconds from `start` (on the clock of monotonic.h). One event a line.
 *
 * The arguments of a page: its number, its worker; how long it waited for the first byte
 * of the answer, in microseconds, if that came; the error, if there was one.
 */
void trace_write(FILE *file, const struct visit visits[], size_t count, double start,
                 const char *program);

#endif
