/*
 * What libraries that are preloaded share: the way to the functions that they stand in
 * front of.
 */
#ifndef NEXT_H
#define NEXT_H

#include <dlfcn.h>
#include <stdlib.h>

/* The function of this name that would have been called without the library. If the C
   library has it in two versions, as condition variables, it is the newer one. */
static inline void *next_function(const char *name)
{
    void *function = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    if (function == NULL)
        function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

#endif
