/* SPDX-License-Identifier: BSD-2-Clause */
/* recover.c — the last will of a process that was killed inside a ring.
 *
 * A seat says which positions its owner was about to claim (mpmc.h). Its owner is dead. For each of
 * these positions, what has become of it?
 *
 *     not claimed by anybody         nothing: somebody else will
 *     producer; the word says FREE   claimed, not filled. By whom? If nobody alive intends it, by
 *     one
 *                                    who will never fill it: FREE → VOID, consumers pass over it
 *     consumer; the word says READY  taken, not released. By whom? If nobody alive intends it, by
 *     one
 *                                    who will never release it: READY → TAKEN by me, delivered
 *                                    again
 *     consumer; TAKEN by the dead    the same: it died while it took on from one that had died
 *     a pipe's producer; CLAIM       claimed by the dead, says the word itself: → VOID
 *     consumer; VOID                 passed over, but not yet free: VOID → FREE of the next lap
 *     anything else                  the dead had finished, or had lost the position to another
 *
 * Each change is a compare-and-swap from a word that names its position, and a position that was
 * abandoned stays so until it is changed. So it does not matter how old our knowledge is, how many
 * others do the same, or whether we are killed between any two steps.
 *
 * The order of looking decides: first that it is claimed, then all intents, then the word once
 * more. If the winner is alive, its intent was stored before the claim we have seen, so we see that
 * intent or a later one; and if a later one, then also what it has stored into the word before.
 *
 * Never: a seat freed while it may hold something; an intent cleared by anybody but its owner (the
 * next owner may have stored the same); a decision from a time-out. */
#include "recover.h"

#include "mpmc.h"
#include "pipe_ring.h"

/* Whether somebody alive may have claimed this position. */
static int is_intended(const weft__ring *ring, unsigned role, uint64_t position)
{
    for (uint32_t i = 0; i < ring->participants; i++) {
        weft__shm_seat *seat = &ring->seats[i];
        /* edge shm.seat (acquire): a seat that was taken before the claim is seen taken. */
        uint64_t owner = weft__load_acquire(&seat->owner);
        if (owner == 0 || weft__ring_member_is_dead(ring, owner))
            continue;
        /* edge ipc.intent (acquire): what its owner has completed before it said so. */
        uint64_t intent = weft__load_acquire(&seat->intent);
        uint64_t span = weft__load_acquire(&seat->span); /* edge ipc.intent (acquire): as above */
        if (WEFT__INTENT_ROLE(intent) == role &&
            ((position - WEFT__INTENT_POSITION(intent)) & (UINT64_MAX >> 2)) < span)
            return 1;
    }
    return 0;
}

/* What lies at a position after nobody alive was found to intend it. */
static uint64_t look_again(const weft__ring *ring, uint64_t position)
{
    /* edge ring.message (acquire): READY: the message, before it is delivered again */
    return weft__load_acquire(weft__ring_word(ring, position));
}

static int change(const weft__ring *ring, uint64_t position, uint64_t from, uint64_t to)
{
    /* edge ring.message (acq_rel): as look_again(), for what is taken on.
     * edge ring.space (release): a recoverer has read nothing here, its predecessor is dead. */
    int changed = weft__cas_acq_rel(weft__ring_word(ring, position), &from, to);
    WEFT_CRASH_POINT(50);
    return changed;
}

static int is_claimed(uint64_t limit, uint64_t position)
{
    return (int64_t)((limit << 2) - (position << 2)) > 0;
}

/* The dead was a producer of elements. */
static weft__settled settle_push(const weft__ring *ring, uint64_t first, uint64_t span,
                                 weft__heir *heir)
{
    /* edge ring.claim (acquire): the intents of all who have claimed up to here */
    uint64_t tail = weft__load_acquire(&ring->control->tail) & ~WEFT__CLOSED;
    for (uint64_t i = 0; i < span; i++) {
        uint64_t position = first + i;
        if (!is_claimed(tail, position) || look_again(ring, position) != WEFT__FREE(position))
            continue;
        if (is_intended(ring, WEFT__PRODUCER, position))
            return WEFT__UNDECIDED;
        if (look_again(ring, position) != WEFT__FREE(position))
            continue;
        heir->changes +=
            (unsigned)change(ring, position, WEFT__FREE(position), WEFT__VOID(position));
    }
    return WEFT__SETTLED;
}

/* The dead was a producer of messages, whose claim stands in the word itself (pipe_ring.h). */
static weft__settled settle_send(const weft__ring *ring, uint32_t dead, uint64_t first,
                                 uint64_t span, weft__heir *heir)
{
    uint64_t claim = WEFT__CLAIM(first, dead);
    if (look_again(ring, first) != claim)
        return WEFT__SETTLED; /* not won, or complete */
    if (!weft__pipe_advance(ring, first, span)) {
        (void)change(ring, first, claim, WEFT__FREE(first)); /* closed before it counted */
        return WEFT__SETTLED;
    }
    for (uint64_t i = span; i-- > 1;)
        (void)change(ring, first + i, WEFT__FREE(first + i), WEFT__VOID(first + i));
    heir->changes += (unsigned)change(ring, first, claim, WEFT__VOID(first));
    return WEFT__SETTLED;
}

/* A word that its dead consumer has left at a position: to be changed, or not. */
static int is_left(uint64_t word, uint64_t position, uint32_t dead)
{
    return word == WEFT__READY(position) || word == WEFT__VOID(position) ||
           word == WEFT__TAKEN(position, dead);
}

/* Whether the heir can take a message of this length. */
static int is_welcome(const weft__ring *ring, uint64_t position, weft__heir *heir)
{
    if (heir->seat == WEFT__NO_SEAT)
        return 0;
    if (!ring->is_pipe)
        return 1;
    uint64_t prefix = weft__pipe_prefix(ring, position);
    if (prefix == 0 || WEFT__MESSAGE_BYTES(prefix) <= heir->most)
        return 1;
    heir->too_long++;
    return 0;
}

/* One position of a dead consumer. */
static weft__settled settle_pop(const weft__ring *ring, uint64_t position, uint32_t dead,
                                weft__heir *heir)
{
    uint64_t word = look_again(ring, position);
    if (!is_left(word, position, dead))
        return WEFT__SETTLED;
    if (is_intended(ring, WEFT__CONSUMER, position))
        return WEFT__UNDECIDED;
    word = look_again(ring, position);
    if (!is_left(word, position, dead))
        return WEFT__SETTLED;
    if (word == WEFT__VOID(position)) {
        heir->changes +=
            (unsigned)change(ring, position, word, WEFT__FREE(position + ring->mask + 1));
        return WEFT__SETTLED;
    }
    if (!is_welcome(ring, position, heir))
        return WEFT__WAITING;
    weft__intend(&ring->seats[heir->seat], WEFT__INTENT(WEFT__CONSUMER, position), 1);
    if (change(ring, position, word, WEFT__TAKEN(position, heir->seat))) {
        heir->position = position;
        return WEFT__TAKEN_ON;
    }
    weft__intend_nothing(&ring->seats[heir->seat]);
    return WEFT__UNDECIDED;
}

static weft__settled settle_pops(const weft__ring *ring, uint32_t dead, uint64_t first,
                                 uint64_t span, weft__heir *heir)
{
    /* edge ring.claim (acquire): the intents of all who have claimed up to here */
    uint64_t head = weft__load_acquire(&ring->control->head);
    weft__settled worst = WEFT__SETTLED;
    for (uint64_t i = 0; i < span && is_claimed(head, first + i); i++) {
        weft__settled one = settle_pop(ring, first + i, dead, heir);
        if (one == WEFT__TAKEN_ON)
            return one;
        if (one != WEFT__SETTLED && worst != WEFT__UNDECIDED)
            worst = one;
    }
    return worst;
}

static weft__settled settle(const weft__ring *ring, uint32_t dead, weft__heir *heir)
{
    uint64_t intent = weft__load_relaxed(&ring->seats[dead].intent); /* relaxed: dead, see caller */
    uint64_t span = weft__load_relaxed(&ring->seats[dead].span);     /* relaxed: as above */
    uint64_t first = WEFT__INTENT_POSITION(intent);
    if (span > ring->mask + 1)
        span = ring->mask + 1; /* damaged */
    if (WEFT__INTENT_ROLE(intent) == WEFT__CONSUMER)
        return settle_pops(ring, dead, first, span, heir);
    if (WEFT__INTENT_ROLE(intent) != WEFT__PRODUCER)
        return WEFT__SETTLED;
    return ring->is_pipe ? settle_send(ring, dead, first, span, heir)
                         : settle_push(ring, first, span, heir);
}

weft__settled weft__recover(const weft__ring *ring, weft__heir *heir)
{
    weft__settled worst = WEFT__SETTLED;
    for (uint32_t i = 0; i < ring->participants; i++) {
        /* edge shm.seat (acquire): the seat as its last owner found it */
        uint64_t owner = weft__load_acquire(&ring->seats[i].owner);
        if (owner == 0 || !weft__ring_member_is_dead(ring, owner))
            continue;
        weft__settled one = settle(ring, i, heir);
        if (one == WEFT__TAKEN_ON)
            return one;
        if (one == WEFT__SETTLED) {
            /* edge shm.seat (release): all it held is settled before somebody else takes it. */
            (void)weft__cas_acq_rel(&ring->seats[i].owner, &owner, 0);
            WEFT_CRASH_POINT(51);
        } else if (worst != WEFT__UNDECIDED) {
            worst = one;
        }
    }
    return worst;
}
