/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h — what ferry.c asks of the system: a thread, and a sleep on many words.
 *
 * Workers 0 and 2 have a fiber each. Worker 1 is the ferry's thread, which on its way to sleep runs
 * what it has made runnable: the fibers, each of which has a thread of its own here. */
#ifndef EXPLORE_FERRY_KERNEL_H
#define EXPLORE_FERRY_KERNEL_H

#include "common/workers.h"

#include "io/ferry.h"

/* Before all else in an execution; so many fibers will say that they are done. */
void kernel_prepare(unsigned fibers);

/* The body of thread 1: what pthread_create() starts, if it does. */
void kernel_ferry(void);

/* A fiber waits for nothing any more; with the last one the ferry ends. */
void kernel_done(void);

/* Run what has been made runnable on the calling worker. */
void kernel_run_own(void);

#endif
