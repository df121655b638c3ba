/* What a document says: html.h. */
#include "html.h"

#include "charset.h"
#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants the four above. */
#include <cmocka.h>

static void assert_says(char *read(const struct html *), const char *document,
                        const char *expected)
{
    struct html *html = html_parse(document, strlen(document), INFINITY);
    assert_non_null(html);
    char *text = read(html);
    if (expected == NULL) {
        assert_int_equal(errno, 0);
        assert_null(text);
    } else {
        assert_non_null(text);
        assert_string_equal(text, expected);
    }
    free(text);
    html_free(html);
}

static void the_title_is_the_first_title_element(void **state)
{
    (void)state;
    assert_says(html_title, "<title>A</title><title>B</title>", "A");
    assert_says(html_title, "<TITLE lang=en>A &amp; &#66;</TITLE >", "A & B");
    assert_says(html_title, "<body><p><title>A</title>", "A");
    assert_says(html_title, "<title>A <b>not bold</b></title>", "A <b>not bold</b>");
    assert_says(html_title, "<title></title><title>B</title>", "");
    assert_says(html_title, "<title>never closed", "never closed");
    assert_says(html_title, "<title>A</titlex></title>", "A</titlex>");
    assert_says(html_title, "<h1>A</h1>", NULL);
    assert_says(html_title, "", NULL);
}

static void a_title_that_is_not_an_element_of_the_page_is_none(void **state)
{
    (void)state;
    assert_says(html_title, "<svg><title>A</title></svg><title>B</title>", "B");
    assert_says(html_title, "<!-- <title>A</title> --><title>B</title>", "B");
    assert_says(html_title, "<script>'<title>A</title>'</script><title>B</title>", "B");
    assert_says(html_title, "<style><title>A</title></style><title>B</title>", "B");
    assert_says(html_title, "<textarea><title>A</title></textarea>", NULL);
    assert_says(html_title, "<template><title>A</title></template><title>B</title>", "B");
    assert_says(html_title, "<p id='<title>A</title>'><title>B</title>", "B");
    assert_says(html_title, "<select><title>A</title></select>", NULL);
    assert_says(html_title, "<script><!--<script></script><title>A</title>", NULL);
}

static void the_heading_is_the_text_of_the_first_h1(void **state)
{
    (void)state;
    assert_says(html_heading, "<h1>A <b>bold <i>one</i></b>!</h1><h1>B</h1>",
                "A bold one!");
    assert_says(html_heading, "<h2>A</h2><h1>B<!-- c --></h1>", "B");
    assert_says(html_heading, "<template><h1>A</h1></template><h1>B</h1>", "B");
    assert_says(html_heading, "<h1>A<template>x</template></h1>", "A");
    assert_says(html_heading, "<p>A", NULL);
}

static void a_control_character_is_not_taken_for_damage(void **state)
{
    (void)state;
    assert_says(html_title,
                "<title>a\x1B"
                "b\xC2\x9B"
                "c</title>",
                "a" HTML_CONTROL_STAND_IN "b" HTML_CONTROL_STAND_IN "c");
    assert_says(html_title, "<title>a\vb\xC2\x85</title>",
                "a" HTML_SPACE_STAND_IN "b" HTML_SPACE_STAND_IN);
    assert_says(html_title, "<title>a</ti\x1Btle></title>",
                "a</ti" HTML_CONTROL_STAND_IN "tle>");
}

static char *repeat(const char *text, size_t count, const char *end)
{
    char *repeated = malloc(strlen(text) * count + strlen(end) + 1);
    assert_non_null(repeated);
    char *next = repeated;
    for (size_t i = 0; i < count; i++)
        next = stpcpy(next, text);
    stpcpy(next, end);
    return repeated;
}

static void deep_nesting_overflows_no_stack(void **state)
{
    (void)state;
    char *document = repeat("<i>", 100000, "<h1>deep</h1>");
    assert_says(html_heading, document, "deep");
    free(document);
}

static void a_document_of_tags_takes_no_more_than_its_memory(void **state)
{
    (void)state;
    char *document = repeat("<a>", 1000000, "");
    assert_null(html_parse(document, strlen(document), INFINITY));
    assert_int_equal(errno, E2BIG);
    free(document);
}

static void parsing_ends_at_the_deadline(void **state)
{
    (void)state;
    /* Each would take minutes. The second makes Gumbo allocate next to nothing. */
    char *words = repeat("a ", 1400000, "");
    char *documents[] = {repeat("<div>", 400000, ""), repeat("<i>", 100000, words)};
    for (size_t i = 0; i < 2; i++) {
        double started = monotonic_seconds();
        assert_null(html_parse(documents[i], strlen(documents[i]), started + 0.1));
        assert_int_equal(errno, ETIMEDOUT);
        assert_true(monotonic_seconds() - started < 10);
        free(documents[i]);
    }
    free(words);
    assert_null(html_parse("<title>x</title>", 16, monotonic_seconds() - 1));
    assert_int_equal(errno, ETIMEDOUT);
}

static void assert_is_closed(const char *document, bool expected)
{
    struct html *html = html_parse(document, strlen(document), INFINITY);
    assert_non_null(html);
    if (html_title_is_closed(html) != expected)
        fail_msg("%s: the title should%s be closed", document, expected ? "" : " not");
    html_free(html);
}

static void a_title_is_closed_by_its_end_tag_only(void **state)
{
    (void)state;
    assert_is_closed("<title>a</title>", true);
    assert_is_closed("<title>a</TITLE\n x='>'>", true);
    assert_is_closed("<title></title><title>b", true);
    assert_is_closed("<title>a", false);
    assert_is_closed("<title>a</title", false);
    assert_is_closed("<title>a</title\x1B>", false);
    assert_is_closed("<title/></head>", false);
    assert_is_closed("<svg><title>a</title>", false);
    assert_is_closed("<!--</title>", false);
    assert_is_closed("", false);
}

static void noncharacters_stay(void **state)
{
    (void)state;
    assert_says(html_title, "<title>\uFDD0\uFDEF\uFFFE\uFFFF\U0001FFFE\U0010FFFF</title>",
                "\uFDD0\uFDEF\uFFFE\uFFFF\U0001FFFE\U0010FFFF");
    assert_says(html_title, "<title>&#xFDD0;&#65535;</title>", "\uFDD0\uFFFF");
    assert_says(html_title, "<title>\uFDCF\uFDF0\uFFFD\U0001FFFD</title>",
                "\uFDCF\uFDF0\uFFFD\U0001FFFD");
    assert_says(html_title, "<title>a</title\uFFFE></title>", "a</title\uFFFE>");
}

static void a_numeric_reference_beyond_unicode_is_u_fffd(void **state)
{
    (void)state;
    assert_says(html_title, "<title>x&#4294967361;y</title>", "x\uFFFDy");
    assert_says(html_title, "<title>&#x100000041;&#X100000041 &#4294967361a</title>",
                "\uFFFD\uFFFD \uFFFDa");
    assert_says(html_title,
                "<title>&#18446744073709551681;&#99999999999999999999</title>",
                "\uFFFD\uFFFD");
    assert_says(html_title, "<title>&#x110000;&#1114112;&#x10FFFF;</title>",
                "\uFFFD\uFFFD\U0010FFFF");
    assert_says(html_title, "<title>&#0000000000000065;&#x00000000041;</title>", "AA");
    assert_says(html_title, "<title>&#12345678", "\uFFFD");
    assert_says(html_title, "<title>&#;&#x;&#xg&#", "&#;&#x;&#xg&#");
    assert_says(html_title, "<title>&amp;#4294967361;</title>", "&#4294967361;");
}

static void a_blocked_alarm_blocks_no_deadline(void **state)
{
    (void)state;
    sigset_t alarm, before, after;
    char *document = repeat("<div>", 400000, "");
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarm, &before), 0);
    assert_null(html_parse(document, strlen(document), monotonic_seconds() + 0.1));
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
    assert_true(sigismember(&after, SIGALRM));
    free(document);
}

static void another_alarm_is_no_deadline(void **state)
{
    (void)state;
    sigset_t alarm, before;
    char *document = repeat("x", 10000, "");
    size_t length = strlen(document);
    /* From then on SIGALRM is caught. */
    html_free(html_parse(document, length, monotonic_seconds() + 60));
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarm, &before), 0);
    assert_int_equal(raise(SIGALRM), 0); /* it comes when the parser lets it */
    struct html *html = html_parse(document, length, monotonic_seconds() + 60);
    assert_non_null(html);
    html_free(html);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    free(document);
}

static bool is_given_up(const char *document)
{
    struct html *html = html_parse(document, strlen(document), monotonic_seconds() + 0.1);
    bool is_late = html == NULL && errno == ETIMEDOUT;
    html_free(html);
    return is_late;
}

static void *give_up_twice(void *argument)
{
    return is_given_up(argument) && is_given_up(argument) ? argument : NULL;
}

/* A timer sends its signal to one thread, and none outlives fork(). */
static void each_thread_and_each_child_has_a_deadline_of_its_own(void **state)
{
    (void)state;
    char *document = repeat("<div>", 400000, "");
    assert_non_null(give_up_twice(document));
    /* First the child: a thread that allocates at a fork() can leave it the lock of
       AddressSanitizer's allocator, which nobody releases there. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(give_up_twice(document) == NULL);
    pthread_t thread;
    void *given_up;
    assert_int_equal(pthread_create(&thread, NULL, give_up_twice, document), 0);
    assert_int_equal(pthread_join(thread, &given_up), 0);
    assert_non_null(given_up);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_non_null(give_up_twice(document));
    free(document);
}

static void assert_charset(const char *document, const char *label)
{
    const char *expected =
        label == NULL ? NULL : charset_from_label(label, strlen(label));
    struct html *html = html_parse(document, strlen(document), INFINITY);
    assert_non_null(html);
    assert_ptr_equal(html_charset(html), expected);
    html_free(html);
}

static void a_meta_names_the_character_set(void **state)
{
    (void)state;
    assert_charset("<meta charset=koi8-r>", "koi8-r");
    assert_charset("<META CHARSET=' Koi8-R '>", "koi8-r");
    assert_charset("<meta http-equiv=Content-Type content='text/html; charset=big5'>",
                   "big5");
    assert_charset("<meta content='charset=big5'>", NULL);
    assert_charset("<meta name=x><meta charset=nonsense><meta charset=big5>", "big5");
    assert_charset("<body><meta charset=utf-16>", "utf-8");
    assert_charset("<!-- <meta charset=koi8-r> -->", NULL);
    assert_charset("<script>'<meta charset=koi8-r>'</script>", NULL);
    assert_charset("<title><meta charset=koi8-r></title>", NULL);
    assert_charset("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_title_is_the_first_title_element),
        cmocka_unit_test(a_title_that_is_not_an_element_of_the_page_is_none),
        cmocka_unit_test(the_heading_is_the_text_of_the_first_h1),
        cmocka_unit_test(a_control_character_is_not_taken_for_damage),
        cmocka_unit_test(a_title_is_closed_by_its_end_tag_only),
        cmocka_unit_test(noncharacters_stay),
        cmocka_unit_test(a_numeric_reference_beyond_unicode_is_u_fffd),
        cmocka_unit_test(deep_nesting_overflows_no_stack),
        cmocka_unit_test(a_document_of_tags_takes_no_more_than_its_memory),
        cmocka_unit_test(parsing_ends_at_the_deadline),
        cmocka_unit_test(a_blocked_alarm_blocks_no_deadline),
        cmocka_unit_test(another_alarm_is_no_deadline),
        cmocka_unit_test(each_thread_and_each_child_has_a_deadline_of_its_own),
        cmocka_unit_test(a_meta_names_the_character_set),
    };
    return cmocka_run_group_tests_name("html", tests, NULL, NULL);
}
