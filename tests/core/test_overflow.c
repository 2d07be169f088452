/* SPDX-License-Identifier: BSD-2-Clause */
/* test_overflow.c — a fiber that runs off its stack is named before the process dies.
 *
 * Each case is a child of its own: the handler is installed once in the life of a process, and the
 * process ends. */
#include "process.h"

#include <weft/atomic.h>
#include <weft/task.h>

/* Touches every page on its way down; the sum keeps the frames alive. */
WEFT_TASK(long, descend, long, bytes)
{
    volatile char page[1024];
    __asm__ volatile("" : : "r"(page) : "memory"); /* else a compiler may keep two bytes of it */
    page[0] = (char)bytes;
    page[sizeof(page) - 1] = 1;
    if (bytes <= (long)sizeof(page))
        return page[0];
    long below = descend(bytes - (long)sizeof(page));
    __asm__ volatile("" : "+r"(below)); /* else a compiler may make a loop of it */
    return below + page[sizeof(page) - 1];
}

static int descend_without_end(void *arg)
{
    (void)arg;
    weft_spawn(lost, descend, (long)1 << 40);
    return weft_join(lost) == 0;
}

static int descend_some(void *arg)
{
    return descend(*(long *)arg) > 0 ? 0 : __LINE__;
}

/* ---- dying ---------------------------------------------------------------------------------- */

static int overflow(void *arg)
{
    return weft_run(descend_without_end, NULL, arg);
}

static int is_owned_by_sanitizer(void)
{
    return SANITIZED; /* SIGSEGV is theirs */
}

static void test_report(void **state)
{
    weft_config config = {.workers = 1, .report_overflow = 1, .stack_bytes = (size_t)128 << 10};
    (void)state;
    if (is_owned_by_sanitizer())
        skip();
    child_end end = in_child(overflow, &config);
    expect_death(&end, SIGSEGV, "stack overflow");
    expect_death(&end, SIGSEGV, "'weft_run'");
    expect_death(&end, SIGSEGV, "128 KiB");
    expect_death(&end, SIGSEGV, "WEFT_STACK_SIZE");
}

/* The thief's fiber begins with the task itself, and that is the name it gets. */
WEFT_VOID_TASK(overflow_elsewhere, unsigned *, begun)
{
    weft__store_release(begun, 1);
    (void)descend((long)1 << 40);
}

static int overflow_of_thief(void *arg)
{
    unsigned begun = 0;
    (void)arg;
    weft_spawn(stolen, overflow_elsewhere, &begun);
    CHECK(wait_for(&begun, 1));
    weft_join(stolen);
    return 0;
}

static int run_overflow_of_thief(void *arg)
{
    return weft_run(overflow_of_thief, NULL, arg);
}

static void test_name(void **state)
{
    weft_config config = {.workers = 2, .report_overflow = 1};
    (void)state;
    if (is_owned_by_sanitizer())
        skip();
    child_end end = in_child(run_overflow_of_thief, &config);
    expect_death(&end, SIGSEGV, "task 'overflow_elsewhere' ran off its stack of 256 KiB");
}

static void test_silent(void **state)
{
    weft_config config = {.workers = 2};
    (void)state;
    if (is_owned_by_sanitizer())
        skip();
    child_end end = in_child(overflow, &config);
    expect_death(&end, SIGSEGV, "");
    assert_null(strstr(end.errors, "stack overflow"));
}

/* ---- chaining ------------------------------------------------------------------------------- */

static void say_and_leave(int signal_number)
{
    static const char words[] = "the old handler\n";
    ssize_t ignored = write(STDERR_FILENO, words, sizeof(words) - 1);
    (void)ignored;
    _exit(signal_number == SIGSEGV ? 7 : 8);
}

static void say_and_leave_informed(int signal_number, siginfo_t *info, void *context)
{
    if (info != NULL && info->si_addr != NULL && context != NULL)
        say_and_leave(signal_number);
    _exit(9);
}

static int overflow_with_handler(void *arg)
{
    weft_config config = {.workers = 1, .report_overflow = 1};
    struct sigaction old = {.sa_flags = SA_ONSTACK};
    if (*(int *)arg != 0) {
        old.sa_flags |= SA_SIGINFO;
        old.sa_sigaction = say_and_leave_informed;
    } else {
        old.sa_handler = say_and_leave;
    }
    (void)sigaction(SIGSEGV, &old, NULL);
    return weft_run(descend_without_end, NULL, &config);
}

/* A fault that is no overflow is not called one. */
static int fault_elsewhere(void *arg)
{
    volatile int *volatile nowhere = NULL;
    return arg != NULL ? raise(SIGSEGV) : (*nowhere = 1);
}

static int run_fault_elsewhere(void *arg)
{
    weft_config config = {.workers = 1, .report_overflow = 1};
    return weft_run(fault_elsewhere, arg, &config);
}

static void test_chain(void **state)
{
    (void)state;
    if (is_owned_by_sanitizer())
        skip();
    for (int is_informed = 0; is_informed < 2; is_informed++) {
        child_end end = in_child(overflow_with_handler, &is_informed);
        assert_true(WIFEXITED(end.status));
        assert_int_equal(WEXITSTATUS(end.status), 7);
        assert_non_null(strstr(end.errors, "stack overflow"));
        assert_non_null(strstr(end.errors, "the old handler"));
    }
    for (int is_sent = 0; is_sent < 2; is_sent++) {
        child_end end = in_child(run_fault_elsewhere, is_sent ? &is_sent : NULL);
        expect_death(&end, SIGSEGV, "");
        assert_null(strstr(end.errors, "stack overflow"));
    }
}

/* ---- size ----------------------------------------------------------------------------------- */

static int run_descend(void *arg)
{
    weft_config config = {.workers = 1, .stack_bytes = *(size_t *)arg};
    long bytes = LESS_IF_SANITIZED(1024, 256) * 1024;
    return weft_run(descend_some, &bytes, &config);
}

static void test_size(void **state)
{
    size_t enough = (size_t)4 << 20;
    size_t too_small = (size_t)512 << 10;
    (void)state;
    child_end end = in_child(run_descend, &enough);
    expect_success(&end);
    if (is_owned_by_sanitizer())
        return;
    end = in_child(run_descend, &too_small);
    expect_death(&end, SIGSEGV, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report), cmocka_unit_test(test_name), cmocka_unit_test(test_silent),
        cmocka_unit_test(test_chain),  cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
