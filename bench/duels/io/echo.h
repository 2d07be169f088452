/* SPDX-License-Identifier: BSD-2-Clause */
/* echo.h — what the echo servers share: the protocol with load.c.
 *
 *     SERVER --list    its version on one line
 *     SERVER           listen on a port of 127.0.0.1, print `port N`, send back whatever comes,
 *                      until killed
 *
 * Each is written as one would write a server with its library, for one processor. */
#ifndef ECHO_H
#define ECHO_H

#include "../duel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define ECHO_BACKLOG 4096
#define ECHO_BUFFER_BYTES 4096

/* True if the server is only to name itself. */
static inline int echo_listed(int argc, char **argv, const char *version)
{
    if (argc != 2 || strcmp(argv[1], "--list") != 0)
        return 0;
    printf("%s\n", version);
    return 1;
}

static inline void echo_say_port(int port)
{
    printf("port %d\n", port);
    fflush(stdout);
}

/* A listening socket, its port made known. */
static inline int echo_listen(int flags)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    duel_need(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    duel_need(bind(fd, (struct sockaddr *)&address, length) == 0, "bind");
    duel_need(listen(fd, ECHO_BACKLOG) == 0, "listen");
    getsockname(fd, (struct sockaddr *)&address, &length);
    echo_say_port(ntohs(address.sin_port));
    return fd;
}

static inline void echo_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

#endif
