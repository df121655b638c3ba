/*
 * The calls of pthreads that fail only if the program is wrong, such as to join a thread
 * twice. They are checked all the same, here, so that a lesson's line stays the line you
 * see: each does what the pthread_ function of that name does, and if that fails, ends
 * the program with one line that says so.
 *
 * pthread_create(3) is not among them: it fails when the system has no thread to give.
 */
#ifndef THREADS_H
#define THREADS_H

#include "report.h"

#include <pthread.h>
#include <string.h>

static inline void must(int error, const char *call)
{
    if (error != 0)
        report_fatal("%s: %s", call, strerror(error));
}

static inline void thread_join(pthread_t thread)
{
    must(pthread_join(thread, NULL), "pthread_join");
}

static inline void mutex_lock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_lock(mutex), "pthread_mutex_lock");
}

static inline void mutex_unlock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_unlock(mutex), "pthread_mutex_unlock");
}

static inline void cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    must(pthread_cond_wait(condition, mutex), "pthread_cond_wait");
}

static inline void cond_signal(pthread_cond_t *condition)
{
    must(pthread_cond_signal(condition), "pthread_cond_signal");
}

static inline void cond_broadcast(pthread_cond_t *condition)
{
    must(pthread_cond_broadcast(condition), "pthread_cond_broadcast");
}

#endif
