/*
 * A peer: Gearman's job server, and 2 worker processes; the jobs return their argument of
 * 20 bytes. Nothing is kept on a disk, and no worker acknowledges anything.
 *
 *     gearman COUNT    seconds for COUNT jobs: add all, then run them, and count the
 *                      results
 */
#include "../common.h"

#include "monotonic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgearman/gearman.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, WARM_UP = 1000, START_MILLISECONDS = 10000 };

static const char host[] = "127.0.0.1";
static const char function[] = "return_argument";
static const char argument[] = "12345678901234567890";

static void check(gearman_return_t status, const char *what)
{
    if (gearman_failed(status))
        fail("%s: %s", what, gearman_strerror(status));
}

static pid_t fork_child(void)
{
    pid_t child = fork();
    if (child < 0)
        fail("cannot fork: %s", strerror(errno));
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* ---- The server ---- */

static struct sockaddr_in loopback(in_port_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* It has to be told its port: one that is free now. */
static in_port_t free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof(address);
    int file = socket(AF_INET, SOCK_STREAM, 0);
    if (file < 0 || bind(file, (struct sockaddr *)&address, length) != 0 ||
        getsockname(file, (struct sockaddr *)&address, &length) != 0)
        fail("no free port: %s", strerror(errno));
    close(file);
    return ntohs(address.sin_port);
}

static bool is_listening(in_port_t port)
{
    struct sockaddr_in address = loopback(port);
    int file = socket(AF_INET, SOCK_STREAM, 0);
    bool is_there = connect(file, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(file);
    return is_there;
}

static pid_t start_server(in_port_t port)
{
    char text[20];
    snprintf(text, sizeof(text), "%u", (unsigned)port);
    pid_t server = fork_child();
    if (server == 0) {
        char *arguments[] = {"gearmand", "--listen",   (char *)host, "--port",
                             text,       "--log-file", "none",       NULL};
        execvp(arguments[0], arguments);
        execv("/usr/sbin/gearmand", arguments);
        fail("cannot run gearmand: %s", strerror(errno));
    }
    for (int i = 0; !is_listening(port); i++) {
        if (waitpid(server, NULL, WNOHANG) != 0 || i == START_MILLISECONDS)
            fail("gearmand does not listen");
        usleep(1000);
    }
    return server;
}

/* ---- A worker ---- */

static gearman_return_t return_argument(gearman_job_st *job, void *context)
{
    (void)context;
    return gearman_job_send_complete(job, gearman_job_workload(job),
                                     gearman_job_workload_size(job));
}

_Noreturn static void work(in_port_t port)
{
    gearman_worker_st *worker = gearman_worker_create(NULL);
    gearman_function_t run = gearman_function_create(return_argument);
    if (worker == NULL)
        fail("no worker");
    check(gearman_worker_add_server(worker, host, port), "gearman_worker_add_server");
    check(
        gearman_worker_define_function(worker, function, strlen(function), run, 0, NULL),
        "gearman_worker_define_function");
    for (;;)
        check(gearman_worker_work(worker), "gearman_worker_work");
}

/* ---- The client ---- */

static gearman_return_t on_complete(gearman_task_st *task)
{
    size_t *results = gearman_task_context(task);
    if (gearman_task_data_size(task) != strlen(argument) ||
        memcmp(gearman_task_data(task), argument, strlen(argument)) != 0)
        fail("a job returned something else");
    ++*results;
    return GEARMAN_SUCCESS;
}

static double seconds(gearman_client_st *client, size_t count)
{
    size_t results = 0;
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++) {
        gearman_return_t status;
        gearman_client_add_task(client, NULL, &results, function, NULL, argument,
                                strlen(argument), &status);
        check(status, "gearman_client_add_task");
    }
    check(gearman_client_run_tasks(client), "gearman_client_run_tasks");
    double end = monotonic_seconds();
    if (results != count)
        fail("%zu results of %zu jobs", results, count);
    return end - begin;
}

int main(int argc, char *argv[])
{
    size_t count = number_at(argc, argv, 1, 0);
    in_port_t port = free_port();
    pid_t server = start_server(port);
    pid_t workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = fork_child();
        if (workers[i] == 0)
            work(port);
    }
    gearman_client_st *client = gearman_client_create(NULL);
    if (client == NULL)
        fail("no client");
    check(gearman_client_add_server(client, host, port), "gearman_client_add_server");
    gearman_client_set_complete_fn(client, on_complete);
    gearman_client_add_options(client, GEARMAN_CLIENT_FREE_TASKS);
    seconds(client, count < WARM_UP ? count : WARM_UP);
    print_number(seconds(client, count));
    gearman_client_free(client);
    for (size_t i = 0; i < WORKERS; i++)
        kill(workers[i], SIGKILL);
    kill(server, SIGKILL);
}
