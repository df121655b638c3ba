/*
 * What the cases of the executor's test share. Each case runs on each kind of pool; tasks
 * and cases talk through pipes, which reach into processes too.
 */
#ifndef CASES_H
#define CASES_H

#include "executor.h"
#include "processes.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A kind of pool. To have another one pass, add it to the list in main.c. */
struct pool {
    const char *name;
    const char *worker; /* how its workers are called */
    enum where {
        THREADS_ONLY = 1,
        PROCESSES_ONLY = 2,
        LOOPS_ONLY = 4,
        CLUSTERS_ONLY = 8,
        IN_OUR_PROCESS = THREADS_ONLY | LOOPS_ONLY,
        CAN_BE_KILLED = PROCESSES_ONLY | LOOPS_ONLY,
        IN_PROCESSES = PROCESSES_ONLY | CLUSTERS_ONLY,
        NOT_A_CLUSTER = THREADS_ONLY | PROCESSES_ONLY | LOOPS_ONLY,
        ANY_POOL = THREADS_ONLY | PROCESSES_ONLY | LOOPS_ONLY | CLUSTERS_ONLY,
#ifdef __SANITIZE_THREAD__ /* which refuses pthread_exit(3) in a fiber */
        THREAD_MAY_END = THREADS_ONLY | PROCESSES_ONLY | CLUSTERS_ONLY,
#else
        THREAD_MAY_END = ANY_POOL,
#endif
    } kind;
    struct executor *(*open)(size_t workers);
    struct executor *(*open_with)(const struct executor_options *options);
};

struct test_case {
    enum where where; /* on which kinds of pool it runs */
    const char *name;
    void (*run)(void);
};

struct test_group {
    const char *name;
    const struct test_case *cases;
    size_t count;
};

extern const struct test_group submit_group, future_group, wait_group, as_completed_group,
    map_group, shutdown_group, deadlock_group, initializer_group, limits_group,
    crash_group, callbacks_group, ends_group, settle_group, fork_group, stop_group,
    loop_group;

/* The pool that the running case is to open. */
extern const struct pool *pool;

/* ---- Tasks ---- */

/* Every task stands in a list, since a cluster runs no other (in a section of its own,
   which the linker gives a beginning and an end). */
#define TASK(function)                                                                \
    static const task_fn function##_is_task __attribute__((section("tasks"), used)) = \
        function

struct result echo(const char *argument);   /* its argument */
struct result refuse(const char *argument); /* RESULT_FAILED, its argument */
struct result hold(const char *argument);   /* tells has_begun(), waits for release() */
struct result tell(const char *argument);   /* tells has_begun(), and its argument */
struct result crash(const char *argument);  /* dies by SIGABRT */
struct result leave_early(const char *argument); /* dies by exit(7) */

/* Tells the case that a task has begun; for tasks. */
void say_begun(void);

/* Waits until the descriptor can be read; for tasks. In an event loop, only the task
   waits. Returns false if it has been given up. */
bool wait_until_readable(int descriptor);

/* ---- In a case ---- */

/* Lets fork(2) succeed `count` times more, in this process and in those that it has
   forked since the last call; then it fails with EAGAIN. */
enum { ANY_NUMBER = 1000000000 };
void allow_forks(int count);

/* Waits until `count` tasks more have begun. */
void has_begun(size_t count);

/* Whether a task has begun that nobody has waited for yet. */
bool has_any_begun(void);

/* Lets `count` tasks go on that hold. */
void release(size_t count);

/* Submits, and it goes well. */
struct future *submit(struct executor *executor, task_fn task, const char *argument);

/* Whether the task of the future runs, which has begun: a cluster has to be told
   first. */
bool comes_to_run(const struct future *future);

/* The future comes to this result; it is freed. */
void comes_to(struct future *future, enum result_status status, const char *text);

/* A thread that shuts the executor down. Returns when it is there and has to wait. */
pthread_t shut_down_meanwhile(struct executor *executor);

/* A case is called like its function. */
#define NAMED(function) #function, function

#define GROUP(name)                          \
    const struct test_group name##_group = { \
        #name, name##_cases, sizeof(name##_cases) / sizeof(name##_cases[0])}

#endif
