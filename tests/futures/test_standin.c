/* SPDX-License-Identifier: BSD-2-Clause */
/* test_standin.c — a plain thread that waits for a future runs its task by itself, if a worker that
 * it has called has not got up yet: one task, the only one that waits for its turn.
 *
 * ctest: TIMEOUT 120 */
#include "../core/side.h"

#include "../core/process.h"

#include <errno.h>
#include <sys/syscall.h>

#include <weft/future.h>

#include "sched/worker.h"

enum { IN_VAIN = 50 }; /* so often it does not happen where it must not */

static pid_t this_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Answers in which thread it has run. */
WEFT_TASK(long, tell_thread, unsigned *, begun)
{
    if (begun != NULL)
        (void)weft__fetch_add_acq_rel(begun, 1);
    return (long)this_thread();
}

WEFT_TASK(long, look_at, unsigned *, word)
{
    return (long)weft__load_acquire(word);
}

WEFT_TASK(long, fail_in_thread, int, code)
{
    return weft_fail(code, "in thread %d", (int)this_thread());
}

WEFT_TASK(long, wait_first, long, n)
{
    if (n % 2 == 0)
        weft_yield();
    else
        (void)weft_sleep(20 * WEFT_USEC);
    return n;
}

static weft_executor *make_pool(unsigned workers)
{
    weft_executor *pool;
    const weft_pool_config config = {.runtime = {.workers = workers}};
    assert_int_equal(weft_pool_create(&pool, &config), 0);
    return pool;
}

/* A while after which every worker sleeps, most often. */
static void let_all_sleep(void)
{
    sleep_ns(2 * WEFT_MSEC);
}

static long await_long(tell_thread_future future, int64_t deadline)
{
    long value = -1;
    assert_int_equal(weft_await(future, &value, deadline), 0);
    return value;
}

static int is_run_by_caller(weft_executor *pool, int64_t deadline)
{
    let_all_sleep();
    return await_long(weft_submit(pool, tell_thread, NULL), deadline) == (long)this_thread();
}

static void test_result(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        weft_executor *pool = make_pool(workers);
        int64_t end = weft_now() + LIVENESS_NS;
        for (unsigned i = 0; i < 20; i += (unsigned)is_run_by_caller(pool, WEFT_FOREVER))
            assert_true(weft_now() < end);
        assert_int_equal(weft_pool_destroy(pool), 0);
    }
}

/* A wait that may end before the task does. */
static void test_not_with_deadline(void **state)
{
    (void)state;
    weft_executor *pool = make_pool(2);
    for (unsigned i = 0; i < IN_VAIN; i++)
        assert_false(is_run_by_caller(pool, weft_in(LIVENESS_NS)));
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* What was submitted before comes first. */
static void test_order(void **state)
{
    (void)state;
    weft_executor *pool = make_pool(1);
    for (unsigned i = 0; i < IN_VAIN; i++) {
        unsigned has_begun = 0;
        long seen = -1;
        let_all_sleep();
        tell_thread_future older = weft_submit(pool, tell_thread, &has_begun);
        look_at_future newer = weft_submit(pool, look_at, &has_begun);
        assert_int_equal(weft_await(newer, &seen, WEFT_FOREVER), 0);
        assert_int_equal(seen, 1);
        (void)await_long(older, WEFT_FOREVER);
    }
    assert_int_equal(weft_pool_destroy(pool), 0);
}

static void test_error(void **state)
{
    (void)state;
    char caller[32];
    weft_executor *pool = make_pool(1);
    int is_guest = 0;
    (void)snprintf(caller, sizeof caller, "in thread %d", (int)this_thread());
    for (int64_t end = weft_now() + LIVENESS_NS; !is_guest;) {
        weft_error error;
        let_all_sleep();
        fail_in_thread_future future = weft_submit(pool, fail_in_thread, -EDOM);
        assert_int_equal(weft_exception(future, &error, WEFT_FOREVER), 0);
        assert_int_equal(error.code, -EDOM);
        is_guest = strcmp(error.message, caller) == 0;
        weft_release(future);
        assert_true(weft_now() < end);
    }
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* Tasks that wait leave their guest, and a cancelled one is none. */
static void test_others(void **state)
{
    (void)state;
    weft_executor *pool = make_pool(2);
    for (long i = 0; i < LESS_IF_SANITIZED(200, 50); i++) {
        long value = -1;
        let_all_sleep();
        wait_first_future future = weft_submit(pool, wait_first, i);
        int is_cancelled = i % 5 == 0 && weft_cancel(future);
        assert_int_equal(weft_await(future, &value, WEFT_FOREVER), is_cancelled ? -ECANCELED : 0);
        if (is_cancelled)
            weft_release(future);
        assert_true(is_cancelled || value == i);
    }
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* ---- the end of the pool --------------------------------------------------------------------- */

typedef struct waiting {
    tell_thread_future future;
    uint32_t go;
} waiting;

static int await_other(void *arg)
{
    waiting *self = arg;
    let_all_sleep();
    weft__thread_set_mood(WEFT__HAS_CALLED); /* as if it had submitted it */
    while (!weft__load_acquire(&self->go))
        continue;
    CHECK(weft_result(self->future, NULL, WEFT_FOREVER) == 0);
    return 0;
}

/* Somebody destroys the pool while another thread still waits, and has nothing of it but the
 * future. */
static void test_destroy(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LESS_IF_SANITIZED(500, 100); i++) {
        weft_executor *pool = make_pool(1);
        waiting it = {.go = 0};
        side waiter = {.body = await_other, .arg = &it};
        start_side(&waiter);
        let_all_sleep();
        it.future = weft_submit(pool, tell_thread, NULL);
        weft__store_release(&it.go, 1);
        assert_int_equal(weft_pool_destroy(pool), 0);
        end_side(&waiter);
        weft_release(it.future);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result), cmocka_unit_test(test_not_with_deadline),
        cmocka_unit_test(test_order),  cmocka_unit_test(test_error),
        cmocka_unit_test(test_others), cmocka_unit_test(test_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
