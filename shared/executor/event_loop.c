/*
 * The workers are the fibers of one event loop (fiber.h, loop.h). Each runs a task until
 * that waits, for a page or for a future; meanwhile the loop's thread goes on with
 * another one for which something has come.
 *
 *      submit --> queue --start--> a fiber <--suspend, resume--> loop
 *                                     |
 *                                     +--finish--> future
 *
 * Each task has one owner at a time: the queue, or its fiber, which finishes its future.
 * All but submitting and closing is done in the loop's thread, so nothing here has a
 * lock.
 *
 * `workers` is how many tasks have a slot. A task that waits for a future of its own pool
 * that has not begun lends its slot to that one, its guest; so one slot is enough for
 * tasks that wait for each other.
 */
#include "internal.h"

#include "fiber.h"
#include "loop.h"
#include "monotonic.h"
#include "place.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_WORKERS = 1000,
    STARTS_AT_ONCE = 64, /* between two looks at what has come for the others */
};

/* What EXECUTOR_DEBUG tells of, in seconds. */
static const double long_time = 0.1;

/* How long to wait for memory for a fiber, in seconds. */
static const double retry_delay = 0.01;

struct event_loop {
    struct loop *loop;
    struct fibers *fibers;
    struct running *first; /* the tasks under way, in the order in which they began */
    struct running *last;
    struct loop_timer limit;     /* a task's time is up */
    struct loop_timer retry;     /* there was no memory for a fiber */
    struct running *initializer; /* has not begun; NULL: it has, or there is none */
    bool is_initializing;        /* the initializer is under way */
    bool is_debugging;           /* EXECUTOR_DEBUG=1 */
    bool is_stopped;             /* the tasks under way have been told to end */
    atomic_int stop_signal;      /* 0: they are not to be told */
    size_t under_way;            /* slots that are taken */
    size_t *free_slots;          /* those that have been taken and are free again */
    size_t free_count;
    size_t slots_used; /* how many have been taken at all */
};

/* A task or the initializer, on its fiber. */
struct running {
    struct executor *executor;
    struct future *future; /* NULL: the initializer */
    struct fiber *fiber;
    struct running *previous;
    struct running *next;
    struct running *host;  /* whose slot it has; NULL: it has its own */
    struct running *guest; /* that has its slot; NULL: it is not lent */
    size_t slot;           /* from 1 */
    bool has_slot;
    enum { GOES_ON, OUT_OF_TIME, STOPPED } fate;
    struct span span;
    char what[80]; /* with EXECUTOR_DEBUG=1, the beginning of its argument */
};

static size_t default_workers(void)
{
    return DEFAULT_WORKERS;
}

/* ---- Slots ---- */

static void take_slot(struct event_loop *pool, struct running *running)
{
    running->has_slot = true;
    running->slot =
        pool->free_count > 0 ? pool->free_slots[--pool->free_count] : ++pool->slots_used;
    pool->under_way++;
}

/* Gives its slot up: to its guest, if that has not ended; else back to its host, which
   may then have another guest; else it is free. */
static void leave_slot(struct event_loop *pool, struct running *running)
{
    struct running *host = running->host;
    struct running *guest = running->guest;
    if (guest != NULL) {
        guest->host = host;
        guest->has_slot = running->has_slot;
    } else if (running->has_slot) {
        pool->free_slots[pool->free_count++] = running->slot;
        pool->under_way--;
    }
    if (host != NULL) {
        host->guest = guest;
        fiber_wake(host->fiber);
    }
}

/* ---- Time limits, and the end of all ---- */

/* Interrupts the task: every wait of it fails from now on. */
static void give_up(struct running *running, int fate)
{
    if (running->fate != GOES_ON)
        return;
    running->fate = fate;
    fiber_interrupt(running->fiber);
}

/* When the task's time is up. */
static double due_of(const struct running *running)
{
    return running->span.start + running->executor->options.task_seconds;
}

static void on_limit(struct loop_timer *timer)
{
    struct event_loop *pool =
        (struct event_loop *)((char *)timer - offsetof(struct event_loop, limit));
    struct running *running = pool->first;
    double now = monotonic_seconds();
    for (; running != NULL && due_of(running) <= now; running = running->next)
        give_up(running, OUT_OF_TIME);
    if (running != NULL)
        loop_set_timer(pool->loop, timer, due_of(running));
}

static void stop_if_told(struct event_loop *pool)
{
    if (pool->is_stopped || atomic_load(&pool->stop_signal) == 0)
        return;
    pool->is_stopped = true;
    for (struct running *running = pool->first; running != NULL; running = running->next)
        give_up(running, STOPPED);
}

static void signal_workers(struct executor *executor, int signal_number)
{
    struct event_loop *pool = executor->state;
    atomic_store(&pool->stop_signal, signal_number);
    loop_interrupt(pool->loop);
}

/* ---- A task, on its fiber ---- */

/* The future may be gone when it is told. */
static void note_what(struct running *running)
{
    const struct future *future = running->future;
    /* The argument may be a URL with a password in it. */
    const char *what = future == NULL ? "of the initializer" : place_of(future->argument);
    strncat(running->what, what, sizeof(running->what) - 1);
}

static void begin(struct running *running)
{
    struct executor *executor = running->executor;
    struct event_loop *pool = executor->state;
    worker_set_name("loop", running->slot);
    running->span = span_begin();
    running->previous = pool->last;
    if (pool->last != NULL)
        pool->last->next = running;
    else
        pool->first = running;
    pool->last = running;
    if (executor->options.task_seconds > 0 && pool->limit.place == 0)
        loop_set_timer(pool->loop, &pool->limit, due_of(running));
    if (pool->is_stopped)
        give_up(running, STOPPED);
    if (pool->is_debugging)
        note_what(running);
}

/* Takes it from the tasks under way; from then on it only finishes its future. */
static void end(struct running *running)
{
    struct event_loop *pool = running->executor->state;
    span_end(&running->span);
    if (running->previous != NULL)
        running->previous->next = running->next;
    else
        pool->first = running->next;
    if (running->next != NULL)
        running->next->previous = running->previous;
    else
        pool->last = running->previous;
    leave_slot(pool, running);
    fiber_forget_interrupt();
}

/* The result of a task that returned this one, or was given up. */
static struct result result_of(const struct running *running, struct result result)
{
    const struct executor *executor = running->executor;
    struct event_loop *pool = executor->state;
    if (running->fate == GOES_ON)
        return result;
    result_free(&result);
    if (running->fate == STOPPED)
        return result_broken("worker %s was killed by signal %d (SIG%s)",
                             running->span.worker, atomic_load(&pool->stop_signal),
                             sigabbrev_np(atomic_load(&pool->stop_signal)));
    result = result_failed("timed out after %g s", executor->options.task_seconds);
    result.status = RESULT_TIMED_OUT;
    return result;
}

static void finish(struct running *running, struct result result)
{
    end(running);
    result = result_of(running, result);
    complete_result(&result, &running->span);
    future_finish(running->future, result);
}

/* The task has called pthread_exit(3). */
static void finish_ended(void *context)
{
    struct running *running = context;
    finish(running, result_broken("worker %s ended in the middle of the task "
                                  "(pthread_exit(3))",
                                  running->span.worker));
}

static void run(void *argument)
{
    struct running *running = argument;
    struct future *future = running->future;
    struct result result;
    begin(running);
    pthread_cleanup_push(finish_ended, running);
    if (atomic_load(&running->executor->is_broken))
        result = executor_broken_result(running->executor);
    else if (running->fate == GOES_ON)
        result = call_task(future->task, future->argument);
    else
        result = (struct result){0};
    pthread_cleanup_pop(0);
    finish(running, result);
}

/* ---- The initializer, on its fiber ---- */

static void initialized(struct running *running, struct result result)
{
    struct executor *executor = running->executor;
    struct event_loop *pool = executor->state;
    end(running);
    result = result_of(running, result);
    pool->is_initializing = false;
    if (result.status != RESULT_OK) {
        result = initializer_failed(running->span.worker, result);
        executor_break(executor, result.text);
    }
    result_free(&result);
}

/* It has called pthread_exit(3). */
static void initializer_ended(void *running)
{
    initialized(running, result_failed("its thread ended (pthread_exit(3))"));
}

static void initialize(void *argument)
{
    struct running *running = argument;
    const struct executor_options *options = &running->executor->options;
    struct result result;
    begin(running);
    pthread_cleanup_push(initializer_ended, running);
    result = call_task(options->initializer, options->initializer_argument);
    pthread_cleanup_pop(0);
    initialized(running, result);
}

/* ---- Starting ---- */

/* Makes a fiber for a task, whose future may be set later, or for the initializer.
   Returns NULL without memory. */
static struct running *new_running(struct executor *executor, struct future *future,
                                   void (*function)(void *argument))
{
    struct event_loop *pool = executor->state;
    struct running running = {.executor = executor, .future = future};
    struct fiber *fiber = fiber_new(pool->fibers, function, &running, sizeof(running));
    if (fiber == NULL)
        return NULL;
    struct running *copy = fiber_argument(fiber);
    copy->fiber = fiber;
    return copy;
}

static void fail_without_fiber(struct future *future)
{
    future_finish(future, result_broken("out of memory for its stack"));
}

/* There is no memory for a fiber. If there are others, it is tried again; meanwhile the
   task stays in the queue, where one that waits for it finds it (run_or_wait()). If there
   are none, it fails. Returns whether it has. */
static bool fail_or_wait_for_memory(struct executor *executor)
{
    struct event_loop *pool = executor->state;
    struct future *future = NULL;
    if (fibers_count(pool->fibers) > 0)
        loop_set_timer(pool->loop, &pool->retry, monotonic_seconds() + retry_delay);
    else
        future = executor_take_next(executor);
    if (future != NULL)
        fail_without_fiber(future);
    return future != NULL;
}

static void on_retry(struct loop_timer *timer)
{
    (void)timer; /* the loop's turn ends, and start_tasks() is next */
}

/* Starts the next task in a slot. First its fiber: a task that has been taken must not
   have to wait for one. Returns whether one has been started or has failed. */
static bool start_next(struct executor *executor)
{
    struct event_loop *pool = executor->state;
    if (task_queue_is_empty(&executor->queue))
        return false;
    struct running *running = new_running(executor, NULL, run);
    if (running == NULL)
        return fail_or_wait_for_memory(executor);
    running->future = executor_take_next(executor);
    if (running->future == NULL) {
        fiber_drop(running->fiber); /* it has just been cancelled */
        return false;
    }
    take_slot(pool, running);
    fiber_resume(running->fiber);
    return true;
}

/* Starts tasks while there are slots for them. Returns whether it could go on with that
   at once. */
static bool start_tasks(struct executor *executor)
{
    const struct event_loop *pool = executor->state;
    for (size_t i = 0; i < STARTS_AT_ONCE; i++) {
        if (pool->is_initializing || pool->under_way == executor->worker_count ||
            !start_next(executor))
            return false;
    }
    return true;
}

/* Not in what runs on the loop's own stack (http.h). */
static bool can_wait(void)
{
    return fiber_running() != NULL;
}

static bool run_or_wait(struct future *future)
{
    if (!can_wait() || !future_begin(future))
        return false;
    future_ref(future);
    struct running *host = fiber_argument(fiber_running());
    struct running *guest = new_running(future->executor, future, run);
    if (guest == NULL) {
        fail_without_fiber(future);
        return true;
    }
    host->guest = guest;
    guest->host = host;
    guest->slot = host->slot;
    fiber_wake(guest->fiber);
    return true;
}

static bool has_guest(void)
{
    if (!can_wait())
        return false;
    const struct running *host = fiber_argument(fiber_running());
    return host->guest != NULL;
}

static void start_initializer(struct event_loop *pool)
{
    struct running *running = pool->initializer;
    if (running == NULL)
        return;
    pool->initializer = NULL;
    pool->is_initializing = true;
    take_slot(pool, running);
    fiber_resume(running->fiber);
}

/* ---- The loop's thread ---- */

static void dispatch(struct executor *executor)
{
    struct event_loop *pool = executor->state;
    loop_wake(pool->loop);
}

/* With EXECUTOR_DEBUG=1, after each time that a fiber has run. */
static void tell_if_long(struct fiber *fiber, double seconds)
{
    const struct running *running = fiber_argument(fiber);
    if (seconds < long_time)
        return;
    fprintf(stderr, "executor: the task %s held the loop for %.3f s, in worker %s\n",
            running->what, seconds, running->span.worker);
}

/* First the queue: once that is drained, only a fiber could submit anything. */
static bool is_over(struct executor *executor)
{
    const struct event_loop *pool = executor->state;
    return task_queue_is_drained(&executor->queue) && fibers_count(pool->fibers) == 0;
}

static void serve(struct pool_thread *thread)
{
    struct executor *executor = thread->executor;
    struct event_loop *pool = executor->state;
    worker_set_name("event-loop", thread->number);
    fibers_enter(pool->fibers);
    start_initializer(pool);
    while (!is_over(executor)) {
        bool has_more = start_tasks(executor);
        loop_turn(pool->loop, !has_more && !is_over(executor));
        stop_if_told(pool);
    }
    loop_keep(pool->loop, NULL, NULL);
    fibers_leave(pool->fibers);
}

/* ---- Opening and closing ---- */

static bool open_loop(struct executor *executor)
{
    struct event_loop *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return false;
    executor->state = pool;
    executor->worker_count = executor->options.workers;
    pool->limit.on_due = on_limit;
    pool->retry.on_due = on_retry;
    pool->free_slots = calloc(executor->worker_count, sizeof(*pool->free_slots));
    pool->loop = pool->free_slots == NULL ? NULL : loop_open();
    pool->fibers = pool->loop == NULL ? NULL : fibers_open(pool->loop);
    if (pool->fibers == NULL || !loop_add_timer(pool->loop, &pool->limit) ||
        !loop_add_timer(pool->loop, &pool->retry))
        return false;
    if (executor->options.initializer != NULL) {
        pool->initializer = new_running(executor, NULL, initialize);
        if (pool->initializer == NULL)
            return false;
    }
    const char *debug = getenv("EXECUTOR_DEBUG");
    pool->is_debugging = debug != NULL && strcmp(debug, "1") == 0;
    if (pool->is_debugging)
        fibers_time(pool->fibers, tell_if_long);
    errno = 0;
    return true;
}

static void free_loop(struct executor *executor)
{
    struct event_loop *pool = executor->state;
    if (pool == NULL)
        return;
    fibers_close(pool->fibers);
    loop_close(pool->loop);
    free(pool->free_slots);
    free(pool);
}

static const struct executor_kind event_loop = {
    .can_kill_workers = true,
    .default_workers = default_workers,
    .open = open_loop,
    .serve = serve,
    .dispatch = dispatch,
    .signal_workers = signal_workers,
    .run_or_wait = run_or_wait,
    .has_guest = has_guest,
    .can_wait = can_wait,
    .free = free_loop,
};

struct executor *event_loop_executor(size_t workers)
{
    return event_loop_executor_with(&(struct executor_options){.workers = workers});
}

struct executor *event_loop_executor_with(const struct executor_options *options)
{
    return executor_open(&event_loop, options);
}
