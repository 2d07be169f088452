/* SPDX-License-Identifier: BSD-2-Clause */
/* help.c — a thread that waits for a result looks for it by itself, for a while.
 *
 * Without that, a short task costs three wake-ups: of the worker, of the collector by the worker,
 * of the waiting thread by the collector. With it only the first is left, and none if the worker
 * was still looking for tasks.
 *
 * A future may outlive its pool, so its executor must not be looked into: it is compared with the
 * pools that there are. */
#include "procpool/help.h"

#include "procpool/pool.h"

#include <weft/atomic.h>
#include <weft/fiber.h>

#include "hooks.h"

#include <sched.h>

#define HELP_NS (100 * WEFT_USEC)
#define SPIN_NS (3 * WEFT_USEC)
#define LOOKS 16 /* between two looks at the clock */

static struct {
    weft_mutex lock; /* protects the list */
    weft_procpool *first;
} pools = {.lock = WEFT_MUTEX_INIT};

void weft__procpool_enter(weft_procpool *pool)
{
    weft_mutex_lock(&pools.lock);
    pool->next = pools.first;
    /* relaxed: who looks without the lock only wants to know whether there are any */
    weft__store_relaxed(&pools.first, pool);
    weft_mutex_unlock(&pools.lock);
}

static unsigned take_out(weft_procpool *pool)
{
    weft_mutex_lock(&pools.lock);
    weft_procpool **link = &pools.first;
    while (*link != NULL && *link != pool)
        link = &(*link)->next;
    if (*link != NULL)
        weft__store_relaxed(link, pool->next); /* relaxed: as in weft__procpool_enter() */
    unsigned helpers = pool->helpers;
    weft_mutex_unlock(&pools.lock);
    return helpers;
}

void weft__procpool_leave(weft_procpool *pool)
{
    /* Nothing lives in the pool, so who still helps is about to see that. */
    while (take_out(pool) != 0)
        weft__relax();
}

static weft_procpool *join_pool(const weft_executor *executor)
{
    weft_mutex_lock(&pools.lock);
    weft_procpool *pool = pools.first;
    while (pool != NULL && &pool->executor != executor)
        pool = pool->next;
    if (pool != NULL)
        pool->helpers++;
    weft_mutex_unlock(&pools.lock);
    return pool;
}

static void part_from_pool(weft_procpool *pool)
{
    weft_mutex_lock(&pools.lock);
    pool->helpers--;
    weft_mutex_unlock(&pools.lock);
}

static int look(weft_procpool *pool, const weft_future *future, int64_t deadline_ns)
{
    int64_t begin = weft_now();
    int64_t end = begin + HELP_NS < deadline_ns ? begin + HELP_NS : deadline_ns;
    int64_t now;
    do {
        for (int i = 0; i < LOOKS; i++) {
            (void)weft__procpool_collect(pool);
            if (weft_future_done(future))
                return 1;
            weft__relax();
        }
        now = weft_now();
        if (now - begin > SPIN_NS)
            (void)sched_yield(); /* the worker may have been woken on our processor */
    } while (now < end);
    return 0;
}

WEFT__HOT int weft__procpool_help(const weft_future *future, int64_t deadline_ns)
{
    if (WEFT__LIKELY(weft__load_relaxed(&pools.first) == NULL)) /* relaxed: a hint */
        return 0;
    weft_procpool *pool = join_pool(future->executor);
    if (pool == NULL)
        return 0;
    /* A callback that waits, in the pool's own thread: nobody else would collect. */
    while (weft__procpool_is_collector(pool) && !weft_future_done(future) &&
           weft_now() < deadline_ns && weft_cancel_requested() == 0)
        weft__procpool_step(pool);
    int has_ended = look(pool, future, deadline_ns);
    part_from_pool(pool);
    return has_ended;
}
