/* SPDX-License-Identifier: BSD-2-Clause */
/* sleep.c — waiting for nothing but time, and making room for others. */
#include "fiber/scope.h"

#include "hooks.h"

#include <errno.h>

/* Nobody is told of the waiter: it is up to the timer. */
static int commit_nowhere(weft__waiter *waiter, void *arg)
{
    (void)arg;
    weft__waits_for(waiter, WEFT_REASON_SLEEP, NULL);
    return 1;
}

int weft_sleep(int64_t deadline_ns)
{
    weft__waiter waiter;
    int rc = weft__wait_until(&waiter, commit_nowhere, NULL, deadline_ns);
    weft_assert(rc != 0);
    if (rc != -ETIMEDOUT)
        return rc;
    weft_scope *scope = weft_current_scope();
    return scope != NULL && scope->deadline_ns_ < deadline_ns ? rc : 0;
}

/* It is ready at once, behind all others, on the worker that it has left. */
static int commit_yield(weft__waiter *waiter, void *arg)
{
    weft__worker *worker = arg;
    weft__waits_for(waiter, WEFT_REASON_YIELD, NULL);
    weft__fiber_mark_ready(waiter->fiber);
    weft__worker_put(worker, &waiter->fiber->item);
    return 1;
}

void weft_yield(void)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL || !weft__worker_has_others(worker))
        return;
    weft__waiter waiter;
    waiter.fiber = worker->current;
    weft__left left = {.commit = commit_yield, .waiter = &waiter, .arg = worker};
    weft__park(worker, &left, 1);
}
