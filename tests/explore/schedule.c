/*
 * The explorer: a library to be preloaded that lets one thread run at a time. Before each
 * step that another thread could notice, it decides which thread runs next. So a run is a
 * list of decisions; they come from a seed, and the same seed gives the same run.
 *
 *     the program     pthread_mutex_lock(), sem_post(), read()...: pthreads.c, waits.c
 *         |           compiled with -fsanitize=thread, also its memory's use: race.c
 *         v
 *       step()        what the thread does next, and what has to hold until then
 *         |
 *         v
 *      choose()       which of those that can go on?
 *         |                                                         (a lane a thread)
 *         v           main      |-----|                 |-----|
 *     give_turn()     thread-1        |-----|                       sleeps on its futex
 *                     thread-2              |-----------|
 *
 * Mutexes, conditions and the like are only written down: since one thread runs at a time
 * that is enough, and it shows who can go on. If nobody can, now or later, that is a
 * deadlock. Each run is a process, forked before the program's main() begins (runs.c).
 *
 * Seed 0 changes threads only when one has to wait. All others are PCT (Burckhardt et
 * al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010):
 * threads have random priorities, the highest that can go on does, and at DEPTH - 1
 * random steps the running one falls below all others. With n threads, and k steps at
 * which there is a choice, a run finds a bug that takes d = DEPTH steps in some order
 * with a probability of at least 1 / (n * k^(d-1)). (The random steps are among as many
 * as schedule 0 had.) Also, in each random run at most one sleeper wakes without a
 * signal, as POSIX allows, or one deadline comes early; otherwise time passes when all
 * threads wait.
 *
 * Not known here are pthread_cancel(3), pthread_tryjoin_np(3), spin locks, read-write
 * locks with a deadline, named semaphores, fences, C11's threads, and the system calls
 * that wait and are not in waits.c, such as select, connect, accept4, sendmsg, readv,
 * wait and wait4.
 *
 * An exhaustive search goes through all schedules with a bounded number of preemptions,
 * depth first; at a preemption a thread loses its turn though it could go on (CHESS:
 * Musuvathi et al., "Finding and Reproducing Heisenbugs in Concurrent Programs", 2008).
 */
#include "explore.h"

#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    FREELY = 20000, /* choices that are not fair */
    MOST_FAIRLY = 1000000,
    PATIENCE = 3000, /* milliseconds, for what comes from outside */
};

struct report *report;
struct settings settings = {.bound = -1};
struct thread threads[MOST_THREADS];
struct thread *threads_end = threads;
_Thread_local struct thread *self;
int64_t now;

static bool is_active;
static uint64_t random_state;
static unsigned changes[DEPTH - 1]; /* at which choices a priority changes */
static unsigned surprise; /* from which choice on a sleeper wakes without a signal */
static int64_t lowest;    /* of all priorities */
static int preemptions;
static char program_name[16]; /* of threads, too, until they have one of their own */

bool is_scheduled(void)
{
    return is_active && self != NULL;
}

bool is_alive(const struct thread *thread)
{
    return thread->is_used && !thread->is_finished;
}

/* ---- Chance ---- */

/* splitmix64, by Sebastiano Vigna (public domain). */
static uint64_t random_number(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* One of `count` possibilities. An exhaustive search takes those that it was told, then
   the first of each; the runner tells others next time. */
unsigned pick(unsigned count)
{
    static unsigned made;
    if (settings.bound < 0 || made == MOST_CHOICES)
        return report->seed == 0 ? 0 : random_number() % count;
    report->possible[made] = count;
    return report->chosen[made++];
}

/* ---- What it did ---- */

/* The end of a long run is enough. */
static bool is_recorded(void)
{
    return report->is_recorded && report->choices >= settings.recorded_from;
}

/* Writes what a thread does, for scripts/explore.awk. */
static void write_step(const struct thread *thread, const char *what, const void *object,
                       unsigned woken)
{
    if (!is_recorded())
        return;
    dprintf(settings.steps, "step\t%u\t%s\t%s\t%p\t%p\t%u\t%d\t", thread->number,
            thread->name, what, object, thread->other, woken, thread->can != NULL);
    for (int i = 0; i < MOST_FRAMES && thread->frames[i] != NULL; i++)
        dprintf(settings.steps, " %#lx", (unsigned long)thread->frames[i] - 1);
    if (dprintf(settings.steps, "\n") < 0)
        report->error = errno;
}

static void look_where_it_is(void)
{
    if (!is_recorded())
        return;
    is_active = false; /* backtrace() has a lock itself */
    int count = backtrace(self->frames, MOST_FRAMES);
    is_active = true;
    memset(self->frames + count, 0, (MOST_FRAMES - count) * sizeof(*self->frames));
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (self != threads && strcmp(name, program_name) != 0)
        strcpy(self->name, name);
}

/* What no other thread could notice, or has been a step already; a signal wakes some. */
void note(const char *what, const void *object, unsigned woken)
{
    look_where_it_is();
    write_step(self, what, object, woken);
}

/* ---- The end ---- */

/* Where --gdb stops. */
SEEN __attribute__((noinline)) void explore_fault(void)
{
    __asm__ volatile("");
}

void schedule_end(void)
{
    is_active = false;
}

void fault(const char *kind, const char *format, ...)
{
    va_list values;
    schedule_end();
    va_start(values, format);
    vsnprintf(report->text, sizeof(report->text), format, values);
    va_end(values);
    strcpy(report->fault, kind);
    for (struct thread *thread = threads; thread < threads_end; thread++) {
        if (is_alive(thread) && thread->can != NULL)
            write_step(thread, thread->what, thread->object, 0);
    }
    explore_fault();
    _exit(0);
}

/* ---- Whose turn it is ---- */

static void await_turn(void)
{
    while (atomic_load(&self->turn) == 0)
        syscall(SYS_futex, &self->turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    atomic_store(&self->turn, 0);
}

static void give_turn(struct thread *next)
{
    atomic_store(&next->turn, 1);
    syscall(SYS_futex, &next->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Those that can go on, the running one first. */
static unsigned find_able(struct thread *able[])
{
    unsigned count = 0;
    for (struct thread *thread = threads; thread < threads_end; thread++) {
        if (!is_alive(thread) ||
            (thread->can != NULL && !thread->is_late && !thread->can(thread)))
            continue;
        able[count++] = thread;
        if (thread == self) {
            able[count - 1] = able[0];
            able[0] = self;
        }
    }
    return count;
}

static struct thread *first_deadline(void)
{
    struct thread *first = NULL;
    for (struct thread *thread = threads; thread < threads_end; thread++) {
        if (is_alive(thread) && thread->can != NULL && thread->deadline > 0 &&
            !thread->is_late && (first == NULL || thread->deadline < first->deadline))
            first = thread;
    }
    return first;
}

static void be_late(struct thread *thread)
{
    now = now < thread->deadline ? thread->deadline : now;
    thread->is_late = true;
    write_step(thread, "times out", thread->object, 0);
}

/* Nobody can go on: a deadline comes, or something from outside, or nobody ever will. */
static void wait_for_anything(void)
{
    static int waited;
    bool is_outside = false;
    for (struct thread *thread = threads; thread < threads_end; thread++)
        is_outside |= is_alive(thread) && thread->is_outside;
    if (first_deadline() != NULL)
        be_late(first_deadline());
    else if (is_outside && waited++ < PATIENCE)
        syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 1000000}, NULL);
    else
        fault("deadlock", "all threads wait, and nobody is left to wake them");
}

unsigned find_asleep(struct thread *sleepers[], const void *condition)
{
    unsigned count = 0;
    for (struct thread *thread = threads; thread < threads_end; thread++) {
        if (is_asleep(thread, condition))
            sleepers[count++] = thread;
    }
    return count;
}

/* Once in a run, a thread wakes without a signal, or a deadline comes early: as soon as
   there is one. */
static void be_surprising(void)
{
    struct thread *sleepers[MOST_THREADS];
    unsigned count = find_asleep(sleepers, NULL);
    struct thread *late = settings.is_patient ? NULL : first_deadline();
    if (late != NULL && (count == 0 || pick(2) == 0)) {
        be_late(late);
    } else if (count > 0) {
        struct thread *sleeper = sleepers[pick(count)];
        sleeper->is_woken = true;
        write_step(sleeper, "wakes by itself", sleeper->object, 0);
    } else {
        return;
    }
    surprise = UINT_MAX;
}

static struct thread *by_priority(struct thread *able[], unsigned count)
{
    for (int i = 0; i < DEPTH - 1; i++) {
        if (report->choices == changes[i])
            self->priority = DEPTH - 1 - i;
    }
    struct thread *highest = able[0];
    for (unsigned i = 1; i < count; i++)
        highest = able[i]->priority > highest->priority ? able[i] : highest;
    return highest;
}

static struct thread *within_bound(struct thread *able[], unsigned count)
{
    if (able[0] == self && preemptions == settings.bound)
        return self;
    struct thread *next = able[pick(count)];
    preemptions += able[0] == self && next != self;
    return next;
}

/* A program that waits in a loop would have all the turns: so the choice becomes fair. */
static struct thread *choose_one_of(struct thread *able[], unsigned count)
{
    if (++report->choices > FREELY + MOST_FAIRLY)
        fault("endless", "after %u choices it has not ended", report->choices);
    if (report->choices > FREELY)
        return able[random_number() % count];
    if (settings.bound >= 0)
        return within_bound(able, count);
    return report->seed == 0 ? able[0] : by_priority(able, count);
}

static struct thread *choose(void)
{
    struct thread *able[MOST_THREADS];
    unsigned count;
    if (report->choices >= surprise)
        be_surprising();
    while ((count = find_able(able)) == 0)
        wait_for_anything();
    return count == 1 ? able[0] : choose_one_of(able, count);
}

/* ---- Steps ---- */

/* Other threads may run before the step, and have to while it is not possible. A step
   without a name comes after one that lets others go on. */
void step(const char *what, const void *object, const void *other,
          bool (*can)(struct thread *))
{
    int error = errno;
    self->what = what;
    self->object = object;
    self->other = other;
    self->can = can;
    self->is_late = false;
    look_where_it_is();
    struct thread *next = choose();
    if (next != self) {
        give_turn(next);
        await_turn();
    }
    self->can = NULL;
    if (what != NULL)
        write_step(self, what, object, 0);
    self->deadline = 0;
    self->is_outside = false;
    errno = error;
}

/* The running thread waits in a loop: all others come first. */
void be_last(void)
{
    self->priority = --lowest;
}

/* ---- Threads ---- */

/* A thread that can run from now on. It has seen what its creator has. */
struct thread *thread_new(void *(*start)(void *), void *argument)
{
    struct thread *new = threads;
    unsigned count = 1;
    for (struct thread *thread = threads; thread < threads_end; thread++)
        count += thread->is_used;
    if (count > MOST_THREADS)
        fault("limit", "the explorer knows at most %d threads at a time", MOST_THREADS);
    while (new->is_used)
        new ++;
    threads_end += new == threads_end;
    report->threads = count > report->threads ? count : report->threads;
    uint32_t time = new->seen[new - threads];
    *new = (struct thread){
        .number = new - threads,
        .is_used = true,
        .start = start,
        .argument = argument,
        .priority = DEPTH + (int64_t)(random_number() >> 2),
    };
    snprintf(new->name, sizeof(new->name), "thread-%u", new->number);
    if (self != NULL)
        see_all(new->seen, self->seen);
    new->seen[new->number] = time + 1;
    return new;
}

/* In a new thread: waits for its first turn. */
void thread_begin(struct thread *thread)
{
    self = thread;
    await_turn();
    note("begins", NULL, 0);
}

/* In a thread that ends: the next one goes on. After the last one, the process ends. What
   the C library does afterwards in the thread is not scheduled any more. */
void thread_end(void)
{
    bool is_alone = true;
    note("ends", NULL, 0);
    self->is_finished = true;
    self->is_used = !self->is_detached;
    for (struct thread *thread = threads; thread < threads_end; thread++)
        is_alone &= !is_alive(thread);
    struct thread *next = is_alone ? NULL : choose();
    self = NULL;
    if (next != NULL)
        give_turn(next);
}

/* In a new process, which has one thread. */
void schedule_begin(void)
{
    random_state = report->seed;
    surprise = UINT_MAX;
    for (int i = 0; i < DEPTH - 1 && report->seed > 0; i++)
        changes[i] = 1 + random_number() % (settings.expected_choices + 1);
    if (report->seed > 0 && settings.bound < 0)
        surprise = random_number() % (settings.expected_choices + 1);
    self = thread_new(NULL, NULL);
    self->id = pthread_self();
    strcpy(self->name, "main");
    prctl(PR_GET_NAME, program_name);
    is_active = true;
}
