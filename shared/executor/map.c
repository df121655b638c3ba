/*
 * executor_map(): a stream of arguments in, a stream of results out, and between them a
 * window of futures, which is a ring.
 */
#include "internal.h"

#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { TASKS_PER_WORKER = 16 };

struct map {
    bool (*sink)(void *context, const char *argument, const struct result *result);
    void *context;
    double deadline;
    struct future **window;
    size_t size;
    size_t first;
    size_t count;
};

static struct future *first_of(const struct map *map)
{
    return map->count == 0 ? NULL : map->window[map->first];
}

static void drop_first(struct map *map)
{
    future_free(first_of(map));
    map->first = (map->first + 1) % map->size;
    map->count--;
}

/* Waits for the first result and hands it over, unless the time is over. Returns 0 or an
   errno. */
static int hand_over_first(struct map *map)
{
    struct future *future = first_of(map);
    double seconds =
        map->deadline == INFINITY ? INFINITY : map->deadline - monotonic_seconds();
    if (seconds <= 0)
        return ETIMEDOUT;
    errno = 0;
    future_result_within(future, seconds);
    if (!future_done(future))
        return errno != 0 ? errno : ETIMEDOUT;
    /* Its own result: it may have been done only after that wait has timed out. */
    bool goes_on =
        map->sink(map->context, future_argument(future), future_result(future));
    drop_first(map);
    return goes_on ? 0 : ECANCELED;
}

static int hand_over_what_is_done(struct map *map)
{
    int error = monotonic_seconds() < map->deadline ? 0 : ETIMEDOUT;
    while (error == 0 && future_done(first_of(map)))
        error = hand_over_first(map);
    return error;
}

/* Makes room in the window, and submits. Returns 0 or an errno. */
static int submit(struct map *map, struct executor *executor, task_fn task,
                  const char *argument)
{
    struct future *future =
        executor_submit_until(executor, task, argument, map->deadline);
    if (future == NULL)
        return errno == EAGAIN ? ETIMEDOUT : errno;
    map->window[(map->first + map->count) % map->size] = future;
    map->count++;
    return map->count < map->size ? 0 : hand_over_first(map);
}

static int run(struct map *map, struct executor *executor, task_fn task,
               const char *(*next)(void *context))
{
    const char *argument;
    int error = 0;
    while (error == 0 && (argument = next(map->context)) != NULL) {
        error = submit(map, executor, task, argument);
        if (error == 0)
            error = hand_over_what_is_done(map);
    }
    while (error == 0 && map->count > 0)
        error = hand_over_first(map);
    return error;
}

/* Gives up the tasks that are left; also when the thread is cancelled. */
static void end_map(void *context)
{
    struct map *map = context;
    for (size_t i = 0; i < map->count; i++)
        future_cancel(map->window[(map->first + i) % map->size]);
    while (map->count > 0)
        drop_first(map);
    free(map->window);
}

bool executor_map(struct executor *executor, task_fn task,
                  const char *(*next)(void *context),
                  bool (*sink)(void *context, const char *argument,
                               const struct result *result),
                  void *context, const struct map_options *options)
{
    const struct map_options defaults = {0};
    if (options == NULL)
        options = &defaults;
    if (executor == NULL || task == NULL || next == NULL || sink == NULL ||
        !(options->seconds >= 0)) {
        errno = EINVAL;
        return false;
    }
    struct map map = {
        .sink = sink,
        .context = context,
        .deadline =
            options->seconds == 0 ? INFINITY : monotonic_seconds() + options->seconds,
        .size = options->window == 0 ? TASKS_PER_WORKER * executor->worker_count
                                     : options->window,
    };
    map.window = calloc(map.size, sizeof(struct future *));
    if (map.window == NULL) {
        errno = ENOMEM;
        return false;
    }

    int error;
    pthread_cleanup_push(end_map, &map);
    error = run(&map, executor, task, next);
    pthread_cleanup_pop(1);
    errno = error;
    return error == 0;
}
