/* Fibers, and the loop that resumes them (fiber.h, loop.h). */
#include "fiber.h"

#include "loop.h"
#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants four of the above. */
#include <cmocka.h>

static struct loop *loop;
static struct fibers *fibers;

static int open_both(void **state)
{
    (void)state;
    alarm(60);
    loop = loop_open();
    fibers = fibers_open(loop);
    fibers_enter(fibers);
    return loop == NULL || fibers == NULL ? -1 : 0;
}

static int close_both(void **state)
{
    (void)state;
    fibers_leave(fibers);
    fibers_close(fibers);
    loop_close(loop);
    alarm(0);
    return 0;
}

/* A fiber that is given a pointer. */
static struct fiber *start(void (*function)(void *argument), void *pointer)
{
    struct fiber *fiber = fiber_new(fibers, function, &pointer, sizeof(pointer));
    assert_non_null(fiber);
    return fiber;
}

static void run_until_all_have_ended(void)
{
    while (fibers_count(fibers) > 0)
        loop_turn(loop, true);
}

/* ---- Suspending and resuming ---- */

struct story {
    char text[100];
    struct fiber *other;
    int error;
    double deadline;
};

static void tell(struct story *story, const char *what)
{
    strncat(story->text, what, sizeof(story->text) - strlen(story->text) - 1);
}

static void tell_twice(void *argument)
{
    struct story *story = *(struct story **)argument;
    tell(story, "begins ");
    story->error = fiber_suspend(INFINITY);
    tell(story, "ends ");
}

static void it_goes_on_where_it_was_suspended(void **state)
{
    (void)state;
    struct story story = {.error = -1};
    struct fiber *fiber = start(tell_twice, &story);
    assert_string_equal(story.text, "");
    fiber_resume(fiber);
    assert_string_equal(story.text, "begins ");
    tell(&story, "waits ");
    fiber_wake(fiber);
    fiber_wake(fiber);
    assert_string_equal(story.text, "begins waits ");
    loop_turn(loop, true);
    assert_string_equal(story.text, "begins waits ends ");
    assert_int_equal(story.error, 0);
    assert_int_equal(fibers_count(fibers), 0);
}

static void wake_other_and_suspend(void *argument)
{
    struct story *story = *(struct story **)argument;
    for (int i = 0; i < 3; i++) {
        tell(story, fiber_name());
        fiber_wake(story->other);
        fiber_suspend(INFINITY);
    }
    fiber_wake(story->other);
}

static void two_take_turns(void **state)
{
    (void)state;
    struct story story[2] = {{.error = 0}, {.error = 0}};
    for (int i = 0; i < 2; i++)
        story[1 - i].other = start(wake_other_and_suspend, &story[i]);
    fiber_resume(story[1].other);
    run_until_all_have_ended();
    for (int i = 0; i < 2; i++)
        assert_string_equal(story[i].text, "fiberfiberfiber");
}

static void suspend_until_deadline(void *argument)
{
    struct story *story = *(struct story **)argument;
    story->error = fiber_suspend(story->deadline);
}

static void its_deadline_ends_a_suspension(void **state)
{
    (void)state;
    struct story story = {.deadline = monotonic_seconds() + 0.05};
    fiber_resume(start(suspend_until_deadline, &story));
    run_until_all_have_ended();
    assert_int_equal(story.error, ETIMEDOUT);
    assert_true(monotonic_seconds() >= story.deadline);
    story.deadline = 0;
    fiber_resume(start(suspend_until_deadline, &story));
    run_until_all_have_ended();
    assert_int_equal(story.error, ETIMEDOUT);
}

static void suspend_three_times(void *argument)
{
    struct story *story = *(struct story **)argument;
    for (int i = 0; i < 2; i++)
        tell(story, fiber_suspend(INFINITY) == ECANCELED ? "canceled " : "woken ");
    fiber_forget_interrupt();
    story->error = fiber_suspend(0);
}

static void once_interrupted_it_waits_for_nothing_until_it_forgets_that(void **state)
{
    (void)state;
    struct story story = {.error = 0};
    struct fiber *fiber = start(suspend_three_times, &story);
    fiber_resume(fiber);
    fiber_interrupt(fiber);
    run_until_all_have_ended();
    assert_string_equal(story.text, "canceled canceled ");
    assert_int_equal(story.error, ETIMEDOUT);
}

static void *wake_from_afar(void *fiber)
{
    fiber_wake(fiber);
    return NULL;
}

static void another_thread_may_wake_it(void **state)
{
    (void)state;
    pthread_t thread;
    struct story story = {.error = -1};
    struct fiber *fiber = start(tell_twice, &story);
    fiber_resume(fiber);
    assert_int_equal(pthread_create(&thread, NULL, wake_from_afar, fiber), 0);
    run_until_all_have_ended();
    assert_string_equal(story.text, "begins ends ");
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- What belongs to a fiber ---- */

static void keep_own_things(void *argument)
{
    struct story *story = *(struct story **)argument;
    static size_t number;
    worker_set_name("fiber", ++number);
    *fiber_local() = story;
    errno = (int)number;
    fiber_suspend(INFINITY);
    story->error = errno;
    tell(story, worker_name());
    assert_ptr_equal(*fiber_local(), story);
}

static void each_has_its_name_its_pointer_and_its_errno(void **state)
{
    (void)state;
    struct story stories[2] = {{.error = 0}, {.error = 0}};
    struct fiber *started[2];
    for (int i = 0; i < 2; i++) {
        started[i] = start(keep_own_things, &stories[i]);
        fiber_resume(started[i]);
    }
    assert_string_equal(worker_name(), "main");
    for (int i = 0; i < 2; i++)
        fiber_wake(started[i]);
    run_until_all_have_ended();
    assert_string_equal(stories[0].text, "fiber-1");
    assert_string_equal(stories[1].text, "fiber-2");
    assert_int_equal(stories[0].error, 1);
    assert_int_equal(stories[1].error, 2);
    assert_null(fiber_running());
    assert_null(fiber_name());
}

/* More than a fiber's stack has. */
static void use_much_stack(void *argument)
{
    volatile char bytes[400 * 1024];
    assert_null(fiber_running());
    for (size_t i = 0; i < sizeof(bytes); i += 1024)
        bytes[i] = 1;
    tell(argument, bytes[1024] == 1 ? "much stack " : "");
}

static void call_below(void *argument)
{
    struct story *story = *(struct story **)argument;
    fiber_call_below(use_much_stack, story);
    tell(story, fiber_running() == NULL ? "no fiber" : "a fiber");
}

static void what_needs_much_stack_is_called_on_that_of_the_loop(void **state)
{
    (void)state;
    struct story story = {.error = 0};
    fiber_resume(start(call_below, &story));
    assert_string_equal(story.text, "much stack a fiber");
    fiber_call_below(use_much_stack, &story);
    assert_string_equal(story.text, "much stack a fibermuch stack ");
}

/* ---- The end of a fiber, of a stack, of a process ---- */

#ifndef __SANITIZE_THREAD__ /* which refuses pthread_exit(3) in a fiber */
static void say_that_it_ends(void *story)
{
    tell(story, "cleaned up");
}

static void end_thread(void *argument)
{
    struct story *story = *(struct story **)argument;
    pthread_cleanup_push(say_that_it_ends, story);
    fiber_suspend(0);
    pthread_exit(NULL);
    pthread_cleanup_pop(1);
}

static void pthread_exit_ends_the_fiber_and_not_the_thread(void **state)
{
    (void)state;
    struct story stories[20] = {{.error = 0}};
    for (int i = 0; i < 20; i++)
        fiber_resume(start(end_thread, &stories[i]));
    run_until_all_have_ended();
    for (int i = 0; i < 20; i++)
        assert_string_equal(stories[i].text, "cleaned up");
}
#endif

static void suspend_for_ever(void *argument)
{
    size_t *count = *(size_t **)argument;
    ++*count;
    fiber_suspend(INFINITY);
    --*count;
}

static bool is_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "valgrind") != NULL;
}

/* A sanitizer has not, and under Valgrind it takes minutes. */
static bool has_room_for_many(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return false;
#else
    return !is_under_valgrind();
#endif
}

static void a_hundred_thousand_may_be_suspended(void **state)
{
    (void)state;
    enum { MOST = 100000, FEW = 1000 };
    static struct fiber *started[MOST];
    size_t most = has_room_for_many() ? MOST : FEW;
    size_t count = 0;
    for (size_t i = 0; i < most; i++) {
        started[i] = start(suspend_for_ever, &count);
        fiber_resume(started[i]);
    }
    assert_int_equal(count, most);
    for (size_t i = 0; i < most; i++)
        fiber_wake(started[i]);
    run_until_all_have_ended();
    assert_int_equal(count, 0);
}

/* Never returns; the compiler must not see that. */
static size_t use_all_stack(volatile size_t depth)
{
    volatile char bytes[2000];
    bytes[0] = (char)depth;
    size_t deeper = depth == SIZE_MAX ? 0 : use_all_stack(depth + 1);
    return deeper + (size_t)bytes[deeper % sizeof(bytes)];
}

static void use_own_stack_up(void *argument)
{
    worker_set_name("loop", 7);
    (void)argument;
    (void)use_all_stack(0);
}

/* Runs this program anew, where cmocka does not catch SIGSEGV, to use a fiber's stack up.
   Returns what it prints on standard error; `status` is from waitpid(2). */
static const char *use_stack_up_elsewhere(int *status)
{
    static char text[200];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        dup2(pipes[1], STDERR_FILENO);
        execl("/proc/self/exe", "fiber_test", "overflow", NULL);
        _exit(1);
    }
    close(pipes[1]);
    ssize_t length = read(pipes[0], text, sizeof(text) - 1);
    text[length > 0 ? length : 0] = '\0';
    assert_int_equal(waitpid(child, status, 0), child);
    close(pipes[0]);
    return text;
}

static void a_stack_that_is_used_up_ends_the_program_and_says_so(void **state)
{
    (void)state;
    if (is_under_valgrind())
        skip(); /* it has no /proc/self/exe that could be run */
    int status;
    const char *text = use_stack_up_elsewhere(&status);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)text; /* it says so itself, in other words */
    assert_int_not_equal(status, 0);
#else
    assert_string_equal(text, "error: worker loop-7 has used up its stack of 48 KB\n");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
#endif
}

static void fork_and_look(void *argument)
{
    int *status = *(int **)argument;
    pid_t child = fork();
    if (child == 0)
        _exit(fiber_running() == NULL ? 0 : 1);
    assert_non_null(fiber_running());
    waitpid(child, status, 0);
}

static void what_it_forks_runs_no_fiber(void **state)
{
    (void)state;
    int status = -1;
    int *pointer = &status;
    fiber_resume(start(fork_and_look, pointer));
    assert_int_equal(status, 0);
}

/* ---- The loop itself ---- */

struct alarm_clock {
    struct loop_timer timer;
    char *text; /* to which it adds its letter */
    char letter;
};

static void ring(struct loop_timer *timer)
{
    struct alarm_clock *clock = (struct alarm_clock *)timer;
    strncat(clock->text, &clock->letter, 1);
}

static void timers_are_called_in_the_order_of_their_times(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct alarm_clock clocks[COUNT];
    char text[COUNT + 1] = "";
    double soon = monotonic_seconds() + 0.5; /* what is over when it is set, is now */
    for (int i = 0; i < COUNT; i++) {
        clocks[i] = (struct alarm_clock){{.on_due = ring}, text, (char)('a' + i)};
        assert_true(loop_add_timer(loop, &clocks[i].timer));
    }
    for (int i = 0; i < COUNT; i++) /* 7 and 20 have no common divisor */
        loop_set_timer(loop, &clocks[i * 7 % COUNT].timer, soon + i * 7 % COUNT * 0.001);
    loop_set_timer(loop, &clocks[3].timer, INFINITY);
    loop_set_timer(loop, &clocks[0].timer, soon + 0.0055);
    while (strlen(text) < COUNT - 1)
        loop_turn(loop, true);
    assert_string_equal(text, "bcefaghijklmnopqrst");
    for (int i = 0; i < COUNT; i++)
        loop_remove_timer(loop, &clocks[i].timer);
}

struct pair {
    struct loop_watcher watcher;
    int descriptors[2]; /* the one that is ready first has the other forgotten */
    int calls;
};

static void forget_both(struct loop_watcher *watcher, int descriptor, unsigned events)
{
    struct pair *pair = (struct pair *)watcher;
    (void)descriptor;
    assert_int_equal(events, EPOLLOUT);
    pair->calls++;
    for (int i = 0; i < 2; i++)
        loop_forget(loop, pair->descriptors[i]);
}

static void a_descriptor_that_is_forgotten_is_not_called_in_the_same_turn(void **state)
{
    (void)state;
    int first[2], second[2];
    assert_int_equal(pipe(first), 0);
    assert_int_equal(pipe(second), 0);
    struct pair pair = {{forget_both}, {first[1], second[1]}, 0};
    for (int i = 0; i < 2; i++)
        assert_true(loop_watch(loop, pair.descriptors[i], EPOLLOUT, &pair.watcher));
    loop_turn(loop, true);
    loop_turn(loop, false);
    assert_int_equal(pair.calls, 1);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_false(loop_watch(loop, file, EPOLLIN, &pair.watcher));
    assert_int_equal(errno, EPERM);
    close(file);
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
    }
}

struct counting_job {
    struct loop_job job;
    size_t calls;
};

static void count_call(struct loop_job *job)
{
    ((struct counting_job *)job)->calls++;
}

static struct counting_job shared_job = {{.run = count_call}, 0};

static void *post_often(void *unused)
{
    for (int i = 0; i < 1000; i++)
        loop_post(loop, &shared_job.job);
    return unused;
}

static void what_threads_post_is_called_after_they_did(void **state)
{
    (void)state;
    pthread_t threads[2];
    shared_job.calls = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_often, NULL), 0);
    while (shared_job.calls == 0)
        loop_turn(loop, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    size_t before = shared_job.calls;
    loop_post(loop, &shared_job.job);
    loop_turn(loop, true);
    assert_int_equal(shared_job.calls, before + 1);
    assert_in_range(shared_job.calls, 2, 2001);
}

static void free_number(void *number)
{
    *(int *)number = 0;
}

static void what_is_kept_is_freed_once(void **state)
{
    (void)state;
    int first = 1, second = 2;
    assert_null(loop_kept(loop));
    loop_keep(loop, &first, free_number);
    assert_ptr_equal(loop_kept(loop), &first);
    loop_keep(loop, &second, free_number);
    assert_int_equal(first, 0);
    assert_int_equal(second, 2);
    loop_keep(loop, NULL, NULL);
    assert_int_equal(second, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_both, close_both)

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_on_where_it_was_suspended),
        TEST(two_take_turns),
        TEST(its_deadline_ends_a_suspension),
        TEST(once_interrupted_it_waits_for_nothing_until_it_forgets_that),
        TEST(another_thread_may_wake_it),
        TEST(each_has_its_name_its_pointer_and_its_errno),
        TEST(what_needs_much_stack_is_called_on_that_of_the_loop),
#ifndef __SANITIZE_THREAD__
        TEST(pthread_exit_ends_the_fiber_and_not_the_thread),
#endif
        TEST(a_hundred_thousand_may_be_suspended),
        TEST(a_stack_that_is_used_up_ends_the_program_and_says_so),
        TEST(what_it_forks_runs_no_fiber),
        TEST(timers_are_called_in_the_order_of_their_times),
        TEST(a_descriptor_that_is_forgotten_is_not_called_in_the_same_turn),
        TEST(what_threads_post_is_called_after_they_did),
        TEST(what_is_kept_is_freed_once),
    };
    (void)argv;
    if (argc > 1) { /* in use_stack_up_elsewhere() */
        open_both(NULL);
        fiber_resume(start(use_own_stack_up, NULL));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
