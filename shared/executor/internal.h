/*
 * What the files of the executor share. Programs include executor.h, not this.
 */
#ifndef EXECUTOR_INTERNAL_H
#define EXECUTOR_INTERNAL_H

#include "executor.h"
#include "sync.h"
#include "task_queue.h"

#include <stdatomic.h>

/* ---- A future (future.c) ---- */

struct future {
    atomic_uint state; /* how far its task has come, and how many hold a reference */
    unsigned slot;     /* where its task is if it has been dispatched */
    task_fn task;
    struct executor *executor; /* holds a reference */
    struct future *next;       /* in the list that owns it */
    struct watcher
        *watchers;        /* the callbacks and waiters to tell; the last comes first */
    struct result result; /* written by the owner before the future is done */
    char argument[];
};

/* A future with two references, of the caller of executor_submit() and of the queue; each
   is given up with future_free(). Returns NULL with ENOMEM. */
struct future *future_new(struct executor *executor, task_fn task, const char *argument);

/* One more reference. */
void future_ref(struct future *future);

/* Takes a pending future to run it in the calling thread. Returns false if the future is
   not pending any more. */
bool future_begin(struct future *future);

/* Takes a pending future to dispatch its task: from now on its pool says whether it has
   begun. Returns false if the future is not pending any more. */
bool future_dispatch(struct future *future);

/* Makes a future done whose task the caller owns, with the result, whose text the future
   owns from then on; or cancelled, if the task never began. Calls its callbacks, and
   gives up the owner's reference. */
void future_finish(struct future *future, struct result result);
void future_finish_cancelled(struct future *future);

/* ---- Waiting (waiting.c) ---- */

/* Says that somebody watches the future. Returns false if it is done already, which
   nobody will be told any more. Called with the lock of waiting.c held (future.c). */
bool future_watch(struct future *future);

/* Tells the watchers of a future that it is done, and calls its callbacks. */
void tell_watchers(struct future *future);

/* ---- An executor (executor.c) ---- */

/* A thread of the executor's own: a worker, or the manager of all workers. */
struct pool_thread {
    struct executor *executor;
    size_t number; /* from 1 */
    pthread_t thread;
    struct span who; /* its process and name, if it is a worker */
};

/* What makes the kinds of pool different. A task is dispatched when it leaves the queue
   for a place of the kind's own, where it has not begun yet; the kinds without one leave
   dispatch() and what belongs to it NULL. */
struct executor_kind {
    bool has_worker_threads; /* each worker is a thread; if not, one thread manages all */
    bool can_kill_workers;   /* and so has time limits */
    bool replaces_workers;   /* after a number of tasks */
    size_t (*default_workers)(void);

    /* Before the threads start: sets `worker_count` and `state`. Returns false with errno
       set, and then free() is called all the same. NULL: nothing to do. */
    bool (*open)(struct executor *executor);

    /* In each of the executor's threads: returns when the executor is closed, all tasks
       are done, and what the thread looks after has ended. If a callback or a task ends
       the thread, it is called again in a new one. */
    void (*serve)(struct pool_thread *thread);

    /* The queue has one more task, or has been closed: dispatches what there is room
       for. */
    void (*dispatch)(struct executor *executor);

    /* Withdraws a dispatched task that has not begun: the caller owns it then. Returns
       false if it has begun. */
    bool (*withdraw)(struct executor *executor, struct future *future);

    /* Withdraws the next task that has not begun, whichever it is, or returns NULL. */
    struct future *(*withdraw_next)(struct executor *executor);

    /* Whether a dispatched task has begun. */
    bool (*has_begun)(struct executor *executor, const struct future *future);

    /* Sends all workers the signal. */
    void (*signal_workers)(struct executor *executor, int signal_number);

    /* Whether the pool can run the task. NULL: any. */
    bool (*accepts)(const struct executor *executor, task_fn task);

    /* In a task of the pool's own that has to wait for this future: runs its task there
       and then if it has not begun, or has it run meanwhile. Returns whether it has.
       NULL: tasks do not see the pool. */
    bool (*run_or_wait)(struct future *future);

    /* In a task of the pool's own: whether one that run_or_wait() has run meanwhile has
       not ended; then there is no place for another. NULL: there is never one. */
    bool (*has_guest)(void);

    /* In a thread of the pool's own: whether it may wait for the pool. NULL: it may. */
    bool (*can_wait)(void);

    /* When the threads have ended: frees `state`. NULL: nothing to do. */
    void (*free)(struct executor *executor);
};

struct executor {
    const struct executor_kind *kind;
    struct executor_options options;
    unsigned generation; /* fork_generation() of the process that has the threads */
    void *state;         /* what the kind keeps */
    size_t worker_count;
    atomic_bool is_broken; /* an initializer has failed, or no worker can be started */
    char *broken_why;      /* then; NULL: there was no memory for it */
    struct task_queue queue;

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t ended; /* a thread has ended, or all have been joined */
    size_t alive;         /* threads that have not ended */
    bool is_joining;
    bool is_joined;
    size_t thread_count;

    char gap[64]; /* keeps what each submit changes on another cache line */
    atomic_size_t reference_count;
    char another_gap[64];
    struct pool_thread threads[];
};

struct executor *executor_open(const struct executor_kind *kind,
                               const struct executor_options *options);

/* Starts one more thread (pool_thread.c). Returns 0 or an errno. */
int threads_add(struct executor *executor);

/* Waits until all threads have ended, and joins them. */
void threads_wait(struct executor *executor);

/* Joins the threads, which have ended or are about to return, unless that has been done.
   The running one may be among them. */
void threads_join(struct executor *executor);

/* The thread of an executor's own that the calling one is; NULL: it is none. */
extern _Thread_local struct pool_thread *this_thread;

/* Whether the calling thread is one of this executor's. */
bool executor_is_own_thread(const struct executor *executor);

/* A reference keeps the executor's memory. The last one to be given up frees it. */
void executor_ref(struct executor *executor);
void executor_unref(struct executor *executor);

/* Whether this process was forked from the one that has the executor's threads. */
bool executor_is_elsewhere(const struct executor *executor);

/* Ends the process if it is a copy that a callback has forked in a thread of the
   executor's own, which must not go on in two processes. */
void executor_end_copy(const struct executor *executor);

/* The same as executor_submit(), but waits for room until the deadline (on the clock of
   monotonic.h; INFINITY: for ever, 0: not at all) and then fails with EAGAIN. */
struct future *executor_submit_until(struct executor *executor, task_fn task,
                                     const char *argument, double deadline);

/* If the calling thread is a worker of the future's pool, in a task: see the members of
   executor_kind. Both return false elsewhere. */
bool executor_run_or_wait(struct future *future);
bool executor_has_guest(const struct future *future);

/* Whether the calling thread, if it is one of a pool's own, may wait for that. */
bool may_wait_for_own_pool(void);

/* For a future that has been dispatched: see the members of executor_kind. Both return
   false in a forked child. */
bool executor_withdraw(struct future *future);
bool executor_has_begun(const struct future *future);

/* Has all tasks that have not begun end as RESULT_BROKEN from now on, for this reason. */
void executor_break(struct executor *executor, const char *why);

/* The result of each of those. */
struct result executor_broken_result(const struct executor *executor);

/* Takes the next task from the queue that has not been cancelled; the caller owns it
   then. NULL: there is none. */
struct future *executor_take_next(struct executor *executor);

/* Runs a task or an initializer. */
struct result call_task(task_fn task, const char *argument);

/* Makes what a task returned the result of its future: adds who ran it and when, which
   leaves the marks that the task has set. Only a task that never ran is RESULT_CANCELLED;
   one that says so of itself has failed. */
void complete_result(struct result *result, const struct span *span);

/* RESULT_BROKEN because of this result of the initializer of worker NAME. Frees that. */
struct result initializer_failed(const char *name, struct result result);

/* RESULT_BROKEN with the reason, made as printf makes it. */
struct result result_broken(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The CPUs that this process may use. */
size_t usable_cpus(void);

#endif
