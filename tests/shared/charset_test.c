/* What browsers make of a page's bytes: charset.h and text.h. */
#include "charset.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It wants the four above. */
#include <cmocka.h>

static char *decode(const char *charset, const char *bytes, size_t length)
{
    size_t decoded_length;
    char *decoded = charset_decode(charset, bytes, length, &decoded_length);
    assert_non_null(decoded);
    char *text = calloc(1, decoded_length + 1);
    assert_non_null(text);
    memcpy(text, decoded, decoded_length);
    free(decoded);
    return text;
}

static void assert_decodes(const char *label, const char *bytes, const char *expected)
{
    const char *charset = charset_from_label(label, strlen(label));
    if (charset == NULL)
        fail_msg("no character set is labelled '%s'", label);
    char *text = decode(charset, bytes, strlen(bytes));
    if (strcmp(text, expected) != 0)
        fail_msg("%s: expected '%s', got '%s'", label, expected, text);
    free(text);
}

static void a_label_means_what_browsers_take_it_to_mean(void **state)
{
    (void)state;
    assert_decodes("iso-8859-1", "\x80", "\u20AC"); /* windows-1252 */
    assert_decodes("ascii", "\x93quoted\x94", "\u201Cquoted\u201D");
    assert_decodes("latin1", "caf\xE9", "caf\u00E9");
    assert_decodes("iso-8859-9", "\xD0", "\u011E");      /* windows-1254 */
    assert_decodes("gb2312", "\xE9\x46", "\u9555");      /* in GBK only */
    assert_decodes("gbk", "\x81\x30\x89\x38", "\u00DF"); /* in GB18030 only */
    assert_decodes("shift_jis", "\x87\x40", "\u2460");   /* in Windows-31J only */
    assert_decodes("euc-kr", "\x8C\x63", "\uB620");      /* in CP949 only */
    assert_decodes("euc-jp", "\xC6\xFC\xCB\xDC", "\u65E5\u672C");
    assert_decodes("iso-2022-jp", "\x1B$BF|K\\\x1B(B!", "\u65E5\u672C!");
    assert_decodes("big5", "\xA4\xA4", "\u4E2D");
    assert_decodes("big5", "\xA1\xFE\xA1\x45", "\uFF0F\u2027");
    assert_decodes("koi8-u", "\xAE\xBE", "\u045E\u040E");
    assert_decodes("koi8-r", "\xF0\xF2", "\u041F\u0420");
    assert_decodes("windows-1251", "\xCF\xF0", "\u041F\u0440");
    assert_decodes("tis-620", "\xA1", "\u0E01"); /* windows-874 */
    assert_decodes("utf8", "\xE2\x82\xAC", "\u20AC");
    assert_decodes(" \tUTF-8\n", "\xE2\x82\xAC", "\u20AC");      /* space, and case */
    assert_decodes("iso-2022-kr", "<title>x</title>", "\uFFFD"); /* unsafe */
}

static void an_unknown_label_is_no_character_set(void **state)
{
    (void)state;
    assert_null(charset_from_label("", 0));
    assert_null(charset_from_label("utf-9", 5));
    assert_null(charset_from_label("utf-8x", 6));
    assert_null(charset_from_label("utf", 3));
    assert_null(charset_from_label("utf-8 latin1", 12));
    assert_ptr_equal(charset_from_label("utf-8x", 5), charset_utf8);
}

static void a_content_type_names_its_character_set(void **state)
{
    (void)state;
    static const char *const utf8[] = {
        "text/html; charset=utf-8",     "text/html;charset=\"utf-8\"",
        "text/html; CHARSET = 'UTF-8'", "text/html; charset=utf-8; boundary=x",
        "charset charset=utf-8",        "text/html;charset=utf-8,text/html",
    };
    for (size_t i = 0; i < 5; i++)
        assert_ptr_equal(charset_from_content_type(utf8[i]), charset_utf8);
    assert_null(charset_from_content_type(utf8[5]));
    assert_null(charset_from_content_type("text/html"));
    assert_null(charset_from_content_type("text/html; charset"));
    assert_null(charset_from_content_type("text/html; charset="));
    assert_null(charset_from_content_type("text/html; charset=\"utf-8"));
    assert_null(charset_from_content_type("text/html; charset=nonsense"));
}

static void bytes_that_do_not_decode_become_u_fffd_and_nothing_is_dropped(void **state)
{
    (void)state;
    assert_decodes("utf-8",
                   "a\xFF"
                   "b",
                   "a\uFFFDb");
    assert_decodes("utf-8", "a\xE2\x82", "a\uFFFD"); /* one for both */
    assert_decodes("utf-8",
                   "\xE0\x80"
                   "x",
                   "\uFFFD\uFFFDx");                               /* one for each */
    assert_decodes("utf-8", "\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"); /* a surrogate */
    assert_decodes("utf-8",
                   "\xF0\x9F\x98"
                   "x",
                   "\uFFFDx");
    assert_decodes("shift_jis", "a\x81", "a\uFFFD");
    assert_decodes("euc-kr",
                   "\xFF"
                   "b",
                   "\uFFFDb");
    assert_decodes("windows-1253", "\xAAz", "\uFFFDz");
    assert_decodes("windows-1258", "a\xD2", "a\u0309"); /* not combined */
}

static void a_pair_that_stands_for_nothing_is_one_u_fffd(void **state)
{
    (void)state;
    assert_decodes("euc-kr", "\xC9\xA1\xB0\xA1", "\uFFFD\uAC00");
    assert_decodes("big5", "\xA3\xE2\xA4\xA4", "\uFFFD\u4E2D");
    assert_decodes("shift_jis", "\xEF\x80\x93\xFA", "\uFFFD\u65E5");
    assert_decodes("euc-jp", "\xA9\xA1\xC6\xFC", "\uFFFD\u65E5");
    assert_decodes("euc-jp", "\x8F\xA1\xA1\xC6\xFC", "\uFFFD\u65E5");
    assert_decodes("euc-jp", "\x8E\xE0\xC6\xFC", "\uFFFD\u65E5");
    assert_decodes("gb18030", "\xFF\xD6\xD0", "\uFFFD\u4E2D");
    assert_decodes("gb18030", "\x84\x32\x81\x30\xD6\xD0", "\uFFFD\u4E2D");
    assert_decodes("iso-2022-jp", "\x1B$B)!F|\x1B(B", "\uFFFD\u65E5");
    assert_decodes("utf-16le", "\x3D\xD8\x01", "\uFFFD"); /* cut off */
    assert_decodes("gb18030", "\x81\x30\x81", "\uFFFD");
    assert_decodes("euc-jp", "\x8F\xB0", "\uFFFD");
}

static void ascii_behind_a_byte_that_stands_for_nothing_stays(void **state)
{
    (void)state;
    assert_decodes("euc-kr", "\xB0<", "\uFFFD<");
    assert_decodes("big5", "\xA4<", "\uFFFD<");
    assert_decodes("big5", "\x81\x40", "\uFFFD@");
    assert_decodes("shift_jis", "\x93<", "\uFFFD<");
    assert_decodes("euc-jp", "\xC6<", "\uFFFD<");
    assert_decodes("euc-jp", "\x8F\xB0<", "\uFFFD<");
    assert_decodes("gb18030", "\xD6<", "\uFFFD<");
    assert_decodes("gb18030", "\x81\x30<", "\uFFFD\x30<");
    assert_decodes("gb18030", "\x81\x30\x81<", "\uFFFD\x30\uFFFD<");
    assert_decodes("iso-2022-jp", "\x1B$BF\x1B(B<", "\uFFFD<");
}

/* Each of these is otherwise in the system's iconv. */
static void characters_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_decodes("big5", "\x8E\x69\xA1\xC5\xA3\xE1", "\u7BB8\u02CD\u20AC");
    assert_decodes("big5", "\x88\x62", "\u00CA\u0304"); /* one pair, two characters */
    assert_decodes("big5", "\xA4\xA4\x9D\xEF", "\u4E2D\u5605");
    assert_decodes("euc-jp", "\xAD\xEA\xAD\xA1", "\u3231\u2460"); /* row 13 */
    assert_decodes("euc-jp", "\xF9\xA1\xFC\xFE", "\u7E8A\uFF02"); /* rows 89-92 */
    assert_decodes("euc-jp", "\xA1\xC1\x8E\xB1", "\uFF5E\uFF71");
    assert_decodes("euc-jp", "\x8F\xB0\xA1", "\u4E02");
    assert_decodes("iso-2022-jp", "\x1B$B-j-!\x1B(B", "\u3231\u2460");
    assert_decodes("iso-2022-jp", "\x1B$By!|~!A\x1B(B", "\u7E8A\uFF02\uFF5E");
    assert_decodes("iso-2022-jp", "\x1B(I1\x1B(J\\~\x1B(B\\~", "\uFF71\u00A5\u203E\\~");
    assert_decodes("iso-2022-jp", "\x1B(J\x1B(Bx", "\uFFFDx"); /* nothing between */
    assert_decodes("iso-2022-jp", "\x1B(x", "\uFFFD(x");
    assert_decodes("iso-2022-jp", "a\x0E\x80", "a\uFFFD\uFFFD");
    assert_decodes("gb2312", "\xA3\xA0\x80\xFE\x51", "\u3000\u20AC\uE816");
    assert_decodes("gb18030", "\x82\x35\x90\x37\x84\x31\x82\x36", "\u9FB4\uFE10");
    assert_decodes("koi8-u", "\x93\xAE\xBE", "\u2320\u045E\u040E");
    assert_decodes("x-mac-cyrillic", "\xFF", "\u20AC");
    assert_decodes("macintosh", "\xC6\xF0", "\u2206\uF8FF");
    assert_decodes("windows-1255", "\xCA", "\u05BA");
    assert_decodes("windows-1252", "\x81\x9D", "\xC2\x81\xC2\x9D");
    assert_decodes("windows-1257", "\x81\xA1", "\xC2\x81\uFFFD");
    assert_decodes("windows-874", "\x81\xDB", "\xC2\x81\uFFFD");
    assert_decodes("windows-1255", "\xE0\xC7", "\u05D0\u05B7"); /* not combined */
    assert_decodes("shift_jis", "\x80\xF0\x40", "\xC2\x80\uE000");
    assert_decodes("x-user-defined", "a\x80\xFF", "a\uF780\uF7FF");
}

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t hash(const char *bytes, size_t length)
{
    uint64_t hash = 0xCBF29CE484222325;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3;
    return hash;
}

/* All that two bytes can be behind the prefix, from a space on, a line each. */
static char *all_pairs(const char *prefix, size_t *length)
{
    char *bytes = malloc((0x100 - ' ') * 0x100 * (strlen(prefix) + 3) + 1);
    assert_non_null(bytes);
    char *end = bytes;
    for (int first = ' '; first < 0x100; first++) {
        for (int second = 0; second < 0x100; second++) {
            end = stpcpy(end, prefix);
            *end++ = (char)first;
            *end++ = (char)second;
            *end++ = '\n';
        }
    }
    *length = (size_t)(end - bytes);
    return bytes;
}

/* The hashes are those of what another implementation of the standard decodes,
   @exodus/bytes 1.16.0 for JavaScript. */
static void every_pair_of_bytes_is_what_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *prefix;
        uint64_t hash;
    } sets[] = {
        {"big5", "", 0x3E211DD4C203F68C},
        {"euc-kr", "", 0x57DD41BA1EA19E98},
        {"gb18030", "", 0x6A465B081381717E},
        {"gb18030", "\x82\x35", 0x0A53E314C33DFFDA},
        {"gb18030", "\x84\x31", 0xB99C418FC61643C8},
        {"shift_jis", "", 0xFE5953E9B3F17621},
        {"euc-jp", "", 0x8F8AFFCF2AFB5F55},
        {"euc-jp", "\x8F", 0x4C71E45F20A9513D},
        {"iso-2022-jp", "\x1B$B", 0xF8AFF0795C515FF2},
        {"iso-2022-jp", "\x1B(I", 0x026962B3DB8E5B69},
        {"ibm866", "", 0xAFD9678B48D9A0B1},
        {"iso-8859-2", "", 0x3E629B8E6127704D},
        {"iso-8859-3", "", 0x76410611C89F58C7},
        {"iso-8859-4", "", 0xD6DC1E35F02331E5},
        {"iso-8859-5", "", 0x5A01C9C7469E733F},
        {"iso-8859-6", "", 0x9E0D2BA7F1314291},
        {"iso-8859-7", "", 0xE989628552AE18D9},
        {"iso-8859-8", "", 0x102E69B7BD67E649},
        {"iso-8859-10", "", 0x51118174DEF09345},
        {"iso-8859-13", "", 0x9BB1911B7EBB65A1},
        {"iso-8859-14", "", 0x5988398AE325CF8D},
        {"iso-8859-15", "", 0x66CBCB608EDBDB03},
        {"iso-8859-16", "", 0x34D0314FF6723497},
        {"koi8-r", "", 0x3CD1A0968C83E4F5},
        {"koi8-u", "", 0x8016E1D4C1159641},
        {"macintosh", "", 0x9BD62215547E94D5},
        {"windows-874", "", 0x49747DB30994B5B1},
        {"windows-1250", "", 0x6E3C22D1040311A9},
        {"windows-1251", "", 0x8886B8C7BF7F8D01},
        {"windows-1252", "", 0x5E0F3986CED3174F},
        {"windows-1253", "", 0xF2FC87F5C9391469},
        {"windows-1254", "", 0xE838679F7CF84D1D},
        {"windows-1255", "", 0x54D1D0B73BD83FF9},
        {"windows-1256", "", 0x421E49A812C823D1},
        {"windows-1257", "", 0xBF820E5C68CCFFE5},
        {"windows-1258", "", 0x48DFDDD3D0AD9805},
        {"x-mac-cyrillic", "", 0x2F0AA8ECA62BB6F5},
        {"x-user-defined", "", 0x35DC717D2D8F4025},
        {"utf-16le", "", 0xAF4763D96CFFB715},
        {"utf-16be", "", 0x2E75768517613A2D},
        {"utf-8", "", 0x7B6253178D01DAA5},
    };
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        const char *label = sets[i].label;
        size_t length;
        char *bytes = all_pairs(sets[i].prefix, &length);
        char *text = charset_decode(charset_from_label(label, strlen(label)), bytes,
                                    length, &length);
        assert_non_null(text);
        if (hash(text, length) != sets[i].hash)
            fail_msg("%s, row %zu: something is not as in the standard", label, i);
        free(text);
        free(bytes);
    }
}

static void a_byte_order_mark_names_the_set_and_is_taken_away(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } pages[] = {
        {"\xEF\xBB\xBFh\xC3\xA9", 6},
        {"\xFF\xFEh\0\xE9\0", 6},
        {"\xFE\xFF\0h\0\xE9", 6},
    };
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const char *charset =
            charset_from_byte_order_mark(pages[i].bytes, pages[i].length);
        assert_non_null(charset);
        char *text = decode(charset, pages[i].bytes, pages[i].length);
        assert_string_equal(text, "h\u00E9");
        free(text);
    }
    assert_null(charset_from_byte_order_mark("\xEF\xBB", 2));
    assert_null(charset_from_byte_order_mark("", 0));
}

static void a_lone_surrogate_in_utf16_costs_one_unit(void **state)
{
    (void)state;
    const char *charset = charset_from_label("utf-16le", 8);
    assert_int_equal(charset_unit(charset), 2);
    char *text = decode(charset,
                        "a\0\x00\xD8"
                        "b\0",
                        6);
    assert_string_equal(text, "a\uFFFDb");
    free(text);
    text = decode(charset, "a\0b", 3);
    assert_string_equal(text, "a\uFFFD");
    free(text);
}

static void utf16_in_a_meta_means_utf8(void **state)
{
    (void)state;
    assert_ptr_equal(charset_as_in_meta(charset_from_label("utf-16", 6)), charset_utf8);
    assert_ptr_equal(charset_as_in_meta(charset_windows1252), charset_windows1252);
    assert_ptr_equal(charset_as_in_meta(charset_from_label("x-user-defined", 14)),
                     charset_windows1252);
}

static void assert_tidies(const char *bytes, const char *expected)
{
    char *tidy = text_tidy(bytes, strlen(bytes));
    assert_non_null(tidy);
    assert_string_equal(tidy, expected);
    free(tidy);
}

static void tidy_text_is_one_line_without_controls(void **state)
{
    (void)state;
    assert_tidies("", "");
    assert_tidies(" \t\r\n", "");
    assert_tidies("\n  a\t\tb \v\f c\n", "a b c");
    assert_tidies("a\u00A0b\u2003\u3000c\u2028d\u2029e\xC2\x85"
                  "f",
                  "a b c d e f");
    assert_tidies("\x1B[31mred\x1B[0m\x07\x7F", "[31mred[0m");
    assert_tidies("a\xC2\x9B"
                  "2Jb",
                  "a2Jb"); /* C1: CSI in one character */
    assert_tidies("a\u202Eevil\u202C\u2066x\u2069\u200F\u061C", "aevilx");
    assert_tidies("\xFF\xFE", "\uFFFD\uFFFD");
    assert_tidies("\U0001F468\u200D\U0001F469", "\U0001F468\u200D\U0001F469");
    assert_tidies("a \x1B b", "a b");

    char *tidy = text_tidy("a\0b", 3);
    assert_non_null(tidy);
    assert_string_equal(tidy, "ab");
    free(tidy);
}

static void ascii_means_the_same_in_every_character_set(void **state)
{
    (void)state;
    assert_true(text_is_ascii("<title>x</title>\r\n", 18));
    assert_false(text_is_ascii("caf\xE9", 4));
    assert_false(text_is_ascii("\x1B$B", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_means_what_browsers_take_it_to_mean),
        cmocka_unit_test(an_unknown_label_is_no_character_set),
        cmocka_unit_test(a_content_type_names_its_character_set),
        cmocka_unit_test(bytes_that_do_not_decode_become_u_fffd_and_nothing_is_dropped),
        cmocka_unit_test(a_pair_that_stands_for_nothing_is_one_u_fffd),
        cmocka_unit_test(ascii_behind_a_byte_that_stands_for_nothing_stays),
        cmocka_unit_test(characters_are_those_of_the_standard),
        cmocka_unit_test(every_pair_of_bytes_is_what_the_standard_says),
        cmocka_unit_test(a_byte_order_mark_names_the_set_and_is_taken_away),
        cmocka_unit_test(a_lone_surrogate_in_utf16_costs_one_unit),
        cmocka_unit_test(utf16_in_a_meta_means_utf8),
        cmocka_unit_test(tidy_text_is_one_line_without_controls),
        cmocka_unit_test(ascii_means_the_same_in_every_character_set),
    };
    return cmocka_run_group_tests_name("charset", tests, NULL, NULL);
}
