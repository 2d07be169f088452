/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.c — how ConcurrencyKit's event count sleeps and wakes.
 *
 * The library calls `wait` with deadlines that it lengthens step by step, because its
 * single-producer form may miss a wake. The form used here never does, so these are ignored; the
 * caller's own comes along as `data`. An idle worker makes one system call and then none. */
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
    (void)deadline;
    const int64_t *callers = state->data;
    (void)weft__futex_wait(word, expected, callers != NULL ? *callers : WEFT_FOREVER);
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

WEFT__HOT static void wake32(const struct ck_ec_ops *ops, const uint32_t *word)
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

static int never(const struct ck_ec_wait_state *state, struct timespec *deadline)
{
    (void)state;
    (void)deadline;
    return 0;
}

WEFT__HOT void weft__ec_sleep(struct ck_ec32 *ec, uint32_t value, int64_t deadline_ns)
{
    if (deadline_ns == WEFT_FOREVER) {
        (void)ck_ec32_wait(ec, &weft__ec_mode, value, NULL);
        return;
    }
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / WEFT_SEC),
                                      .tv_nsec = (long)(deadline_ns % WEFT_SEC)};
    (void)ck_ec32_wait_pred(ec, &weft__ec_mode, value, never, &deadline_ns, &deadline);
}
