/* SPDX-License-Identifier: BSD-2-Clause */
/* test_waiters.c — one future, many plain threads that wait for it: its end wakes all of them.
 *
 * Each round has a promise of its own, which is completed sooner or later after the threads have
 * come for it: they look, fall asleep or sleep. One that is not woken stays behind, and the test
 * does not end. test_waiters_soak.c has a million rounds. */
#include "../core/process.h"
#include "manual.h"

#include "sanitize.h"

#include <pthread.h>
#include <sched.h>

#include <weft/atomic.h>

#define WAITERS 64
#ifndef ROUNDS
#define ROUNDS LESS_IF_SANITIZED(2000, 200)
#endif

static weft_future *of_round[2]; /* odd and even ones */
static uint64_t answers;         /* of all rounds and threads */
static uint64_t wrong;           /* of them */

static void *wait_each_round(void *arg)
{
    (void)arg;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t value = 0;
        int rc = weft_future_result(of_round[round % 2], &value, WEFT_FOREVER);
        if (rc != 0 || value != round)
            weft__fetch_add_relaxed(&wrong, 1);
        weft__fetch_add_acq_rel(&answers, 1);
    }
    return NULL;
}

static void await_answers(uint64_t count)
{
    while (weft__load_acquire(&answers) != count)
        (void)sched_yield();
}

static void complete_each_round(void)
{
    uint64_t random = 1;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        weft_future *now = of_round[round % 2];
        /* Nobody comes for the next one before this one has ended. */
        of_round[(round + 1) % 2] = weft_promise_new(sizeof round);
        for (uint64_t turns = next_random(&random) % 80; turns > 0; turns--)
            (void)sched_yield(); /* so that some, or all, of the threads wait by then */
        assert_int_equal(weft_future_set_result(now, &round), 0);
        await_answers((round + 1) * WAITERS);
        weft_future_release(now);
    }
    weft_future_release(of_round[ROUNDS % 2]);
}

static void test_one_end_wakes_all(void **state)
{
    (void)state;
    pthread_t threads[WAITERS];
    of_round[0] = weft_promise_new(sizeof(uint64_t));
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_each_round, NULL), 0);
    complete_each_round();
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_end_wakes_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
