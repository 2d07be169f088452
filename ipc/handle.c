/* SPDX-License-Identifier: BSD-2-Clause */
/* handle.c — making and giving back what stands for a queue or pipe in one process: over a segment
 * that is made, opened by its name, or got as a descriptor. */
#include "handle.h"

#include "alloc.h"
#include "owner.h"
#include "spsc.h"

#include <errno.h>
#include <string.h>

#define CAPACITY_DEFAULT 1024 /* elements */
#define CAPACITY_BYTES_DEFAULT ((size_t)256 * 1024)
#define SPIN_NS_FIRST 20000u

/* ---- handles --------------------------------------------------------------------------------- */

/* Make one, which owns the segment from then on. Without memory for it the segment is left. A queue
 * is allocated as a pipe, which has nothing more. */
static int take_over(weft_pipe **pipe, weft__segment *segment)
{
    weft_pipe *made = weft__alloc(sizeof(weft_pipe));
    if (made == NULL) {
        weft__segment_detach(segment, 0);
        return -ENOMEM;
    }
    memset(made, 0, sizeof(weft_pipe));
    weft_queue *queue = &made->queue;
    queue->ring = weft__ring_of(segment);
    queue->segment = segment;
    queue->elem_bytes = (size_t)segment->geometry.elem_bytes;
    queue->is_spsc = segment->geometry.kind == WEFT__SHM_SPSC;
    segment->permits[0] = &queue->push.side.limit;
    segment->permits[1] = &queue->pop.side.limit;
    queue->spin_ns[0] = SPIN_NS_FIRST;
    queue->spin_ns[1] = SPIN_NS_FIRST;
    *pipe = made;
    return 0;
}

/* The words of all slots before anything has happened. */
static void fill_words(const weft__geometry *geometry, char *base)
{
    if (geometry->words == 0)
        return;
    uint64_t stride = geometry->kind == WEFT__SHM_PIPE ? sizeof(uint64_t) : geometry->stride;
    for (uint64_t i = 0; i < geometry->capacity; i++) {
        uint64_t *word = (uint64_t *)(void *)(base + geometry->words + i * stride);
        *word = WEFT__FREE(i);
    }
}

static int create(weft_pipe **pipe, const char *name, const weft__segment_spec *spec)
{
    weft__segment *segment;
    int rc = weft__segment_create(&segment, name, spec, fill_words);
    if (rc != 0)
        return rc;
    rc = take_over(pipe, segment);
    if (rc == 0 || name == NULL)
        return rc;
    int left = weft__segment_unlink(name);
    return left != 0 ? left : rc; /* a name that stays is the worse news */
}

/* ---- queues ---------------------------------------------------------------------------------- */

static uint64_t round_to_power(uint64_t value)
{
    uint64_t power = 2;
    while (power < value && power < WEFT__SHM_BYTES_MAX)
        power *= 2;
    return power;
}

static weft__segment_spec queue_spec(const weft_queue_spec *spec)
{
    weft__segment_spec made = {.kind = 0};
    if (spec == NULL)
        return made;
    made.kind = spec->flags & WEFT_QUEUE_ONE_TO_ONE ? WEFT__SHM_SPSC : WEFT__SHM_QUEUE;
    made.participants = spec->participants;
    made.elem_bytes = spec->elem_bytes;
    made.capacity = spec->capacity == 0 ? 0 : round_to_power(spec->capacity);
    return made;
}

int weft_queue_create(weft_queue **queue, const char *name, const weft_queue_spec *spec)
{
    weft_pipe *made;
    weft__segment_spec wanted = queue_spec(spec);
    if (wanted.capacity == 0)
        wanted.capacity = CAPACITY_DEFAULT;
    int rc = create(&made, name, &wanted);
    if (rc == 0)
        *queue = &made->queue;
    return rc;
}

/* A segment that was attached becomes a queue, if it is one. */
static int become_queue(weft_queue **queue, weft__segment *segment)
{
    weft_pipe *made;
    uint32_t kind = segment->geometry.kind;
    if (kind != WEFT__SHM_QUEUE && kind != WEFT__SHM_SPSC) {
        weft__segment_detach(segment, 0);
        return -EPROTO;
    }
    int rc = take_over(&made, segment);
    if (rc == 0)
        *queue = &made->queue;
    return rc;
}

int weft_queue_open(weft_queue **queue, const char *name, const weft_queue_spec *spec)
{
    weft__segment *segment;
    weft__segment_spec expected = queue_spec(spec);
    int rc = weft__segment_open(&segment, name, &expected);
    return rc == 0 ? become_queue(queue, segment) : rc;
}

int weft_queue_attach(weft_queue **queue, int fd, const weft_queue_spec *spec)
{
    weft__segment *segment;
    weft__segment_spec expected = queue_spec(spec);
    int rc = weft__segment_attach(&segment, fd, &expected);
    return rc == 0 ? become_queue(queue, segment) : rc;
}

int weft_queue_fd(const weft_queue *queue)
{
    return queue->segment->fd;
}

/* Whether somebody still has a place in it. */
static int has_open_items(const weft_queue *queue)
{
    if (queue->is_spsc)
        return queue->push.is_open || queue->pop.is_open;
    return weft__load_relaxed(&queue->open_items) != 0; /* relaxed: nobody uses it */
}

void weft_queue_detach(weft_queue *queue)
{
    if (queue == NULL)
        return;
    weft__segment *segment = queue->segment;
    weft__shm_control *control = queue->ring.control;
    int is_busy = has_open_items(queue);
    uint64_t me = segment->member;
    if (queue->is_spsc && me != 0 && !is_busy) {
        weft__spsc_leave_role(&control->producer, me);
        weft__spsc_leave_role(&control->consumer, me);
    }
    weft__segment_detach(segment, is_busy);
    weft__free(queue);
}

int weft_queue_unlink(const char *name)
{
    return weft__segment_unlink(name);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static weft__segment_spec pipe_spec(const weft_pipe_spec *spec)
{
    static const weft_pipe_spec nothing;
    const weft_pipe_spec *from = spec != NULL ? spec : &nothing;
    size_t capacity = from->capacity_bytes != 0 ? from->capacity_bytes : CAPACITY_BYTES_DEFAULT;
    weft__segment_spec made = {.kind = WEFT__SHM_PIPE, .participants = from->participants};
    made.capacity = 4;
    while (made.capacity * WEFT__GRANULE < capacity && made.capacity < UINT32_MAX / 2)
        made.capacity *= 2;
    made.elem_bytes =
        from->message_bytes != 0 ? from->message_bytes : made.capacity * WEFT__GRANULE / 4;
    return made;
}

int weft_pipe_create(weft_pipe **pipe, const char *name, const weft_pipe_spec *spec)
{
    weft__segment_spec wanted = pipe_spec(spec);
    return create(pipe, name, &wanted);
}

int weft_pipe_open(weft_pipe **pipe, const char *name)
{
    weft__segment *segment;
    weft__segment_spec expected = {.kind = WEFT__SHM_PIPE};
    int rc = weft__segment_open(&segment, name, &expected);
    return rc == 0 ? take_over(pipe, segment) : rc;
}

int weft_pipe_attach(weft_pipe **pipe, int fd)
{
    weft__segment *segment;
    weft__segment_spec expected = {.kind = WEFT__SHM_PIPE};
    int rc = weft__segment_attach(&segment, fd, &expected);
    return rc == 0 ? take_over(pipe, segment) : rc;
}

int weft_pipe_fd(const weft_pipe *pipe)
{
    return weft_queue_fd(&pipe->queue);
}

void weft_pipe_detach(weft_pipe *pipe)
{
    weft_queue_detach(pipe != NULL ? &pipe->queue : NULL);
}

/* ---- items and seats ------------------------------------------------------------------------- */

void weft__item_open(weft_queue *queue, weft_item *item, uint64_t position, size_t skip, int seat)
{
    item->data = weft__ring_element(&queue->ring, position) + skip;
    item->position_ = position;
    item->seat_ = (unsigned)seat + 1;
    (void)weft__fetch_add_relaxed(&queue->open_items, 1); /* relaxed: a count for detach */
}

void weft__item_close(weft_queue *queue, weft_item *item)
{
    weft__seat_give_back(queue->segment, item->seat_ - 1);
    item->seat_ = 0;
    item->data = NULL;
    (void)weft__fetch_add_relaxed(&queue->open_items, UINT32_MAX); /* relaxed: as above */
}

int weft__op_seat_slow(weft_queue *queue, weft__cause cause, int *is_borrowed)
{
    int seat = weft__seat_of_thread(queue->segment, cause);
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
