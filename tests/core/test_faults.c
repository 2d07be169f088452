/* SPDX-License-Identifier: BSD-2-Clause */
/* test_faults.c — the n-th allocation, mapping or thread fails, for every n there is.
 *
 * weft asks weft__fault() before each of them; the tests arm it for n = 0, 1, 2 ... until a whole
 * round passes without the n-th request being reached. A runtime that cannot be created says so and
 * leaves nothing behind. One that exists gives right answers without the memory that it was
 * refused: tasks stay where they are, or wait in a list that needs none. */
#include "process.h"

#include <errno.h>

#include <weft/deque.h>
#include <weft/task.h>

#include "alloc.h"

/* ---- creation -------------------------------------------------------------------------------- */

static int is_clean_failure(int rc)
{
    return rc == -ENOMEM || rc == -EAGAIN;
}

static int answer(void *arg)
{
    return *(int *)arg;
}

/* Nonzero: the runtime could be created although its n-th request was refused, or had no n-th. */
static int create_with_fault(const weft_config *config, int64_t n, int64_t *calls)
{
    weft_runtime *runtime = NULL;
    weft__fault_arm(n);
    int rc = weft_runtime_create(&runtime, config);
    *calls = weft__fault_calls();
    weft__fault_arm(-1);
    if (rc != 0) {
        if (!is_clean_failure(rc))
            fail_msg("request %d refused: weft_runtime_create returns %d", (int)n, rc);
        assert_null(runtime);
        assert_true(are_worker_threads(0));
        return 0;
    }
    int value = 42;
    int result = 0;
    assert_int_equal(weft_runtime_run(runtime, answer, &value, &result), 0);
    assert_int_equal(result, 42);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
    return 1;
}

static void test_create(void **state)
{
    static const weft_config configs[] = {
        {.workers = 1},
        {.workers = 3},
        {.workers = 2, .report_overflow = 1, .bind = WEFT_BIND_CLOSE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        int64_t calls = 1;
        int64_t n = 0;
        unsigned refused = 0;
        (void)create_with_fault(&configs[i], INT64_MAX, &calls);
        size_t mappings = count_mappings();
        for (; n < calls; n++) /* `calls` counts up to the failure, or all of them */
            if (create_with_fault(&configs[i], n, &calls) == 0) {
                refused++;
                assert_true(calls >= n + 1);
                calls = calls > n + 1 ? calls : n + 2;
            }
        assert_true(refused >= 4 * configs[i].workers); /* deque, fiber, guard, thread */
        if (!SANITIZED)
            assert_true(count_mappings() <= mappings + 10);
    }
}

/* ---- work ------------------------------------------------------------------------------------ */

enum { WIDE = 300 };

WEFT_TASK(long, square, long, x)
{
    return x * x;
}

/* Out of order: each join parks unless its task has been stolen, and needs a fiber. */
WEFT_TASK(long, wide, int, depth)
{
    square_task tasks[WIDE];
    long sum = 0;
    if (depth > 0) {
        weft_spawn(below, wide, depth - 1);
        sum = wide(depth - 1);
        sum += weft_join(below);
    }
    for (long i = 0; i < WIDE; i++)
        square_spawn(&tasks[i], i);
    for (size_t i = 0; i < WIDE; i++)
        sum += square_join(&tasks[i]);
    return sum;
}

static int check_work(void *arg)
{
    long one = (long)(WIDE - 1) * WIDE * (2 * WIDE - 1) / 6;
    (void)arg;
    CHECK(wide(2) == 7 * one);
    return 0;
}

static void work_with_fault(unsigned workers, int64_t n, int64_t *calls)
{
    weft_config config = {.workers = workers};
    weft_runtime *runtime = NULL;
    int line = -1;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    weft__fault_arm(n);
    assert_int_equal(weft_runtime_run(runtime, check_work, NULL, &line), 0);
    *calls = weft__fault_calls();
    weft__fault_arm(-1);
    if (line != 0)
        fail_msg("line %d fails with %u workers, request %d refused", line, workers, (int)n);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static void test_work(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers++) {
        int64_t calls = 1;
        for (int64_t n = 0; n < calls && n < 200; n++)
            work_with_fault(workers, n, &calls);
        assert_true(calls > 1);
    }
}

/* ---- the deque by itself --------------------------------------------------------------------- */

static void test_deque(void **state)
{
    weft_deque deque;
    static char items[1000];
    (void)state;
    weft__fault_arm(0);
    assert_int_equal(weft_deque_init(&deque, 0), -ENOMEM);
    weft__fault_arm(-1);
    assert_int_equal(weft_deque_init(&deque, 2), 0);
    size_t refused = 0;
    for (size_t i = 0; i < sizeof(items); i++) {
        weft__fault_arm(0);
        int rc = weft_deque_push(&deque, &items[i]);
        weft__fault_arm(-1);
        if (rc != 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_int_equal(weft_deque_size(&deque), i);
            refused++;
            assert_int_equal(weft_deque_push(&deque, &items[i]), 0);
        }
    }
    assert_int_equal(refused, 9); /* 2, 4 ... 512 */
    for (size_t i = 0; i < 500; i++) {
        void *item = NULL;
        assert_int_equal(weft_deque_steal(&deque, &item), WEFT_STEAL_ITEM);
        assert_ptr_equal(item, &items[i]);
    }
    for (size_t i = sizeof(items); i-- > 500;)
        assert_ptr_equal(weft_deque_take(&deque), &items[i]);
    assert_null(weft_deque_take(&deque));
    weft_deque_destroy(&deque);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deque),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
