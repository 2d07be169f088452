/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c — see group.h; why it is right is argued in README.md. */
#include "group.h"

#include <weft/atomic.h>

#include "hooks.h"
#include "sched/worker.h"

#define WORD(number, arrived) ((uint64_t)(number) << 32 | (arrived))

static int is_reached(uint64_t word)
{
    return WEFT__ARRIVED(word) >= WEFT__NUMBER(word);
}

void weft__group_init(weft__group *group, int is_listing, int is_eager)
{
    group->word = WORD(0, 0);
    group->ready = NULL;
    group->last = NULL;
    group->armed = 0;
    group->is_listing = is_listing;
    group->is_eager = is_eager;
}

int weft__group_add(weft__group *group, weft__state *state, size_t index)
{
    int rc = weft__state_arm(state, (uintptr_t)group | WEFT__NODE_GROUP, index);
    if (rc == 1) {
        group->last = state;
        group->armed++;
    }
    return rc;
}

static void list(weft__group *group, weft__node *node)
{
    weft__node *newest = weft__load_relaxed(&group->ready); /* relaxed: the swap decides */
    do {
        node->with.ready = newest;
        /* edge group.ready (release): the link, for the waiter */
    } while (!weft__cas_release(&group->ready, &newest, node));
}

void weft__group_arrive(weft__group *group, weft__node *node, int has_failed)
{
    if (group->is_listing)
        list(group, node);
    int is_eager = has_failed && group->is_eager;
    uint64_t seen = weft__load_relaxed(&group->word); /* relaxed: the swap decides */
    uint64_t next;
    do {
        next = seen + 1;
        if (is_eager && !is_reached(next))
            next = WORD(WEFT__ARRIVED(next), WEFT__ARRIVED(next));
        /* edge group.arrive (release): the end of the future, for the waiter; and our last access
         * edge group.arrive (acquire): the waiter, if he is to be woken */
    } while (!weft__cas_acq_rel(&group->word, &seen, next));
    if (!is_reached(seen) && is_reached(next))
        weft__wake(&group->waiter);
}

/* Let arrivals know how many are wanted. Zero: they are there. */
static int commit(weft__waiter *waiter, void *arg)
{
    weft__group *group = (weft__group *)(void *)((char *)waiter - offsetof(weft__group, waiter));
    uint32_t number = *(const uint32_t *)arg;
    weft__waits_for(waiter, WEFT_REASON_FUTURE, group->last);
    /* edge group.arrive (acquire): what has arrived */
    uint64_t seen = weft__load_acquire(&group->word);
    do {
        if (WEFT__ARRIVED(seen) >= number)
            return 0;
        /* edge group.arrive (release): the waiter
         * edge group.arrive (acquire): what has arrived */
    } while (!weft__cas_acq_rel(&group->word, &seen, WORD(number, WEFT__ARRIVED(seen))));
    return 1;
}

/* Nonzero: nobody is going to wake the waiter. */
static int retract(weft__group *group)
{
    uint64_t seen = weft__load_relaxed(&group->word); /* relaxed: the swap decides */
    do {
        if (is_reached(seen))
            return 0;
        /* relaxed: arrivals carry their own order */
    } while (!weft__cas_relaxed(&group->word, &seen, WORD(0, WEFT__ARRIVED(seen))));
    return 1;
}

int weft__group_wait(weft__group *group, uint32_t number, int64_t deadline_ns)
{
    int rc = weft__wait_until(&group->waiter, commit, &number, deadline_ns);
    if (rc == 0 || retract(group))
        return rc;
    weft__wait_woken(&group->waiter);
    return 0;
}

uint32_t weft__group_arrived(const weft__group *group)
{
    /* edge group.arrive (acquire): the ends of the futures, and the arrivals' last accesses */
    return WEFT__ARRIVED(weft__load_acquire(&group->word));
}

weft__node *weft__group_take(weft__group *group)
{
    /* edge group.ready (acquire): the links */
    return weft__exchange_acquire(&group->ready, NULL);
}

void weft__group_remove(weft__group *group, weft__state *state)
{
    group->armed -= weft__state_disarm(state, (uintptr_t)group | WEFT__NODE_GROUP);
}

void weft__group_close(weft__group *group)
{
    /* An arrival that has failed may wake an eager group early: look again. */
    while (weft__group_arrived(group) < group->armed)
        weft__wait(&group->waiter, commit, &group->armed);
}
