/* Workers that die, however and whenever. */
#include "cases.h"

#include "monotonic.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe's end that a task reads from, as those that hold do, but of the case's own. */
static int hold_on;

static void a_task_that_crashes_costs_its_own_result(void)
{
    struct executor *executor = pool->open(1);
    struct future *futures[] = {submit(executor, echo, "1"), submit(executor, crash, ""),
                                submit(executor, echo, "2")};
    comes_to(futures[0], RESULT_OK, "1");
    comes_to(futures[1], RESULT_BROKEN,
             "worker process-1 was killed by signal 6 (SIGABRT)");
    comes_to(futures[2], RESULT_OK, "2");
    executor_free(executor);
}

static void a_task_that_exits_costs_its_own_result(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = submit(executor, leave_early, "");
    assert_int_not_equal(future_result(future)->span.pid, 0);
    assert_string_equal(future_result(future)->span.worker,
                        pool->kind == CLUSTERS_ONLY ? "host-1/process-1" : "process-1");
    comes_to(future, RESULT_BROKEN, "worker process-1 exited with status 7");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

static void a_worker_that_dies_in_its_sleep_costs_nothing(void)
{
    struct executor *executor = pool->open(1);
    for (size_t i = 0; i < 50; i++) {
        struct future *future = submit(executor, echo, "");
        pid_t pid = future_result(future)->span.pid;
        future_free(future);
        kill(pid, SIGKILL);
        comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    }
    executor_free(executor);
}

/* The pid of the next task that holds, once it has begun. */
static pid_t begun_worker(void)
{
    pid_t pids[2];
    has_begun(1);
    assert_int_equal(find_grandchildren(getpid(), pids, 2), 1);
    return pids[0];
}

static void a_worker_that_is_killed_costs_what_it_ran(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *next = submit(executor, echo, "next");
    kill(begun_worker(), SIGKILL);
    comes_to(held, RESULT_BROKEN, "worker process-1 was killed by signal 9 (SIGKILL)");
    comes_to(next, RESULT_OK, "next");
    executor_free(executor);
}

static void a_worker_that_is_killed_costs_nothing_that_is_next(void)
{
    enum { COUNT = 200 };
    struct executor *executor = pool->open(2);
    struct future *held[] = {submit(executor, hold, ""), submit(executor, hold, "")};
    struct future *futures[COUNT];
    pid_t pids[2];
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "done");
    has_begun(2);
    assert_int_equal(find_grandchildren(getpid(), pids, 2), 2);
    kill(pids[0], SIGKILL);
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "done");
    release(1);
    const struct result *first = future_result(held[0]);
    const struct result *second = future_result(held[1]);
    assert_int_equal(first->status == RESULT_BROKEN, second->status == RESULT_OK);
    assert_int_equal(first->span.pid == pids[0], first->status == RESULT_BROKEN);
    future_free(held[0]);
    future_free(held[1]);
    executor_free(executor);
}

/* A text that does not fit into a socket: its worker stands in the middle of it. */
static struct result say_much(const char *argument)
{
    size_t length = strtoul(argument, NULL, 10);
    char *text = malloc(length + 1);
    if (text != NULL) {
        memset(text, 'x', length);
        text[length] = '\0';
    }
    say_begun();
    return result_ok(text);
}
TASK(say_much);

static void a_worker_that_is_killed_while_it_writes_hangs_nothing(void)
{
    struct executor *executor = pool->open(1);
    for (size_t i = 0; i < 20; i++) {
        struct future *future = submit(executor, say_much, "20000000");
        kill(begun_worker(), SIGKILL);
        const struct result *result = future_result(future);
        assert_true(result->status == RESULT_BROKEN || strlen(result->text) == 20000000);
        future_free(future);
    }
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

/* Writes a few bytes of an answer to the first socket there is, which is the pool's. */
static struct result die_in_the_middle(const char *argument)
{
    struct stat about;
    int socket = 3;
    while (fstat(socket, &about) < 0 || !S_ISSOCK(about.st_mode))
        socket++;
    if (write(socket, argument, strlen(argument)) > 0)
        raise(SIGKILL);
    return result_ok(strdup("not reached"));
}
TASK(die_in_the_middle);

static void a_worker_that_dies_in_the_middle_of_an_answer_costs_what_it_ran(void)
{
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, die_in_the_middle, "12345"), RESULT_BROKEN,
             "worker process-1 was killed by signal 9 (SIGKILL)");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

/* Returns in two processes, last in the worker. */
static struct result return_after_copy(const char *argument)
{
    pid_t copy = fork();
    if (copy > 0)
        waitpid(copy, NULL, 0);
    return result_ok(strdup(argument));
}
TASK(return_after_copy);

static struct result say_pid(const char *argument)
{
    char text[20];
    (void)argument;
    snprintf(text, sizeof(text), "%d", (int)getpid());
    return result_ok(strdup(text));
}
TASK(say_pid);

static void a_copy_that_a_task_has_forked_is_no_worker(void)
{
    char text[20];
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    struct future *copied = submit(executor, return_after_copy, "once");
    struct future *next = submit(executor, say_pid, "");
    has_begun(1);
    release(1);
    comes_to(copied, RESULT_OK, "once");
    snprintf(text, sizeof(text), "%d", (int)future_result(next)->span.pid);
    assert_int_equal(future_result(next)->span.pid, future_result(held)->span.pid);
    comes_to(next, RESULT_OK, text);
    future_free(held);
    executor_free(executor);
}

/* Leaves a child behind that has all open that it had. */
static struct result leave_a_child(const char *argument)
{
    (void)argument;
    if (fork() == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, 0);
        _exit(read(hold_on, &byte, 1) == 1 ? 0 : 1);
    }
    raise(SIGKILL);
    return result_ok(strdup("not reached"));
}
TASK(leave_a_child);

static void a_worker_that_leaves_a_child_behind_is_dead_all_the_same(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    hold_on = ends[0];
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, leave_a_child, ""), RESULT_BROKEN,
             "worker process-1 was killed by signal 9 (SIGKILL)");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
    assert_int_equal(write(ends[1], "x", 1), 1); /* the child may go */
    close(ends[0]);
    close(ends[1]);
}

static void without_its_helper_each_task_has_its_result(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    pid_t helper;
    has_begun(1);
    assert_int_equal(find_children(getpid(), &helper, 1), 1);
    kill(helper, SIGKILL);
    comes_to(held, RESULT_BROKEN,
             "worker process-1 died with the process that starts the workers");
    struct future *next = submit(executor, echo, "next");
    assert_int_equal(future_result(next)->status, RESULT_BROKEN);
    future_free(next);
    executor_free(executor);
}

/* ---- Many deaths ---- */

/* Kills a worker of its parent's at random every few milliseconds, until the pipe is
   closed; then tells how many. */
_Noreturn static void kill_at_random(int until, int report)
{
    unsigned seed = 1;
    uint32_t kills = 0;
    struct pollfd end = {.fd = until, .events = POLLIN};
    while (poll(&end, 1, 3) == 0) {
        pid_t pids[8];
        size_t count = find_grandchildren(getppid(), pids, 8);
        if (count > 0 && kill(pids[(size_t)rand_r(&seed) % count], SIGKILL) == 0)
            kills++;
    }
    _exit(write(report, &kills, sizeof(kills)) == sizeof(kills) ? 0 : 1);
}

/* A few milliseconds of work. */
static struct result work_a_little(const char *argument)
{
    for (volatile unsigned i = 0; i < 500000; i++)
        continue;
    return result_ok(strdup(argument));
}
TASK(work_a_little);

static void a_thousand_tasks_among_killers_are_all_done(void)
{
    enum { COUNT = 1000 };
    static struct future *futures[COUNT];
    int until[2], report[2];
    assert_int_equal(pipe2(until, O_CLOEXEC), 0);
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t killer = fork();
    if (killer == 0) {
        close(until[1]);
        kill_at_random(until[0], report[1]);
    }
    close(until[0]);
    close(report[1]);
    struct executor *executor = pool->open(4);
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, work_a_little, "text");
    size_t broken = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const struct result *result = future_result(futures[i]);
        if (result->status == RESULT_BROKEN)
            broken++;
        else
            assert_string_equal(result->text, "text");
        future_free(futures[i]);
    }
    executor_free(executor);
    close(until[1]);
    uint32_t kills;
    assert_int_equal(read(report[0], &kills, sizeof(kills)), sizeof(kills));
    close(report[0]);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_true(kills > 0);
    assert_in_range(broken, 0, kills);
}

/* ---- What belongs to whom ---- */

/* In a process of its own: has three workers hold, and goes on until it is killed. */
_Noreturn static void be_a_parent(void)
{
    struct executor *first = pool->open(2);
    struct executor *second = pool->open(1);
    submit(first, hold, "");
    submit(first, hold, "");
    submit(second, hold, "");
    for (;;)
        pause();
}

static void no_process_outlives_its_parent(void)
{
    pid_t pids[3], helpers[2];
    pid_t parent = fork();
    if (parent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_a_parent();
    }
    has_begun(3);
    assert_int_equal(find_grandchildren(parent, pids, 3), 3);
    assert_int_equal(find_children(parent, helpers, 2), 2);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    for (size_t i = 0; i < 3; i++)
        is_gone(pids[i]);
    is_gone(helpers[0]);
    is_gone(helpers[1]);
}

/* What it has open, as numbers and what they are. */
static struct result list_descriptors(const char *argument)
{
    char text[2000] = "";
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        struct stat about;
        if (fstat(i, &about) == 0)
            sprintf(text + strlen(text), "%d: %o\n", i, about.st_mode & S_IFMT);
    }
    say_begun();
    char byte;
    return read(hold_on, &byte, 1) == 1 ? result_ok(strdup(text)) : result_failed("read");
}
TASK(list_descriptors);

static size_t count_lines(const char *text)
{
    size_t count = 0;
    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        count++;
    }
    return count;
}

static void a_worker_has_open_what_the_parent_had_and_one_socket(void)
{
    enum { COUNT = 6 };
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    hold_on = ends[0];
    size_t own = 0;
    for (int i = 0; i < 1000; i++)
        own += fcntl(i, F_GETFD) >= 0 ? 1 : 0;

    struct executor *first = pool->open(COUNT);
    struct executor *second = pool->open(COUNT);
    future_free(submit(second, crash, "")); /* and one of them has to be replaced */
    struct future *futures[2 * COUNT];
    for (size_t i = 0; i < 2 * COUNT; i++)
        futures[i] = submit(i < COUNT ? first : second, list_descriptors, "");
    has_begun(2 * COUNT);
    assert_int_equal(write(ends[1], "123456789012", 2 * COUNT), 2 * COUNT);
    for (size_t i = 0; i < 2 * COUNT; i++) {
        assert_int_equal(count_lines(future_result(futures[i])->text), own + 1);
        future_free(futures[i]);
    }
    executor_free(first);
    executor_free(second);
    close(ends[0]);
    close(ends[1]);
}

static void ctrl_c_is_not_for_the_workers(void)
{
    struct executor *executor = pool->open(2);
    struct future *held = submit(executor, hold, "held");
    pid_t pids[3];
    has_begun(1);
    assert_int_equal(find_grandchildren(getpid(), pids, 2), 2);
    assert_int_equal(find_children(getpid(), &pids[2], 1), 1);
    for (size_t i = 0; i < 3; i++)
        kill(pids[i], SIGINT);
    kill(pids[2], SIGTERM); /* nor is any other signal for the helper */
    kill(pids[2], SIGHUP);
    release(1);
    comes_to(held, RESULT_OK, "held");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
}

static void a_parent_may_ignore_its_children(void)
{
    signal(SIGCHLD, SIG_IGN);
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, crash, ""), RESULT_BROKEN,
             "worker process-1 was killed by signal 6 (SIGABRT)");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    executor_free(executor);
    signal(SIGCHLD, SIG_DFL);
}

static pid_t opener;

static void *open_two(void *context)
{
    (void)context;
    opener = gettid();
    return pool->open(2);
}

static void it_outlives_the_thread_that_opened_it(void)
{
    pthread_t thread;
    void *executor;
    assert_int_equal(pthread_create(&thread, NULL, open_two, NULL), 0);
    assert_int_equal(pthread_join(thread, &executor), 0);
    is_thread_gone(opener);
    for (size_t i = 0; i < 1000; i++)
        comes_to(submit(executor, echo, "still there"), RESULT_OK, "still there");
    executor_free(executor);
}

/* Tells has_begun(), and dies, if there is no byte left in the pipe. */
static struct result crash_if_none_is_left(const char *argument)
{
    char byte;
    struct pollfd ready = {.fd = hold_on, .events = POLLIN};
    if (poll(&ready, 1, 0) != 1 || read(hold_on, &byte, 1) != 1) {
        say_begun();
        crash(argument);
    }
    return (struct result){.status = RESULT_OK};
}
TASK(crash_if_none_is_left);

static void a_worker_that_cannot_be_replaced_leaves_the_tasks_to_the_others(void)
{
    enum { COUNT = 1000 };
    static struct future *futures[COUNT];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    hold_on = ends[0];
    assert_int_equal(write(ends[1], "12", 2), 2); /* for two workers, and no third */
    struct executor *executor = pool->open_with(
        &(struct executor_options){.workers = 2, .initializer = crash_if_none_is_left});
    struct future *held = submit(executor, hold, "held");
    struct future *killed = submit(executor, crash, "");
    has_begun(1);
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, echo, "done");
    assert_int_equal(future_result(killed)->status, RESULT_BROKEN);
    has_begun(2); /* so one that was to take its place has died already */
    release(1);
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "done");
    comes_to(held, RESULT_OK, "held");
    future_free(killed);
    executor_free(executor);
    close(ends[0]);
    close(ends[1]);
}

/* The descriptors of a worker of a pool that a worker has opened. */
static struct result list_from_below(const char *argument)
{
    struct executor *executor = pool->open(1);
    struct future *future = executor_submit(executor, list_descriptors, argument);
    struct result result = result_ok(strdup(future_result(future)->text));
    future_free(future);
    executor_free(executor);
    return result;
}
TASK(list_from_below);

static void a_worker_of_a_worker_has_no_more_open_than_that(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    hold_on = ends[0];
    assert_int_equal(write(ends[1], "12", 2), 2);
    struct executor *executor = pool->open(1);
    struct future *above = submit(executor, list_descriptors, "");
    struct future *below = submit(executor, list_from_below, "");
    assert_int_equal(count_lines(future_result(below)->text),
                     count_lines(future_result(above)->text));
    future_free(above);
    future_free(below);
    executor_free(executor);
    close(ends[0]);
    close(ends[1]);
}

/* A task that prints must not write into the pool's sockets. */
static struct result print(const char *argument)
{
    printf("%s\n", argument);
    fflush(stdout);
    return result_ok(strdup(argument));
}
TASK(print);

static void standard_output_may_be_closed(void)
{
    int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 20);
    close(STDOUT_FILENO);
    struct executor *executor = pool->open(1);
    struct result printed = print("here");
    struct future *futures[] = {executor_submit(executor, print, "there"),
                                executor_submit(executor, crash, ""),
                                executor_submit(executor, print, "again")};
    futures_wait(futures, 3, ALL_COMPLETED, INFINITY);
    executor_free(executor);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    clearerr(stdout);
    result_free(&printed);
    comes_to(futures[0], RESULT_OK, "there");
    comes_to(futures[1], RESULT_BROKEN,
             "worker process-1 was killed by signal 6 (SIGABRT)");
    comes_to(futures[2], RESULT_OK, "again");
}

/* Whether SIGPIPE is ignored. */
static struct result write_to_nobody(const char *argument)
{
    int ends[2];
    (void)argument;
    if (pipe(ends) < 0 || close(ends[0]) < 0 || write(ends[1], "x", 1) >= 0)
        return result_failed("it could be written");
    close(ends[1]);
    return result_ok(strdup("survived"));
}
TASK(write_to_nobody);

static void a_worker_ignores_what_its_parent_ignores(void)
{
    signal(SIGPIPE, SIG_IGN);
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, write_to_nobody, ""), RESULT_OK, "survived");
    executor_free(executor);
    signal(SIGPIPE, SIG_DFL);
}

static void terminating_works_though_the_parent_blocks_the_signal(void)
{
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &terminate, NULL), 0);
    signal(SIGTERM, SIG_IGN);
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "");
    has_begun(1);
    assert_true(executor_terminate_workers(executor));
    comes_to(held, RESULT_BROKEN, "worker process-1 was killed by signal 15 (SIGTERM)");
    executor_free(executor);
    signal(SIGTERM, SIG_DFL);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &terminate, NULL), 0);
}

/* The keeper's children are the server and the host. A pool forgets a host of which it
   has heard nothing for five seconds. */
static void a_server_that_dies_while_there_is_no_task_costs_the_next_one(void)
{
    struct executor *executor = pool->open(1);
    pid_t pids[2];
    comes_to(submit(executor, echo, "1"), RESULT_OK, "1");
    assert_int_equal(find_grandchildren(getpid(), pids, 2), 2);
    for (size_t i = 0; i < 2; i++)
        kill(pids[i], SIGKILL);
    for (size_t i = 0; i < 2; i++)
        is_gone(pids[i]);
    double late = monotonic_seconds() + 5.5;
    while (monotonic_seconds() < late)
        poll(NULL, 0, 10);
    comes_to(submit(executor, echo, "2"), RESULT_BROKEN,
             "the NATS server of this program has died");
    executor_free(executor);
}

static const struct test_case crash_cases[] = {
    {CLUSTERS_ONLY, NAMED(a_server_that_dies_while_there_is_no_task_costs_the_next_one)},
    {IN_PROCESSES, NAMED(a_task_that_crashes_costs_its_own_result)},
    {IN_PROCESSES, NAMED(a_task_that_exits_costs_its_own_result)},
    {IN_PROCESSES, NAMED(a_worker_that_dies_in_its_sleep_costs_nothing)},
    {PROCESSES_ONLY, NAMED(a_worker_that_is_killed_costs_what_it_ran)},
    {PROCESSES_ONLY, NAMED(a_worker_that_is_killed_costs_nothing_that_is_next)},
    {PROCESSES_ONLY, NAMED(a_worker_that_is_killed_while_it_writes_hangs_nothing)},
    {IN_PROCESSES,
     NAMED(a_worker_that_dies_in_the_middle_of_an_answer_costs_what_it_ran)},
    {IN_PROCESSES, NAMED(a_copy_that_a_task_has_forked_is_no_worker)},
    {PROCESSES_ONLY, NAMED(a_worker_that_leaves_a_child_behind_is_dead_all_the_same)},
    {PROCESSES_ONLY, NAMED(without_its_helper_each_task_has_its_result)},
    {PROCESSES_ONLY, NAMED(a_thousand_tasks_among_killers_are_all_done)},
    {PROCESSES_ONLY, NAMED(no_process_outlives_its_parent)},
    {PROCESSES_ONLY, NAMED(a_worker_has_open_what_the_parent_had_and_one_socket)},
    {PROCESSES_ONLY, NAMED(ctrl_c_is_not_for_the_workers)},
    {IN_PROCESSES, NAMED(a_parent_may_ignore_its_children)},
    {IN_PROCESSES, NAMED(it_outlives_the_thread_that_opened_it)},
    {IN_PROCESSES,
     NAMED(a_worker_that_cannot_be_replaced_leaves_the_tasks_to_the_others)},
    {IN_PROCESSES, NAMED(a_worker_of_a_worker_has_no_more_open_than_that)},
    {PROCESSES_ONLY, NAMED(standard_output_may_be_closed)},
    {IN_PROCESSES, NAMED(a_worker_ignores_what_its_parent_ignores)},
    {PROCESSES_ONLY, NAMED(terminating_works_though_the_parent_blocks_the_signal)},
};

GROUP(crash);
