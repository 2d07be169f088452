/* SPDX-License-Identifier: BSD-2-Clause */
/* test_races.c — the end of a future against everything else that may happen to it at that moment.
 *
 * Two threads meet at one future, again and again, with a little random delay on either side. What
 * must hold: exactly one outcome, callbacks once, no wake-up lost, memory freed once. */
#include "../core/process.h"
#include "manual.h"

#include <pthread.h>

#include <weft/atomic.h>

typedef WEFT_FUTURE_OF(long) long_future;

typedef struct meeting {
    weft_future *future; /* a handle for each side */
    uint32_t calls;
    int cancelled; /* what the other side came to */
    int rc;
    long value;
} meeting;

static struct {
    void (*side)(meeting *at); /* what the second thread does */
    meeting *at;
    uint32_t begun; /* rounds that the first thread has begun, and the second has ended */
    uint32_t ended;
    uint32_t rounds;
} both;

static void delay(uint64_t *random)
{
    for (uint64_t i = next_random(random) % 64; i > 0; i--)
        __asm__ volatile("" ::: "memory");
}

static void await_word(const uint32_t *word, uint32_t value)
{
    for (int i = 0; weft__load_acquire(word) != value; i++)
        if (i % 16 == 15)
            (void)sched_yield();
}

static void *second_thread(void *arg)
{
    uint64_t random = 1;
    (void)arg;
    for (uint32_t round = 1; round <= both.rounds; round++) {
        await_word(&both.begun, round);
        delay(&random);
        both.side(both.at);
        weft__store_release(&both.ended, round);
    }
    return NULL;
}

static void count_call(weft_future *future, void *arg)
{
    meeting *at = arg;
    if (!weft_future_done(future))
        fail_msg("called too early");
    weft__fetch_add_relaxed(&at->calls, 1);
}

/* Each round: a new promise, completed here, while the other thread does `side`. `check` looks. */
static void meet(void (*side)(meeting *at), void (*check)(meeting *at, int set))
{
    meeting at;
    pthread_t thread;
    uint64_t random = 2;
    both.side = side;
    both.at = &at;
    both.begun = 0;
    both.ended = 0;
    both.rounds = LESS_IF_SANITIZED(30000, 4000);
    assert_int_equal(pthread_create(&thread, NULL, second_thread, NULL), 0);
    for (uint32_t round = 1; round <= both.rounds; round++) {
        long value = (long)round;
        at = (meeting){.future = weft_promise_new(sizeof value)};
        weft_future *mine = weft_future_retain(at.future);
        if (round % 2 == 0)
            assert_int_equal(weft_future_on_done(mine, count_call, &at), 0);
        weft__store_release(&both.begun, round);
        delay(&random);
        int rc = weft_future_set_result(mine, &value);
        await_word(&both.ended, round);
        assert_true(weft_future_done(mine));
        check(&at, rc);
        if (round % 2 == 0)
            assert_int_equal(at.calls, 1);
        weft_future_release(mine);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- against cancel -------------------------------------------------------------------------- */

static void cancel(meeting *at)
{
    at->cancelled = weft_future_cancel(at->future);
    weft_future_release(at->future);
}

static void check_cancel(meeting *at, int set)
{
    assert_int_equal(set, at->cancelled ? -ECANCELED : 0);
}

static void test_complete_against_cancel(void **state)
{
    (void)state;
    meet(cancel, check_cancel);
}

/* ---- against adding a callback --------------------------------------------------------------- */

static void add_callbacks(meeting *at)
{
    for (int i = 0; i < 2; i++)
        if (weft_future_on_done(at->future, count_call, at) != 0)
            fail_msg("no memory");
    weft_future_release(at->future);
}

static void check_callbacks(meeting *at, int set)
{
    assert_int_equal(set, 0);
    assert_true(at->calls == 2 || at->calls == 3);
    at->calls -= 2; /* the other one is there in every second round */
}

static void test_complete_against_add_callback(void **state)
{
    (void)state;
    meet(add_callbacks, check_callbacks);
}

/* ---- against waiting with a time-out --------------------------------------------------------- */

static void wait_shortly(meeting *at)
{
    at->rc = weft_future_result(at->future, &at->value, weft_in(2 * WEFT_USEC));
    if (at->rc == -ETIMEDOUT)
        at->rc = weft_future_result(at->future, &at->value, weft_in(20 * WEFT_USEC));
    if (at->rc == -ETIMEDOUT)
        at->rc = weft_future_result(at->future, &at->value, WEFT_FOREVER);
    weft_future_release(at->future);
}

static void check_value(meeting *at, int set)
{
    assert_int_equal(set, 0);
    assert_int_equal(at->rc, 0);
    assert_true(at->value > 0);
}

static void test_complete_against_wait_with_time_out(void **state)
{
    (void)state;
    meet(wait_shortly, check_value);
}

static void wait_for_first(meeting *at)
{
    long_future never;
    weft_promise(never);
    weft_future *futures[3] = {never.h, at->future, never.h};
    ptrdiff_t ended = weft_future_wait(futures, 3, WEFT_FIRST_COMPLETED, WEFT_FOREVER);
    at->rc = ended == 1 ? weft_future_result(at->future, &at->value, WEFT_POLL) : -1;
    weft_future *unkept = never.h;
    weft_release(never);
    if (weft_future_set_error(unkept, -EIO, NULL) != 0) /* nobody may know of the group now */
        at->rc = -1;
    weft_future_release(at->future);
}

static void test_complete_against_wait_for_the_first(void **state)
{
    (void)state;
    meet(wait_for_first, check_value);
}

/* ---- against release ------------------------------------------------------------------------- */

static void release(meeting *at)
{
    weft_future_release(at->future);
}

static void check_nothing(meeting *at, int set)
{
    (void)at;
    assert_int_equal(set, 0);
}

static void test_complete_against_release(void **state)
{
    (void)state;
    meet(release, check_nothing);
}

/* The completer has no handle of his own: whoever comes last frees it. */
static void *complete_without_handle(void *arg)
{
    uint64_t random = 3;
    (void)arg;
    for (uint32_t round = 1; round <= both.rounds; round++) {
        long value = 1;
        await_word(&both.begun, round);
        weft_future *future = both.at->future;
        delay(&random);
        (void)weft_future_set_result(future, &value);
        weft__store_release(&both.ended, round);
    }
    return NULL;
}

static void test_the_last_to_touch_frees(void **state)
{
    (void)state;
    meeting at;
    pthread_t thread;
    uint64_t random = 4;
    both.at = &at;
    both.begun = 0;
    both.ended = 0;
    both.rounds = LESS_IF_SANITIZED(30000, 4000);
    assert_int_equal(pthread_create(&thread, NULL, complete_without_handle, NULL), 0);
    for (uint32_t round = 1; round <= both.rounds; round++) {
        at = (meeting){.future = weft_promise_new(sizeof(long))};
        weft_future *mine = at.future;
        if (round % 3 == 0)
            assert_int_equal(weft_future_on_done(mine, count_call, &at), 0);
        weft__store_release(&both.begun, round);
        delay(&random);
        if (round % 3 == 1)
            (void)weft_future_cancel(mine);
        if (round % 3 == 2)
            (void)weft_future_result(mine, NULL, weft_in(WEFT_USEC));
        weft_future_release(mine);
        await_word(&both.ended, round);
        if (round % 3 == 0)
            assert_int_equal(at.calls, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- many of everything ---------------------------------------------------------------------- */

enum { STRANGERS = 4 };

static void *do_anything(void *arg)
{
    weft_future *future = arg;
    static uint64_t seeds;
    uint64_t random = weft__fetch_add_relaxed(&seeds, 7919);
    for (int i = 0; i < 20; i++) {
        int64_t soon = weft_in((int64_t)(next_random(&random) % 5000));
        switch (next_random(&random) % 4) {
        case 0:
            (void)weft_future_result(future, NULL, soon);
            break;
        case 1:
            (void)weft_future_wait(&future, 1, WEFT_ALL_COMPLETED, soon);
            break;
        case 2:
            weft_future_release(weft_future_retain(future));
            break;
        default:
            (void)sched_yield();
        }
    }
    int rc = weft_future_result(future, NULL, WEFT_FOREVER);
    weft_future_release(future);
    return (void *)(intptr_t)rc;
}

static void test_many_who_wait_and_give_up(void **state)
{
    (void)state;
    for (int round = 0; round < LESS_IF_SANITIZED(200, 40); round++) {
        pthread_t threads[STRANGERS];
        weft_future *future = weft_promise_new(0);
        for (int i = 0; i < STRANGERS; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, do_anything, weft_future_retain(future)), 0);
        (void)usleep((useconds_t)(round % 5) * 20);
        assert_int_equal(weft_future_set_result(future, NULL), 0);
        weft_future_release(future);
        for (int i = 0; i < STRANGERS; i++) {
            void *rc = NULL;
            assert_int_equal(pthread_join(threads[i], &rc), 0);
            assert_null(rc);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_against_cancel),
        cmocka_unit_test(test_complete_against_add_callback),
        cmocka_unit_test(test_complete_against_wait_with_time_out),
        cmocka_unit_test(test_complete_against_wait_for_the_first),
        cmocka_unit_test(test_complete_against_release),
        cmocka_unit_test(test_the_last_to_touch_frees),
        cmocka_unit_test(test_many_who_wait_and_give_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
