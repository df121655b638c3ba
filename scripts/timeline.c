/*
 * Draws the timelines of several programs on one axis, for scripts/run.
 *
 *     build/timeline COLUMNS [--colour] <visits
 *
 * A line of `visits` is a page: the row's label, the page's number, when it began, when
 * the first byte of the answer came (or was given up), when it ended, all in seconds, and
 * "x" if it failed; with tabs between. The rows are in the order of their labels.
 */
#include "timeline.h"
#include "http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 1000, LONGEST_LINE = 200 };

static void fail(const char *message)
{
    fprintf(stderr, "build/timeline: %s\n", message);
    exit(EXIT_FAILURE);
}

static struct visit read_visit(const char *line)
{
    struct visit visit = {0};
    struct span *span = &visit.span;
    double answered;
    char end = '\0';
    int count = sscanf(line, "%35[^\t]\t%zu\t%lf\t%lf\t%lf\t%c", span->worker,
                       &visit.number, &span->start, &answered, &span->end, &end);
    if (count < 5)
        fail("a line is not of the form: label, number, three times, and x");
    span->marks[HTTP_ANSWERED] = (float)(answered - span->start);
    visit.has_failed = end == 'x';
    return visit;
}

/* Reads all the lines. Returns how many there are. */
static size_t read_visits(struct visit **visits)
{
    char line[LONGEST_LINE];
    size_t count = 0;
    *visits = NULL;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        *visits = reallocarray(*visits, count + 1, sizeof(**visits));
        if (*visits == NULL)
            fail("out of memory");
        (*visits)[count++] = read_visit(line);
    }
    return count;
}

int main(int argc, char *argv[])
{
    struct visit *visits;
    size_t count = read_visits(&visits);
    struct timeline timeline = {
        .seconds = 1e-6,
        .columns = argc > 1 ? strtoul(argv[1], NULL, 10) : 80,
        .most_rows = MOST_ROWS,
        .has_colour = argc > 2,
    };
    for (size_t i = 0; i < count; i++)
        timeline.seconds = fmax(timeline.seconds, visits[i].span.end);
    timeline_sort(visits, count);
    timeline_draw(stdout, &timeline, visits, count);
    free(visits);
    if (fflush(stdout) != 0)
        fail("cannot write");
    return EXIT_SUCCESS;
}
