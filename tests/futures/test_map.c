/* SPDX-License-Identifier: BSD-2-Clause */
/* test_map.c — a task for each of many inputs: lazily, in order or as they come, in chunks. */
#include "held.h"
#include "manual.h"

WEFT_TASK(int, square, int, x)
{
    if (x == 13)
        return weft_fail(-EDOM, "no %d", x), 0;
    return x * x;
}

WEFT_TASK(long, weigh, int, x, long, by)
{
    return x * by;
}

enum { COUNT = 200 };

/* Asked for inputs; remembers how far it was asked. */
typedef struct input {
    size_t count;
    size_t asked;
} input;

static int next_input(void *arg, size_t index, void *args)
{
    input *self = arg;
    if (index != self->asked++)
        fail_msg("asked for %zu after %zu", index, self->asked);
    if (index == self->count)
        return 0;
    *(square_args *)args = (square_args){.x = 20 + (int)index};
    return 1;
}

static int next_weight(void *arg, size_t index, void *args)
{
    *(weigh_args *)args = (weigh_args){.x = (int)index, .by = 3};
    return index < *(size_t *)arg;
}

static weft_map *open_map(weft_executor *executor, input *from, const weft_map_config *config)
{
    weft_map *map = NULL;
    assert_int_equal(weft_map_open(&map, executor, square, next_input, from, config), 0);
    return map;
}

static int expected(size_t index)
{
    return (20 + (int)index) * (20 + (int)index);
}

/* ---- order and completeness ------------------------------------------------------------------ */

static void all_results(const weft_map_config *config)
{
    input from = {.count = COUNT};
    int seen[COUNT] = {0};
    size_t index = 0;
    int value = 0;
    weft_map *map = open_map(weft_workers(), &from, config);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(weft_map_next(map, &index, &value), 1);
        if (!config->unordered)
            assert_int_equal(index, i);
        assert_int_equal(value, expected(index));
        seen[index]++;
    }
    assert_int_equal(weft_map_next(map, &index, &value), 0);
    assert_int_equal(weft_map_next(map, &index, &value), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    weft_map_close(map);
}

static void test_every_input_once_whatever_the_window_and_chunk(void **state)
{
    (void)state;
    static const size_t windows[] = {0, 1, 3, 64, 500};
    static const size_t chunks[] = {0, 2, 7, 300};
    for (size_t w = 0; w < 5; w++)
        for (size_t c = 0; c < 4; c++)
            for (int unordered = 0; unordered < 2; unordered++)
                all_results(&(weft_map_config){
                    .window = windows[w], .chunk = chunks[c], .unordered = unordered});
}

static int check_in_fiber(void *arg)
{
    size_t count = 100;
    (void)arg;
    for (int unordered = 0; unordered < 2; unordered++) {
        weft_map *map = NULL;
        long sum = 0;
        long value = 0;
        weft_map_config config = {.unordered = unordered, .chunk = 3};
        CHECK(weft_map_open(&map, weft_workers(), weigh, next_weight, &count, &config) == 0);
        while (weft_map_next(map, NULL, &value) == 1)
            sum += value;
        weft_map_close(map);
        CHECK(sum == 3 * 4950);
    }
    return 0;
}

static void test_in_fibers_and_with_several_arguments(void **state)
{
    (void)state;
    on_every_count(check_in_fiber, NULL);
}

static void test_over_an_array(void **state)
{
    (void)state;
    int inputs[10];
    int next = 0;
    for (int i = 0; i < 10; i++)
        inputs[i] = i;
    weft_map_each(i, value, weft_workers(), square, inputs, 10, NULL)
    {
        assert_int_equal(i, next);
        assert_int_equal(value, next * next);
        next++;
    }
    assert_int_equal(next, 10);
    weft_map_each(i, value, weft_workers(), square, inputs, 10, &(weft_map_config){.chunk = 4})
    {
        if (i == 5)
            break;
        next = value;
    }
    assert_int_equal(next, 16);
    inputs[6] = 13; /* fails, which ends it */
    next = 0;
    weft_map_each(i, value, weft_workers(), square, inputs, 10, NULL)
    {
        assert_int_not_equal(value, 6);
        next = (int)i;
    }
    assert_int_equal(next, 5);
}

/* ---- laziness -------------------------------------------------------------------------------- */

static void test_no_more_than_a_window_is_in_flight(void **state)
{
    (void)state;
    manual queue = manual_new();
    input from = {.count = 50};
    size_t index = 0;
    int value = 0;
    weft_map *map = open_map(&queue.base, &from,
                             &(weft_map_config){.window = 4, .deadline = weft_in(WEFT_MSEC)});
    assert_int_equal(from.asked, 0); /* nothing before anybody asks */
    assert_int_equal(weft_map_next(map, &index, &value), -ETIMEDOUT);
    assert_int_equal(index, SIZE_MAX);
    assert_int_equal(from.asked, 4);
    assert_int_equal(queue.count, 4);
    for (size_t i = 0; i < 40; i++) {
        manual_run(&queue);
        assert_int_equal(weft_map_next(map, &index, &value), 1);
        assert_int_equal(index, i);
        assert_int_equal(value, expected(i));
        assert_true(from.asked <= 4 + i);
    }
    weft_map_close(map);
    assert_true(from.asked < 50);
    while (queue.first < queue.count) {
        weft_future *rest = manual_take(&queue);
        assert_int_equal(weft_future_begin(rest), -ECANCELED); /* closing has cancelled them */
    }
}

static void test_unordered_hands_out_what_comes_first(void **state)
{
    (void)state;
    manual queue = manual_new();
    input from = {.count = 3};
    size_t index = 0;
    int value = 0;
    weft_map *map = open_map(&queue.base, &from,
                             &(weft_map_config){.window = 3, .unordered = 1, .deadline = 1});
    assert_int_equal(weft_map_next(map, &index, &value), -ETIMEDOUT);
    weft_future *first = manual_take(&queue);
    manual_run(&queue);
    assert_int_equal(weft_map_next(map, &index, &value), 1);
    assert_int_equal(index, 1);
    assert_int_equal(value, expected(1));
    weft_future_run(first);
    assert_int_equal(weft_map_next(map, &index, &value), 1);
    assert_int_equal(index, 0);
    manual_run(&queue);
    assert_int_equal(weft_map_next(map, &index, &value), 1);
    assert_int_equal(index, 2);
    assert_int_equal(weft_map_next(map, &index, &value), 0);
    weft_map_close(map);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static int thirteens(void *arg, size_t index, void *args)
{
    (void)arg;
    *(square_args *)args = (square_args){.x = (int)index};
    return index < 20;
}

static void failing(const weft_map_config *config)
{
    weft_map *map = NULL;
    int good = 0;
    int bad = 0;
    int rc;
    size_t index = 0;
    int value = 0;
    assert_int_equal(weft_map_open(&map, weft_workers(), square, thirteens, NULL, config), 0);
    int line = __LINE__ - 1;
    while ((rc = weft_map_next(map, &index, &value)) != 0) {
        if (rc == 1) {
            assert_int_equal(value, (int)(index * index));
            good++;
            continue;
        }
        weft_error error;
        assert_int_equal(rc, -EDOM);
        assert_int_equal(index, 13);
        weft_map_error(map, &error);
        assert_int_equal(error.code, -EDOM);
        assert_string_equal(error.message, "no 13");
        assert_string_equal(error.task, "square");
        assert_int_equal(error.line, line);
        bad++;
    }
    assert_int_equal(good, 19);
    assert_int_equal(bad, 1);
    weft_map_close(map);
}

static void test_one_call_that_fails_does_not_stop_the_others(void **state)
{
    (void)state;
    failing(NULL);
    failing(&(weft_map_config){.chunk = 6});
    failing(&(weft_map_config){.unordered = 1});
    failing(&(weft_map_config){.unordered = 1, .chunk = 20});
}

static void test_a_pool_that_is_closed(void **state)
{
    (void)state;
    weft_executor *pool = NULL;
    input from = {.count = 10};
    int seen = 0;
    int rc;
    size_t index;
    assert_int_equal(weft_pool_create(&pool, &(weft_pool_config){.runtime = {.workers = 1}}), 0);
    assert_int_equal(weft_executor_shutdown(pool, 0, WEFT_FOREVER), 0);
    weft_map *map = open_map(pool, &from, &(weft_map_config){.chunk = 2, .unordered = 1});
    while ((rc = weft_map_next(map, &index, NULL)) != 0) {
        assert_int_equal(rc, -EPIPE);
        seen++;
    }
    assert_int_equal(seen, 10);
    weft_map_close(map);
    assert_int_equal(weft_pool_destroy(pool), 0);
    weft_map_close(NULL);
}

static void test_closing_early(void **state)
{
    (void)state;
    for (int unordered = 0; unordered < 2; unordered++)
        for (size_t chunk = 1; chunk < 20; chunk += 6) {
            input from = {.count = SIZE_MAX};
            weft_map *map = open_map(weft_workers(), &from,
                                     &(weft_map_config){.chunk = chunk, .unordered = unordered});
            for (int i = 0; i < 50; i++)
                assert_int_equal(weft_map_next(map, NULL, NULL), 1);
            weft_map_close(map);
        }
}

/* Those that found no room until then have failed; nothing waits any longer. */
static void test_a_deadline_covers_the_wait_for_room(void **state)
{
    uint32_t word;
    size_t index = 0;
    int value = 0;
    weft_map *map = NULL;
    input numbers = {.count = 3};
    (void)state;
    weft_executor *pool = pool_new(1, 1, WEFT_FULL_WAIT);
    hold_future held = hold_worker(pool, &word);
    weft_map_config config = {.window = 3, .deadline = weft_in(2 * WEFT_MSEC)};
    assert_int_equal(weft_map_open(&map, pool, square, next_input, &numbers, &config), 0);
    assert_int_equal(weft_map_next(map, &index, &value), -ETIMEDOUT); /* the first is pending */
    assert_int_equal(index, SIZE_MAX);
    weft__store_release(&word, 2);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    int64_t end = weft_in(LIVENESS_NS);
    int rc;
    while ((rc = weft_map_next(map, &index, &value)) == -ETIMEDOUT && weft_now() < end)
        assert_int_equal(index, SIZE_MAX);
    assert_int_equal(rc, 1);
    assert_int_equal(index, 0);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(weft_map_next(map, &index, &value), -ETIMEDOUT);
        assert_int_equal(index, i);
    }
    assert_int_equal(weft_map_next(map, &index, &value), 0);
    weft_map_close(map);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* An executor of the user's that waits for room by itself. */
static int64_t told_ns;

static void submit_told(weft_executor *executor, weft_future *future, int64_t deadline)
{
    told_ns = deadline;
    manual_submit(executor, future);
}

static void test_an_executor_is_told_the_deadline(void **state)
{
    static const weft_executor_ops with = {.submit = manual_submit, .submit_until = submit_told};
    manual queue = manual_new();
    (void)state;
    square_future f = weft_submit_until(&queue.base, 5, square, 2); /* it has no such function */
    queue.base.ops = &with;
    square_future g = weft_submit_until(&queue.base, 7, square, 3);
    assert_int_equal(told_ns, 7);
    square_future h = weft_submit_until(&queue.base, WEFT_FOREVER, square, .x = 4);
    assert_int_equal(told_ns, 7);
    for (int i = 0; i < 3; i++)
        manual_run(&queue);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), 0);
    assert_int_equal(weft_await(g, NULL, WEFT_POLL), 0);
    assert_int_equal(weft_await(h, NULL, WEFT_POLL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_input_once_whatever_the_window_and_chunk),
        cmocka_unit_test(test_in_fibers_and_with_several_arguments),
        cmocka_unit_test(test_over_an_array),
        cmocka_unit_test(test_no_more_than_a_window_is_in_flight),
        cmocka_unit_test(test_unordered_hands_out_what_comes_first),
        cmocka_unit_test(test_one_call_that_fails_does_not_stop_the_others),
        cmocka_unit_test(test_a_pool_that_is_closed),
        cmocka_unit_test(test_closing_early),
        cmocka_unit_test(test_a_deadline_covers_the_wait_for_room),
        cmocka_unit_test(test_an_executor_is_told_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
