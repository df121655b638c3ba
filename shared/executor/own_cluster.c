/*
 * A cluster of one's own, so that a program that uses one runs without any: a NATS server
 * that only this program can talk to, and a worker host, which is a copy of this process.
 * A third process, the keeper, looks after them.
 *
 *      program <--- lifeline ---> keeper ---> nats-server
 *                                        ---> host ---> fork server ---> workers
 *
 * The lifeline is a socket pair, whose ends close when a process ends, however it
 * does. If the program ends, the keeper kills the others; if the keeper does, the
 * kernel does (PR_SET_PDEATHSIG). The server's folder is removed as soon as the server
 * runs.
 */
#include "cluster.h"

#include "channel.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LONGEST_PATH = 4096,
    EXIT_NOT_INSTALLED = 127,
    START_MILLISECONDS = 10000,    /* that the server may take */
    HOST_DELAY_MILLISECONDS = 100, /* before a host that has died is started again */
};

/* What the keeper knows. */
struct keeper {
    const struct executor_options *options;
    int lifeline;
    int children; /* a descriptor that is ready when a child has ended (signalfd(2)) */
    pid_t server;
    pid_t host;
    char token[ID_LENGTH + 1];
    char folder[LONGEST_PATH];
    char url[128];
};

/* Whether the process has one: a second one would be forked beside libnats' threads. */
static pthread_mutex_t one_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_one_open;

/* ---- The folder ---- */

static bool make_folder(struct keeper *keeper)
{
    const char *parent = getenv("TMPDIR");
    snprintf(keeper->folder, sizeof(keeper->folder), "%s/executor-XXXXXX",
             parent == NULL || parent[0] == '\0' ? "/tmp" : parent);
    return mkdtemp(keeper->folder) != NULL;
}

static int remove_entry(const char *path, const struct stat *status, int kind,
                        struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}

static void remove_folder(struct keeper *keeper)
{
    if (keeper->folder[0] != '\0')
        nftw(keeper->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    keeper->folder[0] = '\0';
}

static bool write_configuration(const struct keeper *keeper, const char *path)
{
    FILE *file = fopen(path, "wx");
    if (file == NULL)
        return false;
    fprintf(file,
            "listen: \"127.0.0.1:-1\"\n"
            "ports_file_dir: \"%s\"\n"
            "log_file: \"%s/log\"\n"
            "max_payload: 67108864\n"
            "max_pending: 268435456\n"
            "authorization { token: \"%s\" }\n"
            "jetstream { store_dir: \"%s\" }\n",
            keeper->folder, keeper->folder, keeper->token, keeper->folder);
    bool is_written = ferror(file) == 0;
    return fclose(file) == 0 && is_written;
}

/* ---- Children of the keeper ---- */

/* Forks a child that dies with the keeper. Returns its process ID, 0 in the child, or
   -1. */
static pid_t fork_child(void)
{
    pid_t keeper = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(EXIT_FAILURE); /* it has died before */
    return 0;
}

/* Debian has the server where only root looks for programs. */
_Noreturn static void become_server(const char *configuration)
{
    int null = open("/dev/null", O_RDWR);
    for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++)
        dup2(null, descriptor);
    char *arguments[] = {"nats-server", "--config", (char *)configuration, NULL};
    execvp(arguments[0], arguments);
    execv("/usr/sbin/nats-server", arguments);
    _exit(errno == ENOENT ? EXIT_NOT_INSTALLED : EXIT_FAILURE);
}

_Noreturn static void become_host(struct keeper *keeper)
{
    close(keeper->lifeline);
    close(keeper->children);
    host_run(&(struct host_options){.executor = keeper->options,
                                    .url = keeper->url,
                                    .name = "host-1",
                                    .is_own = true});
    _exit(EXIT_FAILURE);
}

static bool start_host(struct keeper *keeper)
{
    keeper->host = fork_child();
    if (keeper->host == 0)
        become_host(keeper);
    return keeper->host > 0;
}

/* Reads the port from the file that the server writes when it listens,
   {"nats":["nats://127.0.0.1:PORT"]}. Returns 0 as long as it is not there. */
static unsigned read_port(const struct keeper *keeper)
{
    char path[LONGEST_PATH + 64];
    unsigned port = 0;
    char end = '\0';
    snprintf(path, sizeof(path), "%s/nats-server_%d.ports", keeper->folder,
             (int)keeper->server);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int count = fscanf(file, "{\"nats\":[\"nats://127.0.0.1:%u%c", &port, &end);
    fclose(file);
    return count == 2 ? port : 0;
}

static void pause_milliseconds(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    nanosleep(&time, NULL);
}

/* Waits until the server listens. Returns 0 or an errno. */
static int wait_for_server(struct keeper *keeper)
{
    int status;
    unsigned port = 0;
    for (int i = 0; port == 0 && i < START_MILLISECONDS; i++) {
        if (waitpid(keeper->server, &status, WNOHANG) == keeper->server) {
            keeper->server = 0;
            bool is_missing =
                WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_INSTALLED;
            return is_missing ? ENOENT : ECHILD;
        }
        pause_milliseconds(1);
        port = read_port(keeper);
    }
    snprintf(keeper->url, sizeof(keeper->url), "nats://%s@127.0.0.1:%u", keeper->token,
             port);
    return port == 0 ? ETIMEDOUT : 0;
}

/* Returns 0 or an errno. */
static int start_server(struct keeper *keeper)
{
    char configuration[LONGEST_PATH + 64];
    random_id(keeper->token);
    if (!make_folder(keeper))
        return errno;
    snprintf(configuration, sizeof(configuration), "%s/configuration", keeper->folder);
    if (!write_configuration(keeper, configuration))
        return errno;
    keeper->server = fork_child();
    if (keeper->server < 0)
        return errno;
    if (keeper->server == 0)
        become_server(configuration);
    return wait_for_server(keeper);
}

/* ---- The keeper ---- */

/* Kills the host and the server, and waits until they and the host's workers have ended,
   whose parent the keeper has become (PR_SET_CHILD_SUBREAPER). */
static void end_children(struct keeper *keeper)
{
    if (keeper->host > 0)
        kill(keeper->host, SIGKILL);
    if (keeper->server > 0)
        kill(keeper->server, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

/* Waits for children that have ended. Returns whether the server lives. */
static bool reap(struct keeper *keeper)
{
    struct signalfd_siginfo news;
    pid_t child;
    bool is_alive = true;
    if (read(keeper->children, &news, sizeof(news)) < 0)
        return true; /* it was none of those */
    while ((child = waitpid(-1, NULL, WNOHANG)) > 0) {
        if (child == keeper->server) {
            keeper->server = 0;
            is_alive = false;
        }
        if (child == keeper->host) {
            pause_milliseconds(HOST_DELAY_MILLISECONDS);
            start_host(keeper);
        }
    }
    return is_alive;
}

/* Until the program ends, or the server does. */
static void keep(struct keeper *keeper)
{
    struct pollfd descriptors[] = {{.fd = keeper->lifeline, .events = POLLIN},
                                   {.fd = keeper->children, .events = POLLIN}};
    bool goes_on = true;
    while (goes_on) {
        if (poll(descriptors, 2, -1) < 0)
            continue; /* interrupted */
        goes_on = descriptors[0].revents == 0;
        if (goes_on && descriptors[1].revents != 0)
            goes_on = reap(keeper);
    }
}

static void watch_children(struct keeper *keeper)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    keeper->children = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What the keeper tells the program: whether all is there. */
struct start {
    int error;
    char url[128];
};

_Noreturn static void be_keeper(const struct executor_options *options, int lifeline)
{
    struct keeper keeper = {.options = options, .lifeline = lifeline};
    struct start start = {0};
    is_one_open = false; /* a task may have one */
    setsid();            /* what a terminal sends is for the program */
    signal(SIGINT, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_NAME, "keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    watch_children(&keeper);
    start.error = keeper.children < 0 ? errno : start_server(&keeper);
    if (start.error == 0 && !start_host(&keeper))
        start.error = errno;
    memcpy(start.url, keeper.url, sizeof(start.url));
    remove_folder(&keeper);
    if (send_all(lifeline, &start, sizeof(start)) && start.error == 0)
        keep(&keeper);
    end_children(&keeper);
    _exit(EXIT_SUCCESS);
}

/* ---- The program ---- */

static bool enter(void)
{
    mutex_lock(&one_lock);
    bool is_free = !is_one_open && !connection_has_library();
    is_one_open = is_one_open || is_free;
    mutex_unlock(&one_lock);
    return is_free;
}

static void leave(void)
{
    mutex_lock(&one_lock);
    is_one_open = false;
    mutex_unlock(&one_lock);
}

/* Forks the keeper. Returns 0 or an errno. */
static int fork_keeper(struct own_cluster *own, const struct executor_options *options)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        return errno;
    fflush(NULL);
    own->keeper = fork();
    if (own->keeper == 0) {
        close(sockets[0]);
        be_keeper(options, sockets[1]);
    }
    int error = own->keeper < 0 ? errno : 0;
    close(sockets[1]);
    own->lifeline = sockets[0];
    return error;
}

/* Returns 0 or an errno. */
static int wait_for_start(struct own_cluster *own)
{
    struct start start;
    if (!receive_all(own->lifeline, &start, sizeof(start)))
        return ECHILD;
    memcpy(own->url, start.url, sizeof(own->url));
    if (start.error == ENOENT)
        cluster_say("nats-server is not installed (in Debian, the package nats-server)");
    else if (start.error != 0)
        cluster_say("nats-server cannot be started: %s", strerror(start.error));
    return start.error;
}

bool own_cluster_open(struct own_cluster *own, const struct executor_options *options)
{
    *own = (struct own_cluster){.lifeline = -1};
    if (!enter()) {
        errno = EBUSY;
        return false;
    }
    int error = fork_keeper(own, options);
    if (error == 0)
        error = wait_for_start(own);
    if (error == 0)
        return true;
    if (own->lifeline < 0)
        leave();
    own_cluster_close(own);
    errno = error;
    return false;
}

void own_cluster_close(struct own_cluster *own)
{
    if (own->lifeline < 0)
        return;
    close(own->lifeline);
    own->lifeline = -1;
    while (own->keeper > 0 && waitpid(own->keeper, NULL, 0) < 0 && errno == EINTR)
        continue;
    leave();
}

bool own_cluster_has_died(const struct own_cluster *own)
{
    struct pollfd descriptor = {.fd = own->lifeline, .events = POLLIN};
    return poll(&descriptor, 1, 0) > 0;
}
