#include "span.h"

#include "monotonic.h"
#include "worker.h"

#include <string.h>
#include <unistd.h>

struct span span_begin(void)
{
    struct span span = {.pid = getpid(), .start = monotonic_seconds()};
    strncat(span.worker, worker_name(), sizeof(span.worker) - 1); /* it was empty */
    return span;
}

void span_end(struct span *span)
{
    span->end = monotonic_seconds();
}
