/*
 * Any page's bytes to UTF-8, as browsers do it.
 *
 * The rules are the Encoding Standard's (https://encoding.spec.whatwg.org/). A character
 * set is named here by a `const char *` that points into charset.c's table, so that it is
 * never freed and stays valid for ever; the conversion itself is decode.h's.
 */
#ifndef CHARSET_H
#define CHARSET_H

#include <stddef.h>

/* What a page is when nothing says otherwise: the first if its bytes are UTF-8, else the
   second. */
extern const char *const charset_utf8;
extern const char *const charset_windows1252;

/* The set that browsers understand by a label such as "latin1" (it is windows-1252) or
   " UTF8 ", whatever its case; NULL for a label that the standard does not know. The
   length is the label's; it need not end in NUL. */
const char *charset_from_label(const char *label, size_t length);

/* The set in a Content-Type such as "text/html; charset=utf-8", be it the header or a
   <meta http-equiv>; NULL if it names none, or none that is known. */
const char *charset_from_content_type(const char *content_type);

/* The set that the byte order mark at the start of the page stands for; NULL if there is
   none. */
const char *charset_from_byte_order_mark(const char *bytes, size_t length);

/* What the set means in a <meta>: itself, save that UTF-16 becomes UTF-8, since it cannot
   be meant by a page whose <meta> could be read, and x-user-defined windows-1252 (the
   HTML standard, "prescan a byte stream"). */
const char *charset_as_in_meta(const char *charset);

/* How many bytes the set's smallest unit has: 2 for UTF-16, else 1. */
size_t charset_unit(const char *charset);

/*
 * Returns the bytes as well-formed UTF-8 without a byte order mark, in memory that the
 * caller frees, and stores the length. Bytes that do not decode become U+FFFD; nothing is
 * dropped. NULL with errno set if there is no memory (ENOMEM) or if this system's iconv
 * does not know the set (EINVAL).
 */
char *charset_decode(const char *charset, const char *bytes, size_t length,
                     size_t *decoded_length);

#endif
