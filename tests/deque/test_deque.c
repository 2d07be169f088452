/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque.c — the deque with one thread: order, growth, wrap-around, batches, no memory. */
#include <weft/deque.h>

#include "alloc.h"
#include "batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Items are numbers from 1 on. */
static void *item(uintptr_t number)
{
    return (void *)number;
}

/* First indices around which 31, 32, 63 and 64 bits overflow. */
static const uint64_t first_indices[] = {
    0, ((uint64_t)1 << 31) - 5, ((uint64_t)1 << 32) - 5, ((uint64_t)1 << 63) - 5, UINT64_MAX - 4,
};
#define FIRST_INDICES (sizeof first_indices / sizeof first_indices[0])

static weft_deque begin(size_t capacity, uint64_t first_index)
{
    weft_deque deque;
    assert_int_equal(weft__deque_init_at(&deque, capacity, first_index), 0);
    return deque;
}

static void push(weft_deque *deque, uintptr_t first, uintptr_t last)
{
    for (uintptr_t i = first; i <= last; i++)
        assert_int_equal(weft_deque_push(deque, item(i)), 0);
}

static uintptr_t steal(weft_deque *deque)
{
    void *found = NULL;
    assert_int_equal(weft_deque_steal(deque, &found), WEFT_STEAL_ITEM);
    return (uintptr_t)found;
}

static void expect_empty(weft_deque *deque)
{
    void *untouched = item(77);
    assert_int_equal(weft_deque_steal(deque, &untouched), WEFT_STEAL_EMPTY);
    assert_ptr_equal(untouched, item(77));
    assert_null(weft_deque_take(deque));
    assert_null(weft__deque_peek(deque));
    assert_true(weft__deque_is_empty(deque));
    assert_int_equal(weft_deque_size(deque), 0);
}

static void test_owner_is_lifo_thief_is_fifo(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(4, first_indices[f]);
        expect_empty(&deque);
        push(&deque, 1, 10);
        assert_int_equal(weft_deque_size(&deque), 10);
        assert_false(weft__deque_is_empty(&deque));
        assert_int_equal(steal(&deque), 1);
        assert_ptr_equal(weft_deque_take(&deque), item(10));
        assert_int_equal(steal(&deque), 2);
        assert_ptr_equal(weft_deque_take(&deque), item(9));
        assert_int_equal(weft_deque_size(&deque), 6);
        for (uintptr_t i = 8; i >= 3; i--)
            assert_ptr_equal(weft_deque_take(&deque), item(i));
        expect_empty(&deque);
        weft_deque_destroy(&deque);
    }
}

static void test_last_item(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(2, first_indices[f]);
        for (uintptr_t i = 1; i < 20; i += 2) {
            push(&deque, i, i);
            assert_ptr_equal(weft_deque_take(&deque), item(i));
            expect_empty(&deque);
            push(&deque, i + 1, i + 1);
            assert_int_equal(steal(&deque), i + 1);
            expect_empty(&deque);
        }
        weft_deque_destroy(&deque);
    }
}

/* A window of a few items slides over the end of the array, and of the index. */
static void test_wrap_around_without_growth(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(4, first_indices[f]);
        const struct weft__deque_array *array = deque.array_;
        push(&deque, 1, 3);
        for (uintptr_t i = 4; i < 100; i++) {
            push(&deque, i, i);
            assert_int_equal(weft_deque_size(&deque), 4);
            assert_int_equal(steal(&deque), i - 3);
        }
        assert_ptr_equal(deque.array_, array);
        weft_deque_destroy(&deque);
    }
}

/* Growth in the middle of the ring: indices keep their meaning, whatever was stolen before. */
static void test_growth_keeps_order(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(2, first_indices[f]);
        uintptr_t oldest = 1;
        uintptr_t newest = 0;
        for (unsigned round = 0; round < 300; round++) {
            newest++;
            push(&deque, newest, newest);
            if (round % 3 == 0)
                assert_int_equal(steal(&deque), oldest++);
        }
        assert_int_equal(weft_deque_size(&deque), newest - oldest + 1);
        while (oldest <= newest)
            assert_int_equal(steal(&deque), oldest++);
        expect_empty(&deque);
        weft_deque_destroy(&deque);
    }
}

static size_t capacity_of(size_t asked)
{
    weft_deque deque = begin(asked, 0);
    const struct weft__deque_array *array = deque.array_;
    size_t capacity = 0;
    while (deque.array_ == array) {
        capacity++;
        push(&deque, 1, 1);
    }
    weft_deque_destroy(&deque);
    return capacity - 1;
}

static void test_capacity_is_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(capacity_of(0), 64);
    assert_int_equal(capacity_of(1), 2);
    assert_int_equal(capacity_of(2), 2);
    assert_int_equal(capacity_of(3), 4);
    assert_int_equal(capacity_of(64), 64);
    assert_int_equal(capacity_of(65), 128);
    weft_deque deque;
    assert_int_equal(weft_deque_init(&deque, ((size_t)1 << 32) + 1), -EINVAL);
    assert_int_equal(weft_deque_init(&deque, SIZE_MAX), -EINVAL);
}

/* Slots are filled in any order; nothing is there before the commit, everything after it. */
static void test_batch(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(2, first_indices[f]);
        push(&deque, 1, 1);
        assert_int_equal(weft__deque_reserve(&deque, 3), 0);
        weft__deque_fill(&deque, 2, item(4));
        weft__deque_fill(&deque, 0, item(2));
        weft__deque_fill(&deque, 1, item(3));
        assert_int_equal(weft_deque_size(&deque), 1);
        assert_ptr_equal(weft__deque_peek(&deque), item(1));
        weft__deque_commit(&deque, 3);
        assert_int_equal(weft_deque_size(&deque), 4);
        assert_ptr_equal(weft__deque_peek(&deque), item(4));
        for (uintptr_t i = 1; i <= 4; i++)
            assert_int_equal(steal(&deque), i);
        expect_empty(&deque);
        weft_deque_destroy(&deque);
    }
}

static void test_batch_larger_than_twice_the_capacity(void **state)
{
    (void)state;
    weft_deque deque = begin(2, UINT64_MAX - 50);
    push(&deque, 1, 2);
    assert_int_equal(steal(&deque), 1);
    assert_int_equal(weft__deque_reserve(&deque, 100), 0);
    for (size_t offset = 100; offset-- > 0;)
        weft__deque_fill(&deque, offset, item(3 + offset));
    weft__deque_commit(&deque, 100);
    for (uintptr_t i = 2; i <= 102; i++)
        assert_int_equal(steal(&deque), i);
    weft_deque_destroy(&deque);
}

/* An unused reservation changes nothing. */
static void test_reserve_without_commit(void **state)
{
    (void)state;
    weft_deque deque = begin(2, 0);
    push(&deque, 1, 2);
    assert_int_equal(weft__deque_reserve(&deque, 10), 0);
    assert_int_equal(weft_deque_size(&deque), 2);
    assert_ptr_equal(weft_deque_take(&deque), item(2));
    assert_ptr_equal(weft_deque_take(&deque), item(1));
    expect_empty(&deque);
    weft_deque_destroy(&deque);
}

static void test_peek_leaves_the_item(void **state)
{
    (void)state;
    weft_deque deque = begin(4, UINT64_MAX);
    push(&deque, 1, 2);
    assert_ptr_equal(weft__deque_peek(&deque), item(2));
    assert_ptr_equal(weft__deque_peek(&deque), item(2));
    assert_ptr_equal(weft_deque_take(&deque), item(2));
    assert_ptr_equal(weft__deque_peek(&deque), item(1));
    assert_int_equal(steal(&deque), 1);
    expect_empty(&deque);
    weft_deque_destroy(&deque);
}

static void test_no_memory_at_birth(void **state)
{
    (void)state;
    weft_deque deque;
    weft__fault_arm(0);
    assert_int_equal(weft_deque_init(&deque, 0), -ENOMEM);
    weft__fault_arm(-1);
}

static void test_no_memory_to_grow(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(4, first_indices[f]);
        push(&deque, 1, 4);
        for (unsigned attempt = 0; attempt < 3; attempt++) {
            weft__fault_arm(0);
            assert_int_equal(weft_deque_push(&deque, item(5)), -ENOMEM);
            weft__fault_arm(0);
            assert_int_equal(weft__deque_reserve(&deque, 7), -ENOMEM);
            weft__fault_arm(-1);
            assert_int_equal(weft_deque_size(&deque), 4);
            assert_ptr_equal(weft__deque_peek(&deque), item(4));
        }
        assert_int_equal(steal(&deque), 1);
        push(&deque, 5, 6); /* one fits into the old array, the other makes it grow at last */
        for (uintptr_t i = 6; i >= 2; i--)
            assert_ptr_equal(weft_deque_take(&deque), item(i));
        expect_empty(&deque);
        weft_deque_destroy(&deque);
    }
}

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    return *random ^= *random << 17;
}

#define MODEL_MAX 4096

/* Random operations against a plain array of what should be in the deque. */
static void test_against_a_model(void **state)
{
    (void)state;
    static uintptr_t model[MODEL_MAX];
    for (size_t f = 0; f < FIRST_INDICES; f++) {
        weft_deque deque = begin(2, first_indices[f]);
        uint64_t random = UINT64_C(88172645463325252) + f;
        size_t top = 0;
        size_t bottom = 0;
        for (unsigned i = 0; i < 100000; i++) {
            unsigned choice = (unsigned)(next_random(&random) % 100);
            if (choice < 50 && bottom < MODEL_MAX) {
                model[bottom] = 1 + (uintptr_t)(random >> 32);
                push(&deque, model[bottom], model[bottom]);
                bottom++;
            } else if (choice < 75) {
                void *newest = bottom > top ? item(model[bottom - 1]) : NULL;
                assert_ptr_equal(weft_deque_take(&deque), newest);
                bottom -= bottom > top;
            } else if (bottom > top) {
                assert_int_equal(steal(&deque), model[top]);
                top++;
            } else {
                expect_empty(&deque);
                top = bottom = 0; /* the model's array has an end */
            }
            assert_int_equal(weft_deque_size(&deque), bottom - top);
        }
        weft_deque_destroy(&deque);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner_is_lifo_thief_is_fifo),
        cmocka_unit_test(test_last_item),
        cmocka_unit_test(test_wrap_around_without_growth),
        cmocka_unit_test(test_growth_keeps_order),
        cmocka_unit_test(test_capacity_is_rounded_up),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_larger_than_twice_the_capacity),
        cmocka_unit_test(test_reserve_without_commit),
        cmocka_unit_test(test_peek_leaves_the_item),
        cmocka_unit_test(test_no_memory_at_birth),
        cmocka_unit_test(test_no_memory_to_grow),
        cmocka_unit_test(test_against_a_model),
    };
    return cmocka_run_group_tests_name("deque", tests, NULL, NULL);
}
