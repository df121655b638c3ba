/*
 * The queue of futures that no worker has come to yet. It has two ends with a lock each
 * (Michael and Scott, 1996), so that submitting and taking seldom wait for each other:
 * new futures go into the list `submitted`; when the list `next` is empty, all that has
 * been submitted becomes next.
 */
#ifndef EXECUTOR_TASK_QUEUE_H
#define EXECUTOR_TASK_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct future;

struct task_queue {
    size_t capacity; /* 0: there is no bound */

    char gap[64];             /* keeps the locks and the constants on cache lines apart */
    pthread_mutex_t lock;     /* protects what follows */
    pthread_cond_t not_empty; /* or closed */
    pthread_cond_t not_full;  /* or closed */
    struct future *submitted;
    struct future **last; /* where the next one goes */
    size_t count;         /* of the futures in the queue, if it has a bound */
    size_t sleepers;      /* threads that wait in task_queue_take() */
    bool is_waking;       /* one of them has been woken, and does not run yet */
    bool is_closed;

    char another_gap[64];
    pthread_mutex_t taking;      /* protects `next`; locked before `lock` */
    struct future *_Atomic next; /* becomes something else than NULL only under both */
};

void task_queue_open(struct task_queue *queue, size_t capacity);
void task_queue_destroy(struct task_queue *queue);

/*
 * Appends the future. If the queue is full, waits for room until the deadline (on the
 * clock of monotonic.h; INFINITY: for ever, 0: not at all), unless `ignores_capacity`.
 * Returns 0, ESHUTDOWN if the queue is closed, or EAGAIN at the deadline. The caller
 * holds a reference to the future, which may be done when this returns.
 */
int task_queue_put(struct task_queue *queue, struct future *future, double deadline,
                   bool ignores_capacity);

/* Removes the first future. Waits while the queue is empty; returns NULL when it is empty
   and closed. Disables the thread's cancellation before it waits. */
struct future *task_queue_take(struct task_queue *queue);

/* The same without waiting: NULL if the queue is empty. */
struct future *task_queue_try_take(struct task_queue *queue);

/* Takes no more futures, and wakes all threads that wait. With `empties`, removes all
   futures and returns them as a list, linked by `next`. */
struct future *task_queue_close(struct task_queue *queue, bool empties);

/* Whether the queue is empty; whether it is closed and empty. */
bool task_queue_is_empty(struct task_queue *queue);
bool task_queue_is_drained(struct task_queue *queue);

#endif
