/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.h — a ring as one process sees it, and the words that its slots have.
 *
 * Everything the algorithms (spsc.h, mpmc.h, recover.c, bell.h) need is here and in layout.h; they
 * know no segment and make no system call, so the explorer runs them as they are. */
#ifndef WEFT_IPC_RING_H
#define WEFT_IPC_RING_H

#include <weft/atomic.h>
#include <weft/base.h>

#include "layout.h"

/* Where the parts are mapped, and the sizes as they were checked. Constant. */
typedef struct weft__ring {
    weft__shm_control *control;
    char *words; /* of slot 0, and how far it is to the next */
    uint64_t word_stride;
    char *body; /* element or granule 0, and how far it is to the next */
    uint64_t stride;
    uint64_t mask; /* capacity - 1 */
    weft__shm_seat *seats;
    const weft__shm_process *processes;
    uint32_t participants; /* entries in both tables */
    uint32_t is_pipe;      /* messages of several granules: see recover.c */
} weft__ring;

/* No loop goes round more often, whatever the others do. */
#define WEFT__TRIES_MAX (1u << 20)

WEFT__INLINE uint64_t *weft__ring_word(const weft__ring *ring, uint64_t position)
{
    return (uint64_t *)(void *)(ring->words + (position & ring->mask) * ring->word_stride);
}

WEFT__INLINE char *weft__ring_element(const weft__ring *ring, uint64_t position)
{
    return ring->body + (position & ring->mask) * ring->stride;
}

/* How many positions it is from one to another; what stands in the two top bits is left out. */
WEFT__INLINE uint64_t weft__ring_distance(uint64_t from, uint64_t to)
{
    return ((to << 2) - (from << 2)) >> 2;
}

/* Whether a word can stand in the slot of a position that is next to be claimed, on either side:
 * anything of this lap or of the one before. If not, somebody has damaged it. */
WEFT__INLINE int weft__ring_word_is_sane(const weft__ring *ring, uint64_t word, uint64_t position)
{
    uint64_t before = position - ring->mask - 1;
    if (WEFT__WORD_PHASE(word) == 3)
        return word >> 18 == before << 18 >> 18 || word >> 18 == position << 18 >> 18;
    return (word & ~(uint64_t)3) == WEFT__FREE(position) ||
           (word & ~(uint64_t)3) == WEFT__FREE(before);
}

/* Whether a member has been proved dead or is gone. */
WEFT__INLINE int weft__ring_member_is_dead(const weft__ring *ring, uint64_t member)
{
    uint32_t index = WEFT__MEMBER_INDEX(member);
    if (index >= ring->participants)
        return 1; /* there is no such entry: the word has been damaged */
    /* edge shm.dead (acquire): all that the dead has stored */
    uint64_t state = weft__load_acquire(&ring->processes[index].state);
    return WEFT__PROCESS_GENERATION(state) != WEFT__MEMBER_GENERATION(member) ||
           WEFT__PROCESS_PHASE(state) == WEFT__PHASE_FREE ||
           WEFT__PROCESS_PHASE(state) == WEFT__PHASE_DEAD;
}

/* Nonzero if `seen`, is not ahead of it: positions only grow. */
WEFT__INLINE int weft__ring_is_progress(uint64_t seen, uint64_t next)
{
    return (int64_t)((next << 2) - (seen << 2)) > 0;
}

#endif
