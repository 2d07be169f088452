/* SPDX-License-Identifier: BSD-2-Clause */
/* test_alive.c — who is dead is proved, and nobody else is taken for it. */
#include "shared.h"

#include "alive.h"

#include <poll.h>

/* What a child knows of itself; it lives until it is killed. */
typedef struct told {
    weft__identity identity;
    uint64_t is_told;
} told;

static told *page;

static int tell_and_wait(void *arg)
{
    page->identity = weft__identity_self();
    weft__store_release(&page->is_told, 1);
    (void)arg;
    (void)pause();
    return __LINE__;
}

static pid_t start_and_hear(void)
{
    weft__store_relaxed(&page->is_told, 0);
    pid_t child = start_child(tell_and_wait, NULL);
    assert_true(wait_until_at_least(&page->is_told, 1));
    return child;
}

static int is_dead(weft__identity other)
{
    weft__identity self = weft__identity_self();
    return weft__identity_is_dead(&other, &self);
}

static void test_the_living(void **state)
{
    (void)state;
    assert_false(is_dead(weft__identity_self()));
    pid_t child = start_and_hear();
    assert_int_equal(page->identity.pid, child);
    assert_false(is_dead(page->identity));
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_false(is_dead(page->identity));
    assert_int_equal(kill_child(child), -SIGKILL);
}

static void test_the_dead(void **state)
{
    siginfo_t info;
    (void)state;
    pid_t child = start_and_hear();
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_true(is_dead(page->identity)); /* nobody has waited for it yet */
    assert_int_equal(end_child(child), -SIGKILL);
    assert_true(is_dead(page->identity));
}

/* A number that somebody else has got since is not the process that had it. */
static void test_numbers_are_used_again(void **state)
{
    weft__identity before = weft__identity_self();
    (void)state;
    before.started--;
    assert_true(is_dead(before));
    before = weft__identity_self();
    before.boot++;
    assert_true(is_dead(before));
}

/* Whoever cannot be asked about is alive. */
static void test_strangers(void **state)
{
    (void)state;
    pid_t child = start_and_hear();
    assert_int_equal(kill_child(child), -SIGKILL);
    page->identity.pid_ns++;
    assert_false(is_dead(page->identity));
    page->identity.pid_ns = 0;
    assert_false(is_dead(page->identity));
}

/* The descriptor tells of the end of just that process. */
static void test_open(void **state)
{
    weft__identity self = weft__identity_self();
    (void)state;
    pid_t child = start_and_hear();
    struct pollfd end = {.fd = weft__identity_open(&page->identity, &self), .events = POLLIN};
    assert_true(end.fd >= 0);
    assert_int_equal(poll(&end, 1, 0), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(poll(&end, 1, (int)(LIVENESS_NS / WEFT_MSEC)), 1);
    assert_int_equal(end_child(child), -SIGKILL);
    assert_int_equal(weft__identity_open(&page->identity, &self), -ESRCH);
    page->identity.pid_ns++;
    assert_int_equal(weft__identity_open(&page->identity, &self), -EXDEV);
    (void)close(end.fd);
}

static int setup(void **state)
{
    (void)state;
    page = shared_page(sizeof *page);
    return page != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_living),
        cmocka_unit_test(test_the_dead),
        cmocka_unit_test(test_numbers_are_used_again),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
