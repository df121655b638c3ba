/*
 * Whole messages over a socket. A stream keeps no message boundaries: what was sent as
 * 100 bytes may be received as 60 and 40. So the functions for streams go on until all
 * bytes are through, and a text goes with its length in front. They wait, so the socket
 * must be blocking. After a failure the stream may be in the middle of a message: close
 * it.
 *
 * A call that a signal interrupts (EINTR) is made again, here and below.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- Over a stream socket (SOCK_STREAM) ---- */

/*
 * Sends all the bytes. Returns false with errno as send(2) left it: EPIPE or ECONNRESET
 * if the other end is closed. It raises no SIGPIPE. A length of 0 is true, and sends
 * nothing.
 */
bool send_all(int socket, const void *bytes, size_t length);

/*
 * Receives exactly `length` bytes. Returns false with errno
 *
 *   0            at the end of the stream: the other end is closed, and no byte of these
 *                was left to receive
 *   ECONNRESET   if the stream ended in the middle of them, or if the other end was
 *                closed before it had received all that we sent (recv(2) reports that)
 *
 * or as recv(2) left it. A length of 0 is true, and receives nothing.
 */
bool receive_all(int socket, void *bytes, size_t length);

/* Sends a text: its length, as a size_t, then its bytes without the NUL. NULL is sent as
   "". Returns false as send_all() does. */
bool send_text(int socket, const char *text);

/* Receives what send_text() has sent, into memory from malloc. Returns NULL with errno as
   receive_all() sets it, for the length and the bytes together; or with ENOMEM. */
char *receive_text(int socket);

/* ---- Over a socket that keeps message boundaries (SOCK_SEQPACKET) ---- */

/* Sends one message. Returns false with errno as send(2) left it: EAGAIN if there is no
   room for it now and `waits` is false; EPIPE if the other end is closed. */
bool send_packet(int socket, const void *bytes, size_t length, bool waits);

/* Receives one message without waiting, and returns its length; a longer message than
   `capacity` is cut. Returns 0 if all other ends are closed, or -1 with errno as recv(2)
   left it: EAGAIN if there is no message now. */
ssize_t receive_packet(int socket, void *bytes, size_t capacity);

#endif
