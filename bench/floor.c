/*
 * What no pool can go below: the bare system calls that have to come between a thread, or
 * a process, and another. Prints the seconds of one step, or of all forks.
 *
 *     floor wake COUNT      futex(2) wakes, and nobody sleeps
 *     floor handover COUNT  it wakes a thread, which then runs
 *     floor socket COUNT    20 bytes are written to a socket pair, and read at once
 *     floor message COUNT   20 bytes are written, and wake a process, which reads them
 *     floor forks COUNT     COUNT processes begin and end
 */
#include "common.h"

#include "http.h"
#include "monotonic.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 20 };

/* ---- futex ---- */

static void futex_wake(atomic_uint *word)
{
    if (syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) < 0)
        fail("futex: %s", strerror(errno));
}

/* Sleeps until the word is no longer what it was. */
static void futex_wait_while(atomic_uint *word, unsigned value)
{
    while (atomic_load(word) == value)
        if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0) < 0 &&
            errno != EAGAIN && errno != EINTR)
            fail("futex: %s", strerror(errno));
}

static double wake(size_t count)
{
    atomic_uint word = 0;
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++)
        futex_wake(&word);
    return (monotonic_seconds() - begin) / (double)count;
}

/* Two threads take turns: whose turn it is, is in the word. */
struct turns {
    atomic_uint whose;
    size_t count;
};

static void take_turns(struct turns *turns, unsigned mine)
{
    for (size_t i = 0; i < turns->count; i++) {
        futex_wait_while(&turns->whose, !mine);
        atomic_store(&turns->whose, !mine);
        futex_wake(&turns->whose);
    }
}

static void *take_second_turns(void *argument)
{
    take_turns(argument, 1);
    return NULL;
}

static double handover(size_t count)
{
    struct turns turns = {.count = count};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, take_second_turns, &turns);
    if (error != 0)
        fail("no thread: %s", strerror(error));
    double begin = monotonic_seconds();
    take_turns(&turns, 0);
    pthread_join(thread, NULL);
    return (monotonic_seconds() - begin) / (double)(2 * count);
}

/* ---- A socket pair ---- */

static void open_sockets(int sockets[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        fail("no socket pair: %s", strerror(errno));
}

/* So small a message is written, and read, whole. */
static void write_message(int socket)
{
    static const char message[MESSAGE_BYTES];
    if (write(socket, message, sizeof(message)) != MESSAGE_BYTES)
        fail("write: %s", strerror(errno));
}

static void read_message(int socket)
{
    char message[MESSAGE_BYTES];
    if (read(socket, message, sizeof(message)) != MESSAGE_BYTES)
        fail("read: %s", strerror(errno));
}

static double write_and_read(size_t count)
{
    int sockets[2];
    open_sockets(sockets);
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++) {
        write_message(sockets[0]);
        read_message(sockets[1]);
    }
    return (monotonic_seconds() - begin) / (double)count;
}

/* A message goes there and back: that is two. */
static double message(size_t count)
{
    int sockets[2];
    open_sockets(sockets);
    pid_t pid = fork();
    if (pid < 0)
        fail("cannot fork: %s", strerror(errno));
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++) {
        if (pid > 0)
            write_message(sockets[0]);
        read_message(sockets[pid > 0 ? 0 : 1]);
        if (pid == 0)
            write_message(sockets[1]);
    }
    if (pid == 0)
        _exit(0);
    double seconds = monotonic_seconds() - begin;
    if (waitpid(pid, NULL, 0) != pid)
        fail("waitpid: %s", strerror(errno));
    return seconds / (double)(2 * count);
}

/* Forks `count` processes from one that has libcurl ready, as a pool of processes has to,
   and waits for their end. They live until all are there. Returns the time for all. */
static double forks(size_t count)
{
    int sockets[2];
    http_open(1, NULL);
    open_sockets(sockets);
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("cannot fork: %s", strerror(errno));
        if (pid == 0) {
            char byte;
            close(sockets[0]);
            _exit(read(sockets[1], &byte, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
    close(sockets[0]);
    for (size_t i = 0; i < count; i++) {
        if (waitpid(-1, NULL, 0) < 0)
            fail("waitpid: %s", strerror(errno));
    }
    double seconds = monotonic_seconds() - begin;
    close(sockets[1]);
    http_close();
    return seconds;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    if (strcmp(what, "wake") == 0)
        print_number(wake(count));
    else if (strcmp(what, "handover") == 0)
        print_number(handover(count));
    else if (strcmp(what, "socket") == 0)
        print_number(write_and_read(count));
    else if (strcmp(what, "message") == 0)
        print_number(message(count));
    else if (strcmp(what, "forks") == 0)
        print_number(forks(count));
    else
        fail("usage: floor wake|handover|socket|message|forks COUNT");
}
