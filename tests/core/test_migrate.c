/* SPDX-License-Identifier: BSD-2-Clause */
/* test_migrate.c — with WEFT_CHECK=migrate every wait ends in another thread; what a fiber may keep
 * across it stays, and what it may not is noticed. */
#include "process.h"

#include <weft/fiber.h>
#include <weft/sync.h>

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>

#define WAITS 200

/* Out of line: the address of errno must not be kept across a wait. */
__attribute__((noinline)) static int get_errno(void)
{
    return errno;
}

__attribute__((noinline)) static void set_errno(int value)
{
    errno = value;
}

static int setup(void **state)
{
    (void)state;
    return setenv("WEFT_CHECK", "migrate", 1);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static unsigned moves, stays;
static weft_mutex lock;

/* Nonzero: the wait that began in thread `before` has moved the fiber. */
static void count_move(pid_t before)
{
    weft__fetch_add_relaxed(gettid() != before ? &moves : &stays, 1);
}

WEFT_FIBER(wanderer, unsigned, i)
{
    for (unsigned k = 0; k < WAITS; k++) {
        pid_t before = gettid();
        set_errno((int)(i + k));
        int rc = weft_sleep(weft_in(10 * WEFT_USEC));
        if (get_errno() != (int)(i + k) || rc != 0)
            abort();
        count_move(before);
        weft_with_lock (&lock)
            weft_yield();
    }
}

static int wander(void *arg)
{
    weft__store_relaxed(&moves, 0);
    weft__store_relaxed(&stays, 0);
    weft_scope(group)
    {
        for (unsigned i = 0; i < *(unsigned *)arg; i++)
            CHECK(weft_go(&group, wanderer, i) == 0);
    }
    return 0;
}

static void test_moves(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (unsigned fibers = 1; fibers <= 16; fibers *= 4) {
            weft_config config = {.workers = workers};
            int line = weft_run(wander, &fibers, &config);
            if (line != 0)
                fail_msg("line %d fails with %u workers", line, workers);
            if (workers == 1)
                assert_int_equal(weft__load_relaxed(&moves), 0);
            else /* some give in, when the other workers get no processor for long */
                assert_true(weft__load_relaxed(&moves) > fibers * WAITS / 2);
        }
    }
}

/* A join that waits moves as well: the waiter would otherwise go on where its task has ended. */
WEFT_TASK(unsigned, pause_then_add, unsigned, n)
{
    if (n == 0)
        return 0;
    weft_spawn(below, pause_then_add, n - 1);
    (void)weft_sleep(weft_in(WEFT_USEC));
    return 1 + weft_join(below);
}

static int add_up(void *arg)
{
    CHECK(pause_then_add(*(unsigned *)arg) == *(unsigned *)arg);
    return 0;
}

static void test_joins(void **state)
{
    unsigned depth = 100;
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        on_count(workers, add_up, &depth);
    }
}

/* ---- what is noticed ------------------------------------------------------------------------- */

WEFT_FIBER(rounds_up, int, is_restored)
{
    int before = fegetround();
    (void)fesetround(FE_UPWARD);
    if (is_restored)
        (void)fesetround(before);
    (void)weft_sleep(weft_in(WEFT_USEC));
}

WEFT_FIBER(speaks_otherwise, int, is_restored)
{
    locale_t other = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = uselocale(other);
    if (is_restored)
        (void)uselocale(before);
    (void)weft_sleep(weft_in(WEFT_USEC));
    freelocale(other);
}

static int misbehave(void *arg)
{
    int which = *(int *)arg;
    weft_scope(group)
    {
        if (which / 2 == 0)
            CHECK(weft_go(&group, rounds_up, which % 2) == 0);
        else
            CHECK(weft_go(&group, speaks_otherwise, which % 2) == 0);
    }
    return 0;
}

static int run_misbehave(void *arg)
{
    weft_config config = {.workers = 2};
    (void)signal(SIGABRT, SIG_DFL);
    return weft_run(misbehave, arg, &config);
}

static void test_modes(void **state)
{
    int wrong[] = {0, 2};
    int right[] = {1, 3};
    (void)state;
    child_end end = in_child(run_misbehave, &wrong[0]);
    expect_death(&end, SIGABRT, "task 'rounds_up' waits with a changed floating-point mode");
    end = in_child(run_misbehave, &wrong[1]);
    expect_death(&end, SIGABRT, "task 'speaks_otherwise' waits with a locale set by uselocale()");
    for (int i = 0; i < 2; i++) {
        end = in_child(run_misbehave, &right[i]);
        expect_success(&end);
    }
}

/* Without the check nobody looks. */
static int run_unchecked(void *arg)
{
    (void)unsetenv("WEFT_CHECK");
    return run_misbehave(arg);
}

static void test_unchecked(void **state)
{
    int which = 2;
    (void)state;
    child_end end = in_child(run_unchecked, &which);
    expect_success(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_unchecked),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
