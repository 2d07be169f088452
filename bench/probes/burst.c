/* SPDX-License-Identifier: BSD-2-Clause */
/* burst.c — does a fork-join region of 5 to 10 ms still speed up when everybody was asleep?
 *
 * The usual case in an application that is parallel now and then: one second of nothing, then a
 * few milliseconds of fine tasks. A runtime that sleeps deeply gets no second worker in time; one
 * that does not sleep burns the second of nothing. The region is sized for one worker first. */
#include <weft/task.h>

#include "probe.h"

#define REPEATS_MAX 100
#define REGION_SECONDS 0.005

WEFT_TASK(long, burst_fib, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, burst_fib, n - 1);
    long right = burst_fib(n - 2);
    return weft_join(left) + right;
}

static int region(void *arg)
{
    return burst_fib(*(int *)arg) > 0 ? 0 : 1;
}

static double timed(weft_runtime *runtime, int n)
{
    double begin = probe_wall();
    if (probe_call(runtime, region, &n) != 0)
        exit(1);
    return probe_wall() - begin;
}

/* The smallest n whose region lasts 5 ms on one worker: it then lasts less than 9. */
static int size_region(weft_runtime *one)
{
    int n = 24;
    for (;; n++) {
        double best = timed(one, n);
        for (int i = 0; i < 2; i++) {
            double again = timed(one, n);
            best = again < best ? again : best;
        }
        if (best >= REGION_SECONDS)
            return n;
    }
}

int main(int argc, char **argv)
{
    double one_seconds[REPEATS_MAX];
    double two_seconds[REPEATS_MAX];
    long repeats = probe_argument(argc, argv, 5);
    if (repeats > REPEATS_MAX)
        repeats = REPEATS_MAX;
    weft_runtime *one = probe_start(1);
    weft_runtime *two = probe_start(2);
    int n = size_region(one);
    (void)timed(two, n);
    for (long i = 0; i < repeats; i++) {
        probe_sleep(1);
        one_seconds[i] = timed(one, n);
        probe_sleep(1);
        two_seconds[i] = timed(two, n);
    }
    probe_stop(one);
    probe_stop(two);
    double t1 = probe_quantile(one_seconds, (size_t)repeats, 0.5);
    double t2 = probe_quantile(two_seconds, (size_t)repeats, 0.5);
    printf("{\"probe\": \"burst\", \"n\": %d, \"repeats\": %ld, \"one_worker_seconds\": %.9f, "
           "\"two_workers_seconds\": %.9f, \"speedup\": %.6f}\n",
           n, repeats, t1, t2, t1 / t2);
    return 0;
}
