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

#endif
