/*
 * Memory, checked, so that a lesson's line stays the line you see.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "die.h"

#include <stdlib.h>

/* Returns zeroed memory for an array of `count` elements of `size` bytes each; free it
   with free(). Without memory the program ends with one line that says so. For no
   elements it may be NULL. */
static inline void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL && count > 0)
        die("out of memory for %zu times %zu bytes", count, size);
    return memory;
}

/* Returns the pointer, which comes from a call that fails only without memory. If it is
   NULL, the program ends with one line that says so. */
static inline void *require_memory(void *pointer)
{
    if (pointer == NULL)
        die("out of memory");
    return pointer;
}

#endif
