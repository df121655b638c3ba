/*
 * The workers are processes: each worker's thread in our process hands its tasks to a
 * process of its own, as bytes through a socket, and waits for the bytes of the result.
 */
#include "helper.h"
#include "internal.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What goes to the process, and behind it the bytes of the argument. The process was
   forked from ours, so a function is at the same place there. */
struct order {
    task_fn task; /* NULL: there will be no more */
    size_t length;
};

/* What comes back, and behind it the bytes of the text. */
struct delivery {
    enum result_status status;
    size_t length; /* NO_TEXT: the text is NULL */
    struct span span;
};

static const size_t NO_TEXT = SIZE_MAX;

/* How long a worker that could not be started waits before it tries again, in seconds. */
static const double first_delay = 0.01;
static const double longest_delay = 1;

/* What the pool has in common. */
struct pool {
    struct helper *helper;
    atomic_size_t fit_count; /* processes that can run tasks */
};

/* What a worker's thread knows of its process. */
struct proxy {
    struct pool *pool;
    struct process *process;
    bool is_fit;      /* it is initialized */
    size_t tasks_run; /* by this process */
};

/* How it went to talk to the process. */
enum talk { DONE_TALKING, IS_DEAD, TOO_LATE, NO_MEMORY };

/* ---- In the worker's process ---- */

static bool receive_all(int socket, void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t received = recv(socket, bytes, length, 0);
        if (received == 0 || (received < 0 && errno != EINTR))
            return false;
        if (received > 0) {
            bytes = (char *)bytes + received;
            length -= (size_t)received;
        }
    }
    return true;
}

/* Takes so many bytes off the front of the two pieces. */
static void advance(struct iovec pieces[2], size_t length)
{
    for (size_t i = 0; i < 2; i++) {
        size_t taken = length < pieces[i].iov_len ? length : pieces[i].iov_len;
        pieces[i].iov_base = (char *)pieces[i].iov_base + taken;
        pieces[i].iov_len -= taken;
        length -= taken;
    }
}

static bool send_all(int socket, struct iovec pieces[2])
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    while (pieces[0].iov_len + pieces[1].iov_len > 0) {
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0)
            advance(pieces, (size_t)sent);
    }
    return true;
}

/* Runs the task, and sends what comes of it. Returns false if nobody is there to have it.
 */
static bool deliver(int socket, task_fn task, const char *argument)
{
    double start = monotonic_seconds();
    struct result result = task(argument);
    struct delivery delivery = {.status = result.status, .span = result.span};
    delivery.span.start = start;
    delivery.span.end = monotonic_seconds();
    delivery.length = result.text == NULL ? NO_TEXT : strlen(result.text);
    struct iovec pieces[] = {
        {.iov_base = &delivery, .iov_len = sizeof(delivery)},
        {.iov_base = result.text, .iov_len = result.text == NULL ? 0 : delivery.length}};
    bool is_sent = send_all(socket, pieces);
    result_free(&result);
    return is_sent;
}

/* What each process runs: task after task, until it is told that there are no more. */
static void work(size_t number, int socket)
{
    struct order order;
    bool goes_on = true;
    worker_set_name("process", number);
    while (goes_on && receive_all(socket, &order, sizeof(order)) && order.task != NULL) {
        char *argument = malloc(order.length + 1);
        if (argument == NULL || !receive_all(socket, argument, order.length))
            _exit(EXIT_FAILURE);
        argument[order.length] = '\0';
        goes_on = deliver(socket, order.task, argument);
        free(argument);
    }
}

/* ---- In the worker's thread ---- */

/* Waits until the socket is ready for the events. Without the helper nobody would tell us
   that the process has died. */
static enum talk wait_for_socket(const struct proxy *proxy, short events, double deadline)
{
    struct pollfd ready[] = {{.fd = proxy->process->socket, .events = events},
                             {.fd = helper_control(proxy->pool->helper)}};
    for (;;) {
        int milliseconds = -1;
        if (deadline < INFINITY) {
            double left = ceil((deadline - monotonic_seconds()) * 1000);
            milliseconds = left <= 0 ? 0 : left < INT32_MAX ? (int)left : INT32_MAX;
        }
        int count = poll(ready, 2, milliseconds);
        if (count > 0)
            return ready[0].revents != 0 ? DONE_TALKING : IS_DEAD;
        if (count < 0 && errno != EINTR)
            return IS_DEAD;
        if (count == 0 && deadline <= monotonic_seconds())
            return TOO_LATE;
    }
}

static enum talk send_until(const struct proxy *proxy, struct iovec pieces[2],
                            double deadline)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    enum talk talk = DONE_TALKING;
    while (pieces[0].iov_len + pieces[1].iov_len > 0 && talk == DONE_TALKING) {
        ssize_t sent =
            sendmsg(proxy->process->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            advance(pieces, (size_t)sent);
        else if (errno == EAGAIN)
            talk = wait_for_socket(proxy, POLLOUT, deadline);
        else if (errno != EINTR)
            talk = IS_DEAD;
    }
    return talk;
}

static enum talk receive_until(const struct proxy *proxy, void *bytes, size_t length,
                               double deadline)
{
    enum talk talk = DONE_TALKING;
    while (length > 0 && talk == DONE_TALKING) {
        ssize_t received = recv(proxy->process->socket, bytes, length, MSG_DONTWAIT);
        if (received > 0) {
            bytes = (char *)bytes + received;
            length -= (size_t)received;
        } else if (received < 0 && errno == EAGAIN) {
            talk = wait_for_socket(proxy, POLLIN, deadline);
        } else if (received == 0 || errno != EINTR) {
            talk = IS_DEAD;
        }
    }
    return talk;
}

static enum talk send_order(const struct proxy *proxy, task_fn task, const char *argument,
                            double deadline)
{
    struct order order = {.task = task, .length = strlen(argument)};
    struct iovec pieces[] = {{.iov_base = &order, .iov_len = sizeof(order)},
                             {.iov_base = (char *)argument, .iov_len = order.length}};
    return send_until(proxy, pieces, deadline);
}

static enum talk receive_result(const struct worker *worker, struct result *result,
                                double deadline)
{
    const struct proxy *proxy = worker->state;
    struct delivery delivery;
    enum talk talk = receive_until(proxy, &delivery, sizeof(delivery), deadline);
    if (talk != DONE_TALKING)
        return talk;
    result->status = delivery.status;
    result->span = delivery.span;
    name_span(&result->span, worker);
    if (delivery.length == NO_TEXT)
        return DONE_TALKING;
    result->text = malloc(delivery.length + 1);
    if (result->text == NULL)
        return NO_MEMORY;
    talk = receive_until(proxy, result->text, delivery.length, deadline);
    result->text[delivery.length] = '\0';
    return talk;
}

/* How the process ended, in words. */
static struct result describe_end(const struct worker *worker, int status)
{
    const char *name = worker->who.worker;
    if (status == -1)
        return result_broken("worker %s died with the process that starts the workers",
                             name);
    if (!WIFSIGNALED(status))
        return result_broken("worker %s exited with status %d", name,
                             WEXITSTATUS(status));
    const char *signal_name = sigabbrev_np(WTERMSIG(status)); /* real-time: none */
    return result_broken("worker %s was killed by signal %d (SIG%s)", name,
                         WTERMSIG(status), signal_name == NULL ? "RT" : signal_name);
}

static struct process_end bury(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    if (proxy->is_fit)
        proxy->pool->fit_count--;
    proxy->is_fit = false;
    proxy->tasks_run = 0;
    return helper_bury(proxy->pool->helper, worker->number);
}

/* Buries a worker that has not lived through a task. Returns what became of the task. */
static struct result mourn(struct worker *worker, enum talk talk, bool *has_begun)
{
    struct process_end end = bury(worker);
    if (talk == IS_DEAD && end.has_unread)
        *has_begun = false;
    if (talk == IS_DEAD)
        return describe_end(worker, end.status);
    if (talk == NO_MEMORY)
        return result_broken("out of memory for the result");
    struct result result =
        result_failed("timed out after %g s", worker->executor->options.task_seconds);
    result.status = RESULT_TIMED_OUT;
    return result;
}

/* Has the process run the task. If it does not live through it, it is buried; and if it
   did not live to begin with it, `has_begun` is false. */
static struct result hand_over(struct worker *worker, task_fn task, const char *argument,
                               bool *has_begun)
{
    struct proxy *proxy = worker->state;
    double seconds = worker->executor->options.task_seconds;
    struct result result = {.span = worker->who};
    result.span.start = monotonic_seconds();
    double deadline = seconds > 0 ? result.span.start + seconds : INFINITY;

    enum talk talk = send_order(proxy, task, argument, deadline);
    *has_begun = talk != IS_DEAD;
    if (talk == DONE_TALKING)
        talk = receive_result(worker, &result, deadline);
    if (talk == DONE_TALKING)
        return result;

    struct span span = result.span;
    span.end = monotonic_seconds();
    result_free(&result);
    result = mourn(worker, talk, has_begun);
    result.span = span;
    return result;
}

/* Runs the initializer in a new process. Returns false if it fails, or the process does
   not live through it; then the process is buried, and `result` says why. */
static bool initialize(struct worker *worker, struct result *result)
{
    struct proxy *proxy = worker->state;
    const struct executor_options *options = &worker->executor->options;
    bool has_begun;
    if (options->initializer == NULL)
        return true;
    *result = hand_over(worker, options->initializer, options->initializer_argument,
                        &has_begun);
    if (result->status == RESULT_OK) {
        result_free(result);
        return true;
    }
    *result = initializer_failed(worker, *result);
    if (proxy->process->pid != 0) {
        /* It lives, and said no: so would all others. */
        bury(worker);
        executor_break(worker->executor, result->text);
    }
    return false;
}

static bool make_fit(struct worker *worker, struct result *result)
{
    struct proxy *proxy = worker->state;
    proxy->is_fit = initialize(worker, result);
    if (proxy->is_fit)
        proxy->pool->fit_count++;
    return proxy->is_fit;
}

/* Tells the process that there are no more tasks, and waits for it to end. */
static void dismiss(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    struct order end = {.task = NULL};
    struct iovec pieces[] = {{.iov_base = &end, .iov_len = sizeof(end)}, {0}};
    char byte;
    if (send_until(proxy, pieces, INFINITY) == DONE_TALKING)
        receive_until(proxy, &byte, 1, INFINITY);
    bury(worker);
}

/* Starts a process. Returns false if that fails, or its initializer; then `result` says
   why. */
static bool renew(struct worker *worker, struct result *result)
{
    struct proxy *proxy = worker->state;
    if (!helper_start(proxy->pool->helper, worker->number)) {
        *result = result_broken("worker %s cannot be started: %s", worker->who.worker,
                                strerror(errno));
        return false;
    }
    worker->who.pid = proxy->process->pid;
    return make_fit(worker, result);
}

/* A worker that cannot be started takes no task as long as others can: all the tasks
   would fail with it, one after the other. */
static bool make_ready(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    size_t most = worker->executor->options.max_tasks_per_worker;
    struct result result;
    if (proxy->process->pid != 0 && most > 0 && proxy->tasks_run == most)
        dismiss(worker);
    for (double delay = first_delay; proxy->process->pid == 0;
         delay = fmin(2 * delay, longest_delay)) {
        if (renew(worker, &result))
            return true;
        result_free(&result);
        if (proxy->pool->fit_count == 0 || atomic_load(&worker->executor->is_broken))
            return true; /* to say why */
        if (!executor_pause(worker->executor, delay))
            return false;
    }
    return true;
}

/* A process that has died in its sleep is noticed only now. The task has not begun then,
   and a new process gets it; but once only, in case it is the task that no process can
   take. */
static struct result run(struct worker *worker, task_fn task, const char *argument)
{
    struct proxy *proxy = worker->state;
    struct result result;
    bool has_begun = false;
    for (size_t tries = 0; tries < 2 && !has_begun; tries++) {
        if (tries > 0)
            result_free(&result);
        if (proxy->process->pid == 0 && !renew(worker, &result))
            return result;
        proxy->tasks_run++;
        result = hand_over(worker, task, argument, &has_begun);
    }
    return result;
}

/* ---- The pool ---- */

static bool open_pool(struct executor *executor)
{
    struct pool *pool = malloc(sizeof(*pool));
    if (pool == NULL)
        return false;
    *pool = (struct pool){.helper = helper_open(executor->options.workers, work)};
    if (pool->helper == NULL) {
        int error = errno;
        free(pool);
        errno = error;
        return false;
    }
    executor->state = pool;
    return true;
}

static void close_pool(struct executor *executor)
{
    struct pool *pool = executor->state;
    if (pool != NULL)
        helper_close(pool->helper);
    free(pool);
}

static bool start(struct worker *worker)
{
    struct pool *pool = worker->executor->state;
    struct proxy *proxy = malloc(sizeof(*proxy));
    if (proxy == NULL)
        return false;
    *proxy = (struct proxy){.pool = pool,
                            .process = helper_process(pool->helper, worker->number)};
    worker->state = proxy;
    if (!helper_start(pool->helper, worker->number)) {
        int error = errno;
        free(proxy);
        errno = error;
        return false;
    }
    worker->who.pid = proxy->process->pid;
    return true;
}

static void set_up(struct worker *worker)
{
    struct result result;
    if (!make_fit(worker, &result))
        result_free(&result);
}

static void end(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    if (proxy->process->pid != 0)
        dismiss(worker);
    free(proxy);
}

static void stop(struct executor *executor, int signal_number)
{
    struct pool *pool = executor->state;
    helper_stop(pool->helper, signal_number);
}

static const struct executor_kind process_pool = {
    .worker_name = "process",
    .can_stop_workers = true,
    .default_workers = usable_cpus,
    .open = open_pool,
    .close = close_pool,
    .start = start,
    .set_up = set_up,
    .make_ready = make_ready,
    .run = run,
    .end = end,
    .stop = stop,
};

struct executor *process_pool_executor(size_t workers)
{
    return process_pool_executor_with(&(struct executor_options){.workers = workers});
}

struct executor *process_pool_executor_with(const struct executor_options *options)
{
    return executor_open(&process_pool, options);
}
