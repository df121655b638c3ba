#include "sync.h"

#include "die.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

void must(int error, const char *call)
{
    if (error != 0)
        die("%s: %s", call, strerror(error));
}

/* ---- Waiting ---- */

static void unlock_after_cancellation(void *mutex)
{
    mutex_unlock(mutex);
}

/* Returns 0 or ETIMEDOUT. */
static int wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, double deadline)
{
    const double far_away = 1e9; /* seconds: no machine runs for that long */
    if (deadline > far_away)
        return pthread_cond_wait(condition, mutex);
    double whole = floor(deadline);
    struct timespec time = {.tv_sec = (time_t)whole,
                            .tv_nsec = (long)((deadline - whole) * 1e9)};
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &time);
}

bool cond_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, double deadline)
{
    int error;
    pthread_cleanup_push(unlock_after_cancellation, mutex);
    error = wait_until(condition, mutex, deadline);
    pthread_cleanup_pop(0);
    if (error != ETIMEDOUT)
        must(error, "pthread_cond_clockwait");
    return error == 0;
}

/* ---- fork(2) ---- */

enum { MOST_MUTEXES = 4 };

static pthread_mutex_t *_Atomic held_over_forks[MOST_MUTEXES];
static atomic_uint generation;

/* How many of them this thread holds: another thread may register one more meanwhile. */
static _Thread_local size_t held;

static void before_fork(void)
{
    held = 0;
    while (held < MOST_MUTEXES && held_over_forks[held] != NULL)
        mutex_lock(held_over_forks[held++]);
}

static void after_fork_in_parent(void)
{
    while (held > 0)
        mutex_unlock(held_over_forks[--held]);
}

static void after_fork_in_child(void)
{
    after_fork_in_parent();
    atomic_fetch_add(&generation, 1);
}

static void register_handlers(void)
{
    must(pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child),
         "pthread_atfork");
}

static void watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    must(pthread_once(&once, register_handlers), "pthread_once");
}

void lock_over_forks(pthread_mutex_t *mutex)
{
    watch_forks();
    for (size_t i = 0; i < MOST_MUTEXES; i++) {
        pthread_mutex_t *none = NULL;
        if (atomic_compare_exchange_strong(&held_over_forks[i], &none, mutex) ||
            none == mutex)
            return;
    }
    must(ENOMEM, "lock_over_forks");
}

unsigned fork_generation(void)
{
    watch_forks();
    return atomic_load(&generation);
}
