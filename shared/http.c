#include "http.h"

#include "fiber.h"
#include "http_loop.h"
#include "monotonic.h"
#include "unpack.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <linux/tcp.h>
#include <locale.h>
#include <math.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define USER_AGENT "one-program-ten-lessons/1.0"

enum {
    READ_AHEAD = 32 * 1024,   /* what the kernel may receive before we have read it */
    READ_AT_ONCE = 64 * 1024, /* and what we read of it: all, as each piece costs */
    READ_AT_ONCE_IN_LOOP = 16 * 1024, /* where there may be thousands of buffers */
    UNPACKED_STEP = 16 * 1024, /* what is unpacked between two looks at the clock */
    MOST_LEFT = 64 * 1024,     /* of a page that nobody wants, and is read to its end */
    /* Each of these is below a limit of libcurl's, of which it tells in other words. */
    LONGEST_URL = 1000 * 1000,
    MOST_HEADER_BYTES = 256 * 1024, /* of all responses to one GET, and their trailers */
    MOST_HEADER_LINES = 1000,
};

/* Nor may that take longer, in seconds. */
static const double most_seconds_left = 0.5;

static const char unasked_coding[] =
    "packed by a Transfer-Encoding that nobody asked for";

static const char cut_header[] = "the connection closed in the middle of the header";

static double time_limit;
static const char *certificate_file;
static CURLcode libcurl_status = CURLE_FAILED_INIT;
static pthread_key_t client_key;

/* What a thread keeps from one GET to the next; in the loop of a fiber, what one of its
   transfers does. */
struct client {
    CURL *curl;
    struct curl_slist *headers;
    pid_t owner;
    int socket_error;         /* why socket(2) failed in the last GET, or 0 */
    struct sockets *sockets;  /* of all its connections; NULL: none is used again */
    size_t socket_count;      /* that it has opened, and that are open */
    size_t opened;            /* since the last request was sent */
    uint64_t received;        /* bytes, on the socket that was closed last */
    bool has_ended;           /* it only waits for its last socket to be closed */
    struct transfer transfer; /* in the loop of a fiber */
};

/* A client that is the parent's: left alone, and kept here so that a leak checker sees
   that it is not lost. Nobody reads it, hence volatile. */
static struct client *volatile inherited_client;

struct request {
    struct client *client;
    http_receive *receive;
    void *context;
    double deadline;
    bool has_enough;
    double enough_since; /* when it had (monotonic.h) */
    const char *refusal; /* why we have ended the transfer, or NULL */
    bool is_late;        /* the same, for the time limit */

    size_t header_bytes;
    size_t header_lines;
    bool in_header; /* its end has not come */
    long redirects; /* that had been followed when it began */
    long followed;  /* redirects, before libcurl was asked to go on (go_on()) */

    bool in_body;
    curl_off_t body_bytes; /* as they came */
    char *content_type;
    struct unpacker *unpacker; /* NULL: the body is not packed */

    long sent_to;    /* where the last request went: to which redirect; -1: to none */
    bool is_unasked; /* something had come over its connection by then */
};

static void free_client(void *pointer)
{
    struct client *client = pointer;
    if (client == NULL)
        return;
    if (client->owner != getpid()) {
        inherited_client = client;
        return;
    }
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    if (client->transfer.shard == NULL)
        free(client->sockets);
    client->has_ended = true;
    if (client->socket_count == 0)
        free(client);
}

static void lift_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* if not, the old limit stands */
    }
}

void http_open(double timeout, const char *certificates)
{
    time_limit = timeout;
    certificate_file = certificates;
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "C.UTF-8"); /* of host names; without it, ASCII ones alone work */
    lift_descriptor_limit();
    if (pthread_key_create(&client_key, free_client) == 0)
        libcurl_status = curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_close(void)
{
    if (libcurl_status != CURLE_OK)
        return;
    free_client(pthread_getspecific(client_key));
    pthread_key_delete(client_key);
    curl_global_cleanup();
    libcurl_status = CURLE_FAILED_INIT;
}

static long milliseconds(double seconds)
{
    /* 0 would mean "for ever". */
    return (long)ceil(seconds * 1000);
}

/* The last response's header of that name: the values of all its lines, joined by commas
   as RFC 9110, 5.3, has it. Returns memory that the caller frees, or NULL. */
static char *joined_header(CURL *curl, const char *name)
{
    struct curl_header *header;
    char *joined = strdup("");
    for (size_t i = 0; joined != NULL && curl_easy_header(curl, name, i, CURLH_HEADER, -1,
                                                          &header) == CURLHE_OK;
         i++) {
        char *longer = NULL;
        if (asprintf(&longer, "%s%s%s", joined, i > 0 ? ", " : "", header->value) < 0)
            longer = NULL;
        free(joined);
        joined = longer;
    }
    return joined;
}

/* Notes what the header says about the body. Returns false if the body is refused. */
static bool begin_body(struct request *request)
{
    CURL *curl = request->client->curl;
    char *content_encoding = joined_header(curl, "Content-Encoding");
    enum coding coding = CODING_NONE;
    request->in_body = true;
    request->content_type = joined_header(curl, "Content-Type");
    if (content_encoding != NULL)
        coding = coding_from_header(content_encoding);
    if (coding == CODING_SEVERAL)
        request->refusal = "packed more than once";
    else if (coding != CODING_NONE)
        request->unpacker = unpacker_new(coding);
    bool is_out_of_memory = request->content_type == NULL || content_encoding == NULL ||
                            (coding != CODING_NONE && request->unpacker == NULL);
    if (request->refusal == NULL && is_out_of_memory)
        request->refusal = "out of memory";
    free(content_encoding);
    return request->refusal == NULL;
}

/* In the loop of a fiber: what has come for it may have taken long, and the rest of a
   page that nobody wants may not. */
static void note_in_loop(struct request *request, double since)
{
    struct transfer *transfer = &request->client->transfer;
    double now = monotonic_seconds();
    fiber_took(transfer->fiber, now - since);
    if (request->has_enough)
        transfer_set_deadline(transfer, fmin(request->deadline, now + most_seconds_left));
}

/* Hands a piece on, unless the receiver has had enough. */
static void hand_on(struct request *request, const char *bytes, size_t length)
{
    struct http_piece piece = {request->content_type, bytes, length, time_limit,
                               request->deadline};
    bool is_in_loop = request->client->transfer.shard != NULL && length > 0;
    if (request->has_enough)
        return;
    double since = is_in_loop ? monotonic_seconds() : 0;
    request->has_enough = !request->receive(request->context, &piece);
    if (request->has_enough)
        request->enough_since = monotonic_seconds();
    if (is_in_loop)
        note_in_loop(request, since);
}

/* Whether the transfer has been refused; it is when the time is over. */
static bool is_refused(struct request *request)
{
    request->is_late = monotonic_seconds() >= request->deadline;
    return request->is_late || request->refusal != NULL;
}

/* Unpacks a piece and hands it on. The clock of libcurl stands still meanwhile, so we
   look at ours after each step. */
static void unpack(struct request *request, const char *bytes, size_t length)
{
    char unpacked[UNPACKED_STEP];
    struct packed packed = {bytes, length};
    size_t made;
    do {
        if (!unpacker_step(request->unpacker, &packed, unpacked, sizeof(unpacked), &made))
            request->refusal = "the page cannot be unpacked";
        else if (made > 0)
            hand_on(request, unpacked, made);
    } while (made == sizeof(unpacked) && !request->has_enough && !is_refused(request));
}

static bool has_waited(const struct request *request)
{
    return monotonic_seconds() - request->enough_since > most_seconds_left;
}

/* Whether to read the rest of a page of which nobody wants more. Only then can the
   connection be used again, and a new one costs more than a few bytes. So they must be
   few, and come soon. */
static bool is_worth_reading_on(const struct request *request)
{
    curl_off_t announced = -1;
    curl_easy_getinfo(request->client->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
                      &announced);
    return announced >= 0 && announced - request->body_bytes <= MOST_LEFT &&
           !has_waited(request);
}

/* libcurl calls this with each piece of the body, packed as it came. To return less than
   was given ends the transfer. */
static size_t on_piece(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t length = size * count;
    if (is_refused(request) || (!request->in_body && !begin_body(request)))
        return 0;
    request->body_bytes += (curl_off_t)length;
    if (request->unpacker != NULL && !request->has_enough)
        unpack(request, bytes, length);
    else
        hand_on(request, bytes, length);
    if (request->has_enough)
        return is_worth_reading_on(request) ? length : 0;
    return is_refused(request) ? 0 : length;
}

/* libcurl calls this whenever something has come, and once a second if nothing does. To
   return other than 0 ends the transfer. */
static int on_progress(void *context, curl_off_t download_total, curl_off_t downloaded,
                       curl_off_t upload_total, curl_off_t uploaded)
{
    (void)download_total, (void)downloaded, (void)upload_total, (void)uploaded;
    const struct request *request = context;
    return request->has_enough && has_waited(request);
}

/* The body has ended; without one, only the header has. */
static void end_body(void *context)
{
    struct request *request = context;
    if (request->in_header)
        request->refusal = cut_header;
    else if (request->unpacker != NULL && !unpacker_is_at_end(request->unpacker))
        request->refusal = "the connection closed in the middle of the page";
    else if (!is_refused(request) && (request->in_body || begin_body(request)))
        hand_on(request, NULL, 0);
}

static long count_redirects(const struct request *request)
{
    long redirects = 0;
    curl_easy_getinfo(request->client->curl, CURLINFO_REDIRECT_COUNT, &redirects);
    return request->followed + redirects;
}

static bool begins_with(const char *line, size_t length, const char *beginning)
{
    return length >= strlen(beginning) &&
           strncasecmp(line, beginning, strlen(beginning)) == 0;
}

/* Notes where each header begins and ends. A header that does not end is cut; then
   libcurl may follow its redirect all the same. */
static void find_header_end(struct request *request, const char *line, size_t length)
{
    long redirects = count_redirects(request);
    if (request->in_header && redirects != request->redirects)
        request->refusal = cut_header;
    else if (length <= 2 && line[length - 1] == '\n' && (line[0] == '\r' || length == 1))
        request->in_header = false;
    else if (!request->in_body && begins_with(line, length, "HTTP/"))
        request->in_header = true;
    request->redirects = redirects;
}

/* Whether the line has the body packed for the transfer alone, which nobody has asked
   for. libcurl would unpack it, as often as the line says, and would not look at the
   clock. */
static bool is_packed_for_transfer(const char *line, size_t length)
{
    static const char name[] = "Transfer-Encoding:";
    static const char separators[] = ", \t\r\n";
    if (!begins_with(line, length, name))
        return false;
    const char *coding = line + strlen(name);
    const char *end = line + length;
    while (coding < end) {
        size_t word = 0;
        while (coding + word < end && strchr(separators, coding[word]) == NULL)
            word++;
        if (word > 0 && !(word == 7 && strncasecmp(coding, "chunked", 7) == 0) &&
            !(word == 8 && strncasecmp(coding, "identity", 8) == 0))
            return true;
        coding += word + 1;
    }
    return false;
}

static float seconds_until(CURL *curl, CURLINFO timer)
{
    curl_off_t microseconds = 0;
    curl_easy_getinfo(curl, timer, &microseconds);
    return (float)microseconds / 1e6F;
}

/* How many bytes have come in on the socket since it was opened, and are acknowledged. */
static uint64_t bytes_received(curl_socket_t descriptor)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_bytes_received;
}

/* Whether bytes have come that nobody has read, or the end of the connection. */
static bool has_unread_bytes(curl_socket_t descriptor)
{
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* Whether OpenSSL has read some that libcurl has not: it reads a whole record at once. */
static bool has_unread_record(CURL *curl)
{
    struct curl_tlssessioninfo *tls = NULL;
    return curl_easy_getinfo(curl, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK &&
           tls != NULL && tls->backend == CURLSSLBACKEND_OPENSSL &&
           tls->internals != NULL && SSL_has_pending(tls->internals) == 1;
}

/* libcurl calls this when there is a connection, before it sends the request. On one that
   was used before, what is there by now is no answer to it: a server that sends more than
   it was asked for could give one page the title of another. */
static int before_request(void *context, char *server, char *here, int server_port,
                          int port)
{
    (void)here;
    struct request *request = context;
    struct client *client = request->client;
    if (client->transfer.shard != NULL)
        transfer_has_looked_up(&client->transfer); /* or had no need to */
    bool is_used = client->opened == 0;
    client->opened = 0;
    request->sent_to = count_redirects(request);
    request->is_unasked =
        is_used &&
        (has_unread_bytes(sockets_find(client->sockets, port, server, server_port)) ||
         has_unread_record(client->curl));
    return request->is_unasked ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* libcurl calls this with each line of a header or trailer. To return less than was given
   ends the transfer. It keeps them all, so there must not be too many. */
static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct request *request = context;
    size_t length = size * count;
    request->header_bytes += length;
    request->header_lines++;
    find_header_end(request, line, length);
    if (request->header_bytes > MOST_HEADER_BYTES ||
        request->header_lines > MOST_HEADER_LINES)
        request->refusal = "too many headers";
    else if (is_packed_for_transfer(line, length))
        request->refusal = unasked_coding;
    return request->refusal == NULL ? length : 0;
}

/* libcurl calls this for a socket. By itself it would not say what went wrong: that there
   are no descriptors left, for instance. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    (void)purpose;
    struct client *client = context;
    if (client->transfer.shard != NULL) {
        transfer_has_looked_up(&client->transfer);
        if (client->transfer.fiber == NULL)
            return CURL_SOCKET_BAD;
    }
    client->opened++;
    int type = address->socktype | SOCK_CLOEXEC;
    int descriptor = socket(address->family, type, address->protocol);
    if (descriptor < 0) {
        client->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    /* The kernel reads ahead of us, and a title comes early: no more than we may need. If
       it cannot be set, more is read. */
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &(int){READ_AHEAD}, sizeof(int));
    client->socket_count++;
    if (client->sockets != NULL)
        sockets_add(client->sockets, descriptor);
    return descriptor;
}

/* And this to close it. A loop may do that when the transfer has long ended. */
static int close_socket(void *context, curl_socket_t descriptor)
{
    struct client *client = context;
    client->received = bytes_received(descriptor);
    client->socket_count--;
    if (client->sockets != NULL)
        sockets_remove(client->sockets, descriptor);
    if (client->has_ended && client->socket_count == 0)
        free(client);
    return close(descriptor);
}

/* Sets all that is the same for every page. Returns whether it could. */
static bool set_options(struct client *client)
{
    CURL *curl = client->curl;
    unsigned failed = 0;
    failed |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(curl, CURLOPT_DEFAULT_PROTOCOL, "http");
    failed |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    failed |= curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    failed |= curl_easy_setopt(curl, CURLOPT_COOKIEFILE, ""); /* cookies, but no file */
    failed |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    failed |= curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT);
    failed |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(time_limit));
    failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* threads */
    failed |= curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    failed |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_piece);
    failed |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    failed |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    failed |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    failed |= curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)READ_AT_ONCE);
    failed |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    failed |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, client);
    failed |= curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    failed |= curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, client);
    failed |= curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_request);
    if (certificate_file != NULL) {
        failed |= curl_easy_setopt(curl, CURLOPT_CAINFO, certificate_file);
        /* Nor does the system's folder count. Where TLS has none, this fails: all right.
           */
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    return failed == 0;
}

/* What each request says besides. libcurl would unpack only what it had asked for itself,
   so it leaves that to us. Returns NULL without memory. */
static struct curl_slist *new_headers(void)
{
    static const char *const lines[] = {
        "Accept: text/html, application/xhtml+xml",
        "Accept-Encoding: gzip, deflate, br, zstd",
    };
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *longer = curl_slist_append(headers, lines[i]);
        if (longer == NULL) {
            curl_slist_free_all(headers);
            return NULL;
        }
        headers = longer;
    }
    return headers;
}

static struct client *new_client(void)
{
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->owner = getpid();
    client->headers = new_headers();
    client->curl = curl_easy_init();
    if (client->headers == NULL || client->curl == NULL || !set_options(client)) {
        free_client(client);
        return NULL;
    }
    return client;
}

/* The calling thread's client. */
static struct client *own_client(void)
{
    struct client *client = pthread_getspecific(client_key);
    if (client != NULL && client->owner == getpid())
        return client;
    if (client != NULL)
        inherited_client = client;
    client = new_client();
    if (client == NULL)
        return NULL;
    client->sockets = calloc(1, sizeof(*client->sockets));
    if (client->sockets == NULL || pthread_setspecific(client_key, client) != 0) {
        free_client(client);
        return NULL;
    }
    return client;
}

/* ---- In the loop of a fiber ---- */

static struct client *client_of(struct transfer *transfer)
{
    return (struct client *)((char *)transfer - offsetof(struct client, transfer));
}

/* Whether the URL's host is an address or this machine: then libcurl starts no thread. */
static bool has_address(const char *url)
{
    char *host = NULL;
    struct in_addr address;
    CURLU *parsed = curl_url();
    bool is_parsed =
        parsed != NULL &&
        curl_url_set(parsed, CURLUPART_URL, url, CURLU_GUESS_SCHEME) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    bool is_address =
        is_parsed && (host[0] == '[' || inet_pton(AF_INET, host, &address) == 1 ||
                      strcasecmp(host, "localhost") == 0);
    curl_free(host);
    curl_url_cleanup(parsed);
    return is_address;
}

/* libcurl calls this before it looks a name up, and if it has an address, too. */
static int before_look_up(void *resolver, void *unused, void *context)
{
    (void)resolver, (void)unused;
    struct client *client = context;
    char *url = NULL;
    curl_easy_getinfo(client->curl, CURLINFO_EFFECTIVE_URL, &url);
    if (url != NULL && has_address(url))
        return 0;
    return transfer_may_look_up(&client->transfer) ? 0 : 1;
}

static struct transfer *new_transfer(struct shard *shard)
{
    struct client *client = new_client();
    if (client == NULL)
        return NULL;
    client->sockets = shard_sockets(shard);
    client->transfer = (struct transfer){.easy = client->curl, .shard = shard};
    /* None of these can fail. What on_progress() sees to, the deadline does here, and it
       ends a lookup too, of which libcurl must not say before that it is over. */
    curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)INT32_MAX);
    curl_easy_setopt(client->curl, CURLOPT_BUFFERSIZE, (long)READ_AT_ONCE_IN_LOOP);
    curl_easy_setopt(client->curl, CURLOPT_RESOLVER_START_FUNCTION, before_look_up);
    curl_easy_setopt(client->curl, CURLOPT_RESOLVER_START_DATA, client);
    return &client->transfer;
}

static void free_transfer(struct transfer *transfer)
{
    free_client(client_of(transfer));
}

/* The client for a GET: the thread's, or one in the loop of the running fiber. */
static struct client *take_client(void)
{
    if (fiber_running() == NULL)
        return own_client();
    struct transfer *transfer = transfer_take(new_transfer, free_transfer);
    return transfer == NULL ? NULL : client_of(transfer);
}

static void give_client_back(struct client *client)
{
    if (client->transfer.shard != NULL)
        transfer_give_back(&client->transfer);
}

/* ---- A GET ---- */

/* The status of the last response; 0 if there was none. */
static long status_of(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* The status with which a proxy answered the wish for a tunnel; 0 if there was none. */
static long proxy_status_of(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
    return status;
}

/* What the system said last about the connection; 0: nothing. */
static int system_error(const struct client *client)
{
    long error = client->socket_error;
    if (error == 0)
        curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
    return (int)error;
}

/* The text; behind it, if the system has said something, that. */
static struct result failed_with_error(const char *text, int error)
{
    return error == 0 ? result_failed("%s", text)
                      : result_failed("%s: %s", text, strerror(error));
}

/* Why a certificate is not trusted, by the numbers of OpenSSL (x509_vfy.h), which are the
   same in all of its versions. */
static const char *certificate_error(CURL *curl)
{
    static const char *const words[] = {
        [1] = "it is for another host", /* it says no more: all else about it is right */
        [2] = "nobody known has issued it",
        [9] = "it is not valid yet",
        [10] = "it has expired",
        [18] = "it is signed by itself",
        [19] = "it is issued by one that is signed by itself",
        [20] = "nobody known has issued it",
        [21] = "nobody known has issued it",
        [23] = "it has been revoked",
        [62] = "it is for another host",
        [64] = "it is for another host",
    };
    long number = 0;
    curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &number);
    if (number == 0)
        number = 1;
    bool is_known =
        number > 0 && number < (long)(sizeof(words) / sizeof(words[0])) && words[number];
    return is_known ? words[number] : "it is not valid";
}

/* Whether the server closed the connection in the middle of the first line: libcurl says
   only that no line has come. (Over TLS we cannot see that either.) */
static bool has_begun_to_answer(const struct request *request)
{
    bool has_tls = seconds_until(request->client->curl, CURLINFO_APPCONNECT_TIME_T) > 0;
    uint64_t end = 1; /* Linux counts the FIN as a byte */
    return !has_tls && request->client->received > end;
}

/* There is no way on: either the URL has a scheme that we do not allow, and no request
   was sent, or what came back is not HTTP. */
static const char *protocol_error(const struct request *request)
{
    long redirects = count_redirects(request);
    if (request->sent_to == redirects)
        return "the server does not speak HTTP";
    return redirects > 0 ? "redirected to what is neither http nor https"
                         : "neither http nor https";
}

/* The reason in a few words. They are ours: libcurl's differ from version to version, may
   name an option or a function, and may tell a password. */
static struct result explain(CURLcode code, const struct request *request)
{
    struct client *client = request->client;
    CURL *curl = client->curl;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return result_failed("timed out after %g s", time_limit);
    case CURLE_ABORTED_BY_CALLBACK:
        return result_failed("given up");
    case CURLE_HTTP_RETURNED_ERROR:
        return result_failed("HTTP status %ld", status_of(curl));
    case CURLE_TOO_MANY_REDIRECTS:
        return result_failed("more than %d redirects", HTTP_MOST_REDIRECTS);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return result_failed("%s", protocol_error(request));
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_FUNCTION_ARGUMENT: /* a header line without a colon */
        return result_failed("the server does not speak HTTP as it should");
    case CURLE_BAD_CONTENT_ENCODING: /* of a header, before on_header() sees it */
        return result_failed("%s", unasked_coding);
    case CURLE_URL_MALFORMAT:
        return result_failed(count_redirects(request) > 0
                                 ? "redirected to a malformed URL"
                                 : "malformed URL");
    case CURLE_COULDNT_RESOLVE_HOST:
        return result_failed("the host name does not resolve");
    case CURLE_COULDNT_RESOLVE_PROXY:
        return result_failed("the proxy's name does not resolve");
    case CURLE_PROXY:
        return result_failed("the proxy does not do as it should");
    case CURLE_COULDNT_CONNECT:
        return failed_with_error("cannot connect", system_error(client));
    case CURLE_GOT_NOTHING:
        if (has_begun_to_answer(request))
            return result_failed("%s", cut_header);
        return result_failed("the server closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
        return result_failed("the connection closed in the middle of the page");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        if (system_error(client) == 0) /* chunks that are none, for instance */
            return result_failed("the server does not speak HTTP as it should");
        return failed_with_error("the connection broke", system_error(client));
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
        return result_failed("the server and we do not agree on TLS");
    case CURLE_PEER_FAILED_VERIFICATION:
        return result_failed("certificate not trusted: %s", certificate_error(curl));
    case CURLE_SSL_CACERT_BADFILE:
        return result_failed("there are no certificates in %s", certificate_file == NULL
                                                                    ? "the system's file"
                                                                    : certificate_file);
    case CURLE_OUT_OF_MEMORY:
#if CURL_AT_LEAST_VERSION(8, 6, 0)
    case CURLE_TOO_LARGE:
#endif
        return result_failed(request->in_header ? "a header line is too long"
                                                : "out of memory");
    default:
        return result_failed("the transfer failed, with libcurl's error %d", (int)code);
    }
}

static long milliseconds_left(const struct request *request)
{
    double left = request->deadline - monotonic_seconds();
    return left > 0.001 ? (long)ceil(left * 1000) : 1; /* 0 would mean "for ever" */
}

/* Prepares the transfer. In the loop of a fiber the time limit is not left to libcurl
   (http_loop.h). */
static CURLcode prepare(struct request *request)
{
    CURL *curl = request->client->curl;
    bool is_in_loop = request->client->transfer.shard != NULL;
    request->client->opened = 0;
    request->client->transfer.deadline = request->deadline;
    if (is_in_loop)
        return CURLE_OK;
    return curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds_left(request));
}

/* The seam between blocking and suspending: all else is the same for a thread and for a
   fiber. */
static CURLcode perform_prepared(struct client *client)
{
    return client->transfer.shard == NULL ? curl_easy_perform(client->curl)
                                          : transfer_perform(&client->transfer);
}

static CURLcode perform_once(struct request *request)
{
    CURLcode code = prepare(request);
    return code == CURLE_OK ? perform_prepared(request->client) : code;
}

/* Goes on at the URL to which redirects have led, so that no request is sent twice. */
static CURLcode go_on(struct request *request)
{
    CURL *curl = request->client->curl;
    char *url = NULL;
    request->followed = count_redirects(request);
    request->in_header = false;
    CURLcode code = curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    url = url == NULL ? NULL : strdup(url);
    if (code == CURLE_OK)
        code =
            url == NULL ? CURLE_OUT_OF_MEMORY : curl_easy_setopt(curl, CURLOPT_URL, url);
    free(url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_MAXREDIRS,
                                HTTP_MOST_REDIRECTS - request->followed);
    return code == CURLE_OK ? perform_once(request) : code;
}

static CURLcode perform(struct request *request)
{
    struct transfer *transfer = &request->client->transfer;
    CURLcode code = perform_once(request);
    while (transfer->wants_turn) {
        if (!transfer_wait_for_turn(transfer)) {
            request->refusal = "timed out before its host name could be looked up";
            return CURLE_OPERATION_TIMEDOUT;
        }
        code = go_on(request);
    }
    return code;
}

/* Makes it once more, on new connections: nobody has answered there before being asked.
   */
static CURLcode perform_afresh(struct request *request)
{
    CURL *curl = request->client->curl;
    request->is_unasked = false;
    request->in_header = false;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    if (code == CURLE_OK)
        code = perform(request);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 0L);
    return code;
}

/* Sets what belongs to this request. */
static CURLcode address(struct request *request, const char *url)
{
    CURL *curl = request->client->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_COOKIELIST, "ALL"); /* forget them */
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTP_MOST_REDIRECTS);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_PREREQDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
    return code;
}

static CURLcode transfer(struct request *request, const char *url)
{
    CURLcode code = address(request, url);
    if (code == CURLE_OK)
        code = perform(request);
    if (request->is_unasked)
        code = perform_afresh(request);
    return code;
}

/* Notes how far the transfer came, and when. What it did not come to is 0. */
static void note(CURL *curl, float marks[SPAN_MARKS])
{
    bool is_ready = seconds_until(curl, CURLINFO_PRETRANSFER_TIME_T) > 0;
    marks[HTTP_RESOLVED] = seconds_until(curl, CURLINFO_NAMELOOKUP_TIME_T);
    marks[HTTP_CONNECTED] = seconds_until(curl, CURLINFO_CONNECT_TIME_T);
    marks[HTTP_SECURED] = seconds_until(curl, CURLINFO_APPCONNECT_TIME_T);
    marks[HTTP_ANSWERED] = seconds_until(curl, CURLINFO_STARTTRANSFER_TIME_T);
    if (marks[HTTP_SECURED] == 0 && is_ready)
        marks[HTTP_SECURED] = marks[HTTP_CONNECTED];
}

/* What came of the transfer. */
static struct result outcome(const struct request *request, CURLcode code)
{
    long proxy_status = proxy_status_of(request->client->curl);
    if (request->has_enough)
        return (struct result){.status = RESULT_OK};
    if (request->refusal != NULL)
        return result_failed("%s", request->refusal);
    if (request->is_late)
        return explain(CURLE_OPERATION_TIMEDOUT, request);
    if (code != CURLE_OK && proxy_status != 0 && proxy_status / 100 != 2)
        return result_failed("the proxy refuses: HTTP status %ld", proxy_status);
    if (code != CURLE_OK)
        return explain(code, request);
    return (struct result){.status = RESULT_OK};
}

/* Why there can be no request to the URL; NULL: there can. */
static const char *obstacle_to(const char *url)
{
    if (url[0] == '\0')
        return "empty URL";
    if (strlen(url) > LONGEST_URL)
        return "the URL is too long";
    return libcurl_status == CURLE_OK ? NULL : "libcurl does not start";
}

static struct request new_request(struct client *client, http_receive *receive,
                                  void *context)
{
    client->socket_error = 0;
    return (struct request){
        .client = client,
        .receive = receive,
        .context = context,
        .deadline = monotonic_seconds() + time_limit,
        .sent_to = -1,
    };
}

/* What came of the request, whose transfer has ended. Frees what belongs to it. */
static struct result end_request(struct request *request, CURLcode code,
                                 float marks[SPAN_MARKS])
{
    if (code == CURLE_OK && !request->has_enough)
        fiber_call_below(end_body, request); /* to parse a page takes much stack */
    note(request->client->curl, marks);
    struct result result = outcome(request, code);
    free(request->content_type);
    unpacker_free(request->unpacker);
    return result;
}

static struct result get(const char *url, http_receive *receive, void *context,
                         float marks[SPAN_MARKS])
{
    const char *obstacle = obstacle_to(url);
    struct client *client = obstacle == NULL ? take_client() : NULL;
    if (client == NULL)
        return result_failed("%s", obstacle == NULL ? "out of memory" : obstacle);
    struct request request = new_request(client, receive, context);
    CURLcode code = transfer(&request, url);
    struct result result = end_request(&request, code, marks);
    give_client_back(client);
    return result;
}

struct result http_get(const char *url, http_receive *receive, void *context)
{
    struct span span = span_begin();
    struct result result = get(url, receive, context, span.marks);
    span_end(&span);
    result.span = span;
    return result;
}

/* ---- A GET that a loop drives ---- */

struct http_transfer {
    struct request request;
    struct span span;
};

/* Whether the handle is ready for a loop. What a loop's connections are used for again,
   nobody could tell before a request (before_request()): so they are not. */
static bool prepare_for_loop(struct request *request, const char *url)
{
    request->refusal = obstacle_to(url);
    if (request->refusal != NULL)
        url = ""; /* libcurl refuses it at once */
    return address(request, url) == CURLE_OK && prepare(request) == CURLE_OK &&
           curl_easy_setopt(request->client->curl, CURLOPT_FORBID_REUSE, 1L) ==
               CURLE_OK &&
           curl_easy_setopt(request->client->curl, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
}

struct http_transfer *http_begin(const char *url, http_receive *receive, void *context)
{
    struct http_transfer *transfer = malloc(sizeof(*transfer));
    struct client *client = new_client();
    if (transfer == NULL || client == NULL) {
        free(transfer);
        free_client(client);
        return NULL;
    }
    transfer->span = span_begin();
    transfer->request = new_request(client, receive, context);
    if (prepare_for_loop(&transfer->request, url))
        return transfer;
    free_client(client);
    free(transfer);
    return NULL;
}

void *http_handle(struct http_transfer *transfer)
{
    return transfer->request.client->curl;
}

struct result http_end(struct http_transfer *transfer, int code)
{
    struct span span = transfer->span;
    struct result result = end_request(&transfer->request, (CURLcode)code, span.marks);
    span_end(&span);
    result.span = span;
    free_client(transfer->request.client);
    free(transfer);
    return result;
}
