/* SPDX-License-Identifier: BSD-2-Clause */
/* futex.c — what the kernel charges for waking a process that sleeps and being woken by it: no
 * queue can do better once both sides sleep. */
#include "pair.h"

typedef struct contest_ring {
    uint32_t sent;
    uint32_t taken;
    uint64_t word;
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    (void)bytes;
    (void)slots;
    return (contest_ring *)pair_share(sizeof(contest_ring));
}

/* The answer to the last word has come, so its place is free. */
static inline void contest_push_wait(contest_ring *ring, const void *sent, size_t bytes)
{
    memcpy(&ring->word, sent, bytes);
    weft__store_release(&ring->sent, ring->sent + 1);
    syscall(SYS_futex, &ring->sent, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void contest_pop_wait(contest_ring *ring, void *received, size_t bytes)
{
    while (weft__load_acquire(&ring->sent) == ring->taken)
        syscall(SYS_futex, &ring->sent, FUTEX_WAIT, ring->taken, NULL, NULL, 0);
    memcpy(received, &ring->word, bytes);
    ring->taken++;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    (void)ring, (void)sent, (void)bytes;
    return 0;
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    (void)ring, (void)received, (void)bytes;
    return 0;
}

#define CONTEST_BLOCKS
#define CONTEST_NO_SPIN
#include "ring.h"

int main(int argc, char **argv)
{
    static const duel duels[] = {{"waiting", duel_waiting}, {"cold", duel_cold}, {NULL, NULL}};
    (void)ring_duels;
    return duel_main(argc, argv, "the kernel's futex", duels);
}
