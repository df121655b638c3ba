#include "progress.h"

#include "monotonic.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WIDTH = 40 };

static const long long milliseconds_per_drawing = 50;

struct bar {
    size_t page_count;
    atomic_size_t begun;
    atomic_bool is_waiting;
    atomic_llong drawn; /* when, in milliseconds; 0: it is not there */
    atomic_int length;  /* in columns */
};

static struct bar *bar; /* NULL: there is none */

void progress_open(size_t page_count)
{
    void *memory = mmap(NULL, sizeof(*bar), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    bar = memory;
    bar->page_count = page_count;
}

bool progress_is_open(void)
{
    return bar != NULL;
}

/* Of several threads and processes that want to draw at once, one does. */
static void draw(size_t count, const char *format, ...)
{
    long long now = (long long)(monotonic_seconds() * 1000);
    long long drawn = atomic_load(&bar->drawn);
    if (now - drawn < milliseconds_per_drawing ||
        !atomic_compare_exchange_strong(&bar->drawn, &drawn, now))
        return;
    char picture[WIDTH + 1] = {0};
    char words[100];
    va_list values;
    va_start(values, format);
    vsnprintf(words, sizeof(words), format, values);
    va_end(values);
    memset(picture, '.', WIDTH);
    memset(picture, '#', count * WIDTH / bar->page_count);
    int length =
        fprintf(stderr, "\r[%s] %zu of %zu%s", picture, count, bar->page_count, words);
    fflush(stderr);
    atomic_store(&bar->length, length);
}

void progress_begin(void)
{
    if (bar == NULL)
        return;
    size_t begun = atomic_fetch_add(&bar->begun, 1) + 1;
    if (atomic_load(&bar->is_waiting))
        draw(begun, " begun");
}

void progress_wait(bool waits)
{
    if (bar != NULL)
        atomic_store(&bar->is_waiting, waits);
}

void progress_show(size_t done, size_t failed)
{
    if (bar != NULL)
        draw(done, ", %zu failed", failed);
}

void progress_clear(void)
{
    if (bar == NULL || atomic_exchange(&bar->drawn, 0) == 0)
        return;
    fprintf(stderr, "\r%*s\r", atomic_load(&bar->length) - 1, "");
    fflush(stderr);
}

void progress_leave(void)
{
    if (bar != NULL && write(STDERR_FILENO, "\n", 1) < 0) {
        /* The terminal is gone; so are we. */
    }
}
