/* SPDX-License-Identifier: BSD-2-Clause */
/* test_scope.c — fibers in scopes: nobody outlives the block, everybody can be told to end.
 * ctest: TIMEOUT 60 */
#include <errno.h>
#include <pthread.h>

#include "process.h"

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/local.h>

#include "alloc.h"

/* What the fibers of a test have to say: how many came here, and with what code. */
typedef struct tally {
    int count;
    int codes[3]; /* 0, -ECANCELED, -ETIMEDOUT */
    int begun;
} tally;

static void note(tally *self, int rc)
{
    weft__fetch_add_relaxed(&self->codes[rc == 0 ? 0 : rc == -ECANCELED ? 1 : 2], 1);
    weft__fetch_add_relaxed(&self->count, 1);
}

WEFT_FIBER(count_one, tally *, self)
{
    note(self, 0);
}
WEFT_FIBER(sleep_for, tally *, self, int64_t, distance)
{
    note(self, weft_sleep(weft_in(distance)));
}

/* What a scope does is the same wherever its owner runs, as long as the owner itself does not wait
 * for anything else. */
static void everywhere(int (*check)(void *arg), void *arg)
{
    in_thread(check, arg);
    on_workers(check, arg);
}

/* ---- starting and ending -------------------------------------------------------------------- */

static int check_all_end(void *arg)
{
    (void)arg;
    tally seen = {0};
    weft_scope(group)
    {
        for (int i = 0; i < 1000; i++)
            CHECK(weft_go(&group, count_one, &seen) == 0);
        for (int i = 0; i < 50; i++)
            CHECK(weft_go(&group, sleep_for, .self = &seen, .distance = i * 100 * WEFT_USEC) == 0);
    }
    CHECK(seen.count == 1050);
    CHECK(seen.codes[0] == 1050);
    return 0;
}

static void test_a_scope_waits_for_all_its_fibers(void **state)
{
    (void)state;
    everywhere(check_all_end, NULL);
}

WEFT_FIBER(grow, weft_scope *, scope, tally *, self, int, depth)
{
    note(self, 0);
    for (int i = 0; depth > 0 && i < 3; i++)
        if (weft_go(scope, grow, scope, self, depth - 1) != 0)
            note(self, -ECANCELED);
}

static int check_from_within(void *arg)
{
    (void)arg;
    tally seen = {0};
    weft_scope(group)
    {
        CHECK(weft_go(&group, grow, &group, &seen, 6) == 0);
    }
    CHECK(seen.count == 1093); /* 1 + 3 + 9 … + 729 */
    CHECK(seen.codes[0] == 1093);
    return 0;
}

static void test_a_fiber_starts_others_in_its_scope(void **state)
{
    (void)state;
    everywhere(check_from_within, NULL);
}

/* ---- fibers that the scope's owner runs itself ---------------------------------------------- */

static const weft_local mark = WEFT_LOCAL_INIT(NULL);

typedef struct guest {
    int mark; /* its address is what it leaves behind */
    int saw_nothing;
    int has_kept;
    weft_scope *scope;
} guest;

WEFT_FIBER(leave_mark, guest *, self)
{
    self->saw_nothing = weft_local_get(&mark) == NULL;
    if (weft_local_set(&mark, &self->mark) != 0)
        return;
    (void)weft_sleep(weft_in(WEFT_USEC));
    self->has_kept = weft_local_get(&mark) == &self->mark;
    self->scope = weft_current_scope();
}

static int check_own_locals(void *arg)
{
    int own = 0;
    guest guests[5] = {0};
    weft_scope *inside = NULL;
    (void)arg;
    CHECK(weft_local_set(&mark, &own) == 0);
    weft_scope(group)
    {
        inside = &group;
        for (int i = 0; i < 5; i++)
            CHECK(weft_go(&group, leave_mark, &guests[i]) == 0);
    }
    CHECK(weft_local_get(&mark) == &own);
    CHECK(weft_current_scope() == NULL);
    for (int i = 0; i < 5; i++) {
        CHECK(guests[i].saw_nothing);
        CHECK(guests[i].has_kept);
        CHECK(guests[i].scope == inside);
    }
    return 0;
}

static void test_a_fiber_run_by_the_owner_has_values_of_its_own(void **state)
{
    (void)state;
    everywhere(check_own_locals, NULL);
}

/* Each scope ends inside the one fiber of the scope around it: one stack would not do. Fibers are
 * what ThreadSanitizer takes longest for. */
#define NESTED LESS_IF_SANITIZED(3000, 800)

WEFT_FIBER(nest, int, depth, int *, deepest)
{
    volatile char frame[512];
    frame[0] = 1;
    weft_scope(inner)
    {
        if (depth == 0 || weft_go(&inner, nest, depth - 1, deepest) != 0)
            *deepest = depth + frame[0];
    }
}

static int check_nesting(void *arg)
{
    (void)arg;
    int deepest = 0;
    weft_scope(group)
    {
        CHECK(weft_go(&group, nest, NESTED, &deepest) == 0);
    }
    CHECK(deepest == 1);
    return 0;
}

static void test_scopes_nest_deeper_than_a_stack(void **state)
{
    (void)state;
    on_workers(check_nesting, NULL);
}

typedef struct outside {
    weft_scope *scope;
    tally seen;
    int rc;
} outside;

static void *start_from_thread(void *arg)
{
    outside *self = arg;
    for (int i = 0; i < 200; i++)
        self->rc |= weft_go(self->scope, count_one, &self->seen);
    return NULL;
}

static int check_from_thread(void *arg)
{
    (void)arg;
    outside self = {0};
    weft_scope(group)
    {
        pthread_t thread;
        self.scope = &group;
        CHECK(pthread_create(&thread, NULL, start_from_thread, &self) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(self.rc == 0);
    CHECK(self.seen.count == 200);
    return 0;
}

static void test_a_plain_thread_starts_fibers(void **state)
{
    (void)state;
    everywhere(check_from_thread, NULL);
}

static int leave_early(tally *seen)
{
    weft_scope(group)
    {
        for (int i = 0; i < 20; i++)
            CHECK(weft_go(&group, sleep_for, seen, 100 * WEFT_SEC) == 0);
        weft_yield();
        return 0;
    }
    return __LINE__;
}

static int check_leave_early(void *arg)
{
    (void)arg;
    tally seen = {0};
    CHECK_CALL(leave_early(&seen));
    CHECK(seen.count == 20);
    CHECK(seen.codes[1] == 20);
    weft_scope(group)
    {
        CHECK(weft_go(&group, sleep_for, &seen, 100 * WEFT_SEC) == 0);
        break;
    }
    CHECK(seen.codes[1] == 21);
    CHECK(weft_current_scope() == NULL);
    return 0;
}

static void test_leaving_early_cancels_and_waits(void **state)
{
    (void)state;
    everywhere(check_leave_early, NULL);
}

/* ---- cancelling ----------------------------------------------------------------------------- */

WEFT_FIBER(cancel_later, weft_scope *, scope, const tally *, seen)
{
    do {
        (void)weft_sleep(weft_in(WEFT_MSEC));
    } while (weft__load_relaxed(&seen->begun) == 0);
    weft_cancel_scope(scope);
}

/* Sleeps in a scope of its own, so that the cancellation comes from further out. */
WEFT_FIBER(sleep_deeper, tally *, self, int, depth)
{
    weft__store_relaxed(&self->begun, 1);
    weft_scope(inner)
    {
        if (depth > 0)
            (void)weft_go(&inner, sleep_deeper, self, depth - 1);
        note(self, weft_sleep(weft_in(100 * WEFT_SEC)));
    }
}

static int check_nested(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        tally seen = {0};
        weft_scope(group)
        {
            for (int j = 0; j < 5; j++)
                CHECK(weft_go(&group, sleep_deeper, &seen, 3) == 0);
            CHECK(weft_go(&group, cancel_later, &group, &seen) == 0);
            note(&seen, weft_sleep(weft_in(100 * WEFT_SEC))); /* the owner, too */
            CHECK(weft_go(&group, count_one, &seen) == -ECANCELED);
            CHECK(weft_cancel_requested() == -ECANCELED);
        }
        CHECK(seen.codes[0] == 0);
        CHECK(seen.codes[1] == seen.count);
        CHECK(seen.count > 1); /* those not started when it came have not started their own */
    }
    return 0;
}

static void test_cancelling_reaches_all_scopes_within(void **state)
{
    (void)state;
    on_workers(check_nested, NULL);
}

static int check_inner_only(void *arg)
{
    (void)arg;
    tally seen = {0};
    weft_scope(outer)
    {
        CHECK(weft_go(&outer, sleep_for, &seen, 5 * WEFT_MSEC) == 0);
        weft_scope(inner)
        {
            CHECK(weft_go(&inner, sleep_for, &seen, 100 * WEFT_SEC) == 0);
            weft_cancel_scope(&inner);
            CHECK(weft_sleep(weft_in(100 * WEFT_SEC)) == -ECANCELED);
        }
        CHECK(weft_cancel_requested() == 0);
        CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
    }
    CHECK(seen.codes[0] == 1);
    CHECK(seen.codes[1] == 1);
    return 0;
}

static void test_cancelling_does_not_reach_out(void **state)
{
    (void)state;
    on_workers(check_inner_only, NULL);
}

WEFT_FIBER(shielded, tally *, self, weft_scope *, outer)
{
    weft_shield
    {
        weft_cancel_scope(outer);
        note(self, weft_sleep(weft_in(WEFT_MSEC)));
        weft_scope(inner)
        {
            (void)weft_go(&inner, sleep_for, self, 2 * WEFT_MSEC); /* as shielded as its scope */
            note(self, weft_cancel_requested());
            note(self, weft_sleep(weft_in(WEFT_MSEC)));
        }
        weft_scope(cancelled)
        {
            weft_cancel_scope(&cancelled);
            note(self, weft_sleep(weft_in(WEFT_MSEC)));
        }
    }
    note(self, weft_sleep(weft_in(WEFT_MSEC)));
}

static int check_shield(void *arg)
{
    (void)arg;
    tally seen = {0};
    weft_scope(group)
    {
        CHECK(weft_go(&group, shielded, &seen, &group) == 0);
    }
    CHECK(seen.codes[0] == 4);
    CHECK(seen.codes[1] == 2);
    return 0;
}

static void test_a_shield_keeps_cancellation_out(void **state)
{
    (void)state;
    everywhere(check_shield, NULL);
}

static int check_deadline(void *arg)
{
    (void)arg;
    tally seen = {0};
    int64_t begin = weft_now();
    weft_deadline(weft_in(50 * WEFT_MSEC))
    {
        weft_scope(inner)
        {
            CHECK(weft_go(&inner, sleep_for, &seen, 100 * WEFT_SEC) == 0);
            CHECK(weft_sleep(weft_in(100 * WEFT_SEC)) == -ETIMEDOUT);
            CHECK(weft_cancel_requested() == -ETIMEDOUT);
            weft_shield
            {
                CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
            }
        }
    }
    CHECK(weft_now() - begin >= 50 * WEFT_MSEC);
    CHECK(seen.codes[2] == 1);
    CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
    return 0;
}

static void test_a_deadline_holds_for_all_within(void **state)
{
    (void)state;
    on_workers(check_deadline, NULL);
}

/* ---- failing -------------------------------------------------------------------------------- */

WEFT_FIBER(fail_after, int64_t, distance, int, code)
{
    if (weft_sleep(weft_in(distance)) == 0)
        weft_fail_scope(weft_current_scope(), code);
}

static int check_failure(void *arg)
{
    (void)arg;
    tally seen = {0};
    int code = 1;
    weft_scope(group, &code)
    {
        CHECK(weft_go(&group, sleep_for, &seen, 100 * WEFT_SEC) == 0);
        CHECK(weft_go(&group, fail_after, 100 * WEFT_SEC, -ERANGE) == 0);
        CHECK(weft_go(&group, fail_after, 20 * WEFT_MSEC, -EDOM) == 0);
    }
    CHECK(code == -EDOM);
    CHECK(seen.codes[1] == 1);
    weft_scope(group, &code) weft_fail_scope(&group, EDOM); /* of the wrong sign: an error still */
    CHECK(code == -EDOM);
    weft_scope(group, &code)
    {
        CHECK(weft_go(&group, count_one, &seen) == 0);
    }
    CHECK(code == 0);
    return 0;
}

static void test_the_first_failure_cancels_the_others(void **state)
{
    (void)state;
    everywhere(check_failure, NULL);
}

/* ---- races ---------------------------------------------------------------------------------- */

static void *cancel_from_thread(void *arg)
{
    weft_cancel_scope(arg);
    return NULL;
}

/* Fibers that begin and end waits, while another thread cancels. */
WEFT_FIBER(restless, tally *, self)
{
    int rc = 0;
    for (int i = 0; rc == 0; i++)
        weft_scope(inner) rc = weft_sleep(weft_in(i % 20 * WEFT_USEC));
    note(self, rc);
}

static int check_race(void *arg)
{
    (void)arg;
    for (int i = 0; i < 60; i++) {
        tally seen = {0};
        weft_scope(group)
        {
            pthread_t thread;
            for (int j = 0; j < 8; j++)
                CHECK(weft_go(&group, restless, &seen) == 0);
            (void)weft_sleep(weft_in(i * 10 * WEFT_USEC));
            CHECK(pthread_create(&thread, NULL, cancel_from_thread, &group) == 0);
            CHECK(weft_sleep(weft_in(100 * WEFT_SEC)) == -ECANCELED);
            CHECK(pthread_join(thread, NULL) == 0);
        }
        CHECK(seen.codes[1] == 8);
        CHECK(seen.count == 8);
    }
    return 0;
}

static void test_cancelling_races_with_waits(void **state)
{
    (void)state;
    on_workers(check_race, NULL);
}

/* ---- yield ---------------------------------------------------------------------------------- */

WEFT_FIBER(take_turns, int *, turn, int, me, int *, wrong)
{
    for (int i = 0; i < 100; i++) {
        *wrong += *turn != me;
        *turn = (me + 2) % 3;
        weft_yield();
    }
}

static int check_turns(void *arg)
{
    (void)arg;
    int turn = 0;
    int wrong = 0;
    weft_scope(group)
    {
        for (int i = 2; i >= 0; i--) /* the newest begins, then the oldest */
            CHECK(weft_go(&group, take_turns, &turn, i, &wrong) == 0);
    }
    CHECK(wrong == 0);
    return 0;
}

static void test_yield_goes_round(void **state)
{
    (void)state;
    on_count(1, check_turns, NULL);
}

/* Two that wake each other must not keep a third from running, on one worker. */
WEFT_FIBER(spin_until, int *, flag)
{
    while (weft__load_relaxed(flag) == 0)
        weft_yield();
}

WEFT_FIBER(set_after_sleep, int *, flag)
{
    (void)weft_sleep(weft_in(WEFT_MSEC));
    weft__store_relaxed(flag, 1);
}

static int check_starvation(void *arg)
{
    (void)arg;
    int flag = 0;
    weft_scope(group)
    {
        CHECK(weft_go(&group, spin_until, &flag) == 0);
        CHECK(weft_go(&group, spin_until, &flag) == 0);
        CHECK(weft_go(&group, set_after_sleep, &flag) == 0);
    }
    return 0;
}

static void test_fibers_that_yield_starve_nobody(void **state)
{
    (void)state;
    on_workers(check_starvation, NULL);
}

/* ---- plain threads -------------------------------------------------------------------------- */

static void test_outside_all_scopes(void **state)
{
    (void)state;
    assert_null(weft_current_scope());
    assert_int_equal(weft_cancel_requested(), 0);
    assert_int_equal(weft_sleep(weft_in(WEFT_MSEC)), 0);
}

/* Its scopes nest: who cancels the outer one reaches what runs in the inner ones, whoever asks, and
 * the thread's own calls. */
static int check_thread_cancels(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        tally seen = {0};
        weft_scope(outer)
        {
            weft_scope(inner)
            {
                CHECK(weft_current_scope() == &inner);
                CHECK(weft_cancel_requested() == 0);
                for (int j = 0; j < 5; j++)
                    CHECK(weft_go(&inner, sleep_deeper, &seen, 3) == 0);
                CHECK(weft_go(&outer, cancel_later, &outer, &seen) == 0);
            }
            CHECK(weft_current_scope() == &outer);
            CHECK(weft_cancel_requested() == -ECANCELED);
            CHECK(weft_go(&outer, count_one, &seen) == -ECANCELED);
            CHECK(weft_sleep(weft_in(LIVENESS_NS)) == -ECANCELED);
            weft_shield CHECK(weft_sleep(weft_in(WEFT_USEC)) == 0);
        }
        CHECK(seen.codes[1] == seen.count && seen.count >= 5);
        CHECK(weft_current_scope() == NULL);
    }
    return 0;
}

static int check_thread_deadline(void *arg)
{
    (void)arg;
    tally seen = {0};
    int64_t end = weft_in(20 * WEFT_MSEC);
    weft_deadline(end)
    {
        weft_scope(inner) CHECK(weft_go(&inner, sleep_for, &seen, 100 * WEFT_SEC) == 0);
        CHECK(weft_now() >= end);
        CHECK(weft_cancel_requested() == -ETIMEDOUT);
        weft_shield CHECK(weft_cancel_requested() == 0);
    }
    CHECK(seen.codes[2] == 1);
    return 0;
}

static void test_scopes_of_a_plain_thread_nest(void **state)
{
    (void)state;
    in_thread(check_thread_cancels, NULL);
    in_thread(check_thread_deadline, NULL);
}

static void *own_scopes(void *arg)
{
    int *line = arg;
    for (int i = 0; i < 5 && *line == 0; i++)
        *line = i % 2 == 0 ? check_from_within(NULL) : check_failure(NULL);
    return NULL;
}

static void test_threads_have_scopes_of_their_own(void **state)
{
    enum { THREADS = 6 };
    (void)state;
    pthread_t threads[THREADS];
    int lines[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, own_scopes, &lines[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(lines[i], 0);
    }
}

/* Several threads want the first workers at the same time; a forked child wants its own. */
static int start_in_child(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        pthread_t threads[3];
        int lines[3] = {0};
        for (int j = 0; j < 3; j++)
            CHECK(pthread_create(&threads[j], NULL, own_scopes, &lines[j]) == 0);
        for (int j = 0; j < 3; j++) {
            CHECK(pthread_join(threads[j], NULL) == 0);
            CHECK(lines[j] == 0);
        }
    }
    return 0;
}

/* Whatever is refused while the first fiber is started, the next one finds workers. */
static int start_with_faults(void *arg)
{
    tally seen = {0};
    int refusals = 0;
    int rc;
    (void)arg;
    weft_scope(group)
    {
        do {
            weft__fault_arm(refusals);
            rc = weft_go(&group, count_one, &seen);
            weft__fault_arm(-1);
            CHECK(rc == 0 || rc == -ENOMEM || rc == -EAGAIN);
            refusals += rc != 0;
        } while (rc != 0);
    }
    CHECK(seen.count == 1);
    CHECK(refusals >= 5);
    return 0;
}

static void check_in_child(int (*body)(void *arg))
{
    child_end end = in_child(body, NULL);
    if (end.status != 0)
        fail_msg("status %d: %s", end.status, end.errors);
}

static void test_the_first_workers(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* they would rather not be forked */
    check_in_child(start_in_child);
    check_in_child(start_with_faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scope_waits_for_all_its_fibers),
        cmocka_unit_test(test_a_fiber_starts_others_in_its_scope),
        cmocka_unit_test(test_a_fiber_run_by_the_owner_has_values_of_its_own),
        cmocka_unit_test(test_scopes_nest_deeper_than_a_stack),
        cmocka_unit_test(test_a_plain_thread_starts_fibers),
        cmocka_unit_test(test_leaving_early_cancels_and_waits),
        cmocka_unit_test(test_cancelling_reaches_all_scopes_within),
        cmocka_unit_test(test_cancelling_does_not_reach_out),
        cmocka_unit_test(test_a_shield_keeps_cancellation_out),
        cmocka_unit_test(test_a_deadline_holds_for_all_within),
        cmocka_unit_test(test_the_first_failure_cancels_the_others),
        cmocka_unit_test(test_cancelling_races_with_waits),
        cmocka_unit_test(test_yield_goes_round),
        cmocka_unit_test(test_fibers_that_yield_starve_nobody),
        cmocka_unit_test(test_outside_all_scopes),
        cmocka_unit_test(test_scopes_of_a_plain_thread_nest),
        cmocka_unit_test(test_threads_have_scopes_of_their_own),
        cmocka_unit_test(test_the_first_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
