/* SPDX-License-Identifier: BSD-2-Clause */
/* link.h — the caller's end of its server. */
#ifndef WEFT_IPC_PROCESS_LINK_H
#define WEFT_IPC_PROCESS_LINK_H

#include "process/wire.h"

/* A child that the server is to start, and its answer. */
typedef struct weft__order {
    weft__request *request; /* gets its number here */
    size_t bytes;           /* of it that are sent */
    const int *fds;
    size_t fd_count;
    int rc; /* 0: there is a child; or -errno, -ETIMEDOUT at the request's deadline */
    int pid;
    int pidfd;
} weft__order;

/* Have the server start all these children. It finds the next order waiting when it has seen to
 * one, so that nobody waits for anybody in between. The server itself is started if there is none.
 * Any thread. */
void weft__link_start(weft__order *orders, size_t count);

#endif
