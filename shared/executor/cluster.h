/*
 * What the files of a cluster share: cluster.c is the submitter, cluster_host.c is what a
 * worker host runs, cluster_connection.c is the connection of either to NATS, and
 * own_cluster.c starts a server and a host of our own.
 *
 *   submitter                      NATS server                     worker host
 *
 *   task ---------- executor.tasks.BUILD.SUBMITTER --> stream
 *        <--------- stored                             |
 *                                                      +-- pulled --> process pool
 *        <------------------------------------------------ BEGUN ----
 *        <------------------------------------------------ DONE -----  repeated until
 *   confirmation --------------------------------------------------->  this has come
 *                                               stream <-- +ACK -----  and only then
 *
 * Submitter and host run the same build of the same program, so the structs below are the
 * same on both sides. Whatever comes from the network is checked all the same.
 */
#ifndef EXECUTOR_CLUSTER_H
#define EXECUTOR_CLUSTER_H

#include "executor.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/queue.h>

/* ---- Messages ---- */

#define CLUSTER_MARK UINT32_C(0x636c7573)

/* Which task: its slot at the submitter, and a number that nobody can guess. */
struct task_id {
    uint64_t slot;
    uint64_t nonce[2];
};

/* Submitter to stream. The argument follows, with its NUL. */
struct task_message {
    uint32_t mark;
    uint32_t position; /* of the task in the list of tasks */
    struct task_id id;
};

/* Host to submitter. The text follows if there is one, without a NUL. A message has one
   or more of these. */
struct task_report {
    uint32_t mark;
    enum { TASK_BEGUN, TASK_DONE } what;
    struct task_id id;
    enum result_status status;
    uint32_t has_text;
    uint64_t length;  /* of the text */
    uint64_t machine; /* where the span's clock is */
    double ago; /* how many seconds before the report was sent the task ended: clocks of
                   two machines cannot be compared */
    struct span span;
};

/* Submitter to host: the report TASK_DONE has come. A message has one or more. */
struct confirmation {
    uint32_t mark;
    uint32_t unused;
    struct task_id id;
};

/* Host to all submitters of its build, every second: it lives. */
struct sign_of_life {
    uint32_t mark;
    uint32_t workers;
    uint64_t host; /* a number at random */
};

/* How long the server waits for an acknowledgement before it gives a task to another
   host. A host that has the task says in between that it still has it. In seconds. */
#define CLUSTER_LEASE 5.0

/* ---- A connection (cluster_connection.c) ---- */

enum {
    ID_LENGTH = 32,    /* of what getrandom(2) has given, in hexadecimal */
    BUILD_LENGTH = 16, /* of what we use of the program's build ID */
    LONGEST_SUBJECT = 160,
    MOST_SUBSCRIPTIONS = 3,
};

/* A message from NATS, or something from a thread of our own: then `message` is NULL. */
struct mail {
    natsMsg *message;
    STAILQ_ENTRY(mail) entry;
};

struct cluster_connection {
    bool is_own; /* to the server of our own: the program has no other connection */
    natsConnection *nats;
    jsCtx *jetstream;
    natsSubscription *subscriptions[MOST_SUBSCRIPTIONS];
    size_t subscription_count;
    char id[ID_LENGTH + 1];       /* ours, at random */
    char build[BUILD_LENGTH + 1]; /* the program's; submitter and host must agree */

    STAILQ_HEAD(mails, mail) taken; /* by connection_receive(), and not yet returned */

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t has_news;
    struct mails mails;
    bool is_woken;
    bool was_reconnected;
    bool is_closed;   /* for good: the server does not let us in any more */
    size_t open_ends; /* of the library: it may still call us back */
};

/* Before anything else; when nobody wakes it any more. */
void connection_init(struct cluster_connection *connection);
void connection_destroy(struct cluster_connection *connection);

/* Connects to the servers of the URL, with what the environment says of passwords and
   certificates. If that fails, prints why, and returns false with errno ECONNREFUSED,
   EACCES, ENOEXEC (the program has no build ID) or ENOMEM. */
bool connection_open(struct cluster_connection *connection, const char *url);

/* Whether the program has threads of the library's, and so must not fork without
   exec(3). */
bool connection_has_library(void);

/* Closes it; no message comes any more. Frees those that nobody has taken. */
void connection_close(struct cluster_connection *connection);

/* Subscribes to a subject. */
bool connection_subscribe(struct cluster_connection *connection, const char *subject);

/* Sends a message, for which an answer may go to `reply` (NULL: none is wanted). Returns
   false if there is no connection now, with errno EMSGSIZE if the server takes no message
   as long as this one. */
bool connection_send(struct cluster_connection *connection, const char *subject,
                     const char *reply, const void *bytes, size_t length);

/* The most bytes that the server takes in a message. */
size_t connection_longest_message(const struct cluster_connection *connection);

/* The next mail. Waits for one until the deadline or connection_wake(), and then returns
   NULL. A mail with a message is freed with mail_free(). */
struct mail *connection_receive(struct cluster_connection *connection, double deadline);
void mail_free(struct mail *mail);

/* Whether the next one is here already. One that comes now may not count: so it is false
   after a bounded number of mails, and that is the time to send what has waited for more
   of its kind. In the thread that receives. */
bool connection_has_mail(const struct cluster_connection *connection);

/* From any thread: has connection_receive() return; delivers a mail. */
void connection_wake(struct cluster_connection *connection);
void connection_post(struct cluster_connection *connection, struct mail *mail);

/* Whether it has been lost and made again since the last call. */
bool connection_was_reconnected(struct cluster_connection *connection);
bool connection_is_closed(struct cluster_connection *connection);

/* Makes the stream of tasks, and the queue of this build's tasks in it (JetStream: a
   durable consumer), unless they are there. Each returns whether it is there now. */
bool connection_make_stream(struct cluster_connection *connection);
bool connection_make_consumer(struct cluster_connection *connection);

/* Asks for up to `count` tasks, which come to `inbox` in the next `seconds`. */
bool connection_pull(struct cluster_connection *connection, const char *inbox,
                     size_t count, double seconds);

/* The subject of a submitter's tasks. */
void connection_tasks_subject(const struct cluster_connection *connection,
                              const char *submitter, char subject[LONGEST_SUBJECT]);

/* Removes the tasks of a submitter from the stream. */
bool connection_purge(struct cluster_connection *connection, const char *submitter);

/* How many tasks of this submitter the stream has; -1: it does not say, -2: there is no
   stream. */
long connection_count(struct cluster_connection *connection, const char *submitter);

/* Keeps the mean of how long tasks take, in seconds; 0: not known. And how many tasks may
   wait for a worker that is busy: what it does in the time that a message takes, so that
   it need not wait for the next one; at most `most`. */
void pace_note(double *mean_seconds, const struct span *span);
size_t pace_ahead(double mean_seconds, size_t workers, size_t most);

/* Fill in bytes, or an ID and its NUL, that nobody can guess (getrandom(2)). */
void fill_at_random(void *bytes, size_t count);
void random_id(char id[ID_LENGTH + 1]);

/* A number that processes have in common that run on one machine, and so have one clock:
   from the kernel's boot ID (random(4)). */
uint64_t this_machine(void);

/* How many seconds to wait for the other side: a submitter for a host, and a host for a
   submitter that takes a result. */
double cluster_wait_seconds(const struct executor_options *options);

/* What may be told of a URL, or of several with commas between them: where the servers
   are, and no credentials. The text lives until the thread's next call. */
const char *cluster_places(const char *url);

/* Prints one line for people, on standard error: a cluster has things to tell that no
   return value can. */
void cluster_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- A worker host (cluster_host.c) ---- */

/* How a host is called in the names of its workers, and whether it tells people what it
   does. */
struct host_options {
    const struct executor_options *executor;
    const char *url;
    const char *name;
    bool is_own; /* somebody's own: it is quiet */
};

/* Runs tasks until the process is ended. Returns only if it cannot go on. */
void host_run(const struct host_options *options);

/* ---- A server and a host of our own (own_cluster.c) ---- */

struct own_cluster {
    pid_t keeper;
    int lifeline; /* -1: there is none */
    char url[128];
};

/*
 * Starts a server that listens on the loopback address and takes nobody but us, and
 * one host. Both end, and nothing is left of them, when this process ends, however it
 * does, or with own_cluster_close(). Call it before there are other threads.
 *
 * Returns false with errno set; if the reason is the server's, a line says which.
 */
bool own_cluster_open(struct own_cluster *own, const struct executor_options *options);
void own_cluster_close(struct own_cluster *own);

/* Whether it has died. */
bool own_cluster_has_died(const struct own_cluster *own);

#endif
