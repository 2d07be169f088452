/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h — a segment with one object of each kind; each thread is a process of its own. */
#ifndef EXPLORE_SHMSYNC_WORLD_H
#define EXPLORE_SHMSYNC_WORLD_H

#include "explore.h"

#include <weft/atomic.h>
#include <weft/shmsync.h>

#include <errno.h>

typedef struct world_objects {
    uint64_t front; /* no object lies at the beginning of a segment */
    weft_shm_mutex mutex;
    weft_shm_rlock rlock;
    weft_shm_semaphore semaphore;
    weft_shm_event event;
    weft_shm_cond cond;
    weft_shm_barrier barrier;
    weft_shm_value value;
} world_objects;

extern world_objects world;

/* A segment as new, with a barrier for so many parties and a semaphore without units. */
void world_prepare(uint32_t parties);

#endif
