#include "die.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_MESSAGE = 1000, STATUS_FAILED = 1 };

void die(const char *format, ...)
{
    char message[LONGEST_MESSAGE + 1];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    fprintf(stderr, "error: %s\n", message);
    fflush(stderr);
    _exit(STATUS_FAILED);
}

void die_without_output(void)
{
    if (errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL); /* http_open() has it ignored */
        raise(SIGPIPE);
    }
    die("cannot write to standard output: %s", strerror(errno));
}
