/* SPDX-License-Identifier: BSD-2-Clause */
/* bell.c — models of ipc/bell.h: whoever waits for something is woken when it has come. A ring that
 * reaches nobody who sleeps is a deadlock. */
#include "explore.h"

#include "bell.h"

#include <string.h>

static weft__shm_bell bell;
static uint32_t units;

static void prepare(void)
{
    memset(&bell, 0, sizeof bell);
    units = 0;
}

static int take(void)
{
    uint32_t seen = weft__load_relaxed(&units);
    while (seen > 0)
        if (weft__cas_acq_rel(&units, &seen, seen - 1))
            return 1;
    return 0;
}

static void wait_for_one(void)
{
    while (!take()) {
        uint32_t rung = weft__bell_arm(&bell);
        if (take())
            return;
        (void)weft__hook_shared_wait(&bell.rung, rung, WEFT_FOREVER);
    }
}

/* Only one ringer adds at a time, so that no read-modify-write does the barrier's work. */
static void give_one(void)
{
    weft__store_release(&units, 1);
    weft__bell_tell(&bell, 1);
}

static void give_two(void)
{
    uint32_t seen = weft__load_relaxed(&units);
    while (!weft__cas_acq_rel(&units, &seen, seen + 1))
        continue;
    weft__bell_tell(&bell, 1);
    seen = weft__load_relaxed(&units);
    while (!weft__cas_acq_rel(&units, &seen, seen + 1))
        continue;
    weft__bell_tell(&bell, 1);
}

static void check(void)
{
    explore_check(units == 0);
}

EXPLORE_MODEL(bell_one) = {.name = "bell.one",
                           .prepare = prepare,
                           .threads = {wait_for_one, give_one},
                           .finish = check,
                           .preemptions = 3,
                           .stale = 3,
                           .spurious = 1};

EXPLORE_MODEL(bell_two) = {.name = "bell.two",
                           .prepare = prepare,
                           .threads = {wait_for_one, wait_for_one, give_two},
                           .finish = check,
                           .preemptions = 2,
                           .stale = 1};

static void add_one(void)
{
    uint32_t seen = weft__load_relaxed(&units);
    while (!weft__cas_acq_rel(&units, &seen, seen + 1))
        continue;
    weft__bell_tell(&bell, 1);
}

EXPLORE_MODEL(bell_ringers) = {.name = "bell.ringers",
                               .prepare = prepare,
                               .threads = {wait_for_one, wait_for_one, add_one, add_one},
                               .finish = check,
                               .preemptions = 1,
                               .stale = 1};
