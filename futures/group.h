/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h — somebody who waits for one or several futures, in the waiter's frame.
 *
 *     word     how many to wait for │ how many have arrived
 *
 * Each future of the group that ends arrives: it counts itself, and whoever makes the count reach
 * the number to wait for wakes the waiter. The number is 0 while nobody waits, so arrivals before
 * do not wake, and it is set when the waiter's context is saved. Giving up sets it back to 0,
 * unless it has been reached: then a waker is on its way, and is waited for.
 *
 * Before the frame may go, nodes that are still armed are taken back, and the rest, which has been
 * fired, is waited for: no future knows of a group that is gone. An arrival's count is the last
 * time it touches the group, unless it wakes. */
#ifndef WEFT_FUTURES_GROUP_H
#define WEFT_FUTURES_GROUP_H

#include "sched/join.h"

#include "state.h"

typedef struct weft__group {
    weft__waiter waiter;
    uint64_t word;     /* see above; the number in the upper half */
    weft__node *ready; /* nodes of futures that have ended, newest first; if `is_listing` */
    const void *last;  /* the state of the last future that was added; for dumps */
    uint32_t armed;    /* nodes that are armed, or were fired; the waiter's own */
    int is_listing;    /* the waiter wants to know which; constant */
    int is_eager;      /* a future that has failed makes the number be reached; constant */
} weft__group;

#define WEFT__ARRIVED(word) ((uint32_t)(word))
#define WEFT__NUMBER(word) ((uint32_t)((word) >> 32))

void weft__group_init(weft__group *group, int is_listing, int is_eager);

/* Wait for the future as well. Returns as weft__state_arm(): 0: it has ended already. */
int weft__group_add(weft__group *group, weft__state *state, size_t index) WEFT_NODISCARD;

/* A future of the group has ended; `node` told so. */
void weft__group_arrive(weft__group *group, weft__node *node, int has_failed);

/* Wait until `number` have arrived, in all; or one that has failed, if the group is eager. 0;
 * -ETIMEDOUT, -ECANCELED as weft__wait_until(). */
int weft__group_wait(weft__group *group, uint32_t number, int64_t deadline_ns) WEFT_NODISCARD;

/* How many have arrived. */
uint32_t weft__group_arrived(const weft__group *group);

/* The nodes of those that have arrived since the last call, newest first. */
weft__node *weft__group_take(weft__group *group);

/* Stop waiting for this future, and for itself afterwards: once for each that was added, in any
 * order, also for those that have arrived. */
void weft__group_remove(weft__group *group, weft__state *state);

/* The last: return when no future knows of the group any more. All have been removed, or
 * arrived. */
void weft__group_close(weft__group *group);

#endif
