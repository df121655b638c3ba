/*
 * A connection to NATS, of a submitter or of a host. The library (libnats) reads from it
 * in threads of its own; what comes is put into a list, the mails, from which one thread
 * of ours takes it. So only that thread has any state, and no callback waits for another.
 *
 *      NATS --> libnats' threads --> mails --> the manager, or the host's main thread
 */
#include "cluster.h"

#include "monotonic.h"
#include "place.h"
#include "sync.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STREAM "EXECUTOR"

enum {
    MOST_SERVERS = 64,
    API_MILLISECONDS = 2000, /* to wait for an answer about streams */
    MOST_UNACKNOWLEDGED = 100000,
    MOST_WAITING_PULLS = 10000,
    REPLICAS = 3, /* of the stream, if there are as many servers */
};

static const double default_wait = 30;              /* for the other side, in seconds */
static const double forget_build_after = 24 * 3600; /* a consumer that nobody uses */

void cluster_say(const char *format, ...)
{
    char line[1000];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    fprintf(stderr, "cluster: %s\n", line);
    fflush(stderr);
}

const char *cluster_places(const char *url)
{
    static _Thread_local char places[500];
    char *rest = NULL;
    char *copy = strdup(url);
    size_t length = 0;
    places[0] = '\0';
    for (char *one = copy == NULL ? NULL : strtok_r(copy, ", ", &rest);
         one != NULL && length < sizeof(places); one = strtok_r(NULL, ", ", &rest))
        length += (size_t)snprintf(places + length, sizeof(places) - length, "%s%s",
                                   length == 0 ? "" : ",", place_of(one));
    free(copy);
    return places;
}

double cluster_wait_seconds(const struct executor_options *options)
{
    const char *text = getenv("EXECUTOR_WAIT");
    double seconds = text == NULL ? 0 : strtod(text, NULL);
    if (options->host_seconds > 0)
        return options->host_seconds;
    return seconds > 0 ? seconds : default_wait;
}

/* ---- How long tasks take ---- */

static const double time_ahead = 0.005; /* how much work may wait for a worker */

void pace_note(double *mean_seconds, const struct span *span)
{
    double seconds = span->end - span->start;
    if (span->pid == 0 || !(seconds >= 0))
        return; /* it has not run */
    *mean_seconds = *mean_seconds == 0 ? seconds : 0.9 * *mean_seconds + 0.1 * seconds;
}

size_t pace_ahead(double mean_seconds, size_t workers, size_t most)
{
    if (mean_seconds == 0)
        return 0;
    return (size_t)fmin(time_ahead * (double)workers / mean_seconds, (double)most);
}

/* ---- Who we are ---- */

static void to_hexadecimal(const unsigned char *bytes, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void fill_at_random(void *bytes, size_t count)
{
    if (getrandom(bytes, count, 0) != (ssize_t)count)
        must(errno, "getrandom"); /* so few bytes come at once */
}

void random_id(char id[ID_LENGTH + 1])
{
    unsigned char bytes[ID_LENGTH / 2];
    fill_at_random(bytes, sizeof(bytes));
    to_hexadecimal(bytes, sizeof(bytes), id);
}

uint64_t this_machine(void)
{
    unsigned long long number = 0;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL || fscanf(file, "%8llx", &number) != 1)
        number = 0;
    if (file != NULL)
        fclose(file);
    return number;
}

/* Looks for the linker's build ID in a segment of notes (elf(5)). Returns whether it has
   found one. */
static bool find_build_id(const char *notes, size_t size, char *build)
{
    size_t offset = 0;
    while (offset + sizeof(ElfW(Nhdr)) <= size) {
        const ElfW(Nhdr) *note = (const void *)(notes + offset);
        size_t name = offset + sizeof(*note);
        size_t content = name + ((note->n_namesz + 3U) & ~3U);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && note->n_descsz >= BUILD_LENGTH / 2) {
            to_hexadecimal((const unsigned char *)notes + content, BUILD_LENGTH / 2,
                           build);
            return true;
        }
        offset = content + ((note->n_descsz + 3U) & ~3U);
    }
    return false;
}

/* The program itself comes first; the libraries are left out. */
static int look_for_build(struct dl_phdr_info *object, size_t size, void *build)
{
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE &&
            find_build_id((const char *)object->dlpi_addr + segment->p_vaddr,
                          segment->p_memsz, build))
            break;
    }
    return 1;
}

/* ---- What comes ---- */

static void on_message(natsConnection *nats, natsSubscription *subscription,
                       natsMsg *message, void *context)
{
    (void)nats;
    (void)subscription;
    struct mail *mail = malloc(sizeof(*mail));
    if (mail == NULL) {
        natsMsg_Destroy(message); /* what matters is sent again */
        return;
    }
    mail->message = message;
    connection_post(context, mail);
}

static void wake(struct cluster_connection *connection)
{
    connection->is_woken = true;
    cond_signal(&connection->has_news);
}

static void on_reconnected(natsConnection *nats, void *context)
{
    struct cluster_connection *connection = context;
    (void)nats;
    mutex_lock(&connection->lock);
    connection->was_reconnected = true;
    wake(connection);
    mutex_unlock(&connection->lock);
}

static void on_disconnected(natsConnection *nats, void *context)
{
    (void)nats;
    connection_wake(context);
}

static void on_closed(natsConnection *nats, void *context)
{
    struct cluster_connection *connection = context;
    (void)nats;
    mutex_lock(&connection->lock);
    connection->is_closed = true;
    connection->open_ends--;
    wake(connection);
    mutex_unlock(&connection->lock);
}

static void on_unsubscribed(void *context)
{
    struct cluster_connection *connection = context;
    mutex_lock(&connection->lock);
    connection->open_ends--;
    wake(connection);
    mutex_unlock(&connection->lock);
}

/* The library would print it. What matters shows elsewhere too. */
static void on_error(natsConnection *nats, natsSubscription *subscription,
                     natsStatus status, void *context)
{
    (void)nats;
    (void)subscription;
    (void)status;
    (void)context;
}

void connection_wake(struct cluster_connection *connection)
{
    mutex_lock(&connection->lock);
    if (!connection->is_woken)
        wake(connection);
    mutex_unlock(&connection->lock);
}

void connection_post(struct cluster_connection *connection, struct mail *mail)
{
    mutex_lock(&connection->lock);
    if (STAILQ_EMPTY(&connection->mails))
        cond_signal(&connection->has_news);
    STAILQ_INSERT_TAIL(&connection->mails, mail, entry);
    mutex_unlock(&connection->lock);
}

/* Takes all that have come. */
static void take_mails(struct cluster_connection *connection, double deadline)
{
    mutex_lock(&connection->lock);
    while (STAILQ_EMPTY(&connection->mails) && !connection->is_woken &&
           cond_wait_until(&connection->has_news, &connection->lock, deadline))
        continue;
    if (STAILQ_EMPTY(&connection->mails))
        connection->is_woken = false;
    STAILQ_CONCAT(&connection->taken, &connection->mails);
    mutex_unlock(&connection->lock);
}

struct mail *connection_receive(struct cluster_connection *connection, double deadline)
{
    if (STAILQ_EMPTY(&connection->taken))
        take_mails(connection, deadline);
    struct mail *mail = STAILQ_FIRST(&connection->taken);
    if (mail != NULL)
        STAILQ_REMOVE_HEAD(&connection->taken, entry);
    return mail;
}

bool connection_has_mail(const struct cluster_connection *connection)
{
    return !STAILQ_EMPTY(&connection->taken);
}

void mail_free(struct mail *mail)
{
    natsMsg_Destroy(mail->message);
    free(mail);
}

bool connection_was_reconnected(struct cluster_connection *connection)
{
    mutex_lock(&connection->lock);
    bool was_reconnected = connection->was_reconnected;
    connection->was_reconnected = false;
    mutex_unlock(&connection->lock);
    return was_reconnected;
}

bool connection_is_closed(struct cluster_connection *connection)
{
    mutex_lock(&connection->lock);
    bool is_closed = connection->is_closed;
    mutex_unlock(&connection->lock);
    return is_closed;
}

/* ---- Opening and closing ---- */

/* The library has threads, which must be gone before the program forks a server of its
   own once more. Elsewhere it stays open: to close it after TLS has been used breaks
   OpenSSL (libnats 3.4). */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_library_open;

static natsStatus open_library(void)
{
    mutex_lock(&library_lock);
    natsStatus status = nats_Open(-1); /* nothing happens if it is open */
    is_library_open = status == NATS_OK;
    mutex_unlock(&library_lock);
    return status;
}

static void close_library(void)
{
    mutex_lock(&library_lock);
    nats_CloseAndWait(0);
    is_library_open = false;
    mutex_unlock(&library_lock);
}

bool connection_has_library(void)
{
    mutex_lock(&library_lock);
    bool has_library = is_library_open;
    mutex_unlock(&library_lock);
    return has_library;
}

/* A URL, or several with commas between them. */
static natsStatus set_servers(natsOptions *options, const char *urls)
{
    const char *servers[MOST_SERVERS];
    char *rest = NULL;
    int count = 0;
    char *copy = strdup(urls);
    if (copy == NULL)
        return NATS_NO_MEMORY;
    for (char *url = strtok_r(copy, ", ", &rest); url != NULL && count < MOST_SERVERS;
         url = strtok_r(NULL, ", ", &rest))
        servers[count++] = url;
    natsStatus status = natsOptions_SetServers(options, servers, count);
    free(copy);
    return status;
}

/* What NATS' own command line reads from the environment too. */
static natsStatus set_credentials(natsOptions *options)
{
    const char *user = getenv("NATS_USER");
    const char *password = getenv("NATS_PASSWORD");
    const char *credentials = getenv("NATS_CREDS");
    const char *authority = getenv("NATS_CA");
    const char *certificate = getenv("NATS_CERT");
    const char *key = getenv("NATS_KEY");
    natsStatus status = NATS_OK;
    if (user != NULL && password == NULL)
        status = natsOptions_SetToken(options, user); /* so does NATS' command line */
    else if (user != NULL)
        status = natsOptions_SetUserInfo(options, user, password);
    if (status == NATS_OK && credentials != NULL)
        status = natsOptions_SetUserCredentialsFromFiles(options, credentials, NULL);
    if (status == NATS_OK && authority != NULL)
        status = natsOptions_LoadCATrustedCertificates(options, authority);
    if (status == NATS_OK && certificate != NULL && key != NULL)
        status = natsOptions_LoadCertificatesChain(options, certificate, key);
    return status;
}

/* A connection that is lost is made again, for ever. */
static natsStatus set_times(natsOptions *options)
{
    natsOptions_SetTimeout(options, 2000);
    natsOptions_SetPingInterval(options, 1000);
    natsOptions_SetMaxPingsOut(options, 3);
    natsOptions_SetMaxReconnect(options, -1);
    natsOptions_SetReconnectWait(options, 100);
    natsOptions_SetReconnectJitter(options, 50, 50);
    natsOptions_SetFailRequestsOnDisconnect(options, true);
    return natsOptions_SetSendAsap(options, true);
}

static natsStatus set_callbacks(natsOptions *options,
                                struct cluster_connection *connection)
{
    natsOptions_SetErrorHandler(options, on_error, NULL);
    natsOptions_SetDisconnectedCB(options, on_disconnected, connection);
    natsOptions_SetReconnectedCB(options, on_reconnected, connection);
    return natsOptions_SetClosedCB(options, on_closed, connection);
}

static natsStatus connect_to(struct cluster_connection *connection, const char *url)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = set_servers(options, url);
    if (status == NATS_OK)
        status = set_credentials(options);
    if (status == NATS_OK)
        status = set_times(options);
    if (status == NATS_OK)
        status = set_callbacks(options, connection);
    if (status == NATS_OK)
        status = natsConnection_Connect(&connection->nats, options);
    natsOptions_Destroy(options);
    return status;
}

static int errno_of(natsStatus status)
{
    switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
    case NATS_SSL_ERROR:
        return EACCES;
    case NATS_NO_MEMORY:
        return ENOMEM;
    default:
        return ECONNREFUSED;
    }
}

void connection_init(struct cluster_connection *connection)
{
    *connection = (struct cluster_connection){.lock = PTHREAD_MUTEX_INITIALIZER,
                                              .has_news = PTHREAD_COND_INITIALIZER};
    STAILQ_INIT(&connection->taken);
    STAILQ_INIT(&connection->mails);
}

void connection_destroy(struct cluster_connection *connection)
{
    must(pthread_mutex_destroy(&connection->lock), "pthread_mutex_destroy");
    must(pthread_cond_destroy(&connection->has_news), "pthread_cond_destroy");
}

bool connection_open(struct cluster_connection *connection, const char *url)
{
    random_id(connection->id);
    dl_iterate_phdr(look_for_build, connection->build);
    if (connection->build[0] == '\0') {
        cluster_say("this program has no build ID: link it with -Wl,--build-id");
        errno = ENOEXEC;
        return false;
    }
    if (open_library() != NATS_OK) {
        errno = ENOMEM;
        return false;
    }
    natsStatus status = connect_to(connection, url);
    if (status == NATS_OK) {
        connection->open_ends = 1;
        status = natsConnection_JetStream(&connection->jetstream, connection->nats, NULL);
    }
    if (status == NATS_OK)
        return true;
    cluster_say("cannot connect to %s: %s", cluster_places(url),
                natsStatus_GetText(status));
    connection_close(connection);
    errno = errno_of(status);
    return false;
}

/* The library calls back from its own threads, and may be about to. */
static void wait_for_library(struct cluster_connection *connection)
{
    mutex_lock(&connection->lock);
    while (connection->open_ends > 0)
        cond_wait_until(&connection->has_news, &connection->lock, INFINITY);
    mutex_unlock(&connection->lock);
}

void connection_close(struct cluster_connection *connection)
{
    if (natsConnection_Status(connection->nats) == NATS_CONN_STATUS_CONNECTED)
        natsConnection_FlushTimeout(connection->nats, API_MILLISECONDS);
    natsConnection_Close(connection->nats);
    wait_for_library(connection);
    for (size_t i = 0; i < connection->subscription_count; i++)
        natsSubscription_Destroy(connection->subscriptions[i]);
    jsCtx_Destroy(connection->jetstream);
    natsConnection_Destroy(connection->nats);
    struct mail *mail;
    STAILQ_CONCAT(&connection->taken, &connection->mails);
    while ((mail = STAILQ_FIRST(&connection->taken)) != NULL) {
        STAILQ_REMOVE_HEAD(&connection->taken, entry);
        if (mail->message != NULL)
            mail_free(mail);
    }
    if (connection->is_own)
        close_library();
}

/* ---- Messages ---- */

bool connection_subscribe(struct cluster_connection *connection, const char *subject)
{
    natsSubscription *subscription = NULL;
    if (natsConnection_Subscribe(&subscription, connection->nats, subject, on_message,
                                 connection) != NATS_OK)
        return false;
    mutex_lock(&connection->lock);
    connection->open_ends++;
    mutex_unlock(&connection->lock);
    connection->subscriptions[connection->subscription_count++] = subscription;
    return natsSubscription_SetOnCompleteCB(subscription, on_unsubscribed, connection) ==
               NATS_OK &&
           natsSubscription_SetPendingLimits(subscription, -1, -1) == NATS_OK;
}

size_t connection_longest_message(const struct cluster_connection *connection)
{
    return (size_t)natsConnection_GetMaxPayload(connection->nats);
}

bool connection_send(struct cluster_connection *connection, const char *subject,
                     const char *reply, const void *bytes, size_t length)
{
    natsConnection *nats = connection->nats;
    natsStatus status = NATS_CONNECTION_DISCONNECTED;
    if (length > connection_longest_message(connection)) {
        errno = EMSGSIZE;
        return false;
    }
    if (natsConnection_Status(nats) != NATS_CONN_STATUS_CONNECTED)
        ; /* the library would keep it until later */
    else if (reply == NULL)
        status = natsConnection_Publish(nats, subject, bytes, (int)length);
    else
        status = natsConnection_PublishRequest(nats, subject, reply, bytes, (int)length);
    errno = ENOTCONN;
    return status == NATS_OK;
}

/* ---- JetStream ---- */

static jsOptions api_options(void)
{
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = API_MILLISECONDS;
    return options;
}

/* Whether it has been made. A stream of that name may be there already, with bounds that
   somebody has set: then that is ours. */
static bool add_stream(struct cluster_connection *connection, int replicas)
{
    const char *subjects[] = {"executor.tasks.>"};
    jsOptions options = api_options();
    jsErrCode error = 0;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = STREAM;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Retention = js_WorkQueuePolicy;
    config.Storage = js_MemoryStorage;
    config.Discard = js_DiscardNew; /* a full stream says so, and loses nothing */
    config.Replicas = replicas;
    natsStatus status =
        js_AddStream(NULL, connection->jetstream, &config, &options, &error);
    return status == NATS_OK || error == JSStreamNameExistErr;
}

bool connection_make_stream(struct cluster_connection *connection)
{
    return (!connection->is_own && add_stream(connection, REPLICAS)) ||
           add_stream(connection, 1);
}

bool connection_make_consumer(struct cluster_connection *connection)
{
    char filter[LONGEST_SUBJECT];
    jsOptions options = api_options();
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    snprintf(filter, sizeof(filter), "executor.tasks.%s.*", connection->build);
    config.Durable = connection->build;
    config.FilterSubject = filter;
    config.AckPolicy = js_AckExplicit;
    config.AckWait = (int64_t)(CLUSTER_LEASE * 1e9);
    config.MaxDeliver = -1; /* the hosts count */
    config.MaxAckPending = MOST_UNACKNOWLEDGED;
    config.MaxWaiting = MOST_WAITING_PULLS;
    config.InactiveThreshold = (int64_t)(forget_build_after * 1e9);
    return js_AddConsumer(NULL, connection->jetstream, STREAM, &config, &options, NULL) ==
           NATS_OK;
}

bool connection_pull(struct cluster_connection *connection, const char *inbox,
                     size_t count, double seconds)
{
    char subject[LONGEST_SUBJECT];
    char request[100];
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT." STREAM ".%s",
             connection->build);
    int length = snprintf(request, sizeof(request), "{\"batch\":%zu,\"expires\":%.0f}",
                          count, seconds * 1e9);
    return connection_send(connection, subject, inbox, request, (size_t)length);
}

void connection_tasks_subject(const struct cluster_connection *connection,
                              const char *submitter, char subject[LONGEST_SUBJECT])
{
    snprintf(subject, LONGEST_SUBJECT, "executor.tasks.%s.%s", connection->build,
             submitter);
}

/* One by one: a server that purges a subject (js_PurgeStream, nats-server 2.9) has the
   consumer skip all that is in the stream, the tasks of other submitters too. */
bool connection_purge(struct cluster_connection *connection, const char *submitter)
{
    char subject[LONGEST_SUBJECT];
    jsOptions options = api_options();
    natsStatus status = NATS_OK;
    connection_tasks_subject(connection, submitter, subject);
    while (status == NATS_OK) {
        natsMsg *message = NULL;
        status = js_GetLastMsg(&message, connection->jetstream, STREAM, subject, &options,
                               NULL);
        if (status == NATS_OK)
            status = js_DeleteMsg(connection->jetstream, STREAM,
                                  natsMsg_GetSequence(message), &options, NULL);
        natsMsg_Destroy(message);
    }
    return status == NATS_NOT_FOUND;
}

long connection_count(struct cluster_connection *connection, const char *submitter)
{
    char subject[LONGEST_SUBJECT];
    jsOptions options = api_options();
    jsStreamInfo *info = NULL;
    jsErrCode error = 0;
    connection_tasks_subject(connection, submitter, subject);
    options.Stream.Info.SubjectsFilter = subject;
    natsStatus status =
        js_GetStreamInfo(&info, connection->jetstream, STREAM, &options, &error);
    if (status != NATS_OK)
        return error == JSStreamNotFoundErr || status == NATS_NOT_FOUND ? -2 : -1;
    const jsStreamStateSubjects *subjects = info->State.Subjects;
    long count =
        subjects == NULL || subjects->Count == 0 ? 0 : (long)subjects->List[0].Msgs;
    jsStreamInfo_Destroy(info);
    return count;
}
