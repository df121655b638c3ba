/*
 * Peers, and floors: a NATS server by itself. The program starts one, with the settings
 * that the cluster executor gives to a server of its own.
 *
 *     nats stream COUNT     seconds for COUNT messages, as long as our tasks, through a
 *                           work-queue stream in memory: one connection publishes them
 *                           (js_PublishAsync), two processes pull batches of them from
 *                           one durable consumer, and acknowledge each
 *     nats request COUNT    seconds for a request and its reply, the median of COUNT, one
 *                           after the other; another process replies
 *     nats start COUNT      seconds from the server's start until a client is connected,
 *                           the median of COUNT
 */
#include "../common.h"

#include "monotonic.h"

#include <errno.h>
#include <nats/nats.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PULLERS = 2,
    BATCH = 256,
    WARM_UP = 1000,
    MESSAGE_BYTES = 53, /* a task of ours with 20 bytes */
    PATH_BYTES = 200,
    MILLISECONDS = 10000, /* to wait for anything */
};

static const char message[MESSAGE_BYTES];

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        fail("%s: %s", what, natsStatus_GetText(status));
}

/* ---- The server ---- */

struct server {
    pid_t pid;
    char folder[PATH_BYTES];
    char url[64];
};

static pid_t fork_child(void)
{
    pid_t child = fork();
    if (child < 0)
        fail("cannot fork: %s", strerror(errno));
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

static void write_configuration(const struct server *server, const char *path)
{
    FILE *file = fopen(path, "wx");
    if (file == NULL)
        fail("cannot write %s: %s", path, strerror(errno));
    fprintf(file,
            "listen: \"127.0.0.1:-1\"\n"
            "ports_file_dir: \"%s\"\n"
            "log_file: \"%s/log\"\n"
            "jetstream { store_dir: \"%s\" }\n",
            server->folder, server->folder, server->folder);
    fclose(file);
}

/* Returns whether the server has written which port it listens on. */
static int read_port(const struct server *server)
{
    char path[2 * PATH_BYTES];
    int port = 0;
    snprintf(path, sizeof(path), "%s/nats-server_%d.ports", server->folder,
             (int)server->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "{\"nats\":[\"nats://127.0.0.1:%d", &port) != 1)
        port = 0;
    if (file != NULL)
        fclose(file);
    return port;
}

static void start_server(struct server *server)
{
    char path[2 * PATH_BYTES];
    int port = 0;
    const char *parent = getenv("TMPDIR");
    snprintf(server->folder, sizeof(server->folder), "%s/bench-XXXXXX",
             parent == NULL ? "/tmp" : parent);
    if (mkdtemp(server->folder) == NULL)
        fail("mkdtemp: %s", strerror(errno));
    snprintf(path, sizeof(path), "%s/configuration", server->folder);
    write_configuration(server, path);
    server->pid = fork_child();
    if (server->pid == 0) {
        execlp("nats-server", "nats-server", "--config", path, NULL);
        execl("/usr/sbin/nats-server", "nats-server", "--config", path, NULL);
        fail("cannot run nats-server: %s", strerror(errno));
    }
    for (int i = 0; port == 0 && i < MILLISECONDS; i++) {
        if (waitpid(server->pid, NULL, WNOHANG) != 0)
            fail("nats-server has ended");
        usleep(1000);
        port = read_port(server);
    }
    snprintf(server->url, sizeof(server->url), "nats://127.0.0.1:%d", port);
}

/* It needs none any more when it runs; so nothing is left of it, however we end. */
static void remove_folder(const struct server *server)
{
    char command[PATH_BYTES + 20];
    snprintf(command, sizeof(command), "rm -rf '%s'", server->folder);
    if (system(command) != 0)
        fail("cannot remove %s", server->folder);
}

static void stop_server(const struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

/* Either it sends each message at once, or it waits for a moment for others to send with
   it, as libnats does if it is told nothing. */
static natsConnection *connect_to(const struct server *server, bool sends_at_once)
{
    natsOptions *options = NULL;
    natsConnection *nats = NULL;
    check(natsOptions_Create(&options), "natsOptions_Create");
    check(natsOptions_SetURL(options, server->url), "natsOptions_SetURL");
    check(natsOptions_SetSendAsap(options, sends_at_once), "natsOptions_SetSendAsap");
    check(natsConnection_Connect(&nats, options), "natsConnection_Connect");
    natsOptions_Destroy(options);
    return nats;
}

static jsCtx *jetstream_of(natsConnection *nats)
{
    jsCtx *jetstream = NULL;
    check(natsConnection_JetStream(&jetstream, nats, NULL), "natsConnection_JetStream");
    return jetstream;
}

/* What processes have in common. */
struct shared {
    sem_t is_there; /* the stream is; the one that answers is */
    sem_t all_done;
    atomic_size_t done;
    atomic_size_t wanted;
};

static struct shared *share(void)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || sem_init(&shared->is_there, 1, 0) != 0 ||
        sem_init(&shared->all_done, 1, 0) != 0)
        fail("no shared memory: %s", strerror(errno));
    return shared;
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

/* ---- Messages through a stream ---- */

static void make_stream(jsCtx *jetstream)
{
    const char *subjects[] = {"tasks.>"};
    jsStreamConfig stream;
    jsConsumerConfig consumer;
    jsStreamConfig_Init(&stream);
    stream.Name = "TASKS";
    stream.Subjects = subjects;
    stream.SubjectsLen = 1;
    stream.Retention = js_WorkQueuePolicy;
    stream.Storage = js_MemoryStorage;
    check(js_AddStream(NULL, jetstream, &stream, NULL, NULL), "js_AddStream");
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = "workers";
    consumer.AckPolicy = js_AckExplicit;
    consumer.MaxAckPending = 100000;
    check(js_AddConsumer(NULL, jetstream, "TASKS", &consumer, NULL, NULL),
          "js_AddConsumer");
}

_Noreturn static void pull(const struct server *server, struct shared *shared)
{
    natsSubscription *tasks = NULL;
    jsSubOptions options;
    wait_for(&shared->is_there);
    jsSubOptions_Init(&options);
    options.Stream = "TASKS";
    options.Consumer = "workers";
    check(js_PullSubscribe(&tasks, jetstream_of(connect_to(server, false)), "tasks.>",
                           "workers", NULL, &options, NULL),
          "js_PullSubscribe");
    for (;;) {
        natsMsgList list = {0};
        natsStatus status =
            natsSubscription_Fetch(&list, tasks, BATCH, MILLISECONDS, NULL);
        if (status == NATS_TIMEOUT)
            continue;
        check(status, "natsSubscription_Fetch");
        for (int i = 0; i < list.Count; i++) {
            if (natsMsg_GetDataLength(list.Msgs[i]) != MESSAGE_BYTES)
                fail("a message is not what was sent");
            check(natsMsg_Ack(list.Msgs[i], NULL), "natsMsg_Ack");
            if (atomic_fetch_add(&shared->done, 1) + 1 == atomic_load(&shared->wanted))
                sem_post(&shared->all_done);
        }
        natsMsgList_Destroy(&list);
    }
}

static double seconds(jsCtx *jetstream, struct shared *shared, size_t count)
{
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = MILLISECONDS;
    atomic_store(&shared->done, 0);
    atomic_store(&shared->wanted, count);
    double begin = monotonic_seconds();
    for (size_t i = 0; i < count; i++)
        check(js_PublishAsync(jetstream, "tasks.all", message, MESSAGE_BYTES, NULL),
              "js_PublishAsync");
    check(js_PublishAsyncComplete(jetstream, &options), "js_PublishAsyncComplete");
    wait_for(&shared->all_done);
    return monotonic_seconds() - begin;
}

static double stream(size_t count)
{
    struct server server;
    struct shared *shared = share();
    pid_t pullers[PULLERS];
    start_server(&server);
    remove_folder(&server);
    for (size_t i = 0; i < PULLERS; i++) {
        pullers[i] = fork_child();
        if (pullers[i] == 0)
            pull(&server, shared);
    }
    jsCtx *jetstream = jetstream_of(connect_to(&server, false));
    make_stream(jetstream);
    for (size_t i = 0; i < PULLERS; i++)
        sem_post(&shared->is_there);
    seconds(jetstream, shared, count < WARM_UP ? count : WARM_UP);
    double took = seconds(jetstream, shared, count);
    for (size_t i = 0; i < PULLERS; i++)
        kill(pullers[i], SIGKILL);
    stop_server(&server);
    return took;
}

/* ---- A request and its reply ---- */

static void on_request(natsConnection *nats, natsSubscription *subscription,
                       natsMsg *request, void *context)
{
    (void)subscription;
    (void)context;
    check(natsConnection_Publish(nats, natsMsg_GetReply(request),
                                 natsMsg_GetData(request),
                                 natsMsg_GetDataLength(request)),
          "natsConnection_Publish");
    natsMsg_Destroy(request);
}

_Noreturn static void reply(const struct server *server, struct shared *shared)
{
    natsSubscription *requests = NULL;
    natsConnection *nats = connect_to(server, true);
    check(natsConnection_Subscribe(&requests, nats, "requests", on_request, NULL),
          "natsConnection_Subscribe");
    check(natsConnection_Flush(nats), "natsConnection_Flush");
    sem_post(&shared->is_there);
    for (;;)
        pause();
}

static double there_and_back(natsConnection *nats)
{
    natsMsg *answer = NULL;
    double begin = monotonic_seconds();
    check(natsConnection_Request(&answer, nats, "requests", message, MESSAGE_BYTES,
                                 MILLISECONDS),
          "natsConnection_Request");
    double end = monotonic_seconds();
    natsMsg_Destroy(answer);
    return end - begin;
}

static double request(size_t count)
{
    struct server server;
    struct shared *shared = share();
    double *times = resident_memory(count * sizeof(*times));
    start_server(&server);
    remove_folder(&server);
    pid_t replier = fork_child();
    if (replier == 0)
        reply(&server, shared);
    wait_for(&shared->is_there);
    natsConnection *nats = connect_to(&server, true);
    for (size_t i = 0; i < WARM_UP && i < count; i++)
        there_and_back(nats);
    for (size_t i = 0; i < count; i++)
        times[i] = there_and_back(nats);
    kill(replier, SIGKILL);
    stop_server(&server);
    double time = median(times, count);
    free(times);
    return time;
}

/* ---- Starting ---- */

static double start(size_t count)
{
    double *times = resident_memory(count * sizeof(*times));
    for (size_t i = 0; i < count; i++) {
        struct server server;
        double begin = monotonic_seconds();
        start_server(&server);
        natsConnection *nats = connect_to(&server, true);
        times[i] = monotonic_seconds() - begin;
        natsConnection_Destroy(nats);
        remove_folder(&server);
        stop_server(&server);
    }
    double time = median(times, count);
    free(times);
    return time;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t count = number_at(argc, argv, 2, 0);
    if (strcmp(what, "stream") == 0)
        print_number(stream(count));
    else if (strcmp(what, "request") == 0)
        print_number(request(count));
    else if (strcmp(what, "start") == 0)
        print_number(start(count));
    else
        fail("usage: nats stream|request|start COUNT");
}
