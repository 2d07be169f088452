/* SPDX-License-Identifier: BSD-2-Clause */
/* registry.h — all runtimes of the process, for those who look without a lock: see registry.c. */
#ifndef WEFT_CORE_DEBUG_REGISTRY_H
#define WEFT_CORE_DEBUG_REGISTRY_H

#include "sched/worker.h"

/* Its workers run; they are about to stop: after the return nobody looks at it any more. */
void weft__registry_add(weft_runtime *runtime);
void weft__registry_remove(weft_runtime *runtime);

/* Between the two, runtimes found by following `next_runtime_` stay. Async-signal-safe. Those of a
 * parent process are left out by weft__registry_next(). */
weft_runtime *weft__registry_enter(void);
weft_runtime *weft__registry_next(const weft_runtime *runtime);
void weft__registry_leave(void);

/* In a forked child, which has none of the threads that were looking. */
void weft__registry_forked(void);

#endif
