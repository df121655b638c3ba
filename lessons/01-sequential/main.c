/*
 * Lesson 1: sequential. One page after another.
 *
 *     make
 *     build/01-sequential http://example.org/ http://example.com/
 */
#include "arguments.h"
#include "http.h"
#include "report.h"
#include "title.h"

/* A page, and what became of it. */
struct page {
    const char *url;
    struct result title;
};

static void fetch(struct page *page)
{
    report_begin(page->url);
    page->title = get_title(page->url);
}

/* Fetches each page and prints its title before it begins with the next. */
static void fetch_all(char *urls[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct page page = {.url = urls[i]};
        fetch(&page);
        report_page(page.url, &page.title);
        result_free(&page.title);
    }
}

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITHOUT_POOL);
    report_open(&arguments);
    http_open(arguments.timeout, arguments.certificates);

    fetch_all(arguments.urls, arguments.url_count);

    http_close();
    arguments_free(&arguments);
    return report_close();
}
