/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.c — weft_queue: elements of one size over the rings of mpmc.h and spsc.h.
 *
 * Each call is an attempt, which does not wait, and what to do when it says -EAGAIN:
 * weft__queue_wait repeats it. The attempts of the two kinds of ring have one shape, so the calls
 * do not tell them apart. */
#include <weft/queue.h>

#include "bell.h"
#include "handle.h"
#include "hooks.h"
#include "mpmc.h"
#include "owner.h"
#include "spsc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- attempts -------------------------------------------------------------------------------- */

/* Elements to be copied in or out: what an attempt gets. */
typedef struct batch {
    char *elems;    /* to copy from or to */
    size_t count;   /* at most */
    unsigned flags; /* out */
} batch;

/* Eight bytes are what most queues of numbers and pointers carry; the rest is memcpy's. */
WEFT__INLINE void copy(void *to, const void *from, size_t bytes)
{
    if (bytes == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, bytes);
}

/* Copy a run of elements into (`is_in`) or out of their places, around the end if need be. */
static void copy_run(const weft_queue *queue, uint64_t position, char *elems, uint64_t count,
                     int is_in)
{
    const weft__ring *ring = &queue->ring;
    size_t bytes = queue->elem_bytes;
    uint64_t row = ring->stride == bytes ? ring->mask + 1 : 1; /* that can be copied at once */
    while (count > 0) {
        uint64_t rest = row - (position & (row - 1));
        uint64_t n = rest < count ? rest : count;
        char *place = weft__ring_element(ring, position);
        memcpy(is_in ? place : elems, is_in ? elems : place, n * bytes);
        position += n;
        elems += n * bytes;
        count -= n;
    }
}

static WEFT__NOINLINE int ring_one(weft__shm_bell *bell)
{
    weft__bell_ring(bell, 1);
    return 0;
}

WEFT__INLINE int op_seat(weft_queue *queue, weft__cause cause, int *is_borrowed)
{
    int seat = weft__seat_find(queue->segment, weft__thread_pointer(), cause);
    *is_borrowed = 0;
    return WEFT__LIKELY(seat >= 0) ? seat : weft__op_seat_slow(queue, cause, is_borrowed);
}

WEFT__INLINE int64_t mpmc_push(weft_queue *queue, const char *elems, uint64_t count)
{
    const weft__ring *ring = &queue->ring;
    uint64_t position = 0;
    int is_borrowed;
    int seat = op_seat(queue, WEFT__FOR_SPACE, &is_borrowed);
    if (WEFT__UNLIKELY(seat < 0))
        return seat;
    int64_t got = weft__mpmc_claim_push(ring, &ring->seats[seat], 1, count, &position);
    for (int64_t i = 0; i < got; i++) {
        copy(weft__ring_element(ring, position + (uint64_t)i),
             elems + (size_t)i * queue->elem_bytes, queue->elem_bytes);
        weft__mpmc_publish(ring, position + (uint64_t)i);
    }
    if (WEFT__LIKELY(got > 0))
        weft__bell_tell(&ring->control->data, (int)got);
    if (WEFT__UNLIKELY(is_borrowed))
        weft__op_done_slow(queue, seat);
    return got;
}

/* One element that somebody had taken and was killed with. */
static WEFT__NOINLINE int64_t mpmc_pop_again(weft_queue *queue, char *elems, unsigned *flags,
                                             int seat)
{
    const weft__ring *ring = &queue->ring;
    int64_t position = weft__queue_inherit(queue, (uint32_t)seat, UINT64_MAX);
    if (position < 0)
        return position;
    memcpy(elems, weft__ring_element(ring, (uint64_t)position), queue->elem_bytes);
    weft__mpmc_release(ring, (uint64_t)position, 1);
    *flags = WEFT_REDELIVERED;
    return 1;
}

WEFT__INLINE int64_t mpmc_pop(weft_queue *queue, char *elems, uint64_t count, unsigned *flags)
{
    const weft__ring *ring = &queue->ring;
    uint64_t position = 0;
    int is_borrowed;
    int seat = op_seat(queue, WEFT__FOR_DATA, &is_borrowed);
    if (WEFT__UNLIKELY(seat < 0))
        return seat;
    int64_t got = weft__mpmc_claim_pop(ring, &ring->seats[seat], count, weft__mpmc_measure_elements,
                                       &position);
    for (int64_t i = 0; i < got; i++) {
        copy(elems + (size_t)i * queue->elem_bytes,
             weft__ring_element(ring, position + (uint64_t)i), queue->elem_bytes);
        weft__mpmc_release(ring, position + (uint64_t)i, 1);
    }
    if (WEFT__UNLIKELY((got == -EAGAIN || got == -EPIPE) && weft__queue_has_dead(queue))) {
        int64_t again = mpmc_pop_again(queue, elems, flags, seat);
        got = again > 0 ? again : got;
    }
    if (WEFT__LIKELY(got > 0))
        weft__bell_tell(&ring->control->space, (int)got);
    if (WEFT__UNLIKELY(is_borrowed))
        weft__op_done_slow(queue, seat);
    return got;
}

/* Get a role: as weft__spsc_take_role(). Whoever seems to have it may have died unnoticed. */
static int spsc_inherit(weft_queue *queue, uint64_t *role, uint64_t me)
{
    int rc = weft__spsc_take_role(&queue->ring, role, me);
    if (rc != -EBUSY)
        return rc;
    (void)weft__members_look(queue->segment);
    return weft__spsc_take_role(&queue->ring, role, me);
}

/* Become the one who pushes, or who pops: 0, or why not. */
static WEFT__NOINLINE int spsc_begin(weft_queue *queue, int is_push)
{
    weft__shm_control *control = queue->ring.control;
    weft__part *part = is_push ? &queue->push : &queue->pop;
    uint64_t me = weft__member_self(queue->segment);
    if (me == 0)
        return -ENOMEM;
    int heir = spsc_inherit(queue, is_push ? &control->producer : &control->consumer, me);
    if (heir < 0)
        return heir;
    int rc = is_push ? weft__spsc_begin_push(&queue->ring, &part->side)
                     : weft__spsc_begin_pop(&queue->ring, &part->side, heir);
    if (rc == 0)
        part->member = me;
    part->is_open = 0;
    return rc;
}

WEFT__INLINE int spsc_play(weft_queue *queue, int is_push)
{
    const weft__part *part = is_push ? &queue->push : &queue->pop;
    if (WEFT__LIKELY(part->member == queue->segment->member && part->member != 0))
        return 0;
    return spsc_begin(queue, is_push);
}

/* Room for up to `most` elements: how many, or why there is none. */
WEFT__INLINE int64_t spsc_room(weft_queue *queue, uint64_t most)
{
    int rc = spsc_play(queue, 1);
    if (WEFT__UNLIKELY(rc != 0))
        return rc;
    if (WEFT__UNLIKELY(queue->push.is_open))
        return -EBUSY;
    /* edge ring.close (acquire): with what the closer had done before */
    if (WEFT__UNLIKELY(weft__load_acquire(&queue->ring.control->is_closed)))
        return -EPIPE;
    int64_t room = weft__spsc_room(&queue->ring, &queue->push.side, most);
    return WEFT__LIKELY(room != 0) ? room : -EAGAIN;
}

/* Given room. */
WEFT__INLINE void spsc_push_elem(weft_queue *queue, const void *elem, size_t bytes)
{
    const weft__ring *ring = &queue->ring;
    weft__spsc_side *side = &queue->push.side;
    memcpy(weft__ring_element(ring, side->next), elem, bytes);
    weft__spsc_tell(ring, side, elem, bytes);
}

static int64_t spsc_push(weft_queue *queue, const void *elem)
{
    int64_t room = spsc_room(queue, 1);
    if (room < 0)
        return room;
    spsc_push_elem(queue, elem, queue->elem_bytes);
    weft__bell_tell(&queue->ring.control->data, 1);
    return 1;
}

static int64_t spsc_push_n(weft_queue *queue, const char *elems, uint64_t count)
{
    const weft__ring *ring = &queue->ring;
    weft__spsc_side *side = &queue->push.side;
    int64_t room = spsc_room(queue, count);
    if (room < 0)
        return room;
    copy_run(queue, side->next, (char *)(uintptr_t)elems, (uint64_t)room, 1);
    weft__spsc_tell_many(ring, side, (uint64_t)room);
    weft__bell_tell(&ring->control->data, (int)room);
    return room;
}

/* Nothing is ready: empty for now, or for ever. */
static WEFT__NOINLINE int64_t spsc_empty(weft_queue *queue)
{
    /* edge ring.close (acquire): what was pushed before it was closed */
    uint32_t is_closed = weft__load_acquire(&queue->ring.control->is_closed);
    if (!is_closed || weft__spsc_ready(&queue->ring, &queue->pop.side, 1) != 0)
        return -EAGAIN;
    return -EPIPE;
}

WEFT__INLINE int64_t spsc_ready(weft_queue *queue, uint64_t most)
{
    int rc = spsc_play(queue, 0);
    if (WEFT__UNLIKELY(rc != 0))
        return rc;
    if (WEFT__UNLIKELY(queue->pop.is_open))
        return -EBUSY;
    int64_t ready = weft__spsc_ready(&queue->ring, &queue->pop.side, most);
    return WEFT__LIKELY(ready != 0) ? ready : spsc_empty(queue);
}

WEFT__INLINE unsigned spsc_flags(const weft_queue *queue)
{
    int is_doubtful = weft__spsc_is_doubtful(&queue->pop.side);
    return WEFT__UNLIKELY(is_doubtful) ? WEFT_REDELIVERED : 0;
}

/* Given an element that is ready: take it from its place. */
WEFT__INLINE void spsc_pop_elem(weft_queue *queue, void *elem, size_t bytes)
{
    const weft__ring *ring = &queue->ring;
    weft__spsc_side *side = &queue->pop.side;
    memcpy(elem, weft__ring_element(ring, side->next), bytes);
    WEFT_CRASH_POINT(64);
    weft__spsc_release(ring, side, 1);
}

/* A consumer that is as fast as its producer looks at tail after every few elements, and each look
 * takes the line away from the producer, who is about to write to it: the two then go at the pace
 * of that line. So whoever has found some elements lets more come before it looks again. Few are
 * no stream, and waiting for an answer is no stream: there a look comes at once. Many have paid for
 * the look. */
#define STREAM_MIN 8
#define STREAM_MAX 256
#define STREAM_RELAXES 8 /* some 0.2 µs */

WEFT__INLINE void spsc_let_come(const weft__spsc_side *side)
{
    int is_stream = side->found >= STREAM_MIN && side->found < STREAM_MAX;
    for (int i = 0; is_stream && side->next == side->limit && i < STREAM_RELAXES; i++)
        weft__relax();
}

static int64_t spsc_pop(weft_queue *queue, void *elem, unsigned *flags)
{
    spsc_let_come(&queue->pop.side);
    int64_t ready = spsc_ready(queue, 1);
    if (ready < 0)
        return ready;
    *flags = spsc_flags(queue);
    if (weft__spsc_hear(&queue->ring, &queue->pop.side, elem, queue->elem_bytes))
        weft__spsc_release(&queue->ring, &queue->pop.side, 1);
    else
        spsc_pop_elem(queue, elem, queue->elem_bytes);
    weft__bell_tell(&queue->ring.control->space, 1);
    return 1;
}

static int64_t spsc_pop_n(weft_queue *queue, char *elems, uint64_t count, unsigned *flags)
{
    int64_t ready = spsc_ready(queue, count);
    if (ready < 0)
        return ready;
    *flags = spsc_flags(queue);
    copy_run(queue, queue->pop.side.next, elems, (uint64_t)ready, 0);
    WEFT_CRASH_POINT(64);
    weft__spsc_release(&queue->ring, &queue->pop.side, (uint64_t)ready);
    weft__bell_tell(&queue->ring.control->space, (int)ready);
    return ready;
}

static int64_t try_push(weft_queue *queue, void *arg)
{
    const batch *in = arg;
    if (!queue->is_spsc)
        return mpmc_push(queue, in->elems, in->count);
    return in->count == 1 ? spsc_push(queue, in->elems) : spsc_push_n(queue, in->elems, in->count);
}

static int64_t try_pop(weft_queue *queue, void *arg)
{
    batch *out = arg;
    if (!queue->is_spsc)
        return mpmc_pop(queue, out->elems, out->count, &out->flags);
    return out->count == 1 ? spsc_pop(queue, out->elems, &out->flags)
                           : spsc_pop_n(queue, out->elems, out->count, &out->flags);
}

/* The same for one element, of which the compiler makes straight code. */
WEFT__INLINE int64_t try_push_one(weft_queue *queue, const void *elem)
{
    return queue->is_spsc ? spsc_push(queue, elem) : mpmc_push(queue, elem, 1);
}

WEFT__INLINE int64_t try_pop_one(weft_queue *queue, void *elem, unsigned *flags)
{
    return queue->is_spsc ? spsc_pop(queue, elem, flags) : mpmc_pop(queue, elem, 1, flags);
}

/* ---- the short way ----------------------------------------------------------------------------
 *
 * One element of a one-to-one queue, as long as the last look allows it. That one comparison says
 * that the part is ours, nothing is open, and there is room, or an element: whatever ends one of
 * these takes the limit back. These functions call nothing in the middle, or are alone with what
 * they call, so that they save no registers, which was measured to be faster. (Perhaps because
 * saved registers are stores, and a processor that waits for a cache line goes on only as long as
 * its store buffer has room.) */

WEFT__INLINE int may_push(const weft_queue *queue)
{
    const weft__spsc_side *side = &queue->push.side;
    /* edge ring.close (acquire): as in spsc_room() */
    uint32_t is_closed = weft__load_acquire(&queue->ring.control->is_closed);
    return side->next < side->limit && !is_closed;
}

WEFT__INLINE int may_pop(const weft_queue *queue)
{
    return queue->pop.side.next < queue->pop.side.limit;
}

/* Ring, if somebody sleeps; 0. */
WEFT__INLINE int tell_one(weft__shm_bell *bell)
{
    if (WEFT__LIKELY(!weft__bell_is_armed(bell)))
        return 0;
    return ring_one(bell);
}

/* Of another size than eight bytes. */
static WEFT__NOINLINE int push_sized(weft_queue *queue, const void *elem)
{
    spsc_push_elem(queue, elem, queue->elem_bytes);
    return tell_one(&queue->ring.control->data);
}

static WEFT__NOINLINE int pop_sized(weft_queue *queue, void *elem)
{
    spsc_pop_elem(queue, elem, queue->elem_bytes);
    return tell_one(&queue->ring.control->space);
}

/* ---- push and pop ---------------------------------------------------------------------------- */

ssize_t weft_queue_push_n(weft_queue *queue, const void *elems, size_t count, int64_t deadline)
{
    size_t most = count < queue->ring.mask + 1 ? count : queue->ring.mask + 1;
    batch transfer = {.elems = (char *)(uintptr_t)elems, .count = most};
    if (count == 0)
        return 0;
    int64_t rc = weft__queue_do(queue, WEFT__FOR_SPACE, try_push, &transfer, deadline);
    return (ssize_t)rc;
}

static WEFT__NOINLINE int push_slowly(weft_queue *queue, const void *elem, int64_t deadline)
{
    batch transfer = {.elems = (char *)(uintptr_t)elem, .count = 1};
    int64_t rc = weft__queue_wait(queue, WEFT__FOR_SPACE, try_push, &transfer, deadline);
    return rc > 0 ? 0 : (int)rc;
}

static WEFT__NOINLINE int push_any(weft_queue *queue, const void *elem, int64_t deadline)
{
    int64_t rc = try_push_one(queue, elem);
    if (WEFT__LIKELY(rc > 0))
        return 0;
    return rc == -EAGAIN ? push_slowly(queue, elem, deadline) : (int)rc;
}

int weft_queue_push(weft_queue *queue, const void *elem, int64_t deadline)
{
    uint64_t value;
    if (WEFT__UNLIKELY(!may_push(queue)))
        return push_any(queue, elem, deadline);
    if (WEFT__UNLIKELY(queue->elem_bytes != sizeof value))
        return push_sized(queue, elem);
    memcpy(&value, elem, sizeof value);
    spsc_push_elem(queue, &value, sizeof value);
    return tell_one(&queue->ring.control->data);
}

ssize_t weft_queue_pop_n(weft_queue *queue, void *elems, size_t count, int64_t deadline)
{
    size_t most = count < queue->ring.mask + 1 ? count : queue->ring.mask + 1;
    batch transfer = {.elems = elems, .count = most};
    if (count == 0)
        return 0;
    int64_t rc = weft__queue_do(queue, WEFT__FOR_DATA, try_pop, &transfer, deadline);
    return (ssize_t)rc;
}

static WEFT__NOINLINE int pop_slowly(weft_queue *queue, void *elem, unsigned *flags,
                                     int64_t deadline)
{
    batch transfer = {.elems = elem, .count = 1};
    int64_t rc = weft__queue_wait(queue, WEFT__FOR_DATA, try_pop, &transfer, deadline);
    if (rc < 0)
        return (int)rc;
    *flags = transfer.flags;
    return 0;
}

static WEFT__NOINLINE int pop_any(weft_queue *queue, void *elem, int64_t deadline)
{
    unsigned flags;
    int64_t rc = try_pop_one(queue, elem, &flags);
    if (WEFT__LIKELY(rc > 0))
        return 0;
    return rc == -EAGAIN ? pop_slowly(queue, elem, &flags, deadline) : (int)rc;
}

int weft_queue_pop(weft_queue *queue, void *elem, int64_t deadline)
{
    if (WEFT__UNLIKELY(!may_pop(queue)))
        return pop_any(queue, elem, deadline);
    if (WEFT__UNLIKELY(queue->elem_bytes != 8))
        return pop_sized(queue, elem);
    spsc_pop_elem(queue, elem, 8);
    return tell_one(&queue->ring.control->space);
}

int weft_queue_pop_flags(weft_queue *queue, void *elem, unsigned *flags, int64_t deadline)
{
    unsigned told = 0;
    int64_t rc = try_pop_one(queue, elem, &told);
    if (rc == -EAGAIN)
        rc = pop_slowly(queue, elem, &told, deadline);
    if (rc < 0)
        return (int)rc;
    *flags = told;
    return 0;
}

/* ---- in place -------------------------------------------------------------------------------- */

/* While an item is open, nothing else is allowed. */
static void part_open(weft__part *part)
{
    part->is_open = 1;
    part->kept = part->side.limit;
    part->side.limit = part->side.next;
}

/* Nothing is allowed to a forked copy either, which has no part yet. */
static void part_close(const weft_queue *queue, weft__part *part)
{
    part->is_open = 0;
    if (part->member == queue->segment->member)
        part->side.limit = part->kept;
}

/* One side's next place becomes an item. It has no seat, but the number says that it is open. */
WEFT__INLINE void spsc_open(const weft_queue *queue, weft__part *part, weft_item *item,
                            unsigned flags)
{
    uint64_t position = part->side.next;
    part_open(part);
    *item = (weft_item){.data = weft__ring_element(&queue->ring, position),
                        .bytes = queue->elem_bytes,
                        .flags = flags,
                        .position_ = position,
                        .seat_ = 1,
                        .count_ = 1};
}

WEFT__INLINE void spsc_close(const weft_queue *queue, weft__part *part, weft_item *item)
{
    part_close(queue, part);
    item->seat_ = 0;
    item->data = NULL;
}

static void mpmc_open(weft_queue *queue, weft_item *item, uint64_t position, int seat)
{
    weft__item_open(queue, item, position, 0, seat);
    item->bytes = queue->elem_bytes;
    item->count_ = 1;
}

static int64_t spsc_reserve(weft_queue *queue, weft_item *item)
{
    int64_t room = spsc_room(queue, 1);
    if (room > 0)
        spsc_open(queue, &queue->push, item, 0);
    return room;
}

static int64_t try_reserve(weft_queue *queue, void *arg)
{
    weft_item *item = arg;
    uint64_t position = 0;
    if (queue->is_spsc)
        return spsc_reserve(queue, item);
    int seat = weft__seat_take(queue->segment);
    if (seat < 0)
        return seat;
    int64_t got = weft__mpmc_claim_push(&queue->ring, &queue->ring.seats[seat], 1, 1, &position);
    if (got < 0)
        weft__seat_give_back(queue->segment, (uint32_t)seat);
    else
        mpmc_open(queue, item, position, seat);
    return got;
}

int weft_queue_reserve(weft_queue *queue, weft_item *item, int64_t deadline)
{
    if (WEFT__LIKELY(may_push(queue))) {
        spsc_open(queue, &queue->push, item, 0);
        return 0;
    }
    return weft__item_get(queue, WEFT__FOR_SPACE, try_reserve, item, 0, deadline);
}

int weft_queue_commit(weft_queue *queue, weft_item *item)
{
    if (item->seat_ == 0)
        return -EINVAL;
    if (queue->is_spsc) {
        spsc_close(queue, &queue->push, item);
        weft__spsc_tell_many(&queue->ring, &queue->push.side, 1);
    } else {
        weft__mpmc_publish(&queue->ring, item->position_);
        weft__item_close(queue, item);
    }
    weft__bell_tell(&queue->ring.control->data, 1);
    return 0;
}

int weft_queue_abort(weft_queue *queue, weft_item *item)
{
    if (item->seat_ == 0)
        return -EINVAL;
    if (queue->is_spsc) {
        spsc_close(queue, &queue->push, item); /* nothing was told to anybody */
    } else {
        weft__mpmc_annul(&queue->ring, item->position_, 1);
        weft__item_close(queue, item);
    }
    weft__bell_tell(&queue->ring.control->data, 1); /* what is behind it may be popped now */
    return 0;
}

static int64_t spsc_take(weft_queue *queue, weft_item *item)
{
    int64_t ready = spsc_ready(queue, 1);
    if (ready > 0)
        spsc_open(queue, &queue->pop, item, spsc_flags(queue));
    return ready;
}

static int64_t mpmc_take_item(weft_queue *queue, weft_item *item, int seat)
{
    uint64_t position = 0;
    item->flags = 0;
    int64_t got = weft__mpmc_claim_pop(&queue->ring, &queue->ring.seats[seat], 1,
                                       weft__mpmc_measure_elements, &position);
    if ((got == -EAGAIN || got == -EPIPE) && weft__queue_has_dead(queue)) {
        int64_t again = weft__queue_inherit(queue, (uint32_t)seat, UINT64_MAX);
        if (again >= 0) {
            position = (uint64_t)again;
            item->flags = WEFT_REDELIVERED;
            got = 1;
        }
    }
    if (got > 0)
        mpmc_open(queue, item, position, seat);
    return got;
}

static int64_t try_take(weft_queue *queue, void *arg)
{
    if (queue->is_spsc)
        return spsc_take(queue, arg);
    int seat = weft__seat_take(queue->segment);
    if (seat < 0)
        return seat;
    int64_t got = mpmc_take_item(queue, arg, seat);
    if (got < 0)
        weft__seat_give_back(queue->segment, (uint32_t)seat);
    return got;
}

int weft_queue_take(weft_queue *queue, weft_item *item, int64_t deadline)
{
    if (WEFT__LIKELY(may_pop(queue))) {
        spsc_open(queue, &queue->pop, item, spsc_flags(queue));
        return 0;
    }
    return weft__item_get(queue, WEFT__FOR_DATA, try_take, item, 0, deadline);
}

int weft_queue_release(weft_queue *queue, weft_item *item)
{
    if (item->seat_ == 0)
        return -EINVAL;
    if (queue->is_spsc) {
        spsc_close(queue, &queue->pop, item);
        weft__spsc_release(&queue->ring, &queue->pop.side, 1);
    } else {
        weft__mpmc_release(&queue->ring, item->position_, 1);
        weft__item_close(queue, item);
    }
    weft__bell_tell(&queue->ring.control->space, INT_MAX); /* a join may wait beside a push */
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Whether everything below `tail` has been released; joined positions are not looked at again. */
static int is_released_below(weft_queue *queue, uint64_t tail)
{
    uint64_t lap = queue->ring.mask + 1;
    uint64_t position = weft__load_relaxed(&queue->joined); /* relaxed: a hint; words decide */
    if (tail - position > lap)
        position = tail - lap; /* what is older has been written over */
    for (; position != tail; position++) {
        /* edge ring.space (acquire): whoever had it has released it. */
        uint64_t word = weft__load_acquire(weft__ring_word(&queue->ring, position));
        if (word == WEFT__FREE(position) || word == WEFT__READY(position) ||
            word == WEFT__TAKEN(position, WEFT__TAKEN_SEAT(word)) ||
            word == WEFT__CLAIM(position, WEFT__TAKEN_SEAT(word)))
            break;
    }
    weft__store_relaxed(&queue->joined, position); /* relaxed: as above */
    return position == tail;
}

static int64_t try_join(weft_queue *queue, void *arg)
{
    const weft__shm_control *control = queue->ring.control;
    (void)arg;
    /* edge spsc.tail (acquire): what has been pushed. edge ring.claim (acquire): as well */
    uint64_t tail = weft__load_acquire(&control->tail) & ~WEFT__CLOSED;
    if (queue->is_spsc) {
        /* edge spsc.space (acquire): what has been released */
        uint64_t head = weft__load_acquire(&control->head);
        return weft__ring_distance(tail, head) <= queue->ring.mask ? 1 : -EAGAIN;
    }
    return is_released_below(queue, tail) ? 1 : -EAGAIN;
}

int weft_queue_join(weft_queue *queue, int64_t deadline)
{
    int64_t rc = weft__queue_do(queue, WEFT__FOR_SPACE, try_join, NULL, deadline);
    return rc > 0 ? 0 : (int)rc;
}

void weft_queue_shutdown(weft_queue *queue)
{
    weft__shm_control *control = queue->ring.control;
    if (queue->is_spsc) {
        /* edge ring.close (release): what the closer has done before, pushes among it */
        weft__store_release(&control->is_closed, 1);
    } else {
        (void)weft__mpmc_close(&queue->ring);
    }
    weft__bell_ring(&control->data, INT_MAX);
    weft__bell_ring(&control->space, INT_MAX);
}

size_t weft_queue_size(const weft_queue *queue)
{
    const weft__shm_control *control = queue->ring.control;
    uint64_t head = weft__load_relaxed(&control->head); /* relaxed: a snapshot */
    uint64_t size = weft__ring_distance(head, weft__load_relaxed(&control->tail)); /* as above */
    if (size >> 61 != 0)
        return 0; /* head was read before others moved it */
    return size > queue->ring.mask ? (size_t)queue->ring.mask + 1 : (size_t)size;
}
