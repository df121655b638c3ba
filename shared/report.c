#include "report.h"

#include "monotonic.h"
#include "text.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BUFFER = 64 * 1024,
    MANY_PAGES = 20, /* from here on, a bar instead of lines */
    BAR_WIDTH = 40,
    LONGEST_PLACE =
        1000, /* so that a line is shorter than PIPE_BUF, and whole (pipe(7)) */
    STATUS_FAILED = 1,
    STATUS_WRONG_USAGE = 2,
    STATUS_INTERRUPTED = 130,
};

static const double seconds_per_drawing = 0.05;

static struct {
    size_t page_count;
    size_t done;
    size_t failed;
    bool is_quiet;
    bool has_bar;
    double started;
    double drawn;   /* when the bar was drawn; 0: it is not there */
    int bar_length; /* in columns */
} report;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (report.has_bar && write(STDERR_FILENO, "\n", 1) < 0) {
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

void report_open(size_t page_count, bool quiet)
{
    static char output_buffer[LINE_BUFFER];
    static char error_buffer[LINE_BUFFER];
    occupy_standard_descriptors();
    setvbuf(stdout, output_buffer, _IOLBF, sizeof(output_buffer));
    setvbuf(stderr, error_buffer, _IOLBF, sizeof(error_buffer));
    exit_on_interrupt();

    report.page_count = page_count;
    report.is_quiet = quiet;
    report.has_bar = !quiet && page_count >= MANY_PAGES && isatty(STDERR_FILENO);
    report.started = monotonic_seconds();
}

/* The bar stands on the last line, and is drawn over and over. */
static void draw_bar(void)
{
    double now = monotonic_seconds();
    if (!report.has_bar || now - report.drawn < seconds_per_drawing)
        return;
    report.drawn = now;
    size_t filled = report.done * BAR_WIDTH / report.page_count;
    char bar[BAR_WIDTH + 1] = {0};
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    report.bar_length = fprintf(stderr, "\r[%s] %zu of %zu, %zu failed", bar, report.done,
                                report.page_count, report.failed);
    fflush(stderr);
}

static void clear_bar(void)
{
    if (!report.has_bar || report.drawn == 0)
        return;
    report.drawn = 0;
    fprintf(stderr, "\r%*s\r", report.bar_length - 1, "");
    fflush(stderr);
}

/* HOST/PATH: the URL without its scheme, and without a password that may stand in it. */
static const char *place_of(const char *url)
{
    const char *host = url;
    size_t scheme_length = strcspn(url, ":/?#");
    if (strncmp(url + scheme_length, "://", 3) == 0)
        host = url + scheme_length + 3;
    size_t host_length = strcspn(host, "/?#");
    const char *credentials_end = memrchr(host, '@', host_length);
    return credentials_end == NULL ? host : credentials_end + 1;
}

void report_begin(const char *url)
{
    if (report.is_quiet || report.has_bar)
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

static void print_error(const char *url, const char *reason)
{
    char *tidy_url = text_tidy(url, strlen(url));
    char *tidy_reason = reason == NULL ? NULL : text_tidy(reason, strlen(reason));
    fprintf(stderr, "error: %s: %s\n", tidy_url == NULL ? "?" : tidy_url,
            tidy_reason == NULL ? "out of memory" : tidy_reason);
    free(tidy_url);
    free(tidy_reason);
}

/* A program gets the URL as it was given; a terminal could take it for a command. */
static void print_title(const char *url, const char *title)
{
    bool is_terminal = isatty(STDOUT_FILENO);
    char *tidy_url = is_terminal ? text_tidy(url, strlen(url)) : NULL;
    if (is_terminal)
        clear_bar();
    if (printf("%s\t%s\n", tidy_url == NULL ? url : tidy_url, title) < 0 ||
        ferror(stdout))
        end_without_output();
    free(tidy_url);
}

void report_page(const char *url, const struct result *title)
{
    report.done++;
    if (title->status != RESULT_OK) {
        report.failed++;
        clear_bar();
        print_error(url, title->text);
    } else {
        print_title(url, title->text);
    }
    draw_bar();
}

void report_fewer_workers(size_t started, size_t wanted, const char *reason)
{
    if (started == 0)
        report_fatal("no worker can be started: %s", reason);
    clear_bar();
    fprintf(stderr, "only %zu of %zu workers can be started: %s\n", started, wanted,
            reason);
}

int report_close(void)
{
    clear_bar();
    if (!report.is_quiet)
        fprintf(stderr, "%zu of %zu pages fetched in %.2f s\n",
                report.done - report.failed, report.page_count,
                monotonic_seconds() - report.started);
    return report.failed == 0 ? EXIT_SUCCESS : STATUS_FAILED;
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
