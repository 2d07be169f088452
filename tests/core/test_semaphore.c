/* SPDX-License-Identifier: BSD-2-Clause */
/* test_semaphore.c — permits are neither lost nor doubled, and are had in order of arrival. */
#include "crew.h"

/* ---- the small things ------------------------------------------------------------------------ */

static int check_counting(void *arg)
{
    weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(2);
    (void)arg;
    CHECK(weft_semaphore_permits(&semaphore) == 2);
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_POLL) == 0);
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_FOREVER) == 0);
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_POLL) == -ETIMEDOUT);
    CHECK(weft_semaphore_release(&semaphore, 0) == 0);
    CHECK(weft_semaphore_permits(&semaphore) == 0);
    CHECK(weft_semaphore_release(&semaphore, 3) == 0);
    CHECK(weft_semaphore_permits(&semaphore) == 3);
    return 0;
}

static void test_counting(void **state)
{
    (void)state;
    on_every_count(check_counting, NULL);
}

static int check_zero(void *arg)
{
    static weft_semaphore semaphore; /* memory of zeros */
    (void)arg;
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_POLL) == -ETIMEDOUT);
    CHECK(weft_semaphore_release(&semaphore, 1) == 0);
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_POLL) == 0);
    return 0;
}

static void test_zero(void **state)
{
    (void)state;
    on_every_count(check_zero, NULL);
}

static int check_limits(void *arg)
{
    weft_semaphore bounded = WEFT_BOUNDED_SEMAPHORE_INIT(2);
    weft_semaphore free = WEFT_SEMAPHORE_INIT(1);
    (void)arg;
    CHECK(weft_semaphore_release(&bounded, 1) == -EINVAL);
    CHECK(weft_semaphore_acquire(&bounded, WEFT_POLL) == 0);
    CHECK(weft_semaphore_release(&bounded, 2) == -EINVAL);
    CHECK(weft_semaphore_permits(&bounded) == 1);
    CHECK(weft_semaphore_release(&bounded, 1) == 0);
    CHECK(weft_semaphore_release(&free, WEFT_SEMAPHORE_MAX) == -EINVAL);
    CHECK(weft_semaphore_release(&free, UINT32_MAX) == -EINVAL);
    CHECK(weft_semaphore_permits(&free) == 1);
    CHECK(weft_semaphore_release(&free, WEFT_SEMAPHORE_MAX - 1) == 0);
    CHECK(weft_semaphore_permits(&free) == WEFT_SEMAPHORE_MAX);
    CHECK(weft_semaphore_release(&free, 1) == -EINVAL);
    return 0;
}

static void test_limits(void **state)
{
    (void)state;
    on_every_count(check_limits, NULL);
}

static int check_deadline(void *arg)
{
    weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(0);
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    (void)arg;
    CHECK(weft_semaphore_acquire(&semaphore, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(count_waiters(&semaphore.queue_) == 0);
    CHECK(weft_semaphore_acquire(&semaphore, 1) == -ETIMEDOUT); /* long ago */
    CHECK(weft_semaphore_release(&semaphore, 1) == 0);
    CHECK(weft_semaphore_acquire(&semaphore, WEFT_POLL) == 0);
    return 0;
}

static void test_deadline(void **state)
{
    (void)state;
    on_every_count(check_deadline, NULL);
}

/* ---- order of arrival ------------------------------------------------------------------------ */

enum { ARRIVALS = 8 };

typedef struct line_up {
    weft_semaphore semaphore;
    unsigned arrived;
    unsigned served;
    int is_unfair;
} line_up;

static int acquire_in_turn(void *arg, unsigned index)
{
    line_up *l = arg;
    CHECK(wait_for(&l->arrived, index));
    CHECK(index == 0 || wait_for_waiters(&l->semaphore.queue_, index));
    weft__fetch_add_acq_rel(&l->arrived, 1);
    CHECK(weft_semaphore_acquire(&l->semaphore, WEFT_FOREVER) == 0);
    if (weft__fetch_add_acq_rel(&l->served, 1) != index)
        weft__store_relaxed(&l->is_unfair, 1);
    return 0;
}

/* One permit after another goes to the longest waiter; whoever comes later finds none. */
static void check_order(unsigned fibers, unsigned threads)
{
    line_up l = {.semaphore = WEFT_SEMAPHORE_INIT(0)};
    side_crew side = {.all = {acquire_in_turn, &l, fibers, threads, ARRIVALS}};
    start_side(&side);
    assert_true(wait_for_waiters(&l.semaphore.queue_, ARRIVALS));
    for (unsigned i = 0; i < ARRIVALS; i++) {
        assert_int_equal(weft_semaphore_release(&l.semaphore, 1), 0);
        assert_int_equal(weft_semaphore_acquire(&l.semaphore, WEFT_POLL), -ETIMEDOUT);
        assert_true(wait_for(&l.served, i + 1));
    }
    end_side(&side);
    assert_int_equal(l.is_unfair, 0);
}

static void test_order(void **state)
{
    (void)state;
    check_order(0, ARRIVALS);
    check_order(ARRIVALS, 0);
    check_order(ARRIVALS / 2, ARRIVALS / 2);
}

/* Several at once wake as many, and leave the rest. */
static void test_release_many(void **state)
{
    line_up l = {.semaphore = WEFT_SEMAPHORE_INIT(0)};
    side_crew side = {.all = {acquire_in_turn, &l, 0, ARRIVALS, 1}};
    (void)state;
    start_side(&side);
    assert_true(wait_for_waiters(&l.semaphore.queue_, ARRIVALS));
    assert_int_equal(weft_semaphore_release(&l.semaphore, 3), 0);
    assert_true(wait_for(&l.served, 3));
    assert_int_equal(count_waiters(&l.semaphore.queue_), ARRIVALS - 3);
    assert_int_equal(weft_semaphore_release(&l.semaphore, ARRIVALS), 0);
    end_side(&side);
    assert_int_equal(weft_semaphore_permits(&l.semaphore), 3);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { MEMBERS = 12, PERMITS = 3 };

typedef struct traffic {
    weft_semaphore semaphore;
    unsigned inside;
    long turns;
} traffic;

static int acquire(weft_semaphore *semaphore, uint64_t *random)
{
    int64_t deadline = random_deadline(random);
    int rc = weft_semaphore_acquire(semaphore, deadline);
    if (rc == -ETIMEDOUT && deadline != WEFT_FOREVER)
        rc = weft_semaphore_acquire(semaphore, WEFT_FOREVER);
    return rc;
}

static int pass_through(void *arg, unsigned index)
{
    traffic *t = arg;
    uint64_t random = index;
    for (long i = 0; i < t->turns; i++) {
        CHECK(acquire(&t->semaphore, &random) == 0);
        CHECK(weft__fetch_add_acq_rel(&t->inside, 1) < PERMITS);
        weft__fetch_add_acq_rel(&t->inside, (unsigned)-1);
        CHECK(weft_semaphore_release(&t->semaphore, 1) == 0);
    }
    return 0;
}

static void test_traffic(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        traffic t = {.semaphore = WEFT_BOUNDED_SEMAPHORE_INIT(PERMITS),
                     .turns = LESS_IF_SANITIZED(4000, 400)};
        on_crews(pass_through, &t, MEMBERS);
        assert_int_equal(weft_semaphore_permits(&t.semaphore), PERMITS);
        assert_int_equal(count_waiters(&t.semaphore.queue_), 0);
    } while (weft_now() < end);
}

/* The release is the last touch: whoever is let go by it may free the semaphore. */
typedef struct relay {
    weft_semaphore *semaphores[1000];
    int is_late;
} relay;

static int pass_relay(void *arg, unsigned index)
{
    relay *r = arg;
    for (size_t i = 0; i < sizeof(r->semaphores) / sizeof(r->semaphores[0]); i++) {
        if (index == 0) {
            CHECK(weft_semaphore_release(r->semaphores[i], 1) == 0);
            continue;
        }
        CHECK(weft_semaphore_acquire(r->semaphores[i], WEFT_FOREVER) == 0);
        free(r->semaphores[i]);
    }
    return 0;
}

static void test_last_touch(void **state)
{
    static relay r;
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (unsigned fibers = 0; fibers <= 2; fibers++) {
            for (size_t i = 0; i < sizeof(r.semaphores) / sizeof(r.semaphores[0]); i++)
                r.semaphores[i] = calloc(1, sizeof(weft_semaphore));
            crew all = {pass_relay, &r, fibers, 2 - fibers, workers};
            assert_int_equal(run_crew(&all), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counting), cmocka_unit_test(test_zero),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_order),    cmocka_unit_test(test_release_many),
        cmocka_unit_test(test_traffic),  cmocka_unit_test(test_last_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
