/* SPDX-License-Identifier: BSD-2-Clause */
/* help.h — for those who wait: a result that another process makes may be looked for. */
#ifndef WEFT_FUTURES_PROCPOOL_HELP_H
#define WEFT_FUTURES_PROCPOOL_HELP_H

#include <weft/future.h>

/* A plain thread is about to sleep until the future ends. If it belongs to a pool of processes,
 * look for its result for a while; nonzero: it has ended. */
int weft__procpool_help(const weft_future *future, int64_t deadline_ns);

#endif
