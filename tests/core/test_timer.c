/* SPDX-License-Identifier: BSD-2-Clause */
/* test_timer.c — the timing wheel, beside a list that does the same the slow way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "on_workers.h"
#include "sched/timer.h"

enum { TIMERS = 400, STEPS = 20000 };

/* What the wheel holds, remembered outside of it. */
typedef struct entry {
    weft__timer timer;
    int64_t deadline;
    int is_armed;
} entry;

typedef struct world {
    weft__wheel wheel;
    entry entries[TIMERS];
    int64_t now;
    int expired_early;
    int expired_unarmed;
} world;

static void expire(weft__timer *timer, void *arg)
{
    world *self = arg;
    entry *one = (entry *)(void *)timer;
    self->expired_early += one->deadline > self->now;
    self->expired_unarmed += !one->is_armed;
    one->is_armed = 0;
}

/* A distance of any magnitude, from a nanosecond to months. */
static int64_t any_distance(uint64_t *seed)
{
    unsigned bits = (unsigned)(next_random(seed) % 54);
    return (int64_t)(next_random(seed) & (((uint64_t)1 << bits) - 1));
}

static int64_t earliest(const world *self)
{
    int64_t deadline = WEFT_FOREVER;
    for (unsigned i = 0; i < TIMERS; i++)
        if (self->entries[i].is_armed && self->entries[i].deadline < deadline)
            deadline = self->entries[i].deadline;
    return deadline;
}

static void toggle(world *self, entry *one, uint64_t *seed)
{
    if (one->is_armed) {
        weft__timer_disarm(&one->timer);
        one->is_armed = 0;
        return;
    }
    one->deadline = self->now - 1000 + any_distance(seed);
    one->is_armed = 1;
    (void)weft__timer_arm(&self->wheel, &one->timer, one->deadline);
}

/* What is announced is no later than what is there: also when some are left that are due. */
static void check_announced(const world *self, int64_t due)
{
    assert_true(weft__wheel_next(&self->wheel) <= due ||
                weft__wheel_next(&self->wheel) - due < WEFT__TICK_NS);
}

/* Let time pass, expire, about so many at a time, and look for timers that should have expired and
 * have not. */
static void advance(world *self, int64_t distance, size_t enough)
{
    size_t expired;
    self->now += distance;
    do {
        expired = weft__wheel_expire(&self->wheel, self->now, enough, expire, self);
        check_announced(self, earliest(self));
    } while (expired >= enough);
    int64_t due = earliest(self);
    assert_true(due == WEFT_FOREVER || due > self->now - WEFT__TICK_NS);
}

static void run_world(int64_t start, uint64_t seed)
{
    static const size_t enough[] = {1, 3, SIZE_MAX};
    world *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->now = start;
    weft__wheel_init(&self->wheel, start);
    for (unsigned step = 0; step < STEPS; step++) {
        toggle(self, &self->entries[next_random(&seed) % TIMERS], &seed);
        if (next_random(&seed) % 4 == 0)
            advance(self, any_distance(&seed) / 1024, enough[next_random(&seed) % 3]);
    }
    while (earliest(self) != WEFT_FOREVER) {
        int64_t next = weft__wheel_next(&self->wheel);
        assert_true(next != WEFT_FOREVER);
        advance(self, next > self->now ? next - self->now : 1, SIZE_MAX);
    }
    assert_int_equal(self->expired_early, 0);
    assert_int_equal(self->expired_unarmed, 0);
    free(self);
}

static void test_expires_what_is_due_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_world(0, seed);
        run_world(INT64_C(1000000007), seed);
        run_world(((int64_t)1 << 42) - 5000, seed); /* several levels roll over soon */
    }
}

static void test_a_far_deadline_asks_for_few_looks(void **state)
{
    (void)state;
    world *self = calloc(1, sizeof *self);
    assert_non_null(self);
    weft__wheel_init(&self->wheel, 0);
    entry *one = &self->entries[0];
    one->deadline = INT64_C(1) << 50; /* thirteen days */
    one->is_armed = 1;
    assert_true(weft__timer_arm(&self->wheel, &one->timer, one->deadline));
    unsigned looks = 0;
    while (one->is_armed) {
        advance(self, weft__wheel_next(&self->wheel) - self->now, SIZE_MAX);
        looks++;
    }
    assert_true(looks <= WEFT__WHEEL_LEVELS);
    assert_int_equal(self->now, one->deadline);
    assert_int_equal(weft__wheel_next(&self->wheel), WEFT_FOREVER);
    free(self);
}

static void test_only_the_earliest_is_announced(void **state)
{
    (void)state;
    world *self = calloc(1, sizeof *self);
    assert_non_null(self);
    weft__wheel_init(&self->wheel, 0);
    assert_true(weft__timer_arm(&self->wheel, &self->entries[0].timer, 1000000));
    assert_false(weft__timer_arm(&self->wheel, &self->entries[1].timer, 2000000));
    assert_true(weft__timer_arm(&self->wheel, &self->entries[2].timer, 500000));
    weft__timer_disarm(&self->entries[2].timer);
    weft__timer_disarm(&self->entries[2].timer); /* twice is fine */
    assert_true(weft__wheel_next(&self->wheel) <= 1000000);
    self->now = 900000;
    (void)weft__wheel_expire(&self->wheel, self->now, SIZE_MAX, expire, self);
    assert_true(weft__wheel_next(&self->wheel) > 900000);
    weft__timer_disarm(&self->entries[0].timer);
    weft__timer_disarm(&self->entries[1].timer);
    free(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expires_what_is_due_and_nothing_else),
        cmocka_unit_test(test_a_far_deadline_asks_for_few_looks),
        cmocka_unit_test(test_only_the_earliest_is_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
