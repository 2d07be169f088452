/* SPDX-License-Identifier: BSD-2-Clause */
/* vyukov.c — a contestant, and a baseline: Vyukov's bounded ring for many senders and receivers.
 *
 * Each slot has a sequence number that says whose turn it is; a position is claimed by advancing an
 * index and committed by the slot's number, both on the message's own line. Whoever is killed
 * between the two blocks the slot for ever: what weft's ring adds is that nobody can. */
#include "pair.h"

typedef struct contest_ring {
    uint64_t tail;
    char fill1[120];
    uint64_t head;
    char fill2[120];
    uint64_t slots; /* a power of two */
    uint64_t stride;
    char fill3[112];
    char places[];
} contest_ring;

static uint64_t *sequence_of(contest_ring *ring, uint64_t position)
{
    return (uint64_t *)(void *)(ring->places + (position & (ring->slots - 1)) * ring->stride);
}

/* Small messages share a line with their number, so that one line moves for each. */
static contest_ring *contest_create(size_t bytes, size_t slots)
{
    size_t stride = bytes <= 56 ? 16 * ((bytes + 8 + 15) / 16) : 64 * ((bytes + 8 + 63) / 64);
    contest_ring *made = (contest_ring *)pair_share(sizeof *made + stride * slots);
    made->slots = slots;
    made->stride = stride;
    for (uint64_t i = 0; i < slots; i++)
        *sequence_of(made, i) = i;
    return made;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    uint64_t position = weft__load_relaxed(&ring->tail);
    for (;;) {
        uint64_t *sequence = sequence_of(ring, position);
        int64_t turn = (int64_t)(weft__load_acquire(sequence) - position);
        if (turn == 0) {
            if (weft__cas_relaxed(&ring->tail, &position, position + 1)) {
                memcpy(sequence + 1, sent, bytes);
                weft__store_release(sequence, position + 1);
                return 1;
            }
        } else if (turn < 0) {
            return 0;
        } else {
            position = weft__load_relaxed(&ring->tail);
        }
    }
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    uint64_t position = weft__load_relaxed(&ring->head);
    for (;;) {
        uint64_t *sequence = sequence_of(ring, position);
        int64_t turn = (int64_t)(weft__load_acquire(sequence) - (position + 1));
        if (turn == 0) {
            if (weft__cas_relaxed(&ring->head, &position, position + 1)) {
                memcpy(received, sequence + 1, bytes);
                weft__store_release(sequence, position + ring->slots);
                return 1;
            }
        } else if (turn < 0) {
            return 0;
        } else {
            position = weft__load_relaxed(&ring->head);
        }
    }
}

#define CONTEST_MPMC
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "Vyukov's bounded queue, not kill-safe", ring_duels);
}
