/* SPDX-License-Identifier: BSD-2-Clause */
/* test_barrier.c — all wait for all, round after round; a broken round hurts nobody but its own. */
#include "crew.h"

enum { PARTIES = 6 };

/* ---- rounds ---------------------------------------------------------------------------------- */

typedef struct rounds {
    weft_barrier barrier;
    unsigned came;    /* arrivals in the rounds that count */
    unsigned indices; /* a bit for each index that was handed out in the last of them */
    unsigned actions; /* plain: all others wait */
    long count;
} rounds;

static int go_round(void *arg, unsigned index)
{
    rounds *r = arg;
    (void)index;
    for (long i = 0; i < r->count; i++) {
        weft__fetch_add_acq_rel(&r->came, 1);
        int place = weft_barrier_wait(&r->barrier, WEFT_FOREVER);
        CHECK(place >= 0 && place < PARTIES);
        unsigned before = weft__fetch_add_acq_rel(&r->indices, 1U << place);
        CHECK((before & (1U << place)) == 0);
        CHECK(weft_barrier_wait(&r->barrier, WEFT_FOREVER) >= 0);
    }
    return 0;
}

/* Every other round counts: all have come, nobody has gone on. The rounds between keep those apart,
 * and by then all indices have been handed out. */
static int note_every_other(void *arg)
{
    rounds *r = arg;
    if (r->actions % 2 == 0) {
        unsigned complete = weft__load_acquire(&r->came) == (r->actions / 2 + 1) * PARTIES;
        weft__store_release(&r->indices, 0);
        r->actions++;
        return !complete;
    }
    r->actions++;
    return weft__load_acquire(&r->indices) != (1U << PARTIES) - 1;
}

static void check_rounds(unsigned fibers, unsigned workers, long count)
{
    rounds r = {.count = count};
    r.barrier = (weft_barrier)WEFT_BARRIER_INIT_ACTION(PARTIES, note_every_other, &r);
    crew all = {go_round, &r, fibers, PARTIES - fibers, workers};
    int line = run_crew(&all);
    if (line != 0)
        fail_msg("line %d fails with %u fibers on %u workers", line, fibers, workers);
    assert_int_equal(r.actions, 2 * count);
    assert_false(weft_barrier_is_broken(&r.barrier));
}

static void test_rounds(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 2; workers++)
            for (unsigned fibers = 0; fibers <= PARTIES; fibers += PARTIES / 2)
                check_rounds(fibers, workers, LESS_IF_SANITIZED(1500, 150));
    } while (weft_now() < end);
}

/* ---- alone ----------------------------------------------------------------------------------- */

static int check_alone(void *arg)
{
    weft_barrier one = WEFT_BARRIER_INIT(1);
    weft_barrier two = WEFT_BARRIER_INIT(2);
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    (void)arg;
    CHECK(weft_barrier_wait(&one, WEFT_POLL) == 0);
    CHECK(weft_barrier_wait(&one, WEFT_FOREVER) == 0);
    CHECK(weft_barrier_wait(&two, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(weft_barrier_is_broken(&two));
    CHECK(weft_barrier_waiting(&two) == 0);
    CHECK(weft_barrier_wait(&two, WEFT_FOREVER) == -EPIPE);
    weft_barrier_reset(&two);
    CHECK(!weft_barrier_is_broken(&two));
    CHECK(weft_barrier_wait(&two, WEFT_POLL) == -ETIMEDOUT);
    CHECK(weft_barrier_is_broken(&two));
    weft_barrier_reset(&two);
    weft_barrier_abort(&two);
    CHECK(weft_barrier_wait(&two, WEFT_FOREVER) == -EPIPE);
    return 0;
}

static void test_alone(void **state)
{
    (void)state;
    on_every_count(check_alone, NULL);
}

/* ---- broken rounds --------------------------------------------------------------------------- */

typedef struct broken {
    weft_barrier barrier;
    int expected;
    unsigned refused;
} broken;

static int expect_refusal(void *arg, unsigned index)
{
    broken *b = arg;
    (void)index;
    CHECK(weft_barrier_wait(&b->barrier, WEFT_FOREVER) == b->expected);
    weft__fetch_add_acq_rel(&b->refused, 1);
    return 0;
}

static void give_up(weft_barrier *barrier)
{
    assert_int_equal(weft_barrier_wait(barrier, weft_in(WEFT_MSEC)), -ETIMEDOUT);
}

static void check_broken(void (*how)(weft_barrier *barrier), int stays_broken)
{
    broken b = {.barrier = WEFT_BARRIER_INIT(PARTIES), .expected = -EPIPE};
    side_crew side = {.all = {expect_refusal, &b, 2, PARTIES - 4, 2}};
    start_side(&side);
    assert_true(wait_for_waiters(&b.barrier.queue_, PARTIES - 2));
    assert_int_equal(weft_barrier_waiting(&b.barrier), PARTIES - 2);
    how(&b.barrier);
    end_side(&side);
    assert_int_equal(b.refused, PARTIES - 2);
    assert_int_equal(weft_barrier_is_broken(&b.barrier), stays_broken);
    assert_int_equal(weft_barrier_waiting(&b.barrier), 0);
}

static void test_time_out_breaks(void **state)
{
    (void)state;
    check_broken(give_up, 1);
}

static void test_abort(void **state)
{
    (void)state;
    check_broken(weft_barrier_abort, 1);
}

static void test_reset(void **state)
{
    (void)state;
    check_broken(weft_barrier_reset, 0);
}

static int refuse(void *arg)
{
    (void)arg;
    return 1;
}

static void test_failing_action(void **state)
{
    broken b = {.barrier = WEFT_BARRIER_INIT_ACTION(PARTIES, refuse, NULL), .expected = -EPIPE};
    crew all = {expect_refusal, &b, PARTIES / 2, PARTIES / 2, 2};
    (void)state;
    assert_int_equal(run_crew(&all), 0);
    assert_true(weft_barrier_is_broken(&b.barrier));
}

/* ---- breaking at any moment ------------------------------------------------------------------ */

typedef struct storm {
    weft_barrier barrier;
    long turns;
} storm;

/* Whatever comes of it, everybody comes back. */
static int weather(void *arg, unsigned index)
{
    storm *s = arg;
    uint64_t random = index;
    for (long i = 0; i < s->turns; i++) {
        int64_t deadline = next_random(&random) % 4 != 0 ? weft_in(20 * WEFT_USEC) : WEFT_POLL;
        int rc = weft_barrier_wait(&s->barrier, deadline);
        CHECK(rc == -EPIPE || rc == -ETIMEDOUT || (rc >= 0 && rc < 3));
        if (next_random(&random) % 16 == 0)
            weft_barrier_abort(&s->barrier);
        if (rc == -EPIPE || rc == -ETIMEDOUT)
            weft_barrier_reset(&s->barrier);
    }
    return 0;
}

static void test_storm(void **state)
{
    storm s = {.barrier = WEFT_BARRIER_INIT(3), .turns = LESS_IF_SANITIZED(1000, 100)};
    (void)state;
    on_crews(weather, &s, PARTIES);
    assert_int_equal(count_waiters(&s.barrier.queue_), 0);
}

static int wait_at_nothing(void *arg)
{
    weft_barrier forgotten = {.parties_ = 0};
    (void)arg;
    return weft_barrier_wait(&forgotten, WEFT_FOREVER) != 0;
}

/* What was not initialised lets nobody through as if all had come. */
static void test_no_parties(void **state)
{
    (void)state;
    child_end end = in_child(wait_at_nothing, NULL);
    expect_death(&end, SIGABRT, "no parties");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),          cmocka_unit_test(test_alone),
        cmocka_unit_test(test_time_out_breaks), cmocka_unit_test(test_abort),
        cmocka_unit_test(test_reset),           cmocka_unit_test(test_failing_action),
        cmocka_unit_test(test_storm),           cmocka_unit_test(test_no_parties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
