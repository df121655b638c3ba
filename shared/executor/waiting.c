/*
 * Waiting for futures, one or many, and calling back. Each thread that waits has a
 * condition of its own, or every future that is done would wake all of them; a task of an
 * event loop suspends its fiber instead (fiber.h). A future's watchers are told by the
 * thread that makes it done:
 *
 *      future ---> watcher (a callback) ---> watcher ---> ...
 *                                              |
 *                      waiter <----------------+     a thread in future_result(), or an
 *                        |                           as_completed and the thread in it
 *                        +---> watcher ---> ...      those whose futures are done
 */
#include "internal.h"

#include "fiber.h"
#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

struct watcher {
    struct watcher *previous; /* in the future's list, which came before it... */
    struct watcher *next;     /* ...and after; or the next in the waiter's list */
    struct future *future;
    struct waiter *waiter; /* NULL: it is a callback */
    bool is_ready;         /* the waiter has been told */
    void (*callback)(struct future *future, void *context);
    void *context;
};

struct waiter {
    pthread_cond_t ready;
    struct fiber *fiber;   /* that is suspended; NULL: it is a thread that waits */
    struct watcher *first; /* those whose futures are done, and which wait to be read */
    struct watcher **last;
};

struct as_completed {
    struct waiter waiter;
    double deadline;
    bool is_over;        /* the deadline has been told */
    size_t done_before;  /* those that were done when it was opened, and are left */
    size_t left;         /* watchers that have not been returned */
    size_t tried;        /* watchers whose task this thread has tried to run itself */
    unsigned generation; /* fork_generation() of the process that opened it */
    bool is_elsewhere; /* it watches a future of a pool that this process does not have */
    size_t count;
    struct watcher *watchers;
};

/* Protects the watchers of all futures, and what they point to. */
static pthread_mutex_t watching = PTHREAD_MUTEX_INITIALIZER;

/* A callback that the running thread is in, and the one around it. */
struct calling {
    struct executor *executor; /* of the future that is done */
    struct calling *outer;
};

/* The innermost of the running thread, or fiber; NULL: it is in none. */
static struct calling **calling(void)
{
    static _Thread_local struct calling *of_thread;
    return fiber_running() == NULL ? &of_thread : (struct calling **)fiber_local();
}

/* ---- Telling ---- */

/* Also when the callback has ended the thread. */
static void callback_returned(void *context)
{
    struct calling *returned = context;
    *calling() = returned->outer;
    executor_unref(returned->executor);
}

static void call_back(struct future *future,
                      void (*callback)(struct future *future, void *context),
                      void *context)
{
    struct calling this_one = {.executor = future->executor, .outer = *calling()};
    executor_ref(
        this_one.executor); /* the callback may free the future and the executor */
    *calling() = &this_one;
    pthread_cleanup_push(callback_returned, &this_one);
    callback(future, context);
    executor_end_copy(this_one.executor);
    pthread_cleanup_pop(1);
}

static void make_ready(struct watcher *watcher)
{
    struct waiter *waiter = watcher->waiter;
    watcher->is_ready = true;
    watcher->next = NULL;
    *waiter->last = watcher;
    waiter->last = &watcher->next;
    if (waiter->fiber != NULL)
        fiber_wake(waiter->fiber);
    else
        cond_signal(&waiter->ready);
}

/* With the lock held: tells the waiters, and returns the callbacks, the first one first.
   */
static struct watcher *tell_waiters(struct future *future)
{
    struct watcher *callbacks = NULL;
    struct watcher *watcher = future->watchers;
    future->watchers = NULL;
    while (watcher != NULL) {
        struct watcher *previous = watcher->previous;
        if (watcher->waiter != NULL) {
            make_ready(watcher);
        } else {
            watcher->next = callbacks;
            callbacks = watcher;
        }
        watcher = previous;
    }
    return callbacks;
}

/* A callback has ended the thread: no other can be called in it (pthread_exit(3)). */
static void drop_callbacks(void *context)
{
    struct watcher **callbacks = context;
    while (*callbacks != NULL) {
        struct watcher *next = (*callbacks)->next;
        free(*callbacks);
        *callbacks = next;
    }
}

void tell_watchers(struct future *future)
{
    mutex_lock(&watching);
    struct watcher *callbacks = tell_waiters(future);
    mutex_unlock(&watching);
    /* Without the lock: a callback may do what it likes. */
    pthread_cleanup_push(drop_callbacks, &callbacks);
    while (callbacks != NULL) {
        struct watcher callback = *callbacks;
        free(callbacks);
        callbacks = callback.next;
        call_back(future, callback.callback, callback.context);
    }
    pthread_cleanup_pop(0);
}

/* ---- Watching ---- */

/* With the lock held: puts the watcher on the future's list. */
static void add_watcher(struct future *future, struct watcher *watcher)
{
    watcher->future = future;
    watcher->next = NULL;
    watcher->previous = future->watchers;
    if (watcher->previous != NULL)
        watcher->previous->next = watcher;
    future->watchers = watcher;
}

/* With the lock held: takes it off again, unless its waiter has been told. */
static void remove_watcher(struct watcher *watcher)
{
    if (watcher->is_ready)
        return;
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
    else
        watcher->future->watchers = watcher->previous;
}

bool future_on_done(struct future *future,
                    void (*callback)(struct future *future, void *context), void *context)
{
    if (future == NULL || callback == NULL) {
        errno = EINVAL;
        return false;
    }
    struct watcher *watcher = malloc(sizeof(*watcher));
    if (watcher == NULL)
        return false;
    *watcher = (struct watcher){.callback = callback, .context = context};
    mutex_lock(&watching);
    bool is_pending = future_watch(future);
    if (is_pending)
        add_watcher(future, watcher);
    mutex_unlock(&watching);
    if (!is_pending) {
        free(watcher);
        call_back(future, callback, context);
    }
    return true;
}

/* ---- Waiting ---- */

/* Why the running thread cannot wait for the future, which is not done, as an errno; 0:
   it can. */
static int waiting_error(const struct future *future)
{
    if (executor_is_elsewhere(future->executor))
        return EPERM;
    for (struct calling *around = *calling(); around != NULL; around = around->outer) {
        if (around->executor == future->executor)
            return EDEADLK;
    }
    bool may_wait = may_wait_for_own_pool() || !executor_is_own_thread(future->executor);
    return may_wait ? 0 : EDEADLK;
}

static double deadline_in(double seconds)
{
    return seconds > 0 ? monotonic_seconds() + seconds : 0;
}

/* With the lock held: watches all the futures, each once. If a future is named twice, its
   newest watcher is ours: no other thread can add one meanwhile. */
static void watch_all(struct as_completed *completed, struct future *const futures[],
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct future *future = futures[i];
        if (future == NULL ||
            (future->watchers != NULL && future->watchers->waiter == &completed->waiter))
            continue;
        struct watcher *watcher = &completed->watchers[completed->count++];
        *watcher = (struct watcher){.waiter = &completed->waiter};
        add_watcher(future, watcher);
    }
}

/* Watches the futures, with as many watchers from the caller. */
static void open_completed(struct as_completed *completed, struct watcher *watchers,
                           struct future *const futures[], size_t count, double seconds)
{
    lock_over_forks(&watching);
    *completed = (struct as_completed){.waiter = {.ready = PTHREAD_COND_INITIALIZER},
                                       .deadline = deadline_in(seconds),
                                       .generation = fork_generation(),
                                       .watchers = watchers};
    completed->waiter.last = &completed->waiter.first;
    mutex_lock(&watching);
    watch_all(completed, futures, count);
    completed->left = completed->count;
    for (size_t i = 0; i < completed->count; i++) {
        struct watcher *watcher = &watchers[i];
        if (!future_watch(watcher->future)) {
            remove_watcher(watcher);
            make_ready(watcher);
            completed->done_before++;
        } else if (executor_is_elsewhere(watcher->future->executor)) {
            completed->is_elsewhere = true;
        }
    }
    mutex_unlock(&watching);
}

static void close_completed(void *context)
{
    struct as_completed *completed = context;
    mutex_lock(&watching);
    for (size_t i = 0; i < completed->count; i++)
        remove_watcher(&completed->watchers[i]);
    mutex_unlock(&watching);
    must(pthread_cond_destroy(&completed->waiter.ready), "pthread_cond_destroy");
}

/* With the lock held: why the running thread cannot wait for those that are left, as an
   errno; 0: it can. It looks at each only where that may be so. */
static int waiting_error_of_any(const struct as_completed *completed)
{
    bool is_elsewhere =
        completed->is_elsewhere || completed->generation != fork_generation();
    int error = 0;
    if (*calling() == NULL && !is_elsewhere && may_wait_for_own_pool())
        return 0;
    for (size_t i = 0; i < completed->count && error == 0; i++) {
        const struct watcher *watcher = &completed->watchers[i];
        if (!watcher->is_ready)
            error = waiting_error(watcher->future);
    }
    return error;
}

/* With the lock held: the next of those that this task has not tried to run, and that are
   not done; NULL: there is none, or not yet. */
static struct future *next_to_try(struct as_completed *completed)
{
    for (; this_thread != NULL && completed->tried < completed->count;
         completed->tried++) {
        struct watcher *watcher = &completed->watchers[completed->tried];
        if (watcher->is_ready)
            continue;
        if (executor_has_guest(watcher->future))
            return NULL;
        completed->tried++;
        return watcher->future;
    }
    return NULL;
}

/* With the lock held, which it releases meanwhile: sleeps until something is ready, or
   the deadline. Returns 0 or an errno. */
static int sleep_until_ready(struct as_completed *completed)
{
    struct waiter *waiter = &completed->waiter;
    if (fiber_running() == NULL)
        return cond_wait_until(&waiter->ready, &watching, completed->deadline)
                   ? 0
                   : ETIMEDOUT;
    waiter->fiber = fiber_running();
    mutex_unlock(&watching);
    int error = fiber_suspend(completed->deadline);
    mutex_lock(&watching);
    waiter->fiber = NULL;
    return error;
}

/* With the lock held, which it releases meanwhile: in a task of the pool of one of those
   that are left, runs one that has not begun; otherwise waits. Returns 0 or an errno. */
static int run_or_wait(struct as_completed *completed)
{
    int error = waiting_error_of_any(completed);
    struct future *future = error == 0 ? next_to_try(completed) : NULL;
    if (future != NULL) {
        mutex_unlock(&watching);
        executor_run_or_wait(future);
        mutex_lock(&watching);
    } else if (error == 0) {
        error = sleep_until_ready(completed);
    }
    return error;
}

/* With the lock held: takes the first of those that are ready. */
static struct future *take_ready(struct as_completed *completed)
{
    struct waiter *waiter = &completed->waiter;
    struct watcher *watcher = waiter->first;
    waiter->first = watcher->next;
    if (waiter->first == NULL)
        waiter->last = &waiter->first;
    completed->left--;
    return watcher->future;
}

/* The next one that is done, also when the time is over; waits for it until then. */
static struct future *next_done(struct as_completed *completed)
{
    struct future *future = NULL;
    int error = 0;
    if (completed->left == 0) {
        errno = 0;
        return NULL;
    }
    mutex_lock(&watching);
    while (completed->waiter.first == NULL && error == 0)
        error = run_or_wait(completed);
    if (completed->waiter.first != NULL)
        future = take_ready(completed);
    mutex_unlock(&watching);
    if (future == NULL)
        errno = error;
    return future;
}

/* Whether the deadline is over and has not been told. Those that were done at the
   beginning come first. */
static bool has_to_tell_end(struct as_completed *completed)
{
    if (completed->done_before > 0) {
        completed->done_before--;
        return false;
    }
    return !completed->is_over && completed->left > 0 &&
           completed->deadline != INFINITY && monotonic_seconds() >= completed->deadline;
}

struct future *as_completed_next(struct as_completed *completed)
{
    if (completed == NULL) {
        errno = EINVAL;
        return NULL;
    }
    struct future *future = NULL;
    errno = ETIMEDOUT;
    if (!has_to_tell_end(completed))
        future = next_done(completed);
    if (future == NULL && errno == ETIMEDOUT)
        completed->is_over = true;
    return future;
}

struct as_completed *as_completed_open(struct future *const futures[], size_t count,
                                       double seconds)
{
    if (futures == NULL && count > 0) {
        errno = EINVAL;
        return NULL;
    }
    struct as_completed *completed = malloc(sizeof(*completed));
    struct watcher *watchers = calloc(count > 0 ? count : 1, sizeof(*watchers));
    if (completed == NULL || watchers == NULL) {
        free(completed);
        free(watchers);
        errno = ENOMEM;
        return NULL;
    }
    open_completed(completed, watchers, futures, count, seconds);
    return completed;
}

void as_completed_free(struct as_completed *completed)
{
    if (completed == NULL)
        return;
    close_completed(completed);
    free(completed->watchers);
    free(completed);
}

/* Returns 0 or an errno. It needs no memory but that of the stack, so it cannot fail for
   want of it. */
static int wait_for_one(struct future *future, double seconds)
{
    struct as_completed completed;
    struct watcher watcher;
    int error;
    open_completed(&completed, &watcher, &future, 1, seconds);
    pthread_cleanup_push(close_completed, &completed);
    error = next_done(&completed) == NULL ? errno : 0;
    pthread_cleanup_pop(1);
    return error;
}

/* The result of waiting where that is not possible, with errno set. */
static const struct result *cannot_wait(int error)
{
    static char elsewhere[] = "its pool belongs to the process that this one was forked "
                              "from (EPERM)";
    static char in_callback[] = "a callback cannot wait for a task of its own pool "
                                "(EDEADLK)";
    static char given_up[] = "the task that waits has been given up (ECANCELED)";
    static const struct result results[] = {
        {.status = RESULT_FAILED, .text = elsewhere},
        {.status = RESULT_FAILED, .text = in_callback},
        {.status = RESULT_FAILED, .text = given_up}};
    errno = error;
    return &results[error == EPERM ? 0 : error == EDEADLK ? 1 : 2];
}

const struct result *future_result_within(struct future *future, double seconds)
{
    static char not_submitted[] = "it could not be submitted";
    static char not_done[] = "it was not done in time";
    static const struct result no_future = {.status = RESULT_FAILED,
                                            .text = not_submitted};
    static const struct result timed_out = {.status = RESULT_TIMED_OUT, .text = not_done};
    if (future == NULL)
        return &no_future;
    int error = future_done(future) ? 0 : wait_for_one(future, seconds);
    if (future_done(future))
        return &future->result;
    return error == ETIMEDOUT ? &timed_out : cannot_wait(error);
}

const struct result *future_result(struct future *future)
{
    return future_result_within(future, INFINITY);
}

static bool is_exception(struct future *future)
{
    enum result_status status = future_result(future)->status;
    return status != RESULT_OK && status != RESULT_CANCELLED;
}

/* Returns 0 or an errno. */
static int wait_for_many(struct as_completed *completed, enum wait_until until)
{
    struct future *future;
    while ((future = next_done(completed)) != NULL) {
        if (until == FIRST_COMPLETED ||
            (until == FIRST_EXCEPTION && is_exception(future)))
            return 0;
    }
    return errno;
}

static void free_completed(void *completed)
{
    as_completed_free(completed);
}

bool futures_wait(struct future *const futures[], size_t count, enum wait_until until,
                  double seconds)
{
    struct as_completed *completed = as_completed_open(futures, count, seconds);
    int error = 0;
    if (completed == NULL)
        return false;
    pthread_cleanup_push(free_completed, completed);
    error = wait_for_many(completed, until);
    pthread_cleanup_pop(1);
    errno = error;
    return error == 0;
}
