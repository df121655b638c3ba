#include "media_type.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A part of the header. */
struct text {
    const char *start;
    size_t length;
};

/* One value of the header. */
struct value {
    struct media_type type;
    bool has_charset;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes `length` bytes off the front of the text, and returns them. */
static struct text take(struct text *text, size_t length)
{
    struct text taken = {text->start, length};
    text->start += length;
    text->length -= length;
    return taken;
}

/* The bytes up to the first of these, or all. */
static struct text take_until(struct text *text, const char *ends)
{
    size_t length = 0;
    while (length < text->length && strchr(ends, text->start[length]) == NULL)
        length++;
    return take(text, length);
}

static struct text trimmed(struct text text)
{
    while (text.length > 0 && is_blank(text.start[0]))
        take(&text, 1);
    while (text.length > 0 && is_blank(text.start[text.length - 1]))
        text.length--;
    return text;
}

/* What RFC 9110, 5.6.2, calls a token. */
static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.start[i];
        if (c > '~' || (!isalnum(c) && strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return text.length > 0;
}

/* Takes a string that begins with a quotation mark, and writes what it means. One that is
   not closed goes on to the end. */
static void take_quoted(struct text *text, char *meaning, size_t size)
{
    size_t length = 0;
    take(text, 1);
    while (text->length > 0 && text->start[0] != '"') {
        if (text->start[0] == '\\' && text->length > 1)
            take(text, 1);
        if (length + 1 < size)
            meaning[length++] = text->start[0];
        take(text, 1);
    }
    meaning[length] = '\0';
    if (text->length > 0)
        take(text, 1);
}

/* Takes the rest of a parameter, from its "=" on. Of two charsets the first counts. */
static void take_charset(struct text *text, struct value *value)
{
    struct media_type *type = &value->type;
    char label[sizeof(type->charset)];
    take(text, 1);
    if (text->length > 0 && text->start[0] == '"') {
        take_quoted(text, label, sizeof(label));
    } else {
        struct text plain = trimmed(take_until(text, ";"));
        if (plain.length == 0)
            return;
        snprintf(label, sizeof(label), "%.*s", (int)plain.length, plain.start);
    }
    if (!value->has_charset)
        memcpy(type->charset, label, sizeof(label));
    value->has_charset = true;
}

static void take_parameter(struct text *text, struct value *value)
{
    char ignored[1];
    take(text, 1); /* ";" */
    while (text->length > 0 && is_blank(text->start[0]))
        take(text, 1);
    struct text name = take_until(text, ";=");
    bool has_value = text->length > 1 && text->start[0] == '=';
    bool is_charset = name.length == strlen("charset") &&
                      strncasecmp(name.start, "charset", name.length) == 0;
    if (is_charset && has_value) {
        take_charset(text, value);
    } else if (has_value) {
        take(text, 1);
        if (text->start[0] == '"')
            take_quoted(text, ignored, sizeof(ignored));
    }
    take_until(text, ";");
}

/* Reads one value. Returns false if it is no media type, or one that does not count. */
static bool read_value(struct text text, struct value *value)
{
    *value = (struct value){0};
    text = trimmed(text);
    struct text essence = trimmed(take_until(&text, ";"));
    struct text subtype = essence;
    struct text type = take_until(&subtype, "/");
    if (subtype.length == 0 || !is_token(type))
        return false;
    take(&subtype, 1);
    if (!is_token(subtype))
        return false;
    char *lower = value->type.essence;
    snprintf(lower, sizeof(value->type.essence), "%.*s", (int)essence.length,
             essence.start);
    for (; *lower != '\0'; lower++)
        *lower = (char)tolower((unsigned char)*lower);
    while (text.length > 0)
        take_parameter(&text, value);
    return strcmp(value->type.essence, "*/*") != 0;
}

/* Takes the text up to a comma that does not stand in quotation marks. */
static struct text take_value(struct text *text)
{
    char ignored[1];
    const char *start = text->start;
    take_until(text, ",\"");
    while (text->length > 0 && text->start[0] == '"') {
        take_quoted(text, ignored, sizeof(ignored));
        take_until(text, ",\"");
    }
    return (struct text){start, (size_t)(text->start - start)};
}

struct media_type media_type_from_header(const char *content_type)
{
    struct text text = {content_type, strlen(content_type)};
    struct media_type found = {0};
    char charset[sizeof(found.charset)] = ""; /* of the first value with this essence */
    while (text.length > 0) {
        struct value value;
        bool counts = read_value(take_value(&text), &value);
        if (text.length > 0)
            take(&text, 1); /* the comma */
        if (!counts)
            continue;
        if (strcmp(value.type.essence, found.essence) != 0)
            memcpy(charset, value.type.charset, sizeof(charset));
        else if (!value.has_charset)
            memcpy(value.type.charset, charset, sizeof(charset));
        found = value.type;
    }
    if (strcmp(found.essence, "unknown/unknown") == 0 ||
        strcmp(found.essence, "application/unknown") == 0)
        found.essence[0] = '\0';
    return found;
}
