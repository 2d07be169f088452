/* SPDX-License-Identifier: BSD-2-Clause */
/* bits.c — a reduction of ten million doubles has the same bits for every number of workers.
 *
 * The values cover twelve orders of magnitude, so that almost any other order of adding them
 * changes the last bits: the serial sum printed beside it shows that this is a real test. */
#include <inttypes.h>
#include <math.h>
#include <weft/parallel.h>

#include "probe.h"

#define LENGTH ((size_t)10000000)

static double *values;

static void add_piece(weft_range piece, void *value, void *arg)
{
    (void)arg;
    double total = *(double *)value;
    for (size_t i = piece.begin; i < piece.end; i++)
        total += values[i];
    *(double *)value = total;
}

static void combine(void *left, const void *right, void *arg)
{
    (void)arg;
    *(double *)left += *(const double *)right;
}

static int reduce(void *arg)
{
    const weft_reduction how = {
        .bytes = sizeof(double),
        .identity = NULL,
        .piece = add_piece,
        .combine = combine,
    };
    return weft_reduce((weft_range){0, LENGTH, 0}, &how, arg, NULL);
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void fill(void)
{
    uint64_t state = 42;
    for (size_t i = 0; i < LENGTH; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double sign = state >> 63 ? 1 : -1;
        values[i] = sign * (double)(state >> 20 & 0xffffffff) * pow(10, (double)(state >> 55 & 12));
    }
}

int main(void)
{
    static const unsigned counts[] = {1, 2, 3, 7, 16};
    values = malloc(LENGTH * sizeof *values);
    if (!values)
        return 2;
    fill();
    double serial = 0;
    for (size_t i = 0; i < LENGTH; i++)
        serial += values[i];
    uint64_t first = 0;
    int same = 1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double total = 0;
        weft_runtime *runtime = probe_start(counts[i]);
        if (probe_call(runtime, reduce, &total) != 0)
            return 1;
        probe_stop(runtime);
        if (i == 0)
            first = bits_of(total);
        same &= bits_of(total) == first;
        if (fabs(total - serial) > 1e-9 * fabs(serial) + 1e9)
            same = 0;
    }
    printf("{\"probe\": \"bits\", \"bits\": \"%016" PRIx64 "\", \"serial_bits\": \"%016" PRIx64
           "\", \"same\": %s}\n",
           first, bits_of(serial), same ? "true" : "false");
    free(values);
    return same ? 0 : 1;
}
