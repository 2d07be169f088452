/* SPDX-License-Identifier: BSD-2-Clause */
/* world.c — see world.h: what shmsync.c asks of segments, members and sleeps. */
#include "models/shmsync/world.h"

#include "hooks.h"
#include "owner.h"
#include "watch.h"

#include <string.h>

#define MEMBERS (EXPLORE_THREADS_MAX + 1)

world_objects world;

static weft__segment segment;
static weft__shm_header header;
static weft__shm_process processes[MEMBERS];

void world_prepare(uint32_t parties)
{
    memset(&world, 0, sizeof world);
    memset(&header, 0, sizeof header);
    memset(&segment, 0, sizeof segment);
    segment.base = (char *)&world;
    segment.header = &header;
    segment.processes = processes;
    segment.geometry = (weft__geometry){
        .participants = MEMBERS, .body = sizeof world.front, .total_bytes = sizeof world};
    for (uint32_t i = 0; i < MEMBERS; i++)
        processes[i].state = WEFT__PROCESS_STATE(1, WEFT__PHASE_LIVE, 100 + i);
    int rc = weft_shm_mutex_init(&world.mutex) | weft_shm_rlock_init(&world.rlock) |
             weft_shm_semaphore_init(&world.semaphore, 0, 0) | weft_shm_event_init(&world.event) |
             weft_shm_cond_init(&world.cond) | weft_shm_barrier_init(&world.barrier, parties);
    explore_check(rc == 0);
}

weft__segment *weft__segment_around(const void *address)
{
    (void)address;
    return &segment;
}

weft__segment *weft__segment_at(const void *base)
{
    return base == segment.base ? &segment : NULL;
}

uint64_t weft__member_self(weft__segment *of)
{
    (void)of;
    return WEFT__MEMBER(1, explore_self());
}

/* Whoever proves a death counts it, as in owner.c. */
unsigned weft__members_look(weft__segment *of)
{
    (void)of;
    for (uint32_t i = 0; i < EXPLORE_THREADS_MAX; i++) {
        if (i == explore_self() || !explore_has_died(i))
            continue;
        uint64_t live = WEFT__PROCESS_STATE(1, WEFT__PHASE_LIVE, 100 + i);
        if (weft__cas_acq_rel(&processes[i].state, &live,
                              WEFT__PROCESS_STATE(1, WEFT__PHASE_DEAD, 100 + i)))
            (void)weft__fetch_add_relaxed(&header.deaths, 1);
    }
    return 0;
}

void weft__members_reap(weft__segment *of)
{
    (void)of;
}

/* ---- sleeps: without a deadline for ever, unless somebody has died -------------------------- */

weft__nap weft__nap_of(weft__segment *of, int64_t deadline)
{
    weft__nap nap = {.segment = of, .deadline = deadline};
    return nap;
}

void weft__nap_lengthen(weft__nap *nap)
{
    (void)nap;
}

void weft__nap_begin(weft__nap *nap)
{
    (void)nap;
}

int weft__nap_sleep(weft__nap *nap, const uint32_t *word, uint32_t expected)
{
    if (nap->deadline != WEFT_FOREVER)
        return -ETIMEDOUT;
    if (explore_crashed() == 0) {
        (void)explore_park_until(word, expected, WEFT_FOREVER);
        return 0;
    }
    weft__relax();
    return -EAGAIN;
}
