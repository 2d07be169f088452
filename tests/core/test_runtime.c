/* SPDX-License-Identifier: BSD-2-Clause */
/* test_runtime.c — runtimes come and go without trace, side by side and one inside another.
 *
 * What a runtime leaves behind is counted in threads, mappings and resident pages after hundreds of
 * lives; allocations themselves are the leak checker's business. Calls from tasks of one runtime
 * into another park a fiber, so even two runtimes of one worker each can call one another. */
#include "fib.h"
#include "process.h"

#include <errno.h>
#include <pthread.h>

#include <weft/atomic.h>
#include <weft/sync.h>
#include <weft/task.h>

static int run_fib(void *arg)
{
    return (int)fib(*(int *)arg);
}

static weft_runtime *new_runtime(unsigned workers)
{
    weft_config config = {.workers = workers};
    weft_runtime *runtime = NULL;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    return runtime;
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void live_once(unsigned i)
{
    int n = 10;
    int result = 0;
    weft_runtime *runtime = new_runtime(1 + i % 4);
    if (i % 3 != 0) { /* the others end before their workers have done anything */
        assert_int_equal(weft_runtime_run(runtime, run_fib, &n, &result), 0);
        assert_int_equal(result, 55);
    }
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static void test_lives(void **state)
{
    unsigned lives = LESS_IF_SANITIZED(1000, 100);
    (void)state;
    for (unsigned i = 0; i < lives / 5; i++)
        live_once(i);
    size_t mappings = count_mappings();
    long resident = read_key("/proc/self/status", "VmRSS:");
    for (unsigned i = 0; i < lives; i++)
        live_once(i);
    assert_true(are_worker_threads(0));
    if (SANITIZED)
        return; /* shadow memory is theirs */
    assert_true(count_mappings() <= mappings + 10);
    assert_true(read_key("/proc/self/status", "VmRSS:") < resident + 4096); /* KiB */
}

/* ---- side by side ---------------------------------------------------------------------------- */

static void test_several(void **state)
{
    enum { RUNTIMES = 5 };
    weft_runtime *runtimes[RUNTIMES];
    int n = 15;
    (void)state;
    for (unsigned i = 0; i < RUNTIMES; i++)
        runtimes[i] = new_runtime(i + 1);
    assert_true(are_worker_threads(15));
    for (unsigned i = 0; i < 4 * RUNTIMES; i++) {
        int result = 0;
        assert_int_equal(weft_runtime_run(runtimes[i % RUNTIMES], run_fib, &n, &result), 0);
        assert_int_equal(result, 610);
    }
    for (unsigned i = 0; i < RUNTIMES; i++) {
        assert_int_equal(weft_num_workers(runtimes[i]), i + 1);
        assert_int_equal(weft_runtime_destroy(runtimes[i]), 0);
    }
    assert_true(are_worker_threads(0));
}

typedef struct caller {
    weft_runtime *runtime;
    int calls;
    int line;
} caller;

static void *call_often(void *arg)
{
    caller *self = arg;
    for (int i = 0; i < self->calls && self->line == 0; i++) {
        int n = i % 12;
        int result = -1;
        int rc = weft_runtime_run(self->runtime, run_fib, &n, &result);
        self->line = rc == 0 && result == (int)fib(n) ? 0 : __LINE__;
    }
    return NULL;
}

static void test_many_callers(void **state)
{
    enum { CALLERS = 12 };
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        weft_runtime *runtime = new_runtime(workers);
        pthread_t threads[CALLERS];
        caller callers[CALLERS];
        for (size_t i = 0; i < CALLERS; i++) {
            callers[i] = (caller){runtime, LESS_IF_SANITIZED(1000, 100), 0};
            assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
        }
        for (size_t i = 0; i < CALLERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(callers[i].line, 0);
        }
        assert_int_equal(weft_runtime_destroy(runtime), 0);
    }
}

/* ---- one inside another ---------------------------------------------------------------------- */

static weft_runtime *pair[2];

static int ping(void *arg)
{
    int depth = *(int *)arg;
    int result = -1;
    if (depth == 0)
        return (int)fib(5);
    depth--;
    if (weft_runtime_run(pair[depth % 2], ping, &depth, &result) != 0)
        return -1;
    return result;
}

WEFT_TASK(int, call_other, int, depth)
{
    int result = -1;
    return weft_runtime_run(pair[depth % 2], ping, &depth, &result) == 0 ? result : -2;
}

static int call_many(void *arg)
{
    enum { CALLS = 50 };
    call_other_task calls[CALLS];
    (void)arg;
    for (int i = 0; i < CALLS; i++)
        call_other_spawn(&calls[i], i % 7);
    int line = 0;
    for (int i = CALLS; i-- > 0;)
        if (call_other_join(&calls[i]) != 5)
            line = __LINE__;
    CHECK(fib(10) == 55);
    return line;
}

static void *call_many_in_thread(void *arg)
{
    int line = -1;
    int rc = weft_runtime_run(arg, call_many, NULL, &line);
    return (void *)(intptr_t)(rc != 0 ? rc : line);
}

static void test_nested(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        pair[0] = new_runtime(workers);
        pair[1] = new_runtime(workers);
        for (int round = 0; round < LESS_IF_SANITIZED(50, 5); round++) {
            pthread_t threads[4];
            for (size_t i = 0; i < 4; i++)
                assert_int_equal(
                    pthread_create(&threads[i], NULL, call_many_in_thread, pair[i % 2]), 0);
            for (size_t i = 0; i < 4; i++) {
                void *line;
                assert_int_equal(pthread_join(threads[i], &line), 0);
                assert_int_equal((int)(intptr_t)line, 0);
            }
        }
        assert_int_equal(weft_runtime_destroy(pair[0]), 0);
        assert_int_equal(weft_runtime_destroy(pair[1]), 0);
    }
}

/* A whole life inside a task of another runtime; the caller's fiber parks meanwhile. */
static int create_inside(void *arg)
{
    weft_runtime *inner;
    weft_config config = {.workers = 2};
    int n = 12;
    int result = 0;
    (void)arg;
    CHECK(weft_runtime_create(&inner, &config) == 0);
    CHECK(weft_num_workers(inner) == 2 && weft_num_workers(NULL) == 1);
    CHECK(weft_runtime_run(inner, run_fib, &n, &result) == 0 && result == 144);
    CHECK(weft_num_workers(NULL) == 1 && weft_worker_id() == 0);
    CHECK(weft_runtime_destroy(inner) == 0);
    return 0;
}

/* The runtime of a fiber may be destroyed as soon as that fiber has been woken from elsewhere: its
 * waker must not look at it afterwards. */
static int lock_and_unlock(void *arg)
{
    weft_mutex_lock(arg);
    weft_mutex_unlock(arg);
    return 0;
}

static int call_pair(void *arg)
{
    int result = -1;
    return weft_runtime_run(pair[1], run_fib, arg, &result) == 0 ? result : -1;
}

static void test_destroyed_at_once(void **state)
{
    (void)state;
    pair[1] = new_runtime(2);
    for (int i = 0; i < LESS_IF_SANITIZED(2000, 300); i++) {
        int n = 2;
        int result = -1;
        pair[0] = new_runtime(1);
        assert_int_equal(weft_runtime_run(pair[0], call_pair, &n, &result), 0);
        assert_int_equal(result, 1);
        assert_int_equal(weft_runtime_destroy(pair[0]), 0);
    }
    assert_int_equal(weft_runtime_destroy(pair[1]), 0);
}

static void *live_with_lock(void *arg)
{
    weft_config config = {.workers = 1};
    for (int i = 0; i < LESS_IF_SANITIZED(500, 100); i++)
        if (weft_run(lock_and_unlock, arg, &config) != 0)
            return arg;
    return NULL;
}

static void test_destroyed_after_lock(void **state)
{
    weft_mutex mutex = WEFT_MUTEX_INIT;
    pthread_t threads[3];
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, live_with_lock, &mutex), 0);
    for (size_t i = 0; i < 3; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void test_created_inside(void **state)
{
    weft_config config = {.workers = 1};
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(weft_run(create_inside, NULL, &config), 0);
    assert_true(are_worker_threads(0));
}

/* ---- what is refused ------------------------------------------------------------------------- */

static unsigned is_inside;
static unsigned may_leave;

static int destroy_own(void *arg)
{
    return weft_runtime_destroy(arg);
}

static int stay_inside(void *arg)
{
    (void)arg;
    weft__store_release(&is_inside, 1);
    return wait_for(&may_leave, 1) ? 0 : __LINE__;
}

static void *run_stay_inside(void *arg)
{
    int line = -1;
    int rc = weft_runtime_run(arg, stay_inside, NULL, &line);
    return (void *)(intptr_t)(rc != 0 ? rc : line);
}

static void test_refused(void **state)
{
    pthread_t thread;
    void *line;
    int result = 0;
    weft_runtime *runtime = new_runtime(2);
    (void)state;
    assert_int_equal(weft_runtime_run(runtime, destroy_own, runtime, &result), 0);
    assert_int_equal(result, -EDEADLK);
    assert_int_equal(pthread_create(&thread, NULL, run_stay_inside, runtime), 0);
    assert_true(wait_for(&is_inside, 1));
    assert_int_equal(weft_runtime_destroy(runtime), -EBUSY);
    weft__store_release(&may_leave, 1);
    assert_int_equal(pthread_join(thread, &line), 0);
    assert_null(line);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static int never_run(void *arg)
{
    (void)arg;
    return 1;
}

static void test_configurations(void **state)
{
    static const weft_config bad[] = {
        {.workers = 100000},
        {.workers = WEFT_WORKERS_MAX + 1},
        {.stack_bytes = 1},
        {.stack_bytes = WEFT_STACK_BYTES_MIN - 1},
        {.stack_bytes = WEFT_STACK_BYTES_MAX + 1},
        {.spin_ns = -1},
        {.wait = (weft_wait_policy)77},
        {.bind = (weft_proc_bind)-1},
    };
    static const weft_config good[] = {
        {0},
        {.stack_bytes = WEFT_STACK_BYTES_MIN + 1, .workers = 2},
        {.wait = WEFT_WAIT_PASSIVE, .workers = 3},
        {.wait = WEFT_WAIT_ADAPTIVE, .workers = 3},
        {.wait = WEFT_WAIT_ACTIVE, .workers = 3},
        {.spin_ns = 1, .workers = 3},
        {.bind = WEFT_BIND_CLOSE, .workers = 3},
        {.bind = WEFT_BIND_SPREAD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        weft_runtime *untouched = (weft_runtime *)&state;
        assert_int_equal(weft_runtime_create(&untouched, &bad[i]), -EINVAL);
        assert_ptr_equal(untouched, &state);
        assert_int_equal(weft_run(never_run, NULL, &bad[i]), -EINVAL);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int n = 10;
        assert_int_equal(weft_run(run_fib, &n, &good[i]), 55);
    }
    int n = 7;
    assert_int_equal(weft_run(run_fib, &n, NULL), 13);
}

/* ---- questions ------------------------------------------------------------------------------- */

static int check_questions(void *arg)
{
    weft_stats stats;
    weft_runtime *runtime = arg;
    CHECK(weft_num_workers(NULL) == 3 && weft_num_workers(runtime) == 3);
    CHECK(weft_worker_id() >= 0 && weft_worker_id() < 3);
    CHECK(fib(16) == 987);
    weft_runtime_stats(runtime, &stats);
    CHECK(stats.tasks_run >= 1 && stats.fibers >= 3);
    CHECK(weft_runtime_run(runtime, never_run, NULL, NULL) == 0); /* a plain call */
    return 0;
}

static void test_questions(void **state)
{
    weft_stats stats;
    int line = -1;
    weft_runtime *runtime = new_runtime(3);
    (void)state;
    assert_int_equal(weft_num_workers(NULL), 0);
    assert_int_equal(weft_worker_id(), -1);
    assert_true(weft_usable_cpus() >= 1);
    assert_int_equal(weft_runtime_run(runtime, check_questions, runtime, &line), 0);
    assert_int_equal(line, 0);
    assert_int_equal(weft_runtime_run(runtime, never_run, NULL, NULL), 0);
    weft_runtime_stats(runtime, &stats);
    assert_true(stats.tasks_run >= 2 && stats.tasks_run <= 2 + stats.published + 20 * stats.raids);
    assert_true(stats.wakes <= stats.sleeps);
    assert_int_equal(weft_worker_id(), -1);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
    assert_int_equal(weft_runtime_destroy(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_many_callers),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_destroyed_at_once),
        cmocka_unit_test(test_destroyed_after_lock),
        cmocka_unit_test(test_created_inside),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
