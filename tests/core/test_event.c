/* SPDX-License-Identifier: BSD-2-Clause */
/* test_event.c — a set event lets everybody pass, and is not touched any more by whoever set it. */
#include "crew.h"

static int check_flag(void *arg)
{
    static weft_event zeros;
    weft_event event = WEFT_EVENT_INIT;
    (void)arg;
    CHECK(!weft_event_is_set(&zeros));
    CHECK(!weft_event_is_set(&event));
    CHECK(weft_event_wait(&event, WEFT_POLL) == -ETIMEDOUT);
    weft_event_set(&event);
    weft_event_set(&event);
    CHECK(weft_event_is_set(&event));
    CHECK(weft_event_wait(&event, WEFT_POLL) == 0);
    CHECK(weft_event_wait(&event, WEFT_FOREVER) == 0);
    weft_event_clear(&event);
    weft_event_clear(&event);
    CHECK(!weft_event_is_set(&event));
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_event_wait(&event, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(count_waiters(&event.queue_) == 0);
    return 0;
}

static void test_flag(void **state)
{
    (void)state;
    on_every_count(check_flag, NULL);
}

/* ---- all at once ----------------------------------------------------------------------------- */

enum { CROWD = 24 };

typedef struct crowd {
    weft_event gate;
    unsigned passed;
} crowd;

static int pass_gate(void *arg, unsigned index)
{
    crowd *c = arg;
    (void)index;
    CHECK(weft_event_wait(&c->gate, WEFT_FOREVER) == 0);
    weft__fetch_add_acq_rel(&c->passed, 1);
    return 0;
}

/* Those who wait when it is set pass, though it is cleared at once; those who come later do not. */
static void test_set_and_clear(void **state)
{
    crowd c = {.gate = WEFT_EVENT_INIT};
    side_crew first = {.all = {pass_gate, &c, CROWD / 2, CROWD / 2, 2}};
    side_crew second = {.all = {pass_gate, &c, 1, 1, 1}};
    (void)state;
    start_side(&first);
    assert_true(wait_for_waiters(&c.gate.queue_, CROWD));
    weft_event_set(&c.gate);
    weft_event_clear(&c.gate);
    start_side(&second);
    end_side(&first);
    assert_true(wait_for_waiters(&c.gate.queue_, 2));
    assert_int_equal(weft__load_acquire(&c.passed), CROWD);
    weft_event_set(&c.gate);
    end_side(&second);
    assert_int_equal(weft__load_acquire(&c.passed), CROWD + 2);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { PLAYERS = 4 };

typedef struct ring {
    weft_event turns[PLAYERS];
    long rounds;
    long plain; /* written by whose turn it is */
} ring;

/* Each waits for its turn and gives it on: one lost wake-up stops all. */
static int play(void *arg, unsigned index)
{
    ring *r = arg;
    uint64_t random = index;
    weft_event *mine = &r->turns[index];
    for (long i = 0; i < r->rounds; i++) {
        while (weft_event_wait(mine, random_deadline(&random)) != 0)
            continue;
        weft_event_clear(mine);
        CHECK(r->plain % PLAYERS == index);
        r->plain++;
        weft_event_set(&r->turns[(index + 1) % PLAYERS]);
    }
    return 0;
}

static void test_turns(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        ring r = {.rounds = LESS_IF_SANITIZED(3000, 300)};
        weft_event_set(&r.turns[0]);
        on_crews(play, &r, PLAYERS);
        assert_int_equal(r.plain, 3 * PLAYERS * r.rounds);
    } while (weft_now() < end);
}

/* ---- the last touch -------------------------------------------------------------------------- */

enum { RELAYS = 1000 };

static int pass_relay(void *arg, unsigned index)
{
    weft_event **events = arg;
    for (size_t i = 0; i < RELAYS; i++) {
        if (index == 0) {
            weft_event_set(events[i]);
            continue;
        }
        CHECK(weft_event_wait(events[i], WEFT_FOREVER) == 0);
        free(events[i]);
    }
    return 0;
}

static void test_last_touch(void **state)
{
    weft_event *events[RELAYS];
    (void)state;
    for (unsigned fibers = 0; fibers <= 2; fibers++) {
        for (size_t i = 0; i < RELAYS; i++)
            events[i] = calloc(1, sizeof(weft_event));
        crew all = {pass_relay, events, fibers, 2 - fibers, 2};
        assert_int_equal(run_crew(&all), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_set_and_clear),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_last_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
