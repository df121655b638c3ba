/*
 * answer.c - how a request is answered.
 *
 * Every body is made while it is sent, so that a long one needs no memory, and a slow or
 * broken one can be what it is.
 */
#include "site.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_SIZE 16384

static uintmax_t smaller(uintmax_t a, uintmax_t b)
{
    return a < b ? a : b;
}

static uintmax_t length_of(const struct reply *reply)
{
    return reply->repeated == WITHOUT_END
               ? WITHOUT_END
               : reply->head.length + reply->repeated + reply->tail.length;
}

/* The bytes that follow POSITION in the body, as far as they are together in memory. */
static struct bytes run_at(const struct reply *reply, uintmax_t position)
{
    if (position < reply->head.length)
        return (struct bytes){reply->head.start + position,
                              reply->head.length - position};
    position -= reply->head.length;
    if (position < reply->repeated) {
        size_t offset = position % reply->block.length;
        return (struct bytes){
            reply->block.start + offset,
            smaller(reply->block.length - offset, reply->repeated - position)};
    }
    position -= reply->repeated;
    return (struct bytes){reply->tail.start + position, reply->tail.length - position};
}

/* Linux sends a RST at once when a TCP socket is connected to nowhere. */
static void reset_connection(struct MHD_Connection *connection)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    stats_measure(connection);
    if (connect(socket_of(connection), &nowhere, sizeof nowhere) != 0)
        perror("site: cannot reset a connection");
}

/* MHD calls this for the next bytes of a body. */
static ssize_t read_body(void *closure, uint64_t position, char *buffer, size_t room)
{
    struct reply *reply = closure;
    struct request *request = reply->request;
    uintmax_t length = length_of(reply);
    bool at_end = position == length;

    if (request->outcome == DEPARTED)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at_end && reply->ending == END_CLEANLY)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (at_end && reply->ending == END_BY_RESET) {
        reset_connection(request->connection);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (at_end || (reply->pause > 0 && position > reply->paused_at)) {
        reply->paused_at = position;
        return wait_begin(request, NULL, at_end ? FOREVER : reply->pause) == MHD_YES
                   ? 0
                   : MHD_CONTENT_READER_END_WITH_ERROR;
    }

    size_t filled = 0;
    if (reply->piece > 0)
        room = smaller(room, reply->piece);
    while (filled < room && position + filled < length) {
        struct bytes run = run_at(reply, position + filled);
        run.length = smaller(run.length, room - filled);
        memcpy(buffer + filled, run.start, run.length);
        filled += run.length;
    }
    return (ssize_t)filled;
}

/* A response with that body; NULL if there is no memory for it or a header is not fit. */
static struct MHD_Response *make_response(struct request *request, struct reply reply)
{
    struct reply *copy = malloc(sizeof *copy + reply.head.length);
    if (copy == NULL)
        return NULL;
    *copy = reply;
    copy->request = request;
    copy->head.start = (char *)(copy + 1);
    if (reply.head.length > 0)
        memcpy(copy + 1, reply.head.start, reply.head.length);
    if (length_of(copy) < reply.size)
        copy->repeated += reply.size - length_of(copy);

    uintmax_t length = reply.announced > 0 ? reply.announced : length_of(copy);
    size_t buffer_size = smaller(length, BUFFER_SIZE - 1) + 1;
    struct MHD_Response *response =
        MHD_create_response_from_callback(length, buffer_size, read_body, copy, free);
    if (response == NULL)
        free(copy);
    return response;
}

/* True if the response has that header now, or if there is no value to give it. */
static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return value == NULL || *value == '\0' ||
           MHD_add_response_header(response, name, value) == MHD_YES;
}

enum MHD_Result answer(struct request *request, struct reply reply)
{
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *response = make_response(request, reply);
    if (response == NULL)
        return MHD_NO;
    if (reply.type == NULL)
        reply.type = "text/html; charset=utf-8";
    if (reply.status == 0)
        reply.status = MHD_HTTP_OK;
    if (add_header(response, "Content-Type", reply.type) &&
        add_header(response, reply.header.name, reply.header.value))
        result = MHD_queue_response(request->connection, reply.status, response);
    MHD_destroy_response(response); /* MHD keeps it until it has been sent */
    return result;
}

enum MHD_Result answer_text(struct request *request, struct reply reply, const char *text,
                            ...)
{
    va_list arguments;
    char *printed;
    va_start(arguments, text);
    int length = vasprintf(&printed, text, arguments);
    va_end(arguments);
    if (length < 0)
        return MHD_NO;

    reply.head = (struct bytes){printed, (size_t)length};
    enum MHD_Result result = answer(request, reply);
    free(printed);
    return result;
}
