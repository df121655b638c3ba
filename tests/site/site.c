/*
 * site.c - the local web site that the course's checks fetch from.
 *
 * One thread and one event loop serve ten thousand requests at once, however long they
 * wait. It prints its address and then serves until SIGTERM or SIGINT, or until the
 * process that started it ends. README.md here has the table of what it serves.
 *
 *     build/site [--port N] [--tls --certificate FILE --key FILE] [--pages DIR]
 */
#include "site.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FAILED 1
#define WRONG_USAGE 2
#define BACKLOG 4096
#define LONG_URLS ((size_t)128 * 1024) /* what a connection needs for them */
#define SHORT_URLS ((size_t)32 * 1024)
#define OTHER_DESCRIPTORS 32 /* that are not a client's connection */

struct options {
    uint16_t port;
    bool tls;
    const char *certificate;
    const char *key;
    const char *pages;
    size_t connection_memory;
    struct in_addr address;
    bool any_host;
};

static void print_help(void)
{
    puts("usage: site [options]\n"
         "Serves the web site that the course's checks use.\n"
         "      --address A         listen on the address A (default 127.0.0.1)\n"
         "      --port N            listen on port N (default 0: any that is free)\n"
         "      --tls               serve https; needs the next two\n"
         "      --certificate FILE  the certificate (PEM)\n"
         "      --key FILE          its private key (PEM)\n"
         "      --pages DIR         the folder with the files that /file/NAME serves\n"
         "      --short-urls        URLs of 25 KB at most: connections cost less then\n"
         "      --patience MS       how long a request waits for others, if it does not "
         "say (default 5000)\n"
         "      --any-host          listen on 127.0.0.2 too, and on all the rest of "
         "127/8\n"
         "      --help              show this");
}

static uint16_t parse_port(const char *text)
{
    uintmax_t port;
    if (!parse_number(text, &port) || port > UINT16_MAX)
        errx(WRONG_USAGE, "not a port: '%s'", text);
    return (uint16_t)port;
}

static uintmax_t parse_patience(const char *text)
{
    uintmax_t milliseconds;
    if (!parse_number(text, &milliseconds))
        errx(WRONG_USAGE, "not a number of milliseconds: '%s'", text);
    return milliseconds;
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"address", required_argument, NULL, 'A'},
        {"port", required_argument, NULL, 'p'},
        {"tls", no_argument, NULL, 't'},
        {"key", required_argument, NULL, 'k'},
        {"certificate", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"pages", required_argument, NULL, 'd'},
        {"short-urls", no_argument, NULL, 's'},
        {"any-host", no_argument, NULL, 'a'},
        {"patience", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.connection_memory = LONG_URLS,
                              .address.s_addr = htonl(INADDR_LOOPBACK)};

    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'A':
            if (inet_pton(AF_INET, optarg, &options.address) != 1)
                errx(WRONG_USAGE, "not an address: '%s'", optarg);
            break;
        case 'p':
            options.port = parse_port(optarg);
            break;
        case 't':
            options.tls = true;
            break;
        case 'c':
            options.certificate = optarg;
            break;
        case 'k':
            options.key = optarg;
            break;
        case 'd':
            options.pages = optarg;
            break;
        case 's':
            options.connection_memory = SHORT_URLS;
            break;
        case 'a':
            options.any_host = true;
            break;
        case 'w':
            patience = parse_patience(optarg);
            break;
        case 'h':
            print_help();
            exit(EXIT_SUCCESS);
        default: /* getopt_long has said what is wrong */
            exit(WRONG_USAGE);
        }
    }
    if (optind < argc)
        errx(WRONG_USAGE, "unexpected argument: '%s'", argv[optind]);
    if (options.tls != (options.certificate != NULL) ||
        options.tls != (options.key != NULL))
        errx(WRONG_USAGE, "--tls, --certificate and --key go together");
    return options;
}

/* The signals that end the site, as a descriptor to be read from. */
static int catch_signals(void)
{
    sigset_t signals;
    if (sigemptyset(&signals) != 0 || sigaddset(&signals, SIGTERM) != 0 ||
        sigaddset(&signals, SIGINT) != 0 || sigprocmask(SIG_BLOCK, &signals, NULL) != 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        err(FAILED, "cannot catch signals");

    int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor < 0)
        err(FAILED, "cannot catch signals");
    return descriptor;
}

/*
 * Has the kernel send SIGTERM when the parent ends: a killed test leaves nothing behind.
 * It may have ended before; then another process, most likely of another session, has
 * taken us in.
 */
static void end_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        err(FAILED, "cannot watch the parent process");
    bool leads_session = getsid(0) == getpid();
    if (getppid() != parent || (!leads_session && getsid(parent) != getsid(0)))
        exit(EXIT_SUCCESS);
}

/*
 * Raises the limit of open files as far as it goes. Returns how many clients that allows.
 */
static unsigned int raise_connection_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        err(FAILED, "cannot read the limit of open files");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        err(FAILED, "cannot raise the limit of open files");
    if (limit.rlim_cur > 1000000)
        limit.rlim_cur = 1000000;
    return (unsigned int)limit.rlim_cur - OTHER_DESCRIPTORS;
}

/*
 * A listening socket on the port, or on a free one for 0; PORT then says which. For any
 * host it listens on all addresses, but only for what comes by the loopback device.
 */
static int listen_on(struct in_addr host, uint16_t *port, bool any_host)
{
    static const char loopback[] = "lo";
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(*port),
        .sin_addr.s_addr = any_host ? htonl(INADDR_ANY) : host.s_addr,
    };
    struct sockaddr *generic = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    int yes = 1;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(FAILED, "cannot make a socket");
    if (any_host &&
        setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, loopback, sizeof loopback) != 0)
        err(FAILED, "cannot keep to the loopback device");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, generic, length) != 0 || listen(listener, BACKLOG) != 0 ||
        getsockname(listener, generic, &length) != 0)
        err(FAILED, "cannot listen on port %d", *port);
    *port = ntohs(address.sin_port);
    return listener;
}

static char *read_text(const char *path)
{
    size_t length;
    char *text = read_file(AT_FDCWD, path, &length);
    if (text == NULL)
        err(FAILED, "cannot read %s", path);
    return text;
}

static struct MHD_Daemon *start_daemon(const struct options *options,
                                       unsigned int connections)
{
    unsigned int flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
    char *certificate = NULL;
    char *key = NULL;
    if (options->tls) {
        flags |= MHD_USE_TLS;
        certificate = read_text(options->certificate);
        key = read_text(options->key);
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_arrived, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        request_started, NULL, MHD_OPTION_NOTIFY_COMPLETED, request_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, stats_connection, NULL, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connection_memory,
        MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key,
        MHD_OPTION_END);
    if (daemon == NULL)
        errx(FAILED, "cannot start%s", options->tls ? ": a bad certificate or key?" : "");
    free(certificate);
    free(key);
    return daemon;
}

/* An epoll instance that watches the three; connections that wait are added as they come.
   */
static int watch(struct MHD_Daemon *daemon, int *listener, int *signals)
{
    int daemon_events =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->listen_fd; /* a union */
    struct epoll_event of_daemon = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event of_listener = {.events = EPOLLIN, .data.ptr = listener};
    struct epoll_event of_signals = {.events = EPOLLIN, .data.ptr = signals};

    int events = epoll_create1(EPOLL_CLOEXEC);
    if (events < 0 || epoll_ctl(events, EPOLL_CTL_ADD, daemon_events, &of_daemon) != 0 ||
        epoll_ctl(events, EPOLL_CTL_ADD, *listener, &of_listener) != 0 ||
        epoll_ctl(events, EPOLL_CTL_ADD, *signals, &of_signals) != 0)
        err(FAILED, "cannot wait for events");
    waiting_watch_with(events);
    return events;
}

/*
 * How long the loop may sleep; NULL: until there is an event. MHD has no deadlines of its
 * own here: if it names a time, it has something left to do.
 */
static const struct timespec *sleep_time(struct MHD_Daemon *daemon, struct timespec *time)
{
    MHD_UNSIGNED_LONG_LONG milliseconds;
    *time = (struct timespec){0};
    if (MHD_get_timeout(daemon, &milliseconds) == MHD_YES || wait_timeout(time))
        return time;
    return NULL;
}

/*
 * Accepts all that have connected. MHD would accept ten, serve, and accept ten more: when
 * ten thousand connect at once, the queue overflows, and some clients' kernels try again
 * only after a second. A connection that MHD refuses, it closes.
 */
static void accept_all(struct MHD_Daemon *daemon, int listener)
{
    struct sockaddr_in address;
    struct sockaddr *generic = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    int client;
    while ((client = accept4(listener, generic, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0)
        MHD_add_connection(daemon, client, generic, length);
}

/* Serves until a signal comes. */
static void serve(struct MHD_Daemon *daemon, int epoll, const int *listener,
                  const int *signals)
{
    for (;;) {
        struct epoll_event events[256];
        struct timespec time;
        /* Not epoll_wait(), which counts in milliseconds: each page would be late. */
        int count = epoll_pwait2(epoll, events, 256, sleep_time(daemon, &time), NULL);
        if (count < 0 && errno != EINTR)
            err(FAILED, "cannot wait for events");

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == signals)
                return;
            if (events[i].data.ptr == listener)
                accept_all(daemon, *listener);
            else if (events[i].data.ptr != NULL)
                wait_end(events[i].data.ptr, DEPARTED);
        }
        wait_expire();
        MHD_run(daemon);
    }
}

int main(int argc, char **argv)
{
    pid_t parent = getppid();
    struct options options = parse_options(argc, argv);
    int signals = catch_signals();
    end_with_parent(parent);

    int folder = -1;
    if (options.pages != NULL) {
        folder = open(options.pages, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
            err(FAILED, "cannot open %s", options.pages);
        pages_are_in(folder);
    }

    unsigned int connections = raise_connection_limit();
    int listener = listen_on(options.address, &options.port, options.any_host);
    struct MHD_Daemon *daemon = start_daemon(&options, connections);
    int epoll = watch(daemon, &listener, &signals);
    printf("%s://%s:%d\n", options.tls ? "https" : "http", inet_ntoa(options.address),
           options.port);
    if (fflush(stdout) != 0)
        err(FAILED, "cannot print the address");

    serve(daemon, epoll, &listener, &signals);

    waiting_close();
    MHD_stop_daemon(daemon);
    close(listener);
    stats_close();
    close(epoll);
    close(signals);
    if (folder >= 0)
        close(folder);
    return EXIT_SUCCESS;
}
