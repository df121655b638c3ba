/*
 * An event loop: one thread that waits for descriptors, times and other threads at once,
 * and calls back what has been waiting for them (epoll(7)).
 *
 * One thread at a time runs the loop, with loop_turn(). Only loop_post(), loop_wake()
 * and loop_interrupt() may be called from other threads.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>

struct loop;

/* Returns NULL with errno as malloc(3), epoll_create1(2) or eventfd(2) left it. */
struct loop *loop_open(void);

/* Frees the loop. Nothing is watched or posted any more. NULL is nothing to do. */
void loop_close(struct loop *loop);

/* Calls back all that is due. If that is nothing, and `waits`, it waits until something
   is, or until loop_wake(). */
void loop_turn(struct loop *loop, bool waits);

/* Ends the loop's wait, or else its next one, from any thread. */
void loop_wake(struct loop *loop);

/* The same; besides, loop_turn() returns as soon as what it is calling has returned. What
   else is due is called in the next turn. */
void loop_interrupt(struct loop *loop);

/* ---- Jobs: what other threads want to have done ---- */

/* What the loop is to call. It belongs to the caller, who sets `run` and leaves the rest
   zero. */
struct loop_job {
    void (*run)(struct loop_job *job);
    struct loop_job *next;
    bool is_posted; /* and has not been called since */
};

/* Posts the job, from any thread. The loop calls it once, after those that were posted
   before. A job that is posted already is not posted twice. */
void loop_post(struct loop *loop, struct loop_job *job);

/* ---- Descriptors ---- */

/* What is called when a descriptor is ready. It belongs to the caller, and may watch many
   of them. */
struct loop_watcher {
    void (*on_ready)(struct loop_watcher *watcher, int descriptor, unsigned events);
};

/* Watches the descriptor for these events (EPOLLIN, EPOLLOUT; epoll_ctl(2)), from now on
   or instead of those it was watched for. Returns false with errno set, without memory or
   as epoll_ctl(2) left it. */
bool loop_watch(struct loop *loop, int descriptor, unsigned events,
                struct loop_watcher *watcher);

/* Watches it no longer; call it before the descriptor is closed. */
void loop_forget(struct loop *loop, int descriptor);

/* ---- Timers ---- */

/* What is called at a time. It belongs to the caller, who sets `on_due` and leaves the
   rest zero. */
struct loop_timer {
    void (*on_due)(struct loop_timer *timer);
    double due;   /* on the clock of monotonic.h */
    size_t place; /* in the loop's heap, from 1; 0: it is not set */
};

/* Makes room for the timer, so that to set it cannot fail. Returns false with ENOMEM. */
bool loop_add_timer(struct loop *loop, struct loop_timer *timer);
void loop_remove_timer(struct loop *loop, struct loop_timer *timer);

/* Sets the timer, or sets it anew: it is called once, at this time. INFINITY unsets it. A
   time that has passed counts as now, so timers that were due before are called first. */
void loop_set_timer(struct loop *loop, struct loop_timer *timer, double due);

/* ---- What somebody keeps with the loop ---- */

/* Keeps something for those that wait in this loop, instead of what was kept; that is
   given to the function with which it was kept, here and in loop_close(). NULL: nothing
   is kept. */
void loop_keep(struct loop *loop, void *kept, void (*free_kept)(void *kept));
void *loop_kept(const struct loop *loop);

#endif
