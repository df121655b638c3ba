/*
 * The workers are the processes of worker hosts, on this machine or on others. A task
 * goes into a stream of a NATS server, a host pulls it from there, and its result
 * comes back (cluster.h has the messages).
 *
 *      submit --> queue --send--> slot:  UNSENT --> SENT --> STORED --> BEGUN
 *                                          |          |         |         |
 *                    future <--finish------+----------+---------+---------+  DONE
 *
 * Each task has one owner at a time: the queue, or its slot, which only the manager's
 * thread changes. The slot is kept until a result has come, whatever the server or a
 * host forgets meanwhile: the submitter owns its tasks, and the stream has copies of
 * them. From time to time the manager counts those; if one is missing, it sends all of
 * its tasks again. So a task may run twice, but its future is finished once, by the
 * first result.
 */
#include "cluster.h"
#include "internal.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST_AHEAD = 256, /* tasks that are sent before a worker is free for them */
    FIRST_SLOTS = 512,
    MOST_HOSTS = 10000,
    MOST_WORKERS = 1000000, /* of a host */
    LONGEST_HOST_NAME = 64,
    MOST_CONFIRMATIONS = 64, /* in a message */
};

/* In seconds. */
static const double count_period = 5;  /* between two looks at what the stream has */
static const double store_limit = 5;   /* then a task that is not stored is sent again */
static const double retry_delay = 0.2; /* after what could not be sent */
static const double say_after = 1;     /* that we wait */
static const double forget_after = 5;  /* a host that is not heard of */

/* A host that has been heard of. */
struct known_host {
    uint64_t number;
    uint32_t workers;
    double heard;
};

/* A task that has left the queue. */
struct slot {
    struct future *future; /* NULL: the slot is free */
    uint64_t nonce[2];
    enum { UNSENT, SENT, STORED, BEGUN } state;
    double due;       /* UNSENT, SENT: when it is sent again */
    size_t next_free; /* if it is free: the next one that is */
};

struct cluster {
    struct cluster_connection connection;
    struct own_cluster own;
    bool is_connected; /* there is a connection to close */
    double wait_seconds;
    uint64_t machine;
    task_fn *tasks;                /* a copy of the list, which ends with NULL */
    char reports[LONGEST_SUBJECT]; /* where hosts and the stream answer */
    char *buffer;                  /* for a message */
    size_t buffer_size;
    struct confirmation confirmations[MOST_CONFIRMATIONS]; /* that wait to be sent, */
    size_t confirmation_count;                             /* all to this host: */
    char confirm_to[LONGEST_SUBJECT];
    struct mail *mail; /* that is being handled; NULL: none */
    size_t mail_read;  /* how many bytes of its reports have been read */

    struct slot *slots;
    size_t slot_count;
    size_t first_free;   /* slot_count: none is free */
    size_t taken;        /* slots */
    size_t unsent;       /* tasks in slots */
    double mean_seconds; /* that a task takes; 0: not known */
    struct known_host *hosts;
    size_t host_count;
    size_t worker_count; /* of all hosts */
    double looked;       /* when we have last looked for tasks to be sent again */
    double counted;      /* when we have last looked at what the stream has */
    double heard;        /* when a host has last been heard of; 0: never */
    double checked;      /* when the manager has last looked at the clock */
    char other_build[BUILD_LENGTH + 1]; /* of a host that cannot run our tasks */
    atomic_int stop_signal;             /* 0: the tasks are not to be given up */

    /* The manager holds it while it changes what other threads read: `slots`, and a
       slot's future and state. */
    pthread_mutex_t lock;
};

/* ---- Slots: in the manager ---- */

static bool grow_slots(struct cluster *cluster)
{
    size_t count = cluster->slot_count == 0 ? FIRST_SLOTS : 2 * cluster->slot_count;
    mutex_lock(&cluster->lock);
    struct slot *slots = realloc(cluster->slots, count * sizeof(*slots));
    if (slots != NULL) {
        for (size_t i = cluster->slot_count; i < count; i++)
            slots[i] = (struct slot){.next_free = i + 1};
        cluster->slots = slots;
        cluster->first_free = cluster->slot_count;
        cluster->slot_count = count;
    }
    mutex_unlock(&cluster->lock);
    return slots != NULL;
}

static void set_state(struct cluster *cluster, struct slot *slot, int state, double due)
{
    cluster->unsent += (state == UNSENT) - (slot->state == UNSENT);
    mutex_lock(&cluster->lock);
    slot->state = state;
    mutex_unlock(&cluster->lock);
    slot->due = due;
}

/* The caller has made sure that a slot is free. */
static struct slot *take_slot(struct cluster *cluster, struct future *future)
{
    size_t number = cluster->first_free;
    struct slot *slot = &cluster->slots[number];
    cluster->first_free = slot->next_free;
    cluster->taken++;
    cluster->unsent++;
    future->slot = (unsigned)number;
    mutex_lock(&cluster->lock);
    slot->future = future;
    slot->state = UNSENT;
    mutex_unlock(&cluster->lock);
    slot->due = 0;
    fill_at_random(slot->nonce, sizeof(slot->nonce));
    return slot;
}

/* Frees the slot; the caller owns the future then. */
static struct future *leave_slot(struct cluster *cluster, struct slot *slot)
{
    struct future *future = slot->future;
    set_state(cluster, slot, BEGUN, 0);
    cluster->taken--;
    mutex_lock(&cluster->lock);
    slot->future = NULL;
    mutex_unlock(&cluster->lock);
    slot->next_free = cluster->first_free;
    cluster->first_free = (size_t)(slot - cluster->slots);
    return future;
}

static void finish_slot(struct cluster *cluster, struct slot *slot, struct result result)
{
    future_finish(leave_slot(cluster, slot), result);
}

/* ---- Sending ---- */

/* Where the task stands in the list; if it is not there, where the list ends. */
static uint32_t position_of(const struct executor *executor, task_fn task)
{
    const task_fn *tasks = executor->options.tasks;
    uint32_t position = 0;
    while (tasks[position] != NULL && tasks[position] != task)
        position++;
    return position;
}

/* Makes the buffer that long. Returns NULL without memory. */
static char *make_room(struct cluster *cluster, size_t size)
{
    if (size > cluster->buffer_size) {
        char *buffer = realloc(cluster->buffer, size);
        if (buffer == NULL)
            return NULL;
        cluster->buffer = buffer;
        cluster->buffer_size = size;
    }
    return cluster->buffer;
}

/* Puts the task in the slot into the buffer, as a message. Returns its length; 0 without
   memory. */
static size_t write_task(struct executor *executor, const struct slot *slot)
{
    const struct future *future = slot->future;
    struct task_message header = {
        .mark = CLUSTER_MARK,
        .position = position_of(executor, future->task),
        .id = {.slot = future->slot, .nonce = {slot->nonce[0], slot->nonce[1]}},
    };
    size_t size = strlen(future->argument) + 1;
    char *bytes = make_room(executor->state, sizeof(header) + size);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), future->argument, size);
    return sizeof(header) + size;
}

/* Sends a message of this length from the buffer. Returns false with errno as
   connection_send() sets it. */
static bool send_task(struct cluster *cluster, const struct slot *slot, size_t length)
{
    struct cluster_connection *connection = &cluster->connection;
    char subject[LONGEST_SUBJECT];
    char reply[2 * LONGEST_SUBJECT];
    connection_tasks_subject(connection, connection->id, subject);
    snprintf(reply, sizeof(reply), "%s.stored.%u.%" PRIx64, cluster->reports,
             slot->future->slot, slot->nonce[0]);
    return connection_send(connection, subject, reply, cluster->buffer, length);
}

/* Sends the task in the slot, for the first time or again. */
static void send_slot(struct executor *executor, struct slot *slot)
{
    struct cluster *cluster = executor->state;
    double now = monotonic_seconds();
    size_t length = write_task(executor, slot);
    if (length == 0)
        finish_slot(cluster, slot, result_broken("out of memory to send it"));
    else if (send_task(cluster, slot, length))
        set_state(cluster, slot, SENT, now + store_limit);
    else if (errno == EMSGSIZE)
        finish_slot(cluster, slot,
                    result_broken("an argument of %zu bytes is longer than the server "
                                  "takes",
                                  strlen(slot->future->argument)));
    else
        set_state(cluster, slot, UNSENT, now + retry_delay);
}

/* How many tasks to send before a worker is free for them. None if the queue has a bound:
   there, a task that has been sent does not count as waiting. */
static size_t tasks_ahead(const struct executor *executor)
{
    const struct cluster *cluster = executor->state;
    return executor->options.queue_capacity > 0
               ? 0
               : pace_ahead(cluster->mean_seconds, cluster->worker_count, MOST_AHEAD);
}

/* What has been sent cannot be cancelled; so no more is sent than the workers need. While
   one could not be sent, the others stay in the queue. */
static bool has_room(const struct executor *executor)
{
    const struct cluster *cluster = executor->state;
    return cluster->taken < cluster->worker_count + tasks_ahead(executor) &&
           cluster->unsent == 0 && !atomic_load(&executor->is_broken);
}

static void send_tasks(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    while (has_room(executor) &&
           (cluster->first_free < cluster->slot_count || grow_slots(cluster))) {
        struct future *future = task_queue_try_take(&executor->queue);
        if (future == NULL)
            return;
        if (future_dispatch(future))
            send_slot(executor, take_slot(cluster, future));
        else
            future_free(future); /* it has been cancelled */
    }
}

/* Sends again what could not be sent, and what the stream has not acknowledged. */
static void send_again(struct executor *executor, double now)
{
    struct cluster *cluster = executor->state;
    for (size_t i = 0; i < cluster->slot_count; i++) {
        struct slot *slot = &cluster->slots[i];
        if (slot->future != NULL && slot->state <= SENT && slot->due <= now)
            send_slot(executor, slot);
    }
    cluster->looked = now;
}

/* The stream has lost tasks: with its server, or by somebody's hand. */
static void send_all_again(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    connection_purge(&cluster->connection, cluster->connection.id);
    for (size_t i = 0; i < cluster->slot_count; i++) {
        if (cluster->slots[i].future != NULL)
            set_state(cluster, &cluster->slots[i], UNSENT, 0);
    }
    send_again(executor, monotonic_seconds());
}

/* Looks whether the stream still has all tasks that it has stored, and for which we have
   not confirmed a result: until then, no host acknowledges them. */
static void count_stored(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    long stored = 0;
    for (size_t i = 0; i < cluster->slot_count; i++)
        stored += cluster->slots[i].future != NULL && cluster->slots[i].state >= STORED;
    long count = connection_count(&cluster->connection, cluster->connection.id);
    cluster->counted = monotonic_seconds();
    bool is_new = count == -2 && connection_make_stream(&cluster->connection);
    if (is_new || (count >= 0 && count < stored))
        send_all_again(executor);
}

/* What was on its way may be lost. */
static void connected_again(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    for (size_t i = 0; i < cluster->slot_count; i++) {
        if (cluster->slots[i].future != NULL && cluster->slots[i].state == SENT)
            cluster->slots[i].due = 0;
    }
    count_stored(executor);
    send_again(executor, monotonic_seconds());
}

/* ---- Receiving ---- */

static struct slot *find_slot(struct cluster *cluster, const struct task_id *id)
{
    if (id->slot >= cluster->slot_count)
        return NULL;
    struct slot *slot = &cluster->slots[id->slot];
    bool is_it = slot->future != NULL && slot->nonce[0] == id->nonce[0] &&
                 slot->nonce[1] == id->nonce[1];
    return is_it ? slot : NULL;
}

/* The stream says that it has stored a task, or why it has not: "stored.SLOT.NONCE". */
static void on_stored(struct cluster *cluster, const natsMsg *message, const char *which)
{
    struct task_id id = {0};
    if (sscanf(which, "stored.%" SCNu64 ".%" SCNx64, &id.slot, &id.nonce[0]) != 2 ||
        id.slot >= cluster->slot_count)
        return;
    struct slot *slot = &cluster->slots[id.slot];
    if (slot->future == NULL || slot->nonce[0] != id.nonce[0] || slot->state != SENT)
        return;
    const char *text = natsMsg_GetData(message);
    bool is_there = !natsMsg_IsNoResponders((natsMsg *)message);
    if (is_there && text != NULL && strstr(text, "\"error\"") == NULL) {
        set_state(cluster, slot, STORED, INFINITY);
    } else {
        set_state(cluster, slot, UNSENT, monotonic_seconds() + retry_delay);
        if (!is_there)
            cluster->counted = 0; /* there is no stream: make one */
    }
}

static void send_confirmations(struct cluster *cluster)
{
    if (cluster->confirmation_count > 0)
        connection_send(&cluster->connection, cluster->confirm_to, NULL,
                        cluster->confirmations,
                        cluster->confirmation_count * sizeof(struct confirmation));
    cluster->confirmation_count = 0;
}

/* Confirms a result. Those that come together are confirmed together. */
static void confirm(struct cluster *cluster, const char *reply, const struct task_id *id)
{
    if (reply == NULL || strlen(reply) >= sizeof(cluster->confirm_to))
        return;
    if (cluster->confirmation_count == MOST_CONFIRMATIONS ||
        strcmp(reply, cluster->confirm_to) != 0)
        send_confirmations(cluster);
    strcpy(cluster->confirm_to, reply);
    cluster->confirmations[cluster->confirmation_count++] =
        (struct confirmation){.mark = CLUSTER_MARK, .id = *id};
}

/* The result in a report, on the clock of this machine. */
static struct result result_in(const struct cluster *cluster,
                               const struct task_report *report, const char *text)
{
    struct result result = {.status = report->status, .span = report->span};
    struct span span = report->span;
    double seconds = span.end - span.start;
    span.worker[sizeof(span.worker) - 1] = '\0';
    if (report->machine != cluster->machine && span.pid != 0) {
        span.end = monotonic_seconds() - report->ago;
        span.start = span.end - seconds;
    }
    if (report->has_text)
        result.text = strndup(text, report->length);
    complete_result(&result, &span);
    return result;
}

/* A report of a host. What is no report of a task that we wait for changes nothing; but a
   result is confirmed whenever it comes, so that its host forgets it. */
static void on_report(struct cluster *cluster, const char *reply,
                      const struct task_report *report, const char *text)
{
    struct slot *slot = find_slot(cluster, &report->id);
    if (report->what == TASK_DONE)
        confirm(cluster, reply, &report->id);
    if (slot == NULL)
        return;
    cluster->heard = monotonic_seconds();
    if (report->what == TASK_DONE) {
        pace_note(&cluster->mean_seconds, &report->span);
        finish_slot(cluster, slot, result_in(cluster, report, text));
    } else {
        set_state(cluster, slot, BEGUN, INFINITY);
    }
}

/* Reads the next report in the message, and where its text is. Returns whether there is
   one. */
static bool read_report(struct cluster *cluster, const natsMsg *message,
                        struct task_report *report, const char **text)
{
    const char *bytes = natsMsg_GetData(message);
    size_t left = (size_t)natsMsg_GetDataLength(message) - cluster->mail_read;
    if (left < sizeof(*report))
        return false;
    memcpy(report, bytes + cluster->mail_read, sizeof(*report));
    if (report->mark != CLUSTER_MARK || report->length > left - sizeof(*report))
        return false;
    *text = bytes + cluster->mail_read + sizeof(*report);
    cluster->mail_read += sizeof(*report) + report->length;
    return true;
}

static void on_reports(struct cluster *cluster, const natsMsg *message)
{
    struct task_report report;
    const char *text;
    while (read_report(cluster, message, &report, &text))
        on_report(cluster, natsMsg_GetReply(message), &report, text);
}

/* Keeps how many workers there are. */
static void count_workers(struct cluster *cluster, double now)
{
    size_t kept = 0;
    cluster->worker_count = 0;
    for (size_t i = 0; i < cluster->host_count; i++) {
        if (now - cluster->hosts[i].heard > forget_after)
            continue;
        cluster->worker_count += cluster->hosts[i].workers;
        cluster->hosts[kept++] = cluster->hosts[i];
    }
    cluster->host_count = kept;
}

/* Without memory for one more, its workers do not count. */
static void note_host(struct cluster *cluster, const struct sign_of_life *sign,
                      double now)
{
    size_t i = 0;
    while (i < cluster->host_count && cluster->hosts[i].number != sign->host)
        i++;
    if (i == MOST_HOSTS)
        return;
    if (i == cluster->host_count) {
        struct known_host *hosts =
            realloc(cluster->hosts, (cluster->host_count + 1) * sizeof(*hosts));
        if (hosts == NULL)
            return;
        cluster->hosts = hosts;
        cluster->host_count++;
    }
    cluster->hosts[i] =
        (struct known_host){.number = sign->host, .workers = sign->workers, .heard = now};
    count_workers(cluster, now);
}

/* A host lives: of our build, or of another one. */
static void on_sign(struct cluster *cluster, const natsMsg *message)
{
    const char *build = natsMsg_GetSubject(message) + strlen("executor.hosts.");
    struct sign_of_life sign;
    if (strcmp(build, cluster->connection.build) != 0) {
        snprintf(cluster->other_build, sizeof(cluster->other_build), "%s", build);
        return;
    }
    if (natsMsg_GetDataLength(message) != (int)sizeof(sign))
        return;
    memcpy(&sign, natsMsg_GetData(message), sizeof(sign));
    if (sign.mark != CLUSTER_MARK || sign.workers == 0 || sign.workers > MOST_WORKERS)
        return;
    cluster->heard = monotonic_seconds();
    note_host(cluster, &sign, cluster->heard);
}

static void end_mail(struct cluster *cluster)
{
    mail_free(cluster->mail);
    cluster->mail = NULL;
    cluster->mail_read = 0;
}

/* A callback may end the thread. Then its successor goes on with the same mail. */
static void handle_mail(struct cluster *cluster, struct mail *mail)
{
    const char *subject = natsMsg_GetSubject(mail->message);
    size_t length = strlen(cluster->reports);
    cluster->mail = mail;
    if (strncmp(subject, "executor.hosts.", 15) == 0)
        on_sign(cluster, mail->message);
    else if (strcmp(subject + length, ".report") == 0)
        on_reports(cluster, mail->message);
    else
        on_stored(cluster, mail->message, subject + length + 1);
    end_mail(cluster);
}

/* ---- The manager's loop ---- */

/* Every task ends with this result. Each is settled before its callbacks are called, so
   if one of them ends the thread, its successor goes on with the others. */
static void fail_all(struct executor *executor, struct result (*why)(struct executor *))
{
    struct cluster *cluster = executor->state;
    struct future *future;
    if (cluster->taken > 0)
        connection_purge(&cluster->connection, cluster->connection.id);
    for (size_t i = 0; i < cluster->slot_count; i++) {
        if (cluster->slots[i].future != NULL)
            finish_slot(cluster, &cluster->slots[i], why(executor));
    }
    while ((future = executor_take_next(executor)) != NULL)
        future_finish(future, why(executor));
}

static struct result killed(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    int number = atomic_load(&cluster->stop_signal);
    return result_broken("its pool was killed by signal %d (SIG%s)", number,
                         sigabbrev_np(number));
}

static struct result broken(struct executor *executor)
{
    return executor_broken_result(executor);
}

/* In the queue too: they stay there while no host is known. */
static bool has_tasks(struct executor *executor)
{
    const struct cluster *cluster = executor->state;
    return cluster->taken > 0 || !task_queue_is_empty(&executor->queue);
}

/* While there are tasks: breaks the pool if nobody will ever run them. */
static void look_for_hosts(struct executor *executor, double now)
{
    struct cluster *cluster = executor->state;
    char why[100];
    if (cluster->own.lifeline >= 0 && own_cluster_has_died(&cluster->own)) {
        executor_break(executor, "the NATS server of this program has died");
    } else if (connection_is_closed(&cluster->connection)) {
        executor_break(executor, "the NATS server has closed the connection for good");
    } else if (now - cluster->heard > cluster->wait_seconds) {
        snprintf(why, sizeof(why), "no worker host has been heard of for %g s",
                 cluster->wait_seconds);
        executor_break(executor, why);
    }
}

/* If this process has been stopped for a while, no host could be heard. */
static void note_time(struct cluster *cluster, double now)
{
    if (now - cluster->checked > count_period)
        cluster->heard += now - cluster->checked;
    cluster->checked = now;
}

static bool is_over(struct executor *executor)
{
    const struct cluster *cluster = executor->state;
    return task_queue_is_drained(&executor->queue) && cluster->taken == 0;
}

/* Does what is due. Returns when more is. */
static double do_what_is_due(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    double now = monotonic_seconds();
    double look_period = cluster->unsent > 0 ? retry_delay : 1;
    note_time(cluster, now);
    count_workers(cluster, now);
    if (atomic_load(&cluster->stop_signal) != 0)
        fail_all(executor, killed);
    send_tasks(executor);
    if (connection_was_reconnected(&cluster->connection) && cluster->taken > 0)
        connected_again(executor);
    if (has_tasks(executor) && now - cluster->looked >= look_period) {
        look_for_hosts(executor, now);
        send_again(executor, now);
    }
    if (atomic_load(&executor->is_broken))
        fail_all(executor, broken);
    if (cluster->taken > 0 && now - cluster->counted >= count_period)
        count_stored(executor);
    return has_tasks(executor) ? cluster->looked + look_period : INFINITY;
}

static void close_all(struct cluster *cluster)
{
    if (cluster->mail != NULL)
        end_mail(cluster);
    if (cluster->is_connected)
        connection_close(&cluster->connection);
    cluster->is_connected = false;
    own_cluster_close(&cluster->own);
}

static void serve(struct pool_thread *thread)
{
    struct executor *executor = thread->executor;
    struct cluster *cluster = executor->state;
    worker_set_name("manager", thread->number);
    if (cluster->mail != NULL)
        handle_mail(cluster, cluster->mail);
    while (!is_over(executor)) {
        double next = do_what_is_due(executor);
        if (!connection_has_mail(&cluster->connection))
            send_confirmations(cluster);
        if (is_over(executor))
            break;
        struct mail *mail = connection_receive(&cluster->connection, next);
        if (mail != NULL)
            handle_mail(cluster, mail);
    }
    send_confirmations(cluster);
    close_all(cluster);
}

/* ---- What other threads ask ---- */

static void dispatch(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    connection_wake(&cluster->connection);
}

/* What has been sent may have begun. */
static bool withdraw(struct executor *executor, struct future *future)
{
    (void)executor;
    (void)future;
    return false;
}

static bool has_begun(struct executor *executor, const struct future *future)
{
    struct cluster *cluster = executor->state;
    mutex_lock(&cluster->lock);
    const struct slot *slot = &cluster->slots[future->slot];
    bool has_begun = slot->future == future && slot->state == BEGUN;
    mutex_unlock(&cluster->lock);
    return has_begun;
}

static void signal_workers(struct executor *executor, int signal_number)
{
    struct cluster *cluster = executor->state;
    atomic_store(&cluster->stop_signal, signal_number);
    connection_wake(&cluster->connection);
}

static bool accepts(const struct executor *executor, task_fn task)
{
    return executor->options.tasks[position_of(executor, task)] != NULL;
}

/* ---- Opening and closing ---- */

/* Says once for what we wait. */
static void say_that_we_wait(const struct cluster *cluster, bool has_stream,
                             const char *url)
{
    const char *build = cluster->connection.build;
    if (!has_stream)
        cluster_say("waiting for JetStream, the streams of the server %s",
                    cluster_places(url));
    else if (cluster->other_build[0] != '\0')
        cluster_say("waiting for a worker host of this build (%s) at %s; there is one of "
                    "build %s, which cannot run our tasks",
                    build, cluster_places(url), cluster->other_build);
    else
        cluster_say("waiting for a worker host of this build (%s) at %s", build,
                    cluster_places(url));
}

static void ask_for_hosts(struct cluster *cluster)
{
    char subject[LONGEST_SUBJECT];
    snprintf(subject, sizeof(subject), "executor.ask.%s", cluster->connection.build);
    connection_send(&cluster->connection, subject, NULL, "", 0);
}

/* Waits until there is a stream, and a host has answered. Returns 0 or an errno. */
static int wait_for_host(struct cluster *cluster, const char *url)
{
    double began = monotonic_seconds();
    double due = 0;
    bool has_said = false;
    bool has_stream = false;
    for (double now = began; cluster->worker_count == 0; now = monotonic_seconds()) {
        if (now - began > cluster->wait_seconds)
            return ETIMEDOUT;
        if (cluster->own.lifeline >= 0 && own_cluster_has_died(&cluster->own))
            return ECHILD;
        if (now >= due) {
            has_stream = has_stream || connection_make_stream(&cluster->connection);
            ask_for_hosts(cluster);
            due = now + retry_delay;
        }
        if (now - began > say_after && !has_said) {
            say_that_we_wait(cluster, has_stream, url);
            has_said = true;
        }
        struct mail *mail = connection_receive(&cluster->connection, due);
        if (mail != NULL)
            handle_mail(cluster, mail);
    }
    return 0;
}

static bool subscribe(struct cluster *cluster)
{
    char subject[LONGEST_SUBJECT + 2];
    snprintf(cluster->reports, sizeof(cluster->reports), "executor.reports.%s",
             cluster->connection.id);
    snprintf(subject, sizeof(subject), "%s.>", cluster->reports);
    if (connection_subscribe(&cluster->connection, subject) &&
        connection_subscribe(&cluster->connection, "executor.hosts.*"))
        return true;
    errno = ECONNREFUSED;
    return false;
}

/* Returns NULL without memory. */
static task_fn *copy_tasks(const task_fn *tasks)
{
    size_t count = 0;
    while (tasks[count] != NULL)
        count++;
    task_fn *copy = calloc(count + 1, sizeof(*copy));
    if (copy != NULL)
        memcpy(copy, tasks, count * sizeof(*copy));
    return copy;
}

static bool open_cluster(struct executor *executor)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    const char *url = getenv("NATS_URL");
    if (cluster == NULL)
        return false;
    executor->state = cluster;
    cluster->own.lifeline = -1;
    must(pthread_mutex_init(&cluster->lock, NULL), "pthread_mutex_init");
    connection_init(&cluster->connection);
    executor->worker_count = executor->options.workers;
    cluster->tasks = copy_tasks(executor->options.tasks);
    if (cluster->tasks == NULL)
        return false;
    executor->options.tasks = cluster->tasks;
    cluster->machine = this_machine();
    cluster->wait_seconds = cluster_wait_seconds(&executor->options);
    if (url == NULL || url[0] == '\0') {
        if (!own_cluster_open(&cluster->own, &executor->options))
            return false;
        url = cluster->own.url;
        cluster->connection.is_own = true;
    }
    cluster->is_connected = connection_open(&cluster->connection, url);
    if (!cluster->is_connected || !subscribe(cluster))
        return false;
    int error = wait_for_host(cluster, url);
    cluster->checked = cluster->counted = monotonic_seconds();
    errno = error;
    return error == 0;
}

static void free_cluster(struct executor *executor)
{
    struct cluster *cluster = executor->state;
    if (cluster == NULL)
        return;
    close_all(cluster);
    connection_destroy(&cluster->connection);
    must(pthread_mutex_destroy(&cluster->lock), "pthread_mutex_destroy");
    free(cluster->tasks);
    free(cluster->hosts);
    free(cluster->slots);
    free(cluster->buffer);
    free(cluster);
}

static const struct executor_kind cluster_kind = {
    .can_kill_workers = true,
    .replaces_workers = true,
    .default_workers = usable_cpus,
    .open = open_cluster,
    .serve = serve,
    .dispatch = dispatch,
    .withdraw = withdraw,
    .has_begun = has_begun,
    .signal_workers = signal_workers,
    .accepts = accepts,
    .free = free_cluster,
};

/* ---- A worker host is the same program ---- */

static bool is_worker_host(void)
{
    const char *text = getenv("EXECUTOR_WORKER");
    return text != NULL && strcmp(text, "1") == 0;
}

/* Does not return. */
static void be_a_host(const struct executor_options *options)
{
    char name[LONGEST_HOST_NAME] = "";
    const char *given = getenv("EXECUTOR_HOST");
    const char *url = getenv("NATS_URL");
    gethostname(name, sizeof(name) - 1);
    if (url == NULL || url[0] == '\0')
        cluster_say("a worker host needs NATS_URL, the address of the server");
    else
        host_run(&(struct host_options){
            .executor = options, .url = url, .name = given == NULL ? name : given});
    exit(EXIT_FAILURE);
}

struct executor *cluster_executor(size_t workers, task_fn task)
{
    return cluster_executor_with(
        &(struct executor_options){.workers = workers, .tasks = (task_fn[]){task, NULL}});
}

struct executor *cluster_executor_with(const struct executor_options *options)
{
    if (options == NULL || options->tasks == NULL || options->tasks[0] == NULL) {
        errno = EINVAL;
        return NULL;
    }
    if (is_worker_host())
        be_a_host(options);
    return executor_open(&cluster_kind, options);
}
