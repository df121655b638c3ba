/* What the harnesses share. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls, over and over, with input of its own making. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What it calls once, before. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

/* Says what should be true and is not, and aborts, so that libFuzzer keeps the input. */
void check(bool is_true, const char *sentence);

/* Checks what text.h promises of a tidy text: UTF-8 on one line, without control
   characters or any that turn the direction of writing round. */
void check_tidy(const char *text);

/* Has the system keep the table of a character set in memory, where it would load it
   again and again: most of the time went into that. */
void keep_charset(const char *label);

#endif
