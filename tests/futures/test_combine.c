/* SPDX-License-Identifier: BSD-2-Clause */
/* test_combine.c — continuations, all, any, race; chains and trees as deep as one likes. */
#include "../core/process.h"
#include "manual.h"

WEFT_TASK(int, answer, int, value)
{
    if (value < 0)
        return weft_fail(value, "answer %d", value), 0;
    return value;
}

WEFT_TASK(int, add, int, to, int, what)
{
    return to + what;
}

WEFT_VOID_TASK(nothing)
{
}

WEFT_TASK(int, constant)
{
    return 5;
}

static answer_future run_one(manual *queue, int value)
{
    answer_future f = weft_submit(&queue->base, answer, value);
    manual_run(queue);
    return f;
}

/* ---- then ------------------------------------------------------------------------------------ */

static void test_then_takes_the_result(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    answer_future f = weft_submit(&queue.base, answer, 40);
    add_future g = weft_then(&queue.base, f, add, .what = 2);
    assert_int_equal(queue.count, 1); /* not before its time */
    assert_false(weft_done(g));
    manual_run(&queue);
    assert_int_equal(queue.count, 2);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    manual_run(&queue);
    assert_int_equal(weft_await(g, &value, WEFT_POLL), 0);
    assert_int_equal(value, 42);
}

static void test_then_on_an_ended_future(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    answer_future f = run_one(&queue, 1);
    add_future g = weft_then(weft_inline(), f, add, .what = 2);
    weft_release(f);
    assert_int_equal(weft_await(g, &value, WEFT_POLL), 0);
    assert_int_equal(value, 3);
}

static void test_then_without_a_result_or_an_argument(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    nothing_future f = weft_submit(&queue.base, nothing);
    constant_future g = weft_then(weft_inline(), f, constant);
    add_future h = weft_then(weft_inline(), f, add, .to = 1, .what = 2);
    manual_run(&queue);
    assert_int_equal(weft_await(g, &value, WEFT_POLL), 0);
    assert_int_equal(value, 5);
    assert_int_equal(weft_await(h, &value, WEFT_POLL), 0);
    assert_int_equal(value, 3);
    weft_release(f);
}

static void test_then_hands_errors_on(void **state)
{
    (void)state;
    manual queue = manual_new();
    weft_error error;
    answer_future f = weft_submit(&queue.base, answer, -EIO);
    add_future g = weft_then(&queue.base, f, add, .what = 2);
    add_future h = weft_then(&queue.base, g, add, .what = 2);
    weft_release(f);
    weft_release(g);
    manual_run(&queue);
    assert_int_equal(queue.count, 1); /* they did not run */
    assert_int_equal(weft_exception(h, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, -EIO);
    assert_string_equal(error.message, "answer -5");
    assert_string_equal(error.task, "answer");
    weft_release(h);
}

static void test_then_of_a_cancelled_future_is_cancelled(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f = weft_submit(&queue.base, answer, 1);
    add_future g = weft_then(&queue.base, f, add, .what = 2);
    add_future h = weft_then(&queue.base, g, add, .what = 2);
    assert_true(weft_cancel(f));
    assert_true(weft_cancelled(g) && weft_cancelled(h));
    manual_run(&queue);
    weft_release(f);
    weft_release(g);
    assert_int_equal(weft_await(h, NULL, WEFT_FOREVER), -ECANCELED);
}

static void test_a_continuation_can_be_cancelled_by_itself(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    answer_future f = weft_submit(&queue.base, answer, 1);
    add_future g = weft_then(&queue.base, f, add, .what = 2);
    assert_true(weft_cancel(g));
    weft_release(g);
    manual_run(&queue);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 1);
    manual_run(&queue); /* comes across it */
}

/* ---- all, any, race -------------------------------------------------------------------------- */

static void test_all_ends_with_the_last(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(&queue.base, answer, i);
    weft_void_future all = weft_all(f, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(weft_done(all));
        weft_release(f[i]); /* early is fine */
        manual_run(&queue);
    }
    assert_int_equal(weft_await(all, NULL, WEFT_POLL), 0);
}

static void test_all_fails_with_the_first_error(void **state)
{
    (void)state;
    manual queue = manual_new();
    weft_error error;
    answer_future f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(&queue.base, answer, i == 0 ? 1 : -i);
    weft_void_future all = weft_all(f, 3);
    manual_run(&queue);
    assert_false(weft_done(all));
    manual_run(&queue);
    assert_int_equal(weft_exception(all, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, -1);
    assert_string_equal(error.message, "answer -1");
    manual_run(&queue);
    weft_release(all);
    for (int i = 0; i < 3; i++)
        weft_release(f[i]);
}

static void test_cancelled_member_counts_as_an_error(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f[2] = {weft_submit(&queue.base, answer, 1), weft_submit(&queue.base, answer, 2)};
    weft_void_future all = weft_all(f, 2);
    assert_true(weft_cancel(f[1]));
    assert_int_equal(weft_result(all, NULL, WEFT_POLL), -ECANCELED);
    assert_false(weft_cancelled(all) || weft_cancelled(f[0]));
    weft_release(all);
    manual_run(&queue);
    manual_run(&queue);
    weft_release(f[0]);
    weft_release(f[1]);
}

static void test_cancelling_the_whole_cancels_its_members(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(&queue.base, answer, i);
    manual_run(&queue);
    weft_void_future all = weft_all(f, 3);
    assert_true(weft_cancel(all));
    assert_true(!weft_cancelled(f[0]) && weft_cancelled(f[1]) && weft_cancelled(f[2]));
    manual_run(&queue);
    manual_run(&queue);
    weft_release(all);
    for (int i = 0; i < 3; i++)
        weft_release(f[i]);
}

static void test_any_is_the_first_success(void **state)
{
    (void)state;
    manual queue = manual_new();
    size_t index = 9;
    answer_future f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(&queue.base, answer, i == 1 ? 7 : -3);
    weft_index_future any = weft_any(f, 3);
    manual_run(&queue);
    assert_false(weft_done(any));
    manual_run(&queue);
    assert_int_equal(weft_await(any, &index, WEFT_POLL), 0);
    assert_int_equal(index, 1);
    any = weft_any(f, 1); /* has failed already */
    assert_int_equal(weft_await(any, &index, WEFT_POLL), -3);
    manual_run(&queue);
    for (int i = 0; i < 3; i++)
        weft_release(f[i]);
}

static void test_any_fails_with_the_last_error(void **state)
{
    (void)state;
    manual queue = manual_new();
    size_t index = 9;
    answer_future f[2] = {weft_submit(&queue.base, answer, -1),
                          weft_submit(&queue.base, answer, -2)};
    weft_index_future any = weft_any(f, 2);
    manual_run(&queue);
    manual_run(&queue);
    assert_int_equal(weft_await(any, &index, WEFT_POLL), -2);
    assert_int_equal(index, 9);
    weft_release(f[0]);
    weft_release(f[1]);
}

static void test_race_is_the_first_to_end(void **state)
{
    (void)state;
    manual queue = manual_new();
    size_t index = 9;
    answer_future f[2] = {weft_submit(&queue.base, answer, 1),
                          weft_submit(&queue.base, answer, -2)};
    weft_index_future race = weft_race(f, 2);
    assert_true(weft_cancel(f[1]));
    assert_int_equal(weft_await(race, &index, WEFT_POLL), 0);
    assert_int_equal(index, 1);
    manual_run(&queue);
    manual_run(&queue);
    weft_release(f[0]);
    weft_release(f[1]);
}

static void test_none_of_nothing(void **state)
{
    (void)state;
    answer_future f[1] = {{NULL}};
    weft_void_future all = weft_all(f, 0);
    assert_int_equal(weft_await(all, NULL, WEFT_POLL), 0);
    weft_index_future any = weft_any(f, 0);
    assert_int_equal(weft_await(any, NULL, WEFT_POLL), -EINVAL);
    weft_index_future race = weft_race(f, 0);
    assert_int_equal(weft_await(race, NULL, WEFT_POLL), -EINVAL);
}

/* ---- deep ------------------------------------------------------------------------------------ */

enum { DEEP = LESS_IF_SANITIZED(1000000, 50000) };

static add_future chain(weft_executor *executor, answer_future first)
{
    add_future last = weft_then(executor, first, add, .what = 1);
    for (int i = 1; i < DEEP; i++) {
        add_future next = weft_then(executor, last, add, .what = 1);
        weft_release(last);
        last = next;
    }
    return last;
}

/* Everything runs inside the end of the first future: no stack would hold it if it nested. */
static void test_a_chain_of_a_million_continuations(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    answer_future f = weft_submit(&queue.base, answer, 0);
    add_future last = chain(weft_inline(), f);
    manual_run(&queue);
    assert_int_equal(weft_await(last, &value, WEFT_POLL), 0);
    assert_int_equal(value, DEEP);
    weft_release(f);
}

static void test_a_chain_of_a_million_on_workers(void **state)
{
    (void)state;
    int value = 0;
    answer_future f;
    weft_promise(f);
    add_future last = chain(weft_workers(), f);
    assert_int_equal(weft_set_result(f, &value), 0);
    assert_int_equal(weft_await(last, &value, WEFT_FOREVER), 0);
    assert_int_equal(value, DEEP);
    weft_release(f);
}

static void test_cancelling_and_failing_a_million(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f = weft_submit(&queue.base, answer, 0);
    add_future last = chain(weft_inline(), f);
    assert_true(weft_cancel(f));
    assert_int_equal(weft_await(last, NULL, WEFT_POLL), -ECANCELED);
    manual_run(&queue);
    weft_release(f);
    f = weft_submit(&queue.base, answer, -EIO);
    last = chain(weft_inline(), f);
    manual_run(&queue);
    assert_int_equal(weft_await(last, NULL, WEFT_POLL), -EIO);
    weft_release(f);
}

/* Pairs, pairs of pairs ...: a tree of all() over two leaves at each end. */
static void test_a_tree_of_a_million_futures(void **state)
{
    (void)state;
    enum { LEAVES = LESS_IF_SANITIZED(1 << 19, 1 << 14) };
    weft_void_future *level = malloc(LEAVES * sizeof *level);
    weft_void_future first;
    weft_void_promise(first);
    assert_non_null(level);
    for (size_t i = 0; i < LEAVES; i++)
        level[i].h = weft_then(weft_inline(), first, nothing).h;
    for (size_t width = LEAVES; width > 1; width /= 2)
        for (size_t i = 0; i < width / 2; i++) {
            weft_void_future both = weft_all(&level[2 * i], 2);
            weft_release(level[2 * i]);
            weft_release(level[2 * i + 1]);
            level[i] = both;
        }
    assert_false(weft_done(level[0]));
    assert_int_equal(weft_set_result(first, NULL), 0);
    assert_int_equal(weft_await(level[0], NULL, WEFT_POLL), 0);
    weft_release(first);
    free(level);
}

/* A task that submits two and waits for both, down to single ones: a million futures in all. */
WEFT_TASK(long, tree, int, depth)
{
    if (depth == 0)
        return 1;
    tree_future left = weft_submit(weft_workers(), tree, depth - 1);
    tree_future right = weft_submit(weft_workers(), tree, depth - 1);
    long sum = 1;
    long value = 0;
    (void)weft_await(right, &value, WEFT_FOREVER);
    sum += value;
    (void)weft_await(left, &value, WEFT_FOREVER);
    return sum + value;
}

static void test_tasks_in_a_tree_of_a_million(void **state)
{
    (void)state;
    long nodes = 0;
    int depth = LESS_IF_SANITIZED(19, 13);
    tree_future root = weft_submit(weft_workers(), tree, depth);
    assert_int_equal(weft_await(root, &nodes, WEFT_FOREVER), 0);
    assert_int_equal(nodes, (2L << depth) - 1);
}

/* A callback that waits for what the callback behind it starts. */
static void complete_other(weft_future *future, void *arg)
{
    int value = 3;
    (void)future;
    (void)weft_future_set_result(arg, &value);
}

typedef struct pair {
    answer_future promise;
    add_future after;
    int value;
} pair;

static void wait_in_callback(weft_future *future, void *arg)
{
    pair *self = arg;
    (void)future;
    complete_other(NULL, self->promise.h); /* whose continuation stands behind this callback */
    (void)weft_await(self->after, &self->value, WEFT_FOREVER);
}

static void test_a_callback_that_waits_runs_what_stands_behind_it(void **state)
{
    (void)state;
    pair both = {.value = 0};
    answer_future f;
    int value = 1;
    weft_promise(f);
    weft_promise(both.promise);
    both.after = weft_then(weft_inline(), both.promise, add, .what = 4);
    assert_int_equal(weft_on_done(f, wait_in_callback, &both), 0);
    assert_int_equal(weft_set_result(f, &value), 0);
    assert_int_equal(both.value, 7);
    weft_release(both.promise);
    weft_release(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_then_takes_the_result),
        cmocka_unit_test(test_then_on_an_ended_future),
        cmocka_unit_test(test_then_without_a_result_or_an_argument),
        cmocka_unit_test(test_then_hands_errors_on),
        cmocka_unit_test(test_then_of_a_cancelled_future_is_cancelled),
        cmocka_unit_test(test_a_continuation_can_be_cancelled_by_itself),
        cmocka_unit_test(test_all_ends_with_the_last),
        cmocka_unit_test(test_all_fails_with_the_first_error),
        cmocka_unit_test(test_cancelled_member_counts_as_an_error),
        cmocka_unit_test(test_cancelling_the_whole_cancels_its_members),
        cmocka_unit_test(test_any_is_the_first_success),
        cmocka_unit_test(test_any_fails_with_the_last_error),
        cmocka_unit_test(test_race_is_the_first_to_end),
        cmocka_unit_test(test_none_of_nothing),
        cmocka_unit_test(test_a_chain_of_a_million_continuations),
        cmocka_unit_test(test_a_chain_of_a_million_on_workers),
        cmocka_unit_test(test_cancelling_and_failing_a_million),
        cmocka_unit_test(test_a_tree_of_a_million_futures),
        cmocka_unit_test(test_tasks_in_a_tree_of_a_million),
        cmocka_unit_test(test_a_callback_that_waits_runs_what_stands_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
