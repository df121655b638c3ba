#include "title.h"

#include "charset.h"
#include "html.h"
#include "http.h"
#include "media_type.h"
#include "monotonic.h"
#include "prescan.h"
#include "text.h"
#include "turn.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 16 * 1024, /* of the bytes that are kept of a page */

    /* The parser may be given at most this much, plus this many times what was read: so
       the work stays in proportion to the page, however many titles seem to end in it. */
    PARSED_FREELY = 256 * 1024,
    PARSED_PER_BYTE = 2,

    /* A page of at most SMALL_PAGE bytes, which is given at most SMALL_MEMORY, is parsed
       without waiting. What needs more waits for the turn (turn.h), since it could take
       HTML_MOST_MEMORY, and each worker has a page. */
    SMALL_PAGE = 64 * 1024,
    SMALL_MEMORY = 4 * 1024 * 1024,
    LONGEST_TURN = 5, /* seconds, after which the others have waited enough */
};

/* A page that is coming in. */
struct page {
    char *bytes;
    size_t length;
    size_t capacity;

    size_t looked_at; /* for a </title>: how many bytes */
    size_t matched;   /* how many letters of one the last of them are */
    size_t title_end; /* where one ends that has not been tried; 0: nowhere */
    size_t parsed;    /* how many bytes the parser has been given in all */

    bool has_type;
    struct media_type type;
    const char *charset; /* the declared one, or NULL */
    bool charset_is_final;
    bool awaits_meta;    /* the title has come; what its bytes mean is not declared yet */
    bool title_is_empty; /* the first <title> has come, and says nothing */

    bool has_turn;
    double parse_began; /* when (monotonic.h) */

    bool is_complete; /* no more comes */
    bool is_finished;
    struct result result;
};

static bool finish(struct page *page, struct result result)
{
    page->is_finished = true;
    page->result = result;
    return true;
}

static bool is_xhtml(const struct media_type *type)
{
    return strcmp(type->essence, "application/xhtml+xml") == 0;
}

static bool is_html(const struct media_type *type)
{
    return strcmp(type->essence, "text/html") == 0 || is_xhtml(type) ||
           type->essence[0] == '\0'; /* not named: a browser would look and see */
}

static bool make_room(struct page *page, size_t length)
{
    if (page->length + length <= page->capacity)
        return true;
    size_t capacity = page->capacity == 0 ? FIRST_CAPACITY : page->capacity;
    while (capacity < page->length + length)
        capacity *= 2;
    char *bytes = realloc(page->bytes, capacity);
    if (bytes == NULL)
        return false;
    page->bytes = bytes;
    page->capacity = capacity;
    return true;
}

/*
 * Looks for the next </title> in what has not been looked at. Returns whether there is
 * one; then title_end is where it ends. This is not the parser: it may be fooled by a
 * comment, a script or a NUL, and then the parser says so. But it never misses one, in
 * UTF-16 neither, since it skips NULs.
 */
static bool find_title_end(struct page *page)
{
    static const char end_tag[] = "</title";
    while (page->looked_at < page->length) {
        char byte = page->bytes[page->looked_at++];
        if (byte == '\0')
            continue;
        bool is_whole = page->matched == strlen(end_tag);
        if (is_whole)
            page->matched = 0;
        if (is_whole && strchr("\t\n\f\r />", byte) != NULL) {
            page->title_end = page->looked_at;
            return true;
        }
        if (tolower((unsigned char)byte) == end_tag[page->matched])
            page->matched++;
        else
            page->matched = byte == '<';
    }
    return false;
}

/* The character set that the first bytes declare, or the header. In XHTML an XML
   declaration counts before a <meta>; else it counts only if no <meta> can come any
   more. */
static const char *declared_charset(const struct page *page, size_t length,
                                    bool is_enough)
{
    const char *bytes = page->bytes == NULL ? "" : page->bytes;
    const char *in_header = page->type.charset;
    const char *charset = charset_from_byte_order_mark(bytes, length);
    if (charset == NULL)
        charset = charset_from_label(in_header, strlen(in_header));
    if (charset == NULL && is_xhtml(&page->type))
        charset = prescan_xml_declaration(bytes, length);
    if (charset == NULL)
        charset = prescan_meta(bytes, length);
    if (charset == NULL && is_enough)
        charset = prescan_xml_declaration(bytes, length);
    return charset;
}

/* Returns whether enough of the page has come to know what it declares. */
static bool settle_charset(struct page *page)
{
    if (page->charset_is_final)
        return true;
    bool is_enough = page->length >= PRESCAN_WITHIN || page->is_complete;
    page->charset = declared_charset(page, page->length, is_enough);
    page->charset_is_final = page->charset != NULL || is_enough;
    return page->charset_is_final;
}

static struct html *parse_as(struct page *page, const char *charset, size_t length,
                             size_t most_memory, double deadline)
{
    size_t decoded_length;
    char *decoded = charset_decode(charset, page->bytes, length, &decoded_length);
    if (decoded == NULL)
        return NULL;
    struct html *html = html_parse_within(decoded, decoded_length, most_memory, deadline);
    int error = errno;
    free(decoded);
    errno = error;
    page->parsed += length;
    return html;
}

/*
 * Parses with at most `most_memory` bytes; returns NULL with errno set if that fails.
 * Where no character set is declared, a <meta> behind what was prescanned may still name
 * one; then it parses again (https://html.spec.whatwg.org/#change-the-encoding).
 */
static struct html *parse_within(struct page *page, size_t length, size_t most_memory,
                                 double deadline)
{
    const char *charset = page->charset;
    if (charset == NULL)
        charset = text_is_utf8(page->bytes, length) ? charset_utf8 : charset_windows1252;
    struct html *html = parse_as(page, charset, length, most_memory, deadline);
    if (html == NULL || page->charset != NULL)
        return html;
    page->charset = html_charset(html);
    if (page->charset == NULL || page->charset == charset)
        return html;
    html_free(html);
    return parse_as(page, page->charset, length, most_memory, deadline);
}

/* The same with all the memory there may be, when it is this page's turn. */
static struct html *parse_in_turn(struct page *page, size_t length, double deadline)
{
    page->has_turn = turn_begin(deadline);
    page->parse_began = monotonic_seconds();
    errno = ETIMEDOUT;
    if (!page->has_turn)
        return NULL;
    return parse_within(page, length, HTML_MOST_MEMORY,
                        fmin(deadline, page->parse_began + LONGEST_TURN));
}

/* Parses the beginning of the page; NULL with errno set if it cannot. Either way
   end_parse() must follow before it parses again. */
static struct html *parse(struct page *page, size_t length, double deadline)
{
    struct html *html = NULL;
    page->parse_began = monotonic_seconds();
    errno = E2BIG;
    if (length <= SMALL_PAGE)
        html = parse_within(page, length, SMALL_MEMORY, deadline);
    if (html == NULL && errno == E2BIG)
        html = parse_in_turn(page, length, deadline);
    return html;
}

static void end_parse(struct page *page, struct html *html)
{
    html_free(html);
    if (page->has_turn)
        turn_end();
    page->has_turn = false;
}

/* Why the page could not be parsed. If the time was nearly over when the parser began, it
   is not to blame. */
static struct result parse_error(const struct page *page, const struct http_piece *piece,
                                 int error)
{
    bool had_time = piece->deadline - page->parse_began > piece->timeout / 2;
    if (error == ETIMEDOUT && !had_time)
        return result_failed("timed out after %g s", piece->timeout);
    if (error == ETIMEDOUT)
        return result_failed("the page takes too long to parse");
    if (error == E2BIG)
        return result_failed("the page takes too much memory to parse");
    if (error == EINVAL)
        return result_failed("iconv does not know the page's character set");
    return result_failed("cannot parse the page: %s", strerror(error));
}

/* Finishes the page with the text, tidied, if there is one and it says something. Takes
   the text. Returns whether the page is finished. */
static bool finish_with(struct page *page, char *text)
{
    if (text == NULL)
        return errno == 0 ? false : finish(page, result_ok(NULL));
    char *tidy = text_tidy(text, strlen(text));
    free(text);
    if (tidy == NULL || tidy[0] != '\0')
        return finish(page, result_ok(tidy));
    free(tidy);
    return false;
}

static bool finish_with_title(struct page *page, const struct html *html)
{
    char *title = html_title(html);
    page->title_is_empty = title != NULL;
    return finish_with(page, title);
}

/* Whether a <meta> that is still to come may change what the title says. */
static bool may_change(const struct page *page, const struct html *html)
{
    if (page->charset != NULL || page->is_complete ||
        text_is_ascii(page->bytes, page->title_end))
        return false;
    char *title = html_title(html);
    bool is_ascii = title != NULL && text_is_ascii(title, strlen(title));
    free(title);
    return !is_ascii;
}

/* Parses the page up to title_end, and finishes it if its title ends there. What looked
   like </title> was none if Gumbo has not closed the title by it. */
static void try_title(struct page *page, const struct http_piece *piece)
{
    struct html *html = parse(page, page->title_end, piece->deadline);
    if (html == NULL)
        finish(page, parse_error(page, piece, errno));
    else if (html_title_is_closed(html) && may_change(page, html))
        page->awaits_meta = true;
    else if (html_title_is_closed(html))
        finish_with_title(page, html);
    end_parse(page, html);
    if (!page->awaits_meta)
        page->title_end = 0;
}

/*
 * Whether the page up to title_end can be parsed now. What is declared behind it does not
 * matter if it is ASCII; else all bytes have to be there that may declare something. So
 * the title does not depend on how many came at once.
 */
static bool is_readable(struct page *page)
{
    if (!page->charset_is_final && text_is_ascii(page->bytes, page->title_end))
        page->charset = declared_charset(page, page->title_end, true);
    else if (!settle_charset(page))
        return false;
    size_t unit = page->charset == NULL ? 1 : charset_unit(page->charset);
    page->title_end = (page->title_end + unit - 1) / unit * unit;
    return page->title_end <= page->length;
}

static bool is_within_budget(const struct page *page)
{
    return page->parsed + page->title_end <=
           PARSED_FREELY + PARSED_PER_BYTE * page->length;
}

/*
 * Finishes the page if its title has come, and returns whether it is finished. It tries
 * one </title> after the other, so that the title does not depend on how many came at
 * once. When that gets too much, or this is the last chance, it goes on to the last of
 * them.
 */
static bool try_titles(struct page *page, const struct http_piece *piece, bool is_last)
{
    while (!page->title_is_empty && !page->awaits_meta &&
           (page->title_end > 0 || find_title_end(page))) {
        while ((is_last || !is_within_budget(page)) && find_title_end(page))
            continue;
        if (!is_readable(page) || (!is_last && !is_within_budget(page)))
            return false;
        try_title(page, piece);
        if (page->is_finished)
            return true;
    }
    return false;
}

/* Finishes the page with the title that awaits a <meta>, if there is one, since no more
   comes. */
static bool finish_awaited_title(struct page *page, const struct http_piece *piece)
{
    page->is_complete = true;
    if (!page->awaits_meta)
        return false;
    page->awaits_meta = false;
    end_parse(page, parse(page, page->length, piece->deadline)); /* sees the <meta> */
    try_title(page, piece);
    return page->is_finished;
}

static void finish_at_end(struct page *page, const struct http_piece *piece)
{
    if (finish_awaited_title(page, piece))
        return;
    settle_charset(page);
    struct html *html = parse(page, page->length, piece->deadline);
    if (html == NULL)
        finish(page, parse_error(page, piece, errno));
    else if (!finish_with_title(page, html) && !finish_with(page, html_heading(html)))
        finish(page, result_ok(strdup("NONE")));
    end_parse(page, html);
}

static void read_on(struct page *page, const struct http_piece *piece)
{
    size_t before = page->length;
    size_t room = TITLE_WITHIN - before;
    size_t taken = piece->length < room ? piece->length : room;
    if (!make_room(page, taken)) {
        finish(page, result_ok(NULL));
        return;
    }
    memcpy(page->bytes + before, piece->bytes, taken);
    page->length += taken;

    bool is_last = taken < piece->length;
    if (is_last && finish_awaited_title(page, piece))
        return;
    if (!try_titles(page, piece, is_last) && is_last)
        finish(page, result_failed("no title in the first %d MiB", TITLE_WITHIN >> 20));
}

static bool receive(void *context, const struct http_piece *piece)
{
    struct page *page = context;
    if (!page->has_type)
        page->type = media_type_from_header(piece->content_type);
    page->has_type = true;
    if (!is_html(&page->type))
        finish(page, result_failed("not HTML: %.80s", page->type.essence));
    else if (piece->length == 0)
        finish_at_end(page, piece);
    else
        read_on(page, piece);
    return !page->is_finished;
}

/* What came of a page that was fetched like that. */
static struct result end_page(struct page *page, struct result fetched)
{
    free(page->bytes);
    page->result.span = fetched.span;
    return fetched.status == RESULT_OK ? page->result : fetched;
}

struct result get_title(const char *url)
{
    struct page page = {0};
    struct result fetched = http_get(url, receive, &page);
    return end_page(&page, fetched);
}

/* ---- In a loop ---- */

struct title_transfer {
    struct page page;
    struct http_transfer *http;
};

struct title_transfer *title_begin(const char *url)
{
    struct title_transfer *transfer = calloc(1, sizeof(*transfer));
    if (transfer != NULL)
        transfer->http = http_begin(url, receive, &transfer->page);
    if (transfer == NULL || transfer->http != NULL)
        return transfer;
    free(transfer);
    return NULL;
}

void *title_handle(struct title_transfer *transfer)
{
    return http_handle(transfer->http);
}

struct result title_end(struct title_transfer *transfer, int code)
{
    struct result fetched = http_end(transfer->http, code);
    struct result title = end_page(&transfer->page, fetched);
    free(transfer);
    return title;
}
