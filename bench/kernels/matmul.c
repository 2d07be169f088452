/* SPDX-License-Identifier: BSD-2-Clause */
/* matmul.c — C = A B of n × n doubles: C is quartered until a tile of it fits the caches.
 *
 * The inner kernel keeps 4 × 16 elements of C in registers; it is the same for every system. The
 * entries are small whole numbers, so all arithmetic is exact, and the oracle is Freivalds' check
 * with whole numbers: (x A) (B y) computed by vectors must equal x C y. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define TILE 64

typedef double eight __attribute__((vector_size(64)));

static size_t order;
static double *a, *b, *c;

static eight load(const double *p)
{
    eight v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Four rows by sixteen columns of C at (row, column). */
static void multiply_block(size_t row, size_t column)
{
    eight sums[4][2] = {{{0}}};
    for (size_t k = 0; k < order; k++) {
        eight right[2] = {load(b + k * order + column), load(b + k * order + column + 8)};
        for (size_t i = 0; i < 4; i++) {
            double left = a[(row + i) * order + k];
            sums[i][0] += left * right[0];
            sums[i][1] += left * right[1];
        }
    }
    for (size_t i = 0; i < 4; i++)
        memcpy(c + (row + i) * order + column, sums[i], sizeof sums[i]);
}

static size_t multiply_tile(size_t row, size_t column)
{
    for (size_t j = 0; j < TILE; j += 16)
        for (size_t i = 0; i < TILE; i += 4)
            multiply_block(row + i, column + j);
    return 1;
}

/* The square of `size` at (row, column); returns the number of tiles in it. */
BENCH_TASK(size_t, multiply, size_t, row, size_t, column, size_t, size)
{
    if (size == TILE)
        return multiply_tile(row, column);
    size_t half = size / 2;
    size_t tiles = 0;
    bench_group(quarters, multiply, 3);
    bench_fork(quarters, multiply, row, column, half);
    bench_fork(quarters, multiply, row, column + half, half);
    bench_fork(quarters, multiply, row + half, column, half);
    tiles += multiply(row + half, column + half, half);
    bench_each(quarters, multiply, quarter) tiles += quarter;
    return tiles;
}

/* Small whole numbers without a pattern that a wrong index could hide behind. */
static double entry(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (double)((i >> 40) % 15) - 7;
}

static double weight(size_t i)
{
    return (double)(i * 7 % 11) - 5;
}

/* out[j] = sum of weight(i) m[i, j] */
static void weigh_rows(double *out, const double *m)
{
    memset(out, 0, order * sizeof *out);
    for (size_t i = 0; i < order; i++)
        for (size_t j = 0; j < order; j++)
            out[j] += weight(i) * m[i * order + j];
}

/* sum of out[i] m[i, j] weight(j + 3) */
static double weigh_all(const double *rows, const double *m)
{
    double total = 0;
    for (size_t i = 0; i < order; i++)
        for (size_t j = 0; j < order; j++)
            total += rows[i] * m[i * order + j] * weight(j + 3);
    return total;
}

static int prepare(bench_problem *problem)
{
    order = (size_t)problem->size;
    if (order > 16384 || order < TILE || (order & (order - 1)) != 0)
        return bench_complain("matmul: size %ld is not a power of two from %d to 16384",
                              problem->size, TILE);
    size_t bytes = order * order * sizeof(double);
    a = (double *)aligned_alloc(64, bytes);
    b = (double *)aligned_alloc(64, bytes);
    c = (double *)aligned_alloc(64, bytes);
    double *rows = (double *)malloc(order * sizeof(double));
    if (!a || !b || !c || !rows)
        return bench_complain("matmul: no memory for three matrices of %zu bytes", bytes);
    for (size_t i = 0; i < order * order; i++) {
        a[i] = entry(i);
        b[i] = entry(i + order * order);
    }
    weigh_rows(rows, a);
    problem->expected = (uint64_t)(int64_t)weigh_all(rows, b);
    size_t tiles = order / TILE;
    problem->tasks = tiles * tiles - 1; /* three for each of the (tiles^2 - 1) / 3 squares split */
    free(rows);
    return 0;
}

static void run(void)
{
    if (multiply(0, 0, order) != (order / TILE) * (order / TILE))
        __builtin_trap();
}

/* Also wipes the product, so that the next run cannot pass on this one's. */
static uint64_t answer(void)
{
    double total = 0;
    for (size_t i = 0; i < order; i++)
        for (size_t j = 0; j < order; j++)
            total += weight(i) * c[i * order + j] * weight(j + 3);
    memset(c, 0, order * order * sizeof *c);
    return (uint64_t)(int64_t)total;
}

static bench_kernel kernel = {
    .name = "matmul",
    .title = "matrix product of doubles, quartered down to tiles of 64 x 64",
    .group = "",
    .least = 512,
    .quick = 512,
    .full = 1024,
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
