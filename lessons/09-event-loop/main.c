/*
 * Lesson 9: an event loop. One thread has a thousand transfers under way: it waits for
 * all of them at once, and does for each what can be done now.
 *
 *     make
 *     build/09-event-loop --workers 1000 http://example.org/ http://example.com/
 */
#include "arguments.h"
#include "die.h"
#include "http.h"
#include "memory.h"
#include "report.h"
#include "title.h"
#include "worker.h"

#include <curl/curl.h>

/* A page that is under way. */
struct slot {
    size_t number;
    const char *url;
    struct title_transfer *transfer;
};

struct loop {
    CURLM *multi;
    char **urls; /* of the pages that have not begun */
    size_t url_count;
    size_t under_way;
};

/* Ends the program if a call of curl_multi has failed. */
static void check(CURLMcode code, const char *call)
{
    if (code != CURLM_OK)
        die("%s: %s", call, curl_multi_strerror(code));
}

/* Begins the next page in the slot, if there is one. */
static void begin(struct loop *loop, struct slot *slot)
{
    if (loop->url_count == 0)
        return;
    slot->url = *loop->urls++;
    loop->url_count--;
    loop->under_way++;
    worker_set_name("loop", slot->number);
    report_begin(slot->url);
    slot->transfer = require_memory(title_begin(slot->url));
    CURL *handle = title_handle(slot->transfer);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, slot);
    check(curl_multi_add_handle(loop->multi, handle), "curl_multi_add_handle");
}

/* A transfer is done: prints the title, and begins the next page in its slot. */
static void end(struct loop *loop, CURL *handle, CURLcode code)
{
    struct slot *slot;
    curl_easy_getinfo(handle, CURLINFO_PRIVATE, &slot);
    check(curl_multi_remove_handle(loop->multi, handle), "curl_multi_remove_handle");
    struct result title = title_end(slot->transfer, code);
    report_page(slot->url, &title);
    result_free(&title);
    loop->under_way--;
    begin(loop, slot);
}

/* Goes on with each transfer as far as it can without waiting. */
static void go_on(struct loop *loop)
{
    int unused;
    CURLMsg *message;
    check(curl_multi_perform(loop->multi, &unused), "curl_multi_perform");
    while ((message = curl_multi_info_read(loop->multi, &unused)) != NULL)
        end(loop, message->easy_handle, message->data.result);
}

/* Fetches the pages, at most `slot_count` at once, and prints each when it arrives. */
static void fetch_all(char *urls[], size_t count, size_t slot_count)
{
    struct slot *slots = allocate(slot_count, sizeof(*slots));
    struct loop loop = {.urls = urls, .url_count = count};
    loop.multi = require_memory(curl_multi_init());
    for (size_t i = 0; i < slot_count; i++) {
        slots[i].number = i + 1;
        begin(&loop, &slots[i]);
    }
    while (loop.under_way > 0) {
        check(curl_multi_poll(loop.multi, NULL, 0, 1000, NULL), "curl_multi_poll");
        go_on(&loop);
    }
    check(curl_multi_cleanup(loop.multi), "curl_multi_cleanup");
    free(slots);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITH_LOOP);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);

    fetch_all(arguments.urls, arguments.url_count, arguments.workers);

    http_close();
    arguments_free(&arguments);
    return report_close();
}
