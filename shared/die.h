/*
 * The end of a program with one line.
 */
#ifndef DIE_H
#define DIE_H

/*
 * Prints "error: " and the message, made as printf makes it, on standard error, and ends
 * the program with exit status 1. A message is cut after 1,000 bytes. Any thread and any
 * forked child may call it: it calls _exit(2), not exit(3), since other threads may still
 * run.
 */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Standard output cannot be written, and errno says why: ends the program as by SIGPIPE
   if its reader has gone, else as die() does. */
_Noreturn void die_without_output(void);

#endif
