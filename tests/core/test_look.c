/* SPDX-License-Identifier: BSD-2-Clause */
/* test_look.c — what a plain thread does before it sleeps: whether it looks for what it waits for,
 * how often at least and at most, and what it remembers of that for the next time. */
#include "side.h"

#include <weft/sync.h>

#include "sched/limits.h"
#include "sched/worker.h"

#define LOOKS 16         /* between two looks at the clock, as in look.c */
#define PRICE_MAX 4096   /* likewise */
#define LONG_NS WEFT_SEC /* longer than anything is worth */

/* Something that comes with the n-th look, or never. */
typedef struct coming {
    unsigned looks;
    unsigned comes; /* with which look; 0: never */
} coming;

static int has_come(const void *what)
{
    coming *self = (coming *)(uintptr_t)what;
    self->looks++;
    return self->comes != 0 && self->looks >= self->comes;
}

static int looks(coming *self, int64_t deadline_ns)
{
    return weft__thread_looks(has_come, self, deadline_ns);
}

static int make_fresh(void **state)
{
    (void)state;
    weft__thread_set_mood(WEFT__FRESH);
    return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static void test_no_time(void **state)
{
    (void)state;
    coming it = {.comes = 1};
    assert_false(looks(&it, WEFT_POLL));
    assert_false(looks(&it, -1));
    assert_false(looks(&it, INT64_MIN));
    assert_int_equal(it.looks, 0); /* the caller has done so */
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
}

static void test_come_already(void **state)
{
    (void)state;
    coming it = {.comes = 1};
    assert_true(looks(&it, WEFT_FOREVER));
    assert_int_equal(it.looks, 1);
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
}

static void test_comes(void **state)
{
    (void)state;
    coming it = {.comes = LOOKS / 2};
    assert_true(looks(&it, WEFT_FOREVER));
    assert_int_equal(it.looks, LOOKS / 2);
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
}

/* A deadline that has passed allows for no more than one look at the clock after the first. */
static void test_past(void **state)
{
    (void)state;
    coming early = {.comes = 1};
    assert_true(looks(&early, weft_now() - WEFT_SEC));
    coming never = {.comes = 0};
    assert_false(looks(&never, weft_now() - WEFT_SEC));
    assert_int_equal(never.looks, 2 * LOOKS);
    assert_int_equal(weft__thread_mood(), WEFT__TIRED);
}

/* The deadline ends the look, though patience would last. */
static void test_short_deadline(void **state)
{
    (void)state;
    coming early = {.comes = 1};
    assert_true(looks(&early, WEFT_FOREVER)); /* whose patience is what it can be */
    coming never = {.comes = 0};
    assert_false(looks(&never, 1));
    assert_int_equal(never.looks, 2 * LOOKS);
}

/* It comes to an end without a deadline, too. */
static void test_in_vain(void **state)
{
    (void)state;
    coming never = {.comes = 0};
    assert_false(looks(&never, WEFT_FOREVER));
    assert_true(never.looks >= 2 * LOOKS);
    assert_int_equal(weft__thread_mood(), WEFT__TIRED);
    unsigned before = never.looks;
    assert_false(looks(&never, WEFT_FOREVER));
    assert_int_equal(never.looks, before);
}

/* ---- crowded -------------------------------------------------------------------------------- */

static unsigned processors(void)
{
    struct weft__limits limits;
    assert_int_equal(weft__limits_read(&limits, ""), 0);
    return limits.usable;
}

/* A runtime with more workers than processors leaves none to those who look. */
static void test_crowded(void **state)
{
    (void)state;
    weft_runtime *runtime;
    weft_config config = {.workers = processors() + 1};
    coming it = {.comes = 1};
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    assert_false(looks(&it, WEFT_FOREVER));
    assert_int_equal(it.looks, 0);
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
    assert_true(looks(&it, WEFT_FOREVER));
}

/* ---- moods ---------------------------------------------------------------------------------- */

static int give_later(void *semaphore)
{
    weft_sleep(weft_in(5 * WEFT_MSEC));
    CHECK(weft_semaphore_release(semaphore, 1) == 0);
    return 0;
}

/* Who has looked in vain sleeps, and then is fresh again. */
static void test_sleep_refreshes(void **state)
{
    (void)state;
    weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(0);
    side giver = {.body = give_later, .arg = &semaphore};
    weft__thread_set_mood(WEFT__TIRED);
    start_side(&giver);
    assert_int_equal(weft_semaphore_acquire(&semaphore, WEFT_FOREVER), 0);
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
    end_side(&giver);
}

/* Who has called a worker looks once, steps aside, looks again, and then is through with that. */
static void test_called(void **state)
{
    (void)state;
    coming never = {.comes = 0};
    weft__thread_set_mood(WEFT__HAS_CALLED);
    assert_false(looks(&never, WEFT_FOREVER));
    assert_in_range(never.looks, 1, 2); /* one where stepping aside is left out */
    assert_int_equal(weft__thread_mood(), WEFT__TIRED);
    coming early = {.comes = 1};
    weft__thread_set_mood(WEFT__HAS_CALLED);
    assert_true(looks(&early, WEFT_FOREVER));
    assert_int_equal(early.looks, 1);
    assert_int_equal(weft__thread_mood(), WEFT__FRESH);
    coming late = {.comes = 2};
    weft__thread_set_mood(WEFT__HAS_CALLED);
    int is_there = looks(&late, WEFT_FOREVER);
    assert_int_equal(late.looks, 1 + is_there);
    assert_int_equal(weft__thread_mood(), is_there ? WEFT__FRESH : WEFT__TIRED);
}

/* ---- stepping aside ------------------------------------------------------------------------- */

static void test_left_out(void **state)
{
    (void)state;
    weft__courtesy courtesy = {.left_out = 2};
    assert_false(weft__step_aside(&courtesy));
    assert_false(weft__step_aside(&courtesy));
    assert_int_equal(courtesy.left_out, 0);
    assert_true(weft__step_aside(&courtesy));
}

/* The longer the oftener it has taken long, within bounds; and less so after each time it has
 * not. */
static void test_price(void **state)
{
    (void)state;
    weft__courtesy courtesy = {0};
    weft__courtesy_learn(&courtesy, 0);
    assert_int_equal(courtesy.left_out, 0);
    uint32_t before = 0;
    for (int i = 0; i < 40; i++) {
        weft__courtesy_learn(&courtesy, LONG_NS);
        assert_true(courtesy.left_out > before || courtesy.left_out == PRICE_MAX);
        before = courtesy.left_out;
    }
    assert_int_equal(before, PRICE_MAX);
    for (int i = 0; i < 40; i++)
        weft__courtesy_learn(&courtesy, 0);
    assert_int_equal(courtesy.price, 0);
    assert_int_equal(courtesy.left_out, PRICE_MAX); /* only calls make that less */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_time, make_fresh),
        cmocka_unit_test_setup(test_come_already, make_fresh),
        cmocka_unit_test_setup(test_comes, make_fresh),
        cmocka_unit_test_setup(test_past, make_fresh),
        cmocka_unit_test_setup(test_short_deadline, make_fresh),
        cmocka_unit_test_setup(test_in_vain, make_fresh),
        cmocka_unit_test_setup(test_crowded, make_fresh),
        cmocka_unit_test_setup(test_sleep_refreshes, make_fresh),
        cmocka_unit_test_setup(test_called, make_fresh),
        cmocka_unit_test_setup(test_left_out, make_fresh),
        cmocka_unit_test_setup(test_price, make_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
