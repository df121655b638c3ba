/*
 * A process whose only work is to fork others. It is forked when the pool is opened, and
 * has one thread for ever: so what it forks later, to replace a worker that has died,
 * finds no lock held by a thread that it does not have.
 *
 * It reaps those processes, and kills them when it is asked to or its own parent is gone.
 * They die with it. Nothing that a pool has open, here or in any other pool of this
 * program, stays open in a process that it forks.
 */
#ifndef EXECUTOR_HELPER_H
#define EXECUTOR_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct helper;

/* A worker's process, as the pool sees it. */
struct process {
    pid_t pid;  /* 0: there is none */
    int socket; /* to talk to it. When it dies, the other end is closed, whoever else may
                   have that open */
};

/* Forks the helper, for at most so many processes, each of which will run `work` with the
   context, its number, from 1, and its end of the socket. Returns NULL with errno set. */
struct helper *helper_open(size_t process_count,
                           void (*work)(void *context, size_t number, int socket),
                           void *context);

/* Kills what processes are left, ends the helper, and frees it. NULL is nothing to do. */
void helper_close(struct helper *helper);

/*
 * The process of this number, from 1; owned by the helper, changed by the two functions
 * below. One thread at a time may use a process.
 */
struct process *helper_process(struct helper *helper, size_t number);

/* Has the process of this number started. Returns false with errno set: as socketpair(2)
   and fork(2) do, ESHUTDOWN after helper_stop(), ECHILD if the helper itself has died. */
bool helper_start(struct helper *helper, size_t number);

/* Kills the process of this number if it still lives, waits for it, and closes its
   socket. Returns its wait status (wait(2)), or -1 if the helper itself has died. */
int helper_bury(struct helper *helper, size_t number);

/* A socket for poll(2): POLLHUP if the helper has died, and whatever else there is is
   none of the caller's business. */
int helper_control(const struct helper *helper);

/* Sends all processes the signal, and starts none any more. */
void helper_stop(struct helper *helper, int signal_number);

#endif
