/* SPDX-License-Identifier: BSD-2-Clause */
/* server.h — the process that forks children: its two entrances. */
#ifndef WEFT_IPC_PROCESS_SERVER_H
#define WEFT_IPC_PROCESS_SERVER_H

#include "process/wire.h"

/* A child, as it is described to a program that was executed for it alone, in the file "run:FD". */
typedef struct weft__birth {
    weft__request request;
    int32_t arg_file;                  /* open, if the argument is not in the request; or -1 */
    int32_t fds[WEFT_PROCESS_FDS_MAX]; /* the user's, open */
} weft__birth;

/* Serve requests from `socket` until the process at its other end has ended; never returns, except
 * by exit() in a child. */
__attribute__((noreturn)) void weft__server_run(int socket);

/* Be the child that is described in the file; never returns, except by exit(). */
__attribute__((noreturn)) void weft__child_run(int file);

/* Anything in entry.c, so that a program linked with the archive gets its constructor. */
void weft__entry_keep(void);

#endif
