/* SPDX-License-Identifier: BSD-2-Clause */
/* scope.h — what the scheduler knows of scopes: see scope.c. */
#ifndef WEFT_FIBER_SCOPE_H
#define WEFT_FIBER_SCOPE_H

#include <weft/fiber.h>

#include "sched/worker.h"

/* Enter the fiber, which has a scope, into that scope's list of members; out of its list. */
void weft__fiber_enrol(weft__fiber *fiber);
void weft__fiber_withdraw(weft__fiber *fiber);

/* Whether a scope that the fiber is in, up to the innermost shield, is cancelled. */
int weft__fiber_is_cancelled(const weft__fiber *fiber);

/* ---- for tasks that are submitted in a scope, and run anywhere ---- */

/* The scope waits for one more; for one fewer, and may be gone. */
void weft__scope_join(weft_scope *scope);
void weft__scope_quit(weft_scope *scope);

/* Run in the scope from now on, unless the calling fiber has one already, or there is no fiber.
 * Nonzero: it does, and leaves it again before the scope is quit. */
int weft__scope_visit(weft_scope *scope);
void weft__scope_unvisit(void);

/* Whether what has not begun need not begin: the scope is cancelled, or its deadline has passed. */
int weft__scope_is_over(const weft_scope *scope);

#endif
