/*
 * pages.c - the pages that behave: the five of the course, and others made to measure.
 */
#include "site.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/*
 * Takes a description, the title element, the heading element and the paragraphs. The
 * picture's title is not the page's.
 */
#define COURSE_PAGE                                                             \
    "<!DOCTYPE html>\n"                                                         \
    "<html lang='en'>\n"                                                        \
    "<head>\n"                                                                  \
    "  <meta charset='utf-8'>\n"                                                \
    "  <meta name='viewport' content='width=device-width, initial-scale=1'>\n"  \
    "  <meta name='description' content='%s'>\n"                                \
    "  %s\n"                                                                    \
    "  <link rel='icon' href='/png'>\n"                                         \
    "  <style>nav a { margin-right: 1em } p { max-width: 40em }</style>\n"      \
    "</head>\n"                                                                 \
    "<body>\n"                                                                  \
    "  <nav>\n"                                                                 \
    "    <a href='/talkpython'>Podcast</a> <a href='/pythonbytes'>News</a>\n"   \
    "    <a href='/realpython'>Tutorials</a> <a href='/training'>Courses</a>\n" \
    "  </nav>\n"                                                                \
    "  <svg width='24' height='24' viewBox='0 0 24 24' role='img'>\n"           \
    "    <title>A microphone, or a magnifying glass</title>\n"                  \
    "    <circle cx='10' cy='10' r='6' fill='none' stroke='black'/>\n"          \
    "    <path d='M15 15l6 6' stroke='black'/>\n"                               \
    "  </svg>\n"                                                                \
    "  %s\n"                                                                    \
    "%s"                                                                        \
    "  <footer><p>Made for this course, and served from your own "              \
    "machine.</p></footer>\n"                                                   \
    "</body>\n"                                                                 \
    "</html>\n"

static const struct course_page {
    const char *path;
    uintmax_t delay; /* milliseconds */
    const char *description;
    const char *title;
    const char *heading;
    const char *paragraphs;
} course_pages[] = {
    {"/talkpython", 300, "A weekly show about Python and the people who use it",
     "<title>Talk Python To Me Podcast</title>",
     "<h1>Conversations with people who build things</h1>",
     "  <p>Each week one guest and one hour: what they made, what broke on the way, and "
     "what\n"
     "    they would do again.</p>\n"
     "  <h2>This week: waiting well</h2>\n"
     "  <p>Most programs spend their lives waiting for somebody else's computer. We talk "
     "of\n"
     "    pools of threads, pools of processes, and of how to stop minding.</p>\n"},
    {"/pythonbytes", 250, "Python news, in small pieces",
     "<title>\n    Python Bytes Podcast\n  </title>",
     "<h1>Headlines, delivered directly to your ears</h1>",
     "  <p>Six short items a week: a library worth a look, a release worth an upgrade, a "
     "trick\n"
     "    worth stealing, and a joke that is not worth it at all.</p>\n"
     "  <ul>\n"
     "    <li>What happens when a worker dies?</li>\n"
     "    <li>Queues &amp; other ways to share work</li>\n"
     "    <li>A progress bar that tells the truth</li>\n"
     "  </ul>\n"},
    {"/google", 200, "A box to type in", "<script>var page = {ready: 1 < 2};</script>",
     "<form action='/page/1'><input name='q'> <button>Search</button></form>",
     "  <p>This page does without a title and without a heading: people come here to "
     "type,\n"
     "    not to read. A program that asks for its title should learn that there is "
     "none.</p>\n"
     "  <p><a href='/page/2'>Privacy</a> <a href='/page/3'>Terms</a></p>\n"},
    {"/realpython", 500, "Tutorials at every level",
     "<title>Python Tutorials &ndash; Real Python</title>", "<h1>Learn by building</h1>",
     "  <p>Step by step, with every line of the program on the page, from the first loop "
     "to a\n"
     "    service that answers ten thousand people at once.</p>\n"
     "  <h2>Concurrency, slowly</h2>\n"
     "  <p>Threads share everything and must take turns. Processes share nothing and "
     "must send\n"
     "    letters. An event loop does neither, and must never sit down.</p>\n"
     "  <p>Which of them is right depends on what your program waits for. Measure before "
     "you\n"
     "    choose, and keep the choice in one place, so that you may choose again.</p>\n"},
    {"/training", 400, "Courses with exercises", "<title>Talk Python Training</title>",
     "<h1>Courses that you finish</h1>",
     "  <p>Short videos, long exercises. Every course starts from an empty folder and "
     "ends with\n"
     "    a program that you would be happy to show to somebody.</p>\n"
     "  <table>\n"
     "    <tr><th>Course</th><th>Hours</th></tr>\n"
     "    <tr><td>Work in parallel without tears</td><td>5</td></tr>\n"
     "    <tr><td>Reading other people's code</td><td>3</td></tr>\n"
     "  </table>\n"},
};

static enum MHD_Result serve_course(struct request *request)
{
    const struct course_page *page = course_pages;
    while (strcmp(page->path, request->path) != 0)
        page++; /* it is one of them: the table of routes says so */
    if (request->outcome == NOT_WAITED)
        return wait_begin(request, NULL, page->delay);
    return answer_text(request, (struct reply){0}, COURSE_PAGE, page->description,
                       page->title, page->heading, page->paragraphs);
}

/* A page whose title is still to come, with room to grow. */
static struct reply long_page(void)
{
    return (struct reply){
        .block = bytes_of("This line of text means nothing and takes up some room.\n"),
        .tail = bytes_of(PAGE_END),
    };
}

static enum MHD_Result serve_page(struct request *request)
{
    uintmax_t delay = query_number(request, "delay", 0);
    if (request->outcome == NOT_WAITED && delay > 0)
        return wait_begin(request, NULL, delay);
    struct reply reply = long_page();
    reply.size = query_number(request, "size", 0);
    reply.header.name = "Connection";
    reply.header.value = query_number(request, "close", 0) > 0 ? "close" : NULL;
    return answer_text(request, reply, PAGE_START("Page %ju"), request->number);
}

static enum MHD_Result serve_big(struct request *request)
{
    struct reply reply = long_page();
    reply.repeated = request->number;
    return answer_text(request, reply, PAGE_START("Big"));
}

static enum MHD_Result serve_title(struct request *request)
{
    return answer(request, (struct reply){.head = bytes_of("<!DOCTYPE html>\n<title>"),
                                          .block = bytes_of("xxxxxxxxxxxxxxxx"),
                                          .repeated = request->number,
                                          .tail = bytes_of("</title>\n<p>Long.\n")});
}

static enum MHD_Result serve_gzip(struct request *request)
{
    char html[512];
    unsigned char compressed[1024];
    int length = snprintf(html, sizeof html, PAGE("Page %ju"), request->number);
    z_stream zip = {.next_in = (unsigned char *)html,
                    .avail_in = (unsigned int)length,
                    .next_out = compressed,
                    .avail_out = sizeof compressed};

    if (deflateInit2(&zip, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return MHD_NO;
    int result = deflate(&zip, Z_FINISH);
    deflateEnd(&zip);
    if (result != Z_STREAM_END)
        return MHD_NO;
    return answer(request, (struct reply){.header = {"Content-Encoding", "gzip"},
                                          .head = {(char *)compressed, zip.total_out}});
}

static enum MHD_Result serve_empty(struct request *request)
{
    return answer(request, (struct reply){0});
}

static enum MHD_Result serve_untyped(struct request *request)
{
    return answer_text(request, (struct reply){.type = ""}, PAGE("Untyped"));
}

static enum MHD_Result serve_png(struct request *request)
{
    static const char black_dot[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\1\0\0\0\0\x37\x6e\xf9\x24\0\0\0\nI"
        "DAT"
        "\x78\xda\x63\x60\0\0\0\2\0\1\xe5\x27\xde\xfc\0\0\0\0IEND\xae\x42\x60\x82";
    return answer(request, (struct reply){.type = "image/png",
                                          .head = {black_dot, sizeof black_dot - 1}});
}

char *read_file(int folder, const char *name, size_t *length)
{
    struct stat status;
    char *bytes = NULL;
    int file = openat(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return NULL;
    if (fstat(file, &status) == 0 &&
        (bytes = malloc((size_t)status.st_size + 1)) != NULL) {
        ssize_t got = read(file, bytes, (size_t)status.st_size);
        if (got < 0) {
            free(bytes);
            bytes = NULL;
        } else {
            bytes[got] = '\0';
            *length = (size_t)got;
        }
    }
    close(file);
    return bytes;
}

static int files = -1; /* the folder */

void pages_are_in(int folder)
{
    files = folder;
}

static enum MHD_Result serve_file(struct request *request)
{
    const char *name = request->rest;
    size_t length;
    char *bytes = NULL;
    if (files >= 0 && *name != '\0' && *name != '.' && strchr(name, '/') == NULL)
        bytes = read_file(files, name, &length);
    if (bytes == NULL)
        return answer_text(request, (struct reply){.status = 404}, PAGE("Not found"));

    enum MHD_Result result =
        answer(request, (struct reply){.type = query_text(request, "type", "text/html"),
                                       .head = {bytes, length}});
    free(bytes);
    return result;
}

const struct route page_routes[] = {
    {"/talkpython", serve_course}, {"/pythonbytes", serve_course},
    {"/google", serve_course},     {"/realpython", serve_course},
    {"/training", serve_course},   {"/page/#", serve_page},
    {"/big/#", serve_big},         {"/title/#", serve_title},
    {"/gzip/#", serve_gzip},       {"/empty", serve_empty},
    {"/untyped", serve_untyped},   {"/png", serve_png},
    {"/file/", serve_file},        {NULL, NULL},
};
