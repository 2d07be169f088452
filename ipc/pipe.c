/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe.c — weft_pipe: messages of any size, in granules of 64 bytes.
 *
 *     words   [ ready ][ … ][ … ][ ready ][ free …
 *     bytes   [ prefix, message   ][ prefix, m.  ][ …
 *
 * A message is ready when the first of its words says so. It never wraps: a rest of the ring that
 * is too short for it is annulled.
 *
 * It is the ring of mpmc.h with a granule as its element; a message takes as many as it needs at
 * once (pipe_ring.h). Where the words end and the bytes begin are different areas, so nothing
 * that was ever sent can be mistaken for a word, and nothing has to be cleared.
 *
 * The prefix says how long the message is and how many granules it has claimed. It is read once
 * into a local, judged against the ring, and used from there. */
#include <weft/queue.h>

#include "bell.h"
#include "handle.h"
#include "mpmc.h"
#include "owner.h"
#include "pipe_ring.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- sending --------------------------------------------------------------------------------- */

typedef struct outgoing {
    const void *message;
    uint64_t bytes;
} outgoing;

static void publish(weft_queue *queue, uint64_t position, uint64_t bytes, uint64_t granules)
{
    /* relaxed: edge ring.message */
    weft__store_relaxed(weft__pipe_prefix_at(&queue->ring, position),
                        WEFT__MESSAGE(bytes, granules));
    weft__mpmc_publish(&queue->ring, position);
    weft__bell_tell(&queue->ring.control->data, 1);
}

static int64_t try_send(weft_queue *queue, void *arg)
{
    const outgoing *sending = arg;
    uint64_t position = 0, granules = weft__pipe_granules(sending->bytes);
    int is_borrowed;
    int seat = weft__op_seat_slow(queue, WEFT__FOR_SPACE, &is_borrowed);
    if (seat < 0)
        return seat;
    int64_t rc = weft__pipe_claim(&queue->ring, (uint32_t)seat, granules, &position);
    if (rc > 0) {
        char *to = weft__ring_element(&queue->ring, position) + WEFT__MESSAGE_PREFIX;
        if (sending->bytes > 0)
            memcpy(to, sending->message, sending->bytes);
        WEFT_CRASH_POINT(80);
        publish(queue, position, sending->bytes, granules);
    }
    if (is_borrowed)
        weft__op_done_slow(queue, seat);
    return rc;
}

int weft_pipe_send(weft_pipe *pipe, const void *message, size_t bytes, int64_t deadline)
{
    outgoing sending = {.message = message, .bytes = bytes};
    if (bytes > pipe->queue.elem_bytes)
        return -EMSGSIZE;
    int64_t rc = weft__queue_do(&pipe->queue, WEFT__FOR_SPACE, try_send, &sending, deadline);
    return rc > 0 ? 0 : (int)rc;
}

static int64_t try_reserve(weft_queue *queue, void *arg)
{
    weft_item *item = arg;
    uint64_t position = 0, granules = weft__pipe_granules(item->bytes);
    int seat = weft__seat_take(queue->segment);
    if (seat < 0)
        return seat;
    int64_t rc = weft__pipe_claim(&queue->ring, (uint32_t)seat, granules, &position);
    if (rc < 0) {
        weft__seat_give_back(queue->segment, (uint32_t)seat);
        return rc;
    }
    item->count_ = (unsigned)granules;
    weft__item_open(queue, item, position, WEFT__MESSAGE_PREFIX, seat);
    return 1;
}

int weft_pipe_reserve(weft_pipe *pipe, weft_item *item, size_t bytes, int64_t deadline)
{
    if (bytes > pipe->queue.elem_bytes)
        return -EMSGSIZE;
    return weft__item_get(&pipe->queue, WEFT__FOR_SPACE, try_reserve, item, bytes, deadline);
}

int weft_pipe_commit(weft_pipe *pipe, weft_item *item, size_t bytes)
{
    if (item->seat_ == 0 || bytes > item->bytes)
        return -EINVAL;
    publish(&pipe->queue, item->position_, bytes, item->count_);
    weft__item_close(&pipe->queue, item);
    return 0;
}

int weft_pipe_abort(weft_pipe *pipe, weft_item *item)
{
    if (item->seat_ == 0)
        return -EINVAL;
    weft__mpmc_annul(&pipe->queue.ring, item->position_, item->count_);
    weft__item_close(&pipe->queue, item);
    weft__bell_tell(&pipe->queue.ring.control->data, 1);
    return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

typedef struct incoming {
    void *buffer;
    size_t bytes;    /* of room in it */
    size_t received; /* out */
} incoming;

/* The granules of the message at head, if there is one of at most `most` bytes. */
static int64_t measure(const weft__ring *ring, uint64_t head, uint64_t most)
{
    /* edge ring.message (acquire): the prefix, and all the rest */
    if (weft__load_acquire(weft__ring_word(ring, head)) != WEFT__READY(head))
        return 0;
    uint64_t prefix = weft__pipe_prefix(ring, head);
    /* A claim that others have won by now may have seen anything; the caller looks again. */
    if (prefix == 0)
        return -EPROTO;
    if (WEFT__MESSAGE_BYTES(prefix) > most)
        return -EMSGSIZE;
    return WEFT__MESSAGE_GRANULES(prefix);
}

/* The message's position, its granules and whether it comes once more; or why there is none. */
static int64_t take(weft_queue *queue, int seat, uint64_t most, uint64_t *position, unsigned *flags)
{
    const weft__ring *ring = &queue->ring;
    int64_t got = weft__mpmc_claim_pop(ring, &ring->seats[seat], most, measure, position);
    *flags = 0;
    if ((got != -EAGAIN && got != -EPIPE) || !weft__queue_has_dead(queue))
        return got;
    int64_t again = weft__queue_inherit(queue, (uint32_t)seat, most);
    if (again < 0)
        return again == -EMSGSIZE ? again : got;
    *position = (uint64_t)again;
    *flags = WEFT_REDELIVERED;
    uint64_t prefix = weft__pipe_prefix(ring, *position);
    return prefix != 0 ? (int64_t)WEFT__MESSAGE_GRANULES(prefix) : 1;
}

static void give_back(weft_queue *queue, uint64_t position, uint64_t granules)
{
    weft__mpmc_release(&queue->ring, position, granules);
    weft__bell_tell(&queue->ring.control->space, INT_MAX);
}

static int64_t receive_into(weft_queue *queue, incoming *receiving, int seat)
{
    uint64_t position = 0;
    unsigned flags;
    int64_t got = take(queue, seat, receiving->bytes, &position, &flags);
    if (got < 0)
        return got;
    uint64_t prefix = weft__pipe_prefix(&queue->ring, position);
    size_t bytes = WEFT__MESSAGE_BYTES(prefix);
    int fits = prefix != 0 && bytes <= receiving->bytes;
    if (fits && bytes > 0)
        memcpy(receiving->buffer, weft__ring_element(&queue->ring, position) + WEFT__MESSAGE_PREFIX,
               bytes);
    WEFT_CRASH_POINT(81);
    if (fits || prefix == 0)
        give_back(queue, position, (uint64_t)got);
    receiving->received = bytes;
    return fits ? 1 : prefix == 0 ? -EPROTO : -EMSGSIZE;
}

static int64_t try_receive(weft_queue *queue, void *arg)
{
    int is_borrowed;
    int seat = weft__op_seat_slow(queue, WEFT__FOR_DATA, &is_borrowed);
    if (seat < 0)
        return seat;
    int64_t rc = receive_into(queue, arg, seat);
    if (is_borrowed)
        weft__op_done_slow(queue, seat);
    return rc;
}

ssize_t weft_pipe_receive(weft_pipe *pipe, void *buffer, size_t bytes, int64_t deadline)
{
    incoming receiving = {.buffer = buffer, .bytes = bytes};
    int64_t rc = weft__queue_do(&pipe->queue, WEFT__FOR_DATA, try_receive, &receiving, deadline);
    return rc > 0 ? (ssize_t)receiving.received : (ssize_t)rc;
}

static int64_t try_take(weft_queue *queue, void *arg)
{
    weft_item *item = arg;
    uint64_t position = 0;
    int seat = weft__seat_take(queue->segment);
    if (seat < 0)
        return seat;
    int64_t got = take(queue, seat, UINT64_MAX, &position, &item->flags);
    uint64_t prefix = got > 0 ? weft__pipe_prefix(&queue->ring, position) : 0;
    if (got > 0 && prefix == 0) {
        give_back(queue, position, (uint64_t)got);
        got = -EPROTO;
    }
    if (got < 0) {
        weft__seat_give_back(queue->segment, (uint32_t)seat);
        return got;
    }
    item->bytes = WEFT__MESSAGE_BYTES(prefix);
    item->count_ = (unsigned)got;
    weft__item_open(queue, item, position, WEFT__MESSAGE_PREFIX, seat);
    return 1;
}

int weft_pipe_take(weft_pipe *pipe, weft_item *item, int64_t deadline)
{
    return weft__item_get(&pipe->queue, WEFT__FOR_DATA, try_take, item, 0, deadline);
}

int weft_pipe_release(weft_pipe *pipe, weft_item *item)
{
    if (item->seat_ == 0)
        return -EINVAL;
    uint64_t position = item->position_, granules = item->count_;
    give_back(&pipe->queue, position, granules);
    weft__item_close(&pipe->queue, item);
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

size_t weft_pipe_message_bytes(const weft_pipe *pipe)
{
    return pipe->queue.elem_bytes;
}

int weft_pipe_join(weft_pipe *pipe, int64_t deadline)
{
    return weft_queue_join(&pipe->queue, deadline);
}

void weft_pipe_shutdown(weft_pipe *pipe)
{
    weft_queue_shutdown(&pipe->queue);
}
