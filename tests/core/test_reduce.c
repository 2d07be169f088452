/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reduce.c — reductions are right, and have the same bits for every number of workers. */
#include "on_workers.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weft/atomic.h>
#include <weft/parallel.h>

/* ---- same bits ---------------------------------------------------------------------------- */

enum { DOUBLES = 10000000 };

/* Every order of additions rounds differently: magnitudes from 1e-12 to 1e12, both signs. */
static double *make_doubles(size_t n)
{
    static const double scales[] = {1e-12, 1e-3, 1.0, 1e5, 1e12};
    double *values = malloc(n * sizeof(double));
    assert_non_null(values);
    uint64_t random = 7;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = next_random(&random);
        double unit = (double)(bits >> 11) * 0x1p-53 - 0.5;
        values[i] = unit * scales[bits % 5];
    }
    return values;
}

static void sum_piece(weft_range piece, void *value, void *arg)
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

static const weft_reduction sum_of_doubles = {
    .bytes = sizeof(double), .piece = sum_piece, .combine = add};

typedef struct bits_job {
    double *values;
    size_t n;
    size_t grain;
    double expected;
    int has_expected;
} bits_job;

static int check_bits(void *arg)
{
    bits_job *job = arg;
    double sum = 0;
    CHECK(weft_reduce((weft_range){0, job->n, job->grain}, &sum_of_doubles, &sum, job->values) ==
          0);
    if (!job->has_expected)
        job->expected = sum;
    job->has_expected = 1;
    CHECK(memcmp(&sum, &job->expected, sizeof(sum)) == 0);
    return 0;
}

static void test_same_bits(void **state)
{
    (void)state;
    double *values = make_doubles(DOUBLES);
    bits_job whole = {values, DOUBLES, 0, 0, 0};
    on_every_count(check_bits, &whole);

    /* Another grain is another tree; were the bits the same, the test would prove nothing. */
    bits_job coarse = {values, DOUBLES, DOUBLES, 0, 0};
    on_every_count(check_bits, &coarse);
    assert_memory_not_equal(&whole.expected, &coarse.expected, sizeof(double));

    bits_job uneven = {values, DOUBLES - 17, 777, 0, 0};
    on_every_count(check_bits, &uneven);
    bits_job small = {values, 1000, 0, 0, 0};
    on_every_count(check_bits, &small);
    bits_job fine = {values, 100000, 1, 0, 0};
    on_every_count(check_bits, &fine);
    free(values);
}

/* ---- order and pieces --------------------------------------------------------------------- */

/* What a value covers. Combining is associative and anything but commutative. */
typedef struct span {
    size_t begin;
    size_t end;
    int broken;
} span;

static const span nothing = {SIZE_MAX, SIZE_MAX, 0};

static int is_nothing(const span *value)
{
    return value->begin == SIZE_MAX && value->end == SIZE_MAX;
}

static void cover_piece(weft_range piece, void *value, void *arg)
{
    span *covered = value;
    size_t grain = *(const size_t *)arg;
    int broken = !is_nothing(covered) || piece.begin >= piece.end || piece.grain == 0;
    broken |= piece.end - piece.begin > piece.grain || (grain != 0 && piece.grain != grain);
    broken |= (uintptr_t)value % 64 != 0;
    *covered = (span){piece.begin, piece.end, broken};
}

static void join_spans(void *left, const void *right, void *arg)
{
    (void)arg;
    span *low = left;
    const span *high = right;
    low->broken |= high->broken | (low->end != high->begin);
    low->end = high->end;
}

static int check_span(size_t begin, size_t end, size_t grain)
{
    weft_reduction how = {sizeof(span), &nothing, cover_piece, join_spans};
    span covered = {0};
    CHECK(weft_reduce((weft_range){begin, end, grain}, &how, &covered, &grain) == 0);
    CHECK(!covered.broken);
    if (begin >= end)
        CHECK(is_nothing(&covered));
    else
        CHECK(covered.begin == begin && covered.end == end);
    return 0;
}

static int check_spans(void *arg)
{
    (void)arg;
    static const size_t lengths[] = {0, 1, 2, 3, 5, 64, 1000, 1024, 1025, 4096, 4097, 12289, 70001};
    static const size_t grains[] = {0, 1, 2, 7, 100, 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t j = 0; j < sizeof(grains) / sizeof(grains[0]); j++) {
            CHECK_CALL(check_span(0, lengths[i], grains[j]));
            CHECK_CALL(check_span(SIZE_MAX - 1 - lengths[i], SIZE_MAX - 1, grains[j]));
        }
    }
    CHECK_CALL(check_span(9, 3, 0));
    CHECK_CALL(check_span(0, SIZE_MAX - 1, 0));
    CHECK_CALL(check_span(0, SIZE_MAX - 1, SIZE_MAX / 100000));
    return 0;
}

static void test_spans(void **state)
{
    (void)state;
    on_every_count(check_spans, NULL);
}

static void count_piece(weft_range piece, void *value, void *arg)
{
    (void)piece;
    (void)arg;
    ++*(size_t *)value;
}

static void add_counts(void *left, const void *right, void *arg)
{
    (void)arg;
    *(size_t *)left += *(const size_t *)right;
}

static int pieces_of(size_t n, size_t grain, size_t *pieces)
{
    weft_reduction how = {sizeof(size_t), NULL, count_piece, add_counts};
    return weft_reduce((weft_range){0, n, grain}, &how, pieces, NULL);
}

/* A few expensive indices are worth a task each; many cheap ones are not. */
static int check_grain(void *arg)
{
    (void)arg;
    size_t pieces = 0;
    for (size_t n = 1; n < 100000000; n += n / 3 + 1) {
        CHECK(pieces_of(n, 0, &pieces) == 0);
        CHECK(n > 1024 ? pieces > 512 && pieces <= 1024 : pieces == n);
        CHECK(pieces_of(n, n / 5000 + 1, &pieces) == 0);
        CHECK(pieces == (n - 1) / (n / 5000 + 1) + 1);
    }
    return 0;
}

static void test_grain(void **state)
{
    (void)state;
    on_every_count(check_grain, NULL);
}

/* ---- sizes of values ---------------------------------------------------------------------- */

typedef struct histogram {
    size_t bytes; /* of a value that is an array of bytes */
} histogram;

static void count_bytes(weft_range piece, void *value, void *arg)
{
    const histogram *how = arg;
    unsigned char *counts = value;
    for (size_t i = piece.begin; i < piece.end; i++)
        counts[i % how->bytes]++;
}

static void add_bytes(void *left, const void *right, void *arg)
{
    const histogram *how = arg;
    unsigned char *sum = left;
    const unsigned char *other = right;
    for (size_t i = 0; i < how->bytes; i++)
        sum[i] = (unsigned char)(sum[i] + other[i]);
}

/* Begin every piece with ones, to see that the identity is used and copied whole. */
static int check_size(size_t bytes, size_t n, size_t grain, const unsigned char *ones)
{
    unsigned char value[WEFT_REDUCE_BYTES_MAX + 2];
    memset(value, 0xee, sizeof(value));
    size_t pieces = 0;
    CHECK(pieces_of(n, grain, &pieces) == 0);
    histogram job = {bytes};
    weft_reduction how = {bytes, ones, count_bytes, add_bytes};
    CHECK(weft_reduce((weft_range){0, n, grain}, &how, value + 1, &job) == 0);
    CHECK(value[0] == 0xee && value[bytes + 1] == 0xee);
    size_t each = ones == NULL ? 0 : n == 0 ? 1 : pieces;
    for (size_t i = 0; i < bytes; i++)
        CHECK(value[i + 1] == (unsigned char)(each + n / bytes + (i < n % bytes)));
    return 0;
}

static int check_sizes(void *arg)
{
    (void)arg;
    static const size_t sizes[] = {1, 2, 3, 4, 8, 16, 24, 63, 64, 65, 1000, WEFT_REDUCE_BYTES_MAX};
    unsigned char ones[WEFT_REDUCE_BYTES_MAX];
    memset(ones, 1, sizeof(ones));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CHECK_CALL(check_size(sizes[i], 0, 0, ones));
        CHECK_CALL(check_size(sizes[i], 1, 0, ones));
        CHECK_CALL(check_size(sizes[i], 5000, 0, ones));
        CHECK_CALL(check_size(sizes[i], 5000, 1, NULL));
        CHECK_CALL(check_size(sizes[i], 777, 10, ones));
    }
    return 0;
}

static void test_sizes(void **state)
{
    (void)state;
    on_every_count(check_sizes, NULL);
}

static int check_errors(void *arg)
{
    (void)arg;
    double value = 42;
    weft_reduction how = sum_of_doubles;
    weft_range range = {0, 10, 0};
    how.bytes = 0;
    CHECK(weft_reduce(range, &how, &value, NULL) == -EINVAL);
    how.bytes = WEFT_REDUCE_BYTES_MAX + 1;
    CHECK(weft_reduce(range, &how, &value, NULL) == -EINVAL);
    how = sum_of_doubles;
    how.piece = NULL;
    CHECK(weft_reduce(range, &how, &value, NULL) == -EINVAL);
    how = sum_of_doubles;
    how.combine = NULL;
    CHECK(weft_reduce(range, &how, &value, NULL) == -EINVAL);
    CHECK(value == 42);
    return 0;
}

static void test_errors(void **state)
{
    (void)state;
    on_every_count(check_errors, NULL);
}

/* ---- nested ------------------------------------------------------------------------------- */

enum { ROWS = 50, COLS = 2000 };

static void sum_row(weft_range piece, void *value, void *arg)
{
    double *values = arg;
    for (size_t row = piece.begin; row < piece.end; row++) {
        double sum = 0;
        if (weft_reduce((weft_range){0, COLS, 0}, &sum_of_doubles, &sum, values + row * COLS) == 0)
            *(double *)value += sum;
    }
}

static int check_nested(void *arg)
{
    bits_job *job = arg;
    weft_reduction how = {sizeof(double), NULL, sum_row, add};
    double sum = 0;
    CHECK(weft_reduce((weft_range){0, ROWS, 0}, &how, &sum, job->values) == 0);
    if (!job->has_expected)
        job->expected = sum;
    job->has_expected = 1;
    CHECK(memcmp(&sum, &job->expected, sizeof(sum)) == 0);
    return 0;
}

static void test_nested(void **state)
{
    (void)state;
    bits_job job = {make_doubles(ROWS * COLS), ROWS * COLS, 0, 0, 0};
    on_every_count(check_nested, &job);
    free(job.values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_spans),
        cmocka_unit_test(test_grain),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
