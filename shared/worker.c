#include "worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>

static _Thread_local char name[40] = "main";

void worker_set_name(const char *kind, size_t number)
{
    snprintf(name, sizeof(name), "%s-%zu", kind, number);
    prctl(PR_SET_NAME, name); /* for ps(1), gdb(1), and the checks */
}

void worker_set_next_name(const char *kind)
{
    static atomic_size_t count;
    worker_set_name(kind, atomic_fetch_add(&count, 1) + 1);
}

const char *worker_name(void)
{
    return name;
}
