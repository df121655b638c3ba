#include "turn.h"

#include "monotonic.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

/* Where no memory can be shared, each process has a turn of its own. */
static pthread_mutex_t own_turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t *turn = &own_turn;

/* Before main(), and so before any fork(). */
__attribute__((constructor)) static void share_turn(void)
{
    pthread_mutexattr_t attributes;
    void *memory = mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pthread_mutexattr_init(&attributes) != 0)
        return;
    if (pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
        pthread_mutex_init(memory, &attributes) == 0)
        turn = memory;
    pthread_mutexattr_destroy(&attributes);
}

/* The deadline by the clock of pthread_mutex_timedlock(3). pthread_mutex_clocklock(3),
   which takes ours, is unknown to the thread sanitizer. */
static struct timespec real_time(double deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double left = fmax(deadline - monotonic_seconds(), 0);
    double time = (double)now.tv_nsec / 1e9 + left;
    return (struct timespec){
        .tv_sec = now.tv_sec + (time_t)time,
        .tv_nsec = (long)((time - floor(time)) * 1e9),
    };
}

bool turn_begin(double deadline)
{
    int error = pthread_mutex_trylock(turn);
    if (error == EBUSY) {
        struct timespec time = real_time(deadline);
        error = pthread_mutex_timedlock(turn, &time);
    }
    if (error == EOWNERDEAD) /* there is nothing to mend: the memory died with it */
        error = pthread_mutex_consistent(turn);
    return error == 0;
}

void turn_end(void)
{
    pthread_mutex_unlock(turn);
}
