/* SPDX-License-Identifier: BSD-2-Clause */
/* test_once.c — it is done once, and nobody goes on before it has been done. */
#include "crew.h"

typedef struct job {
    weft_once once;
    unsigned started;
    unsigned running;
    unsigned fail_first; /* so many attempts fail */
    int value;           /* plain: the last attempt's */
    unsigned go;
} job;

static int work(void *arg)
{
    job *j = arg;
    if (weft__fetch_add_acq_rel(&j->running, 1) != 0)
        return 1000;
    unsigned attempt = weft__fetch_add_acq_rel(&j->started, 1);
    while (weft__load_acquire(&j->go) == 0)
        sleep_ns(20 * WEFT_USEC);
    j->value++;
    weft__fetch_add_acq_rel(&j->running, (unsigned)-1);
    return attempt < j->fail_first ? -EINVAL : 0;
}

static int check_once(void *arg)
{
    job j = {.fail_first = 2, .go = 1};
    (void)arg;
    CHECK(weft_once_call(&j.once, work, &j) == -EINVAL);
    CHECK(weft_once_call(&j.once, work, &j) == -EINVAL);
    CHECK(weft_once_call(&j.once, work, &j) == 0);
    CHECK(weft_once_call(&j.once, work, &j) == 0);
    CHECK(j.started == 3);
    return 0;
}

static void test_once(void **state)
{
    (void)state;
    on_every_count(check_once, NULL);
}

/* ---- many callers ---------------------------------------------------------------------------- */

enum { CALLERS = 8 };

static int call(void *arg, unsigned index)
{
    job *j = arg;
    (void)index;
    int rc = weft_once_call(&j->once, work, j);
    CHECK(rc == 0 || rc == -EINVAL);
    if (rc == 0)
        CHECK(j->value == (int)j->fail_first + 1);
    return 0;
}

/* All come while the first is at it; each failure makes the next try, and only him. */
static void check_callers(unsigned fibers, unsigned fail_first)
{
    job j = {.fail_first = fail_first};
    side_crew side = {.all = {call, &j, fibers, CALLERS - fibers, 2}};
    start_side(&side);
    assert_true(wait_for_waiters(&j.once.queue_, CALLERS - 1));
    weft__store_release(&j.go, 1);
    end_side(&side);
    assert_int_equal(j.started, fail_first + 1);
}

static void test_callers(void **state)
{
    (void)state;
    for (unsigned fail_first = 0; fail_first < 3; fail_first++)
        for (unsigned fibers = 0; fibers <= CALLERS; fibers += CALLERS / 2)
            check_callers(fibers, fail_first);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { JOBS = 2000 };

static int call_all(void *arg, unsigned index)
{
    job *jobs = arg;
    for (size_t i = 0; i < LESS_IF_SANITIZED(JOBS, 200); i++)
        CHECK_CALL(call(&jobs[i], index));
    return 0;
}

static void test_stress(void **state)
{
    static job jobs[JOBS];
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 2; workers++) {
            for (size_t i = 0; i < JOBS; i++)
                jobs[i] = (job){.fail_first = (unsigned)i % 3, .go = 1};
            crew all = {call_all, jobs, 3, 3, workers};
            assert_int_equal(run_crew(&all), 0);
        }
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_stress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
