/* processes.h: how a child ended, in words. */
#include "processes.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

/* It wants four of the above. */
#include <cmocka.h>

/* In words, the end of a child that raises the signal, or, if it is 0, exits with status
   3. */
static const char *end_of_child(int signal_number)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        if (signal_number == 0)
            _exit(3);
        signal(signal_number, SIG_DFL); /* cmocka catches some */
        raise(signal_number);
        _exit(0);
    }
    return process_end(process_wait(pid));
}

static void an_end_has_words(void **state)
{
    (void)state;
    assert_string_equal(end_of_child(0), "exited with status 3");
    assert_string_equal(end_of_child(SIGKILL), "was killed by signal 9 (SIGKILL)");
    assert_string_equal(end_of_child(SIGABRT), "was killed by signal 6 (SIGABRT)");
    assert_string_equal(end_of_child(SIGRTMAX), "was killed by signal 64 (SIGRT)");
}

static void ignore_signal(int signal_number)
{
    (void)signal_number;
}

/* The child ends once it has interrupted us. */
static void a_wait_that_is_interrupted_goes_on(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = ignore_signal}; /* without SA_RESTART */
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 1000; i++)
            kill(parent, SIGALRM);
        _exit(3);
    }
    assert_string_equal(process_end(process_wait(pid)), "exited with status 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_has_words),
        cmocka_unit_test(a_wait_that_is_interrupted_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
