/* SPDX-License-Identifier: BSD-2-Clause */
/* invoke.c — a handful of calls, in parallel.
 *
 * The calls are halved like the pieces of a loop whose grain is one. Rejected: a task for each call
 * in a row, which needs an array of tasks on the heap, and hands a thief one call at a time. */
#include <weft/parallel.h>
#include <weft/task.h>

/* Make `n` calls, at least one. */
WEFT_VOID_TASK(weft__invoke_run, const weft_call *, calls, size_t, n)
{
    if (n == 1) {
        calls->fn(calls->arg);
        return;
    }
    size_t half = n / 2;
    weft_spawn(upper, weft__invoke_run, calls + half, n - half);
    weft__invoke_run(calls, half);
    weft_join(upper);
}

void weft_invoke(const weft_call *calls, size_t n)
{
    if (n != 0)
        weft__invoke_run(calls, n);
}
