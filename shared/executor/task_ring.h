/*
 * The task ring: slots in memory that a parent shares with the worker processes that are
 * forked later. The parent publishes a task in a slot; the first worker that is free
 * claims it, in the order of publication, without a message to the parent. So a task
 * that no worker has claimed can be withdrawn, and if a worker dies, the slots say what
 * it had.
 *
 *              publish                 claim              complete
 *      FREE --------------> READY --------------> CLAIMED ----------> DONE
 *       ^ ^    (parent)      |      (worker w)     by w |   (w)       by w
 *       | |                  |                          |              |
 *       | +------------------+                          | expire       |
 *       |      withdraw (parent)                        | (parent)     |
 *       |                                               v              |
 *       |                                            EXPIRED by w      |
 *       |                       release (parent)        |              |
 *       +-----------------------------------------------+--------------+
 *
 * A slot's state is one atomic word: the phase, the worker, and the turn, which tells a
 * task from the one that was in the slot before. Each arrow is one function, which
 * compares the phase before it changes the word. A slot that a worker owns (CLAIMED,
 * DONE, EXPIRED) goes on saying so after the worker's death, until the parent releases
 * it.
 */
#ifndef EXECUTOR_TASK_RING_H
#define EXECUTOR_TASK_RING_H

#include "executor.h"

#include <stdint.h>

struct task_ring;

/* No slot. */
#define NO_SLOT SIZE_MAX

/* ---- In the parent. One thread at a time may publish, withdraw or release ---- */

/* A ring with this many slots, for workers with numbers from 1 to `worker_count`. Returns
   NULL with errno as mmap(2) left it. */
struct task_ring *task_ring_open(size_t slot_count, size_t worker_count);

/* Unmaps the ring. NULL is nothing to do. */
void task_ring_close(struct task_ring *ring);

/* FREE -> READY: puts the task into a free slot, which must exist, and returns the slot.
   Workers that sleep are not woken. */
size_t task_ring_publish(struct task_ring *ring, task_fn task, const char *argument);

/* READY -> FREE. Returns false if a worker has claimed the task. */
bool task_ring_withdraw(struct task_ring *ring, size_t slot);

/* CLAIMED -> EXPIRED: from now on the worker cannot complete the task. Returns false if
   the slot is in another phase. */
bool task_ring_expire(struct task_ring *ring, size_t slot);

/* CLAIMED, DONE or EXPIRED -> FREE: the result has been received, or the worker is dead.
   Returns false if no worker owned the slot. */
bool task_ring_release(struct task_ring *ring, size_t slot);

/* The slot of the task that was published first among those that are READY, or NO_SLOT.
   */
size_t task_ring_first_ready(const struct task_ring *ring);

/* What a slot says. The worker is 0 in FREE and READY. `begun` is the time at which the
   task began to run, on the clock of monotonic.h, or 0 if it has not begun yet. */
struct slot_view {
    enum slot_phase { FREE, READY, CLAIMED, DONE, EXPIRED } phase;
    size_t worker;
    double begun;
};
struct slot_view task_ring_look(const struct task_ring *ring, size_t slot);

/* Wakes at most this many workers among those that sleep; wakes all of them. */
void task_ring_wake(struct task_ring *ring, size_t count);
void task_ring_wake_all(struct task_ring *ring);

/* Says that no task will be published any more, and wakes all: a worker that finds the
   ring empty ends. */
void task_ring_end(struct task_ring *ring);

/* Puts what fits of the bytes into the window of a worker that waits in
   task_ring_read_window(). */
void task_ring_fill_window(struct task_ring *ring, size_t worker, const char *bytes,
                           size_t length);

/* ---- In a worker's process ---- */

/* READY -> CLAIMED by the worker: takes the task that was published first. Sleeps while
   there is none; calls before_sleep() each time before it does. Returns the slot, or
   NO_SLOT if the ring is empty and task_ring_end() has been called. */
size_t task_ring_claim(struct task_ring *ring, size_t worker, void (*before_sleep)(void));

/* The task in a slot that the worker owns, and the length of its argument. */
task_fn task_ring_task(const struct task_ring *ring, size_t slot);
size_t task_ring_argument_length(const struct task_ring *ring, size_t slot);

/* The argument, or NULL if it is too long for a slot. Then the worker asks the parent for
   one piece after the other, each of which comes through a window of the worker's own. */
const char *task_ring_argument(const struct task_ring *ring, size_t slot);

/* Empties the window before the parent is asked to fill it; waits until it has, and
   copies the piece to `to`. Returns how many bytes that were. */
void task_ring_clear_window(struct task_ring *ring, size_t worker);
size_t task_ring_read_window(struct task_ring *ring, size_t worker, char *to);

/* Notes that the task begins to run now, and returns the time. */
double task_ring_begin(struct task_ring *ring, size_t slot);

/* CLAIMED -> DONE: the task has run. Returns false if it has expired. */
bool task_ring_complete(struct task_ring *ring, size_t slot);

#endif
