/*
 * A peer: GLib's GThreadPool with 2 threads. It has no futures: a task's result is kept
 * in the task itself, and the end of the pool is what says that all are done.
 *
 *     glib time COUNT       seconds for COUNT empty tasks
 *     glib pending COUNT    bytes for each of COUNT pending tasks
 */
#include "../common.h"

#include "monotonic.h"

#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

struct task {
    const char *argument;
    const char *result;
    bool waits;
};

static void run(gpointer data, gpointer context)
{
    struct task *task = data;
    (void)context;
    if (task->waits)
        gate_wait();
    task->result = task->argument;
}

static void push(GThreadPool *pool, struct task *task, bool waits)
{
    GError *error = NULL;
    *task = (struct task){.argument = "", .waits = waits};
    if (!g_thread_pool_push(pool, task, &error))
        fail("g_thread_pool_push: %s", error->message);
}

static void read_results(const struct task tasks[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i].result == NULL)
            fail("a task has not run");
}

/* The array is the caller's, but it holds the tasks and their results: the clock, and the
   bytes, take it in. */
static double seconds(GThreadPool *pool, size_t count)
{
    double begin = monotonic_seconds();
    struct task *tasks = malloc(count * sizeof(struct task));
    if (tasks == NULL)
        fail("no memory for %zu tasks", count);
    for (size_t i = 0; i < count; i++)
        push(pool, &tasks[i], false);
    g_thread_pool_free(pool, FALSE, TRUE);
    read_results(tasks, count);
    double end = monotonic_seconds();
    free(tasks);
    return end - begin;
}

static double bytes_a_pending_task(GThreadPool *pool, size_t count)
{
    struct task waiting[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        push(pool, &waiting[i], true);
    gate_wait_for(WORKERS);

    size_t before = resident_bytes();
    struct task *tasks = malloc(count * sizeof(struct task));
    if (tasks == NULL)
        fail("no memory for %zu tasks", count);
    for (size_t i = 0; i < count; i++)
        push(pool, &tasks[i], false);
    size_t after = resident_bytes();

    gate_open();
    g_thread_pool_free(pool, FALSE, TRUE);
    read_results(tasks, count);
    free(tasks);
    return (double)(after - before) / (double)count;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    GError *error = NULL;
    GThreadPool *pool = g_thread_pool_new(run, NULL, WORKERS, TRUE, &error);
    if (error != NULL)
        fail("g_thread_pool_new: %s", error->message);

    if (strcmp(what, "time") == 0)
        print_number(seconds(pool, count));
    else if (strcmp(what, "pending") == 0)
        print_number(bytes_a_pending_task(pool, count));
    else
        fail("usage: glib time|pending COUNT");
}
