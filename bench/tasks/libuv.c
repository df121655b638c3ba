/*
 * A peer: libuv's work queue with 2 threads. The loop's thread is told of each task that
 * is done, and reads its result.
 *
 *     libuv time COUNT       seconds for COUNT empty tasks
 *     libuv pending COUNT    bytes for each of COUNT pending tasks
 */
#include "../common.h"

#include "monotonic.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { WORKERS = 2 };

struct task {
    uv_work_t request;
    const char *argument;
    const char *result;
};

static size_t results_read;

static void run(uv_work_t *request)
{
    struct task *task = request->data;
    task->result = task->argument;
}

static void wait_at_gate(uv_work_t *request)
{
    run(request);
    gate_wait();
}

static void read_result(uv_work_t *request, int status)
{
    const struct task *task = request->data;
    if (status != 0 || task->result == NULL)
        fail("a task has not run");
    results_read++;
}

static void queue(struct task *task, uv_work_cb work)
{
    task->request.data = task;
    task->argument = "";
    task->result = NULL;
    int error = uv_queue_work(uv_default_loop(), &task->request, work, read_result);
    if (error != 0)
        fail("uv_queue_work: %s", uv_strerror(error));
}

/* Runs the loop until all the tasks since the last time are done. */
static void run_loop(size_t count)
{
    results_read = 0;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    if (results_read != count)
        fail("only %zu of %zu tasks are done", results_read, count);
}

/* The array is the caller's, but it holds what libuv knows of the tasks: the clock, and
   the bytes, take it in. */
static struct task *queue_all(size_t count)
{
    struct task *tasks = malloc(count * sizeof(struct task));
    if (tasks == NULL)
        fail("no memory for %zu tasks", count);
    for (size_t i = 0; i < count; i++)
        queue(&tasks[i], run);
    return tasks;
}

static double seconds(size_t count)
{
    struct task first;
    queue(&first, run); /* starts the threads */
    run_loop(1);

    double begin = monotonic_seconds();
    struct task *tasks = queue_all(count);
    run_loop(count);
    double end = monotonic_seconds();
    free(tasks);
    return end - begin;
}

static double bytes_a_pending_task(size_t count)
{
    struct task waiting[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        queue(&waiting[i], wait_at_gate);
    gate_wait_for(WORKERS);

    size_t before = resident_bytes();
    struct task *tasks = queue_all(count);
    size_t after = resident_bytes();

    gate_open();
    run_loop(WORKERS + count);
    free(tasks);
    return (double)(after - before) / (double)count;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    if (setenv("UV_THREADPOOL_SIZE", "2", 1) != 0) /* WORKERS; before the first task */
        fail("no memory for the environment");

    if (strcmp(what, "time") == 0)
        print_number(seconds(count));
    else if (strcmp(what, "pending") == 0)
        print_number(bytes_a_pending_task(count));
    else
        fail("usage: libuv time|pending COUNT");
}
