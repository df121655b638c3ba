/*
 * The workers are processes. Tasks that are next stand in the task ring, in memory that
 * the workers share with us; a worker claims one when it is free, runs it, and sends the
 * bytes of its result. One manager thread receives all results, sees deaths, keeps time
 * limits and replaces workers.
 *
 *      submit --> queue --dispatch--> task ring --claim--> worker processes
 *                                                               |
 *                    future <--finish-- manager <---messages----+
 *                                         |                     |
 *                                         +--start, kill--> fork server
 *
 * Each task has one owner at a time: the queue, a slot of the ring (READY), a worker (its
 * slot says which one), or the manager, which has its result and finishes its future. The
 * slot is the only place that says how far a dispatched task is. When a worker has died,
 * the manager has received all that it sent; it settles every slot that the worker still
 * owns, and only then calls callbacks.
 */
#include "process_pool.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    TASKS_AHEAD = 64,     /* slots beyond one for each worker */
    MOST_MESSAGES = 1000, /* more than the socket can hold */
};

/* ---- Dispatching: in any thread ---- */

/* With the lock held. A task in the ring does not count as waiting; so if the queue has a
   bound, the ring holds no more tasks than there are workers. */
static bool has_room(const struct executor *executor)
{
    const struct pool *pool = executor->state;
    size_t most =
        executor->options.queue_capacity > 0 ? executor->worker_count : pool->slot_count;
    return pool->dispatched < most && !atomic_load(&executor->is_broken);
}

/* With the lock held: publishes what is next. Returns how many tasks. */
static size_t fill_ring(struct executor *executor)
{
    struct pool *pool = executor->state;
    struct future *future;
    size_t count = 0;
    while (has_room(executor) &&
           (future = task_queue_try_take(&executor->queue)) != NULL) {
        if (!future_dispatch(future)) {
            future_free(future); /* it has been cancelled */
            continue;
        }
        size_t slot = task_ring_publish(pool->ring, future->task, future->argument);
        future->slot = (unsigned)slot;
        pool->slots[slot] = (struct slot_content){.future = future};
        pool->dispatched++;
        count++;
    }
    return count;
}

/* With the lock held. */
static void wake_manager(struct pool *pool)
{
    pool->wants_tasks = false;
    if (pool->server != NULL)
        fork_server_wake(pool->server);
}

/* The manager is woken if it has asked for that, or if this may be the end. */
static void dispatch(struct executor *executor)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    size_t count = fill_ring(executor);
    if (pool->wants_tasks || task_queue_is_drained(&executor->queue))
        wake_manager(pool);
    mutex_unlock(&pool->lock);
    task_ring_wake(pool->ring, count);
}

/* With the lock held: takes the future out of its slot, which is FREE. */
static struct future *take_out(struct pool *pool, size_t slot)
{
    struct future *future = pool->slots[slot].future;
    free(pool->slots[slot].text);
    pool->slots[slot] = (struct slot_content){0};
    pool->dispatched--;
    return future;
}

static bool withdraw(struct executor *executor, struct future *future)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    bool is_withdrawn = pool->slots[future->slot].future == future &&
                        task_ring_withdraw(pool->ring, future->slot);
    if (is_withdrawn)
        take_out(pool, future->slot);
    mutex_unlock(&pool->lock);
    if (is_withdrawn)
        dispatch(executor); /* the next task into the free slot */
    return is_withdrawn;
}

static struct future *withdraw_next(struct executor *executor)
{
    struct pool *pool = executor->state;
    struct future *future = NULL;
    size_t slot;
    mutex_lock(&pool->lock);
    while (future == NULL && (slot = task_ring_first_ready(pool->ring)) != NO_SLOT) {
        if (task_ring_withdraw(pool->ring, slot))
            future = take_out(pool, slot);
    }
    mutex_unlock(&pool->lock);
    return future;
}

static bool has_begun(struct executor *executor, const struct future *future)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    bool is_claimed = pool->slots[future->slot].future == future &&
                      task_ring_look(pool->ring, future->slot).phase != READY;
    mutex_unlock(&pool->lock);
    return is_claimed;
}

/* With the lock held: sends the signal if there is room for the request; otherwise the
   manager tries again. */
static void send_stop_signal(struct pool *pool)
{
    if (pool->stop_signal != 0 && pool->server != NULL &&
        fork_server_stop(pool->server, pool->stop_signal)) {
        pool->is_stopped = true;
        pool->stop_signal = 0;
    }
}

static void signal_workers(struct executor *executor, int signal_number)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    pool->stop_signal = signal_number;
    send_stop_signal(pool);
    wake_manager(pool);
    mutex_unlock(&pool->lock);
}

bool pool_has_died(struct executor *executor)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    bool has_died = pool->server == NULL;
    mutex_unlock(&pool->lock);
    return has_died;
}

/* ---- Collecting: in the manager, as all that follows ---- */

void pool_collect(struct pool *pool, struct future *future, struct result result)
{
    future->result = result;
    future->next = NULL;
    *pool->last_collected = future;
    pool->last_collected = &future->next;
}

/* If a callback ends the thread, its successor goes on with the others. */
static void finish_collected(struct pool *pool)
{
    while (pool->collected != NULL) {
        struct future *future = pool->collected;
        pool->collected = future->next;
        if (pool->collected == NULL)
            pool->last_collected = &pool->collected;
        future_finish(future, future->result);
    }
}

void pool_settle(struct pool *pool, size_t slot, struct result result)
{
    mutex_lock(&pool->lock);
    bool is_owned = task_ring_release(pool->ring, slot);
    struct future *future = is_owned ? take_out(pool, slot) : NULL;
    mutex_unlock(&pool->lock);
    if (future != NULL)
        pool_collect(pool, future, result);
    else
        result_free(&result);
}

struct future *pool_take_next(struct executor *executor)
{
    struct future *future = withdraw_next(executor);
    return future != NULL ? future : executor_take_next(executor);
}

bool pool_has_tasks(struct executor *executor)
{
    struct pool *pool = executor->state;
    mutex_lock(&pool->lock);
    bool has_tasks = pool->dispatched > 0 || !task_queue_is_empty(&executor->queue);
    mutex_unlock(&pool->lock);
    return has_tasks;
}

static void fail_all_pending(struct executor *executor)
{
    struct future *future;
    while ((future = pool_take_next(executor)) != NULL)
        pool_collect(executor->state, future, executor_broken_result(executor));
}

/* ---- The manager's loop ---- */

void pool_receive(struct executor *executor)
{
    struct pool *pool = executor->state;
    const struct packet *packet;
    size_t length;
    size_t most = MOST_MESSAGES; /* or results could come for ever and none be finished */
    while (most-- > 0 && (packet = fork_server_receive(pool->server, &length)) != NULL)
        handle_message(executor, &packet->message, packet->piece, length);
}

/* Ends the fork server, and with it all workers. */
static void close_server(struct pool *pool)
{
    mutex_lock(&pool->lock);
    struct fork_server *server = pool->server;
    pool->server = NULL;
    mutex_unlock(&pool->lock);
    fork_server_close(server);
}

/*
 * The fork server has died, and its workers die with it, but not at once. When their
 * slots are settled, no task is READY any more, so that they cannot claim one after
 * that.
 */
static void fork_server_died(struct executor *executor)
{
    struct pool *pool = executor->state;
    executor_break(executor, "the process that starts the workers has died");
    fail_all_pending(executor);
    for (size_t i = 0; i < executor->worker_count; i++)
        handle_reap(executor, &pool->handles[i], -1);
    task_ring_end(pool->ring);
    close_server(pool);
}

/* First the queue: once that is drained, no task comes into the ring any more. The other
   way round, one could come between the two questions. */
static bool is_over(struct executor *executor)
{
    struct pool *pool = executor->state;
    return pool->collected == NULL && task_queue_is_drained(&executor->queue) &&
           !pool_has_tasks(executor);
}

/* Fills the ring, and asks to be woken for the next task if this thread has something to
   do with it: keep its time limit, start a worker for it, or say why there is none. */
static void prepare_for_tasks(struct executor *executor)
{
    struct pool *pool = executor->state;
    bool has_limits = executor->options.task_seconds > 0;
    mutex_lock(&pool->lock);
    send_stop_signal(pool);
    size_t count = fill_ring(executor);
    pool->wants_tasks = atomic_load(&executor->is_broken) ||
                        !has_usable_worker(executor) ||
                        (has_limits && pool->dispatched == 0);
    mutex_unlock(&pool->lock);
    task_ring_wake(pool->ring, count);
}

/* Does what is due. Returns the milliseconds until more is; -1: nothing will be. */
static int do_what_is_due(struct executor *executor)
{
    struct pool *pool = executor->state;
    prepare_for_tasks(executor); /* what follows sees a task, or the task wakes us */
    double next = handles_keep_limits(executor);
    next = fmin(next, handles_start_and_kill(executor));
    if (atomic_load(&executor->is_broken))
        fail_all_pending(executor);
    if (pool->collected != NULL || is_over(executor))
        return 0;
    double milliseconds = ceil((next - monotonic_seconds()) * 1000);
    return next == INFINITY ? -1 : (int)fmin(fmax(milliseconds, 0), INT32_MAX);
}

/* Without a fork server there are no workers any more. */
static void fail_all(struct executor *executor)
{
    struct future *future;
    while ((future = task_queue_take(&executor->queue)) != NULL) {
        if (future_begin(future))
            future_finish(future, executor_broken_result(executor));
        else
            future_free(future);
    }
}

/* What the manager's thread runs. */
static void serve(struct pool_thread *thread)
{
    struct executor *executor = thread->executor;
    struct pool *pool = executor->state;
    worker_set_name("manager", thread->number);
    while (pool->server != NULL && !is_over(executor)) {
        if (fork_server_wait(pool->server, do_what_is_due(executor)))
            pool_receive(executor);
        else
            fork_server_died(executor);
        finish_collected(pool);
    }
    finish_collected(pool);
    fail_all(executor);
    close_server(pool);
}

/* ---- Opening and closing ---- */

/* Waits until the worker runs. Returns 0 or an errno. */
static int wait_for_start(struct executor *executor, struct worker_handle *handle)
{
    struct pool *pool = executor->state;
    while (handle->state == STARTING) {
        if (!fork_server_wait(pool->server, -1))
            return ECHILD;
        pool_receive(executor);
    }
    return handle->state == DOWN ? handle->error : 0;
}

/* Starts the workers. If one cannot be started, there are fewer, with errno set. */
static void start_workers(struct executor *executor)
{
    struct pool *pool = executor->state;
    size_t workers = executor->options.workers;
    for (size_t i = 0; i < workers; i++)
        pool->handles[i].state = STARTING;
    int error = fork_server_start(pool->server, 1, workers) ? 0 : ECHILD;
    while (error == 0 && executor->worker_count < workers) {
        error = wait_for_start(executor, &pool->handles[executor->worker_count]);
        executor->worker_count += error == 0 ? 1 : 0;
    }
    errno = error;
}

static bool open_pool(struct executor *executor)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return false;
    size_t workers = executor->options.workers;
    executor->state = pool;
    must(pthread_mutex_init(&pool->lock, NULL), "pthread_mutex_init");
    pool->last_collected = &pool->collected;
    pool->slot_count = workers + TASKS_AHEAD;
    pool->slots = calloc(pool->slot_count, sizeof(*pool->slots));
    pool->handles = calloc(workers, sizeof(*pool->handles));
    pool->ring = task_ring_open(pool->slot_count, workers);
    if (pool->slots == NULL || pool->handles == NULL || pool->ring == NULL)
        return false;
    handles_init(executor);
    pool->server = fork_server_open(workers, work, executor);
    if (pool->server == NULL)
        return false;
    start_workers(executor);
    return executor->worker_count > 0;
}

static void free_pool(struct executor *executor)
{
    struct pool *pool = executor->state;
    if (pool == NULL)
        return;
    close_server(pool);
    task_ring_close(pool->ring);
    free(pool->slots);
    free(pool->handles);
    must(pthread_mutex_destroy(&pool->lock), "pthread_mutex_destroy");
    free(pool);
}

static const struct executor_kind process_pool = {
    .can_kill_workers = true,
    .replaces_workers = true,
    .default_workers = usable_cpus,
    .open = open_pool,
    .serve = serve,
    .dispatch = dispatch,
    .withdraw = withdraw,
    .withdraw_next = withdraw_next,
    .has_begun = has_begun,
    .signal_workers = signal_workers,
    .free = free_pool,
};

struct executor *process_pool_executor(size_t workers)
{
    return process_pool_executor_with(&(struct executor_options){.workers = workers});
}

struct executor *process_pool_executor_with(const struct executor_options *options)
{
    return executor_open(&process_pool, options);
}
