#include "sockets.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
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

union name {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

static struct in6_addr as_ip6(struct in_addr address)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&mapped.s6_addr[12], &address, sizeof(address));
    return mapped;
}

/* Notes both ends of the socket, if it is connected. */
static void note_ends(struct open_socket *socket)
{
    union name here = {0}, there = {0};
    socklen_t here_length = sizeof(here), there_length = sizeof(there);
    if (getpeername(socket->descriptor, &there.any, &there_length) < 0 ||
        getsockname(socket->descriptor, &here.any, &here_length) < 0)
        return;
    bool is_ip6 = there.any.sa_family == AF_INET6;
    socket->here = ntohs(is_ip6 ? here.ip6.sin6_port : here.ip4.sin_port);
    socket->port = ntohs(is_ip6 ? there.ip6.sin6_port : there.ip4.sin_port);
    socket->server = is_ip6 ? there.ip6.sin6_addr : as_ip6(there.ip4.sin_addr);
}

int sockets_find(struct sockets *sockets, int here, const char *server, int port)
{
    struct in_addr ip4;
    struct in6_addr address;
    if (inet_pton(AF_INET, server, &ip4) == 1)
        address = as_ip6(ip4);
    else if (inet_pton(AF_INET6, server, &address) != 1)
        return -1;
    for (size_t i = 0; i < sockets->count; i++) {
        struct open_socket *socket = &sockets->all[i];
        if (socket->here == 0)
            note_ends(socket);
        if (socket->here == here && socket->port == port &&
            memcmp(&socket->server, &address, sizeof(address)) == 0)
            return socket->descriptor;
    }
    return -1;
}
