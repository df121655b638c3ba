/*
 * Time, and system calls that wait. There is one virtual clock, which moves on when all
 * threads wait. A thread that waits for a descriptor or a process gives its turn away.
 */
#include "explore.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000, MILLISECOND = 1000000, TICK = 1000 };

static int64_t nanoseconds_of(const struct timespec *time)
{
    return time->tv_sec * (int64_t)SECOND + time->tv_nsec;
}

/* What a clock showed when the virtual one began. */
static int64_t beginning_of(clockid_t clock)
{
    static int64_t beginnings[2];
    int64_t *beginning = &beginnings[clock == CLOCK_REALTIME];
    struct timespec time;
    if (*beginning == 0 && NEXT(clock_gettime)(clock, &time) == 0)
        *beginning = nanoseconds_of(&time);
    return *beginning;
}

int64_t deadline_at(clockid_t clock, const struct timespec *time)
{
    int64_t deadline = nanoseconds_of(time) - beginning_of(clock);
    return deadline > 0 ? deadline : 1;
}

/* Each look takes a moment, so that a loop that waits for a time comes to its end. */
static int show_time(clockid_t clock, struct timespec *time)
{
    int64_t shown = beginning_of(clock) + (now += TICK);
    *time = (struct timespec){.tv_sec = shown / SECOND, .tv_nsec = shown % SECOND};
    return 0;
}

static bool never(struct thread *thread)
{
    (void)thread;
    return false;
}

static int sleep_for(const char *what, int64_t nanoseconds)
{
    self->deadline = now + nanoseconds + 1;
    step(what, NULL, NULL, never);
    return 0;
}

static int yield(void)
{
    be_last();
    step("sched_yield", NULL, NULL, NULL);
    return 0;
}

INSTEAD(int, clock_gettime, (clockid_t clock, struct timespec *time), (clock, time),
        show_time(clock, time))
INSTEAD(int, nanosleep, (const struct timespec *time, struct timespec *left),
        (time, left), sleep_for("nanosleep", nanoseconds_of(time)))
INSTEAD(int, clock_nanosleep,
        (clockid_t clock, int flags, const struct timespec *time, struct timespec *left),
        (clock, flags, time, left),
        sleep_for("clock_nanosleep", flags &TIMER_ABSTIME ? deadline_at(clock, time) - now
                                                          : nanoseconds_of(time)))
INSTEAD(int, usleep, (useconds_t time), (time), sleep_for("usleep", time * 1000LL))
INSTEAD(unsigned, sleep, (unsigned time), (time),
        (unsigned)sleep_for("sleep", time *(int64_t)SECOND))
INSTEAD(int, sched_yield, (void), (), yield())

/* ---- Descriptors and processes ---- */

static bool is_ready(struct thread *thread)
{
    const struct pollfd *list = thread->object;
    return NEXT(poll)((struct pollfd *)list, *(const nfds_t *)thread->other, 0) != 0;
}

/* All descriptors are one object: what comes before a call is seen by those after it. If
   the call does not wait and nothing is ready, the thread may do so in a loop. */
static void await_all(const char *what, struct pollfd *list, nfds_t count, int time)
{
    static const uint64_t descriptors;
    self->is_outside = true;
    self->deadline = time < 0 ? 0 : now + time * (int64_t)MILLISECOND + 1;
    step(what, list, &count, time == 0 ? NULL : is_ready);
    if (time == 0 && !is_ready(self))
        be_last();
    acquire(word_at(&descriptors));
    release(word_at(&descriptors));
}

static void await(const char *what, int descriptor, short events, int time)
{
    struct pollfd one = {.fd = descriptor, .events = events};
    bool waits = (fcntl(descriptor, F_GETFL) & O_NONBLOCK) == 0;
    await_all(what, &one, 1, waits ? time : 0);
}

static int time_of(int flags)
{
    return flags & MSG_DONTWAIT ? 0 : -1;
}

static bool has_child_ended(struct thread *thread)
{
    siginfo_t ended = {0};
    pid_t pid = *(const pid_t *)thread->object;
    return waitid(pid > 0 ? P_PID : P_ALL, pid > 0 ? (id_t)pid : 0, &ended,
                  WEXITED | WNOHANG | WNOWAIT) < 0 ||
           ended.si_pid != 0;
}

static void await_child(pid_t pid)
{
    self->is_outside = true;
    step("waitpid", &pid, NULL, has_child_ended);
}

BEFORE(int, poll, (struct pollfd * list, nfds_t count, int time), (list, count, time),
       (await_all("poll", list, count, time), time = 0))
BEFORE(int, epoll_wait, (int epoll, struct epoll_event *events, int most, int time),
       (epoll, events, most, time), (await("epoll_wait", epoll, POLLIN, time), time = 0))
BEFORE(ssize_t, read, (int from, void *to, size_t most), (from, to, most),
       await("read", from, POLLIN, -1))
BEFORE(ssize_t, recv, (int from, void *to, size_t most, int flags),
       (from, to, most, flags), await("recv", from, POLLIN, time_of(flags)))
BEFORE(ssize_t, recvmsg, (int from, struct msghdr *message, int flags),
       (from, message, flags), await("recvmsg", from, POLLIN, time_of(flags)))
BEFORE(ssize_t, write, (int to, const void *from, size_t length), (to, from, length),
       await("write", to, POLLOUT, -1))
BEFORE(ssize_t, send, (int to, const void *from, size_t length, int flags),
       (to, from, length, flags), await("send", to, POLLOUT, time_of(flags)))
BEFORE(int, accept, (int from, __SOCKADDR_ARG address, socklen_t *length),
       (from, address, length), await("accept", from, POLLIN, -1))
BEFORE(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options),
       (options & WNOHANG) == 0 ? await_child(pid) : (void)0)
