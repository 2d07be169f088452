/* SPDX-License-Identifier: BSD-2-Clause */
/* spin.h — a lock that is held for a few instructions, so that waiting for it in a fiber is right:
 * timers, scopes, the records of files and the queues of io_uring have one each.
 *
 * It is no lock for users: it is unfair, and whoever waits keeps its worker. */
#ifndef WEFT_SCHED_SPIN_H
#define WEFT_SCHED_SPIN_H

#include <weft/atomic.h>
#include <weft/base.h>

#include "hooks.h"

/* Nonzero: taken. */
WEFT__INLINE int weft__spin_try(uint32_t *lock)
{
    uint32_t free = 0;
    /* edge spin.lock (acquire): what it guards as the last holder left it */
    return weft__cas_acquire(lock, &free, 1);
}

WEFT__INLINE void weft__spin_lock(uint32_t *lock)
{
    for (unsigned round = 0; !weft__spin_try(lock); round++)
        weft__pause(round);
}

WEFT__INLINE void weft__spin_unlock(uint32_t *lock)
{
    /* edge spin.lock (release): what it guards as we leave it */
    weft__store_release(lock, 0);
}

#endif
