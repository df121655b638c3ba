#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool send_all(int socket, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t sent = send(socket, next, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            next += sent;
            length -= (size_t)sent;
        }
    }
    return true;
}

bool receive_all(int socket, void *bytes, size_t length)
{
    char *next = bytes;
    while (length > 0) {
        ssize_t received = recv(socket, next, length, 0);
        if (received == 0)
            errno = next == bytes ? 0 : ECONNRESET;
        if (received == 0 || (received < 0 && errno != EINTR))
            return false;
        if (received > 0) {
            next += received;
            length -= (size_t)received;
        }
    }
    return true;
}

bool send_text(int socket, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    return send_all(socket, &length, sizeof(length)) && send_all(socket, text, length);
}

char *receive_text(int socket)
{
    size_t length;
    if (!receive_all(socket, &length, sizeof(length)))
        return NULL;
    char *text = malloc(length + 1);
    if (text == NULL)
        return NULL;
    if (receive_all(socket, text, length)) {
        text[length] = '\0';
        return text;
    }
    if (errno == 0)
        errno = ECONNRESET; /* the length was there, and nothing behind it */
    free(text);
    return NULL;
}

bool send_packet(int socket, const void *bytes, size_t length, bool waits)
{
    ssize_t sent;
    do {
        sent = send(socket, bytes, length,
                    waits ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

ssize_t receive_packet(int socket, void *bytes, size_t capacity)
{
    ssize_t received;
    do {
        received = recv(socket, bytes, capacity, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    return received;
}
