/* Pools, and processes that are forked or end where nobody thought of it. */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs this in a child, which ends with what it returns, or ends itself. */
static pid_t fork_child(int run(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        _exit(run());
    }
    assert_true(child > 0);
    return child;
}

static void ends_well(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- In a forked child, where the pool has no workers ---- */

static struct executor *executor_before;
static struct future *pending;
static struct future *done;
static struct as_completed *completed_before;

static const char *next_one(void *context)
{
    int *left = context;
    return (*left)-- > 0 ? "one" : NULL;
}

static bool take(void *context, const char *argument, const struct result *result)
{
    (void)context;
    (void)argument;
    (void)result;
    return true;
}

/* Returns the number of the first line that fails. */
static int wait_in_child(void)
{
    int left = 1;
    const struct result *result;
    errno = 0;
    result = future_result(pending);
    if (result->status != RESULT_FAILED || errno != EPERM ||
        strstr(result->text, "(EPERM)") == NULL)
        return 1;
    errno = 0;
    if (future_result_within(pending, 100)->status != RESULT_FAILED || errno != EPERM)
        return 2;
    errno = 0;
    if (futures_wait(&pending, 1, ALL_COMPLETED, INFINITY) || errno != EPERM)
        return 3;
    errno = 0;
    if (as_completed_next(completed_before) != NULL || errno != EPERM)
        return 4;
    struct as_completed *completed = as_completed_open(&pending, 1, INFINITY);
    errno = 0;
    if (as_completed_next(completed) != NULL || errno != EPERM)
        return 5;
    as_completed_free(completed);
    errno = 0;
    if (executor_map(executor_before, echo, next_one, take, &left, NULL) ||
        errno != EPERM)
        return 6;
    if (strcmp(future_result(done)->text, "done") != 0 ||
        !futures_wait(&done, 1, ALL_COMPLETED, INFINITY))
        return 7;
    executor_close(executor_before);
    executor_shutdown_now(executor_before);
    future_free(pending);
    executor_free(executor_before);
    return 0;
}

static void a_child_cannot_wait_for_its_parents_tasks(void)
{
    executor_before = pool->open(1);
    done = submit(executor_before, echo, "done");
    future_result(done);
    pending = submit(executor_before, hold, "held");
    has_begun(1);
    completed_before = as_completed_open(&pending, 1, INFINITY);
    ends_well(fork_child(wait_in_child));
    release(1);
    assert_ptr_equal(as_completed_next(completed_before), pending);
    as_completed_free(completed_before);
    comes_to(pending, RESULT_OK, "held");
    comes_to(done, RESULT_OK, "done");
    executor_free(executor_before);
}

static int use_pool_of_its_own(void)
{
    struct executor *executor = pool->open(1);
    struct future *future = executor_submit(executor, echo, "own");
    int status = strcmp(future_result(future)->text, "own");
    future_free(future);
    executor_free(executor);
    return status;
}

static void a_child_may_have_a_pool_of_its_own(void)
{
#if defined(__SANITIZE_THREAD__)
    skip(); /* which has no threads after a fork of a process with several */
#endif
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, echo, ""), RESULT_OK, "");
    ends_well(fork_child(use_pool_of_its_own));
    comes_to(submit(executor, echo, "still here"), RESULT_OK, "still here");
    executor_free(executor);
}

/* ---- The end of the program ---- */

/* Static, so that it is no leak. */
static struct executor *left_open;
static struct future *left_behind[3];

static void leave_open(void)
{
    left_open = pool->open(2);
    for (size_t i = 0; i < 3; i++)
        left_behind[i] = executor_submit(left_open, i == 0 ? echo : hold, "");
    future_result(left_behind[0]);
    has_begun(1);
}

static int end_without_free(void)
{
    leave_open();
    exit(0);
}

static void free_left_open(void)
{
    release(2);
    executor_free(left_open);
    for (size_t i = 0; i < 3; i++)
        future_free(left_behind[i]);
}

static int end_and_free(void)
{
    leave_open();
    if (atexit(free_left_open) != 0)
        return 1;
    exit(0);
}

static void a_program_may_end_without_a_word(void)
{
    pid_t pids[3];
    pid_t child = fork_child(end_without_free);
    /* By the time that it ends, it has seen that a task holds. */
    ends_well(child);
    assert_int_equal(find_children(getpid(), pids, 3), 0);
    while (has_any_begun())
        has_begun(1);
}

static void a_program_may_free_its_pool_on_exit(void)
{
    pid_t pids[3];
    ends_well(fork_child(end_and_free));
    assert_int_equal(find_children(getpid(), pids, 3), 0);
    while (has_any_begun())
        has_begun(1);
}

/* ---- exit(3) in a task ---- */

static struct result leave(const char *argument)
{
    (void)argument;
    exit(0);
}
TASK(leave);

static void comes_to_an_exit(struct executor *executor)
{
    comes_to(submit(executor, leave, ""), RESULT_BROKEN,
             "worker process-1 exited with status 0");
}

static void a_task_that_exits_writes_nothing_of_its_parents(void)
{
    char line[100];
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fprintf(file, "before\n") > 0);
    struct executor *executor = pool->open(1);
    assert_true(fprintf(file, "after\n") > 0);
    comes_to_an_exit(executor);
    comes_to_an_exit(executor); /* and so does the worker in its place */
    executor_free(executor);
    rewind(file);
    assert_string_equal(fgets(line, sizeof(line), file), "before\n");
    assert_string_equal(fgets(line, sizeof(line), file), "after\n");
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
}

/* exit(3) sets a file back to where its reader is, for all processes that have it open.
   */
static void a_task_that_exits_reads_nothing_of_its_parents(void)
{
    enum { LINES = 5000 };
    char line[100];
    int number;
    FILE *file = tmpfile();
    assert_non_null(file);
    for (int i = 0; i < LINES; i++)
        assert_true(fprintf(file, "%d\n", i) > 0);
    rewind(file);
    assert_non_null(fgets(line, sizeof(line), file));
    struct executor *executor = pool->open(1);
    comes_to_an_exit(executor);
    executor_free(executor);
    for (int i = 1; i < LINES; i++) {
        assert_int_equal(fscanf(file, "%d\n", &number), 1);
        assert_int_equal(number, i);
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
}

static int exit_in_task(void)
{
    if (atexit(say_begun) != 0)
        return 1;
    struct executor *executor = pool->open(1);
    for (size_t i = 0; i < 2; i++)
        future_free(executor_submit(executor, leave, ""));
    executor_free(executor);
    return has_any_begun() ? 2 : 0;
}

static void a_task_that_exits_runs_no_handler_of_its_parents(void)
{
    ends_well(fork_child(exit_in_task));
}

/* ---- fork(2) in a task ---- */

/* Returns in two processes; the pipe gets both their numbers. */
static int numbers[2];

static void tell_number(void)
{
    pid_t pid = getpid();
    if (write(numbers[1], &pid, sizeof(pid)) != sizeof(pid))
        abort();
}

static struct result return_twice(const char *argument)
{
    if (fork() == 0)
        tell_number();
    return result_ok(strdup(argument));
}
TASK(return_twice);

/* Returns in a process that is nobody's child. */
static struct result become_daemon(const char *argument)
{
    if (daemon(1, 1) == 0)
        tell_number();
    return result_ok(strdup(argument));
}
TASK(become_daemon);

/* The copy that told its number must be gone, and nothing must have run twice. */
static void copy_is_gone(void)
{
    pid_t pid;
    assert_int_equal(read(numbers[0], &pid, sizeof(pid)), sizeof(pid));
    assert_true(pid > 0);
    is_gone(pid);
    close(numbers[0]);
    close(numbers[1]);
}

static void a_task_that_forks_leaves_no_worker_more(void)
{
    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    struct executor *executor = pool->open(1);
    struct future *futures[6];
    for (size_t i = 0; i < 6; i++)
        futures[i] = submit(executor, i == 1 ? return_twice : tell, "x");
    for (size_t i = 0; i < 6; i++)
        comes_to(futures[i], RESULT_OK, "x");
    executor_free(executor);
    copy_is_gone();
    has_begun(5);
    assert_false(has_any_begun());
}

static void a_task_that_becomes_a_daemon_leaves_none(void)
{
    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    struct executor *executor = pool->open(1);
    comes_to(submit(executor, become_daemon, ""), RESULT_BROKEN,
             "worker process-1 exited with status 0");
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    copy_is_gone();
    executor_free(executor);
}

static void fork_in_callback(struct future *future, void *context)
{
    (void)future;
    (void)context;
    if (fork() == 0)
        tell_number();
}

static void a_callback_that_forks_leaves_no_second_manager(void)
{
    enum { COUNT = 200 };
    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    struct executor *executor = pool->open(1);
    struct future *futures[COUNT];
    struct future *held = submit(executor, hold, "");
    has_begun(1);
    assert_true(future_on_done(held, fork_in_callback, NULL));
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(executor, tell, "x");
    release(1);
    for (size_t i = 0; i < COUNT; i++)
        comes_to(futures[i], RESULT_OK, "x");
    future_free(held);
    executor_free(executor);
    copy_is_gone();
    has_begun(COUNT);
    assert_false(has_any_begun());
}

/* ---- Workers that drop their rights ---- */

enum { NOBODY = 65534 };

/* Loses the parent-death signal with them (prctl(2)). */
static struct result drop_rights(const char *argument)
{
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return result_failed("setresuid");
    return hold(argument);
}
TASK(drop_rights);

static int open_for_droppers(void)
{
    struct executor *executor = pool->open(2);
    executor_submit(executor, drop_rights, "");
    executor_submit(executor, drop_rights, "");
    for (;;)
        pause();
    return 0;
}

/* One is in its task, the other asleep, when all processes that could kill them die at
   once. */
static void a_worker_without_rights_outlives_nobody(void)
{
    pid_t server, pids[2];
    if (getuid() != 0)
        skip();
    pid_t parent = fork_child(open_for_droppers);
    has_begun(2);
    assert_int_equal(find_children(parent, &server, 1), 1);
    assert_int_equal(find_children(server, pids, 2), 2);
    release(1);
    while (process_state(pids[0]) != 'S' || process_state(pids[1]) != 'S')
        continue;
    kill(parent, SIGSTOP); /* so that it cannot replace anybody */
    kill(server, SIGKILL);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    release(1);
    is_gone(pids[0]);
    is_gone(pids[1]);
}

static const struct test_case fork_cases[] = {
    {ANY_POOL, NAMED(a_child_cannot_wait_for_its_parents_tasks)},
    {NOT_A_CLUSTER, NAMED(a_child_may_have_a_pool_of_its_own)},
    {ANY_POOL, NAMED(a_program_may_end_without_a_word)},
    {ANY_POOL, NAMED(a_program_may_free_its_pool_on_exit)},
    {IN_PROCESSES, NAMED(a_task_that_exits_writes_nothing_of_its_parents)},
    {IN_PROCESSES, NAMED(a_task_that_exits_reads_nothing_of_its_parents)},
    {IN_PROCESSES, NAMED(a_task_that_exits_runs_no_handler_of_its_parents)},
    {ANY_POOL, NAMED(a_task_that_forks_leaves_no_worker_more)},
    {ANY_POOL, NAMED(a_callback_that_forks_leaves_no_second_manager)},
    {IN_PROCESSES, NAMED(a_task_that_becomes_a_daemon_leaves_none)},
    {IN_PROCESSES, NAMED(a_worker_without_rights_outlives_nobody)},
};

GROUP(fork);
