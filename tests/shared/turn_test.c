/* One turn for a program's threads and processes: turn.h. */
#include "turn.h"

#include "monotonic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants the four above. */
#include <cmocka.h>

static void a_turn_comes_again_when_it_has_ended(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(turn_begin(monotonic_seconds() + 60));
        turn_end();
    }
}

static void another_process_has_to_wait(void **state)
{
    (void)state;
    int status;
    assert_true(turn_begin(monotonic_seconds() + 60));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(turn_begin(monotonic_seconds() + 0.01) ? EXIT_FAILURE : EXIT_SUCCESS);
    assert_int_equal(waitpid(child, &status, 0), child);
    turn_end();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

static void a_process_that_dies_leaves_its_turn_to_the_next(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            raise(turn_begin(monotonic_seconds() + 60) ? SIGKILL : SIGTERM);
            _exit(EXIT_FAILURE);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        assert_true(turn_begin(monotonic_seconds() + 60));
        turn_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_comes_again_when_it_has_ended),
        cmocka_unit_test(another_process_has_to_wait),
        cmocka_unit_test(a_process_that_dies_leaves_its_turn_to_the_next),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
