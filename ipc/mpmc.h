/* SPDX-License-Identifier: BSD-2-Clause */
/* mpmc.h — any number of producers and consumers, any of whom may be killed at any instruction.
 *
 *     producer at position t                   consumer at position h
 *     1  word[t] == FREE(t)?                   1  word[h] == READY(h)?
 *     2  intent[me] = PRODUCER, t              2  intent[me] = CONSUMER, h
 *     3  tail: t → t + 1                       3  head: h → h + 1
 *     4  write the element                     4  read the element
 *     5  word[t] = READY(t)                    5  word[h] = FREE(h + capacity)
 *
 * Between 3 and 5 a position belongs to somebody who may never come back. Who it was says the
 * intent: whoever wins position p at step 3 had said so at step 2, and says nothing else before
 * step 5 is done. So a position that is claimed (tail is past it) and not filled, and which nobody
 * alive intends to fill, has been abandoned, for ever; whoever sees that may make it VOID, and
 * consumers pass over it. The same holds for a message that was taken and not released: it is
 * delivered once more. recover.c does that.
 *
 * The intent lies on a line of its owner alone. It costs a store, and no other operation more than
 * the same ring without it.
 *
 * n positions at once are one intent with a span, one step 3, and n steps 5. */
#ifndef WEFT_IPC_MPMC_H
#define WEFT_IPC_MPMC_H

#include "ring.h"

#include "hooks.h"

#include <errno.h>

WEFT__INLINE void weft__intend(weft__shm_seat *seat, uint64_t intent, uint64_t span)
{
    if (weft__load_relaxed(&seat->span) != span) { /* relaxed: the owner's own */
        /* edge ipc.intent (release): the operation before is complete; as below */
        weft__store_release(&seat->span, span);
    }
    WEFT_CRASH_POINT(40);
    /* edge ipc.intent (release): whoever reads this one, or a later one, sees the word that the
     * operation before has stored last. A relaxed store could overtake it, and a live winner would
     * look like a loser. */
    weft__store_release(&seat->intent, intent);
    WEFT_CRASH_POINT(41);
}

/* Nothing is intended any more: a claim failed. An intent left standing would, if somebody else
 * who won that position dies, keep it from being recovered for as long as its owner sits still. */
WEFT__INLINE void weft__intend_nothing(weft__shm_seat *seat)
{
    /* edge ipc.intent (release): as in weft__intend() */
    weft__store_release(&seat->intent, 0);
}

/* How many positions from here, of at most `wanted`, have words in this phase. */
WEFT__INLINE uint64_t weft__ring_run(const weft__ring *ring, uint64_t position, uint64_t wanted,
                                     unsigned phase)
{
    uint64_t run = 0;
    while (run < wanted) {
        /* edge ring.message (acquire): READY: the element, before it is read.
         * edge ring.space (acquire): FREE: whoever had it before has read the last element. */
        uint64_t word = weft__load_acquire(weft__ring_word(ring, position + run));
        if (word != (WEFT__FREE(position + run) | phase))
            break;
        run++;
    }
    return run;
}

/* What it means that the slot of a position is not in the phase it should be, the position being
 * next on its side: -EAGAIN full or empty, -EPROTO damaged, 0 it is not next any more. */
WEFT__INLINE int weft__ring_refusal(const weft__ring *ring, uint64_t position, const uint64_t *side,
                                    uint64_t next)
{
    /* edge ring.message, ring.space (acquire): whatever has made it so has moved the side
     * before. */
    uint64_t word = weft__load_acquire(weft__ring_word(ring, position));
    if (WEFT__LIKELY(weft__ring_word_is_sane(ring, word, position)))
        return -EAGAIN;
    return weft__load_relaxed(side) == next ? -EPROTO : 0; /* relaxed: see the edge */
}

/* Claim between `least` and `most` positions to fill, which is 1 … capacity. Returns how many, from
 * *position on; -EAGAIN: full; -EPIPE: closed; -EPROTO: damaged. */
WEFT__INLINE int64_t weft__mpmc_claim_push(const weft__ring *ring, weft__shm_seat *seat,
                                           uint64_t least, uint64_t most, uint64_t *position)
{
    int intends = 0;
    int64_t rc = -EPROTO;
    uint64_t tail = weft__load_relaxed(&ring->control->tail); /* relaxed: the swap decides */
    for (unsigned tries = 0; tries < WEFT__TRIES_MAX; tries++) {
        if (WEFT__UNLIKELY(tail & WEFT__CLOSED)) {
            rc = -EPIPE;
            break;
        }
        uint64_t seen = tail;
        uint64_t run = weft__ring_run(ring, tail, most, 0);
        if (WEFT__LIKELY(run >= least)) {
            weft__intend(seat, WEFT__INTENT(WEFT__PRODUCER, tail), run);
            intends = 1;
            /* edge ring.claim (acq_rel): whoever sees the position claimed sees the intent. */
            if (WEFT__LIKELY(weft__cas_acq_rel(&ring->control->tail, &tail, tail + run))) {
                WEFT_CRASH_POINT(42);
                *position = seen;
                return (int64_t)run;
            }
        } else {
            tail = weft__load_relaxed(&ring->control->tail); /* relaxed: as above */
            if (tail == seen) {
                int refusal = weft__ring_refusal(ring, seen + run, &ring->control->tail, seen);
                if (refusal == 0)
                    continue;
                rc = refusal;
                break;
            }
        }
        if ((tail & WEFT__CLOSED) == 0 && !weft__ring_is_progress(seen, tail))
            break;
        weft__relax();
    }
    if (intends)
        weft__intend_nothing(seat);
    return rc;
}

/* The element at a claimed position is complete. */
WEFT__INLINE void weft__mpmc_publish(const weft__ring *ring, uint64_t position)
{
    /* edge ring.message (release): the element, for whoever reads READY. */
    weft__store_release(weft__ring_word(ring, position), WEFT__READY(position));
    WEFT_CRASH_POINT(43);
}

/* There will be no element at these claimed positions. The first one last: as long as its word says
 * FREE, a recoverer knows that the rest may be undone as well. */
WEFT__INLINE void weft__mpmc_annul(const weft__ring *ring, uint64_t position, uint64_t count)
{
    for (uint64_t i = count; i-- > 0;) {
        /* edge ring.message (release): as in publish, with nothing to see */
        weft__store_release(weft__ring_word(ring, position + i), WEFT__VOID(position + i));
        WEFT_CRASH_POINT(44);
    }
}

/* Claimed positions have been read: they may be filled for the next lap. The first one last, as
 * above: until then the message is delivered once more if its consumer dies. */
WEFT__INLINE void weft__mpmc_release(const weft__ring *ring, uint64_t position, uint64_t count)
{
    uint64_t lap = ring->mask + 1;
    for (uint64_t i = count; i-- > 0;) {
        /* edge ring.space (release): the element has been read before it is overwritten. */
        weft__store_release(weft__ring_word(ring, position + i), WEFT__FREE(position + i + lap));
        WEFT_CRASH_POINT(45);
    }
}

/* Try to move head past `count` positions that are READY or VOID: 1 or 0, and *head is anew. */
WEFT__INLINE int weft__mpmc_take(const weft__ring *ring, weft__shm_seat *seat, uint64_t *head,
                                 uint64_t count)
{
    weft__intend(seat, WEFT__INTENT(WEFT__CONSUMER, *head), count);
    uint64_t seen = *head;
    /* edge ring.claim (acq_rel): whoever sees the position claimed sees the intent. */
    int won = weft__cas_acq_rel(&ring->control->head, &seen, *head + count);
    WEFT_CRASH_POINT(46);
    if (!won)
        *head = seen;
    return won;
}

/* Nothing can be taken at `head`: empty for now, for ever, damaged, or 0 as
 * weft__ring_refusal(). */
WEFT__INLINE int weft__mpmc_empty(const weft__ring *ring, uint64_t head)
{
    /* edge ring.close (acquire): CLOSED: every push that was in time has claimed its position. */
    uint64_t tail = weft__load_acquire(&ring->control->tail);
    if (tail == (head | WEFT__CLOSED))
        return -EPIPE;
    return weft__ring_refusal(ring, head, &ring->control->head, head);
}

/* What to do about the word at head: how many positions to take, 0: nothing there. For pipes, from
 * the message's prefix, which says how many granules it has; -EPROTO. */
typedef int64_t weft__mpmc_measure(const weft__ring *ring, uint64_t head, uint64_t most);

WEFT__INLINE int64_t weft__mpmc_measure_elements(const weft__ring *ring, uint64_t head,
                                                 uint64_t most)
{
    return (int64_t)weft__ring_run(ring, head, most, 1);
}

/* Claim up to `most` positions to read, as `measure` says. Returns how many, from *position on;
 * -EAGAIN: empty; -EPIPE: empty and closed; -EPROTO: damaged; what else `measure` says. Passes over
 * positions that are VOID. */
WEFT__INLINE int64_t weft__mpmc_claim_pop(const weft__ring *ring, weft__shm_seat *seat,
                                          uint64_t most, weft__mpmc_measure *measure,
                                          uint64_t *position)
{
    int intends = 0;
    int64_t rc = -EPROTO;
    uint64_t head = weft__load_relaxed(&ring->control->head); /* relaxed: the swap decides */
    for (unsigned tries = 0; tries < WEFT__TRIES_MAX; tries++) {
        uint64_t seen = head;
        int64_t run = measure(ring, head, most);
        int is_void = 0;
        if (WEFT__UNLIKELY(run == 0)) {
            run = (int64_t)weft__ring_run(ring, head, ring->mask + 1, 2);
            is_void = 1;
        }
        if (WEFT__LIKELY(run > 0)) {
            intends = 1;
            if (WEFT__LIKELY(weft__mpmc_take(ring, seat, &head, (uint64_t)run))) {
                *position = seen;
                if (WEFT__LIKELY(!is_void))
                    return run;
                weft__mpmc_release(ring, seen, (uint64_t)run);
                head = seen + (uint64_t)run;
                continue;
            }
        } else {
            head = weft__load_relaxed(&ring->control->head); /* relaxed: as above */
            if (head == seen) {
                int64_t refusal = run < 0 ? run : weft__mpmc_empty(ring, head);
                if (refusal == 0)
                    continue;
                rc = refusal;
                break;
            }
        }
        if (!weft__ring_is_progress(seen, head))
            break;
        weft__relax();
    }
    if (intends)
        weft__intend_nothing(seat);
    return rc;
}

/* No push begins after this: 1 if it was open. What has been pushed can still be popped. */
WEFT__INLINE int weft__mpmc_close(const weft__ring *ring)
{
    uint64_t tail = weft__load_relaxed(&ring->control->tail); /* relaxed: the swap decides */
    for (unsigned tries = 0; tries < WEFT__TRIES_MAX; tries++) {
        if (tail & WEFT__CLOSED)
            return 0;
        /* edge ring.close (release): with what the closer has done before.
         * edge ring.claim (acq_rel): pushes have their position before, or see CLOSED. */
        if (weft__cas_acq_rel(&ring->control->tail, &tail, tail | WEFT__CLOSED))
            return 1;
    }
    return 0;
}

#endif
