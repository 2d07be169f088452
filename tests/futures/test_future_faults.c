/* SPDX-License-Identifier: BSD-2-Clause */
/* test_future_faults.c — the n-th allocation fails, for every n there is.
 *
 * Whatever is refused, each call answers as its comment says, the futures that exist end, and
 * nothing is left behind (the sanitizers' builds look). */
#include "../core/process.h"
#include "manual.h"

#include <pthread.h>
#include <sched.h>

#include <weft/atomic.h>

#include "alloc.h"
#include "future.h"

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

static int is_fine(int rc)
{
    return rc == 0 || rc == -ENOMEM;
}

static void count_call(weft_future *future, void *arg)
{
    (void)future;
    ++*(int *)arg;
}

/* Everything once, on one thread. Returns whether all went well. */
static int everything(void)
{
    manual queue = manual_new();
    int calls = 0;
    int added = 0;
    int value = 0;
    answer_future f[4];
    for (int i = 0; i < 4; i++)
        f[i] = weft_submit(&queue.base, answer, i == 2 ? -EIO : i);
    add_future after = weft_then(&queue.base, f[1], add, .what = 1);
    for (int i = 0; i < 3; i++)
        added += weft_on_done(f[0], count_call, &calls) == 0;
    weft_void_future all = weft_all(f, 4);
    weft_index_future any = weft_any(f, 4);
    ptrdiff_t ended = weft_wait(f, 4, WEFT_ALL_COMPLETED, weft_in(WEFT_USEC));
    assert_true(ended == -ENOMEM || ended >= 0);
    weft_completed it;
    size_t index;
    weft_completed_open(&it, &f[0].h, 4, WEFT_POLL);
    int rc = weft_completed_next(&it, &index);
    assert_true(rc == -ENOMEM || rc == -ETIMEDOUT || rc == 1);
    while (queue.first < queue.count)
        manual_run(&queue);
    weft_completed_close(&it);

    int is_good = calls == 3;
    assert_int_equal(calls, added);
    int expected[] = {0, 1, -EIO, 3};
    for (int i = 0; i < 4; i++) {
        rc = weft_await(f[i], &value, WEFT_POLL);
        assert_true(rc == -ENOMEM || rc == (i == 2 ? -EIO : 0));
        assert_true(rc != 0 || value == expected[i]);
        is_good &= rc != -ENOMEM;
    }
    rc = weft_await(after, &value, WEFT_POLL);
    assert_true(is_fine(rc) && (rc != 0 || value == 2));
    is_good &= rc == 0;
    rc = weft_await(all, NULL, WEFT_POLL);
    assert_true(rc == -ENOMEM || rc == -EIO);
    is_good &= rc == -EIO;
    rc = weft_await(any, &index, WEFT_POLL);
    assert_true(is_fine(rc));
    is_good &= rc == 0;
    return is_good;
}

static int everything_with_fault(int64_t n, int64_t *calls)
{
    weft__fault_arm(n);
    int is_good = everything();
    *calls = weft__fault_calls();
    weft__fault_arm(-1);
    return is_good;
}

static void test_every_allocation_of_every_call(void **state)
{
    (void)state;
    int64_t calls = 1;
    int spoilt = 0;
    for (int64_t n = 0; n < calls; n++)
        spoilt += !everything_with_fault(n, &calls);
    assert_true(spoilt >=
                8); /* four futures, a continuation, two combinations of three blocks ... */
    assert_int_equal(everything_with_fault(calls, &calls), 1);
}

/* ---- what needs no executor ------------------------------------------------------------------ */

typedef WEFT_FUTURE_OF(int) int_future;

/* Promises, kept, broken and cancelled. Returns whether all went well. */
static int every_promise(void)
{
    int calls = 0;
    int added = 0;
    int value = 5;
    int_future kept;
    int_future broken;
    int_future cancelled;
    weft_promise(kept);
    weft_promise(broken);
    weft_promise(cancelled);
    added += weft_on_done(cancelled, count_call, &calls) == 0;
    int is_good = weft_set_result(kept, &value) == 0;
    is_good &= weft_set_error(broken, -EIO, "%d", 5) == 0;
    int was_cancelled = weft_cancel(cancelled) != 0;
    is_good &= was_cancelled && weft_set_result(cancelled, &value) == -ECANCELED;
    assert_int_equal(calls, added);
    int rc = weft_await(kept, &value, WEFT_POLL);
    assert_true(is_fine(rc) && (rc != 0 || value == 5));
    rc = weft_await(broken, &value, WEFT_POLL);
    assert_true(rc == -EIO || rc == -ENOMEM);
    rc = weft_await(cancelled, &value, WEFT_POLL);
    assert_int_equal(rc, was_cancelled ? -ECANCELED : -ENOMEM);
    return is_good;
}

/* The first to end, of whom one is cancelled with the race; and more than fit into an iteration's
 * own memory, one by one. */
static int every_choice(void)
{
    enum { MANY = 300 };
    static answer_future f[MANY];
    manual queue = manual_new();
    size_t index = 0;
    int is_good = 1;
    int rc;
    for (int i = 0; i < MANY; i++)
        f[i] = weft_submit(i < 2 ? &queue.base : weft_inline(), answer, i);
    weft_index_future race = weft_race(f, 2);
    weft_index_future other = weft_race(f, 1);
    is_good &= weft_cancel(other) && queue.count == 2;
    while (queue.first < queue.count)
        manual_run(&queue);
    rc = weft_await(race, &index, WEFT_POLL);
    assert_true(is_fine(rc));
    is_good &= rc == 0;
    weft_release(other);
    size_t seen = 0;
    weft_completed it;
    weft_completed_open(&it, &f[0].h, MANY, WEFT_POLL);
    while ((rc = weft_completed_next(&it, &index)) == 1)
        seen++;
    weft_completed_close(&it);
    assert_true(rc == -ENOMEM || (rc == 0 && seen == MANY));
    is_good &= rc == 0;
    for (int i = 0; i < MANY; i++) {
        rc = weft_await(f[i], NULL, WEFT_POLL);
        assert_true(rc == -ENOMEM || rc == 0 || (i == 0 && rc == -ECANCELED));
        is_good &= rc != -ENOMEM;
    }
    return is_good;
}

/* With the n-th allocation refused, for each n there is, something is amiss; without, nothing. */
static void fail_each(int (*body)(void), int spoilt_min)
{
    int64_t calls = 1;
    int spoilt = 0;
    for (int64_t n = 0; n <= calls; n++) {
        weft__fault_arm(n);
        int is_good = body();
        calls = weft__fault_calls();
        weft__fault_arm(-1);
        spoilt += !is_good;
        assert_true(is_good || n < calls);
    }
    assert_true(spoilt >= spoilt_min);
}

static void test_promises_and_choices(void **state)
{
    (void)state;
    fail_each(every_promise, 3);
    fail_each(every_choice, 300);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Workers may meet the fault as well: whatever it hits, all futures end. */
static int check_with_workers(void *arg)
{
    enum { FUTURES = 8 };
    int64_t calls = 1;
    (void)arg;
    for (int64_t n = 0; n < calls; n++) {
        answer_future f[FUTURES];
        weft__fault_arm(n);
        for (int i = 0; i < FUTURES; i++)
            f[i] = weft_submit(weft_workers(), answer, i == 2 ? -EIO : i);
        add_future after = weft_then(weft_workers(), f[1], add, .what = 1);
        ptrdiff_t ended = weft_wait(f, FUTURES, WEFT_ALL_COMPLETED, WEFT_FOREVER);
        int rc = weft_await(after, NULL, WEFT_FOREVER);
        calls = weft__fault_calls();
        weft__fault_arm(-1);
        CHECK(ended == FUTURES || ended == -ENOMEM);
        if (rc == -ENOMEM && after.h != NULL) /* it was the wait that failed */
            rc = weft_await(after, NULL, WEFT_FOREVER);
        CHECK(is_fine(rc));
        for (int i = 0; i < FUTURES; i++) {
            rc = weft_await(f[i], NULL, WEFT_FOREVER);
            CHECK(rc == -ENOMEM || rc == (i == 2 ? -EIO : 0));
        }
    }
    return 0;
}

static void test_on_workers(void **state)
{
    (void)state;
    on_every_count(check_with_workers, NULL);
}

static int start_shared_with_faults(void *arg)
{
    int refusals = 0;
    int rc;
    (void)arg;
    do {
        int64_t deadline = weft_in(LIVENESS_NS);
        weft__fault_arm(refusals);
        answer_future f = weft_submit(weft_workers(), answer, 1);
        rc = weft_await(f, NULL, deadline);
        weft__fault_arm(-1);
        CHECK(is_fine(rc) || rc == -EAGAIN);
        CHECK(f.h == NULL);
        refusals += rc != 0;
    } while (rc != 0);
    CHECK(refusals >= 5);
    return 0;
}

static void test_starting_the_shared_workers(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* they would rather not be forked */
    child_end end = in_child(start_shared_with_faults, NULL);
    if (end.status != 0)
        fail_msg("status %d: %s", end.status, end.errors);
}

static void test_errors_keep_their_code(void **state)
{
    (void)state;
    weft_error error;
    manual queue = manual_new();
    answer_future f = weft_submit(&queue.base, answer, -EIO);
    weft__fault_arm(0); /* the error's own block */
    manual_run(&queue);
    weft__fault_arm(-1);
    assert_int_equal(weft_exception(f, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, -EIO);
    assert_string_equal(error.message, "");
    assert_string_equal(error.task, "answer");
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EIO);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void *wait_long(void *arg)
{
    return (void *)(intptr_t)weft_future_result(arg, NULL, weft_in(50 * WEFT_MSEC));
}

static void test_a_second_waiter_without_memory(void **state)
{
    (void)state;
    pthread_t thread;
    void *rc = NULL;
    WEFT_FUTURE_OF(int) f;
    weft_promise(f);
    assert_int_equal(pthread_create(&thread, NULL, wait_long, f.h), 0);
    int own = 0;
    for (int i = 0; own != -ENOMEM && i < 100; i++) { /* until the other one waits as well */
        weft__fault_arm(0);
        own = weft_result(f, NULL, weft_in(WEFT_USEC));
        weft__fault_arm(-1);
        assert_true(own == -ENOMEM || own == -ETIMEDOUT);
    }
    assert_int_equal(weft_set_error(f, -EIO, NULL), 0);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_true((int)(intptr_t)rc == -EIO || (int)(intptr_t)rc == -ETIMEDOUT ||
                (int)(intptr_t)rc == -ENOMEM);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EIO);
}

static void *select_long(void *arg)
{
    weft_case cases[] = {{.hook_ = &weft__future_case, .source_ = arg}};
    return (void *)(intptr_t)weft_select(cases, 1, WEFT_FOREVER);
}

/* The first of those who wait needs no memory, be it a select or not. */
static void test_a_second_select_without_memory(void **state)
{
    (void)state;
    pthread_t thread;
    void *index = NULL;
    WEFT_FUTURE_OF(int) f;
    weft_promise(f);
    weft_case cases[] = {WEFT_CASE_FUTURE(f)};
    weft__fault_arm(0);
    assert_int_equal(weft_select(cases, 1, weft_in(WEFT_USEC)), -ETIMEDOUT);
    weft__fault_arm(-1);
    assert_int_equal(pthread_create(&thread, NULL, select_long, f.h), 0);
    while (weft__load_relaxed(&f.h->state.idle) !=
           0) /* until the other one has the node there is */
        (void)sched_yield();
    weft__fault_arm(0);
    assert_int_equal(weft_select(cases, 1, WEFT_FOREVER), -ENOMEM);
    weft__fault_arm(-1);
    assert_int_equal(weft_set_error(f, -EIO, NULL), 0);
    assert_int_equal(pthread_join(thread, &index), 0);
    assert_int_equal((intptr_t)index, 0);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EIO);
}

/* ---- pools and maps -------------------------------------------------------------------------- */

static int create_with_fault(int64_t n, int64_t *calls)
{
    weft_executor *pool = NULL;
    weft_pool_config config = {.runtime = {.workers = 2}, .queue_max = 4};
    weft__fault_arm(n);
    int rc = weft_pool_create(&pool, &config);
    *calls = weft__fault_calls();
    weft__fault_arm(-1);
    if (rc != 0) {
        assert_true(rc == -ENOMEM || rc == -EAGAIN);
        assert_null(pool);
        return 0;
    }
    int value = 0;
    answer_future f = weft_submit(pool, answer, 5);
    assert_int_equal(weft_await(f, &value, WEFT_FOREVER), 0);
    assert_int_equal(value, 5);
    assert_int_equal(weft_pool_destroy(pool), 0);
    return 1;
}

static void test_creating_a_pool(void **state)
{
    (void)state;
    int64_t calls = 1;
    int refused = 0;
    for (int64_t n = 0; n < calls; n++)
        if (!create_with_fault(n, &calls)) {
            refused++;
            calls = calls > n + 1 ? calls : n + 2;
        }
    assert_true(refused >= 4);
}

static int next_value(void *arg, size_t index, void *args)
{
    (void)arg;
    *(answer_args *)args = (answer_args){.value = index == 3 ? -EIO : (int)index};
    return index < 12;
}

/* Returns whether every call was made and came to what it should. */
static int map_with_fault(int64_t n, const weft_map_config *config, int64_t *calls)
{
    weft_map *map = NULL;
    size_t index;
    int good = 0;
    int value;
    int rc;
    weft__fault_arm(n);
    rc = weft_map_open(&map, weft_inline(), answer, next_value, NULL, config);
    assert_true(is_fine(rc));
    while (map != NULL && (rc = weft_map_next(map, &index, &value)) != 0) {
        if (rc == -ENOMEM && index == SIZE_MAX)
            continue; /* once more: there is memory now */
        assert_true(rc == 1 || (rc == -EIO && index == 3));
        good += rc == -EIO || value == (int)index;
    }
    weft_map_close(map);
    *calls = weft__fault_calls();
    weft__fault_arm(-1);
    return good == 12;
}

static void test_maps(void **state)
{
    (void)state;
    for (int unordered = 0; unordered < 2; unordered++)
        for (size_t chunk = 1; chunk < 6; chunk += 4) {
            weft_map_config config = {.window = 3, .chunk = chunk, .unordered = unordered};
            int64_t calls = 1;
            assert_int_equal(map_with_fault(0, &config, &calls), 0); /* the map itself */
            for (int64_t n = 1; n < calls; n++)
                assert_int_equal(map_with_fault(n, &config, &calls), 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_of_every_call),
        cmocka_unit_test(test_promises_and_choices),
        cmocka_unit_test(test_on_workers),
        cmocka_unit_test(test_starting_the_shared_workers),
        cmocka_unit_test(test_errors_keep_their_code),
        cmocka_unit_test(test_a_second_waiter_without_memory),
        cmocka_unit_test(test_a_second_select_without_memory),
        cmocka_unit_test(test_creating_a_pool),
        cmocka_unit_test(test_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
