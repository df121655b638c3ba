#include "report.h"

#include "monotonic.h"
#include "text.h"
#include "trace.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LINE_BUFFER = 64 * 1024,
    MANY_PAGES = 20, /* from here on, a bar instead of lines */
    BAR_WIDTH = 40,
    DEFAULT_COLUMNS = 80,
    MOST_ROWS = 40, /* of a timeline */
    LONGEST_PLACE =
        1000, /* so that a line is shorter than PIPE_BUF, and whole (pipe(7)) */
    STATUS_FAILED = 1,
    STATUS_WRONG_USAGE = 2,
    STATUS_INTERRUPTED = 130,
};

static const long long milliseconds_per_drawing = 50;

static struct {
    size_t page_count;
    size_t done;
    size_t failed;
    bool is_quiet;
    bool has_terminal; /* standard output */
    double started;
    struct bar *bar; /* NULL: there is none */

    const char *program;
    const char *trace_name; /* NULL: no trace */
    FILE *trace;
    bool has_timeline;
    struct visit *visits; /* what both show; NULL: there is neither */
    size_t visit_count;
} report;

/* The progress bar. It is in memory that forked workers share, since while we wait for
   all pages it is drawn by whoever begins with one. */
struct bar {
    atomic_size_t begun;
    atomic_bool is_waiting;
    atomic_llong drawn; /* when, in milliseconds; 0: it is not there */
    atomic_int length;  /* in columns */
};

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (report.bar != NULL && write(STDERR_FILENO, "\n", 1) < 0) {
        /* The terminal is gone; so are we. */
    }
    _exit(STATUS_INTERRUPTED);
}

static void exit_on_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) < 0)
        report_fatal("sigaction: %s", strerror(errno));
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

/* Returns NULL if there is no memory to share: then there is no bar. */
static struct bar *new_bar(void)
{
    void *memory = mmap(NULL, sizeof(struct bar), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
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
        if (report.visits == NULL)
            report_fatal("out of memory for a timeline of %zu pages", report.page_count);
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
        report.bar = new_bar();
    prepare_visits(arguments);
}

/* The bar stands on the last line, and is drawn over and over. */
static void draw_bar(size_t count, const char *format, ...)
{
    long long now = (long long)(monotonic_seconds() * 1000);
    long long drawn = atomic_load(&report.bar->drawn);
    if (now - drawn < milliseconds_per_drawing ||
        !atomic_compare_exchange_strong(&report.bar->drawn, &drawn, now))
        return;
    char bar[BAR_WIDTH + 1] = {0};
    char words[100];
    va_list values;
    va_start(values, format);
    vsnprintf(words, sizeof(words), format, values);
    va_end(values);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', count * BAR_WIDTH / report.page_count);
    int length =
        fprintf(stderr, "\r[%s] %zu of %zu%s", bar, count, report.page_count, words);
    fflush(stderr);
    atomic_store(&report.bar->length, length);
}

static void clear_bar(void)
{
    if (report.bar == NULL || atomic_exchange(&report.bar->drawn, 0) == 0)
        return;
    fprintf(stderr, "\r%*s\r", atomic_load(&report.bar->length) - 1, "");
    fflush(stderr);
}

/* How many bytes of the URL stand before its host's credentials: the scheme, and the
   slashes, of which libcurl accepts one to three. */
static size_t scheme_length(const char *url)
{
    size_t colon = strcspn(url, ":/?#");
    size_t slashes = url[colon] == ':' ? colon + 1 : 0;
    size_t count = strspn(url + slashes, "/");
    return count == 0 ? 0 : slashes + count;
}

/* Whether a colon is followed by what is no port: then it may be a password, of a URL
   that somebody has mistyped. (In brackets stands an IPv6 address.) */
static bool has_odd_port(const char *host, size_t length)
{
    const char *bracket = memchr(host, ']', length);
    const char *start = bracket == NULL ? host : bracket;
    const char *colon = memchr(start, ':', length - (size_t)(start - host));
    return colon != NULL &&
           strspn(colon + 1, "0123456789") < length - (size_t)(colon + 1 - host);
}

/* HOST/PATH: the URL without its scheme, and without a password that may stand in it. */
static const char *place_of(const char *url)
{
    const char *host = url + scheme_length(url);
    size_t host_length = strcspn(host, "/?#");
    const char *credentials_end = memrchr(host, '@', host_length);
    if (credentials_end == NULL && has_odd_port(host, host_length))
        credentials_end = strrchr(host, '@');
    return credentials_end == NULL ? host : credentials_end + 1;
}

/* Counts a page that begins; draws the bar if nobody else does. */
static void count_begin(void)
{
    size_t begun = atomic_fetch_add(&report.bar->begun, 1) + 1;
    if (atomic_load(&report.bar->is_waiting))
        draw_bar(begun, " begun");
}

void report_begin(const char *url)
{
    if (report.bar != NULL)
        count_begin();
    if (report.is_quiet || report.bar != NULL)
        return;
    const char *place = place_of(url);
    char *tidy = text_tidy(place, strnlen(place, LONGEST_PLACE));
    fprintf(stderr, "Getting title from %s, PID: %d, worker: %s\n",
            tidy == NULL ? "?" : tidy, (int)getpid(), worker_name());
    free(tidy);
}

static void end_without_output(void)
{
    if (errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL); /* http_open() has it ignored */
        raise(SIGPIPE);
    }
    fprintf(stderr, "error: cannot write to standard output: %s\n", strerror(errno));
    _exit(STATUS_FAILED); /* not exit(): other threads may still run */
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
        clear_bar();
    if (printf("%s\t%s\n", tidy_url == NULL ? url : tidy_url, title) < 0 ||
        ferror(stdout))
        end_without_output();
    free(tidy_url);
}

/* Keeps what the timeline and the trace will show of a page. */
static void keep_visit(const char *url, const struct result *title)
{
    if (report.visits == NULL || title->span.pid == 0)
        return; /* nobody lived to say when it was */
    const char *place = place_of(url);
    struct visit *visit = &report.visits[report.visit_count];
    *visit = (struct visit){
        .number = report.done,
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
        clear_bar();
        print_error(url, title->text);
    } else {
        print_title(url, title->text);
    }
    if (report.bar != NULL)
        draw_bar(report.done, ", %zu failed", report.failed);
}

static void print_line(const char *line)
{
    clear_bar();
    if (!report.is_quiet)
        fprintf(stderr, "%s\n", line);
}

void report_wait(const char *line)
{
    print_line(line);
    if (report.bar != NULL)
        atomic_store(&report.bar->is_waiting, true);
}

void report_done(const char *line)
{
    if (report.bar != NULL)
        atomic_store(&report.bar->is_waiting, false);
    print_line(line);
}

void require_workers(size_t started, size_t wanted, const char *reason)
{
    if (started == 0)
        report_fatal("no worker can be started: %s", reason);
    if (started == wanted)
        return;
    clear_bar();
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
    return is_written;
}

int report_close(void)
{
    bool is_written = true;
    clear_bar();
    if (!report.is_quiet)
        fprintf(stderr, "%zu of %zu pages fetched in %.2f s\n",
                report.done - report.failed, report.page_count,
                monotonic_seconds() - report.started);
    if (report.visits != NULL)
        is_written = show_visits();
    return report.failed == 0 && is_written ? EXIT_SUCCESS : STATUS_FAILED;
}

/* Prints PREFIX: MESSAGE SUFFIX as one line. */
static void print_message(const char *prefix, const char *format, va_list values,
                          const char *suffix)
{
    char message[1024];
    vsnprintf(message, sizeof(message), format, values);
    char *tidy = text_tidy(message, strlen(message));
    fprintf(stderr, "%s: %s%s\n", prefix, tidy == NULL ? message : tidy, suffix);
    free(tidy);
}

void report_wrong_usage(const char *program, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    print_message(program, format, values, " (--help says more)");
    va_end(values);
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
        end_without_output();
    exit(EXIT_SUCCESS);
}

void report_fatal(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    print_message("error", format, values, "");
    va_end(values);
    _exit(STATUS_FAILED);
}
