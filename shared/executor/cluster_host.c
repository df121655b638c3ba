/*
 * A worker host: a process pool (process_pool.c) behind a connection. It pulls tasks for
 * which it has places, runs them, and reports what came of them.
 *
 *      stream --pull--> held, runs --> held, done --confirmed--> +ACK, forgotten
 *
 * While a host holds a task it tells the stream so; if it dies, the stream gives the task
 * to another one after CLUSTER_LEASE. A result is reported until its submitter confirms
 * it, and only then acknowledged; so a result that gets lost on its way is sent again.
 */
#include "cluster.h"
#include "internal.h"
#include "process_pool.h"

#include "monotonic.h"
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    MOST_AHEAD = 64,     /* tasks that wait here for a worker */
    MOST_DELIVERIES = 3, /* of a task; then it is poison */
    MOST_BYTES = 32768,  /* of reports that are sent together */
};

/* In seconds. */
static const double beat_period = 1;   /* between two signs of life */
static const double hold_period = 1.5; /* between two times that we say what we hold */
static const double begun_period = 0.02;
static const double round_period = 5;  /* for which tasks are asked for */
static const double round_gap = 0.05;  /* in which nothing is asked for */
static const double repeat_period = 1; /* of a result that is not confirmed */
static const double retry_delay = 0.2;

/* A task that has been delivered to us and that we have not acknowledged. */
struct held {
    struct mail done; /* is posted when its result is there */
    struct host *host;
    natsMsg *message;
    char submitter[ID_LENGTH + 1];
    struct task_id id;
    struct future *future; /* until it is done */
    struct result result;  /* when it is done */
    bool is_done;
    bool is_begun_told;
    double first_told; /* when its result was first reported */
    double tell_due;   /* when it is to be reported again */
    TAILQ_ENTRY(held) entry;
};

struct host {
    struct cluster_connection connection;
    struct executor *pool;
    const task_fn *tasks;
    size_t task_count;
    double wait_seconds; /* for a submitter that confirms */
    uint64_t machine;
    uint64_t number; /* ours, at random */
    TAILQ_HEAD(, held) held;
    size_t running; /* of those, have no result yet */
    size_t untold;  /* tasks of which nobody has been told that they have begun */
    bool has_consumer;
    size_t asked_for; /* tasks in this round that have not come */
    bool is_answered; /* something has come in this round, a task or a word why not */
    double round_end;
    double beat_due;
    double hold_due;
    double begun_due;
    double ask_due;           /* for tasks, after a failure */
    double mean_seconds;      /* of a task, 0: not known */
    char reports[MOST_BYTES]; /* that wait to be sent */
    size_t reports_length;
    char reports_to[ID_LENGTH + 1];      /* the submitter */
    char inbox[LONGEST_SUBJECT];         /* for tasks */
    char confirmations[LONGEST_SUBJECT]; /* for what submitters answer */
};

/* ---- Acknowledgements ---- */

static void answer_stream(struct host *host, const struct held *held, const char *what)
{
    connection_send(&host->connection, natsMsg_GetReply(held->message), NULL, what,
                    strlen(what));
}

static void forget(struct host *host, struct held *held, const char *answer)
{
    answer_stream(host, held, answer);
    TAILQ_REMOVE(&host->held, held, entry);
    future_free(held->future);
    result_free(&held->result);
    natsMsg_Destroy(held->message);
    free(held);
}

/* ---- Reports ---- */

/* Returns false with errno as connection_send() sets it. */
static bool send_bytes(struct host *host, const char *submitter, const void *bytes,
                       size_t length)
{
    char subject[LONGEST_SUBJECT];
    snprintf(subject, sizeof(subject), "executor.reports.%s.report", submitter);
    return connection_send(&host->connection, subject, host->confirmations, bytes,
                           length);
}

/* Sends the reports that wait. If that fails, those of results are sent again later. */
static void send_reports(struct host *host)
{
    if (host->reports_length > 0)
        send_bytes(host, host->reports_to, host->reports, host->reports_length);
    host->reports_length = 0;
}

/* Sends a report that is too long to wait for others. Returns false with errno as
   connection_send() sets it, or ENOMEM. */
static bool send_long_report(struct host *host, const char *submitter,
                             const struct task_report *header, const char *text)
{
    char *bytes = malloc(sizeof(*header) + header->length);
    if (bytes == NULL)
        return false;
    memcpy(bytes, header, sizeof(*header));
    if (text != NULL)
        memcpy(bytes + sizeof(*header), text, header->length);
    bool is_sent = send_bytes(host, submitter, bytes, sizeof(*header) + header->length);
    int error = errno;
    free(bytes);
    errno = error;
    return is_sent;
}

/* Sends a report with a text (NULL: none), together with others that there are now. If it
   is sent alone, returns false with errno as connection_send() sets it, or ENOMEM. */
static bool send_report(struct host *host, const struct held *held,
                        struct task_report header, const char *text)
{
    size_t most = connection_longest_message(&host->connection);
    most = most < MOST_BYTES ? most : MOST_BYTES;
    header.mark = CLUSTER_MARK;
    header.id = held->id;
    header.has_text = text != NULL;
    header.length = text == NULL ? 0 : strlen(text);
    size_t size = sizeof(header) + header.length;
    if (strcmp(host->reports_to, held->submitter) != 0 ||
        host->reports_length + size > most)
        send_reports(host);
    if (size > most)
        return send_long_report(host, held->submitter, &header, text);
    strcpy(host->reports_to, held->submitter);
    char *end = host->reports + host->reports_length;
    memcpy(end, &header, sizeof(header));
    if (text != NULL)
        memcpy(end + sizeof(header), text, header.length);
    host->reports_length += size;
    return true;
}

static void tell_begun(struct host *host, struct held *held)
{
    held->is_begun_told = true;
    host->untold--;
    send_report(host, held, (struct task_report){.what = TASK_BEGUN}, NULL);
}

static void tell_done(struct host *host, struct held *held)
{
    const struct result *result = &held->result;
    double now = monotonic_seconds();
    struct task_report header = {.what = TASK_DONE,
                                 .status = result->status,
                                 .span = result->span,
                                 .machine = host->machine,
                                 .ago = now - result->span.end};
    held->tell_due = now + repeat_period;
    if (send_report(host, held, header, result->text) || errno != EMSGSIZE)
        return;
    size_t length = strlen(result->text);
    result_free(&held->result);
    held->result =
        result_broken("a result of %zu bytes is longer than the server takes", length);
    send_report(host, held, header, held->result.text);
}

/* ---- Tasks ---- */

/* In the manager's thread of the pool. */
static void on_done(struct future *future, void *context)
{
    struct held *held = context;
    (void)future;
    connection_post(&held->host->connection, &held->done);
}

static void done(struct host *host, struct held *held, struct result result)
{
    if (!held->is_begun_told)
        host->untold--;
    held->is_begun_told = true;
    held->is_done = true;
    host->running--;
    held->result = result;
    held->first_told = monotonic_seconds();
    tell_done(host, held);
}

/* The task has run: its result is ours from now on. */
static void take_result(struct host *host, struct held *held)
{
    struct result result = *future_result(held->future);
    result.text = result.text == NULL ? NULL : strdup(result.text);
    future_free(held->future);
    held->future = NULL;
    pace_note(&host->mean_seconds, &result.span);
    done(host, held, result);
}

/* How often the task has been delivered: the ninth token from the end of the subject for
   acknowledgements, $JS.ACK...DELIVERED.SEQUENCE.SEQUENCE.TIME.PENDING, or what newer
   servers add to it. */
static unsigned long deliveries(const char *acknowledgement)
{
    size_t dots = 0;
    for (const char *c = acknowledgement; *c != '\0'; c++)
        dots += *c == '.';
    size_t before = dots == 8 ? 4 : 6; /* newer: with a domain and an account */
    const char *token = acknowledgement;
    for (size_t i = 0; i < before && token != NULL; i++) {
        token = strchr(token, '.');
        token = token == NULL ? NULL : token + 1;
    }
    return token == NULL ? 0 : strtoul(token, NULL, 10);
}

/* Reads the header of a task. Returns its argument, which lives as long as the message;
   NULL if it is no task of ours. */
static const char *read_task(const struct host *host, const natsMsg *message,
                             struct task_message *header)
{
    const char *bytes = natsMsg_GetData(message);
    size_t length = (size_t)natsMsg_GetDataLength(message);
    if (length <= sizeof(*header))
        return NULL;
    memcpy(header, bytes, sizeof(*header));
    const char *argument = bytes + sizeof(*header);
    size_t size = length - sizeof(*header);
    bool is_whole = strnlen(argument, size) == size - 1;
    bool is_ours = header->mark == CLUSTER_MARK && header->position < host->task_count;
    return is_whole && is_ours ? argument : NULL;
}

/* The last token of executor.tasks.BUILD.SUBMITTER. Returns whether it is one. */
static bool read_submitter(const char *subject, char submitter[ID_LENGTH + 1])
{
    const char *last = strrchr(subject, '.');
    size_t length = last == NULL ? 0 : strlen(last + 1);
    if (length != ID_LENGTH)
        return false;
    memcpy(submitter, last + 1, ID_LENGTH + 1);
    return true;
}

static void run(struct host *host, struct held *held, task_fn task, const char *argument)
{
    unsigned long count = deliveries(natsMsg_GetReply(held->message));
    host->untold++;
    host->running++;
    if (count > MOST_DELIVERIES) {
        done(host, held,
             result_broken("each of %d hosts that ran it has died or was lost",
                           MOST_DELIVERIES));
        return;
    }
    held->future = executor_submit(host->pool, task, argument);
    if (held->future == NULL)
        done(host, held, result_broken("its host cannot run it: %s", strerror(errno)));
    else if (!future_on_done(held->future, on_done, held))
        take_result(host, held); /* no memory to be told: so wait for it here */
}

/* Takes the message, which is a task, or is nothing that anybody can run. */
static void on_task(struct host *host, natsMsg *message)
{
    struct held *held = calloc(1, sizeof(*held));
    if (held == NULL) {
        natsMsg_Destroy(message); /* it is delivered again, to somebody with memory */
        return;
    }
    struct task_message header;
    const char *argument = read_task(host, message, &header);
    bool is_valid = argument != NULL && natsMsg_GetReply(message) != NULL &&
                    read_submitter(natsMsg_GetSubject(message), held->submitter);
    held->host = host;
    held->message = message;
    TAILQ_INSERT_TAIL(&host->held, held, entry);
    if (host->asked_for > 0)
        host->asked_for--;
    if (!is_valid) {
        forget(host, held, "+TERM");
        return;
    }
    held->id = header.id;
    run(host, held, host->tasks[header.position], argument);
}

static void on_confirmation(struct host *host, const struct confirmation *confirmation)
{
    struct held *held;
    TAILQ_FOREACH(held, &host->held, entry)
    {
        if (held->is_done && memcmp(&held->id, &confirmation->id, sizeof(held->id)) == 0)
            break;
    }
    if (held != NULL && confirmation->mark == CLUSTER_MARK)
        forget(host, held, "+ACK");
}

static void on_confirmed(struct host *host, const natsMsg *message)
{
    struct confirmation confirmation;
    const char *bytes = natsMsg_GetData(message);
    size_t count = (size_t)natsMsg_GetDataLength(message) / sizeof(confirmation);
    for (size_t i = 0; i < count; i++) {
        memcpy(&confirmation, bytes + i * sizeof(confirmation), sizeof(confirmation));
        on_confirmation(host, &confirmation);
    }
}

/* ---- What comes ---- */

static void beat(struct host *host)
{
    char subject[LONGEST_SUBJECT];
    struct sign_of_life sign = {.mark = CLUSTER_MARK,
                                .workers = (uint32_t)executor_workers(host->pool),
                                .host = host->number};
    snprintf(subject, sizeof(subject), "executor.hosts.%s", host->connection.build);
    connection_send(&host->connection, subject, NULL, &sign, sizeof(sign));
    host->beat_due = monotonic_seconds() + beat_period;
}

/* A message without a subject for acknowledgements says that there is no task now, or
   that there is no stream or consumer. */
static void on_refused(struct host *host, natsMsg *message)
{
    const char *status = NULL;
    bool is_over = natsMsgHeader_Get(message, "Status", &status) == NATS_OK &&
                   status != NULL && strcmp(status, "408") == 0;
    if (!is_over) {
        host->has_consumer = false;
        host->ask_due = monotonic_seconds() + retry_delay;
    }
}

static void handle_mail(struct host *host, struct mail *mail)
{
    if (mail->message == NULL) {
        struct held *held = (struct held *)((char *)mail - offsetof(struct held, done));
        take_result(host, held);
        return;
    }
    const char *subject = natsMsg_GetSubject(mail->message);
    if (strncmp(subject, "executor.tasks.", 15) == 0) {
        host->is_answered = true;
        on_task(host, mail->message);
        free(mail);
        return;
    }
    if (strcmp(subject, host->inbox) == 0)
        host->is_answered = true;
    if (strcmp(subject, host->confirmations) == 0)
        on_confirmed(host, mail->message);
    else if (strcmp(subject, host->inbox) == 0)
        on_refused(host, mail->message);
    else
        beat(host);
    mail_free(mail);
}

/* ---- What is due ---- */

static void tell_of_begun(struct host *host)
{
    struct held *held;
    TAILQ_FOREACH(held, &host->held, entry)
    {
        if (!held->is_begun_told && future_running(held->future))
            tell_begun(host, held);
    }
}

static void hold_all(struct host *host)
{
    struct held *held;
    TAILQ_FOREACH(held, &host->held, entry)
    answer_stream(host, held, "+WPI");
}

/* Nobody confirms what this submitter wanted: it has ended, and so have its tasks. */
static void forget_submitter(struct host *host, const char *gone)
{
    char submitter[ID_LENGTH + 1];
    struct held *held = TAILQ_FIRST(&host->held);
    memcpy(submitter, gone, sizeof(submitter));
    connection_purge(&host->connection, submitter);
    while (held != NULL) {
        struct held *next = TAILQ_NEXT(held, entry);
        if (held->is_done && strcmp(held->submitter, submitter) == 0)
            forget(host, held, "+TERM");
        held = next;
    }
}

/* Reports again what has not been confirmed. */
static void tell_again(struct host *host, double now)
{
    struct held *held;
    TAILQ_FOREACH(held, &host->held, entry)
    {
        if (!held->is_done || held->tell_due > now)
            continue;
        if (now - held->first_told > host->wait_seconds) {
            forget_submitter(host, held->submitter);
            return; /* the list has changed */
        }
        tell_done(host, held);
    }
}

static size_t places(const struct host *host)
{
    size_t workers = executor_workers(host->pool);
    return workers + pace_ahead(host->mean_seconds, workers, MOST_AHEAD);
}

static void make_consumer(struct host *host, double now)
{
    host->has_consumer = connection_make_stream(&host->connection) &&
                         connection_make_consumer(&host->connection);
    host->round_end = 0;
    host->ask_due = host->has_consumer ? 0 : now + retry_delay;
}

static void begin_round(struct host *host, double now)
{
    host->round_end = now + round_period;
    host->asked_for = 0;
    host->is_answered = false;
}

/* Asks for tasks in rounds: what has been asked for in one ends with it, so nothing is
   lost for long if the stream forgets what we have asked for. Between two rounds is a
   gap: what comes late for one does not come beside what is asked for in the next, and
   wait here while a worker of another host is free. Where tasks wait here for a worker,
   it asks for several at once, since each time costs a message. */
static void ask_for_tasks(struct host *host, double now)
{
    if (now >= host->round_end && host->asked_for > 0 && !host->is_answered)
        host->has_consumer = false; /* an end without a word: there is none any more */
    if (now < host->ask_due)
        return;
    if (!host->has_consumer)
        make_consumer(host, now);
    if (now >= host->round_end)
        begin_round(host, now);
    size_t wanted = places(host);
    size_t coming = host->running + host->asked_for;
    double seconds = host->round_end - now - round_gap;
    size_t least = 1 + (wanted - executor_workers(host->pool)) / 4;
    if (host->has_consumer && wanted >= coming + least && seconds > 0 &&
        connection_pull(&host->connection, host->inbox, wanted - coming, seconds))
        host->asked_for += wanted - coming;
}

/* Does what is due. Returns when more is. */
static double do_what_is_due(struct host *host)
{
    double now = monotonic_seconds();
    if (connection_was_reconnected(&host->connection)) {
        host->has_consumer = false;
        host->ask_due = host->hold_due = host->beat_due = 0;
    }
    if (now >= host->beat_due)
        beat(host);
    if (now >= host->hold_due) {
        hold_all(host);
        tell_again(host, now);
        host->hold_due = now + hold_period;
    }
    if (host->untold > 0 && now >= host->begun_due) {
        tell_of_begun(host);
        host->begun_due = now + begun_period;
    }
    ask_for_tasks(host, now);
    double next = fmin(host->beat_due, host->hold_due);
    next = fmin(next, host->ask_due > now ? host->ask_due : host->round_end);
    return host->untold > 0 ? fmin(next, host->begun_due) : next;
}

/* ---- The host ---- */

static bool subscribe(struct host *host)
{
    char subject[LONGEST_SUBJECT];
    snprintf(host->inbox, sizeof(host->inbox), "_INBOX.%s.tasks", host->connection.id);
    snprintf(host->confirmations, sizeof(host->confirmations), "_INBOX.%s.confirmations",
             host->connection.id);
    snprintf(subject, sizeof(subject), "executor.ask.%s", host->connection.build);
    return connection_subscribe(&host->connection, host->inbox) &&
           connection_subscribe(&host->connection, host->confirmations) &&
           connection_subscribe(&host->connection, subject);
}

/* Opens the pool before the connection, which has threads. */
static bool open_host(struct host *host, const struct host_options *options)
{
    struct executor_options pool_options = *options->executor;
    pool_options.queue_capacity = 0;
    TAILQ_INIT(&host->held);
    connection_init(&host->connection);
    host->connection.is_own = options->is_own;
    host->machine = this_machine();
    host->wait_seconds = cluster_wait_seconds(options->executor);
    host->tasks = options->executor->tasks;
    while (host->tasks[host->task_count] != NULL)
        host->task_count++;
    worker_set_host(options->name);
    host->pool = process_pool_executor_with(&pool_options);
    if (host->pool == NULL) {
        cluster_say("no worker can be started: %s", strerror(errno));
        return false;
    }
    if (!connection_open(&host->connection, options->url))
        return false;
    fill_at_random(&host->number, sizeof(host->number));
    return subscribe(host);
}

void host_run(const struct host_options *options)
{
    struct host host = {0};
    if (!open_host(&host, options))
        return;
    if (!options->is_own)
        cluster_say("worker host %s: %zu workers, build %s, at %s", options->name,
                    executor_workers(host.pool), host.connection.build,
                    cluster_places(options->url));
    while (!connection_is_closed(&host.connection) && !pool_has_died(host.pool)) {
        double next = do_what_is_due(&host);
        if (!connection_has_mail(&host.connection))
            send_reports(&host);
        struct mail *mail = connection_receive(&host.connection, next);
        if (mail != NULL)
            handle_mail(&host, mail);
    }
    cluster_say("worker host %s ends: %s", options->name,
                pool_has_died(host.pool) ? "the process that starts its workers has died"
                                         : "the server does not let it in any more");
}
