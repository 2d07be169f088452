/* SPDX-License-Identifier: BSD-2-Clause */
/* test_steal.c — nothing that has been spawned is out of reach of an idle worker.
 *
 * A worker keeps what it spawns to itself until somebody asks. If it then computes for long without
 * another spawn or join it cannot answer; thieves must get at its tasks all the same. None of these
 * tests joins before the work is done by others, so a task that nobody may steal is a test that
 * fails after a minute, not a slow one. */
#include "fib.h"
#include "process.h"

#include <weft/atomic.h>
#include <weft/task.h>

#include "sys.h"

static weft_runtime *runtime;

static weft_stats stats_now(void)
{
    weft_stats stats;
    weft_runtime_stats(runtime, &stats);
    return stats;
}

/* Run check(arg) on `workers` workers. */
static void on_runtime(unsigned workers, int (*check)(void *arg), void *arg)
{
    weft_config config = {.workers = workers};
    int line = -1;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    assert_int_equal(weft_runtime_run(runtime, check, arg, &line), 0);
    if (line != 0)
        fail_msg("line %d fails with %u workers", line, workers);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* ---- a spawner that computes ----------------------------------------------------------------- */

enum { TASKS = 1000, OTHERS_MOST = 7 };

typedef struct scene {
    unsigned busy;     /* workers that are inside stay_busy() */
    unsigned released; /* they may leave it */
    unsigned done;     /* short tasks finished */
    unsigned at_home;  /* of these, by the spawner's own worker */
    int home;          /* the spawner's worker */
} scene;

WEFT_VOID_TASK(stay_busy, scene *, s)
{
    weft__fetch_add_acq_rel(&s->busy, 1);
    (void)wait_for(&s->released, 1);
}

WEFT_VOID_TASK(short_task, scene *, s)
{
    compute_ns(LESS_IF_SANITIZED(100, 20) * WEFT_USEC);
    if (weft_worker_id() == s->home)
        weft__fetch_add_relaxed(&s->at_home, 1);
    weft__fetch_add_acq_rel(&s->done, 1);
}

static int check_raid(void *arg)
{
    static short_task_task tasks[TASKS];
    unsigned others = weft_num_workers(NULL) - 1;
    stay_busy_task busy[OTHERS_MOST];
    scene s = {.home = weft_worker_id()};
    (void)arg;
    for (unsigned i = 0; i < others; i++)
        stay_busy_spawn(&busy[i], &s);
    CHECK(wait_for(&s.busy, others));
    for (size_t i = 0; i < TASKS; i++)
        short_task_spawn(&tasks[i], &s);
    weft__store_release(&s.released, 1);
    compute_ns(200 * WEFT_MSEC);
    CHECK(wait_for(&s.done, TASKS));
    CHECK(s.at_home == 0 && weft_worker_id() == s.home);
    for (size_t i = TASKS; i-- > 0;)
        short_task_join(&tasks[i]);
    for (unsigned i = others; i-- > 0;)
        stay_busy_join(&busy[i]);
    CHECK(s.done == TASKS);
    return 0;
}

static int check_raid_counted(void *arg)
{
    uint64_t before = stats_now().raids;
    CHECK_CALL(check_raid(arg));
    CHECK(stats_now().raids > before);
    return 0;
}

static void test_raid(void **state)
{
    (void)state;
    if (weft__membarrier_register() != 0)
        skip(); /* such a kernel has no raids */
    on_runtime(2, check_raid_counted, NULL);
    on_runtime(4, check_raid_counted, NULL);
    on_runtime(8, check_raid_counted, NULL);
}

/* A worker that waits on its own stack for something only its newest private task can bring. */
WEFT_VOID_TASK(signal_done, unsigned *, done)
{
    weft__store_release(done, 1);
}

static int check_needs_thief(void *arg)
{
    (void)arg;
    for (int i = 0; i < LESS_IF_SANITIZED(5000, 500); i++) {
        unsigned done[3] = {0, 0, 0};
        weft_spawn(oldest, signal_done, &done[0]);
        weft_spawn(middle, signal_done, &done[1]);
        if (i % 2 == 0)
            CHECK(wait_for(&done[1], 1));
        weft_spawn(newest, signal_done, &done[2]);
        CHECK(wait_for(&done[2], 1));
        weft_join(newest);
        weft_join(middle);
        weft_join(oldest);
        CHECK(done[0] == 1 && done[1] == 1);
    }
    return 0;
}

static void test_needs_thief(void **state)
{
    (void)state;
    on_runtime(2, check_needs_thief, NULL);
    on_runtime(4, check_needs_thief, NULL);
}

/* ---- publication on demand ------------------------------------------------------------------- */

static int check_publication(void *arg)
{
    int64_t end = weft_now() + LIVENESS_NS;
    (void)arg;
    while (stats_now().published == 0 || stats_now().steals == 0) {
        CHECK(fib(15) == 610);
        CHECK(weft_now() < end);
    }
    return 0;
}

static int check_keeps_all(void *arg)
{
    (void)arg;
    CHECK(fib(20) == 6765);
    weft_stats stats = stats_now();
    CHECK(stats.steals == 0 && stats.raids == 0 && stats.parks == 0);
    return 0;
}

static void test_publication(void **state)
{
    (void)state;
    on_runtime(2, check_publication, NULL);
    on_runtime(1, check_keeps_all, NULL); /* nobody asks */
}

/* ---- after a long pause ---------------------------------------------------------------------- */

static int check_first_spawn(void *arg)
{
    unsigned done = 0;
    (void)arg;
    weft_spawn(first, signal_done, &done);
    CHECK(wait_for(&done, 1));
    weft_join(first);
    return 0;
}

static void test_first_spawn(void **state)
{
    weft_config config = {.workers = 4};
    (void)state;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < 3; i++) {
        int line = -1;
        sleep_ns(i == 0 ? WEFT_SEC : 50 * WEFT_MSEC);
        weft_stats before = stats_now();
        assert_int_equal(weft_runtime_run(runtime, check_first_spawn, NULL, &line), 0);
        assert_int_equal(line, 0);
        assert_true(before.sleeps >= 4);
        assert_true(stats_now().wakes > before.wakes);
    }
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raid),
        cmocka_unit_test(test_needs_thief),
        cmocka_unit_test(test_publication),
        cmocka_unit_test(test_first_spawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
