/* SPDX-License-Identifier: BSD-2-Clause */
/* idle.c — processor time burned by two workers that have nothing to do.
 *
 * They have worked before, since a runtime that never woke up would be no test, and have 5 ms to
 * settle. The clock is the whole process's: a helper thread could not hide. */
#include <weft/task.h>

#include "probe.h"

WEFT_TASK(long, busy_fib, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, busy_fib, n - 1);
    long right = busy_fib(n - 2);
    return weft_join(left) + right;
}

static int work(void *arg)
{
    (void)arg;
    return busy_fib(25) == 75025 ? 0 : 1;
}

int main(int argc, char **argv)
{
    double seconds = (double)probe_argument(argc, argv, 2);
    weft_runtime *runtime = probe_start(2);
    if (probe_call(runtime, work, NULL) != 0)
        return 1;
    probe_sleep(0.005);
    double wall = probe_wall();
    double cpu = probe_cpu();
    probe_sleep(seconds);
    cpu = probe_cpu() - cpu;
    wall = probe_wall() - wall;
    probe_stop(runtime);
    printf("{\"probe\": \"idle\", \"seconds\": %.6f, \"cpu_seconds\": %.9f, \"share\": %.9f}\n",
           wall, cpu, cpu / wall);
    return 0;
}
