/*
 * The workers are processes. The tasks that are next hang on a board in memory that they
 * share with us; a process takes one when it is free, and sends the bytes of the result
 * through a socket of its own to its worker's thread in our process.
 */
#include "board.h"
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
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What comes from the process, and behind it the bytes of the text. Who needs an argument
   says no more than for which place. */
struct delivery {
    enum { RESULT, NEEDS_ARGUMENT } what;
    enum result_status status;
    size_t place;  /* of the task on the board; NOWHERE: it was the initializer */
    size_t length; /* NO_TEXT: the text is NULL */
    struct span span;
};

static const size_t NO_TEXT = SIZE_MAX;

enum {
    TASKS_AHEAD = 64, /* on the board, beyond those that run */
    BUFFER_SIZE = 16 * 1024,
};

/* How long a worker that could not be started waits before it tries again, in seconds. */
static const double first_delay = 0.01;
static const double longest_delay = 1;

/* What the pool has in common. */
struct pool {
    struct helper *helper;
    struct board *board;
    atomic_size_t fit_count; /* processes that can run tasks */

    pthread_mutex_t lock;    /* who holds it may touch what follows, and the board */
    struct future **futures; /* at each place of the board; NULL: it is free */
    size_t place_count;
    size_t hanging; /* futures at places */
};

/* What a worker's thread knows of its process. */
struct proxy {
    struct pool *pool;
    struct process *process;
    bool is_fit; /* it is initialized */
    size_t
        waits_at; /* the place of the task whose callbacks it waits for; NOWHERE: none */

    size_t start; /* of what has been received, and nobody has looked at yet */
    size_t end;
    char buffer[BUFFER_SIZE];
};

/* How it went to talk to the process. */
enum talk { DONE_TALKING, NOTHING_YET, IS_DEAD, TOO_LATE, NO_MEMORY };

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

static bool send_delivery(int socket, struct delivery *delivery, const char *text)
{
    delivery->length = text == NULL ? NO_TEXT : strlen(text);
    struct iovec pieces[] = {
        {.iov_base = delivery, .iov_len = sizeof(*delivery)},
        {.iov_base = (char *)text, .iov_len = text == NULL ? 0 : delivery->length}};
    return send_all(socket, pieces);
}

/* The argument of a task, from the board or, if it is long, through the socket. */
static char *get_argument(const struct board *board, size_t place, int socket)
{
    const char *short_one = board_argument(board, place);
    if (short_one != NULL)
        return strdup(short_one);
    struct delivery request = {.what = NEEDS_ARGUMENT, .place = place};
    size_t length = board_argument_length(board, place);
    char *argument = malloc(length + 1);
    if (argument == NULL || !send_delivery(socket, &request, NULL) ||
        !receive_all(socket, argument, length))
        _exit(EXIT_FAILURE);
    argument[length] = '\0';
    return argument;
}

/* Runs a task, or the initializer, which has no place on the board. The result is sent at
   once: nothing that is done waits for what is next. Returns false if the process has to
   end. */
static bool run(struct board *board, size_t place, task_fn task, const char *argument,
                int socket)
{
    double start = monotonic_seconds();
    struct result result = task(argument);
    struct delivery delivery = {
        .place = place, .status = result.status, .span = result.span};
    delivery.span.start = start;
    delivery.span.end = monotonic_seconds();
    if (place != NOWHERE)
        board_done(board, place);
    bool is_sent = send_delivery(socket, &delivery, result.text);
    if (place != NOWHERE)
        board_wait(board, place);
    bool is_fit = place != NOWHERE || result.status == RESULT_OK;
    result_free(&result);
    return is_sent && is_fit;
}

/* What each process runs: the initializer, and then task after task, until there are no
   more, or it has run as many as it may. */
static void work(void *context, size_t number, int socket)
{
    const struct executor *executor = context;
    const struct executor_options *options = &executor->options;
    struct board *board = ((struct pool *)executor->state)->board;
    bool goes_on = true;
    worker_set_name("process", number);
    if (options->initializer != NULL)
        goes_on = run(board, NOWHERE, options->initializer, options->initializer_argument,
                      socket);
    size_t most = options->max_tasks_per_worker;
    for (size_t i = 0; goes_on && (most == 0 || i < most); i++) {
        size_t place = board_take(board, number);
        if (place == NOWHERE)
            return;
        char *argument = get_argument(board, place, socket);
        if (argument == NULL)
            _exit(EXIT_FAILURE);
        goes_on = run(board, place, board_task(board, place), argument, socket);
        free(argument);
    }
}

/* ---- The board ---- */

/* With the pool's lock held: whether to hang up one more task. A task that hangs on the
   board does not count as waiting; so if the queue has a bound, only as many hang there
   as processes can run at once. */
static bool has_place(const struct executor *executor)
{
    const struct pool *pool = executor->state;
    size_t fit_count = atomic_load(&pool->fit_count);
    size_t most = executor->options.queue_capacity > 0 ? fit_count : pool->place_count;
    return pool->hanging < most && fit_count > 0 && !atomic_load(&executor->is_broken);
}

/* Hangs up what is next, as far as there is room. Says so if there will be no more. */
static void offer(struct executor *executor)
{
    struct pool *pool = executor->state;
    struct future *future;
    size_t count = 0;
    lock(&pool->lock);
    while (has_place(executor) && (future = executor_take_if_there(executor)) != NULL) {
        bool calls_back;
        if (!future_offer(future, &calls_back)) {
            future_free(future); /* it has been cancelled */
            continue;
        }
        size_t place = board_hang_up(pool->board, future->task, future->argument);
        pool->futures[place] = future;
        pool->hanging++;
        count++;
        if (calls_back)
            board_have_wait(pool->board, place);
    }
    if (executor_is_drained(executor))
        board_end(pool->board);
    unlock(&pool->lock);
    board_wake(pool->board, count);
}

/* With the pool's lock held: the future at the place, which has none then. */
static struct future *take_off(struct pool *pool, size_t place)
{
    struct future *future = pool->futures[place];
    pool->futures[place] = NULL;
    return future;
}

/* With the pool's lock held. */
static size_t find(const struct pool *pool, const struct future *future)
{
    size_t place = 0;
    while (place < pool->place_count && pool->futures[place] != future)
        place++;
    return place < pool->place_count ? place : NOWHERE;
}

static struct future *take_back(struct executor *executor, struct future *future)
{
    struct pool *pool = executor->state;
    struct future *taken = NULL;
    lock(&pool->lock);
    size_t place = future == NULL ? board_first(pool->board) : find(pool, future);
    while (place != NOWHERE && taken == NULL) {
        if (board_take_back(pool->board, place)) {
            taken = take_off(pool, place);
            pool->hanging--;
            future_take_back(taken);
        } else {
            place = future == NULL ? board_first(pool->board) : NOWHERE;
        }
    }
    unlock(&pool->lock);
    return taken;
}

static bool has_begun(struct executor *executor, const struct future *future)
{
    struct pool *pool = executor->state;
    lock(&pool->lock);
    size_t place = find(pool, future);
    bool is_taken = place != NOWHERE && board_is_taken(pool->board, place);
    unlock(&pool->lock);
    return is_taken;
}

static void have_wait(struct executor *executor, const struct future *future)
{
    struct pool *pool = executor->state;
    lock(&pool->lock);
    size_t place = find(pool, future);
    if (place != NOWHERE)
        board_have_wait(pool->board, place);
    unlock(&pool->lock);
}

/* With the pool's lock held: the place is free. */
static void free_place(struct pool *pool, size_t place)
{
    board_take_off(pool->board, place);
    pool->hanging--;
}

/* The process need not wait any more for callbacks to return. */
static void let_go_on(struct proxy *proxy)
{
    struct pool *pool = proxy->pool;
    if (proxy->waits_at == NOWHERE)
        return;
    lock(&pool->lock);
    free_place(pool, proxy->waits_at);
    unlock(&pool->lock);
    proxy->waits_at = NOWHERE;
    board_let_go_on(pool->board);
}

/* The future whose result has come is done. */
static void finish(struct proxy *proxy, size_t place, struct result result)
{
    struct pool *pool = proxy->pool;
    lock(&pool->lock);
    struct future *future = take_off(pool, place);
    if (board_has_to_wait(pool->board, place))
        proxy->waits_at = place;
    else
        free_place(pool, place);
    unlock(&pool->lock);
    future_finish(future, result);
    future_free(future);
    let_go_on(proxy);
}

/* ---- In the worker's thread: talking to the process ---- */

/* Waits until the socket is ready for the events, or another descriptor, if it is not -1,
   can be read. Without the helper nobody would tell us that the process has died. */
static enum talk wait_for_socket(const struct proxy *proxy, short events, double deadline,
                                 int other)
{
    struct pollfd ready[] = {{.fd = proxy->process->socket, .events = events},
                             {.fd = helper_control(proxy->pool->helper)},
                             {.fd = other, .events = POLLIN}};
    for (;;) {
        int milliseconds = -1;
        if (deadline < INFINITY) {
            double left = ceil((deadline - monotonic_seconds()) * 1000);
            milliseconds = left <= 0 ? 0 : left < INT32_MAX ? (int)left : INT32_MAX;
        }
        int count = poll(ready, 3, milliseconds);
        if (count > 0)
            return ready[0].revents != 0 || ready[1].revents == 0 ? DONE_TALKING
                                                                  : IS_DEAD;
        if (count < 0 && errno != EINTR)
            return IS_DEAD;
        if (count == 0 && deadline <= monotonic_seconds())
            return TOO_LATE;
    }
}

/* When a process has had as much time as a task may take. */
static double deadline_from_now(const struct worker *worker)
{
    double seconds = worker->executor->options.task_seconds;
    return seconds > 0 ? monotonic_seconds() + seconds : INFINITY;
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
            talk = wait_for_socket(proxy, POLLOUT, deadline, -1);
        else if (errno != EINTR)
            talk = IS_DEAD;
    }
    return talk;
}

/* Fills the buffer, of which all has been looked at, with what has come. */
static enum talk fill_buffer(struct proxy *proxy)
{
    ssize_t received;
    do {
        received = recv(proxy->process->socket, proxy->buffer, BUFFER_SIZE, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received < 0 && errno == EAGAIN)
        return NOTHING_YET;
    proxy->start = 0;
    proxy->end = received > 0 ? (size_t)received : 0;
    return received > 0 ? DONE_TALKING : IS_DEAD;
}

static enum talk receive_until(struct proxy *proxy, void *bytes, size_t length,
                               double deadline)
{
    enum talk talk = DONE_TALKING;
    while (length > 0 && talk == DONE_TALKING) {
        size_t there = proxy->end - proxy->start;
        size_t taken = length < there ? length : there;
        memcpy(bytes, proxy->buffer + proxy->start, taken);
        proxy->start += taken;
        bytes = (char *)bytes + taken;
        length -= taken;
        if (length > 0)
            talk = fill_buffer(proxy);
        if (talk == NOTHING_YET)
            talk = wait_for_socket(proxy, POLLIN, deadline, -1);
    }
    return talk;
}

/* Receives what the process says, and the result that it is. */
static enum talk receive_delivery(struct worker *worker, struct delivery *delivery,
                                  struct result *result, double deadline)
{
    struct proxy *proxy = worker->state;
    enum talk talk = receive_until(proxy, delivery, sizeof(*delivery), deadline);
    if (talk != DONE_TALKING)
        return talk;
    *result = (struct result){.status = delivery->status, .span = delivery->span};
    name_span(&result->span, worker);
    if (delivery->length == NO_TEXT)
        return DONE_TALKING;
    result->text = malloc(delivery->length + 1);
    if (result->text == NULL)
        return NO_MEMORY;
    result->text[delivery->length] = '\0';
    talk = receive_until(proxy, result->text, delivery->length, deadline);
    if (talk != DONE_TALKING)
        result_free(result);
    return talk;
}

static enum talk send_argument(const struct worker *worker, size_t place)
{
    const struct proxy *proxy = worker->state;
    lock(&proxy->pool->lock);
    const char *argument = proxy->pool->futures[place]->argument;
    unlock(&proxy->pool->lock);
    struct iovec pieces[] = {{.iov_base = (char *)argument, .iov_len = strlen(argument)},
                             {0}};
    return send_until(proxy, pieces, deadline_from_now(worker));
}

/* Does what the process asks for. */
static enum talk receive(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    struct delivery delivery;
    struct result result;
    enum talk talk =
        receive_delivery(worker, &delivery, &result, deadline_from_now(worker));
    if (talk != DONE_TALKING)
        return talk;
    if (!board_is_taken_by(proxy->pool->board, delivery.place, worker->number)) {
        result_free(&result);
        return IS_DEAD; /* it does not know any more what it says */
    }
    if (delivery.what == NEEDS_ARGUMENT)
        return send_argument(worker, delivery.place);
    finish(proxy, delivery.place, result);
    return DONE_TALKING;
}

/* ---- In the worker's thread: the end of a process, and its beginning ---- */

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

/* Returns the wait status of the process. */
static int bury(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    if (proxy->is_fit)
        atomic_fetch_sub(&proxy->pool->fit_count, 1);
    proxy->is_fit = false;
    proxy->start = proxy->end = 0;
    return helper_bury(proxy->pool->helper, worker->number);
}

/* Buries a process. Returns what that is as a result of what it ran. */
static struct result mourn(struct worker *worker, enum talk talk)
{
    int status = bury(worker);
    if (talk == IS_DEAD)
        return describe_end(worker, status);
    if (talk == NO_MEMORY)
        return result_broken("out of memory for the result");
    struct result result =
        result_failed("timed out after %g s", worker->executor->options.task_seconds);
    result.status = RESULT_TIMED_OUT;
    return result;
}

/* Buries a process. All that it has said has been heard; so if it has still taken a task,
   that is what it ran, and what is lost with it. */
static void lose(struct worker *worker, enum talk talk)
{
    struct proxy *proxy = worker->state;
    struct pool *pool = proxy->pool;
    struct span span = worker->who;
    struct result result = mourn(worker, talk);
    size_t place = board_taken_by(pool->board, worker->number, &span.start);
    span.end = monotonic_seconds();
    if (span.start == 0)
        span.start = span.end;
    result.span = span;
    if (place != NOWHERE)
        finish(proxy, place, result);
    else
        result_free(&result);
    board_wake_all(pool->board); /* it may have been woken for a task, and died then */
}

/* Waits for what comes of the initializer in a new process. Returns false if it fails, or
   the process does not live through it; then that is buried, and `result` says why. */
static bool initialize(struct worker *worker, struct result *result)
{
    struct delivery delivery;
    if (worker->executor->options.initializer == NULL)
        return true;
    enum talk talk =
        receive_delivery(worker, &delivery, result, deadline_from_now(worker));
    if (talk == DONE_TALKING && result->status == RESULT_OK) {
        result_free(result);
        return true;
    }
    if (talk != DONE_TALKING)
        *result = mourn(worker, talk);
    *result = initializer_failed(worker, *result);
    if (talk == DONE_TALKING) {
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
    if (proxy->is_fit) {
        atomic_fetch_add(&proxy->pool->fit_count, 1);
        offer(worker->executor);
    }
    return proxy->is_fit;
}

/* Starts a process. Returns false if that fails, or its initializer; then `result` says
   why. */
static bool renew(struct worker *worker, struct result *result)
{
    struct proxy *proxy = worker->state;
    if (atomic_load(&worker->executor->is_broken)) {
        *result = executor_broken_result(worker->executor);
        return false;
    }
    if (!helper_start(proxy->pool->helper, worker->number)) {
        *result = result_broken("worker %s cannot be started: %s", worker->who.worker,
                                strerror(errno));
        return false;
    }
    worker->who.pid = proxy->process->pid;
    return make_fit(worker, result);
}

/* Whether others can run what this worker cannot: one that has a task is fit, even if its
   thread has not heard yet that it is. */
static bool are_others_fit(const struct worker *worker)
{
    const struct pool *pool = ((const struct proxy *)worker->state)->pool;
    return (atomic_load(&pool->fit_count) > 0 || board_is_in_use(pool->board)) &&
           !atomic_load(&worker->executor->is_broken);
}

/* Starts a process, or has the next task say why not, if others cannot run it either.
   Returns false if neither was to be done. */
static bool replace(struct worker *worker)
{
    struct executor *executor = worker->executor;
    struct result result;
    struct future *future = NULL;
    if (renew(worker, &result))
        return true;
    if (!are_others_fit(worker))
        future = take_back(executor, NULL);
    if (!are_others_fit(worker) && future == NULL)
        future = executor_take_if_there(executor);
    if (future == NULL) {
        result_free(&result);
        return false;
    }
    if (future_begin(future))
        future_finish(future, result);
    else
        result_free(&result);
    future_free(future);
    offer(executor);
    return true;
}

/* ---- In the worker's thread: its work ---- */

/* When we have to look whether the process takes too long for its task. If it has none,
   it may begin one now. */
static double next_deadline(const struct worker *worker)
{
    const struct proxy *proxy = worker->state;
    double seconds = worker->executor->options.task_seconds;
    double begun = 0;
    if (seconds == 0)
        return INFINITY;
    size_t place = board_taken_by(proxy->pool->board, worker->number, &begun);
    bool is_busy =
        place != NOWHERE && begun > 0 && !board_is_done(proxy->pool->board, place);
    return is_busy ? begun + seconds : deadline_from_now(worker);
}

/* Whether the process has taken too long for its task. Then it will not end it any more.
   */
static bool is_too_late(const struct worker *worker)
{
    const struct proxy *proxy = worker->state;
    double seconds = worker->executor->options.task_seconds;
    double begun = 0;
    if (seconds == 0)
        return false;
    size_t place = board_taken_by(proxy->pool->board, worker->number, &begun);
    return place != NOWHERE && begun > 0 && begun + seconds <= monotonic_seconds() &&
           board_forbid(proxy->pool->board, place);
}

/* Does the next thing that is to be done for the process; waits for it, or until another
   descriptor can be read. What it has said before counts, even if it is too late now. */
static void serve_process(struct worker *worker, int other)
{
    struct proxy *proxy = worker->state;
    bool is_late = is_too_late(worker);
    enum talk talk = DONE_TALKING;
    if (proxy->start == proxy->end) {
        offer(worker->executor);
        talk = fill_buffer(proxy);
    }
    if (talk == DONE_TALKING)
        talk = receive(worker);
    else if (talk == NOTHING_YET && is_late)
        talk = TOO_LATE;
    else if (talk == NOTHING_YET &&
             wait_for_socket(proxy, POLLIN, next_deadline(worker), other) == IS_DEAD)
        talk = IS_DEAD;
    if (talk != DONE_TALKING && talk != NOTHING_YET)
        lose(worker, talk);
}

/* A worker that cannot be started does nothing as long as others can: all the tasks would
   fail with it, one after the other. */
static void serve(struct worker *worker)
{
    struct proxy *proxy = worker->state;
    double delay = first_delay;
    bool goes_on = true;
    while (goes_on) {
        if (proxy->process->pid != 0) {
            serve_process(worker, -1);
            delay = first_delay;
        } else if (board_is_over(proxy->pool->board)) {
            goes_on = false;
        } else if (!replace(worker)) {
            goes_on = are_others_fit(worker) ? executor_pause(worker->executor, delay)
                                             : executor_wait_for_task(worker->executor);
            delay = fmin(2 * delay, longest_delay);
        }
    }
}

static void tell(struct future *future, void *context)
{
    const uint64_t one = 1;
    (void)future;
    while (write(*(int *)context, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

/* A callback waits, here in the worker's thread, for a future that any process may have:
   meanwhile ours goes on. (Without the descriptor it has to wait.) */
static void help(struct worker *worker, struct future *future)
{
    struct proxy *proxy = worker->state;
    int told = eventfd(0, EFD_CLOEXEC);
    let_go_on(proxy);
    if (told < 0)
        return;
    uint64_t times;
    if (future_on_done(future, tell, &told)) {
        while (!future_done(future) && (proxy->process->pid != 0 || replace(worker))) {
            if (proxy->process->pid != 0)
                serve_process(worker, told);
        }
        while (read(told, &times, sizeof(times)) < 0 && errno == EINTR)
            continue;
    }
    close(told);
}

/* ---- The pool ---- */

static bool open_pool(struct executor *executor)
{
    struct pool *pool = malloc(sizeof(*pool));
    if (pool == NULL)
        return false;
    executor->state = pool;
    size_t place_count = executor->options.workers + TASKS_AHEAD;
    *pool = (struct pool){.lock = PTHREAD_MUTEX_INITIALIZER,
                          .board = board_open(place_count),
                          .futures = calloc(place_count, sizeof(struct future *)),
                          .place_count = place_count};
    if (pool->board != NULL && pool->futures != NULL)
        pool->helper = helper_open(executor->options.workers, work, executor);
    return pool->helper != NULL;
}

static void close_pool(struct executor *executor)
{
    struct pool *pool = executor->state;
    if (pool == NULL)
        return;
    helper_close(pool->helper);
    board_close(pool->board);
    free(pool->futures);
    must(pthread_mutex_destroy(&pool->lock));
    free(pool);
}

static bool start(struct worker *worker)
{
    struct pool *pool = worker->executor->state;
    struct proxy *proxy = malloc(sizeof(*proxy));
    if (proxy == NULL)
        return false;
    *proxy = (struct proxy){.pool = pool,
                            .waits_at = NOWHERE,
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
        bury(worker);
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
    .offer = offer,
    .take_back = take_back,
    .has_begun = has_begun,
    .have_wait = have_wait,
    .serve = serve,
    .help = help,
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
