/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.h — the whole runtime for models: real workers on threads of the explorer, real fibers
 * that move between them.
 *
 * core/sched/runtime.c and loop.c run as they are. What stands here instead of the system are its
 * threads, fibers and their stacks, the clock, and the settings. A thread of the model that calls
 * runtime_thread(i) is what the pthread_create() call number `i` from 0 starts; it waits for that,
 * and ends when that thread does, or when runtime_never() says that nobody will come. */
#ifndef EXPLORE_COMMON_RUNTIME_H
#define EXPLORE_COMMON_RUNTIME_H

#include "sched/worker.h"

#include "hooks.h"

#define RUNTIME_WORKERS_MAX 3

extern weft_runtime *runtime;

/* Before all else in an execution; `workers` is what weft_runtime_create() will make. */
void runtime_reset(unsigned workers);

/* The same, and create it in `runtime`, from prepare(). */
void runtime_prepare(unsigned workers);

/* Destroy it, once its threads have ended. */
void runtime_finish(void);

/* A worker's thread; number 0, 1 ... is the order in which they are created. */
void runtime_thread(unsigned number);

/* Threads that nobody has created by now never will be. */
void runtime_never(void);

/* From anywhere, once all is done: let the threads end, as weft_runtime_destroy() begins. */
void runtime_stop(void);

#endif
