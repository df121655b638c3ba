#include "loop.h"

#include "monotonic.h"
#include "sync.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256 };

struct loop {
    int epoll;
    int wake_descriptor;            /* an eventfd(2) */
    struct loop_watcher waker;      /* of that */
    struct loop_watcher **watchers; /* for each descriptor; NULL: it is not watched */
    size_t watcher_count;

    struct loop_timer **timers; /* a heap: none is due before the one at half its place */
    size_t timer_count;         /* that are set; the first one is timers[1] */
    size_t timer_room;          /* for those that have been added */
    size_t added_timers;

    void *kept;
    void (*free_kept)(void *kept);

    atomic_bool is_woken; /* and has not seen it */
    atomic_bool is_interrupted;
    pthread_mutex_t lock; /* protects what follows */
    pthread_t thread;     /* that has called loop_turn() last */
    struct loop_job *first_job;
    struct loop_job **last_job;
    size_t job_count;
};

/* ---- Jobs ---- */

void loop_wake(struct loop *loop)
{
    if (!atomic_exchange(&loop->is_woken, true) &&
        write(loop->wake_descriptor, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        must(errno, "write to an eventfd");
}

/* What has been done before loop_wake() is seen after this. */
static void on_wake(struct loop_watcher *watcher, int descriptor, unsigned events)
{
    (void)events;
    struct loop *loop = (struct loop *)((char *)watcher - offsetof(struct loop, waker));
    uint64_t count;
    if (read(descriptor, &count, sizeof(count)) < 0)
        must(errno, "read from an eventfd");
    atomic_exchange(&loop->is_woken, false);
}

/* The loop's own thread looks for jobs before it waits; it need not be woken. */
void loop_interrupt(struct loop *loop)
{
    atomic_store(&loop->is_interrupted, true);
    loop_wake(loop);
}

void loop_post(struct loop *loop, struct loop_job *job)
{
    mutex_lock(&loop->lock);
    bool wakes = loop->job_count == 0 && !pthread_equal(loop->thread, pthread_self());
    if (!job->is_posted) {
        job->is_posted = true;
        job->next = NULL;
        *loop->last_job = job;
        loop->last_job = &job->next;
        loop->job_count++;
    }
    mutex_unlock(&loop->lock);
    if (wakes)
        loop_wake(loop);
}

static struct loop_job *take_job(struct loop *loop)
{
    mutex_lock(&loop->lock);
    struct loop_job *job = loop->first_job;
    loop->first_job = job->next;
    if (loop->first_job == NULL)
        loop->last_job = &loop->first_job;
    loop->job_count--;
    job->is_posted = false;
    mutex_unlock(&loop->lock);
    return job;
}

/* In the loop's thread. */
static size_t count_jobs(struct loop *loop)
{
    mutex_lock(&loop->lock);
    loop->thread = pthread_self();
    size_t count = loop->job_count;
    mutex_unlock(&loop->lock);
    return count;
}

/* Not those that are posted meanwhile: others must have their turn too. */
static void run_jobs(struct loop *loop)
{
    for (size_t left = count_jobs(loop); left > 0 && !loop->is_interrupted; left--) {
        struct loop_job *job = take_job(loop);
        job->run(job);
    }
}

/* ---- Descriptors ---- */

static bool make_room_for(struct loop *loop, size_t descriptor)
{
    if (descriptor < loop->watcher_count)
        return true;
    size_t count = descriptor + descriptor / 2 + 64;
    struct loop_watcher **watchers =
        reallocarray(loop->watchers, count, sizeof(struct loop_watcher *));
    if (watchers == NULL)
        return false;
    for (size_t i = loop->watcher_count; i < count; i++)
        watchers[i] = NULL;
    loop->watchers = watchers;
    loop->watcher_count = count;
    return true;
}

bool loop_watch(struct loop *loop, int descriptor, unsigned events,
                struct loop_watcher *watcher)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (!make_room_for(loop, (size_t)descriptor))
        return false;
    bool is_watched = loop->watchers[descriptor] != NULL;
    if (epoll_ctl(loop->epoll, is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor,
                  &event) < 0)
        return false;
    loop->watchers[descriptor] = watcher;
    return true;
}

void loop_forget(struct loop *loop, int descriptor)
{
    if ((size_t)descriptor >= loop->watcher_count || loop->watchers[descriptor] == NULL)
        return;
    /* This fails if it has been closed: then the kernel has forgotten it already. */
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, descriptor, NULL);
    loop->watchers[descriptor] = NULL;
}

/* ---- Timers: a binary heap ---- */

bool loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
    timer->place = 0;
    if (loop->added_timers + 1 >= loop->timer_room) {
        size_t room = 2 * loop->timer_room + 64;
        struct loop_timer **timers =
            reallocarray(loop->timers, room, sizeof(struct loop_timer *));
        if (timers == NULL)
            return false;
        loop->timers = timers;
        loop->timer_room = room;
    }
    loop->added_timers++;
    return true;
}

void loop_remove_timer(struct loop *loop, struct loop_timer *timer)
{
    loop_set_timer(loop, timer, INFINITY);
    loop->added_timers--;
}

static void put_timer(struct loop *loop, size_t place, struct loop_timer *timer)
{
    loop->timers[place] = timer;
    timer->place = place;
}

/* Puts the timer at the place, or nearer to the top. */
static void sift_up(struct loop *loop, size_t place, struct loop_timer *timer)
{
    for (; place > 1 && loop->timers[place / 2]->due > timer->due; place /= 2)
        put_timer(loop, place, loop->timers[place / 2]);
    put_timer(loop, place, timer);
}

/* Puts the timer at the place, or further from the top. */
static void sift_down(struct loop *loop, size_t place, struct loop_timer *timer)
{
    size_t below;
    while ((below = 2 * place) <= loop->timer_count) {
        if (below < loop->timer_count &&
            loop->timers[below + 1]->due < loop->timers[below]->due)
            below++;
        if (loop->timers[below]->due >= timer->due)
            break;
        put_timer(loop, place, loop->timers[below]);
        place = below;
    }
    put_timer(loop, place, timer);
}

static void unset_timer(struct loop *loop, struct loop_timer *timer)
{
    size_t place = timer->place;
    struct loop_timer *last = loop->timers[loop->timer_count--];
    timer->place = 0;
    if (last == timer)
        return;
    if (last->due < timer->due)
        sift_up(loop, place, last);
    else
        sift_down(loop, place, last);
}

void loop_set_timer(struct loop *loop, struct loop_timer *timer, double due)
{
    if (timer->place != 0)
        unset_timer(loop, timer);
    timer->due = due == INFINITY ? due : fmax(due, monotonic_seconds());
    if (due != INFINITY)
        sift_up(loop, ++loop->timer_count, timer);
}

static void call_timers(struct loop *loop)
{
    if (loop->timer_count == 0)
        return;
    double now = monotonic_seconds();
    while (loop->timer_count > 0 && loop->timers[1]->due <= now &&
           !loop->is_interrupted) {
        struct loop_timer *timer = loop->timers[1];
        unset_timer(loop, timer);
        timer->on_due(timer);
    }
}

/* ---- A turn ---- */

/* How many milliseconds to wait, as epoll_wait(2) has it: -1 is for ever. */
static int time_to_wait(struct loop *loop, bool waits)
{
    if (!waits || count_jobs(loop) > 0)
        return 0;
    if (loop->timer_count == 0)
        return -1;
    double milliseconds = ceil((loop->timers[1]->due - monotonic_seconds()) * 1000);
    return (int)fmin(fmax(milliseconds, 0), INT32_MAX);
}

void loop_turn(struct loop *loop, bool waits)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count =
        epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, time_to_wait(loop, waits));
    if (count < 0 && errno != EINTR)
        must(errno, "epoll_wait");
    for (int i = 0; i < count && !loop->is_interrupted; i++) {
        int descriptor = events[i].data.fd;
        struct loop_watcher *watcher = loop->watchers[descriptor];
        if (watcher != NULL) /* one of the others may have had it forgotten */
            watcher->on_ready(watcher, descriptor, events[i].events);
    }
    call_timers(loop);
    run_jobs(loop);
    atomic_store(&loop->is_interrupted, false);
}

/* ---- Opening and closing ---- */

struct loop *loop_open(void)
{
    struct loop *loop = malloc(sizeof(*loop));
    if (loop == NULL)
        return NULL;
    *loop = (struct loop){
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .waker = {on_wake},
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    loop->last_job = &loop->first_job;
    if (loop->epoll >= 0 && loop->wake_descriptor >= 0 &&
        loop_watch(loop, loop->wake_descriptor, EPOLLIN, &loop->waker))
        return loop;
    int error = errno;
    loop_close(loop);
    errno = error;
    return NULL;
}

void loop_keep(struct loop *loop, void *kept, void (*free_kept)(void *kept))
{
    if (loop->kept != NULL)
        loop->free_kept(loop->kept);
    loop->kept = kept;
    loop->free_kept = free_kept;
}

void *loop_kept(const struct loop *loop)
{
    return loop->kept;
}

void loop_close(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_keep(loop, NULL, NULL);
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->wake_descriptor >= 0)
        close(loop->wake_descriptor);
    must(pthread_mutex_destroy(&loop->lock), "pthread_mutex_destroy");
    free(loop->watchers);
    free(loop->timers);
    free(loop);
}
