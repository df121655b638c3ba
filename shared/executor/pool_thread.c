/*
 * The threads of an executor's own: workers, or the manager of the workers. If a task or
 * a callback ends one, another takes its place.
 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct pool_thread *this_thread;

/* How long a thread waits before it tries again to start its successor, in seconds. */
static const double first_delay = 0.01;
static const double longest_delay = 1;

bool executor_is_own_thread(const struct executor *executor)
{
    return this_thread != NULL && this_thread->executor == executor &&
           !executor_is_elsewhere(executor);
}

void executor_end_copy(const struct executor *executor)
{
    if (this_thread != NULL && this_thread->executor == executor &&
        executor_is_elsewhere(executor))
        _exit(EXIT_SUCCESS);
}

static void *run_thread(void *argument);

/* Waits so long. If no other thread is there to run tasks, the next one fails instead, so
   that none waits for ever. */
static void pause_or_fail_one(struct executor *executor, double seconds, int error)
{
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)(fmod(seconds, 1) * 1e9)};
    struct future *future = NULL;
    mutex_lock(&executor->lock);
    bool is_alone = executor->alive == 1;
    mutex_unlock(&executor->lock);
    if (is_alone && executor->kind->has_worker_threads)
        future = task_queue_try_take(&executor->queue);
    if (future == NULL)
        nanosleep(&time, NULL);
    else if (future_begin(future))
        future_finish(future,
                      result_broken("no thread can be started: %s", strerror(error)));
    else
        future_free(future);
}

/* The thread has nothing more to do, and another may join it. */
static void end_thread(struct executor *executor)
{
    mutex_lock(&executor->lock);
    executor->alive--;
    cond_broadcast(&executor->ended);
    mutex_unlock(&executor->lock);
    executor_unref(executor);
}

/* Returns 0 or an errno. */
static int start_successor(struct pool_thread *thread)
{
    pthread_t successor;
    mutex_lock(&thread->executor->lock); /* it may end before we have noted it */
    int error = pthread_create(&successor, NULL, run_thread, thread);
    if (error == 0)
        thread->thread = successor;
    mutex_unlock(&thread->executor->lock);
    return error;
}

/* A task or a callback has ended the thread: another takes its place, unless it is a
   worker for which there is nothing left to do. */
static void replace_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct executor *executor = thread->executor;
    double delay = first_delay;
    int error;
    while ((error = start_successor(thread)) != 0) {
        if (executor->kind->has_worker_threads &&
            task_queue_is_drained(&executor->queue)) {
            end_thread(executor);
            return;
        }
        pause_or_fail_one(executor, delay, error);
        delay = fmin(2 * delay, longest_delay);
    }
    must(pthread_detach(pthread_self()), "pthread_detach");
}

static void *run_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct executor *executor = thread->executor;
    this_thread = thread;
    /* A task may enable it for itself. */
    must(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), "pthread_setcancelstate");
    pthread_cleanup_push(replace_thread, thread);
    executor->kind->serve(thread);
    pthread_cleanup_pop(0);
    end_thread(executor);
    return NULL;
}

int threads_add(struct executor *executor)
{
    struct pool_thread *thread = &executor->threads[executor->thread_count];
    *thread =
        (struct pool_thread){.executor = executor, .number = executor->thread_count + 1};
    mutex_lock(&executor->lock); /* the thread may end before we have counted it */
    int error = pthread_create(&thread->thread, NULL, run_thread, thread);
    if (error == 0) {
        executor_ref(executor);
        executor->thread_count++;
        executor->alive++;
    }
    mutex_unlock(&executor->lock);
    return error;
}

void threads_join(struct executor *executor)
{
    for (size_t i = 0; i < executor->thread_count && !executor->is_joined; i++) {
        struct pool_thread *thread = &executor->threads[i];
        if (thread == this_thread)
            must(pthread_detach(thread->thread), "pthread_detach");
        else
            thread_join(thread->thread);
    }
}

void threads_wait(struct executor *executor)
{
    int cancel_state;
    mutex_lock(&executor->lock);
    while (executor->alive > 0 || (executor->is_joining && !executor->is_joined))
        cond_wait_until(&executor->ended, &executor->lock, INFINITY);
    bool is_first = !executor->is_joining;
    executor->is_joining = true;
    mutex_unlock(&executor->lock);
    if (!is_first)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    threads_join(executor);
    pthread_setcancelstate(cancel_state, NULL);
    mutex_lock(&executor->lock);
    executor->is_joined = true;
    cond_broadcast(&executor->ended);
    mutex_unlock(&executor->lock);
}
