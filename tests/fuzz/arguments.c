/*
 * arguments.h: any command line. A NUL ends each argument of the input; what is behind
 * the last is in every file.
 *
 * The source is included, so that it opens our files and no others, and so that what it
 * holds when it ends the program can be freed: we have to go on.
 */
#include "check.h"
#include "report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARGUMENTS = 16, MOST_BLOCKS = 8192 };

static jmp_buf program_end;
static FILE *open_file;
static const char *file_bytes;
static size_t file_length;
static void *blocks[MOST_BLOCKS];
static size_t block_count;

static void *keep(void *block)
{
    check(block_count < MOST_BLOCKS, "the input is small");
    return blocks[block_count++] = block;
}

static void *kept_realloc(void *block, size_t size)
{
    for (size_t i = 0; i < block_count; i++) {
        if (blocks[i] == block)
            return blocks[i] = realloc(block, size);
    }
    return keep(malloc(size));
}

static char *kept_strdup(const char *text)
{
    return keep(strdup(text));
}

static void kept_free(void *block)
{
    for (size_t i = 0; i < block_count; i++) {
        if (blocks[i] == block)
            blocks[i] = NULL;
    }
    free(block);
}

static FILE *open_ours(const char *name, const char *mode)
{
    static char none[1];
    bool is_empty = file_length == 0; /* fmemopen(3) wants one byte or more */
    (void)name;
    open_file =
        fmemopen(is_empty ? none : (char *)file_bytes, is_empty ? 1 : file_length, mode);
    return open_file;
}

static int close_ours(FILE *file)
{
    open_file = NULL;
    return fclose(file);
}

#define fopen open_ours
#define fclose close_ours
#define realloc kept_realloc
#define strdup kept_strdup
#define free kept_free
#include "../../shared/arguments.c"
#undef fopen
#undef fclose
#undef realloc
#undef strdup
#undef free

/* In place of report.c's and die.c's, which end the program. */
_Noreturn static void end_program(const char *format, va_list values)
{
    char line[64 * 1024];
    vsnprintf(line, sizeof(line), format, values);
    longjmp(program_end, 1);
}

void report_wrong_usage(const char *program, const char *format, ...)
{
    va_list values;
    (void)program;
    va_start(values, format);
    end_program(format, values);
}

void report_help(const char *program, const char *format, ...)
{
    va_list values;
    (void)program;
    va_start(values, format);
    end_program(format, values);
}

void die(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    end_program(format, values);
}

static void check_arguments(const struct arguments *arguments)
{
    check(arguments->url_count == 0 || arguments->urls != NULL, "URLs are there");
    for (size_t i = 0; i < arguments->url_count; i++)
        check(arguments->urls[i] != NULL, "each URL is there");
    check(arguments->workers >= 1, "there is a worker");
    check(isfinite(arguments->timeout) && arguments->timeout > 0,
          "there is a time limit");
    check(arguments->deadline > 0, "the deadline is not over");
}

static void read_arguments(int argc, char *argv[])
{
    optind = 0; /* getopt(3) begins anew */
    if (setjmp(program_end) != 0)
        return;
    struct arguments arguments = arguments_read(argc, argv, WITH_DEADLINE);
    check_arguments(&arguments);
}

static void free_all(void)
{
    for (size_t i = 0; i < block_count; i++)
        free(blocks[i]);
    block_count = 0;
    if (open_file != NULL)
        close_ours(open_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words = malloc(size + 1);
    memcpy(words, data, size);
    words[size] = '\0';
    char *argv[MOST_ARGUMENTS + 1] = {"program"};
    int argc = 1;
    size_t position = 0;
    for (char *end; argc < MOST_ARGUMENTS &&
                    (end = memchr(words + position, '\0', size - position)) != NULL;
         position = (size_t)(end - words) + 1)
        argv[argc++] = words + position;
    file_bytes = words + position;
    file_length = size - position;
    read_arguments(argc, argv);
    free_all();
    free(words);
    return 0;
}
