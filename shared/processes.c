#include "processes.h"

#include "die.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int process_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            die("waitpid: %s", strerror(errno));
    }
    return status;
}

const char *process_end(int status)
{
    static _Thread_local char words[60];
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status)); /* NULL: a real-time signal */
        snprintf(words, sizeof(words), "was killed by signal %d (SIG%s)",
                 WTERMSIG(status), name == NULL ? "RT" : name);
    } else {
        snprintf(words, sizeof(words), "exited with status %d", WEXITSTATUS(status));
    }
    return words;
}
