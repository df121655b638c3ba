#include "prescan.h"

#include "charset.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WHITE_SPACE "\t\n\f\r "

/* The bytes that have not been looked at. */
struct rest {
    const char *next;
    const char *end;
};

static bool is_one_of(char byte, const char *bytes)
{
    return byte != '\0' && strchr(bytes, byte) != NULL;
}

static void skip(struct rest *rest, const char *bytes)
{
    while (rest->next < rest->end && is_one_of(*rest->next, bytes))
        rest->next++;
}

static void skip_until(struct rest *rest, const char *bytes)
{
    while (rest->next < rest->end && !is_one_of(*rest->next, bytes))
        rest->next++;
}

/* Goes to where the text begins, or to the end if it does not occur. */
static void find(struct rest *rest, const char *text)
{
    size_t length = (size_t)(rest->end - rest->next);
    const char *found = memmem(rest->next, length, text, strlen(text));
    rest->next = found == NULL ? rest->end : found;
}

static bool begins_with(const struct rest *rest, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(rest->end - rest->next) >= length &&
           strncasecmp(rest->next, text, length) == 0;
}

struct piece {
    const char *bytes; /* NULL: there is none */
    size_t length;
};

static bool is(const struct piece *piece, const char *text)
{
    return piece->bytes != NULL && piece->length == strlen(text) &&
           strncasecmp(piece->bytes, text, piece->length) == 0;
}

/* None if there is no quotation mark at its end. */
static struct piece read_value(struct rest *rest)
{
    struct piece value = {.bytes = rest->next};
    if (rest->next < rest->end && is_one_of(*rest->next, "\"'")) {
        const char quote[] = {*rest->next++, '\0'};
        value.bytes = rest->next;
        find(rest, quote);
        if (rest->next == rest->end)
            return (struct piece){0};
        value.length = (size_t)(rest->next++ - value.bytes);
    } else {
        skip_until(rest, WHITE_SPACE ">");
        value.length = (size_t)(rest->next - value.bytes);
    }
    return value;
}

/* Returns false where the tag ends, or the bytes. */
static bool read_attribute(struct rest *rest, struct piece *name, struct piece *value)
{
    skip(rest, WHITE_SPACE "/");
    if (rest->next == rest->end || *rest->next == '>')
        return false;
    name->bytes = rest->next++; /* be it a '=' */
    skip_until(rest, WHITE_SPACE "/>=");
    name->length = (size_t)(rest->next - name->bytes);

    *value = (struct piece){.bytes = ""};
    skip(rest, WHITE_SPACE);
    if (rest->next < rest->end && *rest->next == '=') {
        rest->next++;
        skip(rest, WHITE_SPACE);
        *value = read_value(rest);
    }
    return true;
}

static const char *charset_in(const struct piece *label)
{
    return label->bytes == NULL ? NULL : charset_from_label(label->bytes, label->length);
}

static const char *charset_in_content(const struct piece *content)
{
    char text[PRESCAN_WITHIN + 1] = ""; /* with a NUL behind it */
    if (content->bytes != NULL)
        memcpy(text, content->bytes, content->length);
    return charset_from_content_type(text);
}

/* Reads the attributes of a <meta>; of two with the same name the first counts. */
static const char *read_meta(struct rest *rest)
{
    struct piece charset = {0}, pragma = {0}, content = {0};
    struct piece name, value;
    while (read_attribute(rest, &name, &value)) {
        if (is(&name, "charset") && charset.bytes == NULL)
            charset = value;
        else if (is(&name, "http-equiv") && pragma.bytes == NULL)
            pragma = value;
        else if (is(&name, "content") && content.bytes == NULL)
            content = value;
    }
    if (rest->next == rest->end) /* the tag has no end */
        return NULL;
    if (charset.bytes != NULL)
        return charset_in(&charset);
    return is(&pragma, "content-type") ? charset_in_content(&content) : NULL;
}

static void skip_attributes(struct rest *rest)
{
    struct piece name, value;
    skip_until(rest, WHITE_SPACE ">");
    while (read_attribute(rest, &name, &value))
        continue;
}

/* Goes from a '<' to where what it begins ends. Returns what set it names, or NULL. */
static const char *read_markup(struct rest *rest)
{
    static const char meta[] = "<meta";
    size_t length = (size_t)(rest->end - rest->next);
    size_t name = begins_with(rest, "</") ? 2 : 1;
    if (begins_with(rest, "<!--")) {
        rest->next += strlen("<!");
        find(rest, "-->");
    } else if (begins_with(rest, meta) && length > strlen(meta) &&
               is_one_of(rest->next[strlen(meta)], WHITE_SPACE "/")) {
        rest->next += strlen(meta);
        return read_meta(rest);
    } else if (length > name && isalpha((unsigned char)rest->next[name])) {
        skip_attributes(rest);
    } else if (length > 1 && is_one_of(rest->next[1], "!/?")) {
        find(rest, ">");
    } else {
        rest->next++;
    }
    return NULL;
}

static struct rest first_bytes(const char *bytes, size_t length)
{
    size_t within = length < PRESCAN_WITHIN ? length : PRESCAN_WITHIN;
    return (struct rest){.next = bytes, .end = bytes + within};
}

static bool begins_exactly(const struct rest *rest, const char *bytes, size_t length)
{
    return (size_t)(rest->end - rest->next) >= length &&
           memcmp(rest->next, bytes, length) == 0;
}

/* The set of a page that begins with "<?x" in UTF-16. */
static const char *utf16_declaration(const struct rest *rest)
{
    static const char little[] = {'<', 0, '?', 0, 'x', 0};
    static const char big[] = {0, '<', 0, '?', 0, 'x'};
    if (begins_exactly(rest, little, sizeof(little)))
        return charset_from_label("utf-16le", 8);
    if (begins_exactly(rest, big, sizeof(big)))
        return charset_from_label("utf-16be", 8);
    return NULL;
}

const char *prescan_meta(const char *bytes, size_t length)
{
    struct rest rest = first_bytes(bytes, length);
    const char *charset = utf16_declaration(&rest);
    if (charset != NULL)
        return charset;
    for (find(&rest, "<"); charset == NULL && rest.next < rest.end; find(&rest, "<"))
        charset = read_markup(&rest);
    return charset == NULL ? NULL : charset_as_in_meta(charset);
}

/* The value behind encoding= in an XML declaration. */
static struct piece read_encoding(struct rest *rest)
{
    static const char name[] = "encoding";
    struct piece none = {0};
    find(rest, name);
    if (rest->next == rest->end)
        return none;
    rest->next += strlen(name);
    skip(rest, WHITE_SPACE);
    if (rest->next == rest->end || *rest->next++ != '=')
        return none;
    skip(rest, WHITE_SPACE);
    if (rest->next == rest->end || !is_one_of(*rest->next, "\"'"))
        return none;
    return read_value(rest);
}

const char *prescan_xml_declaration(const char *bytes, size_t length)
{
    static const char begin[] = "<?xml";
    struct rest rest = first_bytes(bytes, length);
    const char *charset = utf16_declaration(&rest);
    if (charset != NULL || !begins_exactly(&rest, begin, strlen(begin)))
        return charset;
    const char *end = memchr(bytes, '>', (size_t)(rest.end - rest.next));
    if (end == NULL)
        return NULL;
    rest.end = end;
    struct piece encoding = read_encoding(&rest);
    charset = charset_in(&encoding);
    return charset == NULL ? NULL : charset_as_in_meta(charset);
}
