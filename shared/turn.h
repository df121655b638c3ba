/*
 * A turn: what one worker does at a time, and the others wait for, be they threads or
 * processes. So a thing that takes a lot of memory takes it once in all, however many
 * workers a program has.
 *
 * There is one turn for the program and all the processes that it forks. If a worker dies
 * that has it, the next one gets it.
 */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>

/* Waits for the turn, at most until the deadline (a time of CLOCK_MONOTONIC, in seconds).
   Returns whether it has come; then turn_end() must follow, in the same thread. */
bool turn_begin(double deadline);
void turn_end(void);

#endif
