/*
 * title.h: the title of any page. It does not depend on the pieces that the page comes
 * in.
 *
 * The first byte of the input chooses the Content-Type, the second how the page is cut;
 * the rest is the page.
 */
#include "title.h"

#include "check.h"
#include "http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const content_types[] = {
    "",
    "text/html",
    "text/html; charset=utf-8",
    "text/html; charset=euc-kr",
    "text/html; charset=iso-2022-jp",
    "text/html; charset=utf-16le",
    "application/xhtml+xml",
};

struct input {
    const char *content_type;
    const char *page;
    size_t length;
    unsigned longest_piece; /* 0: it comes in one */
};

/* The page that http_get() gives. */
static struct input input;

/* In place of http.c's; no loop is tried. */
struct result http_get(const char *url, http_receive *receive, void *context)
{
    (void)url;
    struct http_piece piece = {.content_type = input.content_type, .deadline = INFINITY};
    bool wants_more = true;
    unsigned number = 0;
    for (size_t position = 0; wants_more && position < input.length; number++) {
        piece.length = input.length - position;
        if (input.longest_piece > 0 && piece.length > input.longest_piece)
            piece.length = 1 + number * 7 % input.longest_piece;
        char *copy = malloc(piece.length); /* so that it is gone after the call */
        memcpy(copy, input.page + position, piece.length);
        piece.bytes = copy;
        wants_more = receive(context, &piece);
        free(copy);
        position += piece.length;
    }
    piece.length = 0;
    if (wants_more)
        receive(context, &piece);
    return (struct result){.status = RESULT_OK};
}

struct http_transfer *http_begin(const char *url, http_receive *receive, void *context)
{
    (void)url, (void)receive, (void)context;
    return NULL;
}

void *http_handle(struct http_transfer *transfer)
{
    return transfer;
}

struct result http_end(struct http_transfer *transfer, int code)
{
    (void)transfer, (void)code;
    return (struct result){.status = RESULT_FAILED};
}

static struct result title_in_pieces(unsigned longest_piece)
{
    input.longest_piece = longest_piece;
    struct result result = get_title("");
    check(result.text != NULL, "there is a title, or a reason");
    check_tidy(result.text);
    return result;
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    static const char *const labels[] = {"windows-1252", "windows-1251", "koi8-r",
                                         "utf-16le",     "utf-16be",     "euc-kr",
                                         "shift_jis",    "iso-2022-jp",  "big5"};
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
        keep_charset(labels[i]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    input = (struct input){
        .content_type =
            content_types[data[0] % (sizeof(content_types) / sizeof(content_types[0]))],
        .page = (const char *)data + 2,
        .length = size - 2,
    };
    struct result whole = title_in_pieces(0);
    struct result cut = title_in_pieces(1 + data[1]);
    check(whole.status == cut.status && strcmp(whole.text, cut.text) == 0,
          "the title does not depend on the pieces that the page comes in");
    result_free(&whole);
    result_free(&cut);
    return 0;
}
