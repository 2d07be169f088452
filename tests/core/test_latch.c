/* SPDX-License-Identifier: BSD-2-Clause */
/* test_latch.c — a latch opens with its last step, for everybody and for good. */
#include "crew.h"

static int check_steps(void *arg)
{
    static weft_latch zeros;
    weft_latch latch = WEFT_LATCH_INIT(3);
    (void)arg;
    CHECK(weft_latch_wait(&zeros, WEFT_FOREVER) == 0);
    weft_latch_count_down(&latch, 0);
    CHECK(weft_latch_wait(&latch, WEFT_POLL) == -ETIMEDOUT);
    weft_latch_count_down(&latch, 2);
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_latch_wait(&latch, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(count_waiters(&latch.queue_) == 0);
    weft_latch_count_down(&latch, 1);
    CHECK(weft_latch_wait(&latch, WEFT_POLL) == 0);
    CHECK(weft_latch_wait(&latch, WEFT_FOREVER) == 0);
    return 0;
}

static void test_steps(void **state)
{
    (void)state;
    on_every_count(check_steps, NULL);
}

static int count_too_far(void *arg)
{
    weft_latch latch = WEFT_LATCH_INIT(1);
    (void)arg;
    weft_latch_count_down(&latch, 2);
    return 0;
}

static void test_below_zero(void **state)
{
    (void)state;
    child_end end = in_child(count_too_far, NULL);
    expect_death(&end, SIGABRT, "below zero");
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { MEMBERS = 8, LATCHES = 1500 };

/* Members 0 and 1 wait, the others do the steps; whoever comes through second frees the latch. */
typedef struct gate {
    weft_latch latch;
    unsigned through;
    unsigned steps; /* plain writes, one for each member, before its step */
    unsigned char done[MEMBERS];
} gate;

static int wait_at(gate *g, uint64_t *random)
{
    while (weft_latch_wait(&g->latch, random_deadline(random)) != 0)
        continue;
    for (unsigned i = 2; i < MEMBERS; i++)
        CHECK(g->done[i]);
    if (weft__fetch_add_acq_rel(&g->through, 1) == 1)
        free(g);
    return 0;
}

static int pass_gates(void *arg, unsigned index)
{
    gate **gates = arg;
    uint64_t random = index;
    for (size_t i = 0; i < LESS_IF_SANITIZED(LATCHES, 150); i++) {
        gate *g = gates[i];
        if (index < 2) {
            CHECK_CALL(wait_at(g, &random));
            continue;
        }
        g->done[index] = 1;
        weft_latch_count_down(&g->latch, 1);
    }
    return 0;
}

static void check_gates(unsigned fibers, unsigned workers)
{
    gate *gates[LATCHES];
    for (size_t i = 0; i < LESS_IF_SANITIZED(LATCHES, 150); i++) {
        gates[i] = calloc(1, sizeof(gate));
        gates[i]->latch = (weft_latch)WEFT_LATCH_INIT(MEMBERS - 2);
    }
    crew all = {pass_gates, gates, fibers, MEMBERS - fibers, workers};
    int line = run_crew(&all);
    if (line != 0)
        fail_msg("line %d fails with %u fibers on %u workers", line, fibers, workers);
}

static void test_gates(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 2; workers++)
            for (unsigned fibers = 0; fibers <= MEMBERS; fibers += MEMBERS / 4)
                check_gates(fibers, workers);
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_zero),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_gates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
