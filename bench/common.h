/*
 * What the C programs of the benchmark share.
 *
 * Each prints one number on standard output, and nothing else. What goes wrong ends it
 * with a line on standard error and status 1: a wrong figure is worse than none.
 */
#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>

/* The positive number that the command line has at this place; `otherwise` if it has
   none there. 0 for `otherwise`: it must have one. */
size_t number_at(int argc, char *argv[], int place, size_t otherwise);

/* The bytes of this process that are in memory now. */
size_t resident_bytes(void);

/* Memory of `bytes` bytes, each of them touched, so that it is resident already. */
void *resident_memory(size_t bytes);

void print_number(double number);

/* The median of these numbers, which it sorts. */
double median(double numbers[], size_t count);

/* Prints the message, made as printf makes it, and ends the program with status 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- A gate, for tasks that have to stay pending while they are measured ---- */

/* Waits in a task until the gate is opened. */
void gate_wait(void);

/* Waits until `count` tasks wait at the gate. */
void gate_wait_for(size_t count);

void gate_open(void);

#endif
