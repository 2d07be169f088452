/* SPDX-License-Identifier: BSD-2-Clause */
/* fib.c — Fibonacci numbers without a cut-off: nothing but spawns and joins.
 *
 * The oracle adds up the sequence. fib-calls is the serial call tree, one real call for each task
 * there would be: what a task costs is compared with what a call costs, whereas the serial twin of
 * `fib` may be folded by the compiler into far fewer calls. */
#include "bench.h"

static long number;
static long result;

BENCH_TASK(long, fib, int, n)
{
    if (n < 2)
        return n;
    bench_spawn(left, fib, n - 1);
    long right = fib(n - 2);
    return bench_join(left) + right;
}

/* Tasks spawned: one for each call with n >= 2, which is fib(n + 1) - 1. */
static int prepare(bench_problem *problem)
{
    uint64_t now = 0;
    uint64_t next = 1;
    if (problem->size > 60)
        return bench_complain("fib: size %ld is over 60", problem->size);
    for (long i = 0; i < problem->size; i++) {
        uint64_t sum = now + next;
        now = next;
        next = sum;
    }
    problem->expected = now;
    problem->tasks = next - 1;
    number = problem->size;
    return 0;
}

static void run(void)
{
    result = fib((int)number);
}

static uint64_t answer(void)
{
    return (uint64_t)result;
}

static bench_kernel kernel = {
    .name = "fib",
    .title = "Fibonacci without cut-off: spawn and join, nothing else",
    .group = "",
    .least = 24,
    .quick = 36,
    .full = 40,
    .loops = 0,
    .serial_only = 0,
    .needs_data = 0,
    .stack_bytes = 0,
    .prepare = prepare,
    .run = run,
    .answer = answer,
    .next = NULL,
};
BENCH_KERNEL(kernel);

#ifdef BENCH_SYSTEM_SERIAL

__attribute__((noinline)) static long call_tree(int n)
{
    if (n < 2)
        return n;
    long a = call_tree(n - 1);
    long b = call_tree(n - 2);
    __asm__ volatile("" : "+r"(a), "+r"(b)); /* keeps both calls, in this order */
    return a + b;
}

static void run_calls(void)
{
    result = call_tree((int)number);
}

static bench_kernel calls = {
    .name = "fib-calls",
    .title = "Fibonacci as a serial tree of real calls, the yardstick for fib",
    .group = "",
    .least = 24,
    .quick = 36,
    .full = 40,
    .loops = 0,
    .serial_only = 1,
    .needs_data = 0,
    .stack_bytes = 0,
    .prepare = prepare,
    .run = run_calls,
    .answer = answer,
    .next = NULL,
};
BENCH_KERNEL(calls);

#endif
