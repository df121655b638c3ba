/*
 * Text that is safe to show: UTF-8, on one line, without control characters.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Returns the text as one tidy line, in memory that the caller frees, or NULL if there is
 * no memory:
 *
 * - bytes that are not UTF-8 become U+FFFD, one for each maximal subpart, as the Encoding
 *   Standard (https://encoding.spec.whatwg.org/#utf-8-decoder) has it;
 * - each run of white space (Unicode's White_Space, line and paragraph separators and the
 *   no-break space among it) becomes one space, and none is left at either end;
 * - control characters (Unicode's category Cc, so escape and NUL) and the characters that
 *   turn the direction of writing round (Bidi_Control) are left out.
 */
char *text_tidy(const char *bytes, size_t length);

/* Like text_tidy, but white space and controls stay: only what is not UTF-8 is replaced.
   Stores the new length. */
char *text_repair(const char *bytes, size_t length, size_t *repaired_length);

/* Whether all the bytes are well-formed UTF-8. */
bool text_is_utf8(const char *bytes, size_t length);

/* Whether all the bytes mean the same in every character set that a page can declare:
   ASCII without the escape that changes the set in ISO-2022-JP. */
bool text_is_ascii(const char *bytes, size_t length);

#endif
