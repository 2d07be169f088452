/* SPDX-License-Identifier: BSD-2-Clause */
/* robust.c — a contestant, and a baseline: a ring under a robust mutex of the C library, which is
 * what POSIX offers to processes that may be killed. */
#include "pair.h"

#include <errno.h>
#include <pthread.h>

typedef struct contest_ring {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int waiting; /* how many wait for a change */
    uint64_t head;
    uint64_t tail;
    uint64_t slots;
    uint64_t bytes;
    char fill[128];
    char places[];
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    pthread_mutexattr_t robust;
    pthread_condattr_t shared;
    contest_ring *made = (contest_ring *)pair_share(sizeof *made + bytes * slots);
    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&made->mutex, &robust);
    pthread_condattr_init(&shared);
    pthread_condattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&made->changed, &shared);
    made->slots = slots;
    made->bytes = bytes;
    return made;
}

/* Both indices are changed last, so a dead owner has left nothing half done. */
static inline void lock(contest_ring *ring)
{
    if (pthread_mutex_lock(&ring->mutex) == EOWNERDEAD)
        pthread_mutex_consistent(&ring->mutex);
}

static inline void unlock(contest_ring *ring)
{
    int waiting = ring->waiting;
    pthread_mutex_unlock(&ring->mutex);
    if (waiting)
        pthread_cond_signal(&ring->changed);
}

static inline int put(contest_ring *ring, const void *sent, size_t bytes)
{
    if (ring->tail - ring->head == ring->slots)
        return 0;
    memcpy(ring->places + (ring->tail & (ring->slots - 1)) * bytes, sent, bytes);
    ring->tail++;
    return 1;
}

static inline int get(contest_ring *ring, void *received, size_t bytes)
{
    if (ring->tail == ring->head)
        return 0;
    memcpy(received, ring->places + (ring->head & (ring->slots - 1)) * bytes, bytes);
    ring->head++;
    return 1;
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    lock(ring);
    int done = put(ring, sent, bytes);
    unlock(ring);
    return done;
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    lock(ring);
    int done = get(ring, received, bytes);
    unlock(ring);
    return done;
}

static inline void wait_for_change(contest_ring *ring)
{
    ring->waiting++;
    if (pthread_cond_wait(&ring->changed, &ring->mutex) == EOWNERDEAD)
        pthread_mutex_consistent(&ring->mutex);
    ring->waiting--;
}

static inline void contest_push_wait(contest_ring *ring, const void *sent, size_t bytes)
{
    lock(ring);
    while (!put(ring, sent, bytes))
        wait_for_change(ring);
    unlock(ring);
}

static inline void contest_pop_wait(contest_ring *ring, void *received, size_t bytes)
{
    lock(ring);
    while (!get(ring, received, bytes))
        wait_for_change(ring);
    unlock(ring);
}

#define CONTEST_BLOCKS
#define CONTEST_MPMC
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "a robust pthread mutex, kill-safe", ring_duels);
}
