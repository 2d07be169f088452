/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.h — what a worker process is told, and its body. */
#ifndef WEFT_FUTURES_PROCPOOL_WORKER_H
#define WEFT_FUTURES_PROCPOOL_WORKER_H

#include <weft/process.h>

#include "procpool/segment.h"

/* The argument of a worker; the initializer's argument follows. */
typedef struct weft__worker_orders {
    weft__geometry geometry;
    uint32_t worker;          /* which one it is */
    uint32_t tasks_per_child; /* after that many it ends; 0: never */
    int64_t spin_ns;          /* how long it looks for a task before it sleeps */
    uint32_t is_timed;        /* it tells when it has begun a task: there is a limit */
    uint32_t has_initializer;
    weft__symbol initializer;
    uint64_t arg_bytes; /* of the initializer's argument */
    _Alignas(64) unsigned char arg[];
} weft__worker_orders;

/* The descriptors of a worker, in this order. */
enum { WEFT__WORKER_SEGMENT, WEFT__WORKER_CALL, WEFT__WORKER_FDS };

/* The body of a worker. Its status: 0 it was told to end, or has done its share; 125 it could not
 * begin; otherwise what the initializer returned. */
int weft__worker_process(weft_child *self);

#endif
