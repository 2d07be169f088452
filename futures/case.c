/* SPDX-License-Identifier: BSD-2-Clause */
/* case.c — what a select asks of a future: whether it has ended, and to be told when it has.
 *
 * core knows nothing of futures, and a select nothing of their nodes: a case arms one for itself,
 * as a group does, and who ends the future fires the case. A case that is withdrawn leaves its node
 * to the next who waits. The case lies in the frame of the select, which is left only when its
 * nodes were taken back or have fired: select.c waits for that. */
#include "future.h"

#include <errno.h>

static uintptr_t target_of(weft_case *one)
{
    return (uintptr_t)one | WEFT__NODE_CASE;
}

static int is_ready(weft_case *one)
{
    weft_future *future = one->source_;
    if (future == NULL)
        return 0;
    if (!weft_future_done(future))
        weft__future_run_calls(); /* they may be what it waits for */
    return weft_future_done(future);
}

static int arm(weft_case *one)
{
    weft_future *future = one->source_;
    if (future == NULL)
        return 0;
    if (weft__workers_were_left(future->executor) && !weft_future_done(future))
        return -ECHILD;
    int rc = weft__state_arm(&future->state, target_of(one), 0);
    return rc >= 0 ? !rc : rc;
}

static int disarm(weft_case *one)
{
    weft_future *future = one->source_;
    return future == NULL || weft__state_disarm(&future->state, target_of(one)) != 0;
}

const weft__case_hook weft__future_case = {.is_ready = is_ready, .arm = arm, .disarm = disarm};
