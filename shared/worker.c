#include "worker.h"

#include "fiber.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>

static _Thread_local char thread_name[FIBER_NAME] = "main";

void worker_set_name(const char *kind, size_t number)
{
    if (fiber_running() != NULL) {
        snprintf(fiber_name(), FIBER_NAME, "%s-%zu", kind, number);
        return;
    }
    snprintf(thread_name, sizeof(thread_name), "%s-%zu", kind, number);
    prctl(PR_SET_NAME, thread_name); /* for ps(1), gdb(1), and the checks */
}

void worker_set_next_name(const char *kind)
{
    static atomic_size_t count;
    worker_set_name(kind, atomic_fetch_add(&count, 1) + 1);
}

const char *worker_name(void)
{
    return fiber_running() == NULL ? thread_name : fiber_name();
}
