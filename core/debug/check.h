/* SPDX-License-Identifier: BSD-2-Clause */
/* check.h — what a suspension costs more in a program that is being examined: see check.c. */
#ifndef WEFT_CORE_DEBUG_CHECK_H
#define WEFT_CORE_DEBUG_CHECK_H

#include "sched/worker.h"

/* Bits of weft__worker.checks. */
#define WEFT__CHECK_STAMP 1u   /* note when a wait begins */
#define WEFT__CHECK_MIGRATE 2u /* go on elsewhere, and look whether that was noticed */
#define WEFT__CHECK_REACTOR 4u /* the watcher sleeps in a reactor from the start */
#define WEFT__CHECK_JOIN 8u    /* each spawn publishes, so that each join comes by spawn.c */
#define WEFT__CHECK_GUEST 16u  /* no check: a plain thread plays the worker; sched/standin.c */

/* Before a fiber leaves its worker, and when it has come back, perhaps to another, with its errno.
 * Only if the worker's `checks` are not 0. */
void weft__check_leaving(weft__worker *worker, weft__fiber *fiber);
void weft__check_returned(weft__fiber *fiber, int saved_errno);

/* A worker is about to go on with a fiber. Nonzero: it is not to; somebody else will. */
int weft__check_migrate(weft__worker *worker, weft__fiber *fiber);

/* The floating-point mode of the calling thread. */
uint64_t weft__float_mode(void);

#endif
