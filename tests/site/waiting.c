/*
 * waiting.c - requests that wait: for a time, for one another, for a release, or for
 * ever.
 *
 * MHD does not watch the socket of a connection that it has suspended, so the site's own
 * epoll instance does. All that wait are in a binary heap, the earliest deadline first;
 * those that wait for the same thing are in a queue besides.
 */
#include "site.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define NEVER INT64_MAX
#define GROUPS 64

uintmax_t patience = 5000;

static int epoll_instance;
static bool resumed; /* somebody, whom MHD has not yet seen to */

static struct request **heap;
static size_t heap_count;
static size_t heap_room;

static int64_t nanoseconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        abort(); /* Linux always has this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void heap_put(struct request *request, size_t place)
{
    heap[place] = request;
    request->place = place;
}

/* Moves a request up, or else down, to where its deadline belongs. */
static void heap_settle(struct request *request)
{
    size_t place = request->place;
    for (; place > 0; place = (place - 1) / 2) {
        struct request *parent = heap[(place - 1) / 2];
        if (parent->deadline <= request->deadline)
            break;
        heap_put(parent, place);
    }
    for (size_t child; (child = 2 * place + 1) < heap_count; place = child) {
        if (child + 1 < heap_count && heap[child + 1]->deadline < heap[child]->deadline)
            child++;
        if (request->deadline <= heap[child]->deadline)
            break;
        heap_put(heap[child], place);
    }
    heap_put(request, place);
}

static bool heap_add(struct request *request)
{
    if (heap_count == heap_room) {
        size_t room = heap_room == 0 ? 64 : 2 * heap_room;
        struct request **larger = realloc(heap, room * sizeof *heap);
        if (larger == NULL)
            return false;
        heap = larger;
        heap_room = room;
    }
    heap_put(request, heap_count++);
    heap_settle(request);
    return true;
}

static void heap_remove(const struct request *request)
{
    struct request *last = heap[--heap_count];
    if (last != request) {
        heap_put(last, request->place);
        heap_settle(last);
    }
}

void waiting_watch_with(int epoll)
{
    epoll_instance = epoll;
}

enum MHD_Result wait_begin(struct request *request, struct wait_queue *queue,
                           uintmax_t milliseconds)
{
    int socket = socket_of(request->connection);
    struct epoll_event departure = {.events = EPOLLRDHUP, .data.ptr = request};
    if (epoll_ctl(epoll_instance, EPOLL_CTL_ADD, socket, &departure) != 0)
        return MHD_NO;

    request->deadline =
        milliseconds == FOREVER ? NEVER : nanoseconds() + (int64_t)milliseconds * 1000000;
    if (!heap_add(request)) {
        epoll_ctl(epoll_instance, EPOLL_CTL_DEL, socket, NULL);
        return MHD_NO;
    }
    request->outcome = WAITING;
    request->queue = queue;
    if (queue != NULL) {
        TAILQ_INSERT_TAIL(&queue->requests, request, neighbours);
        queue->count++;
    }
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

void wait_end(struct request *request, enum outcome outcome)
{
    request->outcome = outcome;
    heap_remove(request);
    if (request->queue != NULL) {
        TAILQ_REMOVE(&request->queue->requests, request, neighbours);
        request->queue->count--;
    }
    if (epoll_ctl(epoll_instance, EPOLL_CTL_DEL, socket_of(request->connection), NULL) !=
        0)
        abort(); /* wait_begin has added it */
    MHD_resume_connection(request->connection);
    resumed = true;
}

bool wait_timeout(struct timespec *time)
{
    *time = (struct timespec){0};
    if (resumed) {
        resumed = false;
        return true;
    }
    if (heap_count == 0 || heap[0]->deadline == NEVER)
        return false;
    int64_t left = heap[0]->deadline - nanoseconds();
    if (left > 0)
        *time = (struct timespec){left / 1000000000, left % 1000000000};
    return true;
}

void wait_expire(void)
{
    int64_t now = nanoseconds();
    size_t most = 1 + heap_count / 64; /* the header says why */
    for (; most > 0 && heap_count > 0 && heap[0]->deadline <= now; most--)
        wait_end(heap[0], EXPIRED);
}

void waiting_close(void)
{
    while (heap_count > 0)
        wait_end(heap[heap_count - 1], DEPARTED);
    free(heap);
}

/* Lets the first of the queue go, as many as MOST; returns how many it were. */
static size_t release(struct wait_queue *queue, uintmax_t most)
{
    size_t released = 0;
    for (; released < most && queue->count > 0; released++)
        wait_end(TAILQ_FIRST(&queue->requests), RELEASED);
    return released;
}

/*
 * The queue where N wait for one another; an empty one serves for any N. NULL: none left.
 */
static struct wait_queue *queue_of_group(uintmax_t n)
{
    static struct group {
        uintmax_t n;
        struct wait_queue queue;
    } groups[GROUPS];
    struct group *empty = NULL;

    for (struct group *group = groups; group < groups + GROUPS; group++) {
        if (group->queue.count == 0)
            empty = group;
        else if (group->n == n)
            return &group->queue;
    }
    if (empty == NULL)
        return NULL;
    empty->n = n;
    TAILQ_INIT(&empty->queue.requests);
    return &empty->queue;
}

static enum MHD_Result serve_gather(struct request *request)
{
    if (request->outcome == NOT_WAITED) {
        struct wait_queue *queue = queue_of_group(request->number);
        if (queue == NULL)
            return answer_text(request, (struct reply){.status = 503}, PAGE("No room"));
        if (queue->count + 1 < request->number)
            return wait_begin(request, queue, query_number(request, "within", patience));
        release(queue, request->number);
    }
    if (request->outcome == EXPIRED)
        return answer_text(request, (struct reply){.status = 503}, PAGE("Not gathered"));
    return answer_text(request, (struct reply){0}, PAGE("Gathered %ju"), request->number);
}

static struct wait_queue held = {.requests = TAILQ_HEAD_INITIALIZER(held.requests)};

static enum MHD_Result serve_hold(struct request *request)
{
    if (request->outcome == NOT_WAITED)
        return wait_begin(request, &held, FOREVER);
    const char *space = *request->rest != '\0' ? " " : "";
    return answer_text(request, (struct reply){0}, PAGE("Held%s%s"), space,
                       request->rest);
}

static enum MHD_Result serve_release(struct request *request)
{
    size_t released = release(&held, query_number(request, "count", UINTMAX_MAX));
    return answer_text(request, (struct reply){.type = "text/plain"}, "%zu\n", released);
}

static enum MHD_Result serve_silent(struct request *request)
{
    return wait_begin(request, NULL, FOREVER);
}

const struct route waiting_routes[] = {
    {"/gather/#", serve_gather}, {"/hold", serve_hold},     {"/hold/", serve_hold},
    {"/release", serve_release}, {"/silent", serve_silent}, {NULL, NULL},
};
