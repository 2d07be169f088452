/* SPDX-License-Identifier: BSD-2-Clause */
/* spsc.h — one producer, one consumer: no compare-and-swap, and one cache line for each message.
 *
 *     producer at t                                consumer at h
 *     1  t - head < capacity? (a cached head)      1  word[t] == READY(h)?
 *     2  write the element                         2  read the element
 *     3  word[t] = READY(t)                        3  head = h + 1
 *     4  tail = t + 1
 *
 * The word lies beside its element, so the line that carries the message also says that it is
 * there. The consumer never writes to the slots; it tells of space by head, on a line of its own,
 * at which the producer looks once a lap. tail is for those who look in from outside, and for a
 * successor: a producer that dies between 3 and 4 has sent the message, and the next one begins
 * behind the last word that says READY. A consumer that dies between 2 and 3 has perhaps used the
 * message; the next one gets it once more.
 *
 * Who is the producer is one word in shared memory, a member; another one may take its place after
 * it has been proved dead, or has left. The same for the consumer. */
#ifndef WEFT_IPC_SPSC_H
#define WEFT_IPC_SPSC_H

#include "ring.h"

#include "hooks.h"

#include <errno.h>

/* One side as its process sees it. Only whoever plays the role touches it. */
typedef struct weft__spsc_side {
    uint64_t next;   /* tail or head: what this side has published */
    uint64_t seen;   /* producer: a head that was read */
    uint64_t doubts; /* consumer: positions below this one may have been delivered before */
} weft__spsc_side;

/* Producer: how many positions may be filled from side->next on, of at most `most`; 0: full,
 * -EPROTO. */
WEFT__INLINE int64_t weft__spsc_room(const weft__ring *ring, weft__spsc_side *side, uint64_t most)
{
    uint64_t capacity = ring->mask + 1;
    uint64_t used = side->next - side->seen;
    if (WEFT__UNLIKELY(capacity - used < most)) {
        /* edge spsc.space (acquire): the consumer has read the elements below head. */
        side->seen = weft__load_acquire(&ring->control->head);
        used = side->next - side->seen;
        if (used > capacity)
            return -EPROTO;
    }
    return (int64_t)(capacity - used < most ? capacity - used : most);
}

/* Producer: the element at `position` is complete. */
WEFT__INLINE void weft__spsc_publish(const weft__ring *ring, uint64_t position)
{
    /* edge ring.message (release): the element, for whoever reads READY. */
    weft__store_release(weft__ring_word(ring, position), WEFT__READY(position));
    WEFT_CRASH_POINT(60);
}

/* Producer: everything below `next` has been published. */
WEFT__INLINE void weft__spsc_advance(const weft__ring *ring, weft__spsc_side *side, uint64_t next)
{
    side->next = next;
    /* edge spsc.tail (release): the words below it, for a successor. */
    weft__store_release(&ring->control->tail, next);
    WEFT_CRASH_POINT(61);
}

/* Consumer: how many elements are there from side->next on, of at most `most`. */
WEFT__INLINE uint64_t weft__spsc_ready(const weft__ring *ring, const weft__spsc_side *side,
                                       uint64_t most)
{
    uint64_t run = 0;
    while (run < most) {
        /* edge ring.message (acquire): the element, before it is read. */
        uint64_t word = weft__load_acquire(weft__ring_word(ring, side->next + run));
        if (word != WEFT__READY(side->next + run))
            break;
        run++;
    }
    return run;
}

/* Consumer: everything below `next` has been read. */
WEFT__INLINE void weft__spsc_release(const weft__ring *ring, weft__spsc_side *side, uint64_t next)
{
    side->next = next;
    /* edge spsc.space (release): the elements have been read before they are overwritten. */
    weft__store_release(&ring->control->head, next);
    WEFT_CRASH_POINT(62);
}

/* Play a role: 0, it was free or ours; 1, inherited from somebody who died; -EBUSY: it is somebody
 * else's, alive. */
WEFT__INLINE int weft__spsc_take_role(const weft__ring *ring, uint64_t *role, uint64_t me)
{
    /* edge spsc.role (acquire): what the last one to play it has published */
    uint64_t holder = weft__load_acquire(role);
    uint64_t before = holder;
    if (holder == me)
        return 0;
    if (holder != 0 && !weft__ring_member_is_dead(ring, holder))
        return -EBUSY;
    /* edge spsc.role (acq_rel): one successor, after all that its predecessor has done */
    int won = weft__cas_acq_rel(role, &holder, me);
    WEFT_CRASH_POINT(63);
    return won ? before != 0 : -EBUSY;
}

/* Give it back, everything being done. */
WEFT__INLINE void weft__spsc_leave_role(uint64_t *role, uint64_t me)
{
    /* edge spsc.role (release): as above */
    (void)weft__cas_acq_rel(role, &me, 0);
}

/* Producer: where to begin, given the role. 0 or -EPROTO. */
WEFT__INLINE int weft__spsc_begin_push(const weft__ring *ring, weft__spsc_side *side)
{
    /* edge spsc.tail (acquire): the words below it */
    uint64_t next = weft__load_acquire(&ring->control->tail);
    /* edge spsc.space (acquire): as in room() */
    side->seen = weft__load_acquire(&ring->control->head);
    /* What a predecessor had sent without counting it, the consumer may have read already. */
    if (side->seen - next <= ring->mask + 1)
        next = side->seen;
    /* edge ring.message (acquire): as above, if not */
    while (next - side->seen <= ring->mask &&
           weft__load_acquire(weft__ring_word(ring, next)) == WEFT__READY(next))
        next++;
    if (next - side->seen > ring->mask + 1)
        return -EPROTO;
    weft__spsc_advance(ring, side, next);
    return 0;
}

/* Consumer: where to begin, given the role; `is_heir`: whoever had it died. 0 or -EPROTO. */
WEFT__INLINE int weft__spsc_begin_pop(const weft__ring *ring, weft__spsc_side *side, int is_heir)
{
    /* edge spsc.space (acquire): what the last consumer has released */
    side->next = weft__load_acquire(&ring->control->head);
    /* What is there now, a predecessor may have read; nothing else. */
    side->doubts = side->next;
    if (is_heir)
        side->doubts += weft__spsc_ready(ring, side, ring->mask + 1);
    return 0;
}

#endif
