/* SPDX-License-Identifier: BSD-2-Clause */
/* start.h — starting several children at once, which takes less time than one after the other. */
#ifndef WEFT_IPC_PROCESS_START_H
#define WEFT_IPC_PROCESS_START_H

#include "process/wire.h"

#define WEFT__STARTS_MAX 8u /* at once */

/* A child that is about to be started. What it consists of is closed and freed with its launch,
 * apart from the user's descriptors. */
typedef struct weft__start {
    weft_process *process;
    weft__request *request;
    size_t bytes; /* of the request that are sent */
    int fds[WEFT__REQUEST_FDS_MAX];
    size_t count;
    int folder;    /* ours, or -1 */
    int report_fd; /* the server's end */
    int arg_file;  /* ours, or -1 */
} weft__start;

/* Prepare to start a child that runs `body`; all that `config` points to is copied, apart from the
 * descriptors. 0; or an error of weft_process_start(), and there is nothing to launch. */
int weft__start_prepare(weft__start *start, int (*body)(weft_child *self),
                        const weft_process_config *config);

/* Launch up to WEFT__STARTS_MAX children that are prepared: 0, or the first one's error, and those
 * that could not be started have NULL for a process. */
int weft__start_launch(weft__start *starts, size_t count);

#endif
