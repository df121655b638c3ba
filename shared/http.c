#include "http.h"

#include "monotonic.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define USER_AGENT "one-program-ten-lessons/1.0"

enum {
    READ_AHEAD = 32 * 1024,       /* what the kernel may receive before we have read it */
    MOST_HEADERS = 512 * 1024,    /* of all responses to one GET, and their trailers */
    MOST_DISCARDED = 1024 * 1024, /* of a body that nobody wants any more */
};

static double time_limit;
static const char *certificate_file;
static CURLcode libcurl_status = CURLE_FAILED_INIT;
static pthread_key_t client_key;

/* What a thread keeps from one GET to the next. */
struct client {
    CURL *curl;
    struct curl_slist *headers;
    pid_t owner;
    int socket_error; /* why socket(2) failed in the last GET, or 0 */
    char error[CURL_ERROR_SIZE];
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
    size_t discarded;    /* bytes that came after that */
    size_t headers;      /* bytes */
    size_t codings;      /* that the response's Content-Encoding names */
    const char *refusal; /* why we have ended the transfer, or NULL */
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

/* Hands a piece on, unless the receiver has had enough. */
static void hand_on(struct request *request, const char *bytes, size_t length)
{
    struct http_piece piece = {"", bytes, length, request->deadline};
    char *content_type = NULL;
    if (curl_easy_getinfo(request->client->curl, CURLINFO_CONTENT_TYPE, &content_type) ==
            CURLE_OK &&
        content_type != NULL)
        piece.content_type = content_type;
    if (!request->has_enough)
        request->has_enough = !request->receive(request->context, &piece);
}

/* Whether the whole body has come in: then the transfer may as well end in the ordinary
   way, and the connection can be used again. (But a few bytes may be the packed form of
   gigabytes: those are not worth it.) */
static bool is_all_here(const struct request *request)
{
    CURL *curl = request->client->curl;
    curl_off_t announced = -1;
    curl_off_t received = 0;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    curl_easy_getinfo(curl, CURLINFO_SIZE_DOWNLOAD_T, &received);
    return received == announced && request->discarded <= MOST_DISCARDED;
}

/* libcurl calls this with each piece of the body. To return less than was given ends the
   transfer. */
static size_t on_piece(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    if (request->has_enough)
        request->discarded += size * count;
    hand_on(request, bytes, size * count);
    return request->has_enough && !is_all_here(request) ? 0 : size * count;
}

/*
 * libcurl calls this with each line of a header or trailer. It keeps them all, so there
 * must not be too many. And it would unpack a body that was packed several times over,
 * of which the middle layers can be gigabytes that come to nothing in the end: no
 * honest server sends one.
 */
static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    static const char coding[] = "Content-Encoding:";
    struct request *request = context;
    size_t length = size * count;
    request->headers += length;
    if (length >= 5 && strncmp(line, "HTTP/", 5) == 0)
        request->codings = 0; /* a new response, after a redirect */
    if (length >= strlen(coding) && strncasecmp(line, coding, strlen(coding)) == 0) {
        request->codings++;
        for (size_t i = 0; i < length; i++)
            request->codings += line[i] == ',';
    }
    if (request->headers > MOST_HEADERS)
        request->refusal = "too many headers";
    else if (request->codings > 1)
        request->refusal = "packed more than once";
    return request->refusal == NULL ? length : 0;
}

/* libcurl calls this for a socket. By itself it would not say what went wrong: that there
   are no descriptors left, for instance. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    (void)purpose;
    struct client *client = context;
    int type = address->socktype | SOCK_CLOEXEC;
    int descriptor = socket(address->family, type, address->protocol);
    if (descriptor < 0) {
        client->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    /* The kernel reads ahead of us, and a title comes early: no more than we may need. If
       it cannot be set, more is read. */
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &(int){READ_AHEAD}, sizeof(int));
    return descriptor;
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
    failed |= curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTP_MOST_REDIRECTS);
    failed |= curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    failed |= curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    failed |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    failed |= curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT);
    failed |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(time_limit));
    failed |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(time_limit));
    failed |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* threads */
    failed |= curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    failed |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_piece);
    failed |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    failed |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    failed |= curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, client);
    failed |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->error);
    if (certificate_file != NULL)
        failed |= curl_easy_setopt(curl, CURLOPT_CAINFO, certificate_file);
    return failed == 0;
}

static struct client *new_client(void)
{
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->owner = getpid();
    client->headers = curl_slist_append(NULL, "Accept: text/html, application/xhtml+xml");
    client->curl = curl_easy_init();
    if (client->headers == NULL || client->curl == NULL || !set_options(client) ||
        pthread_setspecific(client_key, client) != 0) {
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
    return new_client();
}

/* The status of the last response; 0 if there was none. */
static long status_of(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Why the connection could not be made. */
static const char *connect_error(const struct client *client)
{
    long error = client->socket_error;
    if (error == 0)
        curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
    return error == 0 ? "the server is out of reach" : strerror((int)error);
}

/* The reason in a few words: ours where libcurl's would name an option or a function. */
static struct result explain(CURLcode code, struct client *client)
{
    bool was_redirected = status_of(client->curl) / 100 == 3;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return result_failed("timed out after %g s", time_limit);
    case CURLE_HTTP_RETURNED_ERROR:
        return result_failed("HTTP status %ld", status_of(client->curl));
    case CURLE_TOO_MANY_REDIRECTS:
        return result_failed("more than %d redirects", HTTP_MOST_REDIRECTS);
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (was_redirected)
            return result_failed("redirected to what is neither http nor https");
        if (strncmp(client->error, "Protocol ", strlen("Protocol ")) == 0)
            return result_failed("neither http nor https");
        return result_failed("the server does not speak HTTP");
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return result_failed("the server does not speak HTTP as it should");
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR: /* not ours: see has_enough */
        return result_failed("the page cannot be unpacked");
    case CURLE_URL_MALFORMAT:
        return result_failed(was_redirected ? "redirected to a malformed URL"
                                            : "malformed URL");
    case CURLE_COULDNT_RESOLVE_HOST:
        return result_failed("the host name does not resolve");
    case CURLE_COULDNT_CONNECT:
        return result_failed("cannot connect: %s", connect_error(client));
    case CURLE_GOT_NOTHING:
        return result_failed("the server closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
        return result_failed("the connection closed in the middle of the page");
    case CURLE_PEER_FAILED_VERIFICATION:
        return result_failed("certificate not trusted: %s", client->error);
    default:
        if (client->error[0] != '\0')
            return result_failed("%s", client->error);
        return result_failed("%s", curl_easy_strerror(code));
    }
}

static CURLcode transfer(struct request *request, const char *url)
{
    CURL *curl = request->client->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERDATA, request);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        hand_on(request, NULL, 0);
    return request->has_enough ? CURLE_OK : code;
}

static float seconds_until(CURL *curl, CURLINFO timer)
{
    curl_off_t microseconds = 0;
    curl_easy_getinfo(curl, timer, &microseconds);
    return (float)microseconds / 1e6F;
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

static struct result get(const char *url, http_receive *receive, void *context,
                         float marks[SPAN_MARKS])
{
    if (url[0] == '\0')
        return result_failed("empty URL");
    if (libcurl_status != CURLE_OK)
        return result_failed("libcurl does not start: %s",
                             curl_easy_strerror(libcurl_status));
    struct client *client = own_client();
    if (client == NULL)
        return result_failed("out of memory");

    client->socket_error = 0;
    struct request request = {
        .client = client,
        .receive = receive,
        .context = context,
        .deadline = monotonic_seconds() + time_limit,
    };
    CURLcode code = transfer(&request, url);
    note(client->curl, marks);
    if (code != CURLE_OK && request.refusal != NULL)
        return result_failed("%s", request.refusal);
    if (code != CURLE_OK)
        return explain(code, client);
    return (struct result){.status = RESULT_OK};
}

struct result http_get(const char *url, http_receive *receive, void *context)
{
    struct span span = span_begin();
    struct result result = get(url, receive, context, span.marks);
    span_end(&span);
    result.span = span;
    return result;
}
