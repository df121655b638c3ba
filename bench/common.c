#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

size_t number_at(int argc, char *argv[], int place, size_t otherwise)
{
    if (place >= argc && otherwise > 0)
        return otherwise;
    const char *text = place < argc ? argv[place] : "";
    char *end;
    errno = 0;
    uintmax_t number = strtoumax(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number == 0 ||
        number > SIZE_MAX / 64)
        fail("'%s' is not a number of 1 or more", text);
    return (size_t)number;
}

size_t resident_bytes(void)
{
    size_t size;
    size_t resident;
    FILE *file = fopen("/proc/self/statm", "re"); /* both in pages (proc(5)) */
    if (file == NULL || fscanf(file, "%zu %zu", &size, &resident) != 2)
        fail("cannot read /proc/self/statm");
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

void *resident_memory(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == NULL)
        fail("no memory for %zu bytes", bytes);
    return memset(memory, 1, bytes);
}

void print_number(double number)
{
    if (printf("%.9f\n", number) < 0 || fflush(stdout) != 0)
        fail("cannot write the number: %s", strerror(errno));
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double numbers[], size_t count)
{
    qsort(numbers, count, sizeof(*numbers), compare);
    return (numbers[(count - 1) / 2] + numbers[count / 2]) / 2;
}

/* ---- The gate ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t waiting;
static bool is_open;

void gate_wait(void)
{
    pthread_mutex_lock(&gate);
    waiting++;
    pthread_cond_broadcast(&changed);
    while (!is_open)
        pthread_cond_wait(&changed, &gate);
    pthread_mutex_unlock(&gate);
}

void gate_wait_for(size_t count)
{
    pthread_mutex_lock(&gate);
    while (waiting < count)
        pthread_cond_wait(&changed, &gate);
    pthread_mutex_unlock(&gate);
}

void gate_open(void)
{
    pthread_mutex_lock(&gate);
    is_open = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&gate);
}
