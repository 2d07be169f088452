/* SPDX-License-Identifier: BSD-2-Clause */
/* fib.h — the task that many tests spawn when any tree of tasks will do. */
#ifndef WEFT_TESTS_CORE_FIB_H
#define WEFT_TESTS_CORE_FIB_H

#include <weft/task.h>

WEFT_TASK(long, fib, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, fib, n - 1);
    long right = fib(n - 2);
    return weft_join(left) + right;
}

#endif
