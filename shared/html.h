/*
 * What an HTML document says, as the HTML standard has it parsed. Gumbo does the parsing;
 * this file keeps it within bounds.
 */
#ifndef HTML_H
#define HTML_H

#include <stdbool.h>
#include <stddef.h>

/* The most memory that one parsed document may take. Gumbo needs up to 30 bytes for one
   of an ordinary page, and up to 60 for one of a page made of nothing but tags. */
enum { HTML_MOST_MEMORY = 128 * 1024 * 1024 };

/* What stands in the parsed text for a control character: LEFT-TO-RIGHT MARK, which
   text_tidy() leaves out like one. */
#define HTML_CONTROL_STAND_IN "\u200E"

/* And for a vertical tab and a U+0085: LINE SEPARATOR, which text_tidy() takes for white
   space like them. */
#define HTML_SPACE_STAND_IN "\u2028"

struct html;

/*
 * Parses a document: UTF-8, of the given length. It may be the beginning of one: then the
 * end of the file is where it stops.
 *
 * The deadline is a time of CLOCK_MONOTONIC in seconds, or INFINITY. Parsing is given up
 * when it passes, since there are documents for which it takes time that grows with the
 * square of their length. A timer of the thread's own does it, by SIGALRM; for a document
 * of a few kilobytes, which takes tens of milliseconds at the most, none is set.
 *
 * Returns a document to free with html_free(), which does not refer to the text any more;
 * NULL with errno set to ENOMEM (no memory), E2BIG (it would take more than
 * HTML_MOST_MEMORY), ETIMEDOUT (the deadline has passed) or what timer_create(2) says.
 */
struct html *html_parse(const char *document, size_t length, double deadline);

/* The same with less memory than HTML_MOST_MEMORY, in bytes. */
struct html *html_parse_within(const char *document, size_t length, size_t most_memory,
                               double deadline);

void html_free(struct html *html);

/*
 * The text of the document's first <title>, or first <h1>: what the DOM calls
 * textContent, so with the text of all elements inside it. Only HTML elements count: not
 * the <title> of an SVG drawing, and nothing inside a <template>, which is not part of
 * the document.
 *
 * Returns memory that the caller frees. NULL with errno 0 if there is no such element,
 * with ENOMEM if there is no memory.
 */
char *html_title(const struct html *html);
char *html_heading(const struct html *html);

/* Whether an end tag has closed the document's first <title>. In the beginning of a
   document it may be its end that has. False if there is no <title>. */
bool html_title_is_closed(const struct html *html);

/* The character set that the document's first <meta charset> or <meta
   http-equiv="Content-Type"> names, as charset.h has it; NULL if none does. */
const char *html_charset(const struct html *html);

#endif
