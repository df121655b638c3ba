/*
 * The open sockets of a client of HTTP, to be found by their ends. (libcurl has no way to
 * ask for the socket of a connection while it is used.)
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <netinet/in.h>
#include <stddef.h>

enum { MOST_SOCKETS = 256 }; /* more are not remembered */

struct sockets {
    struct open_socket {
        int descriptor;
        int here;               /* our port; 0: nobody has asked for it yet */
        int port;               /* of the server */
        struct in6_addr server; /* its address; of IPv4, as IPv6 has it (RFC 4291) */
    } all[MOST_SOCKETS];
    size_t count;
};

void sockets_add(struct sockets *sockets, int descriptor);
void sockets_remove(struct sockets *sockets, int descriptor);

/* The socket that is connected from our port to that of the server, whose address is in
   numbers; -1: there is none. (Linux gives connections to several servers the same port
   here.) */
int sockets_find(struct sockets *sockets, int here, const char *server, int port);

#endif
