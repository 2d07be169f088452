/* SPDX-License-Identifier: BSD-2-Clause */
/* link.h — the caller's end of its server. */
#ifndef WEFT_IPC_PROCESS_LINK_H
#define WEFT_IPC_PROCESS_LINK_H

#include "process/wire.h"

/* Have the server start the child that the first `bytes` bytes of the request describe, which gets
 * its number here. The server itself is started if there is none. 0, and *pid and *pidfd are set;
 * or -errno, -ETIMEDOUT at the request's deadline. Any thread. */
int weft__link_start(weft__request *request, size_t bytes, const int *fds, size_t count, int *pid,
                     int *pidfd);

#endif
