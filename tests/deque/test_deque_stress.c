/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_stress.c — one owner, one to three thieves, each item exactly once.
 * ctest: TIMEOUT 120
 *
 * Rounds of items numbered from 1 on. The owner pushes bursts, singly or by one commit, and takes
 * some back; thieves steal until the owner is through and nothing is left. Everybody marks what he
 * gets: a mark that is set already, or one that is missing at the end, is a failure that names the
 * item and the seed. Bursts are mostly short, since owner and thief only meet at the last items;
 * a long one now and then makes the array grow. Small first arrays wrap all the time, first indices
 * near the ends of 32 and 64 bits wrap as well.
 *
 * What a thief gets points to what the owner wrote before the push: that it reads it right, or that
 * ThreadSanitizer stays silent, is the test of the order. */
#include <weft/atomic.h>
#include <weft/deque.h>

#include "batch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* How many items come through at least, and how long it may take: the smaller one ends the test. */
#ifndef STRESS_ITEMS
#define STRESS_ITEMS UINT64_C(20000000)
#endif
#ifndef STRESS_SECONDS
#define STRESS_SECONDS 4
#endif

enum { ROUND_ITEMS = 200000, THIEVES_MAX = 3, LONG_BURST = 700 };

typedef struct stress_item {
    uintptr_t number; /* plain: the owner writes it before the push */
    uint32_t got;     /* times somebody got it */
} stress_item;

typedef struct stress {
    weft_deque deque;
    stress_item *items;
    uint64_t seed;
    uint64_t taken;
    uint64_t stolen;
    uint64_t retries;
    uint32_t failed;  /* the number of an item that came twice, or damaged */
    uint32_t is_done; /* the owner has pushed and taken all it wants to */
} stress;

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    return *random ^= *random << 17;
}

static void got(stress *run, stress_item *item)
{
    uintptr_t expected = (uintptr_t)(item - run->items) + 1;
    if (item->number != expected || weft__fetch_add_relaxed(&item->got, 1) != 0)
        weft__store_relaxed(&run->failed, (uint32_t)expected);
}

static void *thief(void *arg)
{
    stress *run = arg;
    uint64_t stolen = 0;
    uint64_t retries = 0;
    for (;;) {
        void *found = NULL;
        uint32_t is_last = weft__load_acquire(&run->is_done); /* before the look */
        switch (weft_deque_steal(&run->deque, &found)) {
        case WEFT_STEAL_ITEM:
            got(run, found);
            stolen++;
            break;
        case WEFT_STEAL_RETRY:
            retries++;
            break;
        case WEFT_STEAL_EMPTY:
            if (!is_last)
                break;
            weft__fetch_add_relaxed(&run->stolen, stolen);
            weft__fetch_add_relaxed(&run->retries, retries);
            return NULL;
        }
    }
}

static void push_burst(stress *run, size_t first, size_t count, int as_batch)
{
    for (size_t i = 0; i < count; i++)
        run->items[first + i].number = first + i + 1;
    if (!as_batch) {
        for (size_t i = 0; i < count; i++)
            assert_int_equal(weft_deque_push(&run->deque, &run->items[first + i]), 0);
        return;
    }
    assert_int_equal(weft__deque_reserve(&run->deque, count), 0);
    for (size_t i = count; i-- > 0;)
        weft__deque_fill(&run->deque, i, &run->items[first + i]);
    weft__deque_commit(&run->deque, count);
}

static void own(stress *run)
{
    uint64_t random = run->seed;
    size_t pushed = 0;
    while (pushed < ROUND_ITEMS) {
        uint64_t dice = next_random(&random);
        size_t count = dice % 1024 == 0 ? LONG_BURST : 1 + (dice >> 10) % 3;
        if (count > ROUND_ITEMS - pushed)
            count = ROUND_ITEMS - pushed;
        push_burst(run, pushed, count, (dice >> 20) % 4 == 0);
        pushed += count;
        for (size_t tries = (dice >> 24) % 5; tries > 0; tries--) {
            const void *newest = weft__deque_peek(&run->deque);
            stress_item *item = weft_deque_take(&run->deque);
            if (item == NULL)
                break;
            if (item != newest)
                weft__store_relaxed(&run->failed, (uint32_t)item->number);
            got(run, item);
            run->taken++;
        }
    }
    weft__store_release(&run->is_done, 1);
}

/* The number of an item that did not come exactly once, or 0. */
static size_t culprit(stress *run)
{
    size_t number = run->failed;
    for (size_t i = 0; i < ROUND_ITEMS; i++) {
        if (number == 0 && run->items[i].got != 1)
            number = i + 1;
        run->items[i].got = 0;
    }
    return number;
}

/* Returns the culprit. */
static size_t one_round(stress *run, unsigned thieves, size_t capacity, uint64_t first_index)
{
    pthread_t threads[THIEVES_MAX];
    run->failed = 0;
    run->is_done = 0;
    assert_int_equal(weft__deque_init_at(&run->deque, capacity, first_index), 0);
    for (unsigned i = 0; i < thieves; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thief, run), 0);
    own(run);
    for (unsigned i = 0; i < thieves; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weft_deque_destroy(&run->deque);
    return culprit(run);
}

/* The index passes this somewhere in the middle of a round. */
static const uint64_t borders[] = {0, (uint64_t)1 << 31, (uint64_t)1 << 32, (uint64_t)1 << 63};

/* Returns the first culprit. */
static size_t all_rounds(stress *run)
{
    size_t number = 0;
    uint64_t items = 0;
    int64_t deadline = weft_in(STRESS_SECONDS * WEFT_SEC);
    run->seed = (uint64_t)weft_now() | 1;
    run->items = calloc(ROUND_ITEMS, sizeof *run->items);
    assert_non_null(run->items);
    for (unsigned round = 0; number == 0 && items < STRESS_ITEMS && weft_now() < deadline;
         round++) {
        uint64_t first_index = borders[round % 4] - ROUND_ITEMS / 2;
        (void)next_random(&run->seed);
        number = one_round(run, 1 + round % THIEVES_MAX, round % 2 == 0 ? 2 : 64, first_index);
        items += ROUND_ITEMS;
    }
    free(run->items);
    print_message("%llu items: %llu taken, %llu stolen, %llu retries\n", (unsigned long long)items,
                  (unsigned long long)run->taken, (unsigned long long)run->stolen,
                  (unsigned long long)run->retries);
    if (number == 0)
        assert_int_equal(run->taken + run->stolen, items);
    return number;
}

#ifndef STRESS_TEST
#define STRESS_TEST test_exactly_once

static void test_exactly_once(void **state)
{
    (void)state;
    stress run = {0};
    size_t number = all_rounds(&run);
    if (number != 0)
        fail_msg("seed %llu: item %zu was lost, came twice, or damaged",
                 (unsigned long long)run.seed, number);
}
#else
static void STRESS_TEST(void **state);
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {{"each item exactly once", STRESS_TEST, NULL, NULL, NULL}};
    return cmocka_run_group_tests_name("deque stress", tests, NULL, NULL);
}
