#include "helper.h"

#include "internal.h"

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

/* A worker's process, as the helper sees it. */
struct child {
    pid_t pid;     /* 0: there is none */
    int other_end; /* its end of the socket, which we hold to be able to shut it */
    bool is_dead;  /* it has been reaped, and waits to be buried */
    int status;    /* then */
};

struct helper {
    pid_t pid;
    int control; /* our end of a socket to the helper, or the helper's to us */
    size_t count;
    struct process *processes;
    struct child *children; /* used in the helper only */
    void (*work)(void *context, size_t number, int socket);
    void *context;
    bool is_stopped;
    struct helper *next;
};

/* What the helper is asked for, one message each (SOCK_SEQPACKET keeps them apart). */
struct request {
    enum { START, BURY, STOP, END } what;
    size_t number;     /* of the process */
    int signal_number; /* for STOP */
};

struct reply {
    pid_t pid;  /* that was started */
    int status; /* of the one that was buried */
    int error;  /* an errno; 0: it went well */
};

/* Who holds the lock may fork, and open, close and list what a forked process must not
   keep; and so no descriptor slips through between being opened and being listed. */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;
static struct helper *helpers;
static int own_socket = -1; /* of the worker that this process is, if it is one */

/* Whether it is this thread that holds the lock, to fork a helper. */
static _Thread_local bool is_forking;

/* Nor may another's fork() leave its child with a lock that nobody there holds. */
static void before_fork(void)
{
    if (!is_forking)
        lock(&forking);
}

static void after_fork(void)
{
    if (!is_forking)
        unlock(&forking);
}

static void watch_forks(void)
{
    must(pthread_atfork(before_fork, after_fork, after_fork));
}

/* Puts a descriptor above those of standard input, output and error, which may have been
   closed when we were given it. Returns -1 with errno set, and then it is closed. */
static int keep_off_standard(int descriptor)
{
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    int higher = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;
    close(descriptor);
    errno = error;
    return higher;
}

static void close_pair(const int ends[2])
{
    int error = errno;
    for (size_t i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
    errno = error;
}

static bool open_pair(int type, int ends[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    ends[0] = keep_off_standard(ends[0]);
    ends[1] = keep_off_standard(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return true;
    close_pair(ends);
    return false;
}

/* ---- In the helper ---- */

/* What the helper watches, and what a worker is not to have from it. */
struct custody {
    struct helper *helper;
    int deaths; /* readable when a child has died (signalfd(2)) */
    int parent; /* readable when the parent has gone (pidfd_open(2)); -1: cannot tell */
    sigset_t workers_mask; /* the signals that workers block: those of the parent */
};

/* In a new child of the helper's: keeps nothing that is the helper's. */
_Noreturn static void become_worker(struct custody *custody, pid_t helper_pid,
                                    size_t number, int socket)
{
    struct helper *helper = custody->helper;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != helper_pid)
        _exit(EXIT_FAILURE); /* the helper is gone already */
    for (size_t i = 0; i < helper->count; i++) {
        if (helper->children[i].pid != 0)
            close(helper->children[i].other_end);
    }
    close(helper->control);
    close(custody->deaths);
    if (custody->parent >= 0)
        close(custody->parent);
    own_socket = socket;
    pthread_sigmask(SIG_SETMASK, &custody->workers_mask, NULL);
    helper->work(helper->context, number, socket);
    fflush(stdout);
    fflush(stderr);
    _exit(EXIT_SUCCESS);
}

/* Starts a child. Returns the parent's end of its socket, or -1 with errno set. */
static int start_child(struct custody *custody, size_t number)
{
    int ends[2];
    struct child *child = &custody->helper->children[number - 1];
    pid_t helper_pid = getpid();
    if (!open_pair(SOCK_STREAM, ends))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_worker(custody, helper_pid, number, ends[1]);
    }
    if (pid < 0) {
        close_pair(ends);
        return -1;
    }
    *child = (struct child){.pid = pid, .other_end = ends[1]};
    return ends[0];
}

/* Shuts the socket: whoever else has it open, nothing more comes out of it. */
static void mark_dead(struct child *child, int status)
{
    shutdown(child->other_end, SHUT_RDWR);
    child->is_dead = true;
    child->status = status;
}

static void reap(struct helper *helper)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < helper->count; i++) {
            if (helper->children[i].pid == pid && !helper->children[i].is_dead)
                mark_dead(&helper->children[i], status);
        }
    }
}

static int bury_child(struct child *child)
{
    if (!child->is_dead) {
        int status = 0;
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
            continue;
        mark_dead(child, status);
    }
    close(child->other_end);
    child->pid = 0;
    return child->status;
}

static void signal_children(const struct helper *helper, int signal_number)
{
    for (size_t i = 0; i < helper->count; i++) {
        const struct child *child = &helper->children[i];
        if (child->pid != 0 && !child->is_dead)
            kill(child->pid, signal_number);
    }
}

/* Sends the reply, with a descriptor if it is not -1. Returns false with errno set. */
static bool answer(int control, struct reply reply, int descriptor)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
    } ancillary = {0};
    struct iovec piece = {.iov_base = &reply, .iov_len = sizeof(reply)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = sizeof(ancillary.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(control, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void answer_start(struct custody *custody, size_t number)
{
    struct helper *helper = custody->helper;
    struct reply reply = {.error = ESHUTDOWN};
    int socket = -1;
    if (!helper->is_stopped) {
        socket = start_child(custody, number);
        reply.error = socket < 0 ? errno : 0;
        reply.pid = helper->children[number - 1].pid;
    }
    if (!answer(helper->control, reply, socket) && socket >= 0) {
        reply.error = errno;
        bury_child(&helper->children[number - 1]);
        answer(helper->control, reply, -1);
    }
    if (socket >= 0)
        close(socket);
}

/* Does what the parent asks for. Returns false if it is to end. */
static bool serve(struct custody *custody)
{
    struct helper *helper = custody->helper;
    struct request request;
    ssize_t length = recv(helper->control, &request, sizeof(request), 0);
    if (length < 0 && errno == EINTR)
        return true;
    if (length != sizeof(request) || request.what == END)
        return false;
    if (request.what == START) {
        answer_start(custody, request.number);
    } else if (request.what == BURY) {
        int status = bury_child(&helper->children[request.number - 1]);
        answer(helper->control, (struct reply){.status = status}, -1);
    } else {
        helper->is_stopped = true;
        signal_children(helper, request.signal_number);
    }
    return true;
}

/* Closes what the pools of the parent have open, this one's among them, and what the
   parent has as the worker of another pool. */
static void close_what_is_the_parents(void)
{
    for (struct helper *helper = helpers; helper != NULL; helper = helper->next) {
        close(helper->control);
        for (size_t i = 0; i < helper->count; i++) {
            if (helper->processes[i].pid != 0)
                close(helper->processes[i].socket);
        }
    }
    if (own_socket >= 0)
        close(own_socket);
    own_socket = -1;
    helpers = NULL;
    is_forking = false;
    unlock(&forking); /* for pools that a task may open */
}

/* All signals are blocked here for ever, and the deaths of children read as they come.
   What the workers do is settled here too, before there is one: Ctrl-C is for the parent,
   and SIGTERM, which executor_terminate_workers() sends, ends them. */
static void arrange_signals(struct custody *custody)
{
    sigset_t deaths;
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigdelset(&custody->workers_mask, SIGTERM);
    sigdelset(&custody->workers_mask, SIGCHLD);
    custody->deaths = signalfd(-1, &deaths, SFD_CLOEXEC);
    if (custody->deaths < 0)
        _exit(EXIT_FAILURE);
}

/* What the helper runs, until it is told to end or its parent is gone. */
_Noreturn static void help(struct helper *helper, pid_t parent, sigset_t parents_mask)
{
    struct custody custody = {
        .helper = helper, .parent = pidfd_open(parent, 0), .workers_mask = parents_mask};
    close_what_is_the_parents();
    arrange_signals(&custody);
    bool goes_on = getppid() == parent;
    while (goes_on) {
        struct pollfd events[] = {{.fd = helper->control, .events = POLLIN},
                                  {.fd = custody.deaths, .events = POLLIN},
                                  {.fd = custody.parent, .events = POLLIN}};
        if (poll(events, 3, -1) < 0 && errno != EINTR)
            break;
        struct signalfd_siginfo death;
        if (events[1].revents != 0 && read(custody.deaths, &death, sizeof(death)) > 0)
            reap(helper);
        if (events[2].revents != 0)
            break;
        if (events[0].revents != 0)
            goes_on = serve(&custody);
    }
    signal_children(helper, SIGKILL);
    _exit(EXIT_SUCCESS);
}

/* ---- In the parent ---- */

static void helper_free(struct helper *helper)
{
    if (helper != NULL) {
        free(helper->processes);
        free(helper->children);
    }
    free(helper);
}

static struct helper *helper_new(size_t count,
                                 void (*work)(void *context, size_t number, int socket),
                                 void *context)
{
    struct helper *helper = malloc(sizeof(*helper));
    if (helper == NULL)
        return NULL;
    *helper = (struct helper){
        .count = count,
        .work = work,
        .context = context,
        .processes = calloc(count, sizeof(*helper->processes)),
        .children = calloc(count, sizeof(*helper->children)),
    };
    if (helper->processes == NULL || helper->children == NULL) {
        helper_free(helper);
        errno = ENOMEM;
        return NULL;
    }
    return helper;
}

/* With the lock held: forks it. What standard output and error hold is written before, or
   it would be twice. */
static pid_t fork_helper(struct helper *helper, const int ends[2])
{
    sigset_t all, mask;
    pid_t parent = getpid();
    sigfillset(&all);
    fflush(stdout);
    fflush(stderr);
    is_forking = true;
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pid_t pid = fork();
    if (pid == 0) {
        __fpurge(stdout); /* what another thread has printed meanwhile */
        __fpurge(stderr);
        close(ends[0]);
        helper->control = ends[1];
        help(helper, parent, mask);
    }
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    is_forking = false;
    errno = error;
    return pid;
}

/* With the lock held: has the helper forked, and lists it. Returns false with errno set.
   */
static bool start_helper(struct helper *helper)
{
    int ends[2];
    if (!open_pair(SOCK_SEQPACKET, ends))
        return false;
    helper->pid = fork_helper(helper, ends);
    if (helper->pid < 0) {
        close_pair(ends);
        return false;
    }
    close(ends[1]);
    helper->control = ends[0];
    helper->next = helpers;
    helpers = helper;
    return true;
}

struct helper *helper_open(size_t process_count,
                           void (*work)(void *context, size_t number, int socket),
                           void *context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    must(pthread_once(&once, watch_forks));
    struct helper *helper = helper_new(process_count, work, context);
    if (helper == NULL)
        return NULL;
    lock(&forking);
    bool is_forked = start_helper(helper);
    int error = errno;
    unlock(&forking);
    if (is_forked)
        return helper;
    helper_free(helper);
    errno = error;
    return NULL;
}

struct process *helper_process(struct helper *helper, size_t number)
{
    return &helper->processes[number - 1];
}

int helper_control(const struct helper *helper)
{
    return helper->control;
}

static bool ask(const struct helper *helper, struct request request)
{
    ssize_t length;
    do {
        length = send(helper->control, &request, sizeof(request), MSG_NOSIGNAL);
    } while (length < 0 && errno == EINTR);
    return length == sizeof(request);
}

/* Receives a reply, and the descriptor that comes with it, or -1. Returns false if the
   helper has died. */
static bool receive_reply(const struct helper *helper, struct reply *reply,
                          int *descriptor)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
    } ancillary;
    struct iovec piece = {.iov_base = reply, .iov_len = sizeof(*reply)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.bytes,
                             .msg_controllen = sizeof(ancillary.bytes)};
    ssize_t length;
    do {
        length = recvmsg(helper->control, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    *descriptor = -1;
    struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    *descriptor = keep_off_standard(*descriptor);
    return length == sizeof(*reply);
}

/* With the lock held: asks for something that has a reply. */
static bool call(const struct helper *helper, struct request request, struct reply *reply,
                 int *descriptor)
{
    *descriptor = -1;
    return ask(helper, request) && receive_reply(helper, reply, descriptor);
}

/* With the lock held. Returns 0 or an errno. */
static int start(struct helper *helper, size_t number)
{
    struct reply reply;
    int socket;
    if (!call(helper, (struct request){.what = START, .number = number}, &reply, &socket))
        return ECHILD;
    if (reply.error == 0 && socket < 0) {
        /* It was sent, but there was no room for it here. */
        call(helper, (struct request){.what = BURY, .number = number}, &reply, &socket);
        return EMFILE;
    }
    if (reply.error == 0) {
        helper->processes[number - 1] = (struct process){reply.pid, socket};
    }
    return reply.error;
}

bool helper_start(struct helper *helper, size_t number)
{
    lock(&forking);
    int error = start(helper, number);
    unlock(&forking);
    errno = error;
    return error == 0;
}

int helper_bury(struct helper *helper, size_t number)
{
    struct process *process = helper_process(helper, number);
    struct reply reply;
    int none;
    lock(&forking);
    bool has_reply =
        call(helper, (struct request){.what = BURY, .number = number}, &reply, &none);
    close(process->socket);
    process->pid = 0;
    unlock(&forking);
    return has_reply ? reply.status : -1;
}

void helper_stop(struct helper *helper, int signal_number)
{
    ask(helper, (struct request){.what = STOP, .signal_number = signal_number});
}

static void unlist(struct helper *helper)
{
    struct helper **link = &helpers;
    while (*link != helper)
        link = &(*link)->next;
    *link = helper->next;
}

void helper_close(struct helper *helper)
{
    if (helper == NULL)
        return;
    ask(helper, (struct request){.what = END});
    while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
        continue; /* any other error: somebody else has waited for it */
    lock(&forking);
    unlist(helper);
    close(helper->control);
    unlock(&forking);
    helper_free(helper);
}
