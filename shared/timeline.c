#include "timeline.h"

#include "http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST_CELLS = 10,
    LONGEST_LABEL = 24,
    CELLS_PER_TICK = 10,
    MOST_STEPS = 10, /* of a staircase */
};

/* How a cell is shown on a terminal with colours (console_codes(4)). */
enum colour { PLAIN = 0, FAILED = 31, READING = 32, WAITING = 36 };

/* A row of the picture. */
struct row {
    size_t count; /* of cells */
    char *cells;
    unsigned char *colours; /* of each cell */
};

static int compare(const void *left, const void *right)
{
    const struct visit *a = left;
    const struct visit *b = right;
    int order = strverscmp(a->span.worker, b->span.worker);
    if (order != 0)
        return order;
    return (a->span.start > b->span.start) - (a->span.start < b->span.start);
}

void timeline_sort(struct visit visits[], size_t count)
{
    qsort(visits, count, sizeof(visits[0]), compare);
}

static bool is_alone(const char *worker)
{
    const char *space = strrchr(worker, ' '); /* "01 main", from scripts/run */
    return strcmp(space == NULL ? worker : space + 1, "main") == 0;
}

/* How many visits, from the first one on, are drawn in one row. */
static size_t row_length(const struct visit visits[], size_t count)
{
    size_t length = 1;
    while (length < count &&
           strcmp(visits[length].span.worker, visits[0].span.worker) == 0)
        length++;
    return length <= MOST_STEPS && is_alone(visits[0].span.worker) ? 1 : length;
}

/* ---- The picture ---- */

static bool row_open(struct row *row, size_t count)
{
    *row = (struct row){count, malloc(count + 1), malloc(count)};
    return row->cells != NULL && row->colours != NULL;
}

static void row_clear(struct row *row)
{
    memset(row->cells, ' ', row->count);
    memset(row->colours, PLAIN, row->count);
    row->cells[row->count] = '\0';
}

static void row_free(struct row *row)
{
    free(row->cells);
    free(row->colours);
}

/* The cell that begins at a moment, `share` being its share of the axis. The end of the
   axis is behind the last cell. */
static size_t cell_at(const struct row *row, double share)
{
    double cell = round(share * (double)row->count);
    return (size_t)fmax(0, fmin(cell, (double)row->count));
}

static void set_cell(struct row *row, size_t cell, char character, enum colour colour)
{
    row->cells[cell] = character;
    row->colours[cell] = (unsigned char)colour;
}

/* A bar that does not fill two cells. It may share the cell with others. */
static void draw_short_bar(struct row *row, const struct visit *visit, size_t cell)
{
    if (cell == row->count)
        cell--;
    bool is_alone = row->cells[cell] == ' ';
    bool has_failed = visit->has_failed || row->colours[cell] == FAILED;
    set_cell(row, cell, is_alone ? '|' : '#', has_failed ? FAILED : READING);
}

/* Draws a bar from cell to cell, the last one not included. */
static void draw_long_bar(struct row *row, const struct visit *visit, size_t from,
                          size_t answered, size_t to)
{
    bool is_free = row->cells[from] == ' '; /* no short bar has ended there */
    char number[LONGEST_LABEL];
    int length = snprintf(number, sizeof(number), "%zu", visit->number);
    for (size_t cell = from; cell < to; cell++) {
        bool is_waiting = cell < answered;
        set_cell(row, cell, is_waiting ? '.' : '=', is_waiting ? WAITING : READING);
    }
    set_cell(row, from, is_free ? '[' : '#', PLAIN);
    set_cell(row, to - 1, visit->has_failed ? 'x' : ']',
             visit->has_failed ? FAILED : PLAIN);
    if (from + (size_t)length + 2 <= to) {
        for (int i = 0; i < length; i++)
            set_cell(row, from + 1 + (size_t)i, number[i], PLAIN);
    }
}

static void draw_bar(struct row *row, const struct visit *visit,
                     const struct timeline *timeline)
{
    const struct span *span = &visit->span;
    float until_answer = span->marks[HTTP_ANSWERED];
    double answered = until_answer > 0 ? span->start + until_answer : span->end;
    size_t from = cell_at(row, (span->start - timeline->start) / timeline->seconds);
    size_t middle = cell_at(row, (answered - timeline->start) / timeline->seconds);
    size_t to = cell_at(row, (span->end - timeline->start) / timeline->seconds);
    if (from + 1 >= to)
        draw_short_bar(row, visit, from);
    else
        draw_long_bar(row, visit, from, middle, to);
}

/* The row without the blanks at its end. */
static void print_row(FILE *file, struct row *row, int label_width, const char *label,
                      bool has_colour)
{
    size_t length = row->count;
    while (length > 0 && row->cells[length - 1] == ' ')
        length--;
    fprintf(file, "%-*s  ", label_width, label);
    enum colour colour = PLAIN;
    for (size_t cell = 0; cell < length; cell++) {
        if (has_colour && row->colours[cell] != colour)
            fprintf(file, "\033[%dm", row->colours[cell]);
        colour = row->colours[cell];
        fputc(row->cells[cell], file);
    }
    fputs(has_colour && colour != PLAIN ? "\033[m\n" : "\n", file);
}

/* A round number of seconds between two ticks: 1, 2 or 5 times a power of ten. */
static double find_tick(double seconds, size_t cells)
{
    double least = seconds * CELLS_PER_TICK / (double)cells;
    double power = pow(10, floor(log10(least)));
    double digit = least / power;
    return (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
}

static void print_axis(FILE *file, struct row *row, int label_width, double seconds)
{
    double tick = find_tick(seconds, row->count);
    row_clear(row);
    for (size_t i = 0; (double)i * tick < seconds; i++) {
        char words[LONGEST_LABEL];
        const char *unit = i == 0 ? " s" : "";
        int length = snprintf(words, sizeof(words), "|%g%s", (double)i * tick, unit);
        size_t cell = cell_at(row, (double)i * tick / seconds);
        if (cell + (size_t)length <= row->count)
            memcpy(row->cells + cell, words, (size_t)length);
    }
    print_row(file, row, label_width, "", false);
}

/* How many rows the visits make; the width of the longest label is stored. */
static size_t measure(const struct visit visits[], size_t count, int *label_width)
{
    size_t rows = 0;
    *label_width = 0;
    for (size_t i = 0; i < count; i += row_length(&visits[i], count - i)) {
        rows++;
        *label_width = (int)fmax(*label_width, (double)strlen(visits[i].span.worker));
    }
    return rows;
}

void timeline_draw(FILE *file, const struct timeline *timeline,
                   const struct visit visits[], size_t count)
{
    int label_width;
    size_t rows = measure(visits, count, &label_width);
    size_t taken = (size_t)label_width + 2;
    size_t cells = timeline->columns > taken ? timeline->columns - taken : 0;
    struct row row;
    bool is_open = row_open(&row, cells > FEWEST_CELLS ? cells : FEWEST_CELLS);
    size_t next = 0;
    for (size_t drawn = 0; is_open && next < count && drawn < timeline->most_rows;
         drawn++) {
        const char *worker = visits[next].span.worker;
        size_t end = next + row_length(&visits[next], count - next);
        row_clear(&row);
        for (; next < end; next++)
            draw_bar(&row, &visits[next], timeline);
        print_row(file, &row, label_width, worker, timeline->has_colour);
    }
    if (is_open && next < count)
        fprintf(file, "... and %zu more workers\n", rows - timeline->most_rows);
    if (is_open && count > 0)
        print_axis(file, &row, label_width, timeline->seconds);
    row_free(&row);
}
