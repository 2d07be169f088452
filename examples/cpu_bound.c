/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu_bound.c — tasks that compute run at the same time, as many as there are workers.
 *
 * The task is the sum of a range of a million numbers, a few hundred times over. One of it is timed
 * alone, then 2, 3 ... as many as workers together. Where a global lock lets one thread compute at
 * a time, n tasks take n times as long as one; here they take about as long as one. */
#include <weft/future.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RANGE 1000000
#define ROUNDS 100

WEFT_TASK(uint64_t, sum_of_range, uint64_t, end, int, rounds)
{
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        sum = 0;
        for (uint64_t i = 0; i < end; i++) {
            sum += i;
            __asm__ volatile("" : "+r"(sum)); /* or the compiler knows the answer */
        }
    }
    return sum;
}

/* How long `count` tasks take together, in seconds; negative if a sum is wrong. */
static double seconds_for(unsigned count)
{
    sum_of_range_future *tasks = malloc(count * sizeof *tasks);
    int is_good = tasks != NULL;
    int64_t begin = weft_now();
    for (unsigned i = 0; is_good && i < count; i++)
        tasks[i] = weft_submit(weft_workers(), sum_of_range, .end = RANGE, .rounds = ROUNDS);
    for (unsigned i = 0; tasks != NULL && i < count; i++) {
        uint64_t sum = 0;
        is_good &= weft_await(tasks[i], &sum, WEFT_FOREVER) == 0 &&
                   sum == (uint64_t)RANGE * (RANGE - 1) / 2;
    }
    double seconds = (double)(weft_now() - begin) / 1e9;
    free(tasks);
    return is_good ? seconds : -1;
}

int main(void)
{
    unsigned workers = weft_usable_cpus();
    double alone = seconds_for(1); /* starts the workers, too */
    alone = seconds_for(1);
    printf("%3s %10s %9s\n", "n", "seconds", "speed-up");
    for (unsigned n = 1; alone > 0 && n <= workers;
         n = n < workers && 2 * n > workers ? workers : 2 * n) {
        double together = seconds_for(n);
        if (together < 0)
            break;
        printf("%3u %10.4f %9.2f\n", n, together, n * alone / together);
        if (n == workers)
            return 0;
    }
    fprintf(stderr, "cpu_bound: a task failed\n");
    return 1;
}
