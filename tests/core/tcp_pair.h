/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_pair.h — two ends of a TCP connection of this machine with itself. */
#ifndef WEFT_TESTS_CORE_TCP_PAIR_H
#define WEFT_TESTS_CORE_TCP_PAIR_H

#include "process.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <weft/fiber.h>
#include <weft/io.h>

/* What is written to [1] can be read from [0]; it goes in segments of at most so many bytes, if not
 * 0. Returns 0, or the line that failed. */
static inline int make_tcp_pair_of(int fds[2], int segment_bytes)
{
    int64_t soon = weft_in(LIVENESS_NS);
    int listener = weft_tcp_listen("127.0.0.1", 0, 1);
    CHECK(listener >= 0);
    CHECK(segment_bytes == 0 ||
          setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &segment_bytes, sizeof segment_bytes) == 0);
    fds[1] = weft_tcp_connect("127.0.0.1", (unsigned)weft_port(listener), soon);
    fds[0] = weft_accept(listener, soon);
    CHECK(fds[0] >= 0);
    CHECK(fds[1] >= 0);
    return weft_close(listener);
}

static inline int make_tcp_pair(int fds[2])
{
    return make_tcp_pair_of(fds, 0);
}

/* Close without a farewell: the peer is reset. */
static inline int cut(int fd)
{
    struct linger at_once = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return weft_close(fd);
}

#endif
