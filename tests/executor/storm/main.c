/*
 * Storms over the executor, and fails if a future does not end, a task runs twice, or
 * more is broken than deaths explain:
 *
 *     build/tests/storm SECONDS SEED [ROUND]
 *
 * It goes in rounds. Each opens a pool or two, lets clients and chaos loose on them,
 * shuts the pools down in one way or another, and checks what came of it. The decisions
 * of a round depend on the seed and the number of the round, so a round that failed can
 * be begun with; when they meet each other is up to the scheduler.
 */
#include "storm.h"

#include "../processes.h"
#include "monotonic.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_POOLS = 2, CLIENTS = 2, LONGEST_ROUND = 100 /* seconds */ };

struct tally tally;

/* What a round consists of. */
static struct round {
    uint64_t number;
    uint64_t seed;
    struct dice dice;
    size_t pool_count;
    struct storm_pool pools[MOST_POOLS];
    struct client clients[MOST_POOLS * CLIENTS];
} round_now;

static atomic_uint_least64_t rounds_done;

uint32_t roll(struct dice *dice, uint32_t sides)
{
    /* splitmix64 */
    uint64_t number = dice->state += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((number ^ number >> 31) % sides);
}

bool one_in(struct dice *dice, uint32_t sides)
{
    return roll(dice, sides) == 0;
}

/* ---- When something is wrong ---- */

static void print_pool(const struct storm_pool *pool)
{
    const struct executor_options *options = &pool->options;
    pid_t pids[64];
    size_t count = 0;
    fprintf(stderr, "%s pool: %zu workers, capacity %zu, %zu tasks a worker, %g s, %s\n",
            pool->has_processes ? "process"
            : pool->is_loop     ? "event loop"
                                : "thread",
            options->workers, options->queue_capacity, options->max_tasks_per_worker,
            options->task_seconds,
            options->initializer == NULL ? "no initializer"
            : pool->loses_all            ? "a bad initializer"
                                         : "an initializer");
    if (pool->has_processes) {
        count = find_children(pool->server, pids, 64);
        fprintf(stderr, "  fork server %d: %c\n", (int)pool->server,
                process_state(pool->server));
    }
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  worker %d: %c\n", (int)pids[i], process_state(pids[i]));
}

static void print_state(void)
{
    for (size_t i = 0; i < round_now.pool_count; i++)
        print_pool(&round_now.pools[i]);
    for (size_t i = 0; i < round_now.pool_count * CLIENTS; i++) {
        const struct client *client = &round_now.clients[i];
        for (size_t j = 0; j < TICKETS; j++) {
            struct future *future = client->tickets[j];
            if (future != NULL && !future_done(future))
                fprintf(stderr, "client %zu waits for task '%.30s', which %s\n", i,
                        future_argument(future),
                        future_running(future) ? "runs" : "has not begun");
        }
    }
}

void wrong(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fprintf(stderr, "storm: seed %lu, round %lu: ", (unsigned long)round_now.seed,
            (unsigned long)round_now.number);
    vfprintf(stderr, format, values);
    fprintf(stderr, "\n");
    va_end(values);
    abort();
}

/* Ends the program if a round takes too long. */
static void *watch(void *unused)
{
    double since = monotonic_seconds();
    uint64_t seen = 0;
    for (;;) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        if (atomic_load(&rounds_done) != seen) {
            seen = atomic_load(&rounds_done);
            since = monotonic_seconds();
        } else if (monotonic_seconds() - since > LONGEST_ROUND) {
            alarm(10); /* a lock may be held that the report needs */
            print_state();
            wrong("it hangs");
        }
    }
    return unused;
}

/* ---- Pools ---- */

static void choose_options(struct storm_pool *pool, struct dice *dice)
{
    uint32_t initializer = roll(dice, 8);
    uint32_t capacity = roll(dice, 60);
    uint32_t most_tasks = roll(dice, 40);
    uint32_t milliseconds = roll(dice, 600);
    uint32_t kind = roll(dice, 8);
    *pool = (struct storm_pool){
        .has_processes = kind >= 3, .is_loop = kind < 2, .server_handle = -1};
    pool->options.workers = 1 + roll(dice, 6);
    pool->loses_all = initializer == 0 && pool->has_processes;
    pool->options.initializer = pool->loses_all   ? initialize_badly
                                : initializer < 4 ? initialize_well
                                                  : NULL;
    pool->options.initializer_argument = "the initializer fails";
    if (capacity < 30)
        pool->options.queue_capacity = capacity;
    if (pool->has_processes && most_tasks < 20)
        pool->options.max_tasks_per_worker = most_tasks;
    if ((pool->has_processes || pool->is_loop) && milliseconds < 200)
        pool->options.task_seconds = (20 + milliseconds) * 0.001;
}

static struct executor *open_executor(const struct storm_pool *pool)
{
    return pool->has_processes ? process_pool_executor_with(&pool->options)
           : pool->is_loop     ? event_loop_executor_with(&pool->options)
                               : thread_pool_executor_with(&pool->options);
}

/* The child that has been added to those that were there, which is the fork server. */
static pid_t new_child(const pid_t before[], size_t count)
{
    pid_t now[MOST_POOLS + 2];
    size_t count_now = find_children(getpid(), now, MOST_POOLS + 2);
    for (size_t i = 0; i < count_now; i++) {
        size_t j = 0;
        while (j < count && before[j] != now[i])
            j++;
        if (j == count)
            return now[i];
    }
    return 0;
}

static void open_pool(struct storm_pool *pool, struct dice *dice)
{
    pid_t before[MOST_POOLS + 2];
    size_t count = find_children(getpid(), before, MOST_POOLS + 2);
    choose_options(pool, dice);
    uint32_t failure = roll(dice, 40);
    allocation_fails(failure < 20 ? failure : 0);
    pool->executor = open_executor(pool);
    allocation_fails(0);
    if (pool->executor == NULL)
        pool->executor = open_executor(pool);
    if (pool->executor == NULL)
        wrong("a pool could not be opened");
    if (pool->has_processes) {
        pool->server = new_child(before, count);
        pool->server_handle = pool->server == 0 ? -1 : pidfd_open(pool->server, 0);
        if (pool->server_handle < 0)
            wrong("the pool has no fork server");
    }
    atomic_fetch_add(&tally.pools, 1);
}

static void shoot(struct storm_pool *pool, bool (*stop)(struct executor *executor))
{
    if (pool->has_processes || pool->is_loop)
        atomic_store(&pool->is_shot, true);
    stop(pool->executor);
}

static void close_pool(struct storm_pool *pool, uint32_t choice)
{
    if (choice == 0)
        executor_close(pool->executor);
    else if (choice == 1)
        executor_shutdown(pool->executor);
    else if (choice == 2)
        executor_shutdown_now(pool->executor);
    else if (choice == 3)
        shoot(pool, executor_kill_workers);
    else if (choice == 4)
        shoot(pool, executor_terminate_workers);
}

static void check_pool(struct storm_pool *pool, size_t failed_allocations)
{
    size_t explained = atomic_load(&pool->deaths) + failed_allocations;
    size_t broken = atomic_load(&pool->broken);
    if (!pool->loses_all && !atomic_load(&pool->is_shot) && broken > explained)
        wrong("%zu results are broken, but only %zu workers were killed and %zu "
              "allocations failed",
              broken, atomic_load(&pool->deaths), failed_allocations);
    if (pool->server_handle >= 0)
        close(pool->server_handle);
}

/* ---- Rounds ---- */

static void start(pthread_t *thread, void *run(void *context), void *context)
{
    if (pthread_create(thread, NULL, run, context) != 0)
        wrong("no thread");
}

static void start_clients(struct round *now, pthread_t threads[])
{
    for (size_t i = 0; i < now->pool_count * CLIENTS; i++) {
        struct client *client = &now->clients[i];
        memset(client->tickets, 0, sizeof(client->tickets));
        client->pool = &now->pools[i / CLIENTS];
        client->steps = 50 + roll(&now->dice, 600);
        client->dice = (struct dice){.state = now->dice.state + i + 1};
        start(&threads[i], client_run, client);
    }
}

static void join_all(const pthread_t threads[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void pause_for(uint32_t milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000L}, NULL);
}

/* Opens the pools before there are threads, as executor.h asks. */
static void run_round(struct round *now)
{
    struct chaos chaos = {.pools = now->pools};
    pthread_t clients[MOST_POOLS * CLIENTS], chaos_thread;
    size_t failed_before = atomic_load(&tally.failed_allocations);
    tasks_begin_round();
    now->pool_count = 1 + roll(&now->dice, MOST_POOLS);
    for (size_t i = 0; i < now->pool_count; i++)
        open_pool(&now->pools[i], &now->dice);
    chaos.pool_count = now->pool_count;
    chaos.dice.state = now->dice.state + 100;
    start(&chaos_thread, chaos_run, &chaos);
    start_clients(now, clients);
    size_t client_count = now->pool_count * CLIENTS;

    bool is_early = one_in(&now->dice, 2); /* while there are clients */
    pause_for(roll(&now->dice, 100));
    if (!is_early)
        join_all(clients, client_count);
    for (size_t i = 0; i < now->pool_count; i++)
        close_pool(&now->pools[i], roll(&now->dice, 6));
    if (is_early)
        join_all(clients, client_count);
    for (size_t i = 0; i < now->pool_count; i++)
        executor_free(now->pools[i].executor);
    atomic_store(&chaos.is_over, true);
    join_all(&chaos_thread, 1);

    size_t failed = atomic_load(&tally.failed_allocations) - failed_before;
    for (size_t i = 0; i < now->pool_count; i++)
        check_pool(&now->pools[i], failed);
    tasks_end_round();
}

static void print_tally(void)
{
    printf(
        "storm: seed %lu: %zu tasks in %zu pools, %zu of them cancelled and %zu broken; "
        "%zu deaths, %zu of fork servers, %zu stops, %zu failed allocations\n",
        (unsigned long)round_now.seed, atomic_load(&tally.tasks),
        atomic_load(&tally.pools), atomic_load(&tally.cancels),
        atomic_load(&tally.broken),
        atomic_load(&tally.deaths) + atomic_load(&tally.server_deaths),
        atomic_load(&tally.server_deaths), atomic_load(&tally.stops),
        atomic_load(&tally.failed_allocations));
}

int main(int argc, char *argv[])
{
    if (argc < 3) {
        fprintf(stderr, "usage: storm SECONDS SEED [ROUND]\n");
        return 2;
    }
    double end = monotonic_seconds() + strtod(argv[1], NULL);
    round_now.seed = strtoul(argv[2], NULL, 10);
    uint64_t number = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    pthread_t watcher;
    tasks_open();
    start(&watcher, watch, NULL);
    for (; monotonic_seconds() < end; number++) {
        round_now.number = number;
        round_now.dice.state = round_now.seed << 32 | number;
        run_round(&round_now);
        atomic_fetch_add(&rounds_done, 1);
    }
    print_tally();
    return 0;
}
