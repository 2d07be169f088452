/* SPDX-License-Identifier: BSD-2-Clause */
/* cached.c — a contestant, and a baseline: the plainest fast ring for one sender and one receiver.
 *
 * Two indices that count for ever, each on a line of its own beside its owner's private copy of the
 * other one, which is read again only when it says full or empty. Nothing of it is kill-safe but
 * the luck that one sender and one receiver need not be. */
#include "pair.h"

#include <stdint.h>

typedef struct contest_ring {
    uint64_t tail;        /* the sender's, published */
    uint64_t head_cached; /* the sender's private idea of head */
    char fill1[112];
    uint64_t head; /* the receiver's, published */
    uint64_t tail_cached;
    char fill2[112];
    size_t slots; /* a power of two */
    size_t bytes;
    char fill3[112];
    char places[];
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    contest_ring *made = (contest_ring *)pair_share(sizeof *made + bytes * slots);
    made->slots = slots;
    made->bytes = bytes;
    return made;
}

static inline char *place_of(contest_ring *ring, uint64_t position, size_t bytes)
{
    return ring->places + (position & (ring->slots - 1)) * bytes;
}

static inline void *contest_reserve(contest_ring *ring, size_t bytes)
{
    if (ring->tail - ring->head_cached == ring->slots) {
        ring->head_cached = weft__load_acquire(&ring->head);
        if (ring->tail - ring->head_cached == ring->slots)
            return NULL;
    }
    return place_of(ring, ring->tail, bytes);
}

static inline void contest_commit(contest_ring *ring)
{
    weft__store_release(&ring->tail, ring->tail + 1);
}

static inline const void *contest_peek(contest_ring *ring, size_t bytes)
{
    if (ring->head == ring->tail_cached) {
        ring->tail_cached = weft__load_acquire(&ring->tail);
        if (ring->head == ring->tail_cached)
            return NULL;
    }
    return place_of(ring, ring->head, bytes);
}

static inline void contest_release(contest_ring *ring)
{
    weft__store_release(&ring->head, ring->head + 1);
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    void *place = contest_reserve(ring, bytes);
    if (!place)
        return 0;
    memcpy(place, sent, bytes);
    contest_commit(ring);
    return 1;
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    const void *place = contest_peek(ring, bytes);
    if (!place)
        return 0;
    memcpy(received, place, bytes);
    contest_release(ring);
    return 1;
}

/* As many as fit without a turn around the end; the next call does the rest. */
static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t contest_push_many(contest_ring *ring, const uint64_t *words, size_t n)
{
    if (!contest_reserve(ring, 8))
        return 0;
    size_t at = ring->tail & (ring->slots - 1);
    size_t room = ring->slots - (size_t)(ring->tail - ring->head_cached);
    n = smaller(n, smaller(room, ring->slots - at));
    memcpy(ring->places + 8 * at, words, 8 * n);
    weft__store_release(&ring->tail, ring->tail + n);
    return n;
}

static inline size_t contest_pop_many(contest_ring *ring, uint64_t *words, size_t n)
{
    if (!contest_peek(ring, 8))
        return 0;
    size_t at = ring->head & (ring->slots - 1);
    size_t here = (size_t)(ring->tail_cached - ring->head);
    n = smaller(n, smaller(here, ring->slots - at));
    memcpy(words, ring->places + 8 * at, 8 * n);
    weft__store_release(&ring->head, ring->head + n);
    return n;
}

#define CONTEST_BATCH
#define CONTEST_IN_PLACE
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "cached indices, after rigtorp's SPSCQueue", ring_duels);
}
