/*
 * The bytes of a character set to UTF-8, as the Encoding Standard
 * (https://encoding.spec.whatwg.org/) has it.
 *
 * The tables are iconv(3)'s. Here is what the standard has otherwise: which bytes belong
 * together, a few characters, and what becomes of bytes that stand for nothing.
 */
#ifndef DECODE_H
#define DECODE_H

#include <stddef.h>

/*
 * Returns the bytes as UTF-8, in memory that the caller frees, and stores the length. The
 * set is one that iconv(3) knows by this name.
 *
 * A sequence that stands for nothing becomes one U+FFFD. An ASCII byte in it, behind the
 * first, does not belong to it: it may begin the tag that ends a title.
 *
 * NULL with errno set if there is no memory (ENOMEM) or if this system's iconv does not
 * know the set (EINVAL).
 */
char *decode(const char *charset, const char *bytes, size_t length,
             size_t *decoded_length);

#endif
