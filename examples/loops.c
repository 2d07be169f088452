/* SPDX-License-Identifier: BSD-2-Clause */
/* loops.c — a loop, a reduction and a sort over one array, each checked against what must come out.
 *
 * The reduction adds numbers whose sum depends on the order of the additions. weft's order depends
 * on the range alone, so the result is the same to the bit on any number of workers; the program
 * computes it on one and on all of them to show it. */
#include <weft/parallel.h>
#include <weft/runtime.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT ((size_t)1 << 20)

static void fill(weft_range piece, void *arg)
{
    double *values = arg;
    for (size_t i = piece.begin; i < piece.end; i++)
        values[i] = sin((double)i) * 1e6;
}

static void add_piece(weft_range piece, void *value, void *arg)
{
    const double *values = arg;
    double sum = 0;
    for (size_t i = piece.begin; i < piece.end; i++)
        sum += values[i];
    *(double *)value += sum;
}

static void add(void *left, const void *right, void *arg)
{
    (void)arg;
    *(double *)left += *(const double *)right;
}

static int ascending(const void *a, const void *b, void *arg)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    (void)arg;
    return (x > y) - (x < y);
}

struct work {
    double *values;
    double sum;
};

static int app(void *arg)
{
    struct work *work = arg;
    weft_range all = {.begin = 0, .end = COUNT};
    weft_reduction sum = {.bytes = sizeof work->sum, .piece = add_piece, .combine = add};
    weft_parallel_for(all, fill, work->values);
    int rc = weft_reduce(all, &sum, &work->sum, work->values);
    if (rc != 0)
        return rc;
    return weft_sort(work->values, COUNT, sizeof *work->values, ascending, NULL);
}

static int is_sorted(const double *values)
{
    for (size_t i = 1; i < COUNT; i++)
        if (values[i - 1] > values[i])
            return 0;
    return 1;
}

int main(void)
{
    double *values = malloc(COUNT * sizeof *values);
    struct work alone = {.values = values};
    struct work together = {.values = values};
    if (values == NULL)
        return EXIT_FAILURE;
    int rc = weft_run(app, &alone, &(weft_config){.workers = 1});
    if (rc == 0)
        rc = weft_run(app, &together, NULL);
    if (rc != 0) {
        fprintf(stderr, "loops: %s\n", weft_strerror(rc));
        free(values);
        return EXIT_FAILURE;
    }
    int same = memcmp(&alone.sum, &together.sum, sizeof alone.sum) == 0;
    int sorted = is_sorted(values);
    printf("sum %.17g on 1 worker, %.17g on all: %s\n", alone.sum, together.sum,
           same ? "same bits" : "DIFFERENT");
    printf("sorted: %s\n", sorted ? "yes" : "NO");
    free(values);
    return same && sorted ? EXIT_SUCCESS : EXIT_FAILURE;
}
