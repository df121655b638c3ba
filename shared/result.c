#include "result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct result result_ok(char *text)
{
    if (text == NULL)
        return result_failed("out of memory");
    return (struct result){.status = RESULT_OK, .text = text};
}

struct result result_failed(const char *format, ...)
{
    struct result result = {.status = RESULT_FAILED};
    va_list values;
    va_start(values, format);
    if (vasprintf(&result.text, format, values) < 0)
        result.text = NULL;
    va_end(values);
    return result;
}

void result_free(struct result *result)
{
    free(result->text);
    result->text = NULL;
}
