#include "span.h"

#include "monotonic.h"
#include "worker.h"

#include <stdio.h>
#include <unistd.h>

struct span span_begin(void)
{
    struct span span = {.pid = getpid(), .start = monotonic_seconds()};
    snprintf(span.worker, sizeof(span.worker), "%s", worker_name());
    return span;
}

void span_end(struct span *span)
{
    span->end = monotonic_seconds();
}
