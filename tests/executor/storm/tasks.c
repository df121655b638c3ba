/* What the workers run: each task notes that it has run, where all processes see it. */
#include "storm.h"

#include "fiber.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_TASKS = 1 << 18 }; /* in a round */

struct note {
    atomic_uchar runs;
    atomic_bool is_cancelled;
    atomic_bool is_broken;
};

static struct note *notes;
static atomic_size_t next_task;

char *__real_strdup(const char *text);

void tasks_open(void)
{
    notes = mmap(NULL, MOST_TASKS * sizeof(*notes), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (notes == MAP_FAILED)
        wrong("no memory for the notes");
}

void tasks_begin_round(void)
{
    memset((void *)notes, 0, atomic_load(&next_task) * sizeof(*notes));
    atomic_store(&next_task, 0);
}

void tasks_end_round(void)
{
    for (size_t i = 0; i < atomic_load(&next_task); i++) {
        unsigned runs = atomic_load(&notes[i].runs);
        if (runs > 1)
            wrong("task %zu ran %u times", i, runs);
        if (runs > 0 && atomic_load(&notes[i].is_cancelled))
            wrong("task %zu ran though it is cancelled", i);
    }
}

/* ---- The tasks ---- */

/* An argument begins with the task's number, the kind and a length. */
enum kind {
    ECHO,
    GROW,
    WORK,
    FAIL,
    PRETEND,
    FORK,
    CLOSE,
    DIE,
    LEAVE,
    HANG,
    SUSPEND,
    KINDS,
};

struct order {
    unsigned task;
    unsigned kind;
    unsigned length; /* GROW: of the text */
};

static struct order read_order(const char *argument)
{
    struct order order = {0};
    if (sscanf(argument, "%u %u %u ", &order.task, &order.kind, &order.length) != 3 ||
        order.task >= MOST_TASKS || order.kind >= KINDS)
        wrong("what argument is '%.60s'?", argument);
    return order;
}

static struct order note_run(const char *argument)
{
    struct order order = read_order(argument);
    atomic_fetch_add(&notes[order.task].runs, 1);
    return order;
}

/* These are allocations of the task's, which do not fail. */
static struct result say(enum result_status status, const char *text)
{
    return (struct result){.status = status, .text = __real_strdup(text)};
}

static struct result echo(const char *argument)
{
    note_run(argument);
    return say(RESULT_OK, argument);
}

static struct result grow(const char *argument)
{
    struct order order = note_run(argument);
    struct result result = {.status = RESULT_OK, .text = __real_strdup("")};
    char *text = realloc(result.text, order.length + 1);
    if (text == NULL) {
        free(result.text);
        return say(RESULT_FAILED, "no memory");
    }
    memset(text, 'x', order.length);
    text[order.length] = '\0';
    result.text = text;
    return result;
}

static struct result work(const char *argument)
{
    struct order order = note_run(argument);
    for (volatile unsigned i = 0; i < order.length; i++)
        continue;
    return say(RESULT_OK, argument);
}

static struct result fail(const char *argument)
{
    note_run(argument);
    return say(RESULT_FAILED, argument);
}

/* Says that it never ran. */
static struct result pretend(const char *argument)
{
    note_run(argument);
    return say(RESULT_CANCELLED, argument);
}

/* Returns in two processes. */
static struct result fork_one(const char *argument)
{
    note_run(argument);
    fork();
    return say(RESULT_OK, argument);
}

/* The worker cannot send the result. */
static struct result close_all(const char *argument)
{
    note_run(argument);
    closefrom(3);
    return say(RESULT_OK, argument);
}

static struct result die(const char *argument)
{
    struct order order = note_run(argument);
    if (order.length % 3 == 0)
        raise(SIGKILL);
    else if (order.length % 3 == 1)
        exit(1);
    _exit(0);
}

static struct result leave_thread(const char *argument)
{
    note_run(argument);
    pthread_exit(NULL);
}

static struct result hang(const char *argument)
{
    note_run(argument);
    while (fiber_running() == NULL || fiber_suspend(INFINITY) != ECANCELED) {
        if (fiber_running() == NULL)
            pause();
    }
    return say(RESULT_OK, argument);
}

/* Suspends itself some times, so that other tasks run. */
static struct result suspend(const char *argument)
{
    struct order order = note_run(argument);
    for (unsigned i = 0; i < order.length % 100; i++)
        fiber_suspend(0);
    return say(RESULT_OK, argument);
}

static const task_fn tasks[] = {
    [ECHO] = echo,          [GROW] = grow,     [WORK] = work,       [FAIL] = fail,
    [PRETEND] = pretend,    [FORK] = fork_one, [CLOSE] = close_all, [DIE] = die,
    [LEAVE] = leave_thread, [HANG] = hang,     [SUSPEND] = suspend};

struct result task_run(const char *argument)
{
    return tasks[read_order(argument).kind](argument);
}

static enum kind choose_kind_in_loop(const struct storm_pool *pool, uint32_t choice)
{
    if (choice < 40)
        return SUSPEND;
    if (choice < 85)
        return ECHO;
    if (choice < 90)
        return choice % 2 == 0 ? FAIL : PRETEND;
    if (choice < 95)
        return pool->options.task_seconds > 0 ? HANG : GROW;
#ifndef __SANITIZE_THREAD__ /* which refuses pthread_exit(3) in a fiber */
    return LEAVE;
#else
    return WORK;
#endif
}

static enum kind choose_kind(const struct storm_pool *pool, uint32_t choice)
{
    if (pool->is_loop)
        return choose_kind_in_loop(pool, choice);
    if (choice < 45)
        return ECHO;
    if (choice < 60)
        return GROW;
    if (choice < 85)
        return WORK;
    if (choice < 90)
        return choice % 2 == 0 ? FAIL : PRETEND;
    if (choice < 94)
        return pool->has_processes ? DIE : LEAVE;
    if (!pool->has_processes)
        return ECHO;
    if (choice < 96)
        return FORK;
    if (choice < 98)
        return CLOSE;
    return pool->options.task_seconds > 0 ? HANG : ECHO;
}

void task_choose(struct storm_pool *pool, struct dice *dice, bool may_be_long,
                 char *argument)
{
    static const uint32_t lengths[] = {10, 300, 5000, LONGEST_TEXT};
    enum kind kind = choose_kind(pool, roll(dice, 100));
    uint32_t size = roll(dice, 20) / 6; /* of which the longest is the rarest */
    uint32_t length = roll(dice, lengths[size]);
    size_t task = atomic_fetch_add(&next_task, 1);
    if (task >= MOST_TASKS)
        wrong("too many tasks in a round");
    size_t begun = (size_t)sprintf(argument, "%zu %d %u ", task, (int)kind, length);
    if (kind == ECHO && may_be_long && length > begun) {
        memset(argument + begun, 'a', length - begun);
        argument[length] = '\0';
    }
    atomic_fetch_add(&tally.tasks, 1);
}

/* ---- Their results ---- */

static bool is_filled(const char *text, char byte, size_t length)
{
    size_t count = 0;
    while (text[count] == byte)
        count++;
    return count == length && text[count] == '\0';
}

/* Whether a task that ran to its end may have this result. */
static bool is_own_result(struct order order, const char *argument,
                          const struct result *result)
{
    switch (order.kind) {
    case ECHO:
    case WORK:
    case FORK:
    case SUSPEND:
        return result->status == RESULT_OK && strcmp(result->text, argument) == 0;
    case GROW:
        return (result->status == RESULT_OK &&
                is_filled(result->text, 'x', order.length)) ||
               (result->status == RESULT_FAILED &&
                strcmp(result->text, "no memory") == 0);
    case FAIL:
    case PRETEND:
        return result->status == RESULT_FAILED && strcmp(result->text, argument) == 0;
    default:
        return false;
    }
}

static void check_broken(struct storm_pool *pool, struct order order,
                         const struct result *result)
{
    if (order.kind == DIE || order.kind == LEAVE || order.kind == CLOSE)
        return; /* it asked for it */
    if (pool->options.task_seconds > 0 && strstr(result->text, "timed out after") != NULL)
        return; /* the initializer was stopped */
    if (atomic_exchange(&notes[order.task].is_broken, true))
        return; /* a callback has seen it too */
    atomic_fetch_add(&pool->broken, 1);
    atomic_fetch_add(&tally.broken, 1);
}

void task_check(struct storm_pool *pool, const char *argument,
                const struct result *result)
{
    struct order order = read_order(argument);
    unsigned runs = atomic_load(&notes[order.task].runs);
    bool is_right;
    if (result->status == RESULT_CANCELLED) {
        atomic_store(&notes[order.task].is_cancelled, true);
        atomic_fetch_add(&tally.cancels, 1);
        is_right = runs == 0;
    } else if (result->status == RESULT_BROKEN) {
        check_broken(pool, order, result);
        is_right = true;
    } else if (result->status == RESULT_TIMED_OUT) {
        is_right = pool->options.task_seconds > 0;
    } else {
        is_right = runs == 1 && is_own_result(order, argument, result);
    }
    if (!is_right)
        wrong("task %u of kind %u ran %u times and has status %d, '%.60s'", order.task,
              order.kind, runs, (int)result->status, result->text);
}

/* ---- Initializers ---- */

struct result initialize_well(const char *argument)
{
    (void)argument;
    return (struct result){.status = RESULT_OK};
}

struct result initialize_badly(const char *argument)
{
    int choice = getpid() % 16;
    if (choice == 0)
        return say(RESULT_FAILED, argument);
    if (choice < 4)
        raise(SIGKILL);
    return (struct result){.status = RESULT_OK};
}
