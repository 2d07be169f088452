/* SPDX-License-Identifier: BSD-2-Clause */
/* rte.c — a contestant: DPDK's ring, for a sender and a receiver; with CONTEST_MANY, for many of
 * both, where a sender killed between its two steps holds up all others for ever.
 *
 * It needs nothing of DPDK's environment: its places follow it in whatever memory it is given. One
 * of them stays empty. */
#include "pair.h"

#include <rte_ring.h>
#include <rte_ring_elem.h>

#ifdef CONTEST_MANY
#define FLAGS 0
#define PUSH_MANY rte_ring_mp_enqueue_burst_elem
#define POP_MANY rte_ring_mc_dequeue_burst_elem
#define PUSH rte_ring_mp_enqueue_elem
#define POP rte_ring_mc_dequeue_elem
#define VERSION "DPDK, many to many"
#define CONTEST_MPMC
#else
#define FLAGS (RING_F_SP_ENQ | RING_F_SC_DEQ)
#define PUSH_MANY rte_ring_sp_enqueue_burst_elem
#define POP_MANY rte_ring_sc_dequeue_burst_elem
#define PUSH rte_ring_sp_enqueue_elem
#define POP rte_ring_sc_dequeue_elem
#define VERSION "DPDK, one to one"
#endif
#define CONTEST_BATCH

typedef struct rte_ring contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    contest_ring *made = (contest_ring *)pair_share(sizeof *made + bytes * slots);
    duel_need(rte_ring_init(made, "duel", (unsigned)slots, FLAGS) == 0, "rte_ring_init");
    return made;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    return PUSH(ring, (void *)(uintptr_t)sent, (unsigned)bytes) == 0;
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    return POP(ring, received, (unsigned)bytes) == 0;
}

static inline size_t contest_push_many(contest_ring *ring, const uint64_t *words, size_t n)
{
    return PUSH_MANY(ring, words, sizeof *words, (unsigned)n, NULL);
}

static inline size_t contest_pop_many(contest_ring *ring, uint64_t *words, size_t n)
{
    return POP_MANY(ring, words, sizeof *words, (unsigned)n, NULL);
}

#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, VERSION, ring_duels);
}
