/* SPDX-License-Identifier: BSD-2-Clause */
/* test_base.c — clock, deadlines, names of errors, futex, faults and last words. */
#include "../core/process.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <weft/atomic.h>

#include "alloc.h"
#include "panic.h"
#include "sys.h"

static void test_now(void **state)
{
    int64_t last = weft_now();
    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 100000; i++) {
        int64_t now = weft_now();
        assert_true(now >= last);
        last = now;
    }
    sleep_ns(5 * WEFT_MSEC);
    assert_true(weft_now() >= last + 5 * WEFT_MSEC);
}

static void test_in(void **state)
{
    static const int64_t past[] = {0, -1, -WEFT_SEC, INT64_MIN, INT64_MIN + 1};
    (void)state;
    for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++)
        assert_true(weft_in(past[i]) <= weft_now());
    int64_t before = weft_now();
    int64_t deadline = weft_in(WEFT_SEC);
    assert_true(deadline >= before + WEFT_SEC && deadline <= weft_now() + WEFT_SEC);
    assert_true(weft_in(WEFT_FOREVER) == WEFT_FOREVER);
    assert_true(weft_in(WEFT_FOREVER - 1) == WEFT_FOREVER);
    assert_true(weft_in(WEFT_FOREVER - before) == WEFT_FOREVER);
    int64_t far = weft_in(WEFT_FOREVER / 2);
    assert_true(far < WEFT_FOREVER && far > WEFT_FOREVER / 2);
}

static void test_strerror(void **state)
{
    static const int codes[] = {EAGAIN,   ETIMEDOUT, ECANCELED, EPIPE,   EOWNERDEAD, EPROTO,
                                EMSGSIZE, ENOMEM,    EINVAL,    ENOTSUP, ECHILD,     EDEADLK};
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_string_equal(weft_strerror(codes[i]), weft_strerror(-codes[i]));
        assert_string_not_equal(weft_strerror(codes[i]), weft_strerror(999999));
    }
    assert_string_equal(weft_strerror(-ENOMEM), "Cannot allocate memory");
    assert_non_null(weft_strerror(0));
    assert_non_null(weft_strerror(INT_MAX));
    assert_non_null(weft_strerror(INT_MIN));
}

static void test_version(void **state)
{
    char expected[32];
    (void)state;
    (void)snprintf(expected, sizeof(expected), "%d.%d.%d", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR,
                   WEFT_VERSION_PATCH);
    assert_string_equal(weft_version(), expected);
}

/* ---- last words ----------------------------------------------------------------------------- */

static int panic_now(void *arg)
{
    weft__panic(arg, "some/file.c", 1234);
}

static int assert_wrong(void *arg)
{
    weft_assert(arg != NULL);
    weft_assert(arg == NULL);
    return 0;
}

static void test_panic(void **state)
{
    char longest[2000];
    (void)state;
    child_end end = in_child(panic_now, (void *)(uintptr_t) "the sky has fallen");
    expect_death(&end, SIGABRT, "weft: the sky has fallen (some/file.c:1234)\n");
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    end = in_child(panic_now, longest);
    expect_death(&end, SIGABRT, "weft: xxx");
    end = in_child(assert_wrong, longest);
    expect_death(&end, SIGABRT, "assertion failed: arg == NULL (");
}

/* ---- system calls --------------------------------------------------------------------------- */

static void test_futex_deadline(void **state)
{
    uint32_t word = 5;
    (void)state;
    assert_int_equal(weft__futex_wait(&word, 4, WEFT_FOREVER), 0); /* changed before */
    assert_int_equal(weft__futex_wait(&word, 5, WEFT_POLL), -ETIMEDOUT);
    int64_t deadline = weft_in(20 * WEFT_MSEC);
    int rc = 0;
    while (rc == 0 || rc == -EINTR)
        rc = weft__futex_wait(&word, 5, deadline);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(weft_now() >= deadline);
    weft__futex_wake(&word, 1);
    weft__futex_wake(NULL, 1); /* a word that is gone */
}

static void *wake_later(void *arg)
{
    sleep_ns(10 * WEFT_MSEC);
    weft__store_release((uint32_t *)arg, 6);
    weft__futex_wake(arg, 1);
    return NULL;
}

static void test_futex_wake(void **state)
{
    uint32_t word = 5;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wake_later, &word), 0);
    while (weft__load_acquire(&word) == 5) {
        int rc = weft__futex_wait(&word, 5, weft_in(LIVENESS_NS));
        assert_true(rc == 0 || rc == -EINTR);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_errno(void **state)
{
    (void)state;
    weft__errno_set(EXDEV);
    assert_int_equal(weft__errno_get(), EXDEV);
    assert_int_equal(errno, EXDEV);
    if (weft__membarrier_register() == 0) {
        assert_int_equal(weft__membarrier_register(), 0);
        weft__membarrier();
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

static void test_alloc(void **state)
{
    (void)state;
    assert_null(weft__alloc(0));
    assert_null(weft__alloc(SIZE_MAX));
    weft__free(NULL);
    for (size_t bytes = 1; bytes < 100000; bytes = bytes * 3 + 1) {
        unsigned char *memory = weft__alloc(bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % WEFT__CACHE_LINE, 0);
        memset(memory, 0xA5, bytes);
        weft__free(memory);
    }
}

static void test_fault(void **state)
{
    (void)state;
    assert_int_equal(weft__fault(), 0);
    weft__fault_arm(2);
    assert_int_equal(weft__fault(), 0);
    assert_int_equal(weft__fault(), 0);
    assert_null(weft__alloc(1)); /* the third */
    assert_int_equal(weft__fault(), 0);
    assert_int_equal(weft__fault_calls(), 4);
    weft__fault_arm(0);
    weft__fault_arm(-1);
    assert_int_equal(weft__fault(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_now),        cmocka_unit_test(test_in),
        cmocka_unit_test(test_strerror),   cmocka_unit_test(test_version),
        cmocka_unit_test(test_panic),      cmocka_unit_test(test_futex_deadline),
        cmocka_unit_test(test_futex_wake), cmocka_unit_test(test_errno),
        cmocka_unit_test(test_alloc),      cmocka_unit_test(test_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
