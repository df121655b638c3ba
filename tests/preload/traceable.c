/*
 * A library to be preloaded (LD_PRELOAD, ld.so(8)): any process may look where this
 * program sleeps. Where Yama is (its ptrace_scope is 1 on Ubuntu), only an ancestor may,
 * unless the program allows it; a process that it forks has to allow it again.
 */
#include <pthread.h>
#include <sys/prctl.h>

static void allow_tracing(void)
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* fails where there is no Yama */
}

__attribute__((constructor)) static void begin(void)
{
    allow_tracing();
    pthread_atfork(NULL, NULL, allow_tracing);
}
