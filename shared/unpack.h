/*
 * Undoes a content coding, step by step: gzip, deflate, br or zstd, with the libraries
 * that browsers use. RFC 9110, 8.4.1, says what each is.
 *
 * One step takes no more bytes than it is given and makes no more than there is room for.
 * So its time is bounded, whatever the packed bytes are, and the caller can look at the
 * clock between two steps.
 *
 * Some servers send more than the standards allow, and browsers read it: gzip in several
 * members, deflate without zlib's header, and bytes behind the end that mean nothing.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>

enum coding {
    CODING_NONE,
    CODING_GZIP,
    CODING_DEFLATE,
    CODING_BROTLI,
    CODING_ZSTD,
    CODING_SEVERAL, /* one over the other: no honest server does that */
};

/* The coding that a Content-Encoding header names, its values joined by commas. As in
   browsers, "identity", empty elements and names that nobody knows change nothing. */
enum coding coding_from_header(const char *content_encoding);

/* Packed bytes that are not unpacked yet. */
struct packed {
    const char *bytes;
    size_t length;
};

struct unpacker;

/* Returns an unpacker for one of the four codings, for the caller to free; NULL if there
   is no memory. */
struct unpacker *unpacker_new(enum coding coding);

/*
 * Takes bytes off the front of `packed`, writes at most `room` bytes to `output`, and
 * stores how many. If they are fewer than `room`, all of `packed` is taken; else there
 * may be more to come, even if `packed` is empty.
 *
 * Returns false if the bytes cannot be unpacked, or if there is no memory for it.
 */
bool unpacker_step(struct unpacker *unpacker, struct packed *packed, char *output,
                   size_t room, size_t *made);

/* Whether the bytes so far are the packed form of something whole. */
bool unpacker_is_at_end(const struct unpacker *unpacker);

void unpacker_free(struct unpacker *unpacker);

#endif
