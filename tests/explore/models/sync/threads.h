/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.h — what core/sync asks of the scheduler, for plain threads.
 *
 * Waiting is as in core/sched/park.c, without fibers: commit, then sleep on the waiter's word. A
 * wait with a deadline may be given up at any moment; see explore_park_until(). */
#ifndef EXPLORE_MODELS_SYNC_THREADS_H
#define EXPLORE_MODELS_SYNC_THREADS_H

#include <weft/atomic.h>
#include <weft/base.h>

#include "explore.h"

#include <errno.h>

#define SOON ((int64_t)1) /* a deadline that may pass at any moment */

/* In `prepare`: let the clock advance by so much at each look. */
void threads_prepare(int64_t tick_ns);

#endif
