/*
 * What the manager does for a worker: start it, receive its results, keep its time
 * limits, and settle its slots when it has died.
 */
#include "process_pool.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How long to wait before a worker that could not be started is tried again, in seconds.
   */
static const double first_delay = 0.01;
static const double longest_delay = 1;

/* How much longer than a task may take a worker may be silent with the result of it. */
static const double patience = 1;

void handles_init(struct executor *executor)
{
    struct pool *pool = executor->state;
    for (size_t i = 0; i < executor->options.workers; i++) {
        struct worker_handle *handle = &pool->handles[i];
        *handle = (struct worker_handle){.number = i + 1, .delay = first_delay};
        worker_format_name(handle->name, "process", handle->number);
    }
}

/* ---- The end of a worker ---- */

/* How a worker ended, in words. `status` is from waitpid(2). */
static struct result describe_end(const struct worker_handle *handle, int status)
{
    if (!WIFSIGNALED(status))
        return result_broken("worker %s exited with status %d", handle->name,
                             WEXITSTATUS(status));
    const char *signal_name = sigabbrev_np(WTERMSIG(status)); /* real-time: none */
    return result_broken("worker %s was killed by signal %d (SIG%s)", handle->name,
                         WTERMSIG(status), signal_name == NULL ? "RT" : signal_name);
}

/* What the end of its worker is as the result of the task in the slot, or of the
   initializer (NO_SLOT). */
static struct result result_of_end(const struct executor *executor,
                                   const struct worker_handle *handle, int status,
                                   size_t slot)
{
    if (status == -1)
        return result_broken("worker %s died with the process that starts the workers",
                             handle->name);
    if (handle->state != KILLED || handle->late_slot != slot)
        return describe_end(handle, status);
    struct result result =
        result_failed("timed out after %g s", executor->options.task_seconds);
    result.status = RESULT_TIMED_OUT;
    return result;
}

static struct span span_of(const struct worker_handle *handle, double start, double end)
{
    struct span span = {.pid = handle->pid, .start = start, .end = end};
    memcpy(span.worker, handle->name, sizeof(span.worker));
    return span;
}

void handle_reap(struct executor *executor, struct worker_handle *handle, int status)
{
    struct pool *pool = executor->state;
    double now = monotonic_seconds();
    for (size_t slot = 0; slot < pool->slot_count; slot++) {
        struct slot_view view = task_ring_look(pool->ring, slot);
        if (view.worker != handle->number)
            continue;
        struct result result = result_of_end(executor, handle, status, slot);
        result.span = span_of(handle, view.begun > 0 ? view.begun : now, now);
        pool_settle(pool, slot, result);
    }
    task_ring_wake_all(pool->ring); /* it may have been woken for a task, and died then */
}

/* ---- Workers that cannot be started ---- */

bool has_usable_worker(const struct executor *executor)
{
    const struct pool *pool = executor->state;
    for (size_t i = 0; i < executor->worker_count; i++) {
        int state = pool->handles[i].state;
        if (state == STARTING || state == PREPARING || state == UP)
            return true;
    }
    return false;
}

/* The worker could not be started. As long as there are others, tasks are left to them,
   and it is tried again later. If there are none, the next task fails with it, and it is
   tried again for the one after that. */
static void start_failed(struct executor *executor, struct worker_handle *handle,
                         struct result why)
{
    struct future *future = NULL;
    if (has_usable_worker(executor)) {
        handle->due = monotonic_seconds() + handle->delay;
        handle->delay = fmin(2 * handle->delay, longest_delay);
    } else {
        future = pool_take_next(executor);
        handle->due = INFINITY;
    }
    if (future != NULL)
        pool_collect(executor->state, future, why);
    else
        result_free(&why);
}

/* ---- Messages ---- */

static void worker_up(struct worker_handle *handle)
{
    handle->state = UP;
    handle->was_up = true;
    handle->since = 0;
    handle->delay = first_delay;
}

static void worker_started(struct executor *executor, struct worker_handle *handle,
                           pid_t pid)
{
    handle->pid = pid;
    handle->was_up = false;
    handle->state = PREPARING;
    handle->since = monotonic_seconds();
    if (executor->options.initializer == NULL)
        worker_up(handle);
}

static void worker_prepared(struct executor *executor, struct worker_handle *handle,
                            enum result_status status, const char *why, size_t length)
{
    if (status == RESULT_OK) {
        if (handle->state == PREPARING)
            worker_up(handle);
        return;
    }
    /* The initializer would say the same in all others. */
    struct result result = initializer_failed(
        handle->name, (struct result){.text = length > 0 ? strndup(why, length) : NULL});
    executor_break(executor, result.text);
    result_free(&result);
}

static void worker_died(struct executor *executor, struct worker_handle *handle,
                        int status)
{
    handle_reap(executor, handle, status);
    struct result why = result_of_end(executor, handle, status, NO_SLOT);
    handle->state = DOWN;
    handle->due = 0;
    if (handle->was_up || atomic_load(&executor->is_broken)) {
        result_free(&why);
        return;
    }
    if (executor->options.initializer != NULL)
        why = initializer_failed(handle->name, why);
    start_failed(executor, handle, why);
}

static void worker_not_started(struct executor *executor, struct worker_handle *handle,
                               int error)
{
    handle->state = DOWN;
    handle->error = error;
    start_failed(
        executor, handle,
        result_broken("worker %s cannot be started: %s", handle->name, strerror(error)));
}

/* With the pool's lock held: adds a piece to the text of a result. Returns whether that
   is complete. */
static bool add_piece(struct slot_content *content, const struct message *message,
                      const char *piece, size_t length)
{
    if (message->length == NO_TEXT)
        return true;
    if (message->offset == 0) {
        content->text = malloc(message->length + 1);
        if (content->text != NULL)
            content->text[message->length] = '\0';
    }
    if (content->text != NULL)
        memcpy(content->text + message->offset, piece, length);
    return message->offset + length == message->length;
}

static void receive_result(struct executor *executor, const struct worker_handle *handle,
                           const struct message *message, const char *piece,
                           size_t length)
{
    struct pool *pool = executor->state;
    struct slot_content *content = &pool->slots[message->slot];
    mutex_lock(&pool->lock);
    bool is_complete = add_piece(content, message, piece, length);
    char *text = is_complete ? content->text : NULL;
    if (is_complete)
        content->text = NULL;
    mutex_unlock(&pool->lock);
    if (!is_complete)
        return;
    struct result result = {
        .status = message->result, .text = text, .span = message->span};
    if (text == NULL && message->length != NO_TEXT)
        result = result_broken("out of memory for the result");
    struct span span = span_of(handle, message->span.start, message->span.end);
    complete_result(&result, &span);
    pool_settle(pool, message->slot, result);
}

static void send_argument(struct pool *pool, const struct message *message)
{
    mutex_lock(&pool->lock);
    const char *argument = pool->slots[message->slot].future->argument;
    mutex_unlock(&pool->lock);
    size_t length = task_ring_argument_length(pool->ring, message->slot);
    if (message->offset < length)
        task_ring_fill_window(pool->ring, message->worker, argument + message->offset,
                              length - message->offset);
}

/* Whether the worker owns the slot of which it speaks. It does not if it is given up
   already. */
static bool owns_slot(const struct pool *pool, const struct message *message)
{
    if (message->slot >= pool->slot_count)
        return false;
    struct slot_view view = task_ring_look(pool->ring, message->slot);
    return view.worker == message->worker &&
           (view.phase == DONE) == (message->what == RESULT);
}

void handle_message(struct executor *executor, const struct message *message,
                    const char *piece, size_t length)
{
    struct pool *pool = executor->state;
    if (message->worker == 0 || message->worker > executor->options.workers)
        return; /* WAKE_UP, for which it is enough to have been received */
    struct worker_handle *handle = &pool->handles[message->worker - 1];
    if (handle->state == UP)
        handle->since = 0;
    if (message->what == STARTED)
        worker_started(executor, handle, message->pid);
    else if (message->what == START_FAILED)
        worker_not_started(executor, handle, message->status);
    else if (message->what == DIED)
        worker_died(executor, handle, message->status);
    else if (message->what == PREPARED)
        worker_prepared(executor, handle, message->result, piece, length);
    else if (message->what == RESULT && owns_slot(pool, message))
        receive_result(executor, handle, message, piece, length);
    else if (message->what == NEEDS_ARGUMENT && owns_slot(pool, message))
        send_argument(pool, message);
}

/* ---- What is due ---- */

/* Whether workers that are down are to be started again. */
static bool starts_workers(struct executor *executor, bool has_tasks)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    bool is_stopped = pool->is_stopped || pool->stop_signal != 0;
    mutex_unlock(&pool->lock);
    return !is_stopped && !atomic_load(&executor->is_broken) &&
           (has_tasks || !task_queue_is_drained(&executor->queue));
}

/* Starts the worker if it is time. */
static void start_if_due(struct executor *executor, struct worker_handle *handle,
                         bool has_tasks, double now)
{
    struct pool *pool = executor->state;
    if (handle->due == INFINITY && (has_tasks || has_usable_worker(executor)))
        handle->due = now;
    if (handle->due > now)
        return;
    if (fork_server_start(pool->server, handle->number, 1)) {
        handle->state = STARTING;
        handle->was_up = false;
    } else {
        handle->due = now + first_delay;
    }
}

static void kill_if_due(struct pool *pool, struct worker_handle *handle, double now)
{
    if (handle->due <= now)
        handle->due =
            fork_server_kill(pool->server, handle->number) ? INFINITY : now + first_delay;
}

double handles_start_and_kill(struct executor *executor)
{
    struct pool *pool = executor->state;
    bool has_tasks = pool_has_tasks(executor);
    bool starts = starts_workers(executor, has_tasks);
    double now = monotonic_seconds();
    double next = INFINITY;
    for (size_t i = 0; i < executor->worker_count; i++) {
        struct worker_handle *handle = &pool->handles[i];
        if (handle->state == DOWN && starts)
            start_if_due(executor, handle, has_tasks, now);
        else if (handle->state == KILLED)
            kill_if_due(pool, handle, now);
        if ((handle->state == DOWN && starts) || handle->state == KILLED)
            next = fmin(next, handle->due);
    }
    return next;
}

/* The worker's time is up. If it is late with a task, that cannot be completed any more.
   */
static void give_up(struct worker_handle *handle, size_t slot)
{
    handle->state = KILLED;
    handle->late_slot = slot;
    handle->due = 0;
}

/*
 * When the time is up of the worker that owns the slot: it runs the task; or it is about
 * to begin a task that it has claimed, or to send a result, which takes a moment only.
 * What counts is what the worker did, not when we had the time to look: a task that is
 * DONE cannot expire, and a worker is stuck only if nothing of it is left to be
 * received.
 */
static double limit_of(struct worker_handle *handle, struct slot_view view, double now,
                       double seconds)
{
    if (view.phase == CLAIMED && view.begun > 0) {
        handle->since = 0;
        return view.begun + seconds;
    }
    if (handle->since == 0)
        handle->since = now;
    return handle->since + seconds + patience;
}

static void keep_limit_of_slot(struct executor *executor, size_t slot, double now,
                               double *next)
{
    struct pool *pool = executor->state;
    double seconds = executor->options.task_seconds;
    struct slot_view view = task_ring_look(pool->ring, slot);
    if (view.phase == READY)
        *next = fmin(*next, now + seconds); /* it may begin now */
    if (view.worker == 0 || pool->handles[view.worker - 1].state != UP)
        return;
    struct worker_handle *handle = &pool->handles[view.worker - 1];
    double limit = limit_of(handle, view, now, seconds);
    if (limit > now)
        *next = fmin(*next, limit);
    else if (view.phase != CLAIMED || task_ring_expire(pool->ring, slot))
        give_up(handle, slot);
    else
        *next = fmin(*next, now + seconds); /* it is DONE just now */
}

double handles_keep_limits(struct executor *executor)
{
    struct pool *pool = executor->state;
    double seconds = executor->options.task_seconds;
    double next = INFINITY;
    if (seconds == 0)
        return next;
    double now = monotonic_seconds();
    pool_receive(executor); /* all that workers have sent until now */
    for (size_t slot = 0; slot < pool->slot_count; slot++)
        keep_limit_of_slot(executor, slot, now, &next);
    if (task_ring_first_ready(pool->ring) != NO_SLOT)
        task_ring_wake_all(pool->ring); /* the one that was woken may have been stopped */
    for (size_t i = 0; i < executor->worker_count; i++) {
        struct worker_handle *handle = &pool->handles[i];
        if (handle->state != PREPARING)
            continue;
        next = fmin(next, fmax(handle->since + seconds, now));
        if (handle->since + seconds <= now)
            give_up(handle, NO_SLOT);
    }
    return next;
}
