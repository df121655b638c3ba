/* html.h and prescan.h: what any document says. */
#include "html.h"

#include "check.h"
#include "prescan.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is found in the beginning of a page is found in all of it. */
static void check_prescan(const char *page, size_t length)
{
    const char *found = prescan_meta(page, length / 2);
    check(found == NULL || prescan_meta(page, length) == found,
          "a <meta> that was found stays found");
    prescan_xml_declaration(page, length);
}

static void check_text(char *text)
{
    check(text == NULL || text_is_utf8(text, strlen(text)), "a document's text is UTF-8");
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_prescan((const char *)data, size);
    size_t length;
    char *document = text_repair((const char *)data, size, &length);
    struct html *html = html_parse(document, length, INFINITY);
    free(document); /* the parsed one does not refer to it */
    check(html != NULL, "a small document can be parsed");
    char *title = html_title(html);
    check(title != NULL || !html_title_is_closed(html), "what is closed is there");
    check_text(title);
    check_text(html_heading(html));
    html_charset(html);
    html_free(html);
    return 0;
}
