/*
 * The child's side of a process pool: a worker process claims a task from the task ring,
 * runs it, and sends its result as messages.
 */
#include "process_pool.h"

#include "monotonic.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static pid_t fork_server;

/*
 * A worker that changes its user or group loses its parent-death signal (prctl(2)), so it
 * asks for it again. If the fork server had died before, another process is the parent
 * now.
 */
static void watch_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != fork_server)
        _exit(EXIT_FAILURE);
}

/* The task has ended the thread (pthread_exit(3)): so ends the process, even if the task
   has started others, which could keep it for ever. */
static void end_process(void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

/* Runs a task, or the initializer. What it has printed is written when it returns, so
   that no later crash loses it. */
static struct result run(task_fn task, const char *argument)
{
    unsigned generation = fork_generation();
    struct result result;
    pthread_cleanup_push(end_process, NULL);
    result = task(argument);
    pthread_cleanup_pop(0);
    fflush(NULL);
    if (fork_generation() != generation)
        _exit(EXIT_SUCCESS); /* a copy that the task has forked: the worker is another */
    return result;
}

/* Sends the text piece by piece. Returns false if nobody can receive it. */
static bool send_text(int socket, struct message message, const char *text)
{
    message.length = text == NULL ? NO_TEXT : strlen(text);
    size_t left = text == NULL ? 0 : message.length;
    bool goes_on;
    do {
        size_t piece = left < LONGEST_PIECE ? left : LONGEST_PIECE;
        goes_on = send_message(socket, message, text, piece, true);
        message.offset += piece;
        text += text == NULL ? 0 : piece;
        left -= piece;
    } while (goes_on && left > 0);
    return goes_on;
}

/* Returns false if the worker has to end. */
static bool initialize(const struct executor_options *options, size_t number, int socket)
{
    if (options->initializer == NULL)
        return true;
    struct result result = run(options->initializer, options->initializer_argument);
    struct message message = {
        .what = PREPARED, .worker = number, .result = result.status};
    size_t length = result.text == NULL ? 0 : strnlen(result.text, LONGEST_PIECE);
    bool goes_on = send_message(socket, message, result.text, length, true) &&
                   result.status == RESULT_OK;
    result_free(&result);
    return goes_on;
}

/* Asks for the argument of the task in the slot, piece by piece. Returns NULL if there is
   no memory for it, or nobody to ask. */
static char *ask_for_argument(struct task_ring *ring, size_t slot, size_t number,
                              int socket)
{
    struct message request = {.what = NEEDS_ARGUMENT, .worker = number, .slot = slot};
    size_t length = task_ring_argument_length(ring, slot);
    char *argument = malloc(length + 1);
    bool goes_on = argument != NULL;
    while (goes_on && request.offset < length) {
        task_ring_clear_window(ring, number);
        goes_on = send_message(socket, request, NULL, 0, true);
        if (goes_on)
            request.offset +=
                task_ring_read_window(ring, number, argument + request.offset);
    }
    if (goes_on) {
        argument[length] = '\0';
        return argument;
    }
    free(argument);
    return NULL;
}

/* Runs the task in the slot. Returns false if the worker has to end: the task has
   expired, or nobody can receive its result. */
static bool run_slot(struct task_ring *ring, size_t slot, size_t number, int socket)
{
    const char *in_slot = task_ring_argument(ring, slot);
    char *argument =
        in_slot != NULL ? strdup(in_slot) : ask_for_argument(ring, slot, number, socket);
    if (argument == NULL)
        return false;
    double start = task_ring_begin(ring, slot);
    struct result result = run(task_ring_task(ring, slot), argument);
    struct message message = {.what = RESULT,
                              .worker = number,
                              .slot = slot,
                              .result = result.status,
                              .span = result.span};
    message.span.start = start;
    message.span.end = monotonic_seconds();
    bool goes_on =
        task_ring_complete(ring, slot) && send_text(socket, message, result.text);
    result_free(&result);
    free(argument);
    return goes_on;
}

void work(void *context, size_t number, int socket)
{
    const struct executor *executor = context;
    const struct executor_options *options = &executor->options;
    struct task_ring *ring = ((const struct pool *)executor->state)->ring;
    size_t most = options->max_tasks_per_worker;
    struct message started = {.what = STARTED, .worker = number, .pid = getpid()};
    fork_server = getppid();
    worker_set_name("process", number);
    bool goes_on = send_message(socket, started, NULL, 0, true) &&
                   initialize(options, number, socket);
    for (size_t i = 0; goes_on && (most == 0 || i < most); i++) {
        size_t slot = task_ring_claim(ring, number, watch_parent);
        if (slot == NO_SLOT)
            return;
        goes_on = run_slot(ring, slot, number, socket);
    }
    if (!goes_on)
        _exit(EXIT_FAILURE);
}
