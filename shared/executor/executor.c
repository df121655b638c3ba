/*
 * What all executors have in common: a queue of futures, and worker threads that take
 * them out of it.
 */
#include "internal.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The worker whose thread this is; NULL: it is none's. */
static _Thread_local struct worker *this_worker;

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

/* ---- Whose it is, and who still needs it ---- */

/* Whether we are in a forked child, and the executor's workers are not. */
static bool is_elsewhere(const struct executor *executor)
{
    return executor->generation != process_generation();
}

static bool is_own_worker(const struct executor *executor)
{
    return this_worker != NULL && this_worker->executor == executor &&
           !is_elsewhere(executor);
}

static void executor_destroy(struct executor *executor)
{
    futures_leave();
    if (executor->kind->close != NULL)
        executor->kind->close(executor);
    free(executor->broken_why);
    free((char *)executor->options.initializer_argument);
    free(executor->workers);
    must(pthread_mutex_destroy(&executor->lock));
    must(pthread_mutex_destroy(&executor->taking));
    must(pthread_cond_destroy(&executor->has_task));
    must(pthread_cond_destroy(&executor->has_room));
    must(pthread_cond_destroy(&executor->is_over));
    free(executor);
}

static void join_all(struct executor *executor)
{
    for (size_t i = 0; i < executor->worker_count; i++) {
        struct worker *worker = &executor->workers[i];
        if (worker != this_worker)
            must(pthread_join(worker->thread, NULL));
    }
}

static void hold(struct executor *executor)
{
    lock(&executor->lock);
    executor->holders++;
    unlock(&executor->lock);
}

/* The last one to let go frees the executor. Mostly that is its owner, who has joined the
   workers; but if a task or callback has freed it, it may be a worker. */
static void let_go(struct executor *executor)
{
    lock(&executor->lock);
    bool is_last = --executor->holders == 0;
    unlock(&executor->lock);
    if (!is_last)
        return;
    if (is_own_worker(executor))
        must(pthread_detach(pthread_self()));
    if (!executor->is_joined)
        join_all(executor);
    executor_destroy(executor);
}

/* ---- The queue: what has been submitted, and before it what is next. Each part has its
   lock, so that who submits and who takes seldom wait for each other ---- */

/* With the lock held. */
static bool has_task(const struct executor *executor)
{
    return executor->submitted != NULL || atomic_load(&executor->next) != NULL;
}

/* With the lock held: whether a worker has to be woken. One is woken at a time: it takes
   a task, and then wakes another if there is one more. */
static bool has_to_wake(struct executor *executor)
{
    if (!has_task(executor) || executor->sleepers == 0 || executor->is_waking)
        return false;
    executor->is_waking = true;
    return true;
}

static void wake_another(struct executor *executor)
{
    lock(&executor->lock);
    bool wakes = has_to_wake(executor);
    unlock(&executor->lock);
    if (wakes)
        wake_one(&executor->has_task);
}

/* Sleeps while there is no task. Returns false when there will be none any more. */
static bool wait_for_task(struct executor *executor, bool *has_slept)
{
    lock(&executor->lock);
    while (!has_task(executor) && !executor->is_closed) {
        executor->sleepers++;
        wait_for(&executor->has_task, &executor->lock);
        executor->sleepers--;
        executor->is_waking = false;
        *has_slept = true;
    }
    bool is_there = has_task(executor);
    unlock(&executor->lock);
    return is_there;
}

/* With the takers' lock held: all that has been submitted is next. */
static void fetch_submitted(struct executor *executor)
{
    lock(&executor->lock);
    atomic_store(&executor->next, executor->submitted);
    executor->submitted = NULL;
    executor->last = &executor->submitted;
    unlock(&executor->lock);
}

static void make_room(struct executor *executor)
{
    lock(&executor->lock);
    executor->count--;
    unlock(&executor->lock);
    wake_one(&executor->has_room);
}

struct future *executor_take_if_there(struct executor *executor)
{
    lock(&executor->taking);
    if (atomic_load(&executor->next) == NULL)
        fetch_submitted(executor);
    struct future *future = atomic_load(&executor->next);
    if (future != NULL)
        atomic_store(&executor->next, future->next);
    unlock(&executor->taking);
    if (future != NULL && executor->options.queue_capacity > 0)
        make_room(executor);
    return future;
}

bool executor_wait_for_task(struct executor *executor)
{
    bool has_slept;
    return wait_for_task(executor, &has_slept);
}

bool executor_is_drained(struct executor *executor)
{
    lock(&executor->lock);
    bool is_drained = executor->is_closed && !has_task(executor);
    unlock(&executor->lock);
    return is_drained;
}

/* Takes the next future out of the queue; waits while there is none. Returns NULL when
   there will be none any more. */
static struct future *take(struct executor *executor)
{
    struct future *future;
    bool has_slept = false;
    while ((future = executor_take_if_there(executor)) == NULL &&
           wait_for_task(executor, &has_slept))
        continue;
    if (has_slept)
        wake_another(executor);
    return future;
}

/* With the lock held: whether the queue has room for one more. A worker of its own always
   finds some. */
static bool has_room(const struct executor *executor)
{
    size_t capacity = executor->options.queue_capacity;
    return capacity == 0 || executor->count < capacity || is_own_worker(executor);
}

/* Puts the future into the queue; waits for room until the deadline. Returns 0 or an
   errno. */
static int put(struct executor *executor, struct future *future, double deadline)
{
    int error = 0;
    bool wakes = false;
    bool offers = false;
    bool is_in_time = deadline > 0;
    lock(&executor->lock);
    while (!has_room(executor) && !executor->is_closed && is_in_time)
        is_in_time = wait_until(&executor->has_room, &executor->lock, deadline);
    if (executor->is_closed) {
        error = ESHUTDOWN;
    } else if (!has_room(executor)) {
        error = EAGAIN;
    } else {
        *executor->last = future;
        executor->last = &future->next;
        executor->count++;
        wakes = has_to_wake(executor);
        offers = executor->kind->offer != NULL;
        executor->holders += wakes || offers ? 1 : 0; /* the task might free it */
    }
    unlock(&executor->lock);
    if (wakes)
        wake_one(&executor->has_task);
    if (offers)
        executor->kind->offer(executor);
    if (wakes || offers)
        let_go(executor);
    return error;
}

struct future *executor_submit_until(struct executor *executor, task_fn task,
                                     const char *argument, double deadline)
{
    if (executor == NULL || task == NULL || is_elsewhere(executor)) {
        errno = executor == NULL || task == NULL ? EINVAL : EPERM;
        return NULL;
    }
    struct future *future = future_new(executor, task, argument == NULL ? "" : argument);
    if (future == NULL)
        return NULL;
    int error = put(executor, future, deadline);
    if (error == 0)
        return future;
    future_free(future);
    future_free(future); /* nobody else holds it */
    errno = error;
    return NULL;
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

bool executor_pause(struct executor *executor, double seconds)
{
    double deadline = monotonic_seconds() + seconds;
    lock(&executor->lock);
    while (!executor->is_closed &&
           wait_until(&executor->is_over, &executor->lock, deadline))
        continue;
    bool is_closed = executor->is_closed;
    unlock(&executor->lock);
    return !is_closed;
}

/* ---- The workers ---- */

void name_span(struct span *span, const struct worker *worker)
{
    span->pid = worker->who.pid;
    memcpy(span->worker, worker->who.worker, sizeof(span->worker));
}

struct result initializer_failed(const struct worker *worker, struct result result)
{
    struct result broken =
        result_broken("the initializer of worker %s failed: %s", worker->who.worker,
                      result.text == NULL ? "no reason given" : result.text);
    result_free(&result);
    return broken;
}

void executor_break(struct executor *executor, const char *why)
{
    lock(&executor->lock);
    if (!atomic_load(&executor->is_broken))
        executor->broken_why = why == NULL ? NULL : strdup(why);
    atomic_store(&executor->is_broken, true);
    unlock(&executor->lock);
}

struct result executor_broken_result(const struct executor *executor)
{
    const char *why = executor->broken_why; /* for good, once it is broken */
    return result_broken("%s", why == NULL ? "an initializer failed" : why);
}

static void run(struct worker *worker, struct future *future)
{
    struct executor *executor = worker->executor;
    if (atomic_load(&executor->is_broken))
        future_finish(future, executor_broken_result(executor));
    else
        future_finish(future,
                      executor->kind->run(worker, future->task, future->argument));
}

void executor_help(struct future *future)
{
    if (!is_own_worker(future->executor))
        return;
    if (this_worker->executor->kind->help != NULL)
        this_worker->executor->kind->help(this_worker, future);
    else if (future_begin(future))
        run(this_worker, future);
}

bool executor_take_back(struct future *future)
{
    struct executor *executor = future->executor;
    return !is_elsewhere(executor) && executor->kind->take_back(executor, future) != NULL;
}

bool executor_has_begun(const struct future *future)
{
    struct executor *executor = future->executor;
    return !is_elsewhere(executor) && executor->kind->has_begun(executor, future);
}

void executor_have_wait(const struct future *future)
{
    struct executor *executor = future->executor;
    if (!is_elsewhere(executor))
        executor->kind->have_wait(executor, future);
}

/* Takes task after task, until there are no more. */
static void run_all(struct worker *worker)
{
    struct future *future;
    while ((future = take(worker->executor)) != NULL) {
        if (future_begin(future))
            run(worker, future);
        future_free(future);
    }
}

/* What each worker's thread runs. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct executor_kind *kind = worker->executor->kind;
    this_worker = worker;
    worker_set_name(kind->worker_name, worker->number);
    kind->set_up(worker);
    if (kind->serve != NULL)
        kind->serve(worker);
    else
        run_all(worker);
    kind->end(worker);
    let_go(worker->executor);
    return NULL;
}

/* Starts one more worker. Returns 0 or an errno. */
static int add_worker(struct executor *executor)
{
    const struct executor_kind *kind = executor->kind;
    struct worker *worker = &executor->workers[executor->worker_count];
    *worker = (struct worker){
        .executor = executor, .number = executor->worker_count + 1, .who.pid = getpid()};
    snprintf(worker->who.worker, sizeof(worker->who.worker), "%s-%zu", kind->worker_name,
             worker->number);
    if (kind->start != NULL && !kind->start(worker))
        return errno;
    int error = pthread_create(&worker->thread, NULL, work, worker);
    if (error == 0)
        executor->worker_count++;
    else
        kind->end(worker);
    return error;
}

static bool is_valid(const struct executor_kind *kind,
                     const struct executor_options *options)
{
    errno = 0;
    if (options == NULL || !(options->task_seconds >= 0))
        errno = EINVAL;
    else if (!kind->can_stop_workers &&
             (options->task_seconds > 0 || options->max_tasks_per_worker > 0))
        errno = ENOTSUP;
    return errno == 0;
}

/* The executor without its workers. Returns NULL with errno set. */
static struct executor *executor_new(const struct executor_kind *kind,
                                     const struct executor_options *options)
{
    size_t count = options->workers == 0 ? kind->default_workers() : options->workers;
    const char *argument = options->initializer_argument;
    struct executor *executor = malloc(sizeof(*executor));
    struct worker *workers = calloc(count, sizeof(*workers));
    char *copy = strdup(argument == NULL ? "" : argument);
    if (executor == NULL || workers == NULL || copy == NULL) {
        free(executor);
        free(workers);
        free(copy);
        errno = ENOMEM;
        return NULL;
    }
    *executor = (struct executor){
        .kind = kind,
        .options = *options,
        .generation = process_generation(),
        .workers = workers,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .taking = PTHREAD_MUTEX_INITIALIZER,
        .has_task = PTHREAD_COND_INITIALIZER,
        .has_room = PTHREAD_COND_INITIALIZER,
        .is_over = PTHREAD_COND_INITIALIZER,
        .last = &executor->submitted,
    };
    executor->options.workers = count;
    executor->options.initializer_argument = copy;
    return executor;
}

struct executor *executor_open(const struct executor_kind *kind,
                               const struct executor_options *options)
{
    struct executor *executor = NULL;
    if (is_valid(kind, options))
        executor = executor_new(kind, options);
    if (executor == NULL)
        return NULL;

    int error = kind->open == NULL || kind->open(executor) ? 0 : errno;
    for (size_t i = 0; i < executor->options.workers && error == 0; i++)
        error = add_worker(executor);
    executor->holders = 1 + executor->worker_count;
    if (executor->worker_count == 0) {
        executor_destroy(executor);
        executor = NULL;
    }
    errno = error;
    return executor;
}

size_t executor_workers(const struct executor *executor)
{
    return executor == NULL ? 0 : executor->worker_count;
}

/* ---- The end ---- */

static void cancel_all(struct future *future)
{
    while (future != NULL) {
        struct future *next = future->next;
        future_cancel(future);
        future_free(future);
        future = next;
    }
}

static void cancel_offered(struct executor *executor)
{
    struct future *future;
    while (executor->kind->take_back != NULL &&
           (future = executor->kind->take_back(executor, NULL)) != NULL) {
        future_cancel(future);
        future_free(future);
    }
}

/* Takes no more tasks; cancels those that have not begun if asked to. */
static void close_queue(struct executor *executor, bool cancel)
{
    struct future *next = NULL;
    struct future *submitted = NULL;
    lock(&executor->taking);
    lock(&executor->lock);
    executor->is_closed = true;
    if (cancel) {
        next = atomic_exchange(&executor->next, NULL);
        submitted = executor->submitted;
        executor->submitted = NULL;
        executor->last = &executor->submitted;
    }
    wake_all(&executor->has_task);
    wake_all(&executor->has_room);
    wake_all(&executor->is_over);
    unlock(&executor->lock);
    unlock(&executor->taking);
    if (cancel)
        cancel_offered(executor);
    cancel_all(next);
    cancel_all(submitted);
    if (executor->kind->offer != NULL)
        executor->kind->offer(executor); /* there may be no more */
}

/* Waits until the workers have ended. The first who comes joins them, the others wait for
   it. */
static void join(struct executor *executor)
{
    lock(&executor->lock);
    bool is_first = !executor->is_joining;
    executor->is_joining = true;
    while (!is_first && !executor->is_joined)
        wait_for(&executor->is_over, &executor->lock);
    unlock(&executor->lock);
    if (!is_first)
        return;
    join_all(executor);
    lock(&executor->lock);
    executor->is_joined = true;
    wake_all(&executor->is_over);
    unlock(&executor->lock);
}

static void shut_down(struct executor *executor, bool cancel)
{
    if (executor == NULL || is_elsewhere(executor))
        return;
    hold(executor); /* a callback of what is cancelled may free it */
    close_queue(executor, cancel);
    if (!is_own_worker(executor))
        join(executor);
    let_go(executor);
}

void executor_shutdown(struct executor *executor)
{
    shut_down(executor, false);
}

void executor_shutdown_now(struct executor *executor)
{
    shut_down(executor, true);
}

static bool stop_workers(struct executor *executor, int signal_number)
{
    if (executor == NULL)
        return true;
    if (!executor->kind->can_stop_workers || is_elsewhere(executor)) {
        errno = executor->kind->can_stop_workers ? EPERM : ENOTSUP;
        return false;
    }
    hold(executor);
    close_queue(executor, true);
    executor->kind->stop(executor, signal_number);
    let_go(executor);
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
    if (executor == NULL || is_elsewhere(executor))
        return;
    executor_shutdown(executor);
    let_go(executor);
}
