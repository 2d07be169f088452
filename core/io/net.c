/* SPDX-License-Identifier: BSD-2-Clause */
/* net.c — sockets made the usual way: non-blocking, closed at exec, adopted.
 *
 * Names are resolved by getaddrinfo(3), which blocks its thread for as long as it likes; it runs in
 * a region of weft_blocking. What is an address already needs no such region. */
#include <weft/io.h>

#include "hooks.h"
#include "io/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <weft/runtime.h>

/* ---- addresses ------------------------------------------------------------------------------ */

static int resolver_error(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return -weft__errno_get();
    default:
        return -EADDRNOTAVAIL;
    }
}

/* A list for freeaddrinfo(3). Does not block if `host` is an address. */
static int resolve(const char *host, unsigned port, int type, struct addrinfo **list)
{
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    int rc;
    if (port > UINT16_MAX)
        return -EINVAL;
    (void)snprintf(service, sizeof service, "%u", port);
    hints.ai_flags |= AI_NUMERICHOST;
    rc = getaddrinfo(host, service, &hints, list);
    if (rc != EAI_NONAME)
        return resolver_error(rc);
    hints.ai_flags &= ~AI_NUMERICHOST;
    int code = 0;
    weft_blocking
    {
        rc = getaddrinfo(host, service, &hints, list);
        code = resolver_error(rc); /* here, as it may look at errno */
    }
    return code;
}

int weft_resolve(const char *host, unsigned port, struct sockaddr_storage *addresses, int room)
{
    struct addrinfo *list = NULL;
    int count = 0;
    int rc = resolve(host, port, SOCK_STREAM, &list);
    if (rc != 0)
        return rc;
    for (struct addrinfo *one = list; one != NULL && count < room; one = one->ai_next)
        if (one->ai_addrlen <= sizeof addresses[count])
            memcpy(&addresses[count++], one->ai_addr, one->ai_addrlen);
    freeaddrinfo(list);
    return count;
}

/* "@name" is abstract: no file, gone with its last user. */
static int unix_address(const char *path, struct sockaddr_un *address, socklen_t *length)
{
    size_t bytes = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (bytes == 0 || bytes >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, bytes);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (path[0] != '@'));
    return 0;
}

/* ---- sockets -------------------------------------------------------------------------------- */

static int make_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -weft__errno_get();
    int is_tcp = type == SOCK_STREAM && (family == AF_INET || family == AF_INET6);
    int rc = weft__files_adopt(fd, is_tcp ? WEFT__TCP : WEFT__ANY);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static void set_option(int fd, int level, int option)
{
    int one = 1;
    (void)setsockopt(fd, level, option, &one, sizeof one);
}

/* Bind; `backlog` > 0: listen, too. Takes the socket away if that fails. */
static int bind_socket(int fd, const struct sockaddr *address, socklen_t length, int backlog)
{
    if (fd < 0)
        return fd;
    if (bind(fd, address, length) == 0 && (backlog <= 0 || listen(fd, backlog) == 0))
        return fd;
    int rc = -weft__errno_get();
    (void)weft_close(fd);
    return rc;
}

static int bind_name(const char *host, unsigned port, int type, int backlog)
{
    struct addrinfo *list = NULL;
    int fd = resolve(host, port, type, &list);
    if (fd != 0)
        return fd;
    fd = -EADDRNOTAVAIL;
    for (struct addrinfo *one = list; one != NULL && fd < 0; one = one->ai_next) {
        fd = make_socket(one->ai_family, type);
        if (fd >= 0 && type == SOCK_STREAM)
            set_option(fd, SOL_SOCKET, SO_REUSEADDR);
        fd = bind_socket(fd, one->ai_addr, one->ai_addrlen, backlog);
    }
    freeaddrinfo(list);
    return fd;
}

static int connect_socket(int fd, const struct sockaddr *address, socklen_t length,
                          int64_t deadline_ns)
{
    if (fd < 0)
        return fd;
    int rc = weft_connect(fd, address, length, deadline_ns);
    if (rc == 0)
        return fd;
    (void)weft_close(fd);
    return rc;
}

int weft_tcp_listen(const char *host, unsigned port, int backlog)
{
    return bind_name(host, port, SOCK_STREAM, backlog > 0 ? backlog : SOMAXCONN);
}

int weft_udp_bind(const char *host, unsigned port)
{
    return bind_name(host, port, SOCK_DGRAM, 0);
}

int weft_tcp_connect(const char *host, unsigned port, int64_t deadline_ns)
{
    struct addrinfo *list = NULL;
    int fd = resolve(host, port, SOCK_STREAM, &list);
    if (fd != 0)
        return fd;
    fd = -EADDRNOTAVAIL;
    for (struct addrinfo *one = list; one != NULL && fd < 0; one = one->ai_next) {
        if (fd == -ETIMEDOUT || fd == -ECANCELED)
            break;
        fd = connect_socket(make_socket(one->ai_family, SOCK_STREAM), one->ai_addr, one->ai_addrlen,
                            deadline_ns);
    }
    freeaddrinfo(list);
    if (fd >= 0)
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

int weft_unix_listen(const char *path, int backlog)
{
    struct sockaddr_un address;
    socklen_t length;
    int rc = unix_address(path, &address, &length);
    if (rc != 0)
        return rc;
    return bind_socket(make_socket(AF_UNIX, SOCK_STREAM), (struct sockaddr *)&address, length,
                       backlog > 0 ? backlog : SOMAXCONN);
}

int weft_unix_connect(const char *path, int64_t deadline_ns)
{
    struct sockaddr_un address;
    socklen_t length;
    int rc = unix_address(path, &address, &length);
    if (rc != 0)
        return rc;
    return connect_socket(make_socket(AF_UNIX, SOCK_STREAM), (struct sockaddr *)&address, length,
                          deadline_ns);
}

int weft_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -weft__errno_get();
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return -EINVAL;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

static int adopt_both(int fds[2], const int made[2], unsigned kind)
{
    int rc = weft__files_adopt(made[0], kind);
    if (rc == 0)
        rc = weft__files_adopt(made[1], kind);
    if (rc != 0) {
        (void)weft_close(made[0]);
        (void)weft_close(made[1]);
        return rc;
    }
    fds[0] = made[0];
    fds[1] = made[1];
    return 0;
}

int weft_fd_pipe(int fds[2])
{
    int made[2];
    if (pipe2(made, O_CLOEXEC | O_NONBLOCK) != 0)
        return -weft__errno_get();
    return adopt_both(fds, made, WEFT__NO_SOCKET);
}

int weft_socketpair(int fds[2])
{
    int made[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, made) != 0)
        return -weft__errno_get();
    return adopt_both(fds, made, WEFT__ANY);
}
