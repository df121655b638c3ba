/*
 * Whole messages over a stream socket. A stream keeps no message boundaries: what was
 * sent as 100 bytes may be received as 60 and 40. These two go on until all bytes are
 * through.
 *
 * Both wait, so the socket must be blocking. A call that a signal interrupts (EINTR) is
 * made again. After a failure the stream may be in the middle of a message: close it.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Sends all the bytes. Returns false with errno as send(2) left it: EPIPE or ECONNRESET
 * if the other end is closed. It raises no SIGPIPE. A length of 0 is true, and sends
 * nothing.
 */
bool send_all(int socket, const void *bytes, size_t length);

/*
 * Receives exactly so many bytes. Returns false with errno
 *
 *   0            at the end of the stream: the other end is closed, and no byte of these
 *                was left to receive
 *   ECONNRESET   if the stream ended in the middle of them; or as recv(2) says it, if the
 *                other end was closed with bytes from us that were never received
 *
 * and whatever else recv(2) says. A length of 0 is true, and receives nothing.
 */
bool receive_all(int socket, void *bytes, size_t length);

#endif
