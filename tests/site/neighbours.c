/*
 * neighbours.c - the bad neighbours: what a web server may do to a program that fetches.
 */
#include "site.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static enum MHD_Result serve_status(struct request *request)
{
    unsigned int status = (unsigned int)request->number;
    if (request->number < 200 || request->number > 599)
        status = 404;
    return answer_text(request, (struct reply){.status = status}, PAGE("Status %u"),
                       status);
}

static enum MHD_Result redirect(struct request *request, const char *location)
{
    return answer(
        request,
        (struct reply){.status = 302, .type = "", .header = {"Location", location}});
}

static enum MHD_Result serve_redirect(struct request *request)
{
    char location[40] = "/page/0";
    if (request->number > 1)
        snprintf(location, sizeof location, "/redirect/%ju", request->number - 1);
    return redirect(request, location);
}

static enum MHD_Result serve_redirect_loop(struct request *request)
{
    return redirect(request, "/redirect/loop");
}

static enum MHD_Result serve_redirect_to(struct request *request)
{
    return redirect(request, query_text(request, "url", ""));
}

/* Announces more than it has. */
static enum MHD_Result answer_in_part(struct request *request, enum ending ending)
{
    return answer(request,
                  (struct reply){.head = bytes_of("<!DOCTYPE html>\n<p>Half a wo"),
                                 .announced = 100000,
                                 .ending = ending});
}

static enum MHD_Result serve_short(struct request *request)
{
    return answer_in_part(request, END_CLEANLY);
}

static enum MHD_Result serve_reset(struct request *request)
{
    return answer_in_part(request, END_BY_RESET);
}

static enum MHD_Result serve_drip(struct request *request)
{
    return answer(request, (struct reply){.block = bytes_of("<p>drip\n"),
                                          .repeated = WITHOUT_END,
                                          .announced = CHUNKED,
                                          .piece = 1,
                                          .pause = query_number(request, "every", 1000)});
}

static enum MHD_Result serve_stall(struct request *request)
{
    uintmax_t length = query_number(request, "announce", CHUNKED);
    return answer(request, (struct reply){.type = query_text(request, "type", NULL),
                                          .head = query_bytes(request, "body"),
                                          .announced = length,
                                          .ending = END_NEVER});
}

static enum MHD_Result serve_endless(struct request *request)
{
    return answer(request, (struct reply){.block = bytes_of("<p>No end, no title.</p>\n"),
                                          .repeated = WITHOUT_END,
                                          .announced = CHUNKED});
}

static enum MHD_Result serve_say(struct request *request)
{
    return answer(request, (struct reply){
                               .type = query_text(request, "type", "text/html"),
                               .header = {"Content-Encoding",
                                          query_text(request, "encoding", NULL)},
                               .head = query_bytes(request, "body"),
                               .announced = CHUNKED,
                               .piece = query_number(request, "piece", 0),
                               .pause = query_number(request, "pause", 0),
                           });
}

#define MEBIBYTE (1024 * 1024)
#define TIMES 1023

/*
 * A gzip file of 1 GiB: the first part, the middle part 1023 times, and the last part.
 * The middle part holds a mebibyte, and so do the other two together.
 */
struct bomb {
    struct part {
        char bytes[2048];
        size_t length;
    } first, middle, last;
};

static bool compress_part(z_stream *zip, struct part *part, const void *text,
                          size_t length, int flush)
{
    zip->next_in = (unsigned char *)text;
    zip->avail_in = (unsigned int)length;
    zip->next_out = (unsigned char *)part->bytes;
    zip->avail_out = sizeof part->bytes;
    int result = deflate(zip, flush);
    part->length = sizeof part->bytes - zip->avail_out;
    return result == (flush == Z_FINISH ? Z_STREAM_END : Z_OK);
}

/*
 * A full flush makes zlib forget what came before, so that the middle part can be
 * repeated. Only the checksum and the size at the end are those of a shorter file: they
 * are put right.
 */
static bool make_bomb(struct bomb *bomb)
{
    static unsigned char spaces[MEBIBYTE];
    const unsigned char *start = (const unsigned char *)"<p>";
    unsigned int rest = MEBIBYTE - 3;
    z_stream zip = {0};

    memset(spaces, ' ', sizeof spaces);
    if (deflateInit2(&zip, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    bool made = compress_part(&zip, &bomb->first, start, 3, Z_FULL_FLUSH) &&
                compress_part(&zip, &bomb->middle, spaces, MEBIBYTE, Z_FULL_FLUSH) &&
                compress_part(&zip, &bomb->last, spaces, rest, Z_FINISH);
    deflateEnd(&zip);

    unsigned long checksum = crc32(0, start, 3);
    unsigned long middle_checksum = crc32(0, spaces, MEBIBYTE);
    for (int i = 0; i < TIMES; i++)
        checksum = crc32_combine(checksum, middle_checksum, MEBIBYTE);
    checksum = crc32_combine(checksum, crc32(0, spaces, rest), rest);

    uintmax_t trailer = (uintmax_t)(TIMES + 1) * MEBIBYTE << 32 | checksum;
    for (int i = 0; made && i < 8; i++)
        bomb->last.bytes[bomb->last.length - 8 + i] = (char)(trailer >> 8 * i & 0xff);
    return made;
}

static enum MHD_Result serve_bomb(struct request *request)
{
    static struct bomb bomb;
    if (bomb.last.length == 0 && !make_bomb(&bomb))
        return MHD_NO;
    return answer(request, (struct reply){
                               .header = {"Content-Encoding", "gzip"},
                               .head = {bomb.first.bytes, bomb.first.length},
                               .block = {bomb.middle.bytes, bomb.middle.length},
                               .repeated = TIMES * bomb.middle.length,
                               .tail = {bomb.last.bytes, bomb.last.length},
                           });
}

const struct route neighbour_routes[] = {
    {"/status/#", serve_status},
    {"/redirect/#", serve_redirect},
    {"/redirect/loop", serve_redirect_loop},
    {"/redirect/to", serve_redirect_to},
    {"/short", serve_short},
    {"/reset", serve_reset},
    {"/drip", serve_drip},
    {"/stall", serve_stall},
    {"/endless", serve_endless},
    {"/say", serve_say},
    {"/bomb", serve_bomb},
    {NULL, NULL},
};
