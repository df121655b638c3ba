/* Processes that are stopped, and time limits all the same. */
#include "cases.h"
#include "monotonic.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct executor *open_with_limit(double seconds)
{
    return pool->open_with(
        &(struct executor_options){.workers = 1, .task_seconds = seconds});
}

static pid_t only_worker(void)
{
    pid_t pids[2];
    assert_int_equal(find_grandchildren(getpid(), pids, 2), 1);
    return pids[0];
}

/* Returns when it has been stopped. */
static void stop(pid_t pid)
{
    assert_int_equal(kill(pid, SIGSTOP), 0);
    while (process_state(pid) != 'T')
        continue;
}

/* ---- Workers ---- */

static void a_worker_that_is_stopped_and_goes_on_costs_nothing(void)
{
    struct executor *executor = pool->open(1);
    struct future *held = submit(executor, hold, "held");
    struct future *next = submit(executor, echo, "next");
    has_begun(1);
    pid_t worker = only_worker();
    stop(worker);
    release(1);
    assert_int_equal(future_result_within(held, 0.01)->status, RESULT_TIMED_OUT);
    assert_int_equal(kill(worker, SIGCONT), 0);
    comes_to(held, RESULT_OK, "held");
    comes_to(next, RESULT_OK, "next");
    executor_free(executor);
}

static void a_worker_that_is_stopped_in_its_task_is_too_late(void)
{
    struct executor *executor = open_with_limit(0.3);
    struct future *held = submit(executor, hold, "");
    has_begun(1);
    pid_t worker = only_worker();
    stop(worker);
    release(1);
    comes_to(held, RESULT_TIMED_OUT, "timed out after 0.3 s");
    is_gone(worker);
    /* Its byte is still there. */
    comes_to(submit(executor, hold, "next"), RESULT_OK, "next");
    executor_free(executor);
}

static void hold_in_callback(struct future *future, void *context)
{
    (void)context;
    struct result result = hold(future_argument(future));
    result_free(&result);
}

/* More than a socket holds. */
static struct result say_much(const char *argument)
{
    enum { LENGTH = 4000000 };
    char *text = malloc(LENGTH + 1);
    (void)argument;
    if (text != NULL) {
        memset(text, 'x', LENGTH);
        text[LENGTH] = '\0';
    }
    say_begun();
    return result_ok(text);
}
TASK(say_much);

/* Nobody receives the result while the callback of another task holds. */
static void a_worker_that_is_stopped_in_its_result_is_too_late(void)
{
    struct executor *executor = open_with_limit(0.5);
    struct future *first = submit(executor, hold, "");
    has_begun(1);
    pid_t worker = only_worker();
    assert_true(future_on_done(first, hold_in_callback, NULL));
    release(1);
    has_begun(1);
    struct future *future = submit(executor, say_much, "");
    has_begun(1);
    while (process_state(worker) != 'S')
        continue; /* then it waits in the middle of the result */
    stop(worker);
    release(1);
    comes_to(future, RESULT_TIMED_OUT, "timed out after 0.5 s");
    is_gone(worker);
    comes_to(submit(executor, echo, "next"), RESULT_OK, "next");
    future_free(first);
    executor_free(executor);
}

/* One byte of it is read by each that need not stop. */
static int going[2];

static struct result stop_first(const char *argument)
{
    char byte;
    if (read(going[0], &byte, 1) == 1 && byte == 's')
        raise(SIGSTOP);
    return (struct result){.status = RESULT_OK, .text = strdup(argument)};
}
TASK(stop_first);

static void a_worker_that_is_stopped_in_its_initializer_is_replaced(void)
{
    assert_int_equal(pipe2(going, O_CLOEXEC), 0);
    assert_int_equal(write(going[1], "sg", 2), 2);
    struct executor *executor = pool->open_with(&(struct executor_options){
        .workers = 1, .task_seconds = 1, .initializer = stop_first});
    comes_to(submit(executor, echo, ""), RESULT_BROKEN,
             "the initializer of worker process-1 failed: timed out after 1 s");
    for (size_t i = 0; i < 10; i++)
        comes_to(submit(executor, echo, "there"), RESULT_OK, "there");
    executor_free(executor);
    close(going[0]);
    close(going[1]);
}

static void stopped_workers_do_not_hold_up_the_end(void)
{
    struct executor *executor = pool->open(3);
    struct future *future = submit(executor, hold, "");
    pid_t pids[3];
    has_begun(1);
    assert_int_equal(find_grandchildren(getpid(), pids, 3), 3);
    for (size_t i = 0; i < 3; i++)
        stop(pids[i]);
    assert_true(executor_kill_workers(executor));
    assert_int_equal(future_result(future)->status, RESULT_BROKEN);
    future_free(future);
    executor_free(executor);
    for (size_t i = 0; i < 3; i++)
        is_gone(pids[i]);
}

static void a_fork_server_that_is_stopped_holds_up_nothing_but_new_workers(void)
{
    struct executor *executor = pool->open(1);
    pid_t server;
    assert_int_equal(find_children(getpid(), &server, 1), 1);
    stop(server);
    for (size_t i = 0; i < 200; i++)
        comes_to(submit(executor, echo, "done"), RESULT_OK, "done");
    struct future *crashed = submit(executor, crash, "");
    struct future *next = submit(executor, echo, "next");
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_int_equal(future_result(crashed)->status, RESULT_BROKEN);
    comes_to(next, RESULT_OK, "next");
    stop(server);
    future_free(crashed);
    executor_free(executor); /* has it go on */
}

/* ---- Our own process ---- */

/* So long that even a busy machine runs a task of no length meanwhile. */
static const double limit = 2;

/* What counts is when a task ran, not when there was time to look. */
static void a_quick_task_is_in_time_though_a_callback_takes_long(void)
{
    struct executor *executor = open_with_limit(limit);
    struct future *first = submit(executor, hold, "");
    has_begun(1);
    assert_true(future_on_done(first, hold_in_callback, NULL));
    release(1);
    has_begun(1);
    struct future *futures[] = {submit(executor, tell, "1"), submit(executor, tell, "2")};
    has_begun(2);
    double late = monotonic_seconds() + limit + 0.1;
    while (monotonic_seconds() < late)
        continue;
    release(1);
    comes_to(futures[0], RESULT_OK, "1");
    comes_to(futures[1], RESULT_OK, "2");
    future_free(first);
    executor_free(executor);
}

/* In a process of its own, which its parent stops meanwhile. */
_Noreturn static void run_quick_tasks(void)
{
    struct executor *executor = open_with_limit(limit);
    struct future *futures[] = {executor_submit(executor, tell, ""),
                                executor_submit(executor, say_much, ""),
                                executor_submit(executor, tell, "")};
    int late = 0;
    for (size_t i = 0; i < 3; i++)
        late += future_result(futures[i])->status == RESULT_OK ? 0 : 1;
    executor_free(executor);
    _exit(late);
}

static void a_quick_task_is_in_time_though_the_program_is_stopped(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_quick_tasks();
    }
    assert_true(child > 0);
    has_begun(1);
    stop(child);
    double late = monotonic_seconds() + limit + 1.5;
    while (monotonic_seconds() < late)
        poll(NULL, 0, 10);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    has_begun(2);
}

static const struct test_case stop_cases[] = {
    {PROCESSES_ONLY, NAMED(a_worker_that_is_stopped_and_goes_on_costs_nothing)},
    {PROCESSES_ONLY, NAMED(a_worker_that_is_stopped_in_its_task_is_too_late)},
    {PROCESSES_ONLY, NAMED(a_worker_that_is_stopped_in_its_result_is_too_late)},
    {IN_PROCESSES, NAMED(a_worker_that_is_stopped_in_its_initializer_is_replaced)},
    {PROCESSES_ONLY, NAMED(stopped_workers_do_not_hold_up_the_end)},
    {PROCESSES_ONLY,
     NAMED(a_fork_server_that_is_stopped_holds_up_nothing_but_new_workers)},
    {PROCESSES_ONLY, NAMED(a_quick_task_is_in_time_though_a_callback_takes_long)},
    {IN_PROCESSES, NAMED(a_quick_task_is_in_time_though_the_program_is_stopped)},
};

GROUP(stop);
