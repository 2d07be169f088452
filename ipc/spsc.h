/* SPDX-License-Identifier: BSD-2-Clause */
/* spsc.h — one producer, one consumer: two positions, no compare-and-swap, and an echo.
 *
 *     producer at t                                consumer at h
 *     1  t - head < capacity? (a head seen before) 1  h < tail? (a tail seen before)
 *     2  write the element                         2  read the element
 *     3  echo[t % 2] = the element, if it is small 3  head = h + 1
 *     4  tail = t + 1, and whether it has an echo
 *
 * Nothing but the positions tells what is there, so elements lie side by side, and a side looks at
 * the other's position only when what it has seen says full or empty. A cache line moves once for
 * all elements in it.
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
    uint64_t next;   /* the position this side has come to */
    uint64_t seen;   /* the other side's head or tail, as it was read last */
    uint64_t doubts; /* consumer: positions below this one may have been delivered before */
} weft__spsc_side;

/* ---- producer -------------------------------------------------------------------------------- */

/* How many positions may be filled from side->next on, of at most `most`; 0: full; -EPROTO. */
WEFT__INLINE int64_t weft__spsc_room(const weft__ring *ring, weft__spsc_side *side, uint64_t most)
{
    uint64_t capacity = ring->mask + 1;
    uint64_t used = weft__ring_distance(side->seen, side->next);
    if (WEFT__UNLIKELY(capacity - used < most)) {
        /* edge spsc.space (acquire): the consumer has read the elements below head. */
        side->seen = weft__load_acquire(&ring->control->head);
        used = weft__ring_distance(side->seen, side->next);
        if (used > capacity)
            return -EPROTO;
    }
    return (int64_t)(capacity - used < most ? capacity - used : most);
}

/* Everything below `next` is complete. `echo`: WEFT__ECHO or 0. */
WEFT__INLINE void weft__spsc_advance(const weft__ring *ring, weft__spsc_side *side, uint64_t next,
                                     uint64_t echo)
{
    side->next = next;
    /* edge spsc.tail (release): the elements below it, and the echo of the last */
    weft__store_release(&ring->control->tail, WEFT__POSITION(next) | echo);
    WEFT_CRASH_POINT(61);
}

/* The element at side->next is complete, and it is this one. */
WEFT__INLINE void weft__spsc_tell(const weft__ring *ring, weft__spsc_side *side, const void *elem,
                                  size_t bytes)
{
    uint64_t *echo = ring->control->echo[side->next & 1];
    uint64_t words[WEFT__ECHO_BYTES / 8] = {0};
    if (bytes > sizeof words) {
        weft__spsc_advance(ring, side, side->next + 1, 0);
        return;
    }
    memcpy(words, elem, bytes);
    for (size_t i = 0; 8 * i < bytes; i++) {
        /* edge spsc.echo (release): tail has passed the element whose echo this one replaces. */
        weft__store_release(&echo[i], words[i]);
    }
    WEFT_CRASH_POINT(60);
    weft__spsc_advance(ring, side, side->next + 1, WEFT__ECHO);
}

/* ---- consumer -------------------------------------------------------------------------------- */

/* How many elements are there from side->next on, of at most `most`; 0: empty; -EPROTO. */
WEFT__INLINE int64_t weft__spsc_ready(const weft__ring *ring, weft__spsc_side *side, uint64_t most)
{
    uint64_t ready = weft__ring_distance(side->next, side->seen);
    if (ready < most) {
        /* edge spsc.tail (acquire): the elements below it */
        side->seen = weft__load_acquire(&ring->control->tail);
        ready = weft__ring_distance(side->next, side->seen);
        if (ready > ring->mask + 1)
            return -EPROTO;
    }
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

/* Everything below `next` has been read. */
WEFT__INLINE void weft__spsc_release(const weft__ring *ring, weft__spsc_side *side, uint64_t next)
{
    side->next = next;
    /* edge spsc.space (release): the elements have been read before they are overwritten. */
    weft__store_release(&ring->control->head, WEFT__POSITION(next));
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
    /* edge spsc.space (acquire): as in room() */
    side->seen = weft__load_acquire(&ring->control->head);
    return weft__ring_distance(side->seen, side->next) <= ring->mask + 1 ? 0 : -EPROTO;
}

/* Where to begin as consumer, given the role; `is_heir`: whoever had it died. 0 or -EPROTO. */
WEFT__INLINE int weft__spsc_begin_pop(const weft__ring *ring, weft__spsc_side *side, int is_heir)
{
    /* edge spsc.space (acquire): what the last consumer has released */
    side->next = WEFT__POSITION(weft__load_acquire(&ring->control->head));
    side->seen = side->next;
    int64_t ready = weft__spsc_ready(ring, side, ring->mask + 1);
    if (ready < 0)
        return (int)ready;
    /* What is there now, a predecessor may have read; nothing else. */
    side->doubts = side->next + (is_heir ? (uint64_t)ready : 0);
    return 0;
}

#endif
