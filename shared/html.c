#include "html.h"

#include "charset.h"
#include "monotonic.h"

#include <ctype.h>
#include <errno.h>
#include <gumbo.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <unistr.h>

/*
 * The memory of a document: blocks that are filled from the front and freed together. It
 * is faster than malloc, it can be counted, and it needs no walk over the tree to free
 * it: Gumbo's own walk calls itself once for each level, and a page of 800,000 nested
 * elements would overflow the stack.
 */
struct block {
    struct block *next;
    max_align_t memory[];
};

enum {
    FIRST_BLOCK = 64 * 1024,
    LARGEST_BLOCK = 4 * 1024 * 1024,

    PARSED_AT_ONCE = 4 * 1024, /* of a document: it cannot take long, whatever it is */
    LONGEST_MENDED = 3,        /* the stand-in for a control character of one byte */
};

/* As decimal and as hexadecimal digits it is beyond Unicode, and so are all numbers with
   more digits. */
#define TOO_LARGE "9999999"

struct html {
    struct block *blocks;
    char *free_memory;
    size_t free_size;
    size_t block_size; /* of the next block */
    size_t total_size;
    size_t most_memory;
    sigjmp_buf give_up;
    int error; /* why it was given up: an errno */
    const GumboNode *root;
};

/* The document that the thread is parsing, for the signal that ends it. */
static _Thread_local struct html *volatile parsed_now;
static _Thread_local volatile sig_atomic_t must_stay;
static _Thread_local volatile sig_atomic_t is_late;
static _Thread_local volatile double deadline_now; /* of that document */

/*
 * Gumbo cannot be told that there is no memory, nor to stop. But all that it holds is
 * in our blocks: so we may leave it from anywhere by siglongjmp(3), and nothing is
 * lost.
 */
_Noreturn static void give_up(struct html *html, int error)
{
    parsed_now = NULL;
    html->error = error;
    siglongjmp(html->give_up, 1);
}

/* The timer's signal: the deadline has passed. In the middle of malloc(3), which has
   a lock, and with a block that is in no list yet, we must not go away: then
   add_block() does it afterwards. */
static void on_deadline(int signal_number)
{
    (void)signal_number;
    if (monotonic_seconds() < deadline_now)
        return; /* it is somebody else's alarm */
    if (parsed_now == NULL || must_stay)
        is_late = 1;
    else
        give_up(parsed_now, ETIMEDOUT);
}

static void *add_block(struct html *html, size_t size)
{
    if (html->total_size + size > html->most_memory)
        give_up(html, E2BIG);
    must_stay = 1;
    struct block *block = malloc(sizeof(struct block) + size);
    if (block != NULL) {
        block->next = html->blocks;
        html->blocks = block;
        html->total_size += size;
    }
    must_stay = 0;
    if (is_late)
        give_up(html, ETIMEDOUT);
    if (block == NULL)
        give_up(html, ENOMEM);
    return block->memory;
}

static void *allocate(void *userdata, size_t size)
{
    struct html *html = userdata;
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (size > LARGEST_BLOCK / 4)
        return add_block(html, size);
    if (size > html->free_size) {
        html->free_memory = add_block(html, html->block_size);
        html->free_size = html->block_size;
        if (html->block_size < LARGEST_BLOCK)
            html->block_size *= 2;
    }
    void *memory = html->free_memory;
    html->free_memory += size;
    html->free_size -= size;
    return memory;
}

static void keep(void *userdata, void *memory)
{
    (void)userdata;
    (void)memory;
}

/* The thread's timer, made for its first document that needs one, and the thread itself:
   after fork(2) the child has the identifier of a timer, but not the timer. */
static _Thread_local timer_t timer;
static _Thread_local pid_t timer_owner;

static pthread_once_t deadlines_once = PTHREAD_ONCE_INIT;
static pthread_key_t timer_key;
static int timer_key_error;

static void delete_timer(void *owner)
{
    if (*(pid_t *)owner == gettid())
        timer_delete(timer);
}

static void catch_deadlines(void)
{
    struct sigaction action = {.sa_handler = on_deadline, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL); /* it cannot fail: SIGALRM can be caught */
    timer_key_error = pthread_key_create(&timer_key, delete_timer);
}

/* Makes a timer that sends SIGALRM to this very thread (timer_create(2),
   SIGEV_THREAD_ID), and is deleted when the thread ends. */
static bool make_timer(void)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID,
        .sigev_signo = SIGALRM,
        ._sigev_un._tid = gettid(),
    };
    pthread_once(&deadlines_once, catch_deadlines);
    errno = timer_key_error;
    if (errno == 0)
        errno = pthread_setspecific(timer_key, &timer_owner);
    if (errno != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return false;
    timer_owner = gettid();
    return true;
}

/* Has the thread's timer go off at the deadline. */
static bool set_timer(double deadline)
{
    struct itimerspec time = {
        .it_value.tv_sec = (time_t)deadline,
        .it_value.tv_nsec = (long)((deadline - floor(deadline)) * 1e9),
    };
    if (timer_owner != gettid() && !make_timer())
        return false;
    return timer_settime(timer, TIMER_ABSTIME, &time, NULL) == 0;
}

static void stop_timer(void)
{
    timer_settime(timer, 0, &(struct itimerspec){0}, NULL);
}

static void run_parser(struct html *html, const char *document, size_t length)
{
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = allocate;
    options.deallocator = keep;
    options.userdata = html;
    options.max_errors = 0;
    if (sigsetjmp(html->give_up, true) != 0)
        return;
    parsed_now = html;
    if (is_late)
        give_up(html, ETIMEDOUT);
    html->root = gumbo_parse_with_options(&options, document, length)->document;
    parsed_now = NULL;
}

/* Lets SIGALRM come to this thread, which may have been started by one that blocks it.
   Stores what was blocked before. */
static void unblock_alarm(sigset_t *before)
{
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm, before); /* it cannot fail */
}

/* Runs the parser, but no longer than to the deadline. */
static void run_parser_until(struct html *html, const char *document, size_t length,
                             double deadline)
{
    sigset_t blocked;
    if (!set_timer(deadline)) {
        html->error = errno;
        return;
    }
    unblock_alarm(&blocked);
    run_parser(html, document, length);
    stop_timer();
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

/* Returns whether it came to the end; else the reason is in html->error. */
static bool parse(struct html *html, const char *document, size_t length, double deadline)
{
    is_late = monotonic_seconds() >= deadline;
    deadline_now = deadline;
    if (isfinite(deadline) && length > PARSED_AT_ONCE)
        run_parser_until(html, document, length, deadline);
    else
        run_parser(html, document, length);
    return html->root != NULL;
}

/* How many bytes the control character at the beginning takes; 0 if there is none, or one
   that means something in HTML. */
static size_t control_length(const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    if (first == 0xC2 && length > 1 && (unsigned char)text[1] < 0xA0)
        return 2; /* U+0080 to U+009F */
    return (first < ' ' && memchr("\0\t\n\f\r", first, 5) == NULL) || first == 0x7F;
}

static size_t mend_control(const char *text, size_t length, char **end)
{
    size_t control = control_length(text, length);
    bool is_space = text[0] == '\v' || (control == 2 && text[1] == '\x85');
    if (control > 0)
        *end = stpcpy(*end, is_space ? HTML_SPACE_STAND_IN : HTML_CONTROL_STAND_IN);
    return control;
}

/* U+FDD0 to U+FDEF, and the last two of each plane. */
static bool is_noncharacter(ucs4_t character)
{
    return (character & 0xFFFE) == 0xFFFE || (0xFDD0 <= character && character <= 0xFDEF);
}

static size_t mend_noncharacter(const char *text, size_t length, char **end)
{
    ucs4_t character;
    int taken = u8_mbtouc(&character, (const uint8_t *)text, length);
    if (!is_noncharacter(character))
        return 0;
    *end += sprintf(*end, "&#x%X;", (unsigned)character);
    return (size_t)taken;
}

/* A numeric reference whose number overflows. */
static size_t mend_reference(const char *text, size_t length, char **end)
{
    if (length < 3 || text[1] != '#')
        return 0;
    bool is_hexadecimal = text[2] == 'x' || text[2] == 'X';
    int (*is_digit)(int) = is_hexadecimal ? isxdigit : isdigit;
    size_t digits = is_hexadecimal ? 3 : 2;
    while (digits < length && text[digits] == '0')
        digits++;
    size_t taken = digits;
    while (taken < length && is_digit((unsigned char)text[taken]))
        taken++;
    if (taken - digits <= strlen(TOO_LARGE))
        return 0;
    *end = stpcpy(stpcpy(*end, is_hexadecimal ? "&#x" : "&#"), TOO_LARGE);
    return taken;
}

/* Writes what Gumbo has to see in place of what the text begins with, and returns how
   many bytes that is; 0 if it may see the text. */
static size_t mend_next(const char *text, size_t length, char **end)
{
    unsigned char first = (unsigned char)text[0];
    if (first == '&')
        return mend_reference(text, length, end);
    if (first >= 0xEF) /* the first noncharacter's first byte */
        return mend_noncharacter(text, length, end);
    return mend_control(text, length, end);
}

/*
 * What Gumbo has otherwise than the standard, mended before it sees the text. Returns
 * memory that the caller frees, or NULL.
 *
 * - It takes control characters for damage and makes U+FFFD of them: so we show it
 *   something that means as little in HTML, HTML_CONTROL_STAND_IN, or HTML_SPACE_STAND_IN
 *   for the two that are white space, though not in HTML.
 * - It does the same with noncharacters, but not if they are written as a reference.
 * - It counts a numeric reference in 32 bits: so we show it one that is beyond Unicode,
 *   but not beyond those.
 *
 * The last two are wrong where a reference means nothing: in an <h1>'s <script> or <xmp>.
 */
static char *mend(const char *document, size_t length, size_t *mended_length)
{
    char *mended = malloc(LONGEST_MENDED * length + 1);
    if (mended == NULL)
        return NULL;
    char *end = mended;
    for (size_t i = 0; i < length;) {
        size_t taken = mend_next(document + i, length - i, &end);
        if (taken == 0)
            *end++ = document[i];
        i += taken == 0 ? 1 : taken;
    }
    *mended_length = (size_t)(end - mended);
    return mended;
}

struct html *html_parse(const char *document, size_t length, double deadline)
{
    return html_parse_within(document, length, HTML_MOST_MEMORY, deadline);
}

struct html *html_parse_within(const char *document, size_t length, size_t most_memory,
                               double deadline)
{
    struct html *html = calloc(1, sizeof(*html));
    if (html == NULL)
        return NULL;
    html->most_memory = most_memory;
    html->block_size = FIRST_BLOCK;

    size_t mended_length;
    char *mended = mend(document, length, &mended_length);
    bool is_parsed = mended != NULL && parse(html, mended, mended_length, deadline);
    free(mended);
    if (is_parsed)
        return html;
    int error = mended == NULL ? ENOMEM : html->error;
    html_free(html);
    errno = error;
    return NULL;
}

void html_free(struct html *html)
{
    if (html == NULL)
        return;
    while (html->blocks != NULL) {
        struct block *next = html->blocks->next;
        free(html->blocks);
        html->blocks = next;
    }
    free(html);
}

static const GumboVector *children(const GumboNode *node)
{
    if (node->type == GUMBO_NODE_DOCUMENT)
        return &node->v.document.children;
    if (node->type == GUMBO_NODE_ELEMENT)
        return &node->v.element.children;
    return &kGumboEmptyVector; /* also for GUMBO_NODE_TEMPLATE: its content is apart */
}

/* The node that follows in the order of the document, within the tree below the root. By
   parents and not by recursion, for the same reason as above. */
static const GumboNode *next_node(const GumboNode *node, const GumboNode *root)
{
    if (children(node)->length > 0)
        return children(node)->data[0];
    while (node != root) {
        const GumboVector *siblings = children(node->parent);
        if (node->index_within_parent + 1 < siblings->length)
            return siblings->data[node->index_within_parent + 1];
        node = node->parent;
    }
    return NULL;
}

static bool is_text(const GumboNode *node)
{
    return node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_WHITESPACE ||
           node->type == GUMBO_NODE_CDATA;
}

static char *text_content(const GumboNode *element)
{
    size_t size = 0;
    for (const GumboNode *node = element; node != NULL; node = next_node(node, element)) {
        if (is_text(node))
            size += strlen(node->v.text.text);
    }
    char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    char *end = text;
    for (const GumboNode *node = element; node != NULL; node = next_node(node, element)) {
        if (is_text(node))
            end = stpcpy(end, node->v.text.text);
    }
    *end = '\0';
    return text;
}

static bool is_html_element(const GumboNode *node, GumboTag tag)
{
    return node->type == GUMBO_NODE_ELEMENT && node->v.element.tag == tag &&
           node->v.element.tag_namespace == GUMBO_NAMESPACE_HTML;
}

static const GumboNode *first_element(const struct html *html, GumboTag tag)
{
    const GumboNode *node = html->root;
    while (node != NULL && !is_html_element(node, tag))
        node = next_node(node, html->root);
    return node;
}

static char *text_of_first(const struct html *html, GumboTag tag)
{
    const GumboNode *element = first_element(html, tag);
    errno = 0;
    return element == NULL ? NULL : text_content(element);
}

char *html_title(const struct html *html)
{
    return text_of_first(html, GUMBO_TAG_TITLE);
}

char *html_heading(const struct html *html)
{
    return text_of_first(html, GUMBO_TAG_H1);
}

bool html_title_is_closed(const struct html *html)
{
    const GumboNode *title = first_element(html, GUMBO_TAG_TITLE);
    return title != NULL && title->v.element.original_end_tag.length > 0;
}

static const char *attribute(const GumboNode *node, const char *name)
{
    const GumboAttribute *found = gumbo_get_attribute(&node->v.element.attributes, name);
    return found == NULL ? "" : found->value;
}

static const char *charset_in_meta(const GumboNode *meta)
{
    const char *label = attribute(meta, "charset");
    const char *charset = charset_from_label(label, strlen(label));
    if (charset == NULL && strcasecmp(attribute(meta, "http-equiv"), "content-type") == 0)
        charset = charset_from_content_type(attribute(meta, "content"));
    return charset == NULL ? NULL : charset_as_in_meta(charset);
}

const char *html_charset(const struct html *html)
{
    const char *charset = NULL;
    for (const GumboNode *node = html->root; node != NULL && charset == NULL;
         node = next_node(node, html->root)) {
        if (is_html_element(node, GUMBO_TAG_META))
            charset = charset_in_meta(node);
    }
    return charset;
}
