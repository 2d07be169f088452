/* SPDX-License-Identifier: BSD-2-Clause */
/* scope.h — what the scheduler knows of scopes: see scope.c. */
#ifndef WEFT_FIBER_SCOPE_H
#define WEFT_FIBER_SCOPE_H

#include <weft/fiber.h>

#include "sched/worker.h"

/* Enter the fiber, which has a scope, into that scope's list of members; out of its list. */
void weft__fiber_enrol(weft__fiber *fiber);
void weft__fiber_withdraw(weft__fiber *fiber);

/* Whether a scope that the fiber is in, up to the innermost shield, is cancelled; the same of the
 * innermost scope of a plain thread. */
int weft__fiber_is_cancelled(const weft__fiber *fiber);
int weft__scope_is_cancelled(const weft_scope *scope);

/* A plain thread waits in its innermost scope; it does no more: the waiter may go. */
void weft__scope_seat(weft_scope *scope, weft__waiter *waiter);
void weft__scope_unseat(weft_scope *scope);

/* A negative errno: of either sign of one; -EINVAL for what is none. */
int weft__failure_code(int code);

/* ---- for tasks that are submitted in a scope, and run anywhere ---- */

/* Where the caller's submissions count, or NULL. */
weft__brood *weft__brood_here(void);

/* There is one more in the brood, hence its scope waits for it; one fewer, and both may be gone. */
void weft__brood_join(weft__brood *brood);
void weft__brood_quit(weft__brood *brood);

/* Run in the brood's scope from now on, unless the calling fiber has one already, or there is no
 * fiber. Nonzero: it does, and leaves it again before the brood is quit. */
int weft__scope_visit(weft__brood *brood);
void weft__scope_unvisit(void);

/* Whether what has not begun need not begin: the scope is cancelled, or its deadline has passed. */
int weft__scope_is_over(const weft_scope *scope);

#endif
