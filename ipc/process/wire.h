/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h — what a process and its server say to each other, over a socket of whole messages.
 *
 *     server → process   hello                             once, when it is ready
 *     process → server   request, with descriptors         start a child, or kill one
 *     server → process   reply, with the child's pidfd     to a request that starts one
 *     server → process   report                            over the child's own pipe, when it ended
 *
 * Both run the same file, so the structures are the same; what is checked is that it really is the
 * same file (`image`), and every length. */
#ifndef WEFT_IPC_PROCESS_WIRE_H
#define WEFT_IPC_PROCESS_WIRE_H

#include <weft/process.h>

#include "process/image.h"

/* The environment variable that makes a program a server before its main(): "serve:FD", FD being
 * the server's end of the socket; or a single child: "run:FD", FD being a file with its birth. */
#define WEFT__SERVER_VARIABLE "WEFT_PROCESS_SERVER"

#define WEFT__SERVER_MAGIC UINT64_C(0x7765667470726f63)
#define WEFT__NAME_BYTES 64
#define WEFT__ARG_INLINE_BYTES ((size_t)16 << 10) /* of an argument sent in the request itself */

/* The descriptors of a request, in this order; those that `has_stdio` leaves out are not sent. */
enum { STDIO_COUNT = 3, WEFT__REQUEST_FDS_MAX = STDIO_COUNT + 3 + WEFT_PROCESS_FDS_MAX };

typedef struct weft__hello {
    uint64_t magic;
    uint64_t image; /* of the program */
} weft__hello;

typedef struct weft__request {
    uint64_t magic;
    uint64_t arg_bytes;
    uint64_t number;     /* of the request, from 1 on */
    uint64_t unwanted;   /* not 0: kill the child of that request, and nothing else below counts */
    int64_t deadline_ns; /* after which nobody waits for the child any more */
    weft__symbol body;
    uint32_t fd_count;              /* the user's */
    uint8_t has_stdio[STDIO_COUNT]; /* nonzero: descriptor 0, 1, 2 comes along */
    uint8_t has_arg_file;           /* nonzero: the argument comes in a file of its own */
    uint8_t has_folder;             /* nonzero: the working directory comes along */
    uint8_t is_daemonic;
    uint8_t is_exec;
    char name[WEFT__NAME_BYTES];
    _Alignas(64) char arg[WEFT__ARG_INLINE_BYTES]; /* sent as far as it is used */
} weft__request;

typedef struct weft__reply {
    uint64_t number; /* of the request */
    int32_t rc;
    int32_t pid;
} weft__reply;

typedef struct weft__report {
    int64_t code; /* as weft_process_exitcode() */
    weft_process_usage used;
} weft__report;

/* Send one message with descriptors: 0 or -errno. */
int weft__wire_send(int socket, const void *message, size_t bytes, const int *fds, size_t count);

/* Receive one message into `message` and its descriptors into `fds`, of which there may be *count
 * at most. Returns its length, 0 when the other end is closed, or -errno; -EMFILE: not all
 * descriptors could be taken, and none was. */
int64_t weft__wire_receive(int socket, void *message, size_t bytes, int *fds, size_t *count);

/* Write or read exactly `bytes` bytes; a read that meets the end returns fewer. */
int weft__write_all(int fd, const void *data, size_t bytes);
int64_t weft__read_all(int fd, void *data, size_t bytes);

/* Close what is open among `count` descriptors. */
void weft__close_all(const int *fds, size_t count);

#endif
