/* SPDX-License-Identifier: BSD-2-Clause */
/* fib.c — the smallest fork-join program: every call is a task, nothing else is done.
 *
 *     fib [N]      print the N-th Fibonacci number (default 32, at most 90) */
#include <weft/runtime.h>
#include <weft/task.h>

#include <stdio.h>
#include <stdlib.h>

WEFT_TASK(long, fib, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, fib, n - 1);   /* lives in this frame; may run on another worker */
    long right = fib(n - 2);        /* a plain call */
    return weft_join(left) + right; /* runs here unless it was stolen */
}

static int app(void *arg)
{
    const int *n = arg;
    printf("fib(%d) = %ld on %u workers\n", *n, fib(*n), weft_num_workers(NULL));
    return 0;
}

int main(int argc, char **argv)
{
    char *end = "";
    long number = argc > 1 ? strtol(argv[1], &end, 10) : 32;
    if (number < 0 || number > 90 || *end != '\0' || end == argv[1]) {
        fprintf(stderr, "fib: N must be a number from 0 to 90, not '%s'\n", argv[1]);
        return 2;
    }
    int n = (int)number;
    return weft_run(app, &n, NULL); /* NULL: one worker for each processor we may use */
}
