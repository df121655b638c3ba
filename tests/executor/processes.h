/*
 * What /proc says of processes and threads.
 */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Puts the processes that have this parent, or grandparent, into `pids`, at most `most`;
   returns how many. The workers of a process pool are grandchildren of the process that
   opened it: this is all that a case knows about how they are started. */
size_t find_children(pid_t parent, pid_t pids[], size_t most);
size_t find_grandchildren(pid_t grandparent, pid_t pids[], size_t most);

/* Whether the process has this parent, and is not dead. */
bool is_child(pid_t pid, pid_t parent);

/* The letter that proc(5) has for the state ('T': stopped). 0: it is gone or a zombie. */
char process_state(pid_t pid);

/* Waits until the process is gone; until the thread of ours is; until it sleeps. */
void is_gone(pid_t pid);
void is_thread_gone(pid_t thread);
void is_asleep(pid_t thread);

/* Waits until the thread of ours has no signal pending, or is gone. */
void has_taken_signals(pid_t thread);

#endif
