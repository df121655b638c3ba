/*
 * The task of the whole course: a URL in, the title of its page out.
 */
#ifndef TITLE_H
#define TITLE_H

#include "result.h"

#include <stddef.h>

/* How much of a page is read, decompressed, before we give up. */
enum { TITLE_WITHIN = 4 * 1024 * 1024 };

/*
 * Fetches a page and returns its title: the text of the first <title>; if there is none
 * or it is empty, of the first <h1>; if there is none either, "NONE". As one tidy line
 * (text.h).
 *
 * It stops to read as soon as the title has come, or soon after (http.h). If the title
 * has more than ASCII, and nothing before it declares the page's character set, a <meta>
 * behind it may: then it reads all of the page.
 *
 * A page that takes much memory to parse waits until no other worker of the program
 * parses one, be the workers threads or processes. If it takes more than
 * HTML_MOST_MEMORY, or more time than can be given to one, it is refused.
 *
 * On failure the result is RESULT_FAILED, and its text names the reason in a few words.
 * Either way its span is that of http_get(), and the caller frees it with result_free().
 * Any number of threads may call it at once, after http_open().
 */
struct result get_title(const char *url);

/*
 * The same for a loop that drives many transfers with libcurl's multi interface: begin
 * the page, add its handle, a CURL *, to a multi; when the multi says that the transfer
 * is done, remove the handle, and end the page with the CURLcode that the multi has told,
 * which gives its title. http.h says more.
 *
 * title_begin() returns NULL without memory. A page that has begun has to be ended.
 */
struct title_transfer;
struct title_transfer *title_begin(const char *url);
void *title_handle(struct title_transfer *transfer);
struct result title_end(struct title_transfer *transfer, int code);

#endif
