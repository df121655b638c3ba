#include "charset.h"

#include "decode.h"
#include "text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char white_space[] = "\t\n\f\r ";
static const char mark_utf8[] = "\xEF\xBB\xBF";
static const char replacement_character[] = "\xEF\xBF\xBD";

static const char utf8[] = "UTF-8";
static const char utf16_little_endian[] = "UTF-16LE";
static const char utf16_big_endian[] = "UTF-16BE";
static const char windows1252[] = "CP1252";

/* Latin-1 is nobody else's: the label iso-8859-1 means windows-1252. */
static const char user_defined[] = "ISO-8859-1";

/* Sets that can smuggle markup past a filter: the standard has a page that claims one of
   them decode to a single U+FFFD. */
static const char replacement[] = "replacement";

const char *const charset_utf8 = utf8;
const char *const charset_windows1252 = windows1252;

/*
 * The standard's table of labels (https://encoding.spec.whatwg.org/#names-and-labels),
 * with iconv's name for what comes nearest to what the standard means by each; decode.c
 * knows what is different.
 */
static const struct {
    const char *charset;
    const char *labels; /* in lower case, with a space between */
} table[] = {
    {utf8, "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8"},
    {"CP866", "866 cp866 csibm866 ibm866"},
    {"ISO-8859-2", "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 "
                   "iso_8859-2:1987 l2 latin2"},
    {"ISO-8859-3", "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 "
                   "iso_8859-3:1988 l3 latin3"},
    {"ISO-8859-4", "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 "
                   "iso_8859-4:1988 l4 latin4"},
    {"ISO-8859-5", "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 "
                   "iso_8859-5 iso_8859-5:1988"},
    {"ISO-8859-6", "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 "
                   "iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 "
                   "iso_8859-6 iso_8859-6:1987"},
    {"ISO-8859-7", "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 "
                   "iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek"},
    {"ISO-8859-8",
     "csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e "
     "iso-8859-8-i iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 "
     "logical visual"},
    {"ISO-8859-10", "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6"},
    {"ISO-8859-13", "iso-8859-13 iso8859-13 iso885913"},
    {"ISO-8859-14", "iso-8859-14 iso8859-14 iso885914"},
    {"ISO-8859-15", "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9"},
    {"ISO-8859-16", "iso-8859-16"},
    {"KOI8-R", "cskoi8r koi koi8 koi8-r koi8_r"},
    {"KOI8-U", "koi8-ru koi8-u"},
    {"MACINTOSH", "csmacintosh mac macintosh x-mac-roman"},
    {"CP874", "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874"},
    {"CP1250", "cp1250 windows-1250 x-cp1250"},
    {"CP1251", "cp1251 windows-1251 x-cp1251"},
    {windows1252,
     "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 "
     "iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii "
     "windows-1252 x-cp1252"},
    {user_defined, "x-user-defined"},
    {"CP1253", "cp1253 windows-1253 x-cp1253"},
    {"CP1254", "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
               "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254"},
    {"CP1255", "cp1255 windows-1255 x-cp1255"},
    {"CP1256", "cp1256 windows-1256 x-cp1256"},
    {"CP1257", "cp1257 windows-1257 x-cp1257"},
    {"CP1258", "cp1258 windows-1258 x-cp1258"},
    {"MAC-CYRILLIC", "x-mac-cyrillic x-mac-ukrainian"},
    {"GB18030", "chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk "
                "iso-ir-58 x-gbk"},
    {"BIG5-HKSCS", "big5 big5-hkscs cn-big5 csbig5 x-x-big5"},
    {"EUC-JP", "cseucpkdfmtjapanese euc-jp x-euc-jp"},
    {"ISO-2022-JP", "csiso2022jp iso-2022-jp"},
    {"CP932", "csshiftjis ms_kanji shift-jis shift_jis sjis windows-31j x-sjis"},
    {"CP949", "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 "
              "ks_c_5601-1989 ksc5601 ksc_5601 windows-949"},
    {utf16_big_endian, "unicodefffe utf-16be"},
    {utf16_little_endian,
     "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le"},
    {replacement,
     "csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement"},
};

static bool is_word(const char *words, const char *word, size_t length)
{
    for (;;) {
        size_t word_length = strcspn(words, " ");
        if (word_length == length && strncasecmp(words, word, length) == 0)
            return true;
        if (words[word_length] == '\0')
            return false;
        words += word_length + 1;
    }
}

const char *charset_from_label(const char *label, size_t length)
{
    while (length > 0 && strchr(white_space, label[0]) != NULL)
        label++, length--;
    while (length > 0 && strchr(white_space, label[length - 1]) != NULL)
        length--;

    for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
        if (is_word(table[row].labels, label, length))
            return table[row].charset;
    }
    return NULL;
}

/* https://html.spec.whatwg.org/#algorithm-for-extracting-a-character-encoding-from-a-meta-element
   serves the header as well: it reads all that RFC 9110 allows there, and more. */
const char *charset_from_content_type(const char *content_type)
{
    static const char name[] = "charset";
    const char *value = content_type;
    do {
        value = strcasestr(value, name);
        if (value == NULL)
            return NULL;
        value += strlen(name);
        value += strspn(value, white_space);
    } while (*value != '=');

    value++;
    value += strspn(value, white_space);
    if (*value != '"' && *value != '\'')
        return charset_from_label(value, strcspn(value, "\t\n\f\r ;"));
    const char *end = strchr(value + 1, *value);
    return end == NULL ? NULL : charset_from_label(value + 1, (size_t)(end - value) - 1);
}

const char *charset_from_byte_order_mark(const char *bytes, size_t length)
{
    if (length >= 3 && memcmp(bytes, mark_utf8, 3) == 0)
        return utf8;
    if (length >= 2 && memcmp(bytes, "\xFF\xFE", 2) == 0)
        return utf16_little_endian;
    if (length >= 2 && memcmp(bytes, "\xFE\xFF", 2) == 0)
        return utf16_big_endian;
    return NULL;
}

const char *charset_as_in_meta(const char *charset)
{
    if (charset_unit(charset) == 2)
        return utf8;
    return charset == user_defined ? windows1252 : charset;
}

size_t charset_unit(const char *charset)
{
    return charset == utf16_little_endian || charset == utf16_big_endian ? 2 : 1;
}

char *charset_decode(const char *charset, const char *bytes, size_t length,
                     size_t *decoded_length)
{
    char *text;
    if (charset == replacement) {
        *decoded_length = strlen(replacement_character);
        text = strdup(replacement_character);
    } else if (charset == utf8) {
        text = text_repair(bytes, length, decoded_length);
    } else {
        text = decode(charset, bytes, length, decoded_length);
    }

    size_t mark = strlen(mark_utf8);
    bool may_have_mark = charset == utf8 || charset_unit(charset) == 2;
    if (text != NULL && may_have_mark && *decoded_length >= mark &&
        memcmp(text, mark_utf8, mark) == 0) {
        *decoded_length -= mark;
        memmove(text, text + mark, *decoded_length);
    }
    return text;
}
