/* SPDX-License-Identifier: BSD-2-Clause */
/* sum.c — add up an array of doubles that is larger than the caches: memory bandwidth, and whether
 * a system hands out pieces that the compiler can vectorise.
 *
 * The values are small whole numbers, so every order of adding them gives the same total, which
 * the oracle computes by a formula. `size` counts millions. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD 1024

/* Eight at a time, spelled out: without -ffast-math no compiler may reorder a sum. */
typedef double eight __attribute__((vector_size(64)));

static double *values;
static size_t length;
static double result;

static double sum_piece(size_t begin, size_t end)
{
    eight sums[4] = {{0}};
    size_t i = begin;
    for (; i + 32 <= end; i += 32) {
        for (size_t j = 0; j < 4; j++) {
            eight next;
            memcpy(&next, values + i + 8 * j, sizeof next);
            sums[j] += next;
        }
    }
    eight all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double total = 0;
    for (int j = 0; j < 8; j++)
        total += all[j];
    for (; i < end; i++)
        total += values[i];
    return total;
}

static int prepare(bench_problem *problem)
{
    if (problem->size > 100000)
        return bench_complain("sum: size %ld (millions) is over 100000", problem->size);
    length = (size_t)problem->size * 1000000;
    values = (double *)aligned_alloc(64, length * sizeof *values);
    if (!values)
        return bench_complain("sum: no memory for %zu doubles", length);
    for (size_t i = 0; i < length; i++)
        values[i] = (double)(i % PERIOD);
    uint64_t whole = length / PERIOD;
    uint64_t rest = length % PERIOD;
    problem->expected = whole * (PERIOD * (PERIOD - 1) / 2) + rest * (rest - (rest > 0)) / 2;
    problem->tasks = 0;
    return 0;
}

static void run(void)
{
    result = bench_sum(length, sum_piece);
}

static uint64_t answer(void)
{
    return (uint64_t)result;
}

static bench_kernel kernel = {
    .name = "sum",
    .title = "sum of an array of doubles: memory bandwidth",
    .group = "",
    .least = 20,
    .quick = 20,
    .full = 100,
    .loops = 1,
    .serial_only = 0,
    .needs_data = 0,
    .stack_bytes = 0,
    .prepare = prepare,
    .run = run,
    .answer = answer,
    .next = NULL,
};
BENCH_KERNEL(kernel);
