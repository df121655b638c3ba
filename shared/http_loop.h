/*
 * Transfers in the loop of a fiber (fiber.h): what http.c calls there instead of
 * curl_easy_perform(3). It looks the same, but suspends the fiber and nothing else.
 *
 * libcurl drives many transfers with a multi handle (libcurl-multi(3)), which tells us
 * what it waits for. In 7.88 each transfer costs time for all others of its multi handle:
 * so a loop has many of them, its shards.
 *
 *      fiber ---> transfer ---> shard (a multi handle) ---> loop
 *      fiber ---> transfer -----^           shard --------> (descriptors, timers)
 *
 * To look a name up, libcurl starts a thread. At most HTTP_MOST_LOOKUPS transfers of a
 * loop may do so at once; the others wait for their turn.
 */
#ifndef HTTP_LOOP_H
#define HTTP_LOOP_H

#include "sockets.h"

#include <curl/curl.h>
#include <stdbool.h>

enum { HTTP_MOST_LOOKUPS = 32 };

struct shard;

/* What http.c keeps for a transfer has this as a member. */
struct transfer {
    CURL *easy;          /* whose CURLOPT_PRIVATE is this transfer */
    double deadline;     /* when to give it up (monotonic.h); may change meanwhile */
    struct shard *shard; /* NULL: it is not one of a loop */
    struct fiber
        *fiber; /* that waits for it; NULL: nobody does, it has been left alone */
    bool is_done;
    CURLcode code; /* then */
    bool is_in_multi;
    enum { NO_TURN, HAS_TURN, LOOKING_UP } turn; /* to look a name up */
    bool wants_turn;           /* it failed because it had to wait for that */
    struct transfer *previous; /* in the list of those that wait for their turn */
    struct transfer
        *next; /* in the list of those that are idle, or wait for their turn */
    struct transfer *next_of_shard;
};

/* A place in a shard of the running fiber's loop. The transfer in it is one that has been
   used before, or is made with make(). Returns NULL without memory. */
struct transfer *transfer_take(struct transfer *(*make)(struct shard *shard),
                               void (*destroy)(struct transfer *transfer));

/* Gives the place up. The transfer is used again, or destroyed when the loop ends. */
void transfer_give_back(struct transfer *transfer);

/* Performs it, until its deadline. Returns what curl_easy_perform() would;
   CURLE_ABORTED_BY_CALLBACK if the fiber was interrupted. */
CURLcode transfer_perform(struct transfer *transfer);

/* Changes the deadline, from within one of libcurl's callbacks. */
void transfer_set_deadline(struct transfer *transfer, double deadline);

/* The open sockets of its shard. */
struct sockets *shard_sockets(struct shard *shard);

/* ---- Looking names up ---- */

/* For CURLOPT_RESOLVER_START_FUNCTION: whether it may. If not, the transfer fails, and
   wants_turn. */
bool transfer_may_look_up(struct transfer *transfer);

/* Then: waits for its turn. Returns false if its deadline or an interrupt came before. */
bool transfer_wait_for_turn(struct transfer *transfer);

/* It has looked the name up. */
void transfer_has_looked_up(struct transfer *transfer);

#endif
