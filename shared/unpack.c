#include "unpack.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

enum {
    ZLIB_FORMAT = MAX_WBITS, /* what inflateInit2(3) calls windowBits */
    GZIP_FORMAT = MAX_WBITS + 16,
    RAW_FORMAT = -MAX_WBITS,
    ZSTD_WINDOW = 23, /* 8 MB: what RFC 9659 allows on the web, as a power of two */
};

struct unpacker {
    enum coding coding;
    z_stream zlib;
    unsigned char first; /* the first byte of deflate, until the second has come */
    BrotliDecoderState *brotli;
    ZSTD_DStream *zstd;
    bool has_begun;
    bool has_format; /* of deflate: whether it has zlib's header is known */
    bool has_ended;  /* a whole stream has come; of gzip and zstd there may be another */
    bool is_over;    /* what follows means nothing */
};

static enum coding coding_from_name(const char *name, size_t length)
{
    static const struct {
        const char *name;
        enum coding coding;
    } codings[] = {
        {"gzip", CODING_GZIP},       {"x-gzip", CODING_GZIP},
        {"deflate", CODING_DEFLATE}, {"x-deflate", CODING_DEFLATE},
        {"br", CODING_BROTLI},       {"zstd", CODING_ZSTD},
    };
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (strlen(codings[i].name) == length &&
            strncasecmp(codings[i].name, name, length) == 0)
            return codings[i].coding;
    }
    return CODING_NONE;
}

enum coding coding_from_header(const char *content_encoding)
{
    static const char separators[] = ", \t";
    enum coding coding = CODING_NONE;
    const char *name = content_encoding + strspn(content_encoding, separators);
    while (*name != '\0') {
        size_t length = strcspn(name, separators);
        enum coding next = coding_from_name(name, length);
        if (coding == CODING_NONE)
            coding = next;
        else if (next != CODING_NONE)
            coding = CODING_SEVERAL;
        name += length;
        name += strspn(name, separators);
    }
    return coding;
}

static bool open_brotli(struct unpacker *unpacker)
{
    unpacker->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return unpacker->brotli != NULL;
}

static bool open_zstd(struct unpacker *unpacker)
{
    unpacker->zstd = ZSTD_createDStream();
    return unpacker->zstd != NULL &&
           !ZSTD_isError(
               ZSTD_DCtx_setParameter(unpacker->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW));
}

struct unpacker *unpacker_new(enum coding coding)
{
    struct unpacker *unpacker = calloc(1, sizeof(*unpacker));
    if (unpacker == NULL)
        return NULL;
    bool is_open = false;
    unpacker->coding = coding;
    if (coding == CODING_GZIP)
        is_open = inflateInit2(&unpacker->zlib, GZIP_FORMAT) == Z_OK;
    else if (coding == CODING_DEFLATE)
        is_open = inflateInit2(&unpacker->zlib, ZLIB_FORMAT) == Z_OK;
    else if (coding == CODING_BROTLI)
        is_open = open_brotli(unpacker);
    else if (coding == CODING_ZSTD)
        is_open = open_zstd(unpacker);
    if (is_open)
        return unpacker;
    unpacker_free(unpacker);
    return NULL;
}

void unpacker_free(struct unpacker *unpacker)
{
    if (unpacker == NULL)
        return;
    inflateEnd(&unpacker->zlib); /* no harm if it was never begun */
    if (unpacker->brotli != NULL)
        BrotliDecoderDestroyInstance(unpacker->brotli);
    ZSTD_freeDStream(unpacker->zstd); /* nor if it is NULL */
    free(unpacker);
}

/* Goes on with zlib, whose next_in and next_out are set. Returns false if it cannot. */
static bool inflate_on(struct unpacker *unpacker)
{
    z_stream *zlib = &unpacker->zlib;
    int code;
    do {
        code = inflate(zlib, Z_NO_FLUSH);
        if (code == Z_STREAM_END) {
            unpacker->has_ended = true;
            unpacker->is_over = unpacker->coding == CODING_DEFLATE;
            if (!unpacker->is_over)
                code = inflateReset(zlib); /* for the next member */
        }
    } while (code == Z_OK && zlib->avail_in > 0 && zlib->avail_out > 0);
    return code == Z_OK || code == Z_STREAM_END ||
           code == Z_BUF_ERROR; /* nothing to do */
}

/*
 * Many servers take "deflate" for the format of that name and not for zlib's, which has a
 * header of two bytes before it. So the first is kept until the second says what it is
 * (RFC 1950, 2.2). Takes that first byte, and returns false if zlib cannot go on.
 */
static bool find_deflate_format(struct unpacker *unpacker, struct packed *packed)
{
    z_stream *zlib = &unpacker->zlib;
    if (!unpacker->has_begun) {
        unpacker->first = (unsigned char)*packed->bytes++;
        packed->length--;
        unpacker->has_begun = true;
    }
    if (packed->length == 0)
        return true;
    unsigned second = (unsigned char)packed->bytes[0];
    bool has_header =
        unpacker->first % 16 == Z_DEFLATED && (unpacker->first * 256 + second) % 31 == 0;
    unpacker->has_format = true;
    if (inflateReset2(zlib, has_header ? ZLIB_FORMAT : RAW_FORMAT) != Z_OK)
        return false;
    zlib->next_in = &unpacker->first;
    zlib->avail_in = 1;
    return inflate_on(unpacker);
}

static bool step_zlib(struct unpacker *unpacker, struct packed *packed, char *output,
                      size_t room, size_t *made)
{
    z_stream *zlib = &unpacker->zlib;
    zlib->next_out = (unsigned char *)output;
    zlib->avail_out = (unsigned)room;
    if (unpacker->coding == CODING_DEFLATE && !unpacker->has_format &&
        !find_deflate_format(unpacker, packed))
        return false;
    if (unpacker->coding == CODING_DEFLATE && !unpacker->has_format)
        return true;
    zlib->next_in = (unsigned char *)packed->bytes; /* zlib only reads it */
    zlib->avail_in = (unsigned)packed->length;
    bool is_right = inflate_on(unpacker);
    packed->bytes += packed->length - zlib->avail_in;
    packed->length = zlib->avail_in;
    *made = room - zlib->avail_out;
    return is_right;
}

static bool step_brotli(struct unpacker *unpacker, struct packed *packed, char *output,
                        size_t room, size_t *made)
{
    const uint8_t *next_in = (const uint8_t *)packed->bytes;
    uint8_t *next_out = (uint8_t *)output;
    size_t left = room;
    BrotliDecoderResult result = BrotliDecoderDecompressStream(
        unpacker->brotli, &packed->length, &next_in, &left, &next_out, NULL);
    packed->bytes = (const char *)next_in;
    *made = room - left;
    unpacker->has_ended = unpacker->is_over = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result != BROTLI_DECODER_RESULT_ERROR;
}

static bool step_zstd(struct unpacker *unpacker, struct packed *packed, char *output,
                      size_t room, size_t *made)
{
    ZSTD_inBuffer in = {packed->bytes, packed->length, 0};
    ZSTD_outBuffer out = {output, room, 0};
    size_t left;
    do {
        left = ZSTD_decompressStream(unpacker->zstd, &out, &in);
        if (left == 0)
            unpacker->has_ended = true; /* of this frame */
    } while (!ZSTD_isError(left) && in.pos < in.size && out.pos < out.size);
    packed->bytes += in.pos;
    packed->length -= in.pos;
    *made = out.pos;
    return !ZSTD_isError(left);
}

bool unpacker_step(struct unpacker *unpacker, struct packed *packed, char *output,
                   size_t room, size_t *made)
{
    bool is_right = true;
    *made = 0;
    if (!unpacker->is_over && unpacker->coding == CODING_BROTLI)
        is_right = step_brotli(unpacker, packed, output, room, made);
    else if (!unpacker->is_over && unpacker->coding == CODING_ZSTD)
        is_right = step_zstd(unpacker, packed, output, room, made);
    else if (!unpacker->is_over)
        is_right = step_zlib(unpacker, packed, output, room, made);
    unpacker->has_begun = true;
    if (!is_right && unpacker->has_ended) {
        unpacker->is_over = true; /* it is no further member, but rubbish */
        is_right = true;
    }
    if (unpacker->is_over && *made < room)
        packed->length = 0;
    return is_right;
}

bool unpacker_is_at_end(const struct unpacker *unpacker)
{
    return unpacker->has_ended || !unpacker->has_begun;
}
