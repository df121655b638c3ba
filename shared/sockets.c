#include "sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

void sockets_add(struct sockets *sockets, int descriptor)
{
    if (sockets->count < MOST_SOCKETS)
        sockets->all[sockets->count++] = (struct open_socket){.descriptor = descriptor};
}

void sockets_remove(struct sockets *sockets, int descriptor)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->all[i].descriptor == descriptor)
            sockets->all[i] = sockets->all[--sockets->count];
    }
}

/* The port of one end of the socket; 0 if that is not connected. */
static int port_of(int get_name(int, struct sockaddr *, socklen_t *), int descriptor)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    } name = {0};
    socklen_t length = sizeof(name);
    if (get_name(descriptor, &name.any, &length) < 0)
        return 0;
    return ntohs(name.any.sa_family == AF_INET6 ? name.ip6.sin6_port : name.ip4.sin_port);
}

int sockets_find(struct sockets *sockets, int here, int server)
{
    for (size_t i = 0; i < sockets->count; i++) {
        struct open_socket *socket = &sockets->all[i];
        if (socket->here == 0) {
            socket->server = port_of(getpeername, socket->descriptor);
            socket->here =
                socket->server == 0 ? 0 : port_of(getsockname, socket->descriptor);
        }
        if (socket->here == here && socket->server == server)
            return socket->descriptor;
    }
    return -1;
}
