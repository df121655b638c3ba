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
    assert_decodes("windows-1252", "\x81z", "\uFFFDz");
    assert_decodes("windows-1258", "a\x8A", "a\uFFFD"); /* 'a' might have combined */
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
        cmocka_unit_test(a_byte_order_mark_names_the_set_and_is_taken_away),
        cmocka_unit_test(a_lone_surrogate_in_utf16_costs_one_unit),
        cmocka_unit_test(utf16_in_a_meta_means_utf8),
        cmocka_unit_test(tidy_text_is_one_line_without_controls),
        cmocka_unit_test(ascii_means_the_same_in_every_character_set),
    };
    return cmocka_run_group_tests_name("charset", tests, NULL, NULL);
}
