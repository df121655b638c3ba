#include "worker.h"

#include <stdio.h>

static _Thread_local char name[40] = "main";

void worker_set_name(const char *kind, size_t number)
{
    snprintf(name, sizeof(name), "%s-%zu", kind, number);
}

const char *worker_name(void)
{
    return name;
}
