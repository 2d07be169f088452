/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.c — see threads.h. */
#include "models/sync/threads.h"

#include "hooks.h"
#include "sched/worker.h"

static int64_t tick;
static int64_t clocks[EXPLORE_THREADS_MAX + 1];

void threads_prepare(int64_t tick_ns)
{
    tick = tick_ns;
    for (unsigned i = 0; i <= EXPLORE_THREADS_MAX; i++)
        clocks[i] = 0;
}

weft__lane *weft__lane_get(void)
{
    static weft__lane plain;
    return &plain;
}

/* Time passes for each thread by itself; those that look later see a later time all the same. */
int64_t weft_now(void)
{
    return clocks[explore_self()] += tick;
}

static int sleep_until(weft__waiter *waiter, int64_t deadline_ns)
{
    int is_late = 0;
    while (weft__load_acquire(&waiter->woken) == 0) {
        if (is_late)
            return -ETIMEDOUT;
        is_late = weft__hook_park_wait(&waiter->woken, 0, deadline_ns);
    }
    return 0;
}

/* Nobody looks before he sleeps. */
void weft__thread_set_mood(weft__mood mood)
{
    (void)mood;
}

int weft__wait_until(weft__waiter *waiter, weft__commit *commit, void *arg, int64_t deadline_ns)
{
    waiter->fiber = NULL;
    weft__store_relaxed(&waiter->woken, 0);
    return commit(waiter, arg) ? sleep_until(waiter, deadline_ns) : 0;
}

void weft__wait(weft__waiter *waiter, weft__commit *commit, void *arg)
{
    int rc = weft__wait_until(waiter, commit, arg, WEFT_FOREVER);
    explore_check(rc == 0);
}

void weft__wait_woken(weft__waiter *waiter)
{
    (void)sleep_until(waiter, WEFT_FOREVER);
}

void weft__wake(weft__waiter *waiter)
{
    uint32_t *woken = &waiter->woken;
    explore_check(waiter->fiber == NULL);
    weft__store_release(woken, 1);
    weft__hook_park_wake(woken, 1);
}
