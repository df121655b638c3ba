/*
 * What the files of the executor share. Programs include executor.h, not this.
 */
#ifndef EXECUTOR_INTERNAL_H
#define EXECUTOR_INTERNAL_H

#include "executor.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- A future (future.c) ---- */

struct future {
    atomic_uint state;
    task_fn task;
    struct executor *executor; /* whose it is; it may be gone */
    struct future *next;       /* behind it in the executor's queue */
    struct watcher
        *watchers;        /* who wants to know when it is done; the last comes first */
    struct result result; /* whoever sets it to done has written it before */
    char argument[];
};

/* A future that two hold: the caller of executor_submit(), and the queue. Each gives it
   up with future_free(). Returns NULL with ENOMEM. */
struct future *future_new(struct executor *executor, task_fn task, const char *argument);

/* Takes a pending future to run it. Returns false if there is nothing to run any more. */
bool future_begin(struct future *future);

/* The same, but a worker may begin it by itself, unless it is taken back: it is pending
   as before then. Says whether somebody has to be called before that worker goes on. */
bool future_offer(struct future *future, bool *calls_back);
void future_take_back(struct future *future);

/* Returns when nobody asks the executor of a future any more that is done. */
void futures_leave(void);

/* Makes a future that was begun done with the result, whose text it owns from then on. */
void future_finish(struct future *future, struct result result);

/* ---- An executor (executor.c) ---- */

struct worker {
    struct executor *executor;
    size_t number; /* from 1 */
    pthread_t thread;
    struct span who; /* its pid and name; the times come with each task */
    void *state;     /* what its kind keeps of it */
};

/* What a kind of executor fills in. Each worker has a thread in our process. Either that
   takes the futures from the queue, one by one, and runs them; or they are offered to the
   workers, wherever those are, and the thread serves its worker. */
struct executor_kind {
    const char *worker_name; /* "thread": the workers are thread-1, thread-2... */
    bool can_stop_workers;   /* and so has time limits, and replaces workers */
    size_t (*default_workers)(void);

    /* Before the workers start, and after they have ended. open() returns false with
       errno set if it cannot. NULL: nothing to do. */
    bool (*open)(struct executor *executor);
    void (*close)(struct executor *executor);

    /* Makes a worker ready, in the thread that opens the executor: false with errno set
       if it cannot. NULL: nothing to do. */
    bool (*start)(struct worker *worker);

    /* In the worker's thread: when it begins, for each task that is taken from the queue,
       and when it ends. */
    void (*set_up)(struct worker *worker);
    struct result (*run)(struct worker *worker, task_fn task, const char *argument);
    void (*end)(struct worker *worker);

    /* If tasks are offered; NULL otherwise. In any thread, when there may be some: offers
       what it can. With the lock of future.c held: takes back what was offered, the
       future's task, or the next one of any if that is NULL; returns NULL if a worker has
       it. Whether a worker has it. Has the worker wait, when it is done, until all have
       been called that have to be. */
    void (*offer)(struct executor *executor);
    struct future *(*take_back)(struct executor *executor, struct future *future);
    bool (*has_begun)(struct executor *executor, const struct future *future);
    void (*have_wait)(struct executor *executor, const struct future *future);

    /* In the worker's thread: serves the worker to its end; or until the future is done,
       for a callback that waits for it. */
    void (*serve)(struct worker *worker);
    void (*help)(struct worker *worker, struct future *future);

    /* Sends all workers the signal. */
    void (*stop)(struct executor *executor, int signal_number);
};

struct executor {
    const struct executor_kind *kind;
    struct executor_options options;
    unsigned generation; /* of processes: a forked child has none of our threads */
    void *state;         /* what the kind keeps */
    struct worker *workers;
    size_t worker_count;
    atomic_bool is_broken; /* an initializer has failed */
    char *broken_why;      /* then; NULL: no memory to say it */

    pthread_mutex_t lock;     /* who holds it may touch what follows */
    pthread_cond_t has_task;  /* or is closed */
    pthread_cond_t has_room;  /* or is closed */
    pthread_cond_t is_over;   /* it is closed, or the workers have been joined */
    struct future *submitted; /* the queue: those that no worker has come to yet */
    struct future **last;     /* where the next one is hung */
    size_t count;             /* in the queue, if that has a bound */
    size_t sleepers;          /* workers that wait for a task */
    bool is_waking;           /* one of them has been woken, and is not there yet */
    size_t holders;           /* its owner, its workers, who is in the middle of a call */
    bool is_closed;           /* takes no more tasks */
    bool is_joining;
    bool is_joined;

    char gap[64];           /* so that the two locks are on different cache lines */
    pthread_mutex_t taking; /* who holds it may take what is next; locked before `lock` */
    struct future *_Atomic next; /* the queue: before those that are submitted. From NULL
                                    it changes only with both locks held */
};

struct executor *executor_open(const struct executor_kind *kind,
                               const struct executor_options *options);

/* Says in the span that the worker ran it. */
void name_span(struct span *span, const struct worker *worker);

/* RESULT_BROKEN, because of this result of the worker's initializer. Takes that. */
struct result initializer_failed(const struct worker *worker, struct result result);

/* Has all tasks end as RESULT_BROKEN from now on, and say why. */
void executor_break(struct executor *executor, const char *why);

/* The result of each task of an executor that is broken. */
struct result executor_broken_result(const struct executor *executor);

/* If the running thread is a worker of the future's executor: runs it here, unless it has
   begun already. */
void executor_help(struct future *future);

/* For a future that is offered. Takes it back if no worker has it yet: then it is as if
   it had not been offered, and the executor's hold on it is the caller's. Whether a
   worker has it. Has that worker wait, when it is done, until all callbacks have
   returned. */
bool executor_take_back(struct future *future);
bool executor_has_begun(const struct future *future);
void executor_have_wait(const struct future *future);

/* Takes the next future out of the queue. Returns NULL if there is none now. */
struct future *executor_take_if_there(struct executor *executor);

/* Waits until there is a task in the queue. Returns false when there will be none any
   more. */
bool executor_wait_for_task(struct executor *executor);

/* Whether it takes no more tasks, and the queue is empty. */
bool executor_is_drained(struct executor *executor);

/* How many forks this process is away from the first one in which this was called. */
unsigned process_generation(void);

/* The same as executor_submit(), but who waits for room gives up at the deadline (on the
   clock of monotonic.h, INFINITY: never, 0: at once) with EAGAIN. */
struct future *executor_submit_until(struct executor *executor, task_fn task,
                                     const char *argument, double deadline);

/* Waits so many seconds, or until the executor is shut down: then it returns false. */
bool executor_pause(struct executor *executor, double seconds);

/* The CPUs that this process may use. */
size_t usable_cpus(void);

/* RESULT_BROKEN with the reason, made as printf makes it. */
struct result result_broken(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* ---- Locks: plain ones that are used rightly cannot fail (POSIX) ---- */

static inline void must(int error)
{
    assert(error == 0);
    (void)error;
}

static inline void lock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_lock(mutex));
}

static inline void unlock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_unlock(mutex));
}

static inline void wake_one(pthread_cond_t *condition)
{
    must(pthread_cond_signal(condition));
}

/* Waits; returns false when the deadline, on the clock of monotonic.h, has passed.
   INFINITY is never, 0 is at once. */
bool wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, double deadline);

static inline void wait_for(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    must(pthread_cond_wait(condition, mutex));
}

static inline void wake_all(pthread_cond_t *condition)
{
    must(pthread_cond_broadcast(condition));
}

#endif
