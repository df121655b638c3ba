/*
 * stats.c - what the site counts, and the routes that tell.
 *
 * A page request is any but those to /stats and /release: they are never counted.
 */
#include "site.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What is known of a connection, from its first to its last byte. */
struct tally {
    uintmax_t period; /* the last in which it carried a page request */
    uintmax_t bytes;  /* that have reached the peer */
};

static uintmax_t period = 1; /* one more after each reset */
static uintmax_t requests;
static uintmax_t in_flight;
static uintmax_t most_in_flight;
static uintmax_t connections;
static uintmax_t bytes_sent;

static char *paths; /* a line for each request */
static size_t paths_length;
static size_t paths_room;

/* The requests that wait for a number to be reached. */
static struct wait_queue watchers = {.requests =
                                         TAILQ_HEAD_INITIALIZER(watchers.requests)};

static struct tally *tally_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

/*
 * The kernel counts the end of the stream as a byte acknowledged, but not as a byte sent:
 * the smaller of the two numbers is the right one.
 */
void stats_measure(struct MHD_Connection *connection)
{
    struct tally *tally = tally_of(connection);
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (tally == NULL ||
        getsockopt(socket_of(connection), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return;
    uintmax_t bytes = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    if (bytes > info.tcpi_bytes_acked)
        bytes = info.tcpi_bytes_acked;
    if (bytes > tally->bytes)
        tally->bytes = bytes;
}

void stats_connection(void *closure, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
    (void)closure;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = calloc(1, sizeof(struct tally)); /* without one it is not counted */
        return;
    }
    stats_measure(connection);
    struct tally *tally = *context;
    if (tally != NULL && tally->period == period)
        bytes_sent += tally->bytes;
    free(tally);
}

/* Without memory for it, the line is left out. */
static void add_path(const char *path)
{
    size_t length = strlen(path) + 1;
    if (paths_length + length > paths_room) {
        size_t room = 2 * (paths_length + length);
        char *larger = realloc(paths, room);
        if (larger == NULL)
            return;
        paths = larger;
        paths_room = room;
    }
    memcpy(paths + paths_length, path, length);
    paths_length += length;
    paths[paths_length - 1] = '\n';
}

/* True if what a /stats/wait waits for has come to pass. */
static bool is_satisfied(const struct request *request)
{
    uintmax_t wanted = query_number(request, "in_flight", in_flight);
    bool enough = wanted == 0 ? in_flight == 0 : in_flight >= wanted;
    return enough && requests >= query_number(request, "requests", 0);
}

static void tell_watchers(void)
{
    struct request *next;
    for (struct request *one = TAILQ_FIRST(&watchers.requests); one != NULL; one = next) {
        next = TAILQ_NEXT(one, neighbours);
        if (is_satisfied(one))
            wait_end(one, RELEASED);
    }
}

void stats_begin(struct request *request)
{
    if (strcmp(request->path, "/release") == 0 || strcmp(request->path, "/stats") == 0 ||
        strncmp(request->path, "/stats/", 7) == 0)
        return;

    request->counted = true;
    add_path(request->uri);
    requests++;
    in_flight++;
    if (most_in_flight < in_flight)
        most_in_flight = in_flight;

    struct tally *tally = tally_of(request->connection);
    if (tally != NULL && tally->period != period) {
        tally->period = period;
        connections++;
    }
    tell_watchers();
}

void stats_end(struct request *request)
{
    if (request->counted) {
        in_flight--;
        tell_watchers();
    }
}

void stats_close(void)
{
    free(paths);
}

static enum MHD_Result serve_stats(struct request *request)
{
    return answer_text(request, (struct reply){.type = "application/json"},
                       "{\"requests\":%ju,\"in_flight\":%ju,\"most_in_flight\":%ju,"
                       "\"connections\":%ju,\"bytes_sent\":%ju}\n",
                       requests, in_flight, most_in_flight, connections, bytes_sent);
}

static enum MHD_Result serve_paths(struct request *request)
{
    return answer(request,
                  (struct reply){.type = "text/plain", .head = {paths, paths_length}});
}

static enum MHD_Result serve_reset(struct request *request)
{
    period++;
    requests = connections = bytes_sent = 0;
    most_in_flight = in_flight;
    paths_length = 0;
    return serve_stats(request);
}

static enum MHD_Result serve_wait(struct request *request)
{
    if (query_text(request, "in_flight", query_text(request, "requests", NULL)) == NULL)
        return answer_text(request, (struct reply){.status = 400},
                           PAGE("Wait for what?"));
    if (request->outcome == NOT_WAITED && !is_satisfied(request))
        return wait_begin(request, &watchers, query_number(request, "within", patience));
    if (request->outcome == EXPIRED)
        return answer_text(request, (struct reply){.status = 503}, PAGE("Not reached"));
    return serve_stats(request);
}

const struct route stats_routes[] = {
    {"/stats", serve_stats},
    {"/stats/paths", serve_paths},
    {"/stats/reset", serve_reset},
    {"/stats/wait", serve_wait},
    {NULL, NULL},
};
