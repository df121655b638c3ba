/*
 * What the files of the explorer share. schedule.c says how it works.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "../preload/next.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MOST_THREADS = 32,   /* at a time */
    MOST_CHOICES = 4096, /* of a run, that an exhaustive search can vary */
    MOST_FRAMES = 8,
    DEPTH = 3, /* of the bugs that are found with the probability in schedule.c */
};

struct thread {
    atomic_uint turn; /* a futex: 1 when it is this thread's turn */
    unsigned number;
    pthread_t id;
    char name[16];
    void *(*start)(void *);
    void *argument;
    bool is_used, is_finished, is_detached;
    int64_t priority;

    /* What it does next, on what, and what has to hold for it; NULL: it can at once. */
    const char *what;
    const void *object, *other;
    bool (*can)(struct thread *);
    void *frames[MOST_FRAMES]; /* where, if that is recorded */
    int64_t deadline;          /* on the virtual clock, in nanoseconds; 0: none */
    bool is_late;              /* the deadline has come */
    bool is_outside;           /* it waits for what no thread here does */
    bool is_woken;             /* from its sleep on a condition */
    unsigned round;            /* of the barrier at which it waits */

    uint32_t seen[MOST_THREADS]; /* how much of each thread's time: race.c */
};

/* An access of memory. */
struct access {
    uint32_t time; /* of the thread's; 0: there is none */
    uint8_t thread;
    uint8_t bytes; /* of the word, a bit for each */
    bool writes, is_atomic;
    void *where;
};

/* Eight bytes of memory: which threads have used them lately. If a mutex, semaphore,
   barrier or atomic variable begins there, also its state. */
struct word {
    uintptr_t address; /* divided by 8 */
    struct thread *owner;
    unsigned count; /* of its owner's locks, its readers, its tokens, its arrivals */
    unsigned limit; /* of a barrier */
    unsigned round;
    unsigned next;
    struct access accesses[4];
    uint32_t seen[MOST_THREADS]; /* by those that released it */
};

/* What a run tells the runner, in memory that both share. */
extern struct report {
    unsigned seed, threads, choices;
    bool is_recorded;
    int error; /* of the recording */
    char fault[16], text[200], race[100];
    void *races[2]; /* where they are */
    /* In an exhaustive search, at each choice: */
    unsigned char chosen[MOST_CHOICES], possible[MOST_CHOICES];
} * report;

extern struct settings {
    unsigned expected_choices; /* k in schedule.c */
    int bound;              /* of preemptions in an exhaustive search; -1: by priority */
    bool is_patient;        /* no deadline comes early */
    unsigned recorded_from; /* this choice */
    int steps;              /* the file that a recorded run writes what it does into */
} settings;

/* What the program sees of this: it may have functions of the other names itself. */
#define SEEN __attribute__((visibility("default")))

/* The function of the C library, or of another preloaded library. */
#define NEXT(name)                                      \
    (__extension__({                                    \
        __typeof__(&name) next_of_name;                 \
        *(void **)&next_of_name = next_function(#name); \
        next_of_name;                                   \
    }))
/* In a process that is not scheduled, such as the program's children, all is as ever. */
#define INSTEAD(type, name, parameters, arguments, value)       \
    SEEN type name parameters                                   \
    {                                                           \
        return is_scheduled() ? (value) : NEXT(name) arguments; \
    }
#define INSTEAD_ONE(name, object_type, value) \
    INSTEAD(int, name, (object_type * object), (object), value)
#define BEFORE(type, name, parameters, arguments, action) \
    SEEN type name parameters                             \
    {                                                     \
        if (is_scheduled())                               \
            action;                                       \
        return NEXT(name) arguments;                      \
    }

/* schedule.c */
extern struct thread threads[MOST_THREADS];
extern struct thread *threads_end; /* of those that have ever been used */
extern _Thread_local struct thread *self;
extern int64_t now; /* the virtual clock */
bool is_scheduled(void);
bool is_alive(const struct thread *thread);
void step(const char *what, const void *object, const void *other,
          bool (*can)(struct thread *));
void note(const char *what, const void *object, unsigned woken);
unsigned pick(unsigned count);
void be_last(void);
struct thread *thread_new(void *(*start)(void *), void *argument);
void thread_begin(struct thread *thread);
void thread_end(void);
unsigned find_asleep(struct thread *sleepers[], const void *condition);
void schedule_begin(void);
void schedule_end(void);
_Noreturn void fault(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* pthreads.c */
bool is_asleep(const struct thread *thread, const void *condition);

/* waits.c */
int64_t deadline_at(clockid_t clock, const struct timespec *time);

/* race.c */
struct word *word_at(const void *address);
void acquire(struct word *word);
void release(struct word *word);
void see_all(uint32_t seen[], const uint32_t others[]);
void forget(const void *from, size_t length);

#endif
