#include "die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_MESSAGE = 1000 };

void die(const char *format, ...)
{
    char line[sizeof("error: \n") + LONGEST_MESSAGE] = "error: ";
    size_t start = strlen(line);
    va_list values;
    va_start(values, format);
    vsnprintf(line + start, LONGEST_MESSAGE + 1, format, values);
    va_end(values);
    strcat(line, "\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        abort(); /* nobody reads it; the status has to say that something is wrong */
    exit(EXIT_FAILURE);
}
