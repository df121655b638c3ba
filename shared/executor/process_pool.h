/*
 * What the files of a process pool share: process_pool.c dispatches tasks and has the
 * manager's loop, worker_handle.c is what the manager does for a worker, and
 * process_worker.c is what runs in the worker's process.
 */
#ifndef EXECUTOR_PROCESS_POOL_H
#define EXECUTOR_PROCESS_POOL_H

#include "fork_server.h"
#include "internal.h"
#include "task_ring.h"

/*
 * A worker, as the manager sees it.
 *
 *               start               STARTED               PREPARED
 *      DOWN -----------> STARTING -----------> PREPARING -----------> UP
 *       ^                   |                      |                  |
 *       |   START_FAILED    |                      |       kill       |
 *       +-------------------+                      +----> KILLED <----+
 *       |                                          |        |         |
 *       +------------------- DIED -----------------+--------+---------+
 */
struct worker_handle {
    enum { DOWN, STARTING, PREPARING, UP, KILLED } state;
    size_t number;
    char name[40];
    pid_t pid;
    int error;        /* DOWN: why it could not be started; 0: it was not tried */
    bool was_up;      /* it has been UP since it was started */
    size_t late_slot; /* KILLED: its time was up for the task in this slot, or for the
                         initializer (NO_SLOT) */
    double
        since;  /* PREPARING: it was started; UP: it seems to be stuck, 0: it does not */
    double due; /* DOWN: to be started, INFINITY: with the next task; KILLED: to be
                         killed, INFINITY: it has been */
    double delay; /* before it is tried again */
};

/* The task in a slot of the ring, and how much of its result has come. */
struct slot_content {
    struct future *future; /* NULL: the slot is FREE */
    char *text;            /* NULL also if there was no memory for it */
    size_t received;
};

struct pool {
    struct task_ring *ring;
    size_t slot_count;
    struct worker_handle *handles; /* used by the manager only, as are the next two */
    struct future *collected;      /* futures with results, to be finished */
    struct future **last_collected;

    pthread_mutex_t lock; /* protects what follows; its holder may publish and withdraw */
    struct slot_content *slots;
    size_t dispatched;          /* slots that are not FREE */
    bool wants_tasks;           /* the manager is to be woken when there is a task */
    int stop_signal;            /* to be sent to all workers; 0: none */
    bool is_stopped;            /* it has been sent, and no worker is started any more */
    struct fork_server *server; /* NULL: it has ended, or has died */
};

/* ---- process_pool.c ---- */

/* Whether the fork server has died, so that the pool runs no tasks any more. From any
   thread. */
bool pool_has_died(struct executor *executor);

/* ---- process_pool.c: in the manager ---- */

/* The future has a result, with which it is finished when all that has happened is
   settled. */
void pool_collect(struct pool *pool, struct future *future, struct result result);

/* No worker owns the slot any more; this is the result of the task in it. */
void pool_settle(struct pool *pool, size_t slot, struct result result);

/* Takes the next task that has not begun, from the ring or from the queue; the caller
   owns it then. NULL: there is none. */
struct future *pool_take_next(struct executor *executor);

/* Whether a task waits or runs. */
bool pool_has_tasks(struct executor *executor);

/* Receives all messages that are there, and acts on them. */
void pool_receive(struct executor *executor);

/* ---- worker_handle.c: in the manager ---- */

/* Makes the handles of the pool's workers, before their first start. */
void handles_init(struct executor *executor);

/* Acts on a message. */
void handle_message(struct executor *executor, const struct message *message,
                    const char *piece, size_t length);

/* Settles every slot that the worker owns. It has died, with this status from waitpid(2);
   -1: the fork server has, and the worker will. */
void handle_reap(struct executor *executor, struct worker_handle *handle, int status);

/* Starts and kills the workers for which it is time. Returns when to look again, on the
   clock of monotonic.h. */
double handles_start_and_kill(struct executor *executor);

/* Gives up the workers that have had more time for a task or the initializer than they
   may. Returns when to look again. */
double handles_keep_limits(struct executor *executor);

/* Whether there is a worker that can run tasks, or that may soon. */
bool has_usable_worker(const struct executor *executor);

/* ---- process_worker.c: what each worker's process runs ---- */

void work(void *executor, size_t number, int socket);

#endif
