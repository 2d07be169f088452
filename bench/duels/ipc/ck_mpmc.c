/* SPDX-License-Identifier: BSD-2-Clause */
/* ck_mpmc.c — a contestant: the rings of Concurrency Kit for many senders and many receivers. A
 * sender killed between its two steps holds up all others for ever. */
#include "pair.h"

#include <ck_ring.h>

typedef struct contest_ring {
    struct ck_ring ring;
    char fill[128];
    char places[];
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    contest_ring *made = (contest_ring *)pair_share(sizeof *made + bytes * slots);
    ck_ring_init(&made->ring, (unsigned)slots);
    return made;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    return _ck_ring_enqueue_mp(&ring->ring, ring->places, sent, (unsigned)bytes, NULL);
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    return _ck_ring_dequeue_mc(&ring->ring, ring->places, received, (unsigned)bytes);
}

#define CONTEST_MPMC
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "Concurrency Kit, many to many", ring_duels);
}
