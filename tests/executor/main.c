/*
 * Runs the cases on the pools:
 *
 *     build/tests/executor_test            all of them
 *     build/tests/executor_test 'process pool: wait: *' '*: map: *'
 *     build/tests/executor_test --list     their names
 */
#include "cases.h"

#include "fiber.h"
#include "monotonic.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- A cluster ---- */

extern const task_fn __start_tasks[], __stop_tasks[];

static struct executor *open_cluster_with(const struct executor_options *options)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    static task_fn tasks[300]; /* ends with NULL */
    struct executor_options with_tasks;
    if (options == NULL)
        return cluster_executor_with(NULL);
    with_tasks = *options;
    with_tasks.tasks = tasks;
    memcpy(tasks, __start_tasks,
           (size_t)((const char *)__stop_tasks - (const char *)__start_tasks));
    struct executor *executor;
    do { /* the pool of the case before may have been freed in a callback, and end
    still */
        executor = cluster_executor_with(&with_tasks);
    } while (executor == NULL && errno == EBUSY && nanosleep(&moment, NULL) == 0);
    return executor;
}

static struct executor *open_cluster(size_t workers)
{
    return open_cluster_with(&(struct executor_options){.workers = workers});
}

static const struct pool pools[] = {
    {"thread pool", "thread", THREADS_ONLY, thread_pool_executor,
     thread_pool_executor_with},
    {"process pool", "process", PROCESSES_ONLY, process_pool_executor,
     process_pool_executor_with},
    {"event loop", "loop", LOOPS_ONLY, event_loop_executor, event_loop_executor_with},
    {"cluster", "host-1/process", CLUSTERS_ONLY, open_cluster, open_cluster_with},
};

static const struct test_group *const groups[] = {
    &submit_group, &future_group,   &wait_group,      &as_completed_group,
    &map_group,    &shutdown_group, &deadlock_group,  &initializer_group,
    &limits_group, &crash_group,    &callbacks_group, &ends_group,
    &settle_group, &fork_group,     &stop_group,      &loop_group};

enum {
    POOL_COUNT = sizeof(pools) / sizeof(pools[0]),
    GROUP_COUNT = sizeof(groups) / sizeof(groups[0]),
    MOST = 700,         /* cases on pools */
    LONGEST_CASE = 120, /* seconds; under Valgrind too */
};

const struct pool *pool;

/* Pipes that the workers inherit: they are opened before the pool. */
static int begun[2];
static int released[2];

/* ---- Tasks ---- */

struct result echo(const char *argument)
{
    return result_ok(strdup(argument));
}
TASK(echo);

struct result refuse(const char *argument)
{
    return result_failed("%s", argument);
}
TASK(refuse);

void say_begun(void)
{
    if (write(begun[1], "b", 1) != 1)
        abort();
}

bool wait_until_readable(int descriptor)
{
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    int error = 0;
    while (error != ECANCELED && poll(&ready, 1, fiber_running() == NULL ? -1 : 0) == 0)
        error = fiber_suspend(monotonic_seconds() + 0.001);
    return error != ECANCELED;
}

struct result hold(const char *argument)
{
    char byte;
    say_begun();
    if (!wait_until_readable(released[0]))
        return result_failed("given up");
    if (read(released[0], &byte, 1) != 1)
        abort();
    return result_ok(strdup(argument));
}
TASK(hold);

struct result tell(const char *argument)
{
    say_begun();
    return result_ok(strdup(argument));
}
TASK(tell);

struct result crash(const char *argument)
{
    (void)argument;
    signal(SIGABRT, SIG_DFL);
    abort();
}
TASK(crash);

struct result leave_early(const char *argument)
{
    (void)argument;
    _exit(7);
}
TASK(leave_early);

/* ---- fork(2), which cases can let fail ---- */

/* How many calls may succeed, in this process and in those that it forks; shared by
   them. */
static atomic_int *forks_left;

pid_t fork(void)
{
    static pid_t (*next_fork)(void);
    if (next_fork == NULL)
        *(void **)&next_fork = dlsym(RTLD_NEXT, "fork");
    if (forks_left != NULL && atomic_fetch_sub(forks_left, 1) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return next_fork();
}

void allow_forks(int count)
{
    if (forks_left == NULL) {
        void *memory = mmap(NULL, sizeof(*forks_left), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            abort();
        forks_left = memory;
    }
    atomic_store(forks_left, count);
}

/* ---- In a case ---- */

void has_begun(size_t count)
{
    char byte;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(read(begun[0], &byte, 1), 1);
}

bool has_any_begun(void)
{
    struct pollfd ready = {.fd = begun[0], .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

void release(size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(write(released[1], "r", 1), 1);
}

struct future *submit(struct executor *executor, task_fn task, const char *argument)
{
    struct future *future = executor_submit(executor, task, argument);
    assert_non_null(future);
    return future;
}

bool comes_to_run(const struct future *future)
{
    while (pool->kind == CLUSTERS_ONLY && !future_running(future) && !future_done(future))
        sched_yield();
    return future_running(future);
}

/* Leaves out the name of the host in front of a worker's, if it is there. */
static void leave_out_host(char *text)
{
    static const char name[] = "host-1/";
    char *host;
    while ((host = strstr(text, name)) != NULL)
        memmove(host, host + strlen(name), strlen(host + strlen(name)) + 1);
}

void comes_to(struct future *future, enum result_status status, const char *text)
{
    const struct result *result = future_result(future);
    char *copy = strdup(result->text);
    char *expected = strdup(text);
    leave_out_host(copy);
    leave_out_host(expected);
    assert_string_equal(copy, expected);
    assert_int_equal(result->status, status);
    free(copy);
    free(expected);
    future_free(future);
}

/* An executor, and the thread that shuts it down. */
struct shutdown {
    struct executor *executor;
    pid_t thread;
};

static void *shut_down(void *context)
{
    struct shutdown *shutdown = context;
    struct executor *executor = shutdown->executor;
    shutdown->thread = gettid();
    say_begun(); /* from then on, the struct is gone */
    executor_shutdown(executor);
    return NULL;
}

pthread_t shut_down_meanwhile(struct executor *executor)
{
    struct shutdown shutdown = {.executor = executor};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, shut_down, &shutdown), 0);
    has_begun(1);
    is_asleep(shutdown.thread);
    return thread;
}

/* ---- Running the cases ---- */

/* A case, on a pool. */
struct instance {
    char name[200];
    const struct pool *pool;
    const struct test_case *test_case;
};

static struct instance instances[MOST];

static int set_up(void **state)
{
    struct instance *instance = *state;
    pool = instance->pool;
    allow_forks(ANY_NUMBER);
    alarm(LONGEST_CASE);
    return pipe2(begun, O_CLOEXEC) == 0 && pipe2(released, O_CLOEXEC) == 0 ? 0 : -1;
}

static void run(void **state)
{
    struct instance *instance = *state;
    instance->test_case->run();
}

static int tear_down(void **state)
{
    (void)state;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue; /* the copies that tasks and callbacks have forked in this process */
    alarm(0);
    for (size_t i = 0; i < 2; i++) {
        close(begun[i]);
        close(released[i]);
    }
    return 0;
}

static size_t list_instances(void)
{
    size_t count = 0;
    for (size_t i = 0; i < POOL_COUNT * GROUP_COUNT; i++) {
        const struct test_group *group = groups[i % GROUP_COUNT];
        for (size_t j = 0; j < group->count && count < MOST; j++) {
            struct instance *instance = &instances[count];
            instance->pool = &pools[i / GROUP_COUNT];
            instance->test_case = &group->cases[j];
            if ((instance->test_case->where & instance->pool->kind) == 0)
                continue;
            snprintf(instance->name, sizeof(instance->name), "%s: %s: %s",
                     instance->pool->name, group->name, instance->test_case->name);
            count++;
        }
    }
    return count;
}

static bool is_named(const char *name, char *patterns[])
{
    for (; *patterns != NULL; patterns++)
        if (fnmatch(*patterns, name, 0) == 0)
            return true;
    return false;
}

int main(int argc, char *argv[])
{
    static struct CMUnitTest tests[MOST];
    size_t instance_count = list_instances(), count = 0;
    for (size_t i = 0; argc == 2 && strcmp(argv[1], "--list") == 0; i++) {
        if (i == instance_count)
            return EXIT_SUCCESS;
        puts(instances[i].name);
    }
    for (size_t i = 0; i < instance_count; i++)
        if (argc < 2 || is_named(instances[i].name, argv + 1))
            tests[count++] = (struct CMUnitTest){.name = instances[i].name,
                                                 .test_func = run,
                                                 .setup_func = set_up,
                                                 .teardown_func = tear_down,
                                                 .initial_state = &instances[i]};
    return _cmocka_run_group_tests("executor", tests, count, NULL, NULL);
}
