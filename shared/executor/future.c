/*
 * A future: what a task has become, or will. Its state is one atomic number, so that a
 * task that nobody waits for is submitted, run and read without a lock. Who has to wait
 * says so in the state, and is told.
 */
#include "internal.h"

#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The state: what has happened to it, and above that, how many hold the future. */
enum {
    BEGUN = 1,
    DONE = 2,
    WATCHED = 4, /* somebody has to be told when it is done */
    OFFERED =
        8, /* a worker may take it by itself: its executor knows whether it has begun */
    CALLS_BACK = 16, /* somebody has to be called when it is done */
    ONE_HOLDER = 32,
};

/* Who wants to know when a future is done: a callback, or somebody who waits. */
struct watcher {
    struct watcher *previous; /* in the future's list, of those that came before it... */
    struct watcher *next;     /* ...and after; or the next in the waiter's list */
    struct future *future;
    struct waiter *waiter; /* NULL: it is a callback */
    bool is_ready;         /* the waiter has been told */
    void (*callback)(struct future *future, void *context);
    void *context;
};

/* Who waits, for one future or for many. Each has a condition of its own, or every future
   that is done would wake all of them. */
struct waiter {
    pthread_cond_t has_ready;
    struct watcher *first; /* of those whose futures are done */
    struct watcher **last;
};

struct as_completed {
    struct waiter waiter;
    double deadline;
    size_t left; /* that have not been returned */
    size_t count;
    struct watcher watchers[];
};

/* Who holds the lock may touch the lists of watchers, and what they hold; and he may ask
   the executor of a future that is not done: it is there as long. */
static pthread_mutex_t watching = PTHREAD_MUTEX_INITIALIZER;

/* Texts that are not from malloc. */
static char cancelled[] = "cancelled before it began";
static char nothing[] = "";
static char no_reason[] = "no reason given";

/* ---- fork(): its child must not find the lock held by a thread that it does not have
   ---- */

static atomic_uint generation;

static void before_fork(void)
{
    lock(&watching);
}

static void after_fork_in_parent(void)
{
    unlock(&watching);
}

static void after_fork_in_child(void)
{
    unlock(&watching);
    atomic_fetch_add(&generation, 1);
}

static void watch_forks(void)
{
    must(pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child));
}

unsigned process_generation(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    must(pthread_once(&once, watch_forks));
    return atomic_load(&generation);
}

/* ---- Its life ---- */

struct future *future_new(struct executor *executor, task_fn task, const char *argument)
{
    size_t size = strlen(argument) + 1;
    struct future *future = malloc(sizeof(*future) + size);
    if (future == NULL)
        return NULL;
    *future = (struct future){
        .state = 2 * ONE_HOLDER,
        .task = task,
        .executor = executor,
        .result = {.status = RESULT_CANCELLED,
                   .text = cancelled}, /* until it has begun */
    };
    memcpy(future->argument, argument, size);
    return future;
}

void future_free(struct future *future)
{
    if (future == NULL)
        return;
    bool is_last = atomic_load(&future->state) < 2 * ONE_HOLDER; /* nobody can join us */
    if (!is_last && atomic_fetch_sub(&future->state, ONE_HOLDER) >= 2 * ONE_HOLDER)
        return;
    char *text = future->result.text;
    if (text != cancelled && text != nothing && text != no_reason)
        free(text);
    free(future);
}

bool future_begin(struct future *future)
{
    return (atomic_fetch_or(&future->state, BEGUN) & (BEGUN | DONE)) == 0;
}

bool future_offer(struct future *future, bool *calls_back)
{
    unsigned state = atomic_fetch_or(&future->state, OFFERED);
    *calls_back = (state & CALLS_BACK) != 0;
    return (state & (BEGUN | DONE)) == 0;
}

void future_take_back(struct future *future)
{
    atomic_fetch_and(&future->state, ~(unsigned)OFFERED);
}

void futures_leave(void)
{
    lock(&watching);
    unlock(&watching);
}

/* Tells who waits. */
static void make_ready(struct watcher *watcher)
{
    struct waiter *waiter = watcher->waiter;
    watcher->is_ready = true;
    watcher->next = NULL;
    *waiter->last = watcher;
    waiter->last = &watcher->next;
    wake_one(&waiter->has_ready);
}

/* Tells those who wait for it that a future is done. Callbacks are called without the
   lock: they may do what they like. */
static void tell_watchers(struct future *future)
{
    lock(&watching);
    struct watcher *watcher = future->watchers;
    future->watchers = NULL;
    while (watcher != NULL && watcher->previous != NULL)
        watcher = watcher->previous;
    struct watcher *callbacks = NULL;
    struct watcher **last = &callbacks;
    while (watcher != NULL) {
        struct watcher *next = watcher->next;
        if (watcher->waiter != NULL) {
            make_ready(watcher);
        } else {
            *last = watcher;
            last = &watcher->next;
        }
        watcher = next;
    }
    *last = NULL;
    unlock(&watching);

    while (callbacks != NULL) {
        struct watcher *callback = callbacks;
        callbacks = callback->next;
        callback->callback(future, callback->context);
        free(callback);
    }
}

void future_finish(struct future *future, struct result result)
{
    if (result.text == NULL)
        result.text = result.status == RESULT_OK ? nothing : no_reason;
    future->result = result;
    if (atomic_fetch_or(&future->state, DONE) & WATCHED)
        tell_watchers(future);
}

/* Takes an offered future back if no worker has it yet. Returns its state then. */
static unsigned take_back(struct future *future)
{
    bool is_taken_back = false;
    lock(&watching);
    if (!future_done(future))
        is_taken_back = executor_take_back(future);
    unsigned state = atomic_load(&future->state);
    unlock(&watching);
    if (is_taken_back)
        future_free(future); /* the executor held it */
    return state;
}

/* The result that a future is born with says that it is cancelled: all that is left to do
   is to have it done. */
bool future_cancel(struct future *future)
{
    if (future == NULL)
        return false;
    unsigned state = atomic_load(&future->state);
    do {
        if ((state & (OFFERED | DONE)) == OFFERED)
            state = take_back(future);
        if (state & (OFFERED | BEGUN | DONE))
            return future_cancelled(future);
    } while (!atomic_compare_exchange_weak(&future->state, &state,
                                           (state | DONE) + ONE_HOLDER));
    if (state & WATCHED)
        tell_watchers(future);
    future_free(future); /* held so far: a callback may have given it up */
    return true;
}

/* ---- Its state ---- */

const char *future_argument(const struct future *future)
{
    return future == NULL ? NULL : future->argument;
}

bool future_done(const struct future *future)
{
    return future != NULL && (atomic_load(&future->state) & DONE) != 0;
}

bool future_running(const struct future *future)
{
    unsigned state = future == NULL ? DONE : atomic_load(&future->state);
    if ((state & (OFFERED | DONE)) != OFFERED)
        return (state & (BEGUN | DONE)) == BEGUN;
    lock(&watching);
    bool has_begun = !future_done(future) && executor_has_begun(future);
    unlock(&watching);
    return has_begun;
}

bool future_cancelled(const struct future *future)
{
    return future_done(future) && future->result.status == RESULT_CANCELLED;
}

/* ---- Waiting ---- */

bool wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, double deadline)
{
    const double far_away = 1e9; /* seconds: no machine runs for so long */
    if (deadline > far_away) {
        must(pthread_cond_wait(condition, mutex));
        return true;
    }
    double whole = floor(deadline);
    struct timespec time = {.tv_sec = (time_t)whole,
                            .tv_nsec = (long)((deadline - whole) * 1e9)};
    int error = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &time);
    assert(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

static double deadline_in(double seconds)
{
    return seconds > 0 ? monotonic_seconds() + seconds : 0;
}

/* With the lock held: has the future tell when it is done. Returns false if it is done
   already, and may tell nobody any more. */
static bool watch(struct future *future)
{
    return (atomic_fetch_or(&future->state, WATCHED) & DONE) == 0;
}

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

static void remove_watcher(struct watcher *watcher)
{
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
    else
        watcher->future->watchers = watcher->previous;
}

static void waiter_open(struct waiter *waiter)
{
    *waiter = (struct waiter){.has_ready = PTHREAD_COND_INITIALIZER};
    waiter->last = &waiter->first;
}

static void wait_for_future(struct future *future, double deadline)
{
    struct waiter waiter;
    struct watcher watcher = {.waiter = &waiter};
    waiter_open(&waiter);
    lock(&watching);
    if (watch(future)) {
        bool is_in_time = true;
        add_watcher(future, &watcher);
        while (!watcher.is_ready && is_in_time)
            is_in_time = wait_until(&waiter.has_ready, &watching, deadline);
        if (!watcher.is_ready)
            remove_watcher(&watcher);
    }
    unlock(&watching);
    must(pthread_cond_destroy(&waiter.has_ready));
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
    if (!future_done(future) && seconds == INFINITY)
        executor_help(future);
    if (!future_done(future))
        wait_for_future(future, deadline_in(seconds));
    return future_done(future) ? &future->result : &timed_out;
}

const struct result *future_result(struct future *future)
{
    return future_result_within(future, INFINITY);
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
    lock(&watching);
    bool is_pending = watch(future);
    if (is_pending) {
        add_watcher(future, watcher);
        if (atomic_fetch_or(&future->state, CALLS_BACK) & OFFERED)
            executor_have_wait(future);
    }
    unlock(&watching);
    if (!is_pending) {
        free(watcher);
        callback(future, context);
    }
    return true;
}

/* ---- Many futures ---- */

/* With the lock held: watches all of them that are there, each once. Who is named twice
   is seen by its newest watcher, which is ours: nobody else can add one meanwhile. */
static void watch_all(struct as_completed *iterator, struct future *const futures[],
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct future *future = futures[i];
        if (future == NULL ||
            (future->watchers != NULL && future->watchers->waiter == &iterator->waiter))
            continue;
        struct watcher *watcher = &iterator->watchers[iterator->count++];
        *watcher = (struct watcher){.waiter = &iterator->waiter};
        add_watcher(future, watcher);
    }
}

struct as_completed *as_completed_open(struct future *const futures[], size_t count,
                                       double seconds)
{
    struct as_completed *iterator;
    if (futures == NULL && count > 0) {
        errno = EINVAL;
        return NULL;
    }
    if (count > (SIZE_MAX - sizeof(*iterator)) / sizeof(iterator->watchers[0])) {
        errno = ENOMEM;
        return NULL;
    }
    iterator = malloc(sizeof(*iterator) + count * sizeof(iterator->watchers[0]));
    if (iterator == NULL)
        return NULL;
    *iterator = (struct as_completed){.deadline = deadline_in(seconds)};
    waiter_open(&iterator->waiter);

    lock(&watching);
    watch_all(iterator, futures, count);
    iterator->left = iterator->count;
    for (size_t i = 0; i < iterator->count; i++) {
        struct watcher *watcher = &iterator->watchers[i];
        if (!watch(watcher->future)) {
            remove_watcher(watcher);
            make_ready(watcher);
        }
    }
    unlock(&watching);
    return iterator;
}

struct future *as_completed_next(struct as_completed *iterator)
{
    if (iterator == NULL || iterator->left == 0) {
        errno = iterator == NULL ? EINVAL : 0;
        return NULL;
    }
    struct waiter *waiter = &iterator->waiter;
    bool is_in_time = true;
    lock(&watching);
    while (waiter->first == NULL && is_in_time)
        is_in_time = wait_until(&waiter->has_ready, &watching, iterator->deadline);
    struct watcher *watcher = waiter->first;
    if (watcher != NULL) {
        waiter->first = watcher->next;
        if (waiter->first == NULL)
            waiter->last = &waiter->first;
        iterator->left--;
    }
    unlock(&watching);
    if (watcher == NULL)
        errno = ETIMEDOUT;
    return watcher == NULL ? NULL : watcher->future;
}

void as_completed_free(struct as_completed *iterator)
{
    if (iterator == NULL)
        return;
    lock(&watching);
    for (size_t i = 0; i < iterator->count; i++) {
        if (!iterator->watchers[i].is_ready)
            remove_watcher(&iterator->watchers[i]);
    }
    unlock(&watching);
    must(pthread_cond_destroy(&iterator->waiter.has_ready));
    free(iterator);
}

static bool is_exception(struct future *future)
{
    enum result_status status = future_result(future)->status;
    return status != RESULT_OK && status != RESULT_CANCELLED;
}

bool futures_wait(struct future *const futures[], size_t count, enum wait_until until,
                  double seconds)
{
    struct as_completed *completed = as_completed_open(futures, count, seconds);
    if (completed == NULL)
        return false;
    bool is_over = false;
    while (!is_over) {
        struct future *future = as_completed_next(completed);
        is_over = future == NULL || until == FIRST_COMPLETED ||
                  (until == FIRST_EXCEPTION && is_exception(future));
        if (future != NULL)
            errno = 0;
    }
    int error = errno;
    as_completed_free(completed);
    errno = error;
    return error == 0;
}
