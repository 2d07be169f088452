/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.c — a contestant: the rings of Concurrency Kit, which copy messages of any size, for a sender
 * and a receiver; with CONTEST_MANY, for many of both, where a sender killed between its two
 * steps holds up all others for ever. */
#include "pair.h"

#include <ck_ring.h>

#ifdef CONTEST_MANY
#define ENQUEUE _ck_ring_enqueue_mp
#define DEQUEUE _ck_ring_dequeue_mc
#define VERSION "Concurrency Kit, many to many"
#define CONTEST_MPMC
#else
#define ENQUEUE _ck_ring_enqueue_sp
#define DEQUEUE _ck_ring_dequeue_sc
#define VERSION "Concurrency Kit, one to one"
#endif

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
    return ENQUEUE(&ring->ring, ring->places, sent, (unsigned)bytes, NULL);
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    return DEQUEUE(&ring->ring, ring->places, received, (unsigned)bytes);
}

#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, VERSION, ring_duels);
}
