/*
 * The workers are threads: each takes tasks from the queue and runs them itself.
 */
#include "internal.h"

#include "monotonic.h"
#include "worker.h"

static size_t default_workers(void)
{
    size_t workers = usable_cpus() + 4;
    return workers < 32 ? workers : 32;
}

/* ---- Tasks ---- */

/* A future whose task the thread is in. */
struct running {
    struct future *future;
    struct span span;
};

/* The task has ended its thread. */
static void finish_ended(void *context)
{
    struct running *running = context;
    struct result result =
        result_broken("worker %s ended in the middle of the task (pthread_exit(3))",
                      running->span.worker);
    span_end(&running->span);
    result.span = running->span;
    future_finish(running->future, result);
}

/* Runs the task of a future that has begun, and gives up a reference to it. */
static void run(struct pool_thread *thread, struct future *future)
{
    struct running running = {.future = future, .span = thread->who};
    struct result result;
    running.span.start = monotonic_seconds();
    pthread_cleanup_push(finish_ended, &running);
    result = call_task(future->task, future->argument);
    pthread_cleanup_pop(0);
    span_end(&running.span);
    complete_result(&result, &running.span);
    future_finish(future, result);
}

/* The same, unless the executor is broken: then the task does not run. */
static void run_unless_broken(struct pool_thread *thread, struct future *future)
{
    if (atomic_load(&thread->executor->is_broken))
        future_finish(future, executor_broken_result(thread->executor));
    else
        run(thread, future);
}

static bool run_or_wait(struct future *future)
{
    if (!future_begin(future))
        return false;
    future_ref(future);
    run_unless_broken(this_thread, future);
    return true;
}

/* ---- The initializer ---- */

static void initializer_is_broken(struct executor *executor, struct result result)
{
    struct result broken = initializer_failed(worker_name(), result);
    executor_break(executor, broken.text);
    result_free(&broken);
}

/* The initializer has ended its thread. */
static void break_ended(void *executor)
{
    initializer_is_broken(executor, result_failed("its thread ended (pthread_exit(3))"));
}

static void initialize(struct executor *executor)
{
    const struct executor_options *options = &executor->options;
    struct result result;
    if (options->initializer == NULL || atomic_load(&executor->is_broken))
        return;
    pthread_cleanup_push(break_ended, executor);
    result = call_task(options->initializer, options->initializer_argument);
    pthread_cleanup_pop(0);
    if (result.status == RESULT_OK)
        result_free(&result);
    else
        initializer_is_broken(executor, result);
}

static void serve(struct pool_thread *thread)
{
    struct future *future;
    worker_set_name("thread", thread->number);
    thread->who = span_begin();
    initialize(thread->executor);
    while ((future = task_queue_take(&thread->executor->queue)) != NULL) {
        if (future_begin(future))
            run_unless_broken(thread, future);
        else
            future_free(future);
    }
}

static const struct executor_kind thread_pool = {
    .has_worker_threads = true,
    .default_workers = default_workers,
    .serve = serve,
    .run_or_wait = run_or_wait,
};

struct executor *thread_pool_executor(size_t workers)
{
    return thread_pool_executor_with(&(struct executor_options){.workers = workers});
}

struct executor *thread_pool_executor_with(const struct executor_options *options)
{
    return executor_open(&thread_pool, options);
}
