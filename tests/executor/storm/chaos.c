/* Deaths, stops, and allocations that fail. */
#include "storm.h"

#include "../processes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

/* ---- Allocations: the linker has all calls come here (--wrap in ld(1)) ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static atomic_int here; /* the process in which they fail */
static atomic_int until_failure;

void allocation_fails(uint32_t n)
{
    atomic_store(&here, getpid());
    atomic_store(&until_failure, (int)n);
}

static bool fails(void)
{
    if (atomic_load(&until_failure) <= 0 || getpid() != atomic_load(&here) ||
        atomic_fetch_sub(&until_failure, 1) != 1)
        return false;
    atomic_fetch_add(&tally.failed_allocations, 1);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* ---- Processes: each is named by a descriptor, which never means another one ---- */

enum { MOST_STOPPED = 32, MOST_PROCESSES = 64 };

/* A process that is stopped, for this many steps more. */
struct stopped {
    int handle;
    uint32_t steps;
};

/* Returns a descriptor of the pool's worker of this number, or -1 if there is none. */
static int open_worker(const struct storm_pool *pool, uint32_t number)
{
    pid_t pids[MOST_PROCESSES];
    size_t count = find_children(pool->server, pids, MOST_PROCESSES);
    if (count == 0)
        return -1;
    pid_t pid = pids[number % count];
    int handle = pidfd_open(pid, 0);
    if (handle < 0)
        return -1;
    /* The number of a process that has ended could be another's by now. */
    if (is_child(pid, pool->server) &&
        pidfd_send_signal(pool->server_handle, 0, NULL, 0) == 0)
        return handle;
    close(handle);
    return -1;
}

static void kill_worker(struct storm_pool *pool, int handle, uint32_t choice)
{
    static const int signals[] = {SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGHUP};
    int signal_number = signals[choice % (sizeof(signals) / sizeof(signals[0]))];
    atomic_fetch_add(&pool->deaths, 1); /* before its result can be seen */
    if (pidfd_send_signal(handle, signal_number, NULL, 0) == 0)
        atomic_fetch_add(&tally.deaths, 1);
    else
        atomic_fetch_sub(&pool->deaths, 1);
}

static void kill_server(struct storm_pool *pool)
{
    atomic_store(&pool->is_shot, true);
    if (pidfd_send_signal(pool->server_handle, SIGKILL, NULL, 0) == 0)
        atomic_fetch_add(&tally.server_deaths, 1);
}

/* Stops the process, if there is room to note it. Closes the handle later. */
static void stop_process(struct stopped stopped[], int handle, uint32_t steps)
{
    size_t i = 0;
    while (i < MOST_STOPPED && stopped[i].handle >= 0)
        i++;
    if (i == MOST_STOPPED || pidfd_send_signal(handle, SIGSTOP, NULL, 0) < 0) {
        close(handle);
        return;
    }
    atomic_fetch_add(&tally.stops, 1);
    stopped[i] = (struct stopped){.handle = handle, .steps = steps};
}

/* Has those go on whose time has come; with `all`, all of them. */
static void continue_processes(struct stopped stopped[], bool all)
{
    for (size_t i = 0; i < MOST_STOPPED; i++) {
        if (stopped[i].handle < 0)
            continue;
        stopped[i].steps--;
        if (!all && stopped[i].steps > 0)
            continue;
        pidfd_send_signal(stopped[i].handle, SIGCONT, NULL, 0); /* unless it is dead */
        close(stopped[i].handle);
        stopped[i].handle = -1;
    }
}

/* All is decided before anything is done, whatever comes of it. */
static void take_step(struct chaos *chaos, struct stopped stopped[])
{
    struct storm_pool *pool = &chaos->pools[roll(&chaos->dice, 8) % chaos->pool_count];
    uint32_t action = roll(&chaos->dice, 100);
    uint32_t number = roll(&chaos->dice, MOST_PROCESSES);
    uint32_t choice = roll(&chaos->dice, 40);
    if (action < 10) {
        allocation_fails(1 + choice);
    } else if (!pool->has_processes) {
        return;
    } else if (action < 12) {
        stop_process(stopped, dup(pool->server_handle), 1 + choice / 4);
    } else if (action < 13 && choice < 20) {
        kill_server(pool);
    } else {
        int handle = open_worker(pool, number);
        if (handle >= 0 && action < 40) {
            stop_process(stopped, handle, 1 + choice);
        } else if (handle >= 0) {
            kill_worker(pool, handle, choice);
            close(handle);
        }
    }
}

static void pause_for(uint32_t microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)microseconds * 1000}, NULL);
}

void *chaos_run(void *context)
{
    struct chaos *chaos = context;
    struct stopped stopped[MOST_STOPPED];
    for (size_t i = 0; i < MOST_STOPPED; i++)
        stopped[i].handle = -1;
    while (!atomic_load(&chaos->is_over)) {
        continue_processes(stopped, false);
        take_step(chaos, stopped);
        pause_for(roll(&chaos->dice, 5000));
    }
    continue_processes(stopped, true);
    allocation_fails(0);
    return NULL;
}
