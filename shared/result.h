/*
 * What became of a task: its text, or the reason why there is none.
 *
 * A result is a value: it can be copied. Its last holder frees it with result_free(). To
 * another process go the bytes of its status and its span, and its text by itself, as
 * send_text() in channel.h sends one: the pointer means nothing there.
 */
#ifndef RESULT_H
#define RESULT_H

#include "span.h"

enum result_status {
    RESULT_OK,        /* text is what the task made */
    RESULT_FAILED,    /* the task ran and failed; text says why */
    RESULT_CANCELLED, /* it never ran */
    RESULT_BROKEN,    /* its worker died while it ran; text says how */
    RESULT_TIMED_OUT, /* the wait, or the task's own time limit, ran out */
};

struct result {
    enum result_status status;
    char *text; /* from malloc; NULL if there is nothing to say, or no memory to say it */
    struct span span; /* when, and by which worker: of what runs the task */
};

/* RESULT_OK with the text, which the result owns from now on; RESULT_FAILED if it is
   NULL, so that what malloc returned can be handed over without a look. */
struct result result_ok(char *text);

/* RESULT_FAILED with the reason, made as printf makes it. */
struct result result_failed(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Frees the text. The result may be filled again. */
void result_free(struct result *result);

#endif
