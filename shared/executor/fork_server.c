#include "fork_server.h"

#include "channel.h"
#include "fiber.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OURS, THEIRS, CONTROL = 0, MESSAGES = 2, SOCKETS = 4 };
enum { WORKER_SOCKET = 500 };

enum { BATCH = 16 };

/* The parent's side: both ends of two pairs. Theirs of the messages stays open, for the
   parent to wake itself. Messages are received in batches, which saves system calls. */
struct fork_server {
    pid_t pid;
    int sockets[SOCKETS]; /* CONTROL + OURS..., -1: it is not open */
    struct fork_server *next;
    size_t received; /* packets of the batch */
    size_t read;     /* of those */
    struct mmsghdr headers[BATCH];
    struct iovec buffers[BATCH];
    struct packet batch[BATCH];
};

struct request {
    enum { START, KILL, STOP, END } what;
    int signal_number; /* STOP */
    size_t number;     /* of the worker; START: of the first one */
    size_t count;      /* no gaps between the members: all bytes are sent */
};

/*
 * A process that is forked for a pool closes the sockets of all pools of its parent, but
 * for those that are meant for it. Nobody forks while the mutex is held; so no socket is
 * missing in the list.
 */
static pthread_mutex_t listing = PTHREAD_MUTEX_INITIALIZER;
static struct fork_server *servers;
static int own_socket = -1; /* of the worker that this process is, if it is one */

bool send_message(int socket, struct message message, const char *piece, size_t length,
                  bool waits)
{
    struct packet packet;
    packet.message = message;
    packet.message.mark = MESSAGE_MARK;
    if (length > 0)
        memcpy(packet.piece, piece, length);
    return send_packet(socket, &packet, offsetof(struct packet, piece) + length, waits);
}

/* ---- In the fork server ---- */

struct nursery {
    worker_main *work;
    void *context;
    int control;
    int messages;
    int deaths; /* readable when a child has died (signalfd(2)) */
    int parent; /* readable when the parent has died (pidfd_open(2)); -1: cannot tell */
    pid_t pid;
    sigset_t workers_mask; /* the signals that workers block: those of the parent */
    bool is_stopped;
    size_t count;
    pid_t pids[]; /* worker n is n - 1; 0: it does not run */
};

/* It may wait for the parent to read, since the parent never waits for the fork server.
   */
static void tell(const struct nursery *nursery, struct message message)
{
    send_message(nursery->messages, message, NULL, 0, true);
}

/* In a worker that has just been forked. */
_Noreturn static void become_worker(struct nursery *nursery, size_t number)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != nursery->pid)
        _exit(EXIT_FAILURE); /* the fork server has died already */
    close(nursery->control);
    close(nursery->deaths);
    close(nursery->parent);
    /* A high number: if a task closes all descriptors, the next ones that are opened do
       not take the socket's place. */
    own_socket = fcntl(nursery->messages, F_DUPFD_CLOEXEC, WORKER_SOCKET);
    if (own_socket >= 0)
        close(nursery->messages);
    else
        own_socket = nursery->messages;
    pthread_sigmask(SIG_SETMASK, &nursery->workers_mask, NULL);
    nursery->work(nursery->context, number, own_socket);
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

/* Returns whether it has been started. */
static bool start_worker(struct nursery *nursery, size_t number)
{
    errno = ESHUTDOWN;
    pid_t pid = nursery->is_stopped ? -1 : fork();
    if (pid == 0)
        become_worker(nursery, number);
    if (pid < 0)
        tell(nursery,
             (struct message){.what = START_FAILED, .worker = number, .status = errno});
    else
        nursery->pids[number - 1] = pid;
    return pid > 0;
}

static void start_workers(struct nursery *nursery, size_t first, size_t count)
{
    size_t number = first;
    while (number < first + count && start_worker(nursery, number))
        number++;
}

/* Waits for the children that have died; with WNOHANG, only for those. */
static void reap_workers(struct nursery *nursery, int options)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, options)) > 0) {
        size_t i = 0;
        while (i < nursery->count && nursery->pids[i] != pid)
            i++;
        if (i == nursery->count)
            continue; /* it is no worker, but a child that the parent had forked for us */
        nursery->pids[i] = 0;
        tell(nursery, (struct message){.what = DIED, .worker = i + 1, .status = status});
    }
}

static void signal_workers(const struct nursery *nursery, int signal_number)
{
    for (size_t i = 0; i < nursery->count; i++) {
        if (nursery->pids[i] != 0)
            kill(nursery->pids[i], signal_number);
    }
}

/* Does what the parent asks for. Returns false if the fork server is to end. */
static bool serve_request(struct nursery *nursery)
{
    struct request request;
    ssize_t length = receive_packet(nursery->control, &request, sizeof(request));
    if (length != sizeof(request))
        return length < 0 && errno == EAGAIN;
    if (request.what == START)
        start_workers(nursery, request.number, request.count);
    else if (request.what == KILL && nursery->pids[request.number - 1] != 0)
        kill(nursery->pids[request.number - 1], SIGKILL);
    else if (request.what == STOP) {
        nursery->is_stopped = true;
        signal_workers(nursery, request.signal_number);
    }
    return request.what != END;
}

/* Serves until the parent asks for the end, or has died. */
static void serve_parent(struct nursery *nursery)
{
    bool goes_on = true;
    while (goes_on) {
        struct pollfd events[] = {{.fd = nursery->control, .events = POLLIN},
                                  {.fd = nursery->deaths, .events = POLLIN},
                                  {.fd = nursery->parent, .events = POLLIN}};
        struct signalfd_siginfo death;
        if (poll(events, 3, -1) < 0)
            continue; /* EINTR or ENOMEM, which passes */
        if (events[1].revents != 0 &&
            read(nursery->deaths, &death, sizeof(death)) == sizeof(death))
            reap_workers(nursery, WNOHANG);
        goes_on =
            events[2].revents == 0 && (events[0].revents == 0 || serve_request(nursery));
    }
}

/*
 * The fork server blocks all signals for ever, and reads the deaths of its children as
 * they come. The workers inherit what is arranged here: SIGINT is ignored, since Ctrl-C
 * is for the parent; SIGTERM, which executor_terminate_workers() sends, ends them.
 */
static bool arrange_signals(struct nursery *nursery)
{
    sigset_t deaths;
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigdelset(&nursery->workers_mask, SIGTERM);
    sigdelset(&nursery->workers_mask, SIGCHLD);
    nursery->deaths = signalfd(-1, &deaths, SFD_CLOEXEC);
    return nursery->deaths >= 0;
}

/* Closes the sockets of the parent's pools, and the one that the parent has as the worker
   of another pool. */
static void close_parents_sockets(const struct nursery *nursery)
{
    for (struct fork_server *server = servers; server != NULL; server = server->next) {
        for (size_t i = 0; i < SOCKETS; i++) {
            int socket = server->sockets[i];
            if (socket >= 0 && socket != nursery->control && socket != nursery->messages)
                close(socket);
        }
    }
    if (own_socket >= 0)
        close(own_socket);
    own_socket = -1;
    servers = NULL;
}

/* A task that calls exit(3) ends here, before the handlers that the parent has registered
   with atexit(3), and before the C library puts back what the parent has read ahead. */
static void leave(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}

/* What the fork server runs. */
_Noreturn static void nurse(struct nursery *nursery, pid_t parent)
{
    close_parents_sockets(nursery);
    nursery->pid = getpid();
    nursery->parent = pidfd_open(parent, 0); /* if it fails, control tells the end */
    if (getppid() == parent && arrange_signals(nursery) && on_exit(leave, NULL) == 0)
        serve_parent(nursery);
    signal_workers(nursery, SIGKILL);
    reap_workers(nursery, 0);
    _exit(EXIT_SUCCESS);
}

/* ---- In the parent ---- */

/* Closes the sockets from one to another, without a change to errno. */
static void close_sockets(struct fork_server *server, size_t first, size_t end)
{
    int error = errno;
    mutex_lock(&listing);
    for (size_t i = first; i < end; i++) {
        if (server->sockets[i] >= 0)
            close(server->sockets[i]);
        server->sockets[i] = -1;
    }
    mutex_unlock(&listing);
    errno = error;
}

/* With the mutex held: opens a pair of sockets, above standard input, output and error,
   which may be closed. Returns false with errno set. */
static bool open_pair(int ends[2])
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    for (size_t i = 0; i < 2; i++) {
        ends[i] = fcntl(pair[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int error = errno;
        close(pair[i]);
        errno = error;
    }
    return ends[0] >= 0 && ends[1] >= 0;
}

/* Opens the sockets, and lists them. Returns false with errno set. */
static bool open_sockets(struct fork_server *server)
{
    lock_over_forks(&listing);
    mutex_lock(&listing);
    bool are_open =
        open_pair(&server->sockets[CONTROL]) && open_pair(&server->sockets[MESSAGES]);
    server->next = servers;
    servers = server;
    mutex_unlock(&listing);
    return are_open;
}

/* Closes and unlists the sockets, and frees the fork server. Leaves errno as it was. */
static void discard(struct fork_server *server)
{
    close_sockets(server, 0, SOCKETS);
    mutex_lock(&listing);
    struct fork_server **link = &servers;
    while (*link != server)
        link = &(*link)->next;
    *link = server->next;
    mutex_unlock(&listing);
    free(server);
}

/* Forks the fork server, with all signals blocked there, and notes its pid; or -1, with
   errno set. */
static void fork_nursery(void *context)
{
    struct nursery *nursery = context;
    sigset_t all;
    pid_t parent = getpid();
    sigfillset(&all);
    fflush(NULL);
    pthread_sigmask(SIG_SETMASK, &all, &nursery->workers_mask);
    pid_t pid = fork();
    if (pid == 0) {
        __fpurge(stdout); /* what another thread has printed since */
        __fpurge(stderr);
        nurse(nursery, parent);
    }
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &nursery->workers_mask, NULL);
    errno = error;
    nursery->pid = pid;
}

struct fork_server *fork_server_open(size_t worker_count, worker_main *work,
                                     void *context)
{
    struct fork_server *server = malloc(sizeof(*server));
    struct nursery *nursery =
        calloc(1, sizeof(*nursery) + worker_count * sizeof(nursery->pids[0]));
    if (server == NULL || nursery == NULL) {
        free(server);
        free(nursery);
        return NULL;
    }
    server->pid = -1;
    server->received = server->read = 0;
    for (size_t i = 0; i < SOCKETS; i++)
        server->sockets[i] = -1;
    if (open_sockets(server)) {
        nursery->work = work;
        nursery->context = context;
        nursery->count = worker_count;
        nursery->control = server->sockets[CONTROL + THEIRS];
        nursery->messages = server->sockets[MESSAGES + THEIRS];
        /* Where a fiber runs (fiber.h): its workers must not go on on its small stack. */
        fiber_call_below(fork_nursery, nursery);
        server->pid = nursery->pid;
        close_sockets(server, CONTROL + THEIRS, CONTROL + THEIRS + 1);
    }
    int error = errno;
    free(nursery);
    errno = error;
    if (server->pid > 0)
        return server;
    discard(server);
    return NULL;
}

/* The caller may hold a lock, so the thread must not be cancelled here: sendmsg(2) is a
   cancellation point. */
static bool ask(const struct fork_server *server, struct request request, bool waits)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    bool is_sent =
        send_packet(server->sockets[CONTROL + OURS], &request, sizeof(request), waits);
    pthread_setcancelstate(cancel_state, NULL);
    return is_sent;
}

bool fork_server_start(struct fork_server *server, size_t first, size_t count)
{
    return ask(server, (struct request){.what = START, .number = first, .count = count},
               false);
}

bool fork_server_kill(struct fork_server *server, size_t number)
{
    return ask(server, (struct request){.what = KILL, .number = number}, false);
}

bool fork_server_stop(struct fork_server *server, int signal_number)
{
    return ask(server, (struct request){.what = STOP, .signal_number = signal_number},
               false);
}

bool fork_server_wait(struct fork_server *server, int milliseconds)
{
    struct pollfd events[] = {
        {.fd = server->sockets[MESSAGES + OURS], .events = POLLIN},
        {.fd = server->sockets[CONTROL + OURS]}}; /* POLLHUP: the fork server has died */
    if (server->read < server->received)
        return true;
    int count = poll(events, 2, milliseconds);
    return count <= 0 || events[0].revents != 0;
}

/* Receives a batch of packets. Returns false if there are none now. */
static bool receive_batch(struct fork_server *server)
{
    for (size_t i = 0; i < BATCH; i++) {
        server->buffers[i] = (struct iovec){.iov_base = &server->batch[i],
                                            .iov_len = sizeof(struct packet)};
        server->headers[i] = (struct mmsghdr){
            .msg_hdr = {.msg_iov = &server->buffers[i], .msg_iovlen = 1}};
    }
    int count;
    do {
        count = recvmmsg(server->sockets[MESSAGES + OURS], server->headers, BATCH,
                         MSG_DONTWAIT, NULL);
    } while (count < 0 && errno == EINTR);
    server->read = 0;
    server->received = count > 0 ? (size_t)count : 0;
    return count > 0;
}

const struct packet *fork_server_receive(struct fork_server *server, size_t *piece_length)
{
    const size_t least = offsetof(struct packet, piece);
    while (server->read < server->received || receive_batch(server)) {
        size_t length = server->headers[server->read].msg_len;
        const struct packet *packet = &server->batch[server->read++];
        if (length >= least && packet->message.mark == MESSAGE_MARK) {
            *piece_length = length - least;
            return packet;
        }
    }
    return NULL;
}

void fork_server_wake(struct fork_server *server)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state); /* as in ask() */
    /* If there is no room, there are other messages to wake for. */
    send_message(server->sockets[MESSAGES + THEIRS], (struct message){.what = WAKE_UP},
                 NULL, 0, false);
    pthread_setcancelstate(cancel_state, NULL);
}

void fork_server_close(struct fork_server *server)
{
    if (server == NULL)
        return;
    close_sockets(server, MESSAGES, SOCKETS); /* the fork server does not wait for us */
    kill(server->pid, SIGCONT);               /* somebody may have stopped it */
    ask(server, (struct request){.what = END}, true);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        continue; /* any other error: somebody else has waited for it */
    discard(server);
}
