/*
 * Runs a command, and leaves three files in a folder: what it prints is in `output` and
 * `errors`, and what it took in `took`, three numbers on one line: seconds; seconds of
 * CPU, its own and its children's; bytes of memory at the most, of that one of its
 * processes which had most.
 *
 *     measure FOLDER COMMAND [ARGUMENT...]
 *
 * It ends as the command does: with its status, or 128 and the number of the signal.
 */
#include "common.h"

#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Opens the file of this name in the folder, to write into it. */
static int open_in(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        fail("no memory for a path");
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        fail("cannot write to %s: %s", path, strerror(errno));
    free(path);
    return file;
}

static void write_usage(const char *folder, double seconds, const struct rusage *usage)
{
    int written = dprintf(open_in(folder, "took"), "%.6f %.6f %ld\n", seconds,
                          seconds_of(usage->ru_utime) + seconds_of(usage->ru_stime),
                          usage->ru_maxrss * 1024); /* it is in KiB (getrusage(2)) */
    if (written < 0)
        fail("cannot write what it took: %s", strerror(errno));
}

_Noreturn static void become(const char *folder, char *command[])
{
    if (dup2(open_in(folder, "output"), STDOUT_FILENO) < 0 ||
        dup2(open_in(folder, "errors"), STDERR_FILENO) < 0)
        fail("cannot write what it prints: %s", strerror(errno));
    execvp(command[0], command);
    fprintf(stderr, "cannot run %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

int main(int argc, char *argv[])
{
    if (argc < 3)
        fail("usage: measure FOLDER COMMAND [ARGUMENT...]");
    double begin = monotonic_seconds();
    pid_t pid = fork();
    if (pid < 0)
        fail("cannot fork: %s", strerror(errno));
    if (pid == 0)
        become(argv[1], &argv[2]);

    int status;
    struct rusage usage;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            fail("cannot wait for %s: %s", argv[2], strerror(errno));
    write_usage(argv[1], monotonic_seconds() - begin, &usage);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
