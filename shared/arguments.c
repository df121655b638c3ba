#include "arguments.h"

#include "die.h"
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sites[] = {
    "https://talkpython.fm",  "https://pythonbytes.fm",         "https://google.com",
    "https://realpython.com", "https://training.talkpython.fm",
};

enum {
    DEFAULT_WORKERS = 8,
    DEFAULT_TRANSFERS = 1000,
    MOST_WORKERS = 1000000,
    DEFAULT_TIMEOUT = 30,
    LONGEST_TIMEOUT = 1000000,
    CERTIFICATES_OPTION = 256, /* these have no short form */
    TIMELINE_OPTION,
    TRACE_OPTION,
    DEADLINE_OPTION,
    NOT_AN_OPTION = 1, /* what getopt_long(3) makes of a URL if asked by "-" */
};

static const char short_options[] = "-:f:w:t:qh";

static const struct option long_options[] = {
    {"file", required_argument, NULL, 'f'},
    {"workers", required_argument, NULL, 'w'},
    {"timeout", required_argument, NULL, 't'},
    {"deadline", required_argument, NULL, DEADLINE_OPTION},
    {"quiet", no_argument, NULL, 'q'},
    {"cacert", required_argument, NULL, CERTIFICATES_OPTION},
    {"timeline", no_argument, NULL, TIMELINE_OPTION},
    {"trace", required_argument, NULL, TRACE_OPTION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static const char *program_name(const char *path)
{
    if (path == NULL)
        return "program";
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const char *const words_on_workers[] = {
    [WITHOUT_POOL] = "no effect here: this lesson has no pool",
    [WITH_POOL] = "workers in the pool (default 8)",
    [WITH_DEADLINE] = "workers in the pool (default 8)",
    [WITH_LOOP] = "transfers at once (default 1000)",
};

_Noreturn static void help(const char *program, enum pool_kind pool)
{
    report_help(
        program,
        "Fetches web pages and prints a line for each: URL, a tab, its title.\n"
        "Without URL: the five sites of the course.\n"
        "\n"
        "  -f, --file FILE     read URLs from FILE ('-': standard input), one a "
        "line;\n"
        "                      blank lines and # comments are skipped\n"
        "  -w, --workers N     %s\n"
        "  -t, --timeout SEC   give up on one page after SEC seconds (default %d;\n"
        "                      fractions allowed)\n"
        "%s"
        "  -q, --quiet         no progress on standard error\n"
        "      --cacert FILE   trust the certificates in FILE\n"
        "      --timeline      draw who did what when, on standard error, at the end\n"
        "      --trace FILE    write the same as Chrome trace events "
        "(ui.perfetto.dev)\n"
        "  -h, --help          print this and exit\n"
        "\n"
        "Exit status: 0 all fetched; 1 some failed; 2 wrong usage; 130 after "
        "Ctrl-C.\n",
        words_on_workers[pool], DEFAULT_TIMEOUT,
        pool == WITH_DEADLINE
            ? "      --deadline SEC  give up on all pages that are not there after "
              "SEC seconds\n"
            : "");
}

/* Appends a copy of the URL. Without memory for the command line there is no way on. */
static void add_url(struct arguments *arguments, const char *url)
{
    size_t count = arguments->url_count;
    bool is_full = (count & (count - 1)) == 0; /* at each power of two, room for twice */
    if (is_full) {
        size_t capacity = count == 0 ? 1 : 2 * count;
        char **urls = realloc(arguments->urls, capacity * sizeof(*urls));
        if (urls == NULL)
            die("out of memory for %zu URLs", capacity);
        arguments->urls = urls;
    }
    arguments->urls[count] = strdup(url);
    if (arguments->urls[count] == NULL)
        die("out of memory for %zu URLs", count);
    arguments->url_count++;
}

/* The line without white space at either end. A NUL cannot stand in a C string: it
   becomes another control character, so that this line, and no other, will turn out
   malformed. */
static char *trim(char *line, size_t length)
{
    for (char *nul = line; (nul = memchr(nul, '\0', length - (size_t)(nul - line)));)
        *nul = '\1';
    while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
        line[--length] = '\0';
    return line + strspn(line, " \t");
}

static void add_urls_in(struct arguments *arguments, FILE *file)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    for (bool is_first = true; (length = getline(&line, &size, file)) >= 0;
         is_first = false) {
        char *url = trim(line, (size_t)length);
        if (is_first && strncmp(url, byte_order_mark, strlen(byte_order_mark)) == 0)
            url += strlen(byte_order_mark);
        if (url[0] != '\0' && url[0] != '#')
            add_url(arguments, url);
    }
    free(line);
}

static void add_urls_from(struct arguments *arguments, const char *name,
                          const char *program)
{
    bool is_standard_input = strcmp(name, "-") == 0;
    FILE *file = is_standard_input ? stdin : fopen(name, "r");
    if (file == NULL)
        report_wrong_usage(program, "cannot open %s: %s", name, strerror(errno));
    errno = 0;
    add_urls_in(arguments, file);
    if (!feof(file))
        report_wrong_usage(program, "cannot read %s: %s", name, strerror(errno));
    if (!is_standard_input)
        fclose(file);
}

static size_t read_workers(const char *text, const char *program)
{
    char *end;
    errno = 0;
    long workers = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || workers < 1 ||
        workers > MOST_WORKERS)
        report_wrong_usage(program,
                           "--workers takes a whole number from 1 to %d, not '%s'",
                           MOST_WORKERS, text);
    return (size_t)workers;
}

static double read_seconds(const char *text, const char *option, const char *program)
{
    char *end;
    double seconds = strtod(text, &end);
    /* A NaN is neither more nor less than anything. */
    if (end == text || *end != '\0' || !(seconds > 0 && seconds <= LONGEST_TIMEOUT))
        report_wrong_usage(program,
                           "--%s takes seconds, more than 0 and at most %d, not '%s'",
                           option, LONGEST_TIMEOUT, text);
    return seconds;
}

static const char *read_certificates(const char *name, const char *program)
{
    FILE *file = fopen(name, "r");
    if (file == NULL)
        report_wrong_usage(program, "cannot open %s: %s", name, strerror(errno));
    fclose(file);
    return name;
}

/* getopt_long(3) leaves a short option in optopt, but not which argument it stood in. */
_Noreturn static void refuse_option(const char *last_argument, const char *program)
{
    if (optopt == 0 || strncmp(last_argument, "--", 2) == 0)
        report_wrong_usage(program, "there is no option '%s'", last_argument);
    report_wrong_usage(program, "there is no option '-%c'", optopt);
}

struct arguments arguments_read(int argc, char *argv[], enum pool_kind pool)
{
    const char *program = program_name(argv[0]);
    struct arguments arguments = {
        .workers = pool == WITH_LOOP ? DEFAULT_TRANSFERS : DEFAULT_WORKERS,
        .timeout = DEFAULT_TIMEOUT,
        .deadline = INFINITY,
        .program = program,
    };
    bool is_default = true;
    int option;
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        switch (option) {
        case NOT_AN_OPTION:
            add_url(&arguments, optarg);
            is_default = false;
            break;
        case 'f':
            add_urls_from(&arguments, optarg, program);
            is_default = false;
            break;
        case 'w':
            arguments.workers = read_workers(optarg, program);
            break;
        case 't':
            arguments.timeout = read_seconds(optarg, "timeout", program);
            break;
        case DEADLINE_OPTION:
            if (pool != WITH_DEADLINE)
                refuse_option("--deadline", program);
            arguments.deadline = read_seconds(optarg, "deadline", program);
            break;
        case 'q':
            arguments.quiet = true;
            break;
        case CERTIFICATES_OPTION:
            arguments.certificates = read_certificates(optarg, program);
            break;
        case TIMELINE_OPTION:
            arguments.timeline = true;
            break;
        case TRACE_OPTION:
            arguments.trace = optarg;
            break;
        case 'h':
            help(program, pool);
        case ':':
            report_wrong_usage(program, "%s needs a value", argv[optind - 1]);
        default:
            refuse_option(argv[optind - 1], program);
        }
    }
    for (; optind < argc; optind++, is_default = false)
        add_url(&arguments, argv[optind]); /* what stands after "--" */
    for (size_t i = 0; is_default && i < sizeof(sites) / sizeof(sites[0]); i++)
        add_url(&arguments, sites[i]);
    return arguments;
}

void arguments_free(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->url_count; i++)
        free(arguments->urls[i]);
    free(arguments->urls);
}
