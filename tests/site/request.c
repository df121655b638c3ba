/*
 * request.c - a request: what it asks for, what serves it, and its life as MHD sees it.
 */
#include "site.h"

#include <stdlib.h>
#include <string.h>

bool parse_number(const char *text, uintmax_t *value)
{
    size_t length = strlen(text);
    if (length < 1 || length > 12 || strspn(text, "0123456789") != length)
        return false;
    *value = strtoull(text, NULL, 10);
    return true;
}

struct bytes bytes_of(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

const char *query_text(const struct request *request, const char *name,
                       const char *fallback)
{
    const char *value =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    return value != NULL ? value : fallback;
}

uintmax_t query_number(const struct request *request, const char *name,
                       uintmax_t fallback)
{
    uintmax_t value;
    return parse_number(query_text(request, name, ""), &value) ? value : fallback;
}

struct bytes query_bytes(const struct request *request, const char *name)
{
    struct bytes value = {NULL, 0};
    MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                  strlen(name), &value.start, &value.length);
    return value;
}

bool query_is_valid(const struct request *request)
{
    static const char *const numbers[] = {"count",     "delay",    "every",
                                          "in_flight", "pause",    "piece",
                                          "size",      "requests", "within"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uintmax_t value;
        if (!parse_number(query_text(request, numbers[i], "0"), &value))
            return false;
    }
    return true;
}

int socket_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
        ->connect_fd;
}

/* True if the route is that of the request's path, whose rest is then known. */
static bool match(const struct route *route, struct request *request)
{
    size_t length = strlen(route->path);
    char last = route->path[length - 1];
    if (last == '#')
        length--;
    if (strncmp(request->path, route->path, length) != 0)
        return false;
    request->rest = request->path + length;
    if (last == '#')
        return parse_number(request->rest, &request->number);
    return last == '/' || *request->rest == '\0';
}

static const struct route *find_route(struct request *request)
{
    static const struct route *const tables[] = {page_routes, waiting_routes,
                                                 stats_routes, neighbour_routes};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct route *route = tables[i]; route->path != NULL; route++)
            if (match(route, request))
                return route;
    return NULL;
}

static enum MHD_Result serve_request(struct request *request, const char *method)
{
    const struct route *route = find_route(request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer(
            request,
            (struct reply){.status = 405, .type = "", .header = {"Allow", "GET, HEAD"}});
    if (route == NULL)
        return answer_text(request, (struct reply){.status = 404}, PAGE("Not found"));
    if (!query_is_valid(request))
        return answer_text(request, (struct reply){.status = 400}, PAGE("Not a number"));
    return route->serve(request);
}

void *request_started(void *closure, const char *uri, struct MHD_Connection *connection)
{
    (void)closure;
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->connection = connection;
    request->uri = strdup(uri != NULL ? uri : "");
    return request;
}

enum MHD_Result request_arrived(void *closure, struct MHD_Connection *connection,
                                const char *path, const char *method, const char *version,
                                const char *upload, size_t *upload_size, void **context)
{
    (void)closure, (void)connection, (void)version, (void)upload;
    struct request *request = *context;
    if (request == NULL || request->uri == NULL || request->outcome == DEPARTED)
        return MHD_NO;

    if (request->path == NULL) { /* more may follow: a body, which nobody here wants */
        request->path = path;
        stats_begin(request);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return serve_request(request, method);
}

void request_completed(void *closure, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code)
{
    (void)closure, (void)connection, (void)code;
    struct request *request = *context;
    if (request == NULL)
        return;
    stats_end(request);
    free(request->uri);
    free(request);
    *context = NULL;
}
