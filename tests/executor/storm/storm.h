/*
 * What the files of the storm share. In a storm, clients use pools at random, while chaos
 * kills and stops their processes and lets allocations fail; every future has to end all
 * the same, and with a result that can be explained.
 */
#ifndef STORM_H
#define STORM_H

#include "executor.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Decisions (main.c): the same seed makes the same ones ---- */

struct dice {
    uint64_t state;
};

/* A number from 0 to sides - 1. */
uint32_t roll(struct dice *dice, uint32_t sides);

/* True once in `sides` times. */
bool one_in(struct dice *dice, uint32_t sides);

/* ---- What has happened, since the program began ---- */

struct tally {
    atomic_size_t pools, tasks, cancels, deaths, server_deaths, stops, broken,
        failed_allocations;
};

extern struct tally tally;

/* Ends the program because something is wrong, with a line made as printf makes it. */
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- A pool, for a round ---- */

struct storm_pool {
    struct executor *executor;
    struct executor_options options;
    bool has_processes;
    bool is_loop;        /* an event loop; if it is neither, it has threads */
    pid_t server;        /* its fork server */
    int server_handle;   /* a pidfd_open(2) of that; -1: there is none */
    bool loses_all;      /* its initializer fails now and then */
    atomic_bool is_shot; /* its fork server is killed, or its workers on purpose */
    atomic_size_t deaths;
    atomic_size_t broken; /* results that only a death explains */
};

/* ---- Tasks (tasks.c) ---- */

enum { LONGEST_TEXT = 400000 }; /* more than a socket holds */

/* Gets memory for the tasks' notes, which all workers share: before the first pool. */
void tasks_open(void);

/* Forgets the tasks of the round before. */
void tasks_begin_round(void);

/* Checks, when all workers have ended, that no task ran twice or though cancelled. */
void tasks_end_round(void);

/* What all tasks run; the argument says what to do. */
struct result task_run(const char *argument);

/* Makes up an argument for the pool, of at most LONGEST_TEXT bytes; without
   `may_be_long`, of less than 50. */
void task_choose(struct storm_pool *pool, struct dice *dice, bool may_be_long,
                 char *argument);

/* Checks that the result is one that the task with this argument may have. */
void task_check(struct storm_pool *pool, const char *argument,
                const struct result *result);

/* Initializers: one that works, and one that dies or fails now and then. */
struct result initialize_well(const char *argument);
struct result initialize_badly(const char *argument);

/* ---- Clients (clients.c) ---- */

enum { TICKETS = 24 };

struct client {
    struct storm_pool *pool;
    struct dice dice;
    size_t steps;
    struct future *tickets[TICKETS]; /* its futures */
    char argument[LONGEST_TEXT + 1];
};

/* The thread of a client: takes its steps, and then waits for what is left. */
void *client_run(void *client);

/* ---- Chaos (chaos.c) ---- */

struct chaos {
    struct storm_pool *pools;
    size_t pool_count;
    struct dice dice;
    atomic_bool is_over;
};

/* The thread of chaos, until it is over. Then it has all go on that it has stopped. */
void *chaos_run(void *chaos);

/* Lets an allocation of this process fail, the n-th from now; 0: none. */
void allocation_fails(uint32_t n);

#endif
