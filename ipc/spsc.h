/* SPDX-License-Identifier: BSD-2-Clause */
/* spsc.h — one producer, one consumer: two positions, no compare-and-swap, and an echo.
 *
 *     producer at t                                consumer at h
 *     1  t < limit? (head + capacity, as seen)     1  h < limit? (tail, as seen)
 *     2  write the element                         2  read the element
 *     3  echo[t % 2] = the element, if it is small 3  head = h + 1
 *     4  tail = t + 1, and whether it has an echo
 *
 * Nothing but the positions tells what is there, so elements lie side by side, and a side looks at
 * the other's position only when it has come to its limit, which is what the last look allowed. A
 * cache line moves once for all elements in it.
 *
 * A consumer that waits would fetch two lines for the next element: tail's, then the element's. So
 * a small one stands on tail's line once more. Whoever finds tail at h + 1 takes the echo. The
 * producer may write over it meanwhile, but with the element h + 2, so it has moved tail before;
 * the consumer looks at tail once more, and if it has moved, reads the element where it lies.
 *
 * A producer that is killed before 4 has sent nothing. A consumer killed between 2 and 3 has
 * perhaps used the message; the next one gets it once more.
 *
 * Who is the producer is one word in shared memory, a member; another one may take its place after
 * it has been proved dead, or has left. The same for the consumer. */
#ifndef WEFT_IPC_SPSC_H
#define WEFT_IPC_SPSC_H

#include "ring.h"

#include "hooks.h"

#include <errno.h>
#include <string.h>

/* One side as its process sees it. Only whoever plays the role touches it. */
typedef struct weft__spsc_side {
    uint64_t next;   /* the position this side has come to; below the limit, or equal to it */
    uint64_t limit;  /* up to here there was room, or were elements, at the last look */
    uint64_t seen;   /* consumer: tail, as it was read then */
    uint64_t found;  /* consumer: how many elements there were then */
    uint64_t doubts; /* consumer: positions below this one may have been delivered before */
} weft__spsc_side;

/* A look has shown that this side may go through so many positions. Here they begin at 0 again
 * after the last one: between two looks `next` may lie beyond it. */
WEFT__INLINE void weft__spsc_permit(weft__spsc_side *side, uint64_t count)
{
    side->next = WEFT__POSITION(side->next);
    side->limit = side->next + count;
}

/* ---- producer -------------------------------------------------------------------------------- */

/* How many positions may be filled from side->next on, of at most `most`; 0: full; -EPROTO. */
WEFT__INLINE int64_t weft__spsc_room(const weft__ring *ring, weft__spsc_side *side, uint64_t most)
{
    if (WEFT__UNLIKELY(side->next + most > side->limit)) {
        /* edge spsc.space (acquire): the consumer has read the elements below head. */
        uint64_t head = weft__load_acquire(&ring->control->head);
        uint64_t used = weft__ring_distance(head, side->next);
        if (used > ring->mask + 1)
            return -EPROTO;
        weft__spsc_permit(side, ring->mask + 1 - used);
    }
    uint64_t room = side->limit - side->next;
    return (int64_t)(room < most ? room : most);
}

/* Everything below `next` is complete, and that is what tail says from now on. */
WEFT__INLINE void weft__spsc_advance(weft__shm_control *control, weft__spsc_side *side,
                                     uint64_t next, uint64_t tail)
{
    side->next = next;
    /* edge spsc.tail (release): the elements below it, and the echo of the last */
    weft__store_release(&control->tail, tail);
    WEFT_CRASH_POINT(61);
}

/* Some elements from side->next on are complete, and have no echo. */
WEFT__INLINE void weft__spsc_tell_many(const weft__ring *ring, weft__spsc_side *side,
                                       uint64_t count)
{
    uint64_t next = side->next + count;
    weft__spsc_advance(ring->control, side, next, WEFT__POSITION(next));
}

/* The element at side->next is complete, and it is this one. */
WEFT__INLINE void weft__spsc_tell(const weft__ring *ring, weft__spsc_side *side, const void *elem,
                                  size_t bytes)
{
    weft__shm_control *control = ring->control;
    uint64_t next = side->next;
    uint64_t words[WEFT__ECHO_BYTES / 8] = {0};
    if (bytes > sizeof words) {
        weft__spsc_tell_many(ring, side, 1);
        return;
    }
    memcpy(words, elem, bytes);
    for (size_t i = 0; 8 * i < bytes; i++) {
        /* edge spsc.echo (release): tail has passed the element whose echo this one replaces. */
        weft__store_release(&control->echo[next & 1][i], words[i]);
    }
    WEFT_CRASH_POINT(60);
    /* Beyond the last position that bit is there already. */
    weft__spsc_advance(control, side, next + 1, (next + 1) | WEFT__ECHO);
}

/* ---- consumer -------------------------------------------------------------------------------- */

/* How many elements are there from side->next on, of at most `most`; 0: empty; -EPROTO. */
WEFT__INLINE int64_t weft__spsc_ready(const weft__ring *ring, weft__spsc_side *side, uint64_t most)
{
    if (side->next + most > side->limit) {
        /* edge spsc.tail (acquire): the elements below it */
        side->seen = weft__load_acquire(&ring->control->tail);
        uint64_t ready = weft__ring_distance(side->next, side->seen);
        if (ready > ring->mask + 1)
            return -EPROTO;
        side->found = ready;
        weft__spsc_permit(side, ready);
    }
    uint64_t ready = side->limit - side->next;
    return (int64_t)(ready < most ? ready : most);
}

/* Take the element at side->next from its echo: 1, or 0, it has to be read where it lies. */
WEFT__INLINE int weft__spsc_hear(const weft__ring *ring, const weft__spsc_side *side, void *elem,
                                 size_t bytes)
{
    const uint64_t *echo = ring->control->echo[side->next & 1];
    uint64_t words[WEFT__ECHO_BYTES / 8];
    if (side->seen != (WEFT__POSITION(side->next + 1) | WEFT__ECHO) || bytes > sizeof words)
        return 0;
    for (size_t i = 0; 8 * i < bytes; i++) {
        /* edge spsc.echo (acquire): another element's: then tail is seen moved */
        words[i] = weft__load_acquire(&echo[i]);
    }
    if (weft__load_relaxed(&ring->control->tail) != side->seen) /* relaxed: edge spsc.echo */
        return 0;
    memcpy(elem, words, bytes);
    return 1;
}

/* So many elements from side->next on have been read. */
WEFT__INLINE void weft__spsc_release(const weft__ring *ring, weft__spsc_side *side, uint64_t count)
{
    weft__shm_control *control = ring->control;
    uint64_t next = side->next + count;
    side->next = next;
    /* edge spsc.space (release): the elements have been read before they are overwritten. */
    weft__store_release(&control->head, WEFT__POSITION(next));
    WEFT_CRASH_POINT(62);
}

/* ---- roles ----------------------------------------------------------------------------------- */

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

/* Where to begin as producer, given the role: 0 or -EPROTO. */
WEFT__INLINE int weft__spsc_begin_push(const weft__ring *ring, weft__spsc_side *side)
{
    /* edge spsc.tail (acquire): whatever is written over has been passed by its writer. */
    side->next = WEFT__POSITION(weft__load_acquire(&ring->control->tail));
    side->limit = side->next;
    int64_t room = weft__spsc_room(ring, side, 1);
    return room < 0 ? (int)room : 0;
}

/* Where to begin as consumer, given the role; `is_heir`: whoever had it died. 0 or -EPROTO. */
WEFT__INLINE int weft__spsc_begin_pop(const weft__ring *ring, weft__spsc_side *side, int is_heir)
{
    /* edge spsc.space (acquire): what the last consumer has released */
    side->next = WEFT__POSITION(weft__load_acquire(&ring->control->head));
    side->limit = side->next;
    int64_t ready = weft__spsc_ready(ring, side, 1);
    /* What is there now, a predecessor may have read; nothing else. */
    side->doubts = is_heir ? side->seen : side->next;
    return ready < 0 ? (int)ready : 0;
}

/* Whether the element at side->next may have been delivered before. */
WEFT__INLINE int weft__spsc_is_doubtful(const weft__spsc_side *side)
{
    return weft__ring_is_progress(side->next, side->doubts);
}

#endif
