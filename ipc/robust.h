/* SPDX-License-Identifier: BSD-2-Clause */
/* robust.h — the word of a lock that outlives its holder.
 *
 *     0                      free
 *     holder                 locked: index + 1 in bits 0–9, generation in bits 10–29
 *     holder | WAITED        locked, and somebody may be asleep
 *
 * Locking swaps the holder in for 0, unlocking stores 0. A holder that is proved dead is swapped
 * for the next one, from exactly the word that named the dead, so one of many gets it; it is told
 * that it inherits. The kernel's own robust futexes belong to a thread and would lose a lock that a
 * fiber takes on one thread and gives back on another.
 *
 * `health` says what became of the state that the lock guards: GOOD; DOUBTFUL from an inheritance
 * until its heir says that all is repaired; LOST if the heir unlocks without having said so. It is
 * written by the holder alone. A holder that dies while it repairs leaves DOUBTFUL to its heir; one
 * that dies between inheriting and writing DOUBTFUL is inherited from itself. */
#ifndef WEFT_IPC_ROBUST_H
#define WEFT_IPC_ROBUST_H

#include <weft/atomic.h>

#include "hooks.h"
#include "layout.h"

#include <errno.h>

#define WEFT__WAITED ((uint32_t)1 << 31)

enum weft__health { WEFT__GOOD = 0, WEFT__DOUBTFUL = 1, WEFT__LOST = 2 };

typedef struct weft__robust {
    uint32_t word;
    uint32_t health;
} weft__robust;

WEFT__INLINE uint32_t weft__holder(uint64_t member)
{
    return (WEFT__MEMBER_GENERATION(member) & 0xfffff) << 10 | (uint32_t)(member & 0x3ff);
}

/* Whether a word names a holder who has been proved dead, or is gone. */
WEFT__INLINE int weft__holder_is_dead(uint32_t word, const weft__shm_process *processes,
                                      uint32_t participants)
{
    uint32_t index = (word & 0x3ff) - 1;
    if (index >= participants)
        return 1; /* damaged */
    /* edge shm.dead (acquire): all that the dead has stored under the lock */
    uint64_t state = weft__load_acquire(&processes[index].state);
    uint32_t phase = WEFT__PROCESS_PHASE(state);
    return (WEFT__PROCESS_GENERATION(state) & 0xfffff) != (word >> 10 & 0xfffff) ||
           phase == WEFT__PHASE_FREE || phase == WEFT__PHASE_DEAD;
}

/* One attempt; `me` with WAITED if the caller has slept: others may still. 0: locked; 1: inherited;
 * -EAGAIN: *seen has somebody alive. */
WEFT__INLINE int weft__robust_try(weft__robust *lock, uint32_t me, uint32_t *seen,
                                  const weft__shm_process *processes, uint32_t participants)
{
    *seen = 0;
    /* edge shm.lock (acquire): what the last holder did */
    if (weft__cas_acquire(&lock->word, seen, me)) {
        WEFT_CRASH_POINT(90);
        return 0;
    }
    if (!weft__holder_is_dead(*seen, processes, participants))
        return -EAGAIN;
    /* edge shm.lock (acquire): and what the heir before us did, if that is who died */
    uint32_t dead = *seen;
    if (!weft__cas_acquire(&lock->word, &dead, me | WEFT__WAITED))
        return -EAGAIN;
    WEFT_CRASH_POINT(91);
    weft__store_relaxed(&lock->health, /* relaxed: the holder's alone */
                        weft__load_relaxed(&lock->health) == WEFT__LOST ? WEFT__LOST
                                                                        : WEFT__DOUBTFUL);
    WEFT_CRASH_POINT(92);
    return 1;
}

/* Say that somebody is about to sleep on *seen: nonzero, sleep while the word is *seen. */
WEFT__INLINE int weft__robust_wait(weft__robust *lock, uint32_t *seen)
{
    if (*seen == 0)
        return 0;
    if (*seen & WEFT__WAITED)
        return 1;
    uint32_t waited = *seen | WEFT__WAITED;
    if (!weft__cas_relaxed(&lock->word, seen, waited)) /* relaxed: it is still the holder's */
        return 0;
    *seen = waited;
    WEFT_CRASH_POINT(93);
    return 1;
}

/* Unlock: nonzero if somebody has to be woken. What was not repaired is lost. */
WEFT__INLINE int weft__robust_unlock(weft__robust *lock)
{
    int is_lost = 0;
    if (weft__load_relaxed(&lock->health) != WEFT__GOOD) { /* relaxed: the holder's alone */
        weft__store_relaxed(&lock->health, WEFT__LOST);    /* relaxed: as above */
        is_lost = 1;
    }
    WEFT_CRASH_POINT(94);
    /* edge shm.lock (release): what was done under the lock */
    uint32_t old = weft__exchange_release(&lock->word, 0);
    WEFT_CRASH_POINT(95);
    return is_lost || (old & WEFT__WAITED) != 0;
}

#endif
