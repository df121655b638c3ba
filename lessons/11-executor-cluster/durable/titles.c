/*
 * The titles of URLs that outlive the program that submits them, without futures: the
 * URLs are in a stream, the titles in a key-value store, both on the NATS server's disk.
 *
 *     FROM=lessons/11-executor-cluster/durable TO=build/titles make program
 *     NATS_URL=nats://HOST build/titles submit <urls
 *     NATS_URL=nats://HOST build/titles work
 *     NATS_URL=nats://HOST build/titles print
 */
#include "http.h"
#include "title.h"

#include <inttypes.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_URL = 2000, LONGEST_LINE = 5000 };

static jsCtx *stream;
static kvStore *titles;

static void must(natsStatus status)
{
    if (status == NATS_OK)
        return;
    nats_PrintLastErrorStack(stderr);
    exit(EXIT_FAILURE);
}

/* Makes the stream and the store, unless they are there. */
static void open_all(const char *address)
{
    natsConnection *nats;
    jsStreamConfig urls;
    kvConfig bucket;
    jsStreamConfig_Init(&urls);
    urls.Name = "URLS";
    urls.Subjects = (const char *[]){"urls"};
    urls.SubjectsLen = 1;
    urls.Retention = js_WorkQueuePolicy; /* an acknowledged message is deleted */
    kvConfig_Init(&bucket);
    bucket.Bucket = "titles";
    must(natsConnection_ConnectTo(&nats, address));
    must(natsConnection_JetStream(&stream, nats, NULL));
    must(js_AddStream(NULL, stream, &urls, NULL, NULL));
    must(js_CreateKeyValue(&titles, stream, &bucket));
}

static void submit(void)
{
    char url[LONGEST_URL];
    while (fgets(url, sizeof(url), stdin) != NULL)
        must(js_PublishAsync(stream, "urls", url, (int)strcspn(url, "\n"), NULL));
    must(js_PublishAsyncComplete(stream, NULL));
}

/* Stores the title under the message's number: a second time it changes nothing. */
static void fetch(natsMsg *message)
{
    jsMsgMetaData *about;
    char key[32], url[LONGEST_URL], line[LONGEST_LINE];
    must(natsMsg_GetMetaData(&about, message));
    snprintf(key, sizeof(key), "%" PRIu64, about->Sequence.Stream);
    snprintf(url, sizeof(url), "%.*s", natsMsg_GetDataLength(message),
             natsMsg_GetData(message));
    struct result title = get_title(url);
    snprintf(line, sizeof(line), "%s\t%s", url, title.text);
    must(kvStore_PutString(NULL, titles, key, line));
    must(natsMsg_AckSync(message, NULL, NULL));
    result_free(&title);
    jsMsgMetaData_Destroy(about);
}

/* Until no URL has come for two seconds. */
static void work(void)
{
    natsSubscription *queue;
    natsMsgList messages;
    must(js_PullSubscribe(&queue, stream, "urls", "workers", NULL, NULL, NULL));
    while (natsSubscription_Fetch(&messages, queue, 1, 2000, NULL) == NATS_OK) {
        fetch(messages.Msgs[0]);
        natsMsgList_Destroy(&messages);
    }
}

static void print(void)
{
    kvWatcher *all;
    kvEntry *entry;
    must(kvStore_WatchAll(&all, titles, NULL));
    while (kvWatcher_Next(&entry, all, 2000) == NATS_OK && entry != NULL) {
        puts(kvEntry_ValueString(entry));
        kvEntry_Destroy(entry);
    }
}

int main(int argc, char *argv[])
{
    const char *what = argc == 2 ? argv[1] : "";
    http_open(30, NULL);
    open_all(getenv("NATS_URL"));
    if (strcmp(what, "submit") == 0)
        submit();
    else if (strcmp(what, "work") == 0)
        work();
    else
        print();
    return EXIT_SUCCESS;
}
