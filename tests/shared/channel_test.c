/* channel.h: messages arrive whole, whatever interrupts them and though the other end is
   closed. */
#include "channel.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants four of the above. */
#include <cmocka.h>

enum { LENGTH = 4 * 1024 * 1024, PIECE = 4001 };

static void make_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

/* Has child_part() run in a child with one end, and returns the other. */
static int fork_child(void (*child_part)(int socket), pid_t *pid)
{
    int ends[2];
    make_pair(ends);
    *pid = fork();
    assert_true(*pid >= 0);
    if (*pid == 0) {
        close(ends[0]);
        child_part(ends[1]);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    return ends[0];
}

static void assert_succeeds(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

static char *message(void)
{
    char *bytes = malloc(LENGTH);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] = (char)(i % 251);
    return bytes;
}

static bool is_message(const char *bytes)
{
    size_t i = 0;
    while (i < LENGTH && bytes[i] == (char)(i % 251))
        i++;
    return i == LENGTH;
}

static pid_t parent;
static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

/* Without SA_RESTART: a signal interrupts the call that is waiting. */
static void interrupt_calls(void)
{
    signals = 0;
    parent = getpid();
    struct sigaction action = {.sa_handler = count_signal};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void receive_in_pieces(int socket)
{
    char *bytes = malloc(LENGTH);
    size_t length = 0;
    ssize_t received = 1;
    while (bytes != NULL && length < LENGTH && received > 0) {
        size_t wanted = LENGTH - length < PIECE ? LENGTH - length : PIECE;
        kill(parent, SIGUSR1);
        received = recv(socket, bytes + length, wanted, 0);
        length += received > 0 ? (size_t)received : 0;
    }
    bool is_whole = length == LENGTH && is_message(bytes);
    free(bytes);
    _exit(is_whole ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void a_message_is_sent_whole_whatever_interrupts_it(void **state)
{
    (void)state;
    pid_t pid;
    interrupt_calls();
    int socket = fork_child(receive_in_pieces, &pid);
    char *bytes = message();
    assert_true(send_all(socket, bytes, LENGTH));
    assert_succeeds(pid);
    assert_true(signals > 0);
    free(bytes);
    close(socket);
}

static void send_in_pieces(int socket)
{
    char *bytes = message();
    for (size_t length = 0; length < LENGTH;) {
        size_t wanted = LENGTH - length < PIECE ? LENGTH - length : PIECE;
        kill(parent, SIGUSR1);
        ssize_t sent = send(socket, bytes + length, wanted, 0);
        if (sent < 0)
            _exit(EXIT_FAILURE);
        length += (size_t)sent;
    }
    free(bytes);
}

static void a_message_is_received_whole_whatever_interrupts_it(void **state)
{
    (void)state;
    pid_t pid;
    interrupt_calls();
    int socket = fork_child(send_in_pieces, &pid);
    char *bytes = calloc(LENGTH, 1);
    assert_non_null(bytes);
    assert_true(receive_all(socket, bytes, LENGTH));
    assert_true(is_message(bytes));
    assert_succeeds(pid);
    assert_true(signals > 0);
    free(bytes);
    close(socket);
}

static void messages_keep_their_order_and_their_rest(void **state)
{
    (void)state;
    int ends[2];
    char text[4] = "";
    make_pair(ends);
    assert_true(send_all(ends[0], "abcdef", 6));
    assert_true(send_all(ends[0], NULL, 0));
    assert_true(receive_all(ends[1], NULL, 0));
    assert_true(receive_all(ends[1], text, 2));
    assert_string_equal(text, "ab");
    assert_true(receive_all(ends[1], text, 3));
    assert_string_equal(text, "cde");
    close(ends[0]);
    assert_true(receive_all(ends[1], text, 1));
    assert_string_equal(text, "fde");
    close(ends[1]);
}

static void a_text_arrives_as_it_was_sent(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    assert_true(send_text(ends[0], "a title"));
    assert_true(send_text(ends[0], ""));
    assert_true(send_text(ends[0], NULL));
    const char *const expected[] = {"a title", "", ""};
    for (size_t i = 0; i < 3; i++) {
        char *text = receive_text(ends[1]);
        assert_non_null(text);
        assert_string_equal(text, expected[i]);
        free(text);
    }
    close(ends[0]);
    assert_null(receive_text(ends[1]));
    assert_int_equal(errno, 0);
    close(ends[1]);
}

/* Has the other end closed after `bytes` bytes of a text. */
static void assert_is_reset_after(size_t bytes)
{
    int ends[2];
    struct {
        size_t length;
        char text[4];
    } message = {4, {'a', 'b', 'c', 'd'}};
    make_pair(ends);
    assert_true(send_all(ends[0], &message, bytes));
    close(ends[0]);
    errno = 0;
    assert_null(receive_text(ends[1]));
    assert_int_equal(errno, ECONNRESET);
    close(ends[1]);
}

static void half_a_text_is_none(void **state)
{
    (void)state;
    assert_is_reset_after(sizeof(size_t) - 1);
    assert_is_reset_after(sizeof(size_t));
    assert_is_reset_after(sizeof(size_t) + 3);
}

static void the_end_of_the_stream_has_no_errno(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    make_pair(ends);
    close(ends[0]);
    errno = EBADF;
    assert_false(receive_all(ends[1], &byte, 1));
    assert_int_equal(errno, 0);
    close(ends[1]);
}

static void the_end_in_the_middle_of_a_message_is_a_reset(void **state)
{
    (void)state;
    int ends[2];
    char bytes[4];
    make_pair(ends);
    assert_true(send_all(ends[0], "abc", 3));
    close(ends[0]);
    errno = 0;
    assert_false(receive_all(ends[1], bytes, 4));
    assert_int_equal(errno, ECONNRESET);
    close(ends[1]);
}

static void a_receiver_that_is_gone_is_an_error_and_no_signal(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    close(ends[1]);
    errno = 0;
    assert_false(send_all(ends[0], "abc", 3));
    assert_int_equal(errno, EPIPE);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_sent_whole_whatever_interrupts_it),
        cmocka_unit_test(a_message_is_received_whole_whatever_interrupts_it),
        cmocka_unit_test(messages_keep_their_order_and_their_rest),
        cmocka_unit_test(a_text_arrives_as_it_was_sent),
        cmocka_unit_test(half_a_text_is_none),
        cmocka_unit_test(the_end_of_the_stream_has_no_errno),
        cmocka_unit_test(the_end_in_the_middle_of_a_message_is_a_reset),
        cmocka_unit_test(a_receiver_that_is_gone_is_an_error_and_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
