/* charset.h: any bytes to UTF-8. The first byte of the input chooses the set. */
#include "charset.h"

#include "check.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* One label for each set. In those before UTF-16LE an ASCII byte is itself. */
static const char *const labels[] = {
    "utf-8",        "ibm866",       "iso-8859-2",     "iso-8859-3",     "iso-8859-4",
    "iso-8859-5",   "iso-8859-6",   "iso-8859-7",     "iso-8859-8",     "iso-8859-10",
    "iso-8859-13",  "iso-8859-14",  "iso-8859-15",    "iso-8859-16",    "koi8-r",
    "koi8-u",       "macintosh",    "windows-874",    "windows-1250",   "windows-1251",
    "windows-1252", "windows-1253", "windows-1254",   "windows-1255",   "windows-1256",
    "windows-1257", "windows-1258", "x-mac-cyrillic", "x-user-defined", "gb18030",
    "big5",         "euc-jp",       "shift_jis",      "euc-kr",         "utf-16le",
    "utf-16be",     "iso-2022-jp",  "replacement",
};

enum { ASCII_COMPATIBLE = 34 };

static char *decode(const char *label, const char *bytes, size_t length)
{
    const char *charset = charset_from_label(label, strlen(label));
    check(charset != NULL, "the label is known");
    size_t decoded_length;
    char *decoded = charset_decode(charset, bytes, length, &decoded_length);
    check(decoded != NULL, "the system knows the character set");
    check(decoded_length <= 3 * length + 3, "a byte becomes three at most");
    check(text_is_utf8(decoded, decoded_length), "what is decoded is UTF-8");
    char *text = calloc(1, decoded_length + 1);
    memcpy(text, decoded, decoded_length);
    free(decoded);
    return text;
}

/* Whatever is in a title, its end tag is seen: no byte before it can eat its '<'. */
static void check_end_tag(const char *label, const char *bytes, size_t length)
{
    static const char end_tag[] = "</title>";
    char *page = malloc(length + strlen(end_tag));
    memcpy(page, bytes, length);
    memcpy(page + length, end_tag, strlen(end_tag));
    for (size_t i = 0; i < length; i++)
        page[i] = page[i] == '\0' ? ' ' : page[i];
    char *text = decode(label, page, length + strlen(end_tag));
    size_t text_length = strlen(text);
    check(text_length >= strlen(end_tag) &&
              strcmp(text + text_length - strlen(end_tag), end_tag) == 0,
          "an end tag stays one");
    free(text);
    free(page);
}

static void check_labels(const char *bytes, size_t length)
{
    char *text = strndup(bytes, length);
    const char *charset = charset_from_content_type(text);
    check(charset == NULL || charset_as_in_meta(charset) != NULL, "a set stays a set");
    charset_from_label(bytes, length);
    charset_from_byte_order_mark(bytes, length);
    free(text);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]) - 1; i++)
        keep_charset(labels[i]); /* but not "replacement", which has no table */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t chosen = data[0] % (sizeof(labels) / sizeof(labels[0]));
    const char *bytes = (const char *)data + 1;
    free(decode(labels[chosen], bytes, size - 1));
    if (chosen < ASCII_COMPATIBLE)
        check_end_tag(labels[chosen], bytes, size - 1);
    check_labels(bytes, size - 1);
    return 0;
}
