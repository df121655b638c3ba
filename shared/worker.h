/*
 * The name of the running worker, which every line that it prints bears.
 *
 * A worker is called "main" until it is given another name, then "thread-3" or the like.
 * The name belongs to the thread, or to the fiber that it runs (fiber.h); a child process
 * begins with the name of the thread that forked it.
 *
 * In a worker host of a cluster, the name of the host stands in front: host-2/process-3.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stddef.h>

/* Calls the running thread, or fiber, KIND-NUMBER from now on, for instance "thread" and
   3. The name is cut after 39 characters. The system's own name for the thread is set
   too, cut after 15 (pthread_setname_np(3)). */
void worker_set_name(const char *kind, size_t number);

/* Puts NAME/ in front of the names of all workers that are set from now on, in this
   process and in those that it forks. `name` is cut after 16 characters. */
void worker_set_host(const char *name);

/* The name that worker_set_name() gives, in `name`, which has 40 bytes. */
void worker_format_name(char name[40], const char *kind, size_t number);

/* Calls it KIND-N, where N counts the calls of this function in this process, from 1: the
   first worker is thread-1, the next one thread-2. */
void worker_set_next_name(const char *kind);

/* The name of the running thread, or fiber. It stays valid, and its own, until it ends.
   */
const char *worker_name(void);

#endif
