/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.h — a worker is not to wake on the processor of the worker that wakes it: apart.c. */
#ifndef WEFT_SCHED_APART_H
#define WEFT_SCHED_APART_H

#include <weft/atomic.h>
#include <weft/base.h>

#include "sched/cpuset.h"

struct weft__worker;

/* Where a worker is, and how it comes to be somewhere else. All but `turn` and `mask` are guesses,
 * hence relaxed. */
typedef struct weft__place {
    unsigned last;            /* 1 + the processor it was on when it fell asleep or got up, or 0 */
    unsigned waker;           /* 1 + that of the worker that woke it, if the kernel chose; or 0 */
    unsigned guided;          /* so many wake-ups more are guided */
    unsigned price;           /* and so many, when the kernel has got it wrong again */
    uint32_t turn;            /* whose the thread's set of processors is: apart.c */
    struct weft__cpuset mask; /* what it was, for the one who was sent */
} weft__place;

/* The calling worker is about to say that it sleeps; and is awake again, whoever saw to that. */
void weft__place_lie_down(struct weft__worker *worker);
void weft__place_get_up(struct weft__worker *worker);

/* Which sleep it is: to be asked before it is claimed. */
WEFT__INLINE uint32_t weft__place_turn(const weft__place *place)
{
    return weft__load_relaxed(&place->turn); /* relaxed: a swap decides */
}

/* Whoever has claimed a sleeper's wake-up, and has not woken it yet: send it to a processor of its
 * own, if the kernel is likely to put it on the caller's. */
void weft__place_choose(struct weft__worker *sleeper, uint32_t turn);

#endif
