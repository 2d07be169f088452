/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h — one word: how a future stands, who waits for it, and who still holds it.
 *
 *     newest node, or OWN │ NOTIFYING │ CLAIMED or LISTED │ ABANDONED │ state
 *
 * Whoever wants to hear of the end hangs a node into the word; whoever ends the future swaps the
 * new state in, after which no node is added, and fires those that are there. A node is never taken
 * off the list: who gives up waiting marks it idle, and the next one who comes uses it again. So
 * the list only grows, its links never change, and whoever holds the future may walk it. Nodes are
 * freed with the future; there are as many as there were waiters at one time, plus callbacks.
 *
 * The oldest node lies in the future itself. It has no link, since nothing comes behind it, and no
 * alignment of its own, since a bit in the word stands for its address: futures are small.
 *
 *     target   IDLE ──► TAKEN ──► group │ GROUP            by whoever waits; or case │ CASE
 *              group │ GROUP ──► IDLE                      given up, if not fired before
 *              any ──► FIRED                               by whoever ends the future, once
 *
 * Three keep a future alive: handles (counted in `handles`; none: ABANDONED), whoever fires its
 * nodes (NOTIFYING), and an executor in whose queue it lies although it was cancelled (LISTED).
 * Whoever takes the last of them away frees the future. Before its end nobody does: somebody will
 * run it.
 *
 * This file and group.h are the lock-free part of futures; tests/explore runs them as they are. */
#ifndef WEFT_FUTURES_STATE_H
#define WEFT_FUTURES_STATE_H

#include <weft/task.h>

/* The states. Those that have ended have the bit WEFT__ENDED. */
#define WEFT__PENDING ((uintptr_t)0)
#define WEFT__RUNNING ((uintptr_t)1)
#define WEFT__FINISHED ((uintptr_t)2)
#define WEFT__CANCELLED ((uintptr_t)3)
#define WEFT__ENDED ((uintptr_t)2)
#define WEFT__STATE(word) ((word) & (uintptr_t)3)

#define WEFT__ABANDONED ((uintptr_t)4)  /* no handle is left */
#define WEFT__CLAIMED ((uintptr_t)8)    /* RUNNING: somebody is about to complete the promise */
#define WEFT__LISTED ((uintptr_t)8)     /* CANCELLED: an executor's queue still lists it */
#define WEFT__NOTIFYING ((uintptr_t)16) /* ended: nodes are being fired, callbacks run */

#define WEFT__FLAGS(word) ((word) & (uintptr_t)31)
#define WEFT__NEWEST(word) ((word) & ~(uintptr_t)31) /* 0: there is no node */
#define WEFT__OWN_NODE ((uintptr_t)32)               /* as the newest: the first one */
#define WEFT__NODE_ALIGN ((uintptr_t)64)             /* of the others */

/* What a node's target is. */
#define WEFT__NODE_IDLE ((uintptr_t)0)
#define WEFT__NODE_TAKEN ((uintptr_t)1) /* somebody fills the node in */
#define WEFT__NODE_FIRED ((uintptr_t)2) /* final; for a callback with the next callback's address */
#define WEFT__NODE_CALLBACK ((uintptr_t)3) /* until fired: `call` and `arg` are set; see _keep() */
#define WEFT__NODE_GROUP ((uintptr_t)4)    /* with the address of a group: the node is armed */
#define WEFT__NODE_CASE ((uintptr_t)5)     /* with that of a select's case: likewise */
#define WEFT__TAG_OF(target) ((target) & (uintptr_t)7)

/* Somebody to be told of a future's end. */
typedef struct weft__node {
    uintptr_t target; /* see above */
    union {
        void (*call)(weft_future *future, void *arg); /* of a callback */
        struct weft__node
            *ready; /* of a fired group's node: in the group's list of ended futures */
    } with;
    union {
        void *arg;    /* of a callback */
        size_t index; /* of a group's node: the future's place in the group */
    } of;
} weft__node;

/* Any but the first. Lies at a multiple of WEFT__NODE_ALIGN. */
typedef struct weft__later {
    weft__node node;  /* first */
    weft__node *next; /* the next older one; constant once the node is in a list */
} weft__later;

/* In this order: whoever runs the future needs the word, and what follows the state. */
typedef struct weft__state {
    uint32_t handles; /* how many there are */
    int32_t idle;     /* nodes that may be used again; a hint */
    weft__node first; /* the oldest node; not in the list until somebody needs one */
    uintptr_t word;   /* see above */
} weft__state;

/* A future with one handle, pending. */
void weft__state_init(weft__state *state);

/* The newest node, of a word that was read with acquire, and the next older one; NULL: none. */
WEFT__INLINE weft__node *weft__state_newest(const weft__state *state, uintptr_t word)
{
    uintptr_t newest = WEFT__NEWEST(word);
    return newest == WEFT__OWN_NODE ? (weft__node *)(uintptr_t)&state->first : (weft__node *)newest;
}

WEFT__INLINE weft__node *weft__state_older(const weft__state *state, const weft__node *node)
{
    return node == &state->first ? NULL : ((const weft__later *)(const void *)node)->next;
}

/* Free all nodes but the first: nobody holds the future any more. */
void weft__state_destroy(weft__state *state);

/* How it stands; if it has ended, with everything that happened before. */
uintptr_t weft__state_look(const weft__state *state);

/* PENDING becomes RUNNING; zero: it has been cancelled. */
int weft__state_begin(weft__state *state) WEFT_NODISCARD;

/* A promise: PENDING, or RUNNING, becomes RUNNING and CLAIMED, and 0 is returned: the caller
 * completes it. Otherwise the word that forbids it. */
uintptr_t weft__state_claim(weft__state *state) WEFT_NODISCARD;

/* What is to be done after a future has ended. */
typedef enum weft__after {
    WEFT__AFTER_NOTHING, /* it may be gone already */
    WEFT__AFTER_FREE,    /* the caller frees it */
    WEFT__AFTER_CALLS,   /* the caller runs its callbacks, then drops NOTIFYING */
} weft__after;

/* RUNNING becomes FINISHED, and groups and cases are told. */
weft__after weft__state_finish(weft__state *state, int has_failed) WEFT_NODISCARD;

/* PENDING becomes CANCELLED and LISTED: 0, and groups are told. Or the word that forbids it. */
uintptr_t weft__state_cancel(weft__state *state, weft__after *after) WEFT_NODISCARD;

/* NOTIFYING, with callbacks: whoever has ended the future may keep the address of another one here,
 * or any multiple of 8, until he fires the callbacks. */
void weft__state_keep(weft__state *state, uintptr_t address);
uintptr_t weft__state_kept(const weft__state *state);

/* NOTIFYING: fire the callbacks, and return them, oldest first. */
weft__node *weft__state_calls(weft__state *state) WEFT_NODISCARD;

/* The callback after this one. */
weft__node *weft__node_next_call(const weft__node *node);

/* Take LISTED or NOTIFYING away; nonzero: the caller frees the future. */
int weft__state_drop(weft__state *state, uintptr_t hold) WEFT_NODISCARD;

/* One handle more; one less, nonzero: the caller frees the future. */
void weft__state_retain(weft__state *state);
int weft__state_release(weft__state *state) WEFT_NODISCARD;

/* Hang a callback into the list, behind all that are there. 1: done. 0: the future has ended,
 * nothing was done. -ENOMEM. */
int weft__state_call(weft__state *state, void (*call)(weft_future *future, void *arg),
                     void *arg) WEFT_NODISCARD;

/* Arm a node for a group, or a case; the future has the place `index` in it. Returns as
 * weft__state_call(). */
int weft__state_arm(weft__state *state, uintptr_t target, size_t index) WEFT_NODISCARD;

/* Take the nodes of a group, or a case, back. Returns how many; the others have been fired, or are
 * about to be. */
unsigned weft__state_disarm(weft__state *state, uintptr_t target) WEFT_NODISCARD;

#endif
