/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.c — how ConcurrencyKit's event count sleeps and wakes.
 *
 * The library calls `wait` with deadlines that it lengthens step by step, because its
 * single-producer form may miss a wake. The form used here never does, so the deadline is ignored
 * unless the caller set one: an idle worker makes one system call and then none. */
#include "ck.h"

#include "sys.h"

#include <time.h>

static int read_clock(const struct ck_ec_ops *ops, struct timespec *now)
{
    (void)ops;
    return clock_gettime(CLOCK_MONOTONIC, now);
}

static void wait32(const struct ck_ec_wait_state *state, const uint32_t *word, uint32_t expected,
                   const struct timespec *deadline)
{
    (void)state;
    (void)deadline;
    (void)weft__futex_wait(word, expected, WEFT_FOREVER);
}

static void wait64(const struct ck_ec_wait_state *state, const uint64_t *word, uint64_t expected,
                   const struct timespec *deadline)
{
    /* A futex is 32 bits wide: sleep on the half that changes with every event. */
    const uint32_t *halves = (const uint32_t *)(const void *)word;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    halves++;
#endif
    wait32(state, halves, (uint32_t)expected, deadline);
}

static void wake32(const struct ck_ec_ops *ops, const uint32_t *word)
{
    (void)ops;
    weft__futex_wake(word, INT32_MAX);
}

static void wake64(const struct ck_ec_ops *ops, const uint64_t *word)
{
    const uint32_t *halves = (const uint32_t *)(const void *)word;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    halves++;
#endif
    wake32(ops, halves);
}

static const struct ck_ec_ops ops = {
    .gettime = read_clock,
    .wait32 = wait32,
    .wait64 = wait64,
    .wake32 = wake32,
    .wake64 = wake64,
    .busy_loop_iter = 1, /* spinning is bounded in time, by the idle worker itself */
};

const struct ck_ec_mode weft__ec_mode = {.ops = &ops, .single_producer = false};
