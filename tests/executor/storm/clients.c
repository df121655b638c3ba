/* What clients do with a pool. */
#include "storm.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_ARGUMENT = 50 };

/* Checks and frees a future that is done. */
static void settle(struct storm_pool *pool, struct future *future)
{
    task_check(pool, future_argument(future), future_result(future));
    future_free(future);
}

/* ---- Callbacks: the context is the pool ---- */

static void look(struct future *future, void *pool)
{
    task_check(pool, future_argument(future), future_result(future));
}

static void free_own(struct future *future, void *pool)
{
    settle(pool, future);
}

/* A callback's decisions depend on its task's argument. */
static struct future *submit_another(struct future *future, struct storm_pool *pool)
{
    char argument[SHORT_ARGUMENT];
    struct dice dice = {.state = strtoul(future_argument(future), NULL, 10)};
    task_choose(pool, &dice, false, argument);
    return executor_try_submit(pool->executor, task_run, argument);
}

static void submit_more(struct future *future, void *pool)
{
    future_free(submit_another(future, pool));
}

/* Waiting for its own pool fails. */
static void try_to_wait(struct future *future, void *pool)
{
    struct future *other = submit_another(future, pool);
    errno = 0;
    const struct result *result = future_result(other);
    if (other != NULL && !(result->status == RESULT_FAILED && errno == EDEADLK) &&
        !future_done(other))
        wrong("a callback has waited for its pool: status %d", (int)result->status);
    future_cancel(other);
    future_free(other);
}

/* ---- Actions on a ticket; each decides all before it does anything ---- */

static void act_submit(struct client *client, struct future **ticket)
{
    bool waits = !one_in(&client->dice, 5);
    task_choose(client->pool, &client->dice, true, client->argument);
    if (*ticket != NULL)
        return;
    struct executor *executor = client->pool->executor;
    *ticket = waits ? executor_submit(executor, task_run, client->argument)
                    : executor_try_submit(executor, task_run, client->argument);
}

static void act_wait(struct client *client, struct future **ticket)
{
    double seconds = one_in(&client->dice, 8) ? INFINITY : roll(&client->dice, 5) * 0.001;
    if (*ticket == NULL)
        return;
    future_running(*ticket);
    future_result_within(*ticket, seconds);
    if (future_done(*ticket)) {
        settle(client->pool, *ticket);
        *ticket = NULL;
    }
}

static void act_cancel(struct client *client, struct future **ticket)
{
    (void)client;
    bool is_cancelled = future_cancel(*ticket);
    if (is_cancelled != future_cancelled(*ticket))
        wrong("future_cancel() returned %d, and future_cancelled() not", is_cancelled);
}

static void act_free(struct client *client, struct future **ticket)
{
    (void)client;
    future_free(*ticket);
    *ticket = NULL;
}

static void act_call_back(struct client *client, struct future **ticket)
{
    static void (*const callbacks[])(struct future *, void *) = {look, submit_more,
                                                                 try_to_wait, free_own};
    size_t which = roll(&client->dice, 4);
    if (*ticket != NULL && future_on_done(*ticket, callbacks[which], client->pool) &&
        callbacks[which] == free_own)
        *ticket = NULL;
}

/* Waits for many, in one of three ways. */
static void act_wait_for_many(struct client *client, struct future **ticket)
{
    enum wait_until until = roll(&client->dice, 3);
    (void)ticket;
    if (!futures_wait(client->tickets, TICKETS, until, 0.005) && errno != ETIMEDOUT &&
        errno != ENOMEM)
        wrong("futures_wait() failed with errno %d", errno);
}

static void act_take_completed(struct client *client, struct future **ticket)
{
    struct as_completed *completed =
        as_completed_open(client->tickets, TICKETS, roll(&client->dice, 10) * 0.001);
    struct future *future;
    (void)ticket;
    if (completed == NULL)
        return; /* without memory */
    while ((future = as_completed_next(completed)) != NULL) {
        if (!future_done(future))
            wrong("as_completed_next() returned one that is not done");
    }
    as_completed_free(completed);
}

/* ---- A map ---- */

struct map {
    struct client *client;
    size_t left; /* arguments to come */
};

static const char *next_argument(void *context)
{
    struct map *map = context;
    if (map->left == 0)
        return NULL;
    map->left--;
    task_choose(map->client->pool, &map->client->dice, true, map->client->argument);
    return map->client->argument;
}

static bool take_result(void *context, const char *argument, const struct result *result)
{
    struct map *map = context;
    task_check(map->client->pool, argument, result);
    return true;
}

static void act_map(struct client *client, struct future **ticket)
{
    struct map map = {.client = client, .left = roll(&client->dice, 100)};
    struct map_options options = {.window = roll(&client->dice, 20),
                                  .seconds = (1 + roll(&client->dice, 30)) * 0.001};
    (void)ticket;
    if (!executor_map(client->pool->executor, task_run, next_argument, take_result, &map,
                      &options) &&
        errno != ETIMEDOUT && errno != ESHUTDOWN && errno != ENOMEM)
        wrong("executor_map() failed with errno %d", errno);
}

/* ---- A client ---- */

struct action {
    uint32_t weight;
    void (*act)(struct client *client, struct future **ticket);
};

static const struct action actions[] = {
    {50, act_submit},    {15, act_wait},         {10, act_cancel},        {5, act_free},
    {10, act_call_back}, {4, act_wait_for_many}, {5, act_take_completed}, {1, act_map}};

static void take_step(struct client *client)
{
    struct future **ticket = &client->tickets[roll(&client->dice, TICKETS)];
    uint32_t choice = roll(&client->dice, 100);
    size_t i = 0;
    while (choice >= actions[i].weight)
        choice -= actions[i++].weight;
    actions[i].act(client, ticket);
}

void *client_run(void *context)
{
    struct client *client = context;
    for (size_t i = 0; i < client->steps; i++)
        take_step(client);
    for (size_t i = 0; i < TICKETS; i++) {
        if (client->tickets[i] == NULL)
            continue;
        future_result(client->tickets[i]);
        settle(client->pool, client->tickets[i]);
        client->tickets[i] = NULL;
    }
    return NULL;
}
