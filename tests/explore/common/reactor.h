/* SPDX-License-Identifier: BSD-2-Clause */
/* reactor.h — a reactor for one file, for models of the scheduler: the file becomes ready when a
 * thread of the model says so, and one fiber waits for it. */
#ifndef EXPLORE_COMMON_REACTOR_H
#define EXPLORE_COMMON_REACTOR_H

#include "sched/worker.h"

void file_prepare(void);

/* Make the reactor, and give it to a runtime that has none; by whoever will wait. */
void file_install(weft_runtime *runtime);

/* Wait until the file is ready, in a fiber. */
void file_wait(void);

/* The two halves of that, for a fiber without a stack: on a worker, which does not touch it any
 * more; and when the file is ready. */
void file_register(weft__waiter *waiter);
void file_go_on(void);

/* It is, from now on. */
void file_make_ready(void);

#endif
