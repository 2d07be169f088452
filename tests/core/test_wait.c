/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wait.c — a wait that may be given up: woken, late, cancelled, and each against the others.
 * ctest: TIMEOUT 60
 *
 * The structure that waiters register with is a slot: a word that holds one waiter. Whoever swaps
 * the waiter out of it owns it, be it the waker or the waiter that takes itself back. */
#include <errno.h>
#include <pthread.h>

#include "process.h"

#include <weft/atomic.h>
#include <weft/fiber.h>

#include "hooks.h"
#include "sched/worker.h"

enum { RACES = 3000 };

typedef struct slot {
    uintptr_t waiter;
    int wakes;
} slot;

static int put(weft__waiter *waiter, void *arg)
{
    weft__store_release(&((slot *)arg)->waiter, (uintptr_t)waiter);
    return 1;
}

static weft__waiter *take(slot *self)
{
    return (weft__waiter *)weft__exchange_acq_rel(&self->waiter, (uintptr_t)0);
}

/* Wait in the slot. Given up, the waiter takes itself back, or waits for the waker that has it. */
static int wait_in(slot *self, int64_t deadline_ns)
{
    weft__waiter waiter;
    int rc = weft__wait_until(&waiter, put, self, deadline_ns);
    if (rc != 0 && take(self) == NULL)
        weft__wait_woken(&waiter);
    return rc;
}

static int wake_in(slot *self)
{
    weft__waiter *waiter = take(self);
    if (waiter == NULL)
        return 0;
    weft__wake(waiter);
    return 1;
}

/* ---- one of them ---------------------------------------------------------------------------- */

static int check_deadline(void *arg)
{
    (void)arg;
    slot self = {0, 0};
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(wait_in(&self, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(wait_in(&self, WEFT_POLL) == -ETIMEDOUT);
    return 0;
}

static void test_gives_up_at_the_deadline(void **state)
{
    (void)state;
    on_every_count(check_deadline, NULL);
}

static int wait_nowhere(weft__waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return 0;
}

static int check_no_need(void *arg)
{
    (void)arg;
    weft__waiter waiter;
    for (int i = 0; i < 100; i++)
        CHECK(weft__wait_until(&waiter, wait_nowhere, NULL, weft_in(WEFT_SEC)) == 0);
    return 0;
}

static void test_need_not_wait(void **state)
{
    (void)state;
    on_every_count(check_no_need, NULL);
}

/* ---- against each other --------------------------------------------------------------------- */

static void pause_until(int64_t when)
{
    while (weft_now() < when)
        weft__relax();
}

/* Its pauses are as long as the waiter's deadlines are away, and of another period. */
static void *wake_repeatedly(void *arg)
{
    slot *self = arg;
    int64_t step = 0;
    while (weft__load_acquire(&self->wakes) >= 0)
        if (wake_in(self))
            pause_until(weft_in(step++ % 61 * 200));
    return NULL;
}

/* The deadline is about as far away as the waker: each is first now and then. */
static int check_race(void *arg)
{
    slot *self = arg;
    int late = 0;
    for (int i = 0; i < RACES; i++) {
        int rc = wait_in(self, weft_in((i % 64) * 200));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
        CHECK(weft__load_acquire(&self->waiter) == 0);
        late += rc != 0;
    }
    CHECK(late > 0);
    return 0;
}

static void race_from_thread(unsigned workers)
{
    slot self = {0, 0};
    pthread_t waker;
    assert_int_equal(pthread_create(&waker, NULL, wake_repeatedly, &self), 0);
    weft_config config = {.workers = workers};
    int line = workers == 0 ? check_race(&self) : weft_run(check_race, &self, &config);
    weft__store_release(&self.wakes, -1);
    assert_int_equal(pthread_join(waker, NULL), 0);
    if (line != 0)
        fail_msg("line %d fails with %u workers", line, workers);
}

static void test_deadline_against_a_thread_that_wakes(void **state)
{
    (void)state;
    race_from_thread(0);
    race_from_thread(1);
    race_from_thread(3);
}

WEFT_FIBER(racer, slot *, self, int *, failures)
{
    for (int i = 0; i < RACES; i++) {
        int rc = wait_in(self, weft_in((i % 64) * 200));
        if (rc != 0 && rc != -ETIMEDOUT)
            weft__fetch_add_relaxed(failures, 1);
    }
    weft__store_release(&self->wakes, -1);
}

WEFT_FIBER(waker, slot *, self)
{
    while (weft__load_acquire(&self->wakes) >= 0) {
        (void)wake_in(self);
        weft_yield();
    }
}

static int check_fiber_race(void *arg)
{
    (void)arg;
    int failures = 0;
    slot slots[4] = {{0, 0}};
    weft_scope(group)
    {
        for (int i = 0; i < 4; i++) {
            CHECK(weft_go(&group, racer, &slots[i], &failures) == 0);
            CHECK(weft_go(&group, waker, &slots[i]) == 0);
        }
    }
    CHECK(failures == 0);
    return 0;
}

static void test_deadline_against_a_fiber_that_wakes(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers++) {
        weft_config config = {.workers = workers};
        int line = weft_run(check_fiber_race, NULL, &config);
        if (line != 0)
            fail_msg("line %d fails with %u workers", line, workers);
    }
}

/* ---- a busy worker's deadlines --------------------------------------------------------------- */

WEFT_FIBER(nap, int64_t *, woke_at)
{
    (void)weft_sleep(weft_in(2 * WEFT_MSEC));
    weft__store_release(woke_at, weft_now());
}

/* The fiber parks on the worker that then computes and answers nobody; another has to see to it.
 * The computation ends when that has happened. */
static int check_busy(void *arg)
{
    (void)arg;
    int64_t woke_at = 0;
    weft_scope(group)
    {
        CHECK(weft_go(&group, nap, &woke_at) == 0);
        weft_yield();
        while (weft__load_acquire(&woke_at) == 0)
            continue;
    }
    return 0;
}

static void test_a_busy_worker_delays_no_deadline(void **state)
{
    (void)state;
    weft_config config = {.workers = 2};
    for (int i = 0; i < 50; i++)
        assert_int_equal(weft_run(check_busy, NULL, &config), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_up_at_the_deadline),
        cmocka_unit_test(test_need_not_wait),
        cmocka_unit_test(test_deadline_against_a_thread_that_wakes),
        cmocka_unit_test(test_deadline_against_a_fiber_that_wakes),
        cmocka_unit_test(test_a_busy_worker_delays_no_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
