/* SPDX-License-Identifier: BSD-2-Clause */
/* tasks.h — every form of the task macros once, as C and as C++, in a user's strictest build. */
#include <weft/task.h>

WEFT_TASK_DECLARE(int, declared, int, n);

WEFT_TASK(int, none)
{
    return 1;
}

WEFT_TASK(long, fib, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, fib, n - 1);
    long right = fib(n - 2);
    return weft_join(left) + right;
}

WEFT_TASK(double, six, int, a, long, b, float, c, double, d, const char *, e, void *, f)
{
    return a + (double)b + (double)c + d + (e != NULL) + (f != NULL);
}

WEFT_VOID_TASK(nothing)
{
}

WEFT_VOID_TASK(store, int *, to, int, value)
{
    *to = value;
}

WEFT_TASK_DEFINE(int, declared, int, n)
{
    int stored = 0;
    none_task tasks[2];
    none_spawn(&tasks[0]);
    none_spawn(&tasks[1]);
    weft_spawn(a, none);
    weft_spawn(b, six, 1, 2L, 3.0f, 4.0, "e", &stored);
    weft_spawn(c, nothing);
    weft_spawn(d, store, &stored, n);
    weft_spawn(never_named_again, nothing);
    if (n == 0)
        return 0; /* the scopes join what is pending */
    weft_join(d);
    weft_join(c);
    double sum = weft_join(b);
    return stored + weft_join(a) + none_join(&tasks[1]) + none_join(&tasks[0]) + (int)sum;
}
