/*
 * The open sockets of a client of HTTP, to be found by their ports. (libcurl has no way
 * to ask for the socket of a connection while it is used.)
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stddef.h>

enum { MOST_SOCKETS = 256 }; /* more are not remembered */

struct sockets {
    struct open_socket {
        int descriptor;
        int here; /* our port; 0: nobody has asked for it yet */
        int server;
    } all[MOST_SOCKETS];
    size_t count;
};

void sockets_add(struct sockets *sockets, int descriptor);
void sockets_remove(struct sockets *sockets, int descriptor);

/* The socket that is connected from our port to that of the server; -1: there is none. */
int sockets_find(struct sockets *sockets, int here, int server);

#endif
