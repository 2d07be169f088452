/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c — models of ipc/robust.h: a lock whose holder may stop for ever at any store. What it
 * guards is a pair of equal numbers; whoever inherits makes them equal again. */
#include "models/ring/table.h"

#include "robust.h"

static weft__robust lock;
static unsigned first, second, inherited;

static void prepare(void)
{
    ring_prepare();
    lock = (weft__robust){.word = 0, .health = WEFT__GOOD};
    first = second = inherited = 0;
}

static uint32_t me(void)
{
    return weft__holder(WEFT__MEMBER(1, explore_self()));
}

static int acquire(void)
{
    uint32_t seen, mine = me();
    for (;;) {
        int rc = weft__robust_try(&lock, mine, &seen, ring.processes, ring.participants);
        if (rc >= 0)
            return rc;
        (void)ring_recover(); /* as at the end of a nap: who is dead? */
        mine |= WEFT__WAITED;
        rc = weft__robust_try(&lock, mine, &seen, ring.processes, ring.participants);
        if (rc >= 0)
            return rc;
        if (weft__robust_wait(&lock, &seen) && explore_crashed() == 0)
            (void)weft__hook_shared_wait(&lock.word, seen, WEFT_FOREVER);
        else
            weft__relax();
    }
}

static void add_one(void)
{
    int rc = acquire();
    if (rc > 0) {
        explore_check(lock.health != WEFT__GOOD);
        inherited++;
        second = first;
        weft__store_relaxed(&lock.health, WEFT__GOOD);
    }
    explore_check(first == second);
    first++;
    WEFT_CRASH_POINT(99);
    second++;
    if (weft__robust_unlock(&lock))
        (void)weft__hook_shared_wake(&lock.word, 1);
}

static void check(void)
{
    (void)ring_recover();
    add_one();
    explore_check(first == second);
    explore_check(lock.word == 0 && lock.health == WEFT__GOOD);
    explore_check(explore_crashed() || inherited == 0);
}

static void check_all(void)
{
    explore_check(first == 3 && second == 3 && lock.word == 0);
}

EXPLORE_MODEL(lock_three) = {.name = "lock.three",
                             .prepare = prepare,
                             .threads = {add_one, add_one, add_one},
                             .finish = check_all,
                             .preemptions = 1,
                             .stale = 1};

EXPLORE_MODEL(lock_crash) = {.name = "lock.crash",
                             .prepare = prepare,
                             .threads = {add_one, add_one},
                             .finish = check,
                             .preemptions = 2,
                             .stale = 1,
                             .crashes = 1};

/* Whoever inherits need not be who has found out about the death. */
static void tell_of_the_dead(void)
{
    (void)ring_recover();
}

static void try_to_add_one(void)
{
    uint32_t seen;
    int rc = weft__robust_try(&lock, me(), &seen, ring.processes, ring.participants);
    if (rc < 0)
        return;
    second += first - second;
    first++;
    second++;
    weft__store_relaxed(&lock.health, WEFT__GOOD);
    if (weft__robust_unlock(&lock))
        (void)weft__hook_shared_wake(&lock.word, 1);
}

EXPLORE_MODEL(lock_told) = {.name = "lock.told",
                            .prepare = prepare,
                            .threads = {add_one, tell_of_the_dead, try_to_add_one},
                            .finish = check,
                            .preemptions = 2,
                            .stale = 1,
                            .crashes = 1};
