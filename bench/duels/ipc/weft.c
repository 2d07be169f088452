/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — weft's queues, between one sender and one receiver; with CONTEST_MANY, of the kind for
 * any number of either. All are kill-safe. */
#include "pair.h"

#include <errno.h>
#include <weft/queue.h>

#ifdef CONTEST_MANY
#define FLAGS 0
#define VERSION "weft, many to many, kill-safe"
#define CONTEST_MPMC
#else
#define FLAGS WEFT_QUEUE_ONE_TO_ONE
#define VERSION "weft, one to one, kill-safe"
#endif

typedef struct contest_ring {
    weft_queue *queue;
    weft_item item; /* the one that is open */
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    contest_ring *made = (contest_ring *)duel_alloc(sizeof *made);
    const weft_queue_spec spec = {.elem_bytes = bytes, .capacity = slots, .flags = FLAGS};
    duel_need(weft_queue_create(&made->queue, NULL, &spec) == 0, "weft_queue_create");
    return made;
}

/* True if it was done; what is neither done nor to be tried again is the end. */
static inline int check(int rc)
{
    if (rc != 0 && rc != -EAGAIN)
        duel_fail(2, "weft_queue: %s", weft_strerror(rc));
    return rc == 0;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    (void)bytes;
    return check(weft_queue_push(ring->queue, sent, WEFT_POLL));
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    (void)bytes;
    return check(weft_queue_pop(ring->queue, received, WEFT_POLL));
}

static inline size_t counted(ssize_t n)
{
    return n > 0 ? (size_t)n : (size_t)check((int)n);
}

static inline size_t contest_push_many(contest_ring *ring, const uint64_t *words, size_t n)
{
    return counted(weft_queue_push_n(ring->queue, words, n, WEFT_POLL));
}

static inline size_t contest_pop_many(contest_ring *ring, uint64_t *words, size_t n)
{
    return counted(weft_queue_pop_n(ring->queue, words, n, WEFT_POLL));
}

static inline void *contest_reserve(contest_ring *ring, size_t bytes)
{
    (void)bytes;
    return check(weft_queue_reserve(ring->queue, &ring->item, WEFT_POLL)) ? ring->item.data : NULL;
}

static inline void contest_commit(contest_ring *ring)
{
    check(weft_queue_commit(ring->queue, &ring->item));
}

static inline const void *contest_peek(contest_ring *ring, size_t bytes)
{
    (void)bytes;
    return check(weft_queue_take(ring->queue, &ring->item, WEFT_POLL)) ? ring->item.data : NULL;
}

static inline void contest_release(contest_ring *ring)
{
    check(weft_queue_release(ring->queue, &ring->item));
}

static inline void contest_push_wait(contest_ring *ring, const void *sent, size_t bytes)
{
    (void)bytes;
    check(weft_queue_push(ring->queue, sent, WEFT_FOREVER));
}

static inline void contest_pop_wait(contest_ring *ring, void *received, size_t bytes)
{
    (void)bytes;
    check(weft_queue_pop(ring->queue, received, WEFT_FOREVER));
}

#define CONTEST_BATCH
#define CONTEST_IN_PLACE
#define CONTEST_BLOCKS
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, VERSION, ring_duels);
}
