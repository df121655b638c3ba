/*
 * The end of a program with one line.
 */
#ifndef DIE_H
#define DIE_H

/*
 * Prints "error: " and the message, made as printf makes it, on standard error in one
 * write(2), so that it is never mixed with a line of another thread or process; then ends
 * the program with exit status 1. A message of more than 1,000 bytes is cut.
 */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
