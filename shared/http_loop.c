#include "http_loop.h"

#include "fiber.h"
#include "loop.h"
#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { MOST_TRANSFERS = 64 }; /* in a shard */

/* What a loop has for its transfers. */
struct shards {
    struct loop *loop;
    struct shard *first;
    size_t turns;                   /* to look a name up, that are taken */
    struct transfer *first_waiting; /* for a turn */
    struct transfer *last_waiting;
    void (*destroy)(struct transfer *transfer);
};

struct shard {
    struct shards *shards;
    struct shard *next;
    CURLM *multi;
    bool is_broken; /* libcurl has had no memory for it, and may not be called any more */
    struct loop_watcher watcher;
    struct loop_timer timer;
    size_t count; /* places that are taken */
    struct transfer *idle;
    struct transfer *transfers; /* all of them */
    struct sockets sockets;
};

struct sockets *shard_sockets(struct shard *shard)
{
    return &shard->sockets;
}

/* ---- Looking names up ---- */

static void begin_waiting(struct transfer *transfer)
{
    struct shards *shards = transfer->shard->shards;
    transfer->next = NULL;
    transfer->previous = shards->last_waiting;
    if (transfer->previous != NULL)
        transfer->previous->next = transfer;
    else
        shards->first_waiting = transfer;
    shards->last_waiting = transfer;
}

static void stop_waiting(struct transfer *transfer)
{
    struct shards *shards = transfer->shard->shards;
    if (transfer->previous != NULL)
        transfer->previous->next = transfer->next;
    else
        shards->first_waiting = transfer->next;
    if (transfer->next != NULL)
        transfer->next->previous = transfer->previous;
    else
        shards->last_waiting = transfer->previous;
}

bool transfer_may_look_up(struct transfer *transfer)
{
    struct shards *shards = transfer->shard->shards;
    if (transfer->turn == NO_TURN) {
        transfer->wants_turn = shards->turns == HTTP_MOST_LOOKUPS;
        if (transfer->wants_turn)
            return false;
        shards->turns++;
    }
    transfer->turn = LOOKING_UP;
    return true;
}

/* Gives its turn to the first one that waits. */
void transfer_has_looked_up(struct transfer *transfer)
{
    struct shards *shards = transfer->shard->shards;
    struct transfer *next = shards->first_waiting;
    if (transfer->turn == NO_TURN)
        return;
    transfer->turn = NO_TURN;
    if (next == NULL) {
        shards->turns--;
        return;
    }
    stop_waiting(next);
    next->turn = HAS_TURN;
    fiber_wake(next->fiber);
}

bool transfer_wait_for_turn(struct transfer *transfer)
{
    int error = 0;
    transfer->wants_turn = false;
    begin_waiting(transfer);
    while (transfer->turn == NO_TURN && error == 0)
        error = fiber_suspend(transfer->deadline);
    if (transfer->turn == NO_TURN)
        stop_waiting(transfer);
    return transfer->turn != NO_TURN;
}

/* ---- What libcurl waits for ---- */

static struct transfer *transfer_of(CURL *easy)
{
    struct transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    return transfer;
}

static void finish(struct transfer *transfer, CURLcode code)
{
    transfer->is_done = true;
    transfer->code = code;
    if (transfer->fiber != NULL)
        fiber_wake(transfer->fiber);
}

static void remove_from_multi(struct transfer *transfer)
{
    curl_multi_remove_handle(transfer->shard->multi, transfer->easy);
    transfer->is_in_multi = false;
}

/* The transfer may be used again. */
static void make_idle(struct transfer *transfer)
{
    struct shard *shard = transfer->shard;
    transfer_has_looked_up(transfer);
    transfer->next = shard->idle;
    shard->idle = transfer;
}

static void read_messages(struct shard *shard)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
        struct transfer *transfer = transfer_of(message->easy_handle);
        finish(transfer, message->data.result); /* which is gone with the handle */
        if (transfer->fiber == NULL) {          /* nobody waits for it any more */
            remove_from_multi(transfer);
            make_idle(transfer);
        }
    }
}

/* What libcurl 7.88 has of a multi is wrong after a call that failed for want of memory:
   the next one could end the program (SIGFPE). */
static void break_shard(struct shard *shard)
{
    shard->is_broken = true;
    for (struct transfer *transfer = shard->transfers; transfer != NULL;
         transfer = transfer->next_of_shard) {
        if (transfer->is_in_multi && !transfer->is_done)
            finish(transfer, CURLE_OUT_OF_MEMORY);
    }
}

/* Lets libcurl continue with what is ready. */
static void act(struct shard *shard, curl_socket_t descriptor, int action)
{
    int left;
    if (shard->is_broken)
        return;
    CURLMcode code = curl_multi_socket_action(shard->multi, descriptor, action, &left);
    read_messages(shard);
    if (code != CURLM_OK)
        break_shard(shard);
}

static void on_ready(struct loop_watcher *watcher, int descriptor, unsigned events)
{
    struct shard *shard =
        (struct shard *)((char *)watcher - offsetof(struct shard, watcher));
    int action = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                 (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                 (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    if (shard->is_broken)
        loop_forget(shard->shards->loop, descriptor);
    else
        act(shard, descriptor, action);
}

static void on_due(struct loop_timer *timer)
{
    act((struct shard *)((char *)timer - offsetof(struct shard, timer)),
        CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long milliseconds, void *context)
{
    (void)multi;
    struct shard *shard = context;
    loop_set_timer(shard->shards->loop, &shard->timer,
                   milliseconds < 0 ? INFINITY
                                    : monotonic_seconds() + (double)milliseconds / 1000);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *context,
                     void *unused)
{
    (void)unused;
    struct shard *shard = context;
    struct loop *loop = shard->shards->loop;
    unsigned events =
        (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    struct transfer *transfer = transfer_of(easy);
    if (what == CURL_POLL_REMOVE)
        loop_forget(loop, descriptor);
    else if (!loop_watch(loop, descriptor, events, &shard->watcher) && transfer != NULL)
        finish(transfer, CURLE_OUT_OF_MEMORY);
    return 0;
}

/* ---- Shards ---- */

static void free_shard(struct shard *shard)
{
    struct shards *shards = shard->shards;
    for (struct transfer *transfer = shard->transfers; transfer != NULL;
         transfer = transfer->next_of_shard)
        curl_multi_remove_handle(shard->multi, transfer->easy);
    curl_multi_cleanup(shard->multi); /* closes sockets, of which the transfers know */
    while (shard->transfers != NULL) {
        struct transfer *transfer = shard->transfers;
        shard->transfers = transfer->next_of_shard;
        shards->destroy(transfer);
    }
    loop_remove_timer(shards->loop, &shard->timer);
    free(shard);
}

static void free_shards(void *kept)
{
    struct shards *shards = kept;
    while (shards->first != NULL) {
        struct shard *shard = shards->first;
        shards->first = shard->next;
        free_shard(shard);
    }
    free(shards);
}

/* Those of the running fiber's loop. Returns NULL without memory. */
static struct shards *open_shards(void (*destroy)(struct transfer *transfer))
{
    struct loop *loop = fiber_loop(fiber_running());
    struct shards *shards = loop_kept(loop);
    if (shards != NULL)
        return shards;
    shards = malloc(sizeof(*shards));
    if (shards == NULL)
        return NULL;
    *shards = (struct shards){.loop = loop, .destroy = destroy};
    loop_keep(loop, shards, free_shards);
    return shards;
}

static struct shard *new_shard(struct shards *shards)
{
    struct shard *shard = calloc(1, sizeof(*shard));
    CURLM *multi = curl_multi_init();
    if (shard == NULL || multi == NULL || !loop_add_timer(shards->loop, &shard->timer)) {
        curl_multi_cleanup(multi);
        free(shard);
        return NULL;
    }
    shard->shards = shards;
    shard->multi = multi;
    shard->watcher.on_ready = on_ready;
    shard->timer.on_due = on_due;
    /* None of these can fail. Also with HTTP/2 a connection is one transfer's at a time:
       so what has come on it before a request is no answer to that (http.c). */
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MOST_TRANSFERS);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, shard);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, shard);
    shard->next = shards->first;
    shards->first = shard;
    return shard;
}

/* One with room. The fewer are used, the more connections are used again. */
static struct shard *find_shard(struct shards *shards)
{
    struct shard *shard = shards->first;
    while (shard != NULL && (shard->is_broken || shard->count == MOST_TRANSFERS))
        shard = shard->next;
    return shard == NULL ? new_shard(shards) : shard;
}

/* ---- Transfers ---- */

static struct transfer *make_transfer(struct shard *shard,
                                      struct transfer *(*make)(struct shard *shard))
{
    struct transfer *transfer = make(shard);
    if (transfer == NULL)
        return NULL;
    transfer->shard = shard;
    transfer->next_of_shard = shard->transfers;
    shard->transfers = transfer;
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    return transfer;
}

struct transfer *transfer_take(struct transfer *(*make)(struct shard *shard),
                               void (*destroy)(struct transfer *transfer))
{
    struct shards *shards = open_shards(destroy);
    struct shard *shard = shards == NULL ? NULL : find_shard(shards);
    if (shard == NULL)
        return NULL;
    struct transfer *transfer = shard->idle;
    if (transfer != NULL)
        shard->idle = transfer->next;
    else
        transfer = make_transfer(shard, make);
    if (transfer != NULL) {
        transfer->fiber = fiber_running();
        shard->count++;
    }
    return transfer;
}

void transfer_give_back(struct transfer *transfer)
{
    transfer->shard->count--;
    if (transfer->fiber != NULL) /* else read_messages() sees to it */
        make_idle(transfer);
}

CURLcode transfer_perform(struct transfer *transfer)
{
    int error = 0;
    if (transfer->shard->is_broken ||
        curl_multi_add_handle(transfer->shard->multi, transfer->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    transfer->is_in_multi = true;
    transfer->is_done = false;
    while (!transfer->is_done && error == 0)
        error = fiber_suspend(transfer->deadline);
    if (!transfer->is_done)
        transfer->code =
            error == ETIMEDOUT ? CURLE_OPERATION_TIMEDOUT : CURLE_ABORTED_BY_CALLBACK;
    CURLcode code = transfer->code;
    /* The thread that looks a name up goes on for as long as it likes: so does its turn,
       and the transfer, for which nobody waits any more. libcurl calls none of our
       functions until it has the name, and then open_socket() in http.c ends it. */
    if (!transfer->is_done && transfer->turn == LOOKING_UP)
        transfer->fiber = NULL;
    else
        remove_from_multi(transfer);
    return code;
}

void transfer_set_deadline(struct transfer *transfer, double deadline)
{
    transfer->deadline = deadline;
    if (transfer->fiber != NULL)
        fiber_wake(transfer->fiber);
}
