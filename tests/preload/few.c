/*
 * A library to be preloaded (LD_PRELOAD, ld.so(8)): the system has only a few threads and
 * processes to give.
 *
 *     FEW_THREADS=7  pthread_create(3) fails with EAGAIN after 7 calls
 *     FEW_FORKS=7    fork(2) does, in this process and those that it forks taken together
 */
#include "next.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* How many calls may still succeed, in memory that forked processes share. */
struct left {
    atomic_int threads;
    atomic_int forks;
};

static struct left *left;

static int number_in(const char *variable)
{
    const char *value = getenv(variable);
    return value == NULL ? 1000000 : atoi(value);
}

__attribute__((constructor)) static void begin(void)
{
    void *memory = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    left = memory;
    atomic_store(&left->threads, number_in("FEW_THREADS"));
    atomic_store(&left->forks, number_in("FEW_FORKS"));
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *argument), void *argument)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = next_function("pthread_create");
    if (left != NULL && atomic_fetch_sub(&left->threads, 1) <= 0)
        return EAGAIN;
    return create(thread, attributes, start, argument);
}

pid_t fork(void)
{
    pid_t (*next)(void);
    *(void **)&next = next_function("fork");
    if (left != NULL && atomic_fetch_sub(&left->forks, 1) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return next();
}
