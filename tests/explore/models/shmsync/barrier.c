/* SPDX-License-Identifier: BSD-2-Clause */
/* barrier.c — models of the barrier between processes: nobody returns before all have come, all are
 * told the same about their round, and nobody sleeps for ever. */
#include "models/shmsync/world.h"

#include <string.h>

#define PARTIES_MAX 3
#define ROUNDS 2

static unsigned written[PARTIES_MAX][ROUNDS]; /* each its own before it waits, others' after */
static int result[PARTIES_MAX];

static void prepare(void)
{
    memset(written, 0, sizeof written);
    memset(result, 0, sizeof result);
    world_prepare((uint32_t)explore_argument());
}

static int wait_until(int64_t deadline)
{
    return weft_shm_barrier_wait(&world.barrier, deadline);
}

static void note(int rc)
{
    result[explore_self()] = rc;
}

/* ---- all come -------------------------------------------------------------------------------- */

static void write_and_read(unsigned round)
{
    written[explore_self()][round] = 1;
    int number = wait_until(WEFT_FOREVER);
    explore_check(number >= 0 && (uint64_t)number < explore_argument());
    for (uint64_t i = 0; i < explore_argument(); i++)
        explore_check(written[i][round] == 1);
    result[explore_self()] |= 1 << number;
}

static void meet_once(void)
{
    write_and_read(0);
}

static void meet_twice(void)
{
    write_and_read(0);
    write_and_read(1);
}

/* Each number was given to somebody. */
static void check_numbers(void)
{
    int all = 0;
    for (unsigned i = 0; i < PARTIES_MAX; i++)
        all |= result[i];
    explore_check(all == (1 << explore_argument()) - 1);
}

EXPLORE_MODEL(barrier_two) = {.name = "barrier.two",
                              .prepare = prepare,
                              .threads = {meet_twice, meet_twice},
                              .finish = check_numbers,
                              .argument = 2,
                              .preemptions = 2,
                              .stale = 2};

EXPLORE_MODEL(barrier_three) = {.name = "barrier.three",
                                .prepare = prepare,
                                .threads = {meet_once, meet_once, meet_once},
                                .finish = check_numbers,
                                .argument = 3,
                                .preemptions = 1,
                                .stale = 1};

/* ---- more rounds than one has looked at ------------------------------------------------------ */

static void come_once(void)
{
    explore_check(wait_until(WEFT_FOREVER) >= 0);
}

EXPLORE_MODEL(barrier_late) = {.name = "barrier.late",
                               .prepare = prepare,
                               .threads = {come_once, come_once, come_once, come_once},
                               .argument = 2,
                               .preemptions = 1,
                               .stale = 0};

/* ---- it breaks ------------------------------------------------------------------------------- */

static void come(void)
{
    note(wait_until(WEFT_FOREVER));
}

static void come_for_a_moment(void)
{
    note(wait_until(1));
}

static void give_up(void)
{
    (void)weft_shm_barrier_abort(&world.barrier);
}

/* Both have met, or neither has. */
static void check_same(void)
{
    explore_check((result[0] >= 0) == (result[1] >= 0));
}

EXPLORE_MODEL(barrier_abort) = {.name = "barrier.abort",
                                .prepare = prepare,
                                .threads = {come, come, give_up},
                                .finish = check_same,
                                .argument = 2,
                                .preemptions = 2,
                                .stale = 1};

/* Nor is the next round broken by who comes too late with his deadline. */
static void check_next(void)
{
    check_same();
    if (result[0] >= 0)
        explore_check(wait_until(WEFT_POLL) == -EAGAIN);
}

EXPLORE_MODEL(barrier_deadline) = {.name = "barrier.deadline",
                                   .prepare = prepare,
                                   .threads = {come, come_for_a_moment},
                                   .finish = check_next,
                                   .argument = 2,
                                   .preemptions = 3,
                                   .stale = 1};

/* Whoever is sent away comes again. */
static void come_until_met(void)
{
    int rc;
    do
        rc = wait_until(WEFT_FOREVER);
    while (rc == -EPIPE);
    explore_check(rc >= 0);
}

static void begin_anew(void)
{
    (void)weft_shm_barrier_reset(&world.barrier);
}

EXPLORE_MODEL(barrier_reset) = {.name = "barrier.reset",
                                .prepare = prepare,
                                .threads = {come_until_met, come_until_met, begin_anew},
                                .argument = 2,
                                .preemptions = 2,
                                .stale = 0};

/* One stops for ever: the other has met it, or is told. */
static void check_survivor(void)
{
    for (unsigned i = 0; i < 2; i++)
        if (!explore_has_died(i) && explore_crashed() == 0)
            explore_check(result[i] >= 0);
}

static void come_or_be_told(void)
{
    int rc = wait_until(WEFT_FOREVER);
    explore_check(rc >= 0 || (explore_crashed() > 0 && (rc == -EOWNERDEAD || rc == -EPIPE)));
    note(rc);
}

EXPLORE_MODEL(barrier_crash) = {.name = "barrier.crash",
                                .prepare = prepare,
                                .threads = {come_or_be_told, come_or_be_told},
                                .finish = check_survivor,
                                .argument = 2,
                                .preemptions = 2,
                                .stale = 1,
                                .crashes = 1};
