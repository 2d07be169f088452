/* SPDX-License-Identifier: BSD-2-Clause */
/* waitq.h — the queue in which waiters of every primitive stand.
 *
 *     word_    [ the primitive's own state … | QUEUED | BUSY ]
 *     first_   a ring of sleepers, longest waiter first
 *
 * One word holds the state of a primitive and says whether anybody waits for it. While nobody does,
 * every operation is one compare-and-swap on that word and the ring is not looked at. Otherwise a
 * thread sets BUSY, which makes the whole structure its own, changes what it has to, and ends that
 * with one store of the new word: a lock, if one held for a bounded handful of instructions,
 * without a wake, a switch, a system call or a callback inside. All swaps on the word fail while it
 * is BUSY.
 *
 * Whoever waits lies in the ring with a sleeper in its own frame, so waiting needs no memory. It
 * leaves the ring in one of two ways. A waker takes it out, and from then on owes it exactly one
 * wake, which is given after BUSY is cleared: the primitive is not touched behind that, since
 * whoever goes on may free it. Or it gives up and takes itself out, from the middle if need be.
 * Both happen under BUSY, so they cannot both happen; whoever gives up and finds itself taken out
 * waits for the wake that is on its way, and has got what it waited for.
 *
 * All sleepers are taken out at once by counting `epoch_` up: a sleeper belongs to the ring if its
 * ticket names the current epoch. So a set event with a million waiters is BUSY no longer than one
 * with a single waiter.
 *
 * Rejected: a lock-free list of waiters. Taking one out of its middle needs marks, helpers and a
 * way to say when a frame may be left, which costs each wait more than the few instructions of
 * BUSY; and a hand-over changes the list and the state together, which one word cannot hold. */
#ifndef WEFT_SYNC_WAITQ_H
#define WEFT_SYNC_WAITQ_H

#include <weft/atomic.h>
#include <weft/sync.h>

#include "hooks.h"
#include "sched/worker.h"

#define WEFT__BUSY ((uint32_t)1)
#define WEFT__QUEUED ((uint32_t)2)

/* The primitives' own bits begin here. */
#define WEFT__BIT(n) ((uint32_t)4 << (n))

/* A place in a queue. What the ring needs belongs to the holder of BUSY while the sleeper is in it,
 * then to the waker until its wake. */
typedef struct weft__sleeper {
    weft__waitq *queue;             /* where it waits, if it has to; constant */
    weft__waiter *waiter;           /* whom to wake; several sleepers may share one */
    struct weft__sleeper *next;     /* in the ring, or in a chain of those to be woken */
    struct weft__sleeper *previous; /* in the ring */
    uint32_t ticket;                /* that of the current epoch: in the ring */
    int result;                     /* what the waker, or the commit, has to say */
} weft__sleeper;

/* Wait until the queue is not BUSY, which takes a moment. */
void weft__waitq_pause(const weft__waitq *queue);

/* The word, at a moment when it is not BUSY: what a fast path swaps. */
WEFT__INLINE uint32_t weft__waitq_look(const weft__waitq *queue)
{
    for (;;) {
        uint32_t seen = weft__load_relaxed(&queue->word_); /* relaxed: a swap decides */
        if (!(seen & WEFT__BUSY))
            return seen;
        weft__waitq_pause(queue);
    }
}

/* Make the queue and the primitive's state the caller's. Returns the word, without BUSY. */
WEFT__INLINE uint32_t weft__waitq_lock(weft__waitq *queue)
{
    for (;;) {
        uint32_t seen = weft__waitq_look(queue);
        /* edge waitq.busy (acquire): what the last holder, or swap, has left */
        if (weft__cas_acquire(&queue->word_, &seen, seen | WEFT__BUSY))
            return seen;
    }
}

/* Give them back; `state` is the new word, in which QUEUED is set right. The last touch. */
WEFT__INLINE void weft__waitq_unlock(weft__waitq *queue, uint32_t state)
{
    state = (state & ~WEFT__QUEUED) | (queue->first_ != NULL ? WEFT__QUEUED : 0);
    /* edge waitq.busy (release): the ring, the state, and all that they stand for */
    weft__store_release(&queue->word_, state);
}

/* As unlock, for a primitive that has two rings under one word. */
WEFT__INLINE void weft__waitq_unlock_both(weft__waitq *queue, const weft__waitq *other,
                                          uint32_t state)
{
    int is_queued = queue->first_ != NULL || other->first_ != NULL;
    state = (state & ~WEFT__QUEUED) | (is_queued ? WEFT__QUEUED : 0);
    /* edge waitq.busy (release): as in unlock */
    weft__store_release(&queue->word_, state);
}

/* ---- under BUSY ------------------------------------------------------------------------------ */

WEFT__INLINE weft__sleeper *weft__waitq_first(const weft__waitq *queue)
{
    return (weft__sleeper *)queue->first_;
}

/* Odd, so that zero is no ticket. */
WEFT__INLINE uint32_t weft__waitq_ticket(const weft__waitq *queue)
{
    return queue->epoch_ << 1 | 1;
}

WEFT__INLINE int weft__waitq_has(const weft__sleeper *sleeper)
{
    return sleeper->ticket == weft__waitq_ticket(sleeper->queue);
}

/* Put a sleeper behind all others. */
WEFT__INLINE void weft__waitq_append(weft__sleeper *sleeper)
{
    weft__waitq *queue = sleeper->queue;
    weft__sleeper *first = weft__waitq_first(queue);
    sleeper->ticket = weft__waitq_ticket(queue);
    if (first == NULL) {
        sleeper->next = sleeper->previous = sleeper;
        queue->first_ = sleeper;
        return;
    }
    weft__sleeper *last = first->previous;
    sleeper->next = first;
    sleeper->previous = last;
    last->next = sleeper;
    first->previous = sleeper;
}

/* Put it in front of them. */
WEFT__INLINE void weft__waitq_prepend(weft__sleeper *sleeper)
{
    weft__waitq_append(sleeper);
    sleeper->queue->first_ = sleeper; /* the ring is the same, it begins one earlier */
}

/* Take a sleeper out. */
WEFT__INLINE void weft__waitq_remove(weft__sleeper *sleeper)
{
    weft__waitq *queue = sleeper->queue;
    weft__sleeper *next = sleeper->next;
    weft_assert(weft__waitq_has(sleeper));
    sleeper->previous->next = next;
    next->previous = sleeper->previous;
    if (queue->first_ == sleeper)
        queue->first_ = next != sleeper ? next : NULL;
    sleeper->ticket = 0;
    sleeper->next = NULL;
}

/* Take the longest waiter out; NULL: there is none. */
WEFT__INLINE weft__sleeper *weft__waitq_take(weft__waitq *queue)
{
    weft__sleeper *first = weft__waitq_first(queue);
    if (first != NULL)
        weft__waitq_remove(first);
    return first;
}

/* Take up to *count out: a chain linked by `next`, longest waiter first. *count is what is left. */
WEFT__INLINE weft__sleeper *weft__waitq_take_some(weft__waitq *queue, size_t *count)
{
    weft__sleeper *first = *count > 0 ? weft__waitq_take(queue) : NULL;
    for (weft__sleeper *last = first; last != NULL && --*count > 0; last = last->next)
        last->next = weft__waitq_take(queue);
    return first;
}

/* Take all out: a chain as well. */
weft__sleeper *weft__waitq_take_all(weft__waitq *queue);

/* ---- not under BUSY -------------------------------------------------------------------------- */

/* Wake a sleeper that has been taken out, and tell it `result`. Its frame may be gone at return. */
WEFT__INLINE void weft__waitq_wake_one(weft__sleeper *sleeper, int result)
{
    sleeper->result = result;
    weft__wake(sleeper->waiter);
}

/* The same for a chain of them. */
WEFT__INLINE void weft__waitq_wake(weft__sleeper *chain, int result)
{
    while (chain != NULL) {
        weft__sleeper *next = chain->next; /* before the wake */
        weft__waitq_wake_one(chain, result);
        chain = next;
    }
}

/* Called when a wait is given up: take the sleeper back. Zero: a waker has it. */
typedef int weft__leave(void *arg);

/* Wait: `commit(waiter, arg)` puts `sleeper` into its queue, or answers 0. Returns the sleeper's
 * result, which is 0 unless a waker or the commit has set it; or why the wait was given up, and
 * then `leave(arg)` has taken the sleeper back. */
int weft__waitq_sleep_or_leave(weft__sleeper *sleeper, weft__commit *commit, weft__leave *leave,
                               void *arg, int64_t deadline_ns);

/* The same if leaving is nothing but that. */
int weft__waitq_sleep(weft__sleeper *sleeper, weft__commit *commit, int64_t deadline_ns);

/* The same for one who brings no sleeper: `commit(waiter, sleeper)` is given one, of `queue`. */
int weft__waitq_sleep_in(weft__waitq *queue, weft__commit *commit, int64_t deadline_ns);

/* The same for a wait that cannot be given up. */
int weft__waitq_sleep_on(weft__sleeper *sleeper, weft__commit *commit);

#endif
