/*
 * The end of a child process. As in sync.h, a lesson's line stays the line you see.
 */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <sys/types.h>

/*
 * Waits until the child has ended, and reaps it. Returns its status, as waitpid(2) stores
 * it. It fails only if the program is wrong, as by waiting twice for the same child: that
 * ends the program with one line that says so.
 */
int process_wait(pid_t pid);

/* How a child with this status ended, in words: "exited with status 1", or "was killed by
   signal 9 (SIGKILL)". The text stays valid until the thread calls it again. */
const char *process_end(int status);

#endif
