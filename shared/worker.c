#include "worker.h"

#include <stdatomic.h>
#include <stdio.h>

static _Thread_local char name[40] = "main";

void worker_set_name(const char *kind, size_t number)
{
    snprintf(name, sizeof(name), "%s-%zu", kind, number);
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
