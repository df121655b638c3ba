#include "worker.h"

#include "fiber.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static _Thread_local char thread_name[FIBER_NAME] = "main";
static char host_name[18]; /* with a slash; empty: workers have no host */

void worker_set_host(const char *name)
{
    snprintf(host_name, sizeof(host_name) - 1, "%s", name);
    strcat(host_name, "/");
}

void worker_format_name(char name[FIBER_NAME], const char *kind, size_t number)
{
    snprintf(name, FIBER_NAME, "%s%s-%zu", host_name, kind, number);
}

void worker_set_name(const char *kind, size_t number)
{
    char system_name[FIBER_NAME];
    if (fiber_running() != NULL) {
        worker_format_name(fiber_name(), kind, number);
        return;
    }
    worker_format_name(thread_name, kind, number);
    snprintf(system_name, sizeof(system_name), "%s-%zu", kind, number);
    prctl(PR_SET_NAME, system_name); /* for ps(1), gdb(1), and the checks */
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
