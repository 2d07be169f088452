/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c — see state.h; why it is right is argued in README.md. */
#include "state.h"

#include <weft/atomic.h>
#include <weft/channel.h>

#include "group.h"
#include "hooks.h"

#include <errno.h>

void weft__state_init(weft__state *state)
{
    state->handles = 1;
    state->idle = 0;
    state->first.target = WEFT__NODE_IDLE;
    state->word = WEFT__PENDING;
}

void weft__state_destroy(weft__state *state)
{
    weft__node *node = weft__state_newest(state, state->word);
    while (node != NULL && node != &state->first) {
        weft__node *older = weft__state_older(state, node);
        weft__hook_free(node);
        node = older;
    }
}

WEFT__HOT uintptr_t weft__state_look(const weft__state *state)
{
    /* edge future.end (acquire): the result, or the error, and all effects of the task */
    return weft__load_acquire(&state->word);
}

WEFT__HOT int weft__state_begin(weft__state *state)
{
    uintptr_t seen = weft__load_relaxed(&state->word); /* relaxed: the swap decides */
    do {
        if (WEFT__STATE(seen) == WEFT__CANCELLED)
            return 0;
        weft_assert(WEFT__STATE(seen) == WEFT__PENDING);
        /* relaxed: nothing is handed over; arguments come with the queue */
    } while (!weft__cas_relaxed(&state->word, &seen, seen | WEFT__RUNNING));
    return 1;
}

uintptr_t weft__state_claim(weft__state *state)
{
    uintptr_t seen = weft__load_relaxed(&state->word); /* relaxed: the swap decides */
    do {
        if (seen & (WEFT__ENDED | WEFT__CLAIMED))
            return seen;
        /* relaxed: the one who claims writes, and publishes by weft__state_finish() */
    } while (!weft__cas_relaxed(&state->word, &seen, seen | WEFT__RUNNING | WEFT__CLAIMED));
    return 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* The word of an ended future: its nodes, for those who walk the list; who still holds it. */
static uintptr_t ended(uintptr_t seen, uintptr_t state)
{
    uintptr_t notifying = WEFT__NEWEST(seen) != 0 ? WEFT__NOTIFYING : 0;
    return WEFT__NEWEST(seen) | (seen & WEFT__ABANDONED) | notifying | state;
}

static int is_free(uintptr_t word)
{
    return (WEFT__FLAGS(word) & ~(uintptr_t)1) == (WEFT__ENDED | WEFT__ABANDONED);
}

/* The caller has ended the future, and nodes are there: tell the groups. */
static weft__after tell_groups(weft__state *state, uintptr_t word, int has_failed)
{
    int has_calls = 0;
    weft__node *node = weft__state_newest(state, word);
    for (; node != NULL; node = weft__state_older(state, node)) {
        /* relaxed: a callback stays one until weft__state_calls() */
        if (weft__load_relaxed(&node->target) == WEFT__NODE_CALLBACK) {
            has_calls = 1;
            continue;
        }
        /* edge future.arm (acquire): the group, and what was written into the node
         * edge future.end (release): whoever finds the node fired finds the future ended */
        uintptr_t target = weft__exchange_acq_rel(&node->target, WEFT__NODE_FIRED);
        if (WEFT__TAG_OF(target) == WEFT__NODE_GROUP)
            weft__group_arrive((weft__group *)(target - WEFT__NODE_GROUP), node, has_failed);
        else if (WEFT__TAG_OF(target) == WEFT__NODE_CASE)
            weft__case_fire((weft_case *)(target - WEFT__NODE_CASE));
        else if (target == WEFT__NODE_CALLBACK) {       /* since the look */
            weft__store_relaxed(&node->target, target); /* relaxed: nobody else wants it now */
            has_calls = 1;
        }
    }
    if (has_calls)
        return WEFT__AFTER_CALLS;
    return weft__state_drop(state, WEFT__NOTIFYING) ? WEFT__AFTER_FREE : WEFT__AFTER_NOTHING;
}

WEFT__HOT weft__after weft__state_finish(weft__state *state, int has_failed)
{
    /* edge future.hold (acquire): the last holder's accesses, if it is abandoned */
    uintptr_t seen = weft__load_acquire(&state->word);
    do {
        weft_assert(WEFT__STATE(seen) == WEFT__RUNNING);
        if ((seen & WEFT__ABANDONED) && WEFT__NEWEST(seen) == 0)
            return WEFT__AFTER_FREE; /* nobody else knows it */
        /* edge future.end (release): the result, for whoever finds the future ended
         * edge future.node (acquire): what is in the nodes */
    } while (!weft__cas_acq_rel(&state->word, &seen, ended(seen, WEFT__FINISHED)));
    if (WEFT__NEWEST(seen) == 0)
        return WEFT__AFTER_NOTHING;
    return tell_groups(state, seen, has_failed);
}

uintptr_t weft__state_cancel(weft__state *state, weft__after *after)
{
    uintptr_t seen = weft__load_relaxed(&state->word); /* relaxed: the swap decides */
    do {
        if (WEFT__STATE(seen) != WEFT__PENDING)
            return seen;
        /* edge future.end (release), edge future.node (acquire): as in weft__state_finish() */
    } while (!weft__cas_acq_rel(&state->word, &seen, ended(seen, WEFT__CANCELLED) | WEFT__LISTED));
    *after = WEFT__AFTER_NOTHING;
    if (WEFT__NEWEST(seen) != 0)
        *after = tell_groups(state, seen, 0);
    return 0;
}

/* ---- callbacks ------------------------------------------------------------------------------ */

static weft__node *newest_of_ended(const weft__state *state)
{
    return weft__state_newest(state, weft__load_relaxed(&state->word)); /* relaxed: it has ended */
}

/* The target of the newest callback. */
static uintptr_t *target_of_last_call(const weft__state *state)
{
    weft__node *node = newest_of_ended(state);
    /* relaxed: the caller has seen that it is there */
    while (WEFT__TAG_OF(weft__load_relaxed(&node->target)) != WEFT__NODE_CALLBACK)
        node = weft__state_older(state, node);
    return &node->target;
}

void weft__state_keep(weft__state *state, uintptr_t address)
{
    /* relaxed: nobody but the caller changes a callback, or reads what is kept */
    weft__store_relaxed(target_of_last_call(state), address | WEFT__NODE_CALLBACK);
}

uintptr_t weft__state_kept(const weft__state *state)
{
    /* relaxed: the caller's own */
    return weft__load_relaxed(target_of_last_call(state)) - WEFT__NODE_CALLBACK;
}

weft__node *weft__state_calls(weft__state *state)
{
    weft__node *oldest = NULL;
    weft__node *node = newest_of_ended(state);
    for (; node != NULL; node = weft__state_older(state, node)) {
        /* edge future.arm (acquire): what was written into the node */
        if (WEFT__TAG_OF(weft__load_acquire(&node->target)) != WEFT__NODE_CALLBACK)
            continue;
        /* relaxed: nobody but us changes a callback */
        weft__store_relaxed(&node->target, WEFT__NODE_FIRED | (uintptr_t)oldest);
        oldest = node;
    }
    return oldest;
}

weft__node *weft__node_next_call(const weft__node *node)
{
    uintptr_t target = weft__load_relaxed(&node->target); /* relaxed: as in weft__state_calls() */
    weft_assert(WEFT__TAG_OF(target) == WEFT__NODE_FIRED);
    return (weft__node *)(target - WEFT__NODE_FIRED);
}

/* ---- holding -------------------------------------------------------------------------------- */

int weft__state_drop(weft__state *state, uintptr_t hold)
{
    /* edge future.hold (acq_rel): our last access before the memory is freed, by us or another */
    uintptr_t before = weft__fetch_add_acq_rel(&state->word, (uintptr_t)0 - hold);
    weft_assert(before & hold);
    return is_free(before - hold);
}

void weft__state_retain(weft__state *state)
{
    /* relaxed: a handle comes from a handle, which keeps the future meanwhile */
    uint32_t before = weft__fetch_add_relaxed(&state->handles, 1);
    weft_assert(before != 0);
}

WEFT__HOT int weft__state_release(weft__state *state)
{
    /* edge future.handles (acquire): the other handles' last accesses, if this is the only one
     * edge future.handles (acq_rel): ours, for whoever gives the last one back */
    if (weft__load_acquire(&state->handles) != 1 &&
        weft__fetch_add_acq_rel(&state->handles, (uint32_t)-1) != 1)
        return 0;
    /* edge future.hold (acquire): the other holders' last accesses, if there are none left */
    uintptr_t seen = weft__load_acquire(&state->word);
    if (is_free(seen | WEFT__ABANDONED))
        return 1;
    /* edge future.hold (acq_rel): ours, for whoever is the last */
    seen = weft__fetch_add_acq_rel(&state->word, WEFT__ABANDONED);
    return is_free(seen | WEFT__ABANDONED);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Make sure that the first node is in the list: before any other, so that walks end there. Returns
 * the word; `*is_mine` becomes 1 if the caller has put it there. */
static uintptr_t hang_first(weft__state *state, int *is_mine)
{
    /* edge future.end (acquire): if it has ended, what is seen with that
     * edge future.node (acquire): the nodes that are about to be walked */
    uintptr_t seen = weft__load_acquire(&state->word);
    while (!(seen & WEFT__ENDED) && WEFT__NEWEST(seen) == 0) {
        uintptr_t hung = seen | WEFT__OWN_NODE;
        /* edge future.node (release): the node as weft__state_init() left it
         * edge future.end (acquire): as above */
        if (!weft__cas_acq_rel(&state->word, &seen, hung))
            continue;
        weft__fetch_add_relaxed(&state->idle, 1); /* relaxed: a hint */
        *is_mine = 1;
        return hung;
    }
    return seen;
}

static int take(weft__state *state, weft__node *node)
{
    uintptr_t idle = WEFT__NODE_IDLE;
    /* edge future.idle (acquire): whoever used it before is done with it */
    if (!weft__cas_acquire(&node->target, &idle, WEFT__NODE_TAKEN))
        return 0;
    weft__fetch_add_relaxed(&state->idle, -1); /* relaxed: a hint */
    return 1;
}

/* A node that somebody has given up, or NULL. */
static weft__node *take_idle(weft__state *state, weft__node *newest)
{
    if (weft__load_relaxed(&state->idle) <=
        0) /* relaxed: a hint; at worst there is one more node */
        return NULL;
    for (weft__node *node = newest; node != NULL; node = weft__state_older(state, node))
        if (weft__load_relaxed(&node->target) == WEFT__NODE_IDLE &&
            take(state, node)) /* a hint too */
            return node;
    return NULL;
}

/* The node is taken and filled in. 0: the future has ended, and the node was fired meanwhile. */
static int set_target(weft__node *node, uintptr_t target)
{
    uintptr_t taken = WEFT__NODE_TAKEN;
    /* edge future.arm (release): what is in the node, for whoever fires it
     * edge future.end (acquire): if it has been fired, the future is seen ended */
    return weft__cas_acq_rel(&node->target, &taken, target);
}

/* A node of one's own becomes the newest. */
static int push(weft__state *state, const weft__node *content)
{
    weft__later *later = weft__hook_alloc(sizeof *later);
    if (later == NULL)
        return -ENOMEM;
    later->node = *content;
    /* edge future.end (acquire): if it has ended, what is seen with that */
    uintptr_t seen = weft__load_acquire(&state->word);
    do {
        if (seen & WEFT__ENDED) {
            weft__hook_free(later);
            return 0;
        }
        later->next = weft__state_newest(state, seen);
        /* edge future.node (release): what is in the node
         * edge future.end (acquire): as above; also the older nodes, which later walks begin at */
    } while (!weft__cas_acq_rel(&state->word, &seen, WEFT__FLAGS(seen) | (uintptr_t)later));
    return 1;
}

int weft__state_call(weft__state *state, void (*call)(weft_future *future, void *arg), void *arg)
{
    int is_mine = 0;
    if (hang_first(state, &is_mine) & WEFT__ENDED)
        return 0;
    /* The oldest node will do only for a callback before which there was none. */
    if (is_mine && take(state, &state->first)) {
        state->first.with.call = call;
        state->first.of.arg = arg;
        return set_target(&state->first, WEFT__NODE_CALLBACK);
    }
    weft__node content = {.target = WEFT__NODE_CALLBACK, .with.call = call, .of.arg = arg};
    return push(state, &content);
}

int weft__state_arm(weft__state *state, uintptr_t target, size_t index)
{
    int is_mine = 0;
    uintptr_t seen = hang_first(state, &is_mine);
    if (seen & WEFT__ENDED)
        return 0;
    weft__node *node = take_idle(state, weft__state_newest(state, seen));
    if (node != NULL) {
        node->of.index = index;
        return set_target(node, target);
    }
    weft__node content = {.target = target, .of.index = index};
    return push(state, &content);
}

unsigned weft__state_disarm(weft__state *state, uintptr_t target)
{
    unsigned count = 0;
    /* edge future.node (acquire): the nodes that are about to be walked */
    weft__node *node = weft__state_newest(state, weft__load_acquire(&state->word));
    for (; node != NULL; node = weft__state_older(state, node)) {
        uintptr_t seen = target;
        /* relaxed: a hint; nobody else arms or disarms for this group
         * edge future.idle (release): we are done with the node */
        if (weft__load_relaxed(&node->target) != target ||
            !weft__cas_release(&node->target, &seen, WEFT__NODE_IDLE))
            continue;
        weft__fetch_add_relaxed(&state->idle, 1); /* relaxed: a hint */
        count++;
    }
    return count;
}
