/* SPDX-License-Identifier: BSD-2-Clause */
/* test_injector.c — the way in from outside: many push, anyone takes all, nothing is lost or
 * doubled, and what a worker pushes into its deque it takes oldest first.
 * ctest: TIMEOUT 120 */
#include "injector.h"

#include <weft/atomic.h>
#include <weft/deque.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PRODUCERS = 3, TAKERS_MAX = 2, ENTRIES = 100000, ROUNDS = 6 };

typedef struct entry {
    weft__link link; /* first */
    unsigned producer;
    unsigned number; /* plain: the producer writes it before the push */
    uint32_t got;
} entry;

static weft__link *link_of(entry *e)
{
    return &e->link;
}

static void test_order_and_emptiness(void **state)
{
    (void)state;
    weft__injector injector;
    entry entries[3];
    weft__injector_init(&injector);
    assert_true(weft__injector_is_empty(&injector));
    assert_null(weft__injector_take_all(&injector));
    for (unsigned i = 0; i < 3; i++)
        weft__injector_push(&injector, link_of(&entries[i]));
    assert_false(weft__injector_is_empty(&injector));
    weft__link *newest = weft__injector_take_all(&injector);
    assert_true(weft__injector_is_empty(&injector));
    assert_null(weft__injector_take_all(&injector));
    assert_ptr_equal(newest, link_of(&entries[2]));
    assert_ptr_equal(newest->next, link_of(&entries[1]));
    assert_ptr_equal(newest->next->next, link_of(&entries[0]));
    assert_null(newest->next->next->next);
}

/* ---- many producers, one or more takers ------------------------------------------------------ */

typedef struct producer {
    weft__injector *injector;
    entry *entries;
    unsigned id;
} producer;

typedef struct taker {
    weft__injector *injector;
    const uint32_t *producing;
    uint64_t taken;
    unsigned doubled;
    unsigned disordered;
} taker;

static void *produce(void *arg)
{
    const producer *self = arg;
    for (unsigned i = 0; i < ENTRIES; i++) {
        self->entries[i].producer = self->id;
        self->entries[i].number = i + 1;
        weft__injector_push(self->injector, link_of(&self->entries[i]));
    }
    return NULL;
}

/* What a worker does: the entries as they come into its deque, then out of it again. Returns their
 * number. */
static unsigned through_deque(taker *self, weft_deque *deque, weft__link *newest)
{
    unsigned last[PRODUCERS] = {0};
    unsigned count = 0;
    void *found = NULL;
    while (newest != NULL) {
        weft__link *older = newest->next;
        /* The oldest goes in last: a take gives it first. */
        if (weft_deque_push(deque, newest) != 0)
            abort();
        newest = older;
    }
    while ((found = weft_deque_take(deque)) != NULL) {
        entry *e = found;
        self->disordered += e->number <= last[e->producer];
        self->doubled += weft__fetch_add_relaxed(&e->got, 1) != 0;
        last[e->producer] = e->number;
        count++;
    }
    return count;
}

static void *take(void *arg)
{
    taker *self = arg;
    weft_deque deque;
    if (weft_deque_init(&deque, 0) != 0)
        abort();
    for (;;) {
        uint32_t producing = weft__load_acquire(self->producing); /* before the look */
        if (producing == 0 && weft__injector_is_empty(self->injector))
            break;
        self->taken += through_deque(self, &deque, weft__injector_take_all(self->injector));
    }
    weft_deque_destroy(&deque);
    return NULL;
}

static void one_round(entry *entries, unsigned takers)
{
    weft__injector injector;
    uint32_t producing = 1;
    producer producers[PRODUCERS];
    taker taking[TAKERS_MAX] = {{0}};
    pthread_t threads[PRODUCERS + TAKERS_MAX];
    uint64_t taken = 0;
    weft__injector_init(&injector);
    for (unsigned i = 0; i < takers; i++) {
        taking[i].injector = &injector;
        taking[i].producing = &producing;
        assert_int_equal(pthread_create(&threads[PRODUCERS + i], NULL, take, &taking[i]), 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (producer){&injector, entries + (size_t)i * ENTRIES, i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weft__store_release(&producing, 0);
    for (unsigned i = 0; i < takers; i++) {
        assert_int_equal(pthread_join(threads[PRODUCERS + i], NULL), 0);
        assert_int_equal(taking[i].doubled, 0);
        assert_int_equal(taking[i].disordered, 0);
        taken += taking[i].taken;
    }
    assert_int_equal(taken, PRODUCERS * ENTRIES);
}

/* Exactly once; within one haul each producer's entries in the order in which it pushed them. */
static void test_many_producers(void **state)
{
    (void)state;
    entry *entries = calloc((size_t)PRODUCERS * ENTRIES, sizeof *entries);
    assert_non_null(entries);
    for (unsigned round = 0; round < ROUNDS; round++) {
        one_round(entries, 1 + round % TAKERS_MAX);
        for (size_t i = 0; i < (size_t)PRODUCERS * ENTRIES; i++) {
            assert_int_equal(entries[i].got, 1);
            entries[i].got = 0;
        }
    }
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_emptiness),
        cmocka_unit_test(test_many_producers),
    };
    return cmocka_run_group_tests_name("injector", tests, NULL, NULL);
}
