/*
 * What a program calls of pthreads and semaphores: each call is a step or several, and
 * changes what is written down of the object.
 */
#include "explore.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

/* ---- Threads ---- */

static pthread_key_t key;

/* Called when a thread has ended, whatever way, in the last of the rounds in which the
   program's own destructors are called (pthread_key_create(3)). */
static void on_end(void *round)
{
    if ((uintptr_t)round < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(key, (char *)round + 1);
    else if (is_scheduled())
        thread_end();
}

__attribute__((constructor)) static void prepare(void)
{
    if (pthread_key_create(&key, on_end) != 0 ||
        pthread_setspecific(key, (void *)1) != 0 || /* main() may call pthread_exit() */
        pthread_atfork(NULL, NULL, schedule_end) != 0)
        abort();
}

/* The thread's stack, which may have been another's. */
static void forget_stack(void)
{
    pthread_attr_t attributes;
    void *stack;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &stack, &size) != 0)
        abort();
    pthread_attr_destroy(&attributes);
    forget(stack, size);
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    thread_begin(thread);
    forget_stack();
    pthread_setspecific(key, (void *)1);
    return thread->start(thread->argument);
}

static int create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                  void *argument)
{
    int detached = PTHREAD_CREATE_JOINABLE;
    step("create", NULL, NULL, NULL);
    struct thread *new = thread_new(start, argument);
    int error = NEXT(pthread_create)(id, attributes, run, new);
    self->seen[self->number]++;
    if (attributes != NULL)
        pthread_attr_getdetachstate(attributes, &detached);
    new->is_detached = detached == PTHREAD_CREATE_DETACHED;
    new->id = error == 0 ? *id : 0;
    new->is_used = error == 0;
    return error;
}
INSTEAD(int, pthread_create,
        (pthread_t * id, const pthread_attr_t *attributes, void *(*start)(void *),
         void *argument),
        (id, attributes, start, argument), create(id, attributes, start, argument))

static struct thread *thread_of(pthread_t id)
{
    struct thread *thread = threads;
    while (thread < threads_end && !(thread->is_used && pthread_equal(thread->id, id)))
        thread++;
    if (thread == threads_end)
        fault("join", "%s joined or detached a thread that is not there", self->name);
    return thread;
}

static bool has_ended(struct thread *thread)
{
    return ((const struct thread *)thread->object)->is_finished;
}

static int join(pthread_t id, void **result)
{
    struct thread *joined = thread_of(id);
    step("join", joined, NULL, has_ended);
    see_all(self->seen, joined->seen);
    joined->is_used = false;
    return NEXT(pthread_join)(id, result); /* it needs no turn any more */
}
INSTEAD(int, pthread_join, (pthread_t id, void **result), (id, result), join(id, result))

static void detach(struct thread *thread)
{
    thread->is_detached = true;
    thread->is_used = !thread->is_finished;
}
BEFORE(int, pthread_detach, (pthread_t id), (id), detach(thread_of(id)))

/* ---- Mutexes ---- */

static bool is_free(struct thread *thread)
{
    return word_at(thread->object)->owner == NULL;
}

/* Takes what has one owner. */
static int take(const char *what, const void *object, bool waits)
{
    step(what, object, NULL, waits ? is_free : NULL);
    struct word *word = word_at(object);
    if (word->owner != NULL) {
        be_last();
        return waits ? ETIMEDOUT : EBUSY;
    }
    word->owner = self;
    word->count = 1;
    acquire(word);
    return 0;
}

static void give_back(struct word *word)
{
    if (--word->count > 0)
        return;
    word->owner = NULL;
    release(word);
}

static int lock(const char *what, pthread_mutex_t *mutex, bool waits)
{
    bool is_recursive = (mutex->__data.__kind & 3) == PTHREAD_MUTEX_RECURSIVE_NP;
    if (!is_recursive || word_at(mutex)->owner != self)
        return take(what, mutex, waits);
    self->deadline = 0;
    word_at(mutex)->count++;
    return 0;
}

static int unlock(pthread_mutex_t *mutex)
{
    struct word *word = word_at(mutex);
    note("mutex_unlock", mutex, 0);
    if (word->owner == NULL)
        fault("unlock", "%s unlocked a lock that no thread held", self->name);
    if (word->owner != self)
        fault("unlock", "%s unlocked the lock that %s held", self->name,
              word->owner->name);
    give_back(word);
    step(NULL, NULL, NULL, NULL);
    return 0;
}

INSTEAD_ONE(pthread_mutex_lock, pthread_mutex_t, lock("mutex_lock", object, true))
INSTEAD_ONE(pthread_mutex_trylock, pthread_mutex_t, lock("mutex_trylock", object, false))
INSTEAD(int, pthread_mutex_timedlock,
        (pthread_mutex_t * mutex, const struct timespec *time), (mutex, time),
        (self->deadline = deadline_at(CLOCK_REALTIME, time),
         lock("mutex_timedlock", mutex, true)))
INSTEAD_ONE(pthread_mutex_unlock, pthread_mutex_t, unlock(object))
BEFORE(int, pthread_mutex_init,
       (pthread_mutex_t * mutex, const pthread_mutexattr_t *kind), (mutex, kind),
       forget(mutex, sizeof(*mutex)))

/* ---- Condition variables ---- */

static bool is_awake(struct thread *thread)
{
    return thread->is_woken;
}

bool is_asleep(const struct thread *thread, const void *condition)
{
    return is_alive(thread) && thread->can == is_awake && !thread->is_woken &&
           !thread->is_late && (condition == NULL || thread->object == condition);
}

/* To wait is three steps: to go to sleep and release the mutex; to be woken; and to take
   the mutex again, perhaps after others. */
static int wait_on(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline)
{
    step("cond_wait", condition, mutex, NULL);
    if (word_at(mutex)->owner != self)
        fault("wait", "%s waited with a lock that it did not hold", self->name);
    give_back(word_at(mutex));
    self->is_woken = false;
    self->deadline = deadline;
    step("wakes", condition, mutex, is_awake);
    bool is_late = !self->is_woken;
    take("mutex_lock", mutex, true);
    return is_late ? ETIMEDOUT : 0;
}

static int wake(const char *what, const void *condition, bool wakes_all)
{
    struct thread *sleepers[MOST_THREADS];
    step(NULL, NULL, NULL, NULL);
    unsigned count = find_asleep(sleepers, condition);
    if (count > 1 && !wakes_all) {
        sleepers[0] = sleepers[pick(count)];
        count = 1;
    }
    for (unsigned i = 0; i < count; i++)
        sleepers[i]->is_woken = true;
    note(what, condition, count);
    return 0;
}

static clockid_t clock_of(const pthread_cond_t *condition)
{
    return condition->__data.__wrefs & 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME; /* glibc's */
}

INSTEAD(int, pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
        (condition, mutex), wait_on(condition, mutex, 0))
INSTEAD(int, pthread_cond_timedwait,
        (pthread_cond_t * condition, pthread_mutex_t *mutex, const struct timespec *time),
        (condition, mutex, time),
        wait_on(condition, mutex, deadline_at(clock_of(condition), time)))
INSTEAD(int, pthread_cond_clockwait,
        (pthread_cond_t * condition, pthread_mutex_t *mutex, clockid_t clock,
         const struct timespec *time),
        (condition, mutex, clock, time),
        wait_on(condition, mutex, deadline_at(clock, time)))
INSTEAD_ONE(pthread_cond_signal, pthread_cond_t, wake("cond_signal", object, false))
INSTEAD_ONE(pthread_cond_broadcast, pthread_cond_t, wake("cond_broadcast", object, true))

/* ---- Semaphores ---- */

static bool has_token(struct thread *thread)
{
    return word_at(thread->object)->count > 0;
}

static int take_token(const char *what, sem_t *semaphore, bool waits, int64_t deadline)
{
    self->deadline = deadline;
    step(what, semaphore, NULL, waits ? has_token : NULL);
    struct word *word = word_at(semaphore);
    if (word->count == 0) {
        be_last();
        errno = waits ? ETIMEDOUT : EAGAIN;
        return -1;
    }
    word->count--;
    acquire(word);
    return 0;
}

static int post(sem_t *semaphore)
{
    step("sem_post", semaphore, NULL, NULL);
    word_at(semaphore)->count++;
    release(word_at(semaphore));
    return 0;
}

static void set_count(void *object, size_t size, unsigned count)
{
    forget(object, size);
    word_at(object)->count = word_at(object)->limit = count;
}

BEFORE(int, sem_init, (sem_t * semaphore, int is_shared, unsigned value),
       (semaphore, is_shared, value), set_count(semaphore, sizeof(*semaphore), value))
INSTEAD_ONE(sem_wait, sem_t, take_token("sem_wait", object, true, 0))
INSTEAD_ONE(sem_trywait, sem_t, take_token("sem_trywait", object, false, 0))
INSTEAD(int, sem_timedwait, (sem_t * semaphore, const struct timespec *time),
        (semaphore, time),
        take_token("sem_timedwait", semaphore, true, deadline_at(CLOCK_REALTIME, time)))
INSTEAD_ONE(sem_post, sem_t, post(object))
INSTEAD(int, sem_getvalue, (sem_t * semaphore, int *value), (semaphore, value),
        (*value = (int)word_at(semaphore)->count, 0))

/* ---- Barriers, once, and read-write locks ---- */

static bool is_round_over(struct thread *thread)
{
    return word_at(thread->object)->round != thread->round;
}

/* The barrier's count is of those that have not arrived. */
static int arrive(pthread_barrier_t *barrier)
{
    struct word *word = word_at(barrier);
    step("barrier_wait", barrier, NULL, NULL);
    release(word);
    self->round = word->round;
    bool is_last = --word->count == 0;
    if (is_last) {
        word->count = word->limit;
        word->round++;
    }
    step("passes", barrier, NULL, is_round_over);
    acquire(word);
    return is_last ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}
INSTEAD_ONE(pthread_barrier_wait, pthread_barrier_t, arrive(object))
BEFORE(int, pthread_barrier_init,
       (pthread_barrier_t * barrier, const pthread_barrierattr_t *kind, unsigned count),
       (barrier, kind, count), set_count(barrier, sizeof(*barrier), count))

/* The C library runs it, so that a forked child knows that it was. */
static int call_once(pthread_once_t *once, void (*initialize)(void))
{
    take("once", once, true);
    int error = NEXT(pthread_once)(once, initialize);
    give_back(word_at(once));
    return error;
}
INSTEAD(int, pthread_once, (pthread_once_t * once, void (*initialize)(void)),
        (once, initialize), call_once(once, initialize))

static bool is_free_to_write(struct thread *thread)
{
    return is_free(thread) && word_at(thread->object)->count == 0;
}

static int take_shared(const char *what, pthread_rwlock_t *rwlock,
                       bool (*can)(struct thread *), bool waits)
{
    step(what, rwlock, NULL, waits ? can : NULL);
    struct word *word = word_at(rwlock);
    if (!can(self)) {
        be_last();
        return EBUSY;
    }
    word->owner = can == is_free_to_write ? self : NULL;
    word->count++;
    acquire(word);
    return 0;
}

static int unlock_shared(pthread_rwlock_t *rwlock)
{
    note("rwlock_unlock", rwlock, 0);
    struct word *word = word_at(rwlock);
    if (word->count == 0 || (word->owner != NULL && word->owner != self))
        fault("unlock", "%s unlocked a lock that it did not hold", self->name);
    word->count--;
    word->owner = NULL;
    release(word);
    step(NULL, NULL, NULL, NULL);
    return 0;
}
INSTEAD_ONE(pthread_rwlock_rdlock, pthread_rwlock_t,
            take_shared("rwlock_rdlock", object, is_free, true))
INSTEAD_ONE(pthread_rwlock_tryrdlock, pthread_rwlock_t,
            take_shared("rwlock_tryrdlock", object, is_free, false))
INSTEAD_ONE(pthread_rwlock_wrlock, pthread_rwlock_t,
            take_shared("rwlock_wrlock", object, is_free_to_write, true))
INSTEAD_ONE(pthread_rwlock_trywrlock, pthread_rwlock_t,
            take_shared("rwlock_trywrlock", object, is_free_to_write, false))
INSTEAD_ONE(pthread_rwlock_unlock, pthread_rwlock_t, unlock_shared(object))
