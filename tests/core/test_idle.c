/* SPDX-License-Identifier: BSD-2-Clause */
/* test_idle.c — an idle runtime is silent, and nobody sleeps while there is work.
 *
 * ctest: TIMEOUT 90
 *
 * Silence is measured in processor time and in context switches of the workers' own threads, not in
 * wall-clock time. Lost wake-ups are provoked by pauses of random length between small regions, so
 * that work arrives at every stage of falling asleep; one that is lost is a test that hangs. */
#include "process.h"

#include <pthread.h>

#include <weft/atomic.h>
#include <weft/task.h>

static weft_runtime *runtime;

static void set_up(unsigned workers, weft_wait_policy wait)
{
    weft_config config = {.workers = workers, .wait = wait};
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
}

static void tear_down(void)
{
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static int64_t processor_time(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * WEFT_SEC + used.tv_nsec;
}

WEFT_VOID_TASK(signal_done, unsigned *, done)
{
    weft__store_release(done, 1);
}

/* A region that ends only if a second worker, asleep perhaps, comes to help. */
static int need_help(void *arg)
{
    unsigned done = 0;
    (void)arg;
    weft_spawn(other, signal_done, &done);
    CHECK(wait_for(&done, 1));
    weft_join(other);
    return 0;
}

/* A region that is over at once. */
static int need_nothing(void *arg)
{
    unsigned done = 0;
    weft_spawn(task, signal_done, &done);
    weft_join(task);
    return done == 1 ? *(int *)arg : -1;
}

/* ---- silence -------------------------------------------------------------------------------- */

static void test_silence(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* the sanitizer has threads of its own, and checks on them */
    for (weft_wait_policy wait = WEFT_WAIT_PASSIVE; wait <= WEFT_WAIT_ADAPTIVE; wait++) {
        long before = 0;
        long after = 0;
        int line = -1;
        set_up(2, wait);
        assert_int_equal(weft_runtime_run(runtime, need_help, NULL, &line), 0);
        assert_int_equal(line, 0);
        sleep_ns(100 * WEFT_MSEC);
        assert_int_equal(each_worker_thread("voluntary_ctxt_switches:", &before), 2);
        int64_t used = processor_time();
        sleep_ns(WEFT_SEC);
        used = processor_time() - used;
        sleep_ns(WEFT_SEC);
        assert_int_equal(each_worker_thread("voluntary_ctxt_switches:", &after), 2);
        assert_true(used < 10 * WEFT_MSEC);
        assert_int_equal(after, before);
        tear_down();
    }
}

/* A thousand small regions a second must cost about as much as they compute. */
static void test_trickle(void **state)
{
    enum { REGIONS = 500 };
    (void)state;
    if (SANITIZED)
        skip();
    set_up(2, WEFT_WAIT_ADAPTIVE);
    int64_t used = processor_time();
    for (int i = 0; i < REGIONS; i++) {
        int result = -1;
        sleep_ns(WEFT_MSEC);
        assert_int_equal(weft_runtime_run(runtime, need_nothing, &i, &result), 0);
        assert_int_equal(result, i);
    }
    used = processor_time() - used;
    tear_down();
    if (used > REGIONS * WEFT_MSEC / 4)
        fail_msg("%d regions took %d us of processor time", REGIONS, (int)(used / WEFT_USEC));
}

/* ---- wake-ups ------------------------------------------------------------------------------- */

/* A pause of a length that may end in the middle of anything: none, some instructions, some
 * microseconds, or a sleep. */
static void pause_somehow(uint64_t *random)
{
    uint64_t kind = next_random(random) % 8;
    if (kind >= 6)
        sleep_ns((int64_t)(next_random(random) % 50) * WEFT_USEC);
    else if (kind >= 3)
        compute_ns((int64_t)(next_random(random) % 60) * WEFT_USEC);
    else if (kind >= 1)
        compute_ns((int64_t)(next_random(random) % 2000));
}

static void run_rounds(uint64_t *random, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        int line = -1;
        int result = -1;
        pause_somehow(random);
        assert_int_equal(weft_runtime_run(runtime, need_nothing, &i, &result), 0);
        assert_int_equal(result, i);
        pause_somehow(random);
        assert_int_equal(weft_runtime_run(runtime, need_help, NULL, &line), 0);
        assert_int_equal(line, 0);
    }
}

static void test_rounds(void **state)
{
    static const weft_wait_policy policies[] = {WEFT_WAIT_PASSIVE, WEFT_WAIT_ADAPTIVE,
                                                WEFT_WAIT_ACTIVE};
    uint64_t random = 1;
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
            for (unsigned workers = 2; workers <= 4; workers += 2) {
                set_up(workers, policies[i]);
                run_rounds(&random, LESS_IF_SANITIZED(1000, 200));
                tear_down();
            }
        }
    } while (weft_now() < end);
}

/* Tasks that appear one by one inside a region, with pauses, each to be run by somebody else. */
static int trickle_inside(void *arg)
{
    uint64_t *random = arg;
    for (int i = 0; i < LESS_IF_SANITIZED(1000, 200); i++) {
        pause_somehow(random);
        CHECK_CALL(need_help(NULL));
    }
    return 0;
}

static void test_rounds_inside(void **state)
{
    uint64_t random = 2;
    (void)state;
    for (weft_wait_policy wait = WEFT_WAIT_PASSIVE; wait <= WEFT_WAIT_ACTIVE; wait++) {
        for (unsigned workers = 2; workers <= 4; workers += 2) {
            int line = -1;
            set_up(workers, wait);
            assert_int_equal(weft_runtime_run(runtime, trickle_inside, &random, &line), 0);
            assert_int_equal(line, 0);
            tear_down();
        }
    }
}

static void *call_with_pauses(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < LESS_IF_SANITIZED(1000, 200); i++) {
        int result = -1;
        pause_somehow(&random);
        if (weft_runtime_run(runtime, need_nothing, &i, &result) != 0 || result != i)
            return arg;
    }
    return NULL;
}

static void test_callers(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        pthread_t threads[3];
        set_up(workers, workers == 2 ? WEFT_WAIT_PASSIVE : WEFT_WAIT_ADAPTIVE);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, call_with_pauses, (void *)(i + 10)),
                             0);
        for (size_t i = 0; i < 3; i++) {
            void *failed;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence), cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_rounds),  cmocka_unit_test(test_rounds_inside),
        cmocka_unit_test(test_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
