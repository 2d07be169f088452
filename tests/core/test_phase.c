/* SPDX-License-Identifier: BSD-2-Clause */
/* test_phase.c — in a phase idle workers stay awake, and after it they sleep.
 *
 * ctest: TIMEOUT 60 */
#include "process.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/atomic.h>

#include "sched/worker.h"

#define SETTLED (100 * WEFT_MSEC) /* many times as long as any worker is patient */

static weft_runtime *start(unsigned workers, weft_wait_policy wait)
{
    weft_runtime *runtime;
    const weft_config config = {.workers = workers, .wait = wait};
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    return runtime;
}

static unsigned asleep(const weft_runtime *runtime)
{
    return weft__load_acquire(&runtime->sleepers);
}

static void wait_until_asleep(const weft_runtime *runtime, unsigned count)
{
    while (asleep(runtime) != count)
        sleep_ns(WEFT_MSEC);
}

static uint64_t sleeps_of(const weft_runtime *runtime)
{
    weft_stats stats;
    weft_runtime_stats(runtime, &stats);
    return stats.sleeps;
}

/* Whether one worker sleeps, in a while that is long for it. */
static int sleeps_meanwhile(const weft_runtime *runtime)
{
    uint64_t before = sleeps_of(runtime);
    for (int64_t until = weft_in(SETTLED); weft_now() < until;) {
        if (asleep(runtime) != 0)
            return 1;
        sleep_ns(WEFT_MSEC);
    }
    return sleeps_of(runtime) != before;
}

/* Nobody sleeps in it, whatever the policy, and everybody after it. */
static void test_phase(void **state)
{
    (void)state;
    for (weft_wait_policy wait = WEFT_WAIT_PASSIVE; wait <= WEFT_WAIT_ADAPTIVE; wait++) {
        weft_runtime *runtime = start(1, wait);
        wait_until_asleep(runtime, 1);
        assert_int_equal(weft_phase_begin(runtime), 0);
        wait_until_asleep(runtime, 0);
        assert_false(sleeps_meanwhile(runtime));
        weft_phase_end(runtime);
        wait_until_asleep(runtime, 1);
        assert_int_equal(weft_runtime_destroy(runtime), 0);
    }
}

/* The last end counts. */
static void test_nested(void **state)
{
    (void)state;
    weft_runtime *runtime = start(1, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(weft_phase_begin(runtime), 0);
    assert_int_equal(weft_phase_begin(runtime), 0);
    weft_phase_end(runtime);
    wait_until_asleep(runtime, 0);
    assert_false(sleeps_meanwhile(runtime));
    weft_phase_end(runtime);
    wait_until_asleep(runtime, 1);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* Where plain threads submit there is a processor for them: all but one stay awake at least. */
static void test_onlooker(void **state)
{
    (void)state;
    unsigned workers = weft_usable_cpus() + 1;
    weft_runtime *runtime = start(workers, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(weft_phase_begin(runtime), 0);
    for (int64_t until = weft_in(SETTLED); weft_now() < until;) {
        weft__onlooker_comes();
        sleep_ns(WEFT_MSEC);
    }
    /* one processor is left, which takes two of them; or one, if it is the last that searches */
    unsigned least = workers > 2 ? 2 : 1;
    while (asleep(runtime) < least) {
        weft__onlooker_comes();
        sleep_ns(WEFT_MSEC);
    }
    assert_true(asleep(runtime) < workers);
    weft_phase_end(runtime);
    wait_until_asleep(runtime, workers);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* A runtime can stop in the middle of one. */
static void test_stop(void **state)
{
    (void)state;
    weft_runtime *runtime = start(2, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(weft_phase_begin(runtime), 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* ---- which runtime -------------------------------------------------------------------------- */

static int is_in_phase_here(void *arg)
{
    CHECK(weft_phase_begin(NULL) == 0);
    CHECK(weft__load_relaxed(&((weft_runtime *)arg)->phases) == 1);
    weft_phase_end(NULL);
    CHECK(weft__load_relaxed(&((weft_runtime *)arg)->phases) == 0);
    return 0;
}

static void test_own(void **state)
{
    (void)state;
    int line = -1;
    weft_runtime *runtime = start(2, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(weft_runtime_run(runtime, is_in_phase_here, runtime, &line), 0);
    assert_int_equal(line, 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static void test_shared(void **state)
{
    (void)state;
    weft_runtime *shared = NULL;
    assert_int_equal(weft_phase_begin(NULL), 0);
    assert_int_equal(weft__runtime_shared(&shared), 0);
    assert_int_equal(weft__load_relaxed(&shared->phases), 1);
    weft_phase_end(NULL);
    assert_int_equal(weft__load_relaxed(&shared->phases), 0);
}

/* A phase of the shared workers is the parent's alone; ending it in a child starts none there. */
static void test_child_of_shared(void **state)
{
    (void)state;
    assert_int_equal(weft_phase_begin(NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        weft_phase_end(NULL);
        _exit(weft__runtime_shared_now() == NULL ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    weft_phase_end(NULL);
}

/* A child has none of the workers. */
static void test_child(void **state)
{
    (void)state;
    weft_runtime *runtime = start(1, WEFT_WAIT_ADAPTIVE);
    pid_t child = fork();
    if (child == 0) {
        int rc = weft_phase_begin(runtime);
        weft_phase_end(runtime);
        _exit(rc == -ECHILD ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phase),    cmocka_unit_test(test_nested),
        cmocka_unit_test(test_onlooker), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_own),      cmocka_unit_test(test_shared),
        cmocka_unit_test(test_child),    cmocka_unit_test(test_child_of_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
