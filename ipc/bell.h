/* SPDX-License-Identifier: BSD-2-Clause */
/* bell.h — a doorbell: nobody who rings it makes a system call while nobody sleeps.
 *
 *     whoever waits                          whoever has something to tell
 *     1  v = rung                            1  make it visible (a word, head …)
 *     2  arm                                 2  armed?  no: done
 *     3  membarrier()                        3  rung += 1, wake one
 *     4  is it there after all? done         4  nobody was asleep: disarm
 *     5  sleep while rung == v
 *
 * The ringer's 1 and 2 are a store and a load of different words, which every processor swaps, and
 * a fence between them would cost more than all the rest of a push. So the waiter, who is about to
 * lose microseconds anyhow, pays for both: membarrier() makes every running thread of every
 * attached process pass a fence between the waiter's 2 and 4. Either the ringer's 2 is after that
 * and sees the bell armed, or its 1 is before it and the waiter's 4 sees what is there.
 *
 * `armed` is a version and a bit. It is not a count of sleepers: a sleeper that is killed would be
 * counted for ever. The bit stays until a ringer finds nobody asleep, so a dead sleeper costs the
 * others one wasted call. The version lets a ringer disarm only what it has seen: somebody who
 * armed meanwhile stays armed.
 *
 * v is read before arming. Then a ringer either finds the sleeper, or has moved `rung` since, and
 * the sleep ends at once; or has not seen it armed, and will not disarm it.
 *
 * A ringer that is killed between its 1 and 3 wakes nobody. Sleeps are therefore bounded, and a
 * waiter looks at the lives of the others when one ends (wait.c). */
#ifndef WEFT_IPC_BELL_H
#define WEFT_IPC_BELL_H

#include <weft/atomic.h>

#include "hooks.h"
#include "layout.h"

/* Waiter, 1 to 3: to be called before the last look. Returns v. */
WEFT__INLINE uint32_t weft__bell_arm(weft__shm_bell *bell)
{
    /* edge ipc.rung (acquire): a ringer that moved it has told what it had to tell. */
    uint32_t rung = weft__load_acquire(&bell->rung);
    uint32_t armed = weft__load_relaxed(&bell->armed); /* relaxed: the swap decides */
    /* edge ipc.armed (acq_rel): versions follow each other. */
    while (!weft__cas_acq_rel(&bell->armed, &armed, (armed + 2) | 1))
        weft__relax();
    WEFT_CRASH_POINT(70);
    /* edge ipc.bell: the other half of the compiler barrier in weft__bell_is_armed() */
    weft__hook_shared_membarrier();
    return rung;
}

/* Ringer, 2, right after 1. */
WEFT__INLINE int weft__bell_is_armed(const weft__shm_bell *bell)
{
    /* edge ipc.bell: what was stored above is visible to a waiter that arms after this load;
     * the processor's half is the waiter's membarrier(). */
    weft__compiler_barrier();
    return weft__load_relaxed(&bell->armed) & 1; /* relaxed: edge ipc.bell */
}

/* Ringer, 3 and 4: wake up to `count`. */
WEFT__INLINE void weft__bell_ring(weft__shm_bell *bell, int count)
{
    uint32_t armed =
        weft__load_relaxed(&bell->armed); /* relaxed: disarmed only if still the same */
    /* edge ipc.rung (release): what the ringer tells, for whoever sees it moved */
    (void)weft__fetch_add_acq_rel(&bell->rung, 1);
    WEFT_CRASH_POINT(71);
    if (weft__hook_shared_wake(&bell->rung, count) >= count)
        return;
    /* edge ipc.armed (acq_rel): only what was seen before; nobody of that is asleep any more. */
    (void)weft__cas_acq_rel(&bell->armed, &armed, armed & ~1u);
}

/* Ringer, 2 to 4. */
WEFT__INLINE void weft__bell_tell(weft__shm_bell *bell, int count)
{
    if (WEFT__UNLIKELY(weft__bell_is_armed(bell)))
        weft__bell_ring(bell, count);
}

#endif
