#include "report.h"

#include "die.h"
#include "monotonic.h"
#include "place.h"
#include "progress.h"
#include "text.h"
#include "trace.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LINE_BUFFER = 64 * 1024,
    MANY_PAGES = 20, /* from here on, a bar instead of lines */
    DEFAULT_COLUMNS = 80,
    MOST_ROWS = 40, /* of a timeline */
    LONGEST_PLACE =
        1000, /* so that a line is shorter than PIPE_BUF, and whole (pipe(7)) */
    STATUS_FAILED = 1,
    STATUS_WRONG_USAGE = 2,
    STATUS_INTERRUPTED = 130,
};

/* A page of the command line. */
struct given {
    const char *url;
    size_t number;   /* from 1 */
    size_t reported; /* of the pages with this URL, in the first of them */
};

static struct {
    size_t page_count;
    size_t done;
    size_t failed;
    bool is_quiet;
    bool has_terminal; /* standard output */
    double started;

    const char *program;
    const char *trace_name; /* NULL: no trace */
    FILE *trace;
    bool has_timeline;
    struct visit *visits; /* what both show; NULL: there is neither */
    size_t visit_count;
    struct given *given; /* for both; sorted by URL, then by number */
} report;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    progress_leave();
    _exit(STATUS_INTERRUPTED);
}

static void exit_on_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) < 0)
        die("sigaction: %s", strerror(errno));
}

/* A descriptor that was closed when we began is opened on /dev/null, for reading: to
   write to it fails, as it should. */
static void occupy_standard_descriptors(void)
{
    int descriptor;
    do {
        descriptor = open("/dev/null", O_RDONLY);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

static int compare_given(const void *left, const void *right)
{
    const struct given *one = left;
    const struct given *other = right;
    int order = strcmp(one->url, other->url);
    return order != 0 ? order : one->number < other->number ? -1 : 1;
}

/* For the timeline, the trace, or both. */
static void prepare_visits(const struct arguments *arguments)
{
    report.program = arguments->program;
    report.has_timeline = arguments->timeline;
    report.trace_name = arguments->trace;
    if (report.trace_name != NULL) {
        report.trace = fopen(report.trace_name, "we");
        if (report.trace == NULL)
            report_wrong_usage(report.program, "cannot write %s: %s", report.trace_name,
                               strerror(errno));
    }
    if (report.has_timeline || report.trace != NULL) {
        report.visits = calloc(report.page_count + 1, sizeof(*report.visits));
        report.given = calloc(report.page_count + 1, sizeof(*report.given));
        if (report.visits == NULL || report.given == NULL)
            die("out of memory for a timeline of %zu pages", report.page_count);
        for (size_t i = 0; i < report.page_count; i++)
            report.given[i] = (struct given){.url = arguments->urls[i], .number = i + 1};
        qsort(report.given, report.page_count, sizeof(*report.given), compare_given);
    }
}

void report_open(const struct arguments *arguments)
{
    static char output_buffer[LINE_BUFFER];
    static char error_buffer[LINE_BUFFER];
    occupy_standard_descriptors();
    setvbuf(stdout, output_buffer, _IOLBF, sizeof(output_buffer));
    setvbuf(stderr, error_buffer, _IOLBF, sizeof(error_buffer));
    exit_on_interrupt();

    report.page_count = arguments->url_count;
    report.is_quiet = arguments->quiet;
    report.has_terminal = isatty(STDOUT_FILENO);
    report.started = monotonic_seconds();
    if (!report.is_quiet && report.page_count >= MANY_PAGES && isatty(STDERR_FILENO))
        progress_open(report.page_count);
    prepare_visits(arguments);
}

void report_begin(const char *url)
{
    progress_begin();
    if (report.is_quiet || progress_is_open())
        return;
    const char *place = place_of(url);
    char *tidy = text_tidy(place, strnlen(place, LONGEST_PLACE));
    fprintf(stderr, "Getting title from %s, PID: %d, worker: %s\n",
            tidy == NULL ? "?" : tidy, (int)getpid(), worker_name());
    free(tidy);
}

/* The URL as it was given, but for a password. */
static void print_error(const char *url, const char *reason)
{
    const char *place = place_of(url);
    char *tidy_scheme = text_tidy(url, scheme_length(url));
    char *tidy_place = text_tidy(place, strlen(place));
    char *tidy_reason = reason == NULL ? NULL : text_tidy(reason, strlen(reason));
    fprintf(stderr, "error: %s%s: %s\n", tidy_scheme == NULL ? "" : tidy_scheme,
            tidy_place == NULL ? "?" : tidy_place,
            tidy_reason == NULL ? "out of memory" : tidy_reason);
    free(tidy_scheme);
    free(tidy_place);
    free(tidy_reason);
}

/* A program gets the URL as it was given; a terminal could take it for a command. */
static void print_title(const char *url, const char *title)
{
    char *tidy_url = report.has_terminal ? text_tidy(url, strlen(url)) : NULL;
    if (report.has_terminal)
        progress_clear();
    if (printf("%s\t%s\n", tidy_url == NULL ? url : tidy_url, title) < 0 ||
        ferror(stdout))
        die_without_output();
    free(tidy_url);
}

/* The number of the page with this URL that is reported now, in the order in which they
   were given; of pages with the same URL, of the first that has not been reported. */
static size_t number_of(const char *url)
{
    size_t first = 0;
    size_t end = report.page_count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (strcmp(report.given[middle].url, url) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    size_t page = first + report.given[first].reported++;
    return page < report.page_count ? report.given[page].number : report.done;
}

/* Keeps what the timeline and the trace will show of a page. */
static void keep_visit(const char *url, const struct result *title)
{
    if (report.visits == NULL)
        return;
    size_t number = number_of(url);
    if (title->span.pid == 0)
        return; /* nobody lived to say when it was */
    const char *place = place_of(url);
    struct visit *visit = &report.visits[report.visit_count];
    *visit = (struct visit){
        .number = number,
        .has_failed = title->status != RESULT_OK,
        .place = text_tidy(place, strlen(place)),
        .span = title->span,
    };
    if (visit->place == NULL)
        return;
    if (visit->has_failed && title->text != NULL)
        visit->error = text_tidy(title->text, strlen(title->text));
    report.visit_count++;
}

void report_page(const char *url, const struct result *title)
{
    report.done++;
    keep_visit(url, title);
    if (title->status != RESULT_OK) {
        report.failed++;
        progress_clear();
        print_error(url, title->text);
    } else {
        print_title(url, title->text);
    }
    progress_show(report.done, report.failed);
}

static void print_line(const char *line)
{
    progress_clear();
    if (!report.is_quiet)
        fprintf(stderr, "%s\n", line);
}

void report_wait(const char *line)
{
    print_line(line);
    progress_wait(true);
}

void report_done(const char *line)
{
    progress_wait(false);
    print_line(line);
}

void require_workers(size_t started, size_t wanted, const char *reason)
{
    if (started == 0)
        die("no worker can be started: %s", reason);
    if (started == wanted)
        return;
    progress_clear();
    fprintf(stderr, "only %zu of %zu workers can be started: %s\n", started, wanted,
            reason);
}

/* Colours are for terminals, unless they are not wanted: https://no-color.org. */
static bool has_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
}

static size_t terminal_columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return DEFAULT_COLUMNS;
    return size.ws_col;
}

static void draw_timeline(void)
{
    double end = report.started + 1e-6; /* an axis has a length */
    for (size_t i = 0; i < report.visit_count; i++)
        end = fmax(end, report.visits[i].span.end);
    const struct timeline timeline = {
        .start = report.started,
        .seconds = end - report.started,
        .columns = terminal_columns(),
        .most_rows = MOST_ROWS,
        .has_colour = has_colour(),
    };
    timeline_draw(stderr, &timeline, report.visits, report.visit_count);
    if (report.visit_count < report.done)
        fprintf(stderr, "not drawn: %zu of %zu pages, of which no worker has told when\n",
                report.done - report.visit_count, report.done);
}

/* Returns whether it could. */
static bool write_trace(void)
{
    trace_write(report.trace, report.visits, report.visit_count, report.started,
                report.program);
    bool is_written = ferror(report.trace) == 0;
    is_written = fclose(report.trace) == 0 && is_written;
    if (!is_written)
        fprintf(stderr, "error: cannot write %s: %s\n", report.trace_name,
                strerror(errno));
    return is_written;
}

/* Returns false if the trace could not be written. */
static bool show_visits(void)
{
    bool is_written = true;
    timeline_sort(report.visits, report.visit_count);
    if (report.has_timeline)
        draw_timeline();
    if (report.trace != NULL)
        is_written = write_trace();
    for (size_t i = 0; i < report.visit_count; i++) {
        free(report.visits[i].place);
        free(report.visits[i].error);
    }
    free(report.visits);
    free(report.given);
    return is_written;
}

int report_close(void)
{
    bool is_written = true;
    progress_clear();
    if (!report.is_quiet)
        fprintf(stderr, "%zu of %zu pages fetched in %.2f s\n",
                report.done - report.failed, report.page_count,
                monotonic_seconds() - report.started);
    if (report.visits != NULL)
        is_written = show_visits();
    return report.failed == 0 && is_written ? EXIT_SUCCESS : STATUS_FAILED;
}

void report_wrong_usage(const char *program, const char *format, ...)
{
    char message[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    char *tidy = text_tidy(message, strlen(message));
    fprintf(stderr, "%s: %s (--help says more)\n", program,
            tidy == NULL ? message : tidy);
    free(tidy);
    exit(STATUS_WRONG_USAGE);
}

void report_help(const char *program, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    printf("Usage: %s [options] [URL...]\n", program);
    vprintf(format, values);
    va_end(values);
    if (fflush(stdout) != 0)
        die_without_output();
    exit(EXIT_SUCCESS);
}
