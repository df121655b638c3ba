/*
 * What all executors have in common: opening, submitting, the threads of the executor's
 * own, shutting down, and the references that keep its memory.
 *
 *      executor_submit() --> queue --> a worker thread          (thread pool)
 *                              |
 *                              +-----> dispatch() --> worker    (other kinds)
 *
 * The executor's memory is freed when the last reference is given up. Its owner, its
 * threads and its futures hold one each; so a future can always ask its executor.
 */
#include "internal.h"

#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORKERS = 1000000 }; /* no machine has memory for more */

struct result result_broken(const char *format, ...)
{
    struct result result = {.status = RESULT_BROKEN};
    va_list values;
    va_start(values, format);
    if (vasprintf(&result.text, format, values) < 0)
        result.text = NULL;
    va_end(values);
    return result;
}

size_t usable_cpus(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        return (size_t)CPU_COUNT(&cpus);
    long count = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set holds */
    return count > 0 ? (size_t)count : 1;
}

/* ---- References ---- */

bool executor_is_elsewhere(const struct executor *executor)
{
    return executor->generation != fork_generation();
}

static void destroy(struct executor *executor)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    threads_join(executor);
    if (executor->kind->free != NULL)
        executor->kind->free(executor);
    task_queue_destroy(&executor->queue);
    must(pthread_mutex_destroy(&executor->lock), "pthread_mutex_destroy");
    must(pthread_cond_destroy(&executor->ended), "pthread_cond_destroy");
    free(executor->broken_why);
    free((char *)executor->options.initializer_argument);
    free(executor);
    pthread_setcancelstate(cancel_state, NULL);
}

void executor_ref(struct executor *executor)
{
    atomic_fetch_add(&executor->reference_count, 1);
}

/* A forked child has copies of references whose owners it does not have. */
void executor_unref(struct executor *executor)
{
    if (atomic_fetch_sub(&executor->reference_count, 1) == 1 &&
        !executor_is_elsewhere(executor))
        destroy(executor);
}

/* ---- Broken executors ---- */

struct result initializer_failed(const char *name, struct result result)
{
    struct result broken =
        result_broken("the initializer of worker %s failed: %s", name,
                      result.text == NULL ? "no reason given" : result.text);
    result_free(&result);
    return broken;
}

void executor_break(struct executor *executor, const char *why)
{
    mutex_lock(&executor->lock);
    if (!atomic_load(&executor->is_broken))
        executor->broken_why = why == NULL ? NULL : strdup(why);
    atomic_store(&executor->is_broken, true);
    mutex_unlock(&executor->lock);
}

struct future *executor_take_next(struct executor *executor)
{
    struct future *future;
    while ((future = task_queue_try_take(&executor->queue)) != NULL &&
           !future_begin(future))
        future_free(future);
    return future;
}

struct result call_task(task_fn task, const char *argument)
{
    unsigned generation = fork_generation();
    struct result result = task(argument);
    if (fork_generation() != generation)
        _exit(EXIT_SUCCESS); /* a copy that the task has forked: the pool is elsewhere */
    return result;
}

void complete_result(struct result *result, const struct span *span)
{
    bool is_known = result->status == RESULT_OK || result->status == RESULT_FAILED ||
                    result->status == RESULT_BROKEN || result->status == RESULT_TIMED_OUT;
    if (!is_known)
        result->status = RESULT_FAILED;
    result->span.pid = span->pid;
    memcpy(result->span.worker, span->worker, sizeof(span->worker));
    result->span.start = span->start;
    result->span.end = span->end;
}

struct result executor_broken_result(const struct executor *executor)
{
    const char *why = executor->broken_why; /* for good, once it is broken */
    return result_broken("%s", why == NULL ? "an initializer failed" : why);
}

/* ---- Submitting ---- */

static void abandon(void *future)
{
    future_free(future);
    future_free(future); /* nobody else holds it */
}

/* Waits until the queue has room. Returns 0 or an errno. */
static int put_waiting(struct executor *executor, struct future *future, double deadline)
{
    int error;
    pthread_cleanup_push(abandon, future);
    error = task_queue_put(&executor->queue, future, deadline, false);
    pthread_cleanup_pop(0);
    return error;
}

/* A thread of the pool's own never waits for room: it may be the one to make some. */
static int put(struct executor *executor, struct future *future, double deadline)
{
    int error =
        task_queue_put(&executor->queue, future, 0, executor_is_own_thread(executor));
    if (error == EAGAIN && deadline > 0)
        error = put_waiting(executor, future, deadline);
    return error;
}

struct future *executor_submit_until(struct executor *executor, task_fn task,
                                     const char *argument, double deadline)
{
    if (executor == NULL || task == NULL || executor_is_elsewhere(executor) ||
        (executor->kind->accepts != NULL && !executor->kind->accepts(executor, task))) {
        bool is_invalid = executor == NULL || task == NULL;
        errno = is_invalid || !executor_is_elsewhere(executor) ? EINVAL : EPERM;
        return NULL;
    }
    struct future *future = future_new(executor, task, argument == NULL ? "" : argument);
    if (future == NULL)
        return NULL;
    int error = put(executor, future, deadline);
    if (error != 0) {
        abandon(future);
        errno = error;
        return NULL;
    }
    if (executor->kind->dispatch != NULL)
        executor->kind->dispatch(executor);
    return future;
}

struct future *executor_submit(struct executor *executor, task_fn task,
                               const char *argument)
{
    return executor_submit_until(executor, task, argument, INFINITY);
}

struct future *executor_try_submit(struct executor *executor, task_fn task,
                                   const char *argument)
{
    return executor_submit_until(executor, task, argument, 0);
}

/* ---- What futures ask ---- */

bool executor_run_or_wait(struct future *future)
{
    struct executor *executor = future->executor;
    return executor_is_own_thread(executor) && executor->kind->run_or_wait != NULL &&
           executor->kind->run_or_wait(future);
}

bool executor_has_guest(const struct future *future)
{
    const struct executor *executor = future->executor;
    return executor_is_own_thread(executor) && executor->kind->has_guest != NULL &&
           executor->kind->has_guest();
}

bool may_wait_for_own_pool(void)
{
    return this_thread == NULL || this_thread->executor->kind->can_wait == NULL ||
           this_thread->executor->kind->can_wait();
}

bool executor_withdraw(struct future *future)
{
    struct executor *executor = future->executor;
    return !executor_is_elsewhere(executor) && executor->kind->withdraw(executor, future);
}

bool executor_has_begun(const struct future *future)
{
    struct executor *executor = future->executor;
    return !executor_is_elsewhere(executor) &&
           executor->kind->has_begun(executor, future);
}

/* ---- Opening ---- */

static bool is_valid(const struct executor_kind *kind,
                     const struct executor_options *options)
{
    errno = 0;
    if (options == NULL || !(options->task_seconds >= 0))
        errno = EINVAL;
    else if ((!kind->can_kill_workers && options->task_seconds > 0) ||
             (!kind->replaces_workers && options->max_tasks_per_worker > 0))
        errno = ENOTSUP;
    return errno == 0;
}

/* The executor without its threads. Returns NULL with errno set. */
static struct executor *executor_new(const struct executor_kind *kind,
                                     const struct executor_options *options)
{
    size_t workers = options->workers == 0 ? kind->default_workers() : options->workers;
    size_t most_threads = kind->has_worker_threads ? workers : 1;
    const char *argument = options->initializer_argument;
    struct executor *executor = NULL;
    if (workers <= MOST_WORKERS)
        executor =
            calloc(1, sizeof(*executor) + most_threads * sizeof(executor->threads[0]));
    char *copy = strdup(argument == NULL ? "" : argument);
    if (executor == NULL || copy == NULL) {
        free(executor);
        free(copy);
        errno = ENOMEM;
        return NULL;
    }
    *executor = (struct executor){
        .kind = kind,
        .options = *options,
        .generation = fork_generation(),
        .reference_count = 1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .ended = PTHREAD_COND_INITIALIZER,
    };
    executor->options.workers = workers;
    executor->options.initializer_argument = copy;
    task_queue_open(&executor->queue, options->queue_capacity);
    return executor;
}

/* Returns NULL with errno set. */
static struct executor *open_uncancelled(const struct executor_kind *kind,
                                         const struct executor_options *options)
{
    struct executor *executor = NULL;
    if (is_valid(kind, options))
        executor = executor_new(kind, options);
    if (executor == NULL)
        return NULL;

    size_t threads = kind->has_worker_threads ? executor->options.workers : 1;
    int error = kind->open == NULL || kind->open(executor) ? 0 : errno;
    int why_fewer = errno;
    for (size_t i = 0; i < threads && error == 0; i++)
        error = threads_add(executor);
    if (kind->has_worker_threads)
        executor->worker_count = executor->thread_count;
    if (executor->thread_count == 0) {
        executor_unref(executor);
        executor = NULL;
    }
    errno = error != 0 ? error : kind->open == NULL ? 0 : why_fewer;
    return executor;
}

struct executor *executor_open(const struct executor_kind *kind,
                               const struct executor_options *options)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    struct executor *executor = open_uncancelled(kind, options);
    pthread_setcancelstate(cancel_state, NULL); /* leaves errno alone */
    return executor;
}

size_t executor_workers(const struct executor *executor)
{
    return executor == NULL ? 0 : executor->worker_count;
}

/* ---- Shutting down ---- */

static void cancel_list(struct future *future)
{
    while (future != NULL) {
        struct future *next = future->next;
        future_cancel(future);
        future_free(future);
        future = next;
    }
}

static void cancel_dispatched(struct executor *executor)
{
    struct future *future;
    while (executor->kind->withdraw_next != NULL &&
           (future = executor->kind->withdraw_next(executor)) != NULL)
        future_finish_cancelled(future);
}

/* Takes no more tasks, and with `cancels` cancels those that have not begun. */
static void close_executor(struct executor *executor, bool cancels)
{
    struct future *list = task_queue_close(&executor->queue, cancels);
    if (cancels)
        cancel_dispatched(executor);
    cancel_list(list);
    if (executor->kind->dispatch != NULL)
        executor->kind->dispatch(executor);
}

/* Also when the thread is cancelled while it waits. */
static void unref(void *executor)
{
    executor_unref(executor);
}

static void shut_down(struct executor *executor, bool cancels, bool waits)
{
    if (executor == NULL || executor_is_elsewhere(executor))
        return;
    executor_ref(executor); /* a callback of a cancelled task may free the executor */
    pthread_cleanup_push(unref, executor);
    close_executor(executor, cancels);
    if (waits && !executor_is_own_thread(executor))
        threads_wait(executor);
    pthread_cleanup_pop(1);
}

void executor_close(struct executor *executor)
{
    shut_down(executor, false, false);
}

void executor_shutdown(struct executor *executor)
{
    shut_down(executor, false, true);
}

void executor_shutdown_now(struct executor *executor)
{
    shut_down(executor, true, true);
}

static bool stop_workers(struct executor *executor, int signal_number)
{
    if (executor == NULL)
        return true;
    if (!executor->kind->can_kill_workers || executor_is_elsewhere(executor)) {
        errno = executor->kind->can_kill_workers ? EPERM : ENOTSUP;
        return false;
    }
    executor_ref(executor);
    close_executor(executor, true);
    executor->kind->signal_workers(executor, signal_number);
    executor_unref(executor);
    return true;
}

bool executor_terminate_workers(struct executor *executor)
{
    return stop_workers(executor, SIGTERM);
}

bool executor_kill_workers(struct executor *executor)
{
    return stop_workers(executor, SIGKILL);
}

void executor_free(struct executor *executor)
{
    if (executor == NULL || executor_is_elsewhere(executor))
        return;
    executor_shutdown(executor);
    executor_unref(executor); /* NOLINT: clang-tidy does not count references */
}
