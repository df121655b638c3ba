/*
 * Where lesson 1 begins: it prints its URLs, and fetches none of them.
 *
 *     scripts/learn start
 *     scripts/learn check
 */
#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char *argv[])
{
    struct arguments arguments = arguments_read(argc, argv, WITHOUT_POOL);

    for (size_t i = 0; i < arguments.url_count; i++)
        puts(arguments.urls[i]);

    arguments_free(&arguments);
    return EXIT_SUCCESS;
}
