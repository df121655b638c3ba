/* One client a worker: http.h with threads and after fork(). $SITE is the local site. */
#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants four of the above. */
#include <cmocka.h>

struct body {
    char text[20000];
    size_t length;
};

static bool keep(void *context, const struct http_piece *piece)
{
    struct body *body = context;
    if (body->length + piece->length >= sizeof(body->text))
        return false;
    if (piece->length > 0)
        memcpy(body->text + body->length, piece->bytes, piece->length);
    body->length += piece->length;
    return piece->length > 0;
}

/* Returns the body of a page of the site, in memory that is used again. */
static const char *get(const char *path)
{
    static _Thread_local struct body body;
    char url[200];
    snprintf(url, sizeof(url), "%s%s", getenv("SITE"), path);
    body = (struct body){0};
    struct result result = http_get(url, keep, &body);
    if (result.status != RESULT_OK) {
        print_error("%s: %s\n", url, result.text);
        result_free(&result);
        return "";
    }
    return body.text;
}

static bool gets_page(const char *path, const char *title)
{
    return strstr(get(path), title) != NULL;
}

static int count_connections(void)
{
    int connections = -1;
    const char *stats = strstr(get("/stats"), "\"connections\":");
    assert_non_null(stats);
    assert_int_equal(sscanf(stats, "\"connections\":%d", &connections), 1);
    return connections;
}

static void *get_three(void *argument)
{
    bool *is_right = argument;
    *is_right = gets_page("/gather/8", "Gathered 8") && gets_page("/page/1", "Page 1") &&
                gets_page("/page/2", "Page 2");
    return NULL;
}

static void threads_have_a_connection_each_and_use_it_again(void **state)
{
    (void)state;
    pthread_t threads[8];
    bool is_right[8] = {false};
    get("/stats/reset");
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_three, &is_right[i]), 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(is_right[i]);
    }
    assert_int_equal(count_connections(), 8);
}

/* What a child does: as many pages as the parent, at the same time. */
static void get_pages_and_exit(void)
{
    bool is_right = true;
    for (int i = 0; i < 20; i++)
        is_right = is_right && gets_page("/page/3", "Page 3");
    _exit(is_right ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void a_child_has_a_connection_of_its_own_and_leaves_its_parents_alone(void **state)
{
    (void)state;
    get("/stats/reset");
    assert_true(gets_page("/page/1", "Page 1"));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        get_pages_and_exit();
    for (int i = 0; i < 20; i++)
        assert_true(gets_page("/page/2", "Page 2"));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);

    assert_true(gets_page("/page/4", "Page 4"));
    assert_int_equal(count_connections(), 2);
}

static void before_it_is_opened_and_after_it_is_closed_each_get_is_an_error(void **state)
{
    (void)state;
    http_close();
    struct body body = {0};
    struct result result = http_get("http://127.0.0.1:1/", keep, &body);
    assert_int_equal(result.status, RESULT_FAILED);
    assert_non_null(strstr(result.text, "libcurl does not start"));
    result_free(&result);
    http_close();
    http_open(30, NULL);
    assert_true(gets_page("/page/1", "Page 1"));
}

static int open_client(void **state)
{
    (void)state;
    if (getenv("SITE") == NULL) {
        print_error("SITE is not set to the address of the local site\n");
        return -1;
    }
    http_open(30, NULL);
    return 0;
}

static int close_client(void **state)
{
    (void)state;
    http_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_a_connection_each_and_use_it_again),
        cmocka_unit_test(
            a_child_has_a_connection_of_its_own_and_leaves_its_parents_alone),
        cmocka_unit_test(before_it_is_opened_and_after_it_is_closed_each_get_is_an_error),
    };
    return cmocka_run_group_tests_name("http", tests, open_client, close_client);
}
