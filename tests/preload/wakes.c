/*
 * A library to be preloaded (LD_PRELOAD, ld.so(8)): condition variables are as unkind as
 * POSIX allows, each time and not once in a thousand runs. In threads that the program
 * has created,
 *
 *   - the first pthread_cond_wait(3) returns without a signal (a spurious wake-up);
 *   - a thread that a signal wakes gets the mutex after the others that want it;
 *   - time passes before a thread locks a mutex, and before it sleeps on a condition;
 *   - a thread that locks a mutex between its first two waits gets it only when the main
 *     thread has signalled or broadcast: what it has looked at before may have changed.
 *
 * pthread_create(3) returns when the new thread has come to its second wait; so what the
 * program does next, it does while its threads wait. If the new thread does something
 * else, pthread_create(3) returns a moment later than it would.
 *
 * A thread that waits with a mutex that it does not hold ends the program with a line
 * that says so.
 */
#include "next.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    MOMENT = 20 * 1000 * 1000, /* nanoseconds */
    PATIENCE = 5 * MOMENT,     /* how long pthread_create() waits for the new thread */
    MOST_MOMENTS = 10, /* of each thread; so that thousands of pages take no hour */
    MOST_SECONDS = 2,  /* how long a thread waits for the main thread to signal */
};

/* A new thread, and the one that has created it and waits. */
struct birth {
    void *(*start)(void *argument);
    void *argument;
    sem_t has_waited;
    atomic_int references;
};

static int (*next_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int (*next_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*next_lock)(pthread_mutex_t *);
static int (*next_unlock)(pthread_mutex_t *);
static int (*next_signal)(pthread_cond_t *);
static int (*next_broadcast)(pthread_cond_t *);

static atomic_uint signals; /* and broadcasts, of the main thread */

static _Thread_local bool is_created; /* not main's thread */
static _Thread_local struct birth *birth;
static _Thread_local unsigned waits;
static _Thread_local unsigned moments;

__attribute__((constructor)) static void find_functions(void)
{
    *(void **)&next_create = next_function("pthread_create");
    *(void **)&next_wait = next_function("pthread_cond_wait");
    *(void **)&next_lock = next_function("pthread_mutex_lock");
    *(void **)&next_unlock = next_function("pthread_mutex_unlock");
    *(void **)&next_signal = next_function("pthread_cond_signal");
    *(void **)&next_broadcast = next_function("pthread_cond_broadcast");
}

static void let_time_pass(void)
{
    if (is_created && moments++ < MOST_MOMENTS)
        nanosleep(&(struct timespec){.tv_nsec = MOMENT}, NULL);
}

/* ---- Creating threads ---- */

static void unref(struct birth *of)
{
    if (atomic_fetch_sub(&of->references, 1) > 1)
        return;
    sem_destroy(&of->has_waited);
    free(of);
}

/* Lets the creator go on. */
static void end_birth(void)
{
    struct birth *ended = birth;
    birth = NULL;
    if (ended == NULL)
        return;
    sem_post(&ended->has_waited);
    unref(ended);
}

static void *run(void *argument)
{
    birth = argument;
    is_created = true;
    void *result = birth->start(birth->argument);
    end_birth();
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *argument), void *argument)
{
    struct birth *new = malloc(sizeof(*new));
    struct timespec end;
    if (new == NULL)
        abort();
    *new = (struct birth){.start = start, .argument = argument, .references = 2};
    sem_init(&new->has_waited, 0, 0);
    int error = next_create(thread, attributes, run, new);
    if (error != 0)
        unref(new);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += PATIENCE;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    if (error == 0)
        sem_clockwait(&new->has_waited, CLOCK_MONOTONIC, &end);
    unref(new);
    return error;
}

/* ---- Waiting ---- */

static void wait_for_signal_of_main(unsigned before)
{
    const int most = MOST_SECONDS * 1000;
    for (int i = 0; i < most && atomic_load(&signals) == before; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (next_lock == NULL)
        find_functions();
    if (waits > 0 && birth != NULL) {
        unsigned before = atomic_load(&signals);
        end_birth();
        wait_for_signal_of_main(before);
    }
    let_time_pass();
    return next_lock(mutex);
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    int error = next_signal(condition);
    if (!is_created)
        atomic_fetch_add(&signals, 1);
    return error;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    int error = next_broadcast(condition);
    if (!is_created)
        atomic_fetch_add(&signals, 1);
    return error;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (mutex->__data.__owner != gettid()) {
        fprintf(stderr, "pthread_cond_wait: the thread does not hold the mutex\n");
        abort();
    }
    if (is_created && waits++ == 0)
        return 0;
    end_birth();
    let_time_pass();
    int error = next_wait(condition, mutex);
    if (error == 0 && is_created) {
        next_unlock(mutex);
        let_time_pass();
        next_lock(mutex);
    }
    return error;
}
