/* What a page declares in its first bytes: prescan.h. */
#include "prescan.h"

#include "charset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* It wants the four above. */
#include <cmocka.h>

static void assert_finds(const char *read(const char *, size_t), const char *bytes,
                         size_t length, const char *label)
{
    const char *expected =
        label == NULL ? NULL : charset_from_label(label, strlen(label));
    char *copy = malloc(length + 1); /* so that a sanitizer sees what is read behind it */
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    copy = realloc(copy, length > 0 ? length : 1);
    const char *found = read(copy, length);
    if (found != expected)
        fail_msg("%s: expected %s, got %s", bytes, label == NULL ? "none" : label,
                 found == NULL ? "none" : found);
    free(copy);
}

static void assert_meta(const char *bytes, const char *label)
{
    assert_finds(prescan_meta, bytes, strlen(bytes), label);
}

static void a_meta_names_the_character_set(void **state)
{
    (void)state;
    assert_meta("<meta charset=koi8-r>", "koi8-r");
    assert_meta("<META CHARSET=' Koi8-R '>", "koi8-r");
    assert_meta("<meta/charset=\"koi8-r\"/>", "koi8-r");
    assert_meta("<meta a = b charset\n=\tkoi8-r x>", "koi8-r");
    assert_meta("<meta http-equiv=Content-Type content='text/html; charset=big5'>",
                "big5");
    assert_meta("<meta content='text/html; charset=big5' HTTP-EQUIV='CONTENT-TYPE'>",
                "big5");
    assert_meta("<meta content='charset=big5'>", NULL);
    assert_meta("<meta http-equiv=refresh content='charset=big5'>", NULL);
    assert_meta("<meta http-equiv=content-type>", NULL);
    assert_meta("<meta charset=utf-16>", "utf-8");
    assert_meta("<meta charset=x-user-defined>", "windows-1252");
    assert_meta("\xFF\xFF<p><meta charset=koi8-r>", "koi8-r");
    assert_meta("", NULL);
}

static void the_first_meta_with_a_known_set_counts(void **state)
{
    (void)state;
    assert_meta("<meta name=x><meta charset=nonsense><meta charset=big5>", "big5");
    assert_meta("<meta charset=big5><meta charset=koi8-r>", "big5");
    assert_meta("<meta charset=big5 charset=koi8-r>", "big5");
    assert_meta("<meta charset=nonsense http-equiv=content-type content='charset=big5'>",
                NULL);
    assert_meta("<meta content='charset=koi8-r' http-equiv=content-type charset=big5>",
                "big5");
}

static void a_meta_counts_wherever_a_tag_may_stand(void **state)
{
    (void)state;
    assert_meta("<!-- <meta charset=koi8-r> -->", NULL);
    assert_meta("<!--><meta charset=koi8-r>", "koi8-r");
    assert_meta("<!-- > --><meta charset=koi8-r>", "koi8-r");
    assert_meta("<p title='<meta charset=koi8-r>'><meta charset=big5>", "big5");
    assert_meta("</p title='<meta charset=koi8-r>'>", NULL);
    assert_meta("<!doctype <meta charset=koi8-r>", NULL);
    assert_meta("<?x <meta charset=koi8-r><meta charset=big5>", "big5");
    assert_meta("<script>'<meta charset=koi8-r>'</script>", "koi8-r");
    assert_meta("< <meta charset=koi8-r>", "koi8-r");
    assert_meta("<metadata charset=koi8-r>", NULL);
    assert_meta("<p =charset=koi8-r><meta charset=big5>", "big5");
}

static void a_meta_that_is_cut_off_names_nothing(void **state)
{
    (void)state;
    const char meta[] = "<meta charset='iso-8859-2' x=\"y\" >";
    for (size_t length = 0; length < strlen(meta); length++)
        assert_finds(prescan_meta, meta, length, NULL);
    assert_meta(meta, "iso-8859-2");
    assert_meta("<meta charset=iso-8859-1", NULL);
    assert_meta("<meta charset=koi8-r x='", NULL);
}

static void a_meta_counts_in_the_first_1024_bytes_only(void **state)
{
    (void)state;
    static const char meta[] = "<meta charset=koi8-r>";
    char page[PRESCAN_WITHIN + 2];
    memset(page, ' ', sizeof(page));
    memcpy(page + PRESCAN_WITHIN - strlen(meta), meta, strlen(meta));
    assert_finds(prescan_meta, page, PRESCAN_WITHIN + 1, "koi8-r");
    memset(page, ' ', sizeof(page));
    memcpy(page + PRESCAN_WITHIN - strlen(meta) + 1, meta, strlen(meta));
    assert_finds(prescan_meta, page, PRESCAN_WITHIN + 1, NULL);
}

static void assert_declaration(const char *bytes, const char *label)
{
    assert_finds(prescan_xml_declaration, bytes, strlen(bytes), label);
}

static void an_xml_declaration_names_the_character_set(void **state)
{
    (void)state;
    assert_declaration("<?xml version='1.0' encoding='koi8-r'?>", "koi8-r");
    assert_declaration("<?xml version=\"1.0\" encoding =\n\"KOI8-R\" ?>", "koi8-r");
    assert_declaration("<?xml encoding='utf-16'?>", "utf-8");
    assert_declaration("<?xml version='1.0'?><p encoding='koi8-r'>", NULL);
    assert_declaration("<?xml encoding='nonsense'?>", NULL);
    assert_declaration("<?xml encoding=koi8-r?>", NULL);
    assert_declaration("<?xml encoding='koi8-r>", NULL);
    assert_declaration("<?xml encoding='koi8-r'", NULL);
    assert_declaration("<?xml encoding>", NULL);
    assert_declaration(" <?xml encoding='koi8-r'?>", NULL);
    assert_declaration("", NULL);
}

static void a_declaration_in_utf16_tells_that_it_is(void **state)
{
    (void)state;
    assert_finds(prescan_meta, "<\0?\0x\0m\0", 8, "utf-16le");
    assert_finds(prescan_meta, "\0<\0?\0x\0m", 8, "utf-16be");
    assert_finds(prescan_xml_declaration, "<\0?\0x\0", 6, "utf-16le");
    assert_finds(prescan_xml_declaration, "\0<\0?\0x", 6, "utf-16be");
    assert_finds(prescan_meta, "<\0?\0x", 5, NULL);
    assert_finds(prescan_meta, "<\0p\0>\0", 6, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_meta_names_the_character_set),
        cmocka_unit_test(the_first_meta_with_a_known_set_counts),
        cmocka_unit_test(a_meta_counts_wherever_a_tag_may_stand),
        cmocka_unit_test(a_meta_that_is_cut_off_names_nothing),
        cmocka_unit_test(a_meta_counts_in_the_first_1024_bytes_only),
        cmocka_unit_test(an_xml_declaration_names_the_character_set),
        cmocka_unit_test(a_declaration_in_utf16_tells_that_it_is),
    };
    return cmocka_run_group_tests_name("prescan", tests, NULL, NULL);
}
