#include "decode.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

enum {
    ESCAPE = 0x1B,
    LAST_ASCII = 0x7F,
    LAST_CONTROL = 0x9F,
    LONGEST_GROWTH = 3, /* a byte that stands for nothing becomes a U+FFFD */
    LONGEST_TEXT = 8,   /* what one sequence becomes: at most two characters */
};

static const char replacement[] = "\uFFFD";

/* The sequences from first to last, read as big-endian numbers, stand for the characters
   from this one on, whatever iconv says. */
struct difference {
    uint32_t first;
    uint32_t last;
    uint32_t character;
};

static const struct difference koi8_u[] = {{0xAE, 0xAE, 0x045E}, {0xBE, 0xBE, 0x040E}};
static const struct difference macintosh[] = {{0xC6, 0xC6, 0x2206}, {0xF0, 0xF0, 0xF8FF}};
static const struct difference mac_cyrillic[] = {{0xFF, 0xFF, 0x20AC}};
static const struct difference windows1255[] = {{0xCA, 0xCA, 0x05BA}};
static const struct difference user_defined[] = {{0x80, 0xFF, 0xF780}};
static const struct difference shift_jis[] = {{0x80, 0x80, 0x0080}};

/* The sequences of four bytes are characters that iconv has in two only. */
static const struct difference gb18030[] = {
    {0x80, 0x80, 0x20AC},
    {0xA3A0, 0xA3A0, 0x3000},
    {0xFE51, 0xFE51, 0xE816},
    {0xFE52, 0xFE52, 0xE817},
    {0xFE53, 0xFE53, 0xE818},
    {0xFE6C, 0xFE6C, 0xE831},
    {0xFE76, 0xFE76, 0xE83B},
    {0xFE91, 0xFE91, 0xE855},
    {0x82359037, 0x82359039, 0x9FB4},
    {0x82359130, 0x82359134, 0x9FB7},
    {0x84318236, 0x84318239, 0xFE10},
    {0x84318330, 0x84318335, 0xFE14},
};

/* BIG5-HKSCS is a newer set than the web's: it has some of Big5's punctuation otherwise,
   and no second place any more for a character that has two. */
static const struct difference big5[] = {
    {0x80, 0x80, 0xFFFD},     {0x8E69, 0x8E69, 0x7BB8}, {0x8E6F, 0x8E6F, 0x7C06},
    {0x8E7E, 0x8E7E, 0x7CCE}, {0x8EAB, 0x8EAB, 0x7DD2}, {0x8EB4, 0x8EB4, 0x7E1D},
    {0x8ECD, 0x8ECD, 0x8005}, {0x8ED0, 0x8ED0, 0x8028}, {0x8F57, 0x8F57, 0x83C1},
    {0x8F69, 0x8F69, 0x84A8}, {0x8F6E, 0x8F6E, 0x840F}, {0x8FCB, 0x8FCB, 0x89A6},
    {0x8FCC, 0x8FCC, 0x89A9}, {0x8FFE, 0x8FFE, 0x8D77}, {0x906D, 0x906D, 0x90FD},
    {0x907A, 0x907A, 0x92B9}, {0x90DC, 0x90DC, 0x975C}, {0x90F1, 0x90F1, 0x97FF},
    {0x91BF, 0x91BF, 0x9F16}, {0x9244, 0x9244, 0x8503}, {0x92AF, 0x92AF, 0x5159},
    {0x92B0, 0x92B0, 0x515B}, {0x92B1, 0x92B2, 0x515D}, {0x92C8, 0x92C8, 0x936E},
    {0x92D1, 0x92D1, 0x7479}, {0x9447, 0x9447, 0x6D67}, {0x94CA, 0x94CA, 0x799B},
    {0x95D9, 0x95D9, 0x9097}, {0x9644, 0x9644, 0x975D}, {0x96ED, 0x96ED, 0x701E},
    {0x96FC, 0x96FC, 0x5B28}, {0x9B76, 0x9B76, 0x7201}, {0x9B78, 0x9B78, 0x77D7},
    {0x9B7B, 0x9B7B, 0x7E87}, {0x9BC6, 0x9BC6, 0x99D6}, {0x9BDE, 0x9BDE, 0x91D4},
    {0x9BEC, 0x9BEC, 0x60DE}, {0x9BF6, 0x9BF6, 0x6FB6}, {0x9C42, 0x9C42, 0x8F36},
    {0x9C53, 0x9C53, 0x4FBB}, {0x9C62, 0x9C62, 0x71DF}, {0x9C68, 0x9C68, 0x9104},
    {0x9C6B, 0x9C6B, 0x9DF0}, {0x9C77, 0x9C77, 0x83CF}, {0x9CBC, 0x9CBC, 0x5C10},
    {0x9CBD, 0x9CBD, 0x79E3}, {0x9CD0, 0x9CD0, 0x5A67}, {0x9D57, 0x9D57, 0x8F0B},
    {0x9D5A, 0x9D5A, 0x7B51}, {0x9DC4, 0x9DC4, 0x62D0}, {0x9EA9, 0x9EA9, 0x6062},
    {0x9EEF, 0x9EEF, 0x75F9}, {0x9EFD, 0x9EFD, 0x6C4A}, {0x9F60, 0x9F60, 0x9B2E},
    {0x9F66, 0x9F66, 0x9F17}, {0x9FCB, 0x9FCB, 0x50ED}, {0x9FD8, 0x9FD8, 0x5F0C},
    {0xA063, 0xA063, 0x880F}, {0xA077, 0xA077, 0x62CE}, {0xA0D5, 0xA0D5, 0x7468},
    {0xA0DF, 0xA0DF, 0x7162}, {0xA0E4, 0xA0E4, 0x7250}, {0xA145, 0xA145, 0x2027},
    {0xA14E, 0xA14E, 0xFE51}, {0xA15A, 0xA15A, 0x2574}, {0xA1C2, 0xA1C2, 0x00AF},
    {0xA1C3, 0xA1C3, 0xFFE3}, {0xA1C5, 0xA1C5, 0x02CD}, {0xA1E3, 0xA1E3, 0xFF5E},
    {0xA1F2, 0xA1F2, 0x2295}, {0xA1F3, 0xA1F3, 0x2299}, {0xA1FE, 0xA1FE, 0xFF0F},
    {0xA240, 0xA240, 0xFF3C}, {0xA241, 0xA241, 0x2215}, {0xA242, 0xA242, 0xFE68},
    {0xA244, 0xA244, 0xFFE5}, {0xA246, 0xA247, 0xFFE0}, {0xA2CC, 0xA2CC, 0x5341},
    {0xA2CE, 0xA2CE, 0x5345}, {0xA3C0, 0xA3DF, 0x2400}, {0xA3E0, 0xA3E0, 0x2421},
    {0xA3E1, 0xA3E1, 0x20AC}, {0xC6CF, 0xC6CF, 0x5EF4}, {0xC6D3, 0xC6D3, 0x65E0},
    {0xC6D5, 0xC6D5, 0x7676}, {0xC6D7, 0xC6D7, 0x96B6}, {0xC6DE, 0xC6DE, 0x3003},
    {0xC6DF, 0xC6DF, 0x4EDD}, {0xFA5F, 0xFA5F, 0x5029}, {0xFA66, 0xFA66, 0x507D},
    {0xFABD, 0xFABD, 0x5305}, {0xFAC5, 0xFAC5, 0x5344}, {0xFAD5, 0xFAD5, 0x537F},
    {0xFB48, 0xFB48, 0x5605}, {0xFBB8, 0xFBB8, 0x5A77}, {0xFBF3, 0xFBF3, 0x5E75},
    {0xFBF9, 0xFBF9, 0x5ED0}, {0xFC4F, 0xFC4F, 0x5F58}, {0xFC6C, 0xFC6C, 0x60A4},
    {0xFCB9, 0xFCB9, 0x6490}, {0xFCE2, 0xFCE2, 0x6674}, {0xFCF1, 0xFCF1, 0x675E},
    {0xFDB7, 0xFDB7, 0x6C9C}, {0xFDB8, 0xFDB8, 0x6E1D}, {0xFDBB, 0xFDBB, 0x6E2F},
    {0xFDF1, 0xFDF1, 0x716E}, {0xFE52, 0xFE52, 0x732A}, {0xFE6F, 0xFE6F, 0x745C},
    {0xFEAA, 0xFEAA, 0x74E9}, {0xFEDD, 0xFEDD, 0x7809},
};

static size_t single_length(const uint8_t *bytes, size_t length)
{
    (void)bytes;
    (void)length;
    return 1;
}

static bool is_between(uint8_t first, uint8_t byte, uint8_t last)
{
    return first <= byte && byte <= last;
}

static size_t pair_length(const uint8_t *bytes, size_t length)
{
    (void)length;
    return is_between(0x81, bytes[0], 0xFE) ? 2 : 1;
}

static size_t shift_jis_length(const uint8_t *bytes, size_t length)
{
    (void)length;
    return is_between(0x81, bytes[0], 0x9F) || is_between(0xE0, bytes[0], 0xFC) ? 2 : 1;
}

static size_t euc_jp_length(const uint8_t *bytes, size_t length)
{
    if (bytes[0] == 0x8F)
        return length < 2 || is_between(0xA1, bytes[1], 0xFE) ? 3 : 2;
    return bytes[0] == 0x8E || is_between(0xA1, bytes[0], 0xFE) ? 2 : 1;
}

static size_t gb18030_length(const uint8_t *bytes, size_t length)
{
    size_t pair = pair_length(bytes, length);
    if (pair == 1 || length < 2 || !is_between('0', bytes[1], '9'))
        return pair;
    bool is_four = (length < 3 || is_between(0x81, bytes[2], 0xFE)) &&
                   (length < 4 || is_between('0', bytes[3], '9'));
    return is_four ? 4 : 3;
}

/* The high byte of each unit is the first or the second. */
static size_t utf16_length(const uint8_t *bytes, size_t length, size_t high)
{
    bool is_pair = length >= 2 && is_between(0xD8, bytes[high], 0xDB);
    if (is_pair && length >= 4)
        is_pair = is_between(0xDC, bytes[2 + high], 0xDF);
    return is_pair ? 4 : 2;
}

static size_t utf16_little_length(const uint8_t *bytes, size_t length)
{
    return utf16_length(bytes, length, 1);
}

static size_t utf16_big_length(const uint8_t *bytes, size_t length)
{
    return utf16_length(bytes, length, 0);
}

/* What a set has that is not iconv's. */
struct rules {
    const char *charset;
    size_t unit; /* bytes */
    /* How long the sequence is that these bytes begin with. It is cut off if that is more
       than there is. NULL in ISO-2022-JP, where escape sequences say it. */
    size_t (*sequence_length)(const uint8_t *bytes, size_t length);
    const struct difference *differences; /* in order */
    size_t difference_count;
    bool is_japanese; /* has kanji of JIS X 0208 */
};

#define DIFFERENCES(table) table, sizeof(table) / sizeof(table[0])

static const struct rules all_rules[] = {
    {"KOI8-U", 1, single_length, DIFFERENCES(koi8_u), false},
    {"MACINTOSH", 1, single_length, DIFFERENCES(macintosh), false},
    {"MAC-CYRILLIC", 1, single_length, DIFFERENCES(mac_cyrillic), false},
    {"CP1255", 1, single_length, DIFFERENCES(windows1255), false},
    {"ISO-8859-1", 1, single_length, DIFFERENCES(user_defined), false},
    {"GB18030", 1, gb18030_length, DIFFERENCES(gb18030), false},
    {"BIG5-HKSCS", 1, pair_length, DIFFERENCES(big5), false},
    {"CP949", 1, pair_length, NULL, 0, false},
    {"CP932", 1, shift_jis_length, DIFFERENCES(shift_jis), false},
    {"EUC-JP", 1, euc_jp_length, NULL, 0, true},
    {"ISO-2022-JP", 1, NULL, NULL, 0, true},
    {"UTF-16LE", 2, utf16_little_length, NULL, 0, false},
    {"UTF-16BE", 2, utf16_big_length, NULL, 0, false},
    {NULL, 1, single_length, NULL, 0, false}, /* the others */
};

struct decoder {
    const struct rules *rules;
    iconv_t converter;
    /* CP932: Shift_JIS as the web knows it. Of the standard's JIS X 0208, which EUC-JP
       and ISO-2022-JP have too, it is the only complete table that iconv has. */
    iconv_t japanese;
};

/* Converts one sequence and returns how long the text is: 0 if it stands for nothing. */
static size_t convert(iconv_t converter, const uint8_t *bytes, size_t length, char *text)
{
    char *from = (char *)bytes; /* iconv(3) does not change them */
    char *end = text;
    size_t room = LONGEST_TEXT;
    bool is_character = iconv(converter, &from, &length, &end, &room) != (size_t)-1;
    /* A converter may hold a character back, to see whether the next combines with it. */
    iconv(converter, NULL, NULL, &end, &room);
    return is_character ? (size_t)(end - text) : 0;
}

/* A character of JIS X 0208, both bytes from 0x21 to 0x7E. Shift_JIS has two rows of 94
   for one first byte, and leaves 0x7F out of the second bytes. */
static size_t convert_kanji(iconv_t japanese, unsigned row, unsigned cell, char *text)
{
    unsigned first = (row - 0x21) / 2 + 0x81;
    unsigned second = cell - 0x21 + (row % 2 == 0 ? 94 : 0) + 0x40;
    uint8_t bytes[] = {
        (uint8_t)(first <= 0x9F ? first : first + 0x40),
        (uint8_t)(second < 0x7F ? second : second + 1),
    };
    return convert(japanese, bytes, 2, text);
}

static size_t convert_katakana(iconv_t japanese, uint8_t byte, char *text)
{
    return is_between(0xA1, byte, 0xDF) ? convert(japanese, &byte, 1, text) : 0;
}

static size_t convert_euc_jp(const struct decoder *decoder, const uint8_t *bytes,
                             size_t length, char *text)
{
    if (length == 3)
        return convert(decoder->converter, bytes, length, text);
    if (length == 2 && bytes[0] == 0x8E)
        return convert_katakana(decoder->japanese, bytes[1], text);
    if (length == 2 && bytes[0] >= 0xA1 && is_between(0xA1, bytes[1], 0xFE))
        return convert_kanji(decoder->japanese, bytes[0] - 0x80, bytes[1] - 0x80, text);
    return 0;
}

static size_t put_character(char *text, uint32_t character)
{
    return (size_t)u8_uctomb((uint8_t *)text, character, LONGEST_TEXT);
}

static int compare_difference(const void *key, const void *member)
{
    uint32_t sequence = *(const uint32_t *)key;
    const struct difference *difference = member;
    return sequence < difference->first ? -1 : sequence > difference->last;
}

/* Returns how long the text is; 0 if there is no difference. */
static size_t convert_difference(const struct rules *rules, const uint8_t *bytes,
                                 size_t length, char *text)
{
    if (rules->difference_count == 0)
        return 0;
    uint32_t sequence = 0;
    for (size_t i = 0; i < length; i++)
        sequence = sequence << 8 | bytes[i];
    const struct difference *found =
        bsearch(&sequence, rules->differences, rules->difference_count,
                sizeof(*rules->differences), compare_difference);
    return found == NULL
               ? 0
               : put_character(text, found->character + sequence - found->first);
}

static size_t convert_sequence(const struct decoder *decoder, const uint8_t *bytes,
                               size_t length, char *text)
{
    const struct rules *rules = decoder->rules;
    size_t text_length = convert_difference(rules, bytes, length, text);
    if (text_length == 0)
        text_length = rules->sequence_length == euc_jp_length
                          ? convert_euc_jp(decoder, bytes, length, text)
                          : convert(decoder->converter, bytes, length, text);
    /* What is undefined in the sets of one byte is a control character there. */
    if (text_length == 0 && rules->sequence_length == single_length &&
        bytes[0] <= LAST_CONTROL)
        text_length = put_character(text, bytes[0]);
    return text_length;
}

/* How much of a sequence that stands for nothing is taken: what is before an ASCII byte,
   unless it is one of the four bytes of GB18030. */
static size_t bad_length(const struct rules *rules, const uint8_t *bytes, size_t length)
{
    if (length == 4)
        return length;
    size_t bad = rules->unit;
    while (bad < length && bytes[bad] > LAST_ASCII)
        bad++;
    return bad;
}

/* Appends what the next sequence stands for, and returns how many bytes that took. */
static size_t decode_sequence(const struct decoder *decoder, const uint8_t *bytes,
                              size_t length, char **end)
{
    const struct rules *rules = decoder->rules;
    if (rules->unit == 1 && bytes[0] <= LAST_ASCII) {
        *(*end)++ = (char)bytes[0];
        return 1;
    }
    size_t sequence = rules->sequence_length(bytes, length);
    size_t text_length =
        sequence > length ? 0 : convert_sequence(decoder, bytes, sequence, *end);
    *end += text_length;
    if (text_length > 0)
        return sequence;
    *end = stpcpy(*end, replacement);
    return sequence > length ? length : bad_length(rules, bytes, sequence);
}

/* What the bytes of an ISO-2022-JP page stand for: the last byte of the escape sequence
   that says so, save for kanji, which has two. */
enum mode {
    ASCII = 'B',
    ROMAN = 'J',
    KATAKANA = 'I',
    KANJI = '$',
};

/* The mode that an escape sequence at the beginning changes to; 0 if there is none. */
static int escaped_mode(const uint8_t *bytes, size_t length)
{
    if (length < 3 || bytes[0] != ESCAPE)
        return 0;
    if (bytes[1] == '(' && memchr("BJI", bytes[2], 3) != NULL)
        return bytes[2];
    return bytes[1] == '$' && memchr("@B", bytes[2], 2) != NULL ? KANJI : 0;
}

static size_t convert_iso_2022_jp_byte(iconv_t japanese, int mode, uint8_t byte,
                                       char *text)
{
    if (mode == KATAKANA)
        return byte > LAST_ASCII ? 0 : convert_katakana(japanese, byte | 0x80, text);
    if (byte > LAST_ASCII || memchr("\x0E\x0F\x1B", byte, 3) != NULL)
        return 0;
    if (mode == ROMAN && byte == '\\')
        return put_character(text, 0xA5);
    if (mode == ROMAN && byte == '~')
        return put_character(text, 0x203E);
    return put_character(text, byte);
}

/* Like decode_sequence, where there is no escape sequence. */
static size_t decode_iso_2022_jp_sequence(iconv_t japanese, int mode,
                                          const uint8_t *bytes, size_t length, char **end)
{
    size_t taken = 1;
    size_t text_length = 0;
    if (mode != KANJI) {
        text_length = convert_iso_2022_jp_byte(japanese, mode, bytes[0], *end);
    } else if (is_between(0x21, bytes[0], 0x7E) && length > 1 && bytes[1] != ESCAPE) {
        taken = 2;
        if (is_between(0x21, bytes[1], 0x7E))
            text_length = convert_kanji(japanese, bytes[0], bytes[1], *end);
    }
    *end = text_length > 0 ? *end + text_length : stpcpy(*end, replacement);
    return taken;
}

static char *decode_iso_2022_jp(iconv_t japanese, const uint8_t *bytes, size_t length,
                                char *text)
{
    int mode = ASCII;
    bool was_escape = false;
    for (size_t position = 0; position < length;) {
        int escaped = escaped_mode(bytes + position, length - position);
        if (escaped != 0) {
            mode = escaped;
            position += 3;
            if (was_escape) /* nothing was written in that mode: a trick */
                text = stpcpy(text, replacement);
        } else {
            position += decode_iso_2022_jp_sequence(japanese, mode, bytes + position,
                                                    length - position, &text);
        }
        was_escape = escaped != 0;
    }
    return text;
}

static char *decode_all(const struct decoder *decoder, const uint8_t *bytes,
                        size_t length, char *text)
{
    if (decoder->rules->sequence_length == NULL)
        return decode_iso_2022_jp(decoder->japanese, bytes, length, text);
    for (size_t position = 0; position < length;)
        position += decode_sequence(decoder, bytes + position, length - position, &text);
    return text;
}

static const struct rules *find_rules(const char *charset)
{
    const struct rules *rules = all_rules;
    while (rules->charset != NULL && strcmp(rules->charset, charset) != 0)
        rules++;
    return rules;
}

static void close_converters(const struct decoder *decoder)
{
    if (decoder->converter != (iconv_t)-1)
        iconv_close(decoder->converter);
    if (decoder->japanese != (iconv_t)-1)
        iconv_close(decoder->japanese);
}

static bool open_converters(struct decoder *decoder, const char *charset)
{
    const iconv_t none = (iconv_t)-1;
    decoder->converter = iconv_open("UTF-8", charset);
    decoder->japanese = decoder->rules->is_japanese ? iconv_open("UTF-8", "CP932") : none;
    if (decoder->converter != none &&
        (decoder->japanese != none || !decoder->rules->is_japanese))
        return true;
    int error = errno;
    close_converters(decoder);
    errno = error;
    return false;
}

char *decode(const char *charset, const char *bytes, size_t length,
             size_t *decoded_length)
{
    struct decoder decoder = {.rules = find_rules(charset)};
    if (!open_converters(&decoder, charset))
        return NULL;
    char *text = malloc(LONGEST_GROWTH * length + LONGEST_TEXT);
    if (text != NULL) {
        char *end = decode_all(&decoder, (const uint8_t *)bytes, length, text);
        *decoded_length = (size_t)(end - text);
    }
    close_converters(&decoder);
    return text;
}
