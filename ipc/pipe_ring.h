/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe_ring.h — how a message claims its granules, and how long it is.
 *
 *     producer at position t, n granules              anybody else at tail == t
 *     1  words t … t + n - 1 all FREE?                word[t] is CLAIM by seat s?
 *     2  span[me] = n, intent[me] = PRODUCER, t         n = span[s]; word[t] still the same?
 *     3  word[t]: FREE(t) → CLAIM(t, me)                tail: t → t + n
 *     4  tail: t → t + n, unless somebody did
 *     5  write the message
 *     6  word[t] = READY(t)
 *
 * Elements are claimed by moving tail (mpmc.h), and if two who wanted position p are dead, it does
 * not matter which of them had won: one slot is at stake. Two messages at p are of different
 * lengths, and where the lost one would have ended others may be by now; nobody could tell how
 * much to annul. So the winner of a message is written where it is won. That is one more
 * compare-and-swap for each message, and recovery needs no scan.
 *
 * Only the first word of a message tells of it; the others stay FREE until they are released. */
#ifndef WEFT_IPC_PIPE_RING_H
#define WEFT_IPC_PIPE_RING_H

#include "mpmc.h"

WEFT__INLINE uint64_t weft__pipe_granules(uint64_t bytes)
{
    return (bytes + WEFT__MESSAGE_PREFIX + WEFT__GRANULE - 1) / WEFT__GRANULE;
}

WEFT__INLINE uint64_t *weft__pipe_prefix_at(const weft__ring *ring, uint64_t position)
{
    return (uint64_t *)(void *)weft__ring_element(ring, position);
}

/* A message's prefix, or 0 if no message can have such a one there. It is read once, and judged. */
WEFT__INLINE uint64_t weft__pipe_prefix(const weft__ring *ring, uint64_t position)
{
    /* relaxed: edge ring.message; atomic, because a claim that fails may have read what is being
     * written over */
    uint64_t prefix = weft__load_relaxed(weft__pipe_prefix_at(ring, position));
    uint64_t granules = WEFT__MESSAGE_GRANULES(prefix);
    uint64_t room = ring->mask + 1 - (position & ring->mask);
    if (granules == 0 || granules > room ||
        weft__pipe_granules(WEFT__MESSAGE_BYTES(prefix)) > granules)
        return 0;
    return prefix;
}

/* Count a claim that stands in its word: nonzero unless the pipe was closed first. */
WEFT__INLINE int weft__pipe_advance(const weft__ring *ring, uint64_t position, uint64_t granules)
{
    uint64_t tail = position;
    /* edge ring.claim (acq_rel): whoever sees the tail past a claim sees the claim. */
    if (weft__cas_acq_rel(&ring->control->tail, &tail, position + granules))
        return 1;
    WEFT_CRASH_POINT(82);
    return tail != (position | WEFT__CLOSED);
}

/* Somebody else's claim stands at tail and is not counted yet: count it. */
WEFT__INLINE void weft__pipe_help(const weft__ring *ring, uint64_t tail, uint64_t word)
{
    uint32_t seat = WEFT__TAKEN_SEAT(word);
    if (seat >= ring->participants || word != WEFT__CLAIM(tail, seat))
        return;
    /* edge ipc.intent (acquire): the span that was stored before the claim, or a later one */
    uint64_t span = weft__load_acquire(&ring->seats[seat].span);
    /* edge ring.message (acquire): unchanged: its owner is still at it, so is the span. */
    if (weft__load_acquire(weft__ring_word(ring, tail)) != word || span > ring->mask + 1)
        return;
    (void)weft__pipe_advance(ring, tail, span);
}

/* Try to claim n granules at tail: 1; 0: others were faster; -EPIPE: closed meanwhile. */
WEFT__INLINE int weft__pipe_try(const weft__ring *ring, uint32_t seat, uint64_t tail, uint64_t n)
{
    uint64_t word = WEFT__FREE(tail);
    weft__intend(&ring->seats[seat], WEFT__INTENT(WEFT__PRODUCER, tail), n);
    /* edge ring.message (release): the span, for whoever sees the claim.
     * edge ring.space (acquire): as in weft__ring_run() */
    if (!weft__cas_acq_rel(weft__ring_word(ring, tail), &word, WEFT__CLAIM(tail, seat)))
        return 0;
    WEFT_CRASH_POINT(83);
    if (weft__pipe_advance(ring, tail, n))
        return 1;
    /* edge ring.message (release): nothing has happened. */
    weft__store_release(weft__ring_word(ring, tail), WEFT__FREE(tail));
    return -EPIPE;
}

/* The claimed granules from `position` on are too few for the message: annul them. */
WEFT__INLINE void weft__pipe_skip(const weft__ring *ring, uint64_t position, uint64_t granules)
{
    weft__mpmc_annul(ring, position, granules);
}

/* Claim n granules in a row. Returns 1, from *position on; -EAGAIN: full; -EPIPE: closed; -EPROTO:
 * damaged. */
WEFT__INLINE int64_t weft__pipe_claim(const weft__ring *ring, uint32_t seat, uint64_t n,
                                      uint64_t *position)
{
    int64_t rc = -EPROTO;
    for (unsigned tries = 0; tries < WEFT__TRIES_MAX; tries++) {
        /* edge ring.claim (acquire): the claims below it */
        uint64_t tail = weft__load_acquire(&ring->control->tail);
        if (tail & WEFT__CLOSED) {
            rc = -EPIPE;
            break;
        }
        uint64_t room = ring->mask + 1 - (tail & ring->mask);
        uint64_t wanted =
            room < n ? room : n; /* a rest that is too short is claimed and annulled */
        uint64_t run = weft__ring_run(ring, tail, wanted, 0);
        if (run == wanted) {
            int won = weft__pipe_try(ring, seat, tail, wanted);
            if (won > 0 && wanted == n) {
                *position = tail;
                return 1;
            }
            if (won > 0)
                weft__pipe_skip(ring, tail, wanted);
            if (won < 0) {
                rc = won;
                break;
            }
            continue;
        }
        /* edge ring.message (acquire): a claim, and the span before it */
        uint64_t word = weft__load_acquire(weft__ring_word(ring, tail));
        weft__pipe_help(ring, tail, word);
        if (weft__load_relaxed(&ring->control->tail) == tail) { /* relaxed: only compared */
            int refusal = weft__ring_refusal(ring, tail + run, &ring->control->tail, tail);
            if (refusal != 0) {
                rc = refusal;
                break;
            }
        }
        weft__relax();
    }
    weft__intend_nothing(&ring->seats[seat]);
    return rc;
}

#endif
