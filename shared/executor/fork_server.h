/*
 * The fork server: a process whose only work is to fork worker processes, as Python's
 * multiprocessing has one. It is forked when the pool is opened and stays
 * single-threaded, so a worker that it forks later, to replace one that died, finds no
 * lock held by a thread that exists only in the parent.
 *
 *      parent (manager thread)            fork server            worker 3
 *
 *      START 3    ------ control ----->   fork  ------------->   |
 *                 <----- messages -----------------------------  STARTED
 *                 <----- messages -----------------------------  RESULT, RESULT...
 *                 <----- messages -----   waitpid  <----------   (dies)
 *                                         DIED
 *
 * All that the workers and the fork server have to tell comes through one socket, which
 * keeps message boundaries and the order: what a worker has sent stands before its DIED.
 * The workers are the fork server's children: it waits for them, and kills them when it
 * is told to or its parent has died. If the fork server dies, its workers get SIGKILL
 * (PR_SET_PDEATHSIG).
 */
#ifndef EXECUTOR_FORK_SERVER_H
#define EXECUTOR_FORK_SERVER_H

#include "result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LONGEST_PIECE = 32 * 1024 };

struct message {
    uint32_t mark; /* MESSAGE_MARK; else a task has written into its worker's socket */
    enum {
        STARTED,        /* the worker runs, as process `pid` */
        START_FAILED,   /* it does not; `status` is an errno of fork(2), or ESHUTDOWN */
        DIED,           /* it has ended with this wait status (waitpid(2)) */
        PREPARED,       /* its initializer has returned this result */
        NEEDS_ARGUMENT, /* of the task in the slot, from the offset on */
        RESULT,         /* of the task in the slot, or a piece of it */
        WAKE_UP,        /* from the parent itself */
    } what;
    size_t worker; /* its number */
    size_t slot;
    size_t length; /* of the whole text; NO_TEXT: it is NULL */
    size_t offset; /* of this piece of the text or argument */
    pid_t pid;
    int status;
    enum result_status result;
    int unused; /* so that there is no gap: all bytes are sent */
    struct span span;
};

struct packet {
    struct message message;
    char piece[LONGEST_PIECE]; /* of the text */
};

#define MESSAGE_MARK UINT32_C(0x6d657373)
#define NO_TEXT SIZE_MAX

/* Sends a message, and with it as many bytes of a piece. Returns false with errno as
   send_packet() (channel.h) leaves it. */
bool send_message(int socket, struct message message, const char *piece, size_t length,
                  bool waits);

struct fork_server;

/* What each worker's process runs: with the context, its number from 1, and the socket
   for its messages. When it returns, the process ends. */
typedef void worker_main(void *context, size_t number, int socket);

/*
 * Forks the fork server for workers with numbers up to `worker_count`. All output streams
 * are flushed first, or the workers would write a second time what they hold. A task that
 * calls exit(3) ends its worker without the parent's atexit(3) handlers.
 *
 * Returns NULL with errno as socketpair(2), fork(2) or malloc(3) left it.
 */
struct fork_server *fork_server_open(size_t worker_count, worker_main *work,
                                     void *context);

/* Kills the workers that are left, waits for the fork server to end, and frees it. NULL
   is nothing to do. */
void fork_server_close(struct fork_server *server);

/*
 * Asks for `count` workers, none of which runs, with numbers from `first` on: they are
 * started in this order until one cannot be. Asks to kill a worker, if it runs; asks to
 * send all workers the signal, and to start none any more. The answers are messages.
 * Returns false if the request has to be made again later (EAGAIN), or the fork server
 * has died.
 */
bool fork_server_start(struct fork_server *server, size_t first, size_t count);
bool fork_server_kill(struct fork_server *server, size_t number);
bool fork_server_stop(struct fork_server *server, int signal_number);

/* Waits until there is a message, for at most `milliseconds` (-1: for ever).
   Returns false if the fork server has died, and there is no message. */
bool fork_server_wait(struct fork_server *server, int milliseconds);

/* Receives the next message without waiting, and how much of a piece has come with it. It
   is valid until the next call. Returns NULL if there is no message now. */
const struct packet *fork_server_receive(struct fork_server *server,
                                         size_t *piece_length);

/* Has a thread that waits, or will wait next, return. Any thread may call it. */
void fork_server_wake(struct fork_server *server);

#endif
