/*
 * Mutexes, condition variables and joins: the calls of pthreads that fail only if the
 * program is wrong, such as unlocking a mutex that another thread holds (POSIX). They are
 * checked all the same, here, so that a lesson's line stays the line you see: each does
 * what the pthread_ function of that name does, and if that fails, ends the program with
 * one line that says so.
 *
 * pthread_create(3) is not among them: it fails when the system has no thread to give.
 */
#ifndef SYNC_H
#define SYNC_H

#include <pthread.h>
#include <stdbool.h>

/* Ends the program with one line that names the call unless `error` is 0. */
void must(int error, const char *call);

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

/*
 * Waits on the condition until the deadline, in seconds on the clock of monotonic.h;
 * INFINITY is never, and 0 is at once. Returns false when the deadline has passed. As
 * with cond_wait(), it may return true without a signal.
 *
 * It is a cancellation point (pthread_cancel(3)): a thread that is cancelled here
 * releases the mutex.
 */
bool cond_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, double deadline);

/* ---- fork(2) ---- */

/*
 * Has every later fork() in this program take the mutex first and release it afterwards,
 * in the parent and in the child: so no child begins with the mutex held by a thread that
 * only its parent has. At most 4 mutexes; a mutex is registered once however often it is
 * named. A thread must not fork while it holds one.
 */
void lock_over_forks(pthread_mutex_t *mutex);

/*
 * How many forks lie between this process and the one that first called it, or
 * lock_over_forks(). Where a thread remembers the number and later reads another, it is
 * in a forked child, which has no other thread of its parent's. vfork(2), _Fork(3) and
 * clone(2) go unnoticed: they run no handlers (pthread_atfork(3)).
 */
unsigned fork_generation(void);

#endif
