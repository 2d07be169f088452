/* SPDX-License-Identifier: BSD-2-Clause */
/* test_linear.c — the checker of histories, by histories whose answer is known. */
#include "linear.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WRITE, READ };

/* A register. */
static int apply_register(void *state, const linear_operation *operation)
{
    uint64_t *value = state;
    if (operation->kind == WRITE)
        *value = operation->argument;
    return operation->kind == WRITE || *value == operation->result;
}

static const linear_specification a_register = {.state_bytes = sizeof(uint64_t),
                                                .apply = apply_register};

/* An operation from `begin` to `end` with argument or result `value`. */
static linear_operation op(int kind, uint64_t value, uint64_t begin, uint64_t end)
{
    return (linear_operation){
        .kind = kind, .argument = value, .result = value, .begin = begin, .end = end};
}

static int check(const linear_operation *operations, unsigned count)
{
    linear_history history;
    linear_begin_history(&history);
    history.count = count;
    memcpy(history.operations, operations, count * sizeof *operations);
    return linear_check(&history, &a_register);
}
#define CHECK(...)                                                                                 \
    check((const linear_operation[]){__VA_ARGS__},                                                 \
          sizeof((const linear_operation[]){__VA_ARGS__}) / sizeof(linear_operation))

static void test_one_after_another(void **state)
{
    (void)state;
    assert_true(
        CHECK(op(WRITE, 1, 0, 1), op(READ, 1, 2, 3), op(WRITE, 2, 4, 5), op(READ, 2, 6, 7)));
    assert_false(CHECK(op(WRITE, 1, 0, 1), op(READ, 0, 2, 3)));
    assert_false(CHECK(op(READ, 1, 0, 1), op(WRITE, 1, 2, 3)));
}

static void test_at_once(void **state)
{
    (void)state;
    assert_true(CHECK(op(WRITE, 1, 0, 9), op(READ, 0, 1, 2), op(READ, 1, 3, 4)));
    assert_false(CHECK(op(WRITE, 1, 0, 9), op(READ, 1, 1, 2), op(READ, 0, 3, 4)));
    assert_true(CHECK(op(WRITE, 1, 0, 9), op(READ, 1, 1, 8), op(READ, 0, 2, 7)));
}

/* Two readers that see two writes in different orders. */
static void test_order_of_writes(void **state)
{
    (void)state;
    assert_false(CHECK(op(WRITE, 1, 0, 90), op(WRITE, 2, 0, 90), op(READ, 1, 10, 11),
                       op(READ, 2, 12, 13), op(READ, 2, 10, 11), op(READ, 1, 12, 13)));
    assert_true(CHECK(op(WRITE, 1, 0, 90), op(WRITE, 2, 0, 90), op(READ, 1, 10, 11),
                      op(READ, 2, 12, 13), op(READ, 1, 10, 11), op(READ, 2, 12, 13)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_order_of_writes),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
