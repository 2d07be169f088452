/* SPDX-License-Identifier: BSD-2-Clause */
/* handle.c — making and giving back what stands for a queue or pipe in one process. */
#include "handle.h"

#include "alloc.h"
#include "owner.h"

#include <errno.h>
#include <string.h>

#define SPIN_NS_FIRST 20000u

weft_queue *weft__queue_new(weft__segment *segment)
{
    weft_queue *queue = NULL;
    if (!weft__fault())
        queue = weft__alloc(sizeof(weft_pipe));
    if (queue == NULL)
        return NULL;
    memset(queue, 0, sizeof(weft_pipe));
    queue->ring = weft__ring_of(segment);
    queue->segment = segment;
    queue->elem_bytes = (size_t)segment->geometry.elem_bytes;
    queue->is_spsc = segment->geometry.kind == WEFT__SHM_SPSC;
    queue->spin_ns[0] = SPIN_NS_FIRST;
    queue->spin_ns[1] = SPIN_NS_FIRST;
    return queue;
}

void weft__ring_fill(const weft__geometry *geometry, char *base)
{
    if (geometry->words == 0)
        return;
    uint64_t stride = geometry->kind == WEFT__SHM_PIPE ? sizeof(uint64_t) : geometry->stride;
    for (uint64_t i = 0; i < geometry->capacity; i++) {
        uint64_t *word = (uint64_t *)(void *)(base + geometry->words + i * stride);
        *word = WEFT__FREE(i);
    }
}

void weft__item_open(weft_queue *queue, weft_item *item, uint64_t position, size_t skip, int seat)
{
    item->data = weft__ring_element(&queue->ring, position) + skip;
    item->position_ = position;
    item->seat_ = (unsigned)seat + 1;
    (void)weft__fetch_add_relaxed(&queue->open_items, 1); /* relaxed: a count for detach */
}

void weft__item_close(weft_queue *queue, weft_item *item)
{
    if (!queue->is_spsc)
        weft__seat_give_back(queue->segment, item->seat_ - 1);
    item->seat_ = 0;
    item->data = NULL;
    (void)weft__fetch_add_relaxed(&queue->open_items, UINT32_MAX); /* relaxed: as above */
}

int weft__op_seat_slow(weft_queue *queue, int *is_borrowed)
{
    int seat = weft__seat_of_thread(queue->segment);
    *is_borrowed = 0;
    if (seat != -EBUSY)
        return seat;
    *is_borrowed = 1; /* another thread has this one's entry */
    return weft__seat_take(queue->segment);
}

void weft__op_done_slow(weft_queue *queue, int seat)
{
    weft__seat_give_back(queue->segment, (uint32_t)seat);
}
