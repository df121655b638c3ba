/*
 * The workers are threads: each runs its tasks itself.
 */
#include "internal.h"

#include "monotonic.h"

static size_t default_workers(void)
{
    size_t workers = usable_cpus() + 4;
    return workers < 32 ? workers : 32;
}

static struct result run(struct worker *worker, task_fn task, const char *argument)
{
    double start = monotonic_seconds();
    struct result result = task(argument);
    result.span.end = monotonic_seconds();
    result.span.start = start;
    name_span(&result.span, worker);
    return result;
}

static void set_up(struct worker *worker)
{
    const struct executor_options *options = &worker->executor->options;
    if (options->initializer == NULL)
        return;
    struct result result = options->initializer(options->initializer_argument);
    if (result.status != RESULT_OK) {
        result = initializer_failed(worker, result);
        executor_break(worker->executor, result.text);
    }
    result_free(&result);
}

static void end(struct worker *worker)
{
    (void)worker; /* its thread ends by itself */
}

static const struct executor_kind thread_pool = {
    .worker_name = "thread",
    .default_workers = default_workers,
    .set_up = set_up,
    .run = run,
    .end = end,
};

struct executor *thread_pool_executor(size_t workers)
{
    return thread_pool_executor_with(&(struct executor_options){.workers = workers});
}

struct executor *thread_pool_executor_with(const struct executor_options *options)
{
    return executor_open(&thread_pool, options);
}
