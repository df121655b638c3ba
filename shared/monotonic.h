/*
 * The clock for deadlines and durations: it never jumps, and it is the same in all
 * threads and processes of a machine.
 */
#ifndef MONOTONIC_H
#define MONOTONIC_H

/* CLOCK_MONOTONIC in seconds. It cannot fail: the clock is always there
 * (clock_gettime(2)). */
double monotonic_seconds(void);

#endif
