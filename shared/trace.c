#include "trace.h"

#include "http.h"

#include <math.h>
#include <string.h>

/* What goes on until each mark comes, and after the last. */
static const char *const phases[SPAN_MARKS + 1] = {
    [HTTP_RESOLVED] = "name lookup", [HTTP_CONNECTED] = "connect", [HTTP_SECURED] = "TLS",
    [HTTP_ANSWERED] = "first byte",  [SPAN_MARKS] = "body",
};

/* Where the trace goes. */
struct trace {
    FILE *file;
    double start;
    bool has_events;
};

/* A string as JSON (RFC 8259) wants it. */
static void write_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(file, "\\u%04x", *text);
        else
            fputc(*text, file);
    }
    fputc('"', file);
}

/* Begins an event with what each one has; its arguments and a brace are still to come. */
static void begin_event(struct trace *trace, const struct span *span, const char *name,
                        char phase)
{
    const char *dash = strrchr(span->worker, '-');
    int thread = 1; /* of "main", which is alone */
    if (dash != NULL)
        sscanf(dash, "-%d", &thread);
    fputs(trace->has_events ? ",\n{" : "[\n{", trace->file);
    trace->has_events = true;
    fputs("\"name\":", trace->file);
    write_string(trace->file, name);
    fprintf(trace->file, ",\"ph\":\"%c\",\"pid\":%d,\"tid\":%d", phase, (int)span->pid,
            thread);
}

/* What kind of name it is ("process_name"), and the name. */
static void write_name(struct trace *trace, const struct span *span, const char *kind,
                       const char *name)
{
    begin_event(trace, span, kind, 'M');
    fputs(",\"args\":{\"name\":", trace->file);
    write_string(trace->file, name);
    fputs("}}", trace->file);
}

static long long microseconds(const struct trace *trace, double time)
{
    return llround((time - trace->start) * 1e6);
}

static void write_time(struct trace *trace, double from, double to)
{
    long long begin = microseconds(trace, from);
    fprintf(trace->file, ",\"ts\":%lld,\"dur\":%lld", begin,
            microseconds(trace, to) - begin);
}

static void write_page(struct trace *trace, const struct visit *visit)
{
    begin_event(trace, &visit->span, visit->place, 'X');
    write_time(trace, visit->span.start, visit->span.end);
    fprintf(trace->file,
            ",\"cat\":\"page\",\"args\":{\"number\":%zu,\"worker\":", visit->number);
    write_string(trace->file, visit->span.worker);
    if (visit->span.marks[HTTP_ANSWERED] > 0)
        fprintf(trace->file, ",\"waited\":%lld",
                llround(visit->span.marks[HTTP_ANSWERED] * 1e6));
    if (visit->error != NULL) {
        fputs(",\"error\":", trace->file);
        write_string(trace->file, visit->error);
    }
    fputs("}}", trace->file);
}

static void write_phase(struct trace *trace, const struct span *span, const char *name,
                        double from, double to)
{
    if (microseconds(trace, from) >= microseconds(trace, to))
        return;
    begin_event(trace, span, name, 'X');
    write_time(trace, from, to);
    fputs(",\"cat\":\"phase\"}", trace->file);
}

/* The last phase that it came to lasts until the end. */
static void write_phases(struct trace *trace, const struct span *span)
{
    double from = span->start;
    size_t reached = SPAN_MARKS;
    while (reached > 0 && span->marks[reached - 1] == 0)
        reached--;
    if (reached == 0)
        return; /* nothing is known */
    for (size_t i = 0; i < reached; i++) {
        double to = fmin(fmax(from, span->start + span->marks[i]), span->end);
        write_phase(trace, span, phases[i], from, to);
        from = to;
    }
    write_phase(trace, span, phases[reached], from, span->end);
}

void trace_write(FILE *file, const struct visit visits[], size_t count, double start,
                 const char *program)
{
    struct trace trace = {.file = file, .start = start};
    const struct span none = {0};
    for (size_t i = 0; i < count; i++) {
        const struct span *span = &visits[i].span;
        const struct span *before = i == 0 ? &none : &visits[i - 1].span;
        if (span->pid != before->pid)
            write_name(&trace, span, "process_name", program);
        if (span->pid != before->pid || strcmp(span->worker, before->worker) != 0)
            write_name(&trace, span, "thread_name", span->worker);
        write_page(&trace, &visits[i]);
        write_phases(&trace, span);
    }
    fputs(trace.has_events ? "\n]\n" : "[]\n", file);
}
