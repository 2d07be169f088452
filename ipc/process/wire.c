/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c — messages with descriptors, and bytes in full. */
#include "process/wire.h"

#include "panic.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for the descriptors beside a message. */
typedef union luggage {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * WEFT__REQUEST_FDS_MAX)];
} luggage;

int weft__wire_send(int socket, const void *message, size_t bytes, const int *fds, size_t count)
{
    luggage control = {.room = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    weft_assert(count <= WEFT__REQUEST_FDS_MAX);
    if (count > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Take the descriptors out of a message that was received: how many there are. */
static size_t unpack(struct msghdr *header, int *fds, size_t room)
{
    struct cmsghdr *piece = CMSG_FIRSTHDR(header);
    if (piece == NULL || piece->cmsg_level != SOL_SOCKET || piece->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (piece->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    weft_assert(count <= room);
    memcpy(fds, CMSG_DATA(piece), sizeof(int) * count);
    return count;
}

int64_t weft__wire_receive(int socket, void *message, size_t bytes, int *fds, size_t *count)
{
    luggage control;
    struct iovec part = {.iov_base = message, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    weft_assert(*count <= WEFT__REQUEST_FDS_MAX);
    header.msg_controllen = CMSG_SPACE(sizeof(int) * *count);
    ssize_t got;
    do
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? 0 : -errno; /* the other end died with messages unread */
    size_t received = unpack(&header, fds, *count);
    if (header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
        weft__close_all(fds, received);
        return header.msg_flags & MSG_CTRUNC ? -EMFILE : -EMSGSIZE;
    }
    *count = received;
    return got;
}

int weft__write_all(int fd, const void *data, size_t bytes)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t written = write(fd, from, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        from += written;
        bytes -= (size_t)written;
    }
    return 0;
}

int64_t weft__read_all(int fd, void *data, size_t bytes)
{
    char *to = data;
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(fd, to + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

void weft__close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}
