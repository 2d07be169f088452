/* SPDX-License-Identifier: BSD-2-Clause */
/* self.h — what core/sched/self.c keeps for each thread, kept by the explorer's numbers, and a
 * clock of its own for each. */
#ifndef EXPLORE_COMMON_SELF_H
#define EXPLORE_COMMON_SELF_H

#include "sched/worker.h"

/* Before all else in an execution: all threads are plain ones, and time begins. */
void self_reset(void);

/* Thread `number` plays this worker, as after weft__worker_bind_thread() in that thread. */
void self_bind(unsigned number, weft__worker *worker);

#endif
