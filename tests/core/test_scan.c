/* SPDX-License-Identifier: BSD-2-Clause */
/* test_scan.c — scans agree with a serial loop, in place and apart, and to the bit everywhere. */
#include "on_workers.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weft/parallel.h>

#include "alloc.h"

/* ---- affine maps: associative, not commutative, exact ------------------------------------- */

/* x → scale * x + shift modulo 2^32; combining is composition, left first. */
typedef struct map {
    uint32_t scale;
    uint32_t shift;
} map;

static void compose(void *left, const void *right, void *arg)
{
    (void)arg;
    map first = *(map *)left;
    map then = *(const map *)right;
    *(map *)left = (map){then.scale * first.scale, then.scale * first.shift + then.shift};
}

static void scan_serially(const map *in, map *out, size_t n, int exclusive, map sum)
{
    for (size_t i = 0; i < n; i++) {
        map element = in[i];
        if (exclusive)
            out[i] = sum;
        compose(&sum, &element, NULL);
        if (!exclusive)
            out[i] = sum;
    }
}

enum { MAPS_MOST = 100003 };

typedef struct scan_job {
    map *in;
    map *out;
    map *expected;
} scan_job;

static int check_scan(scan_job *job, size_t n, size_t grain, int exclusive)
{
    map identity = {1, 0};
    if (exclusive)
        identity = (map){3, 1234567}; /* any first value will do */
    weft_scanning how = {sizeof(map), &identity, compose, grain, exclusive};
    scan_serially(job->in, job->expected, n, exclusive, identity);

    job->out[n] = (map){77, 88};
    CHECK(weft_scan(job->in, job->out, n, &how, NULL) == 0);
    CHECK(n == 0 || memcmp(job->out, job->expected, n * sizeof(map)) == 0);
    CHECK(job->out[n].scale == 77 && job->out[n].shift == 88);

    memcpy(job->out, job->in, n * sizeof(map));
    CHECK(weft_scan(job->out, job->out, n, &how, NULL) == 0);
    CHECK(n == 0 || memcmp(job->out, job->expected, n * sizeof(map)) == 0);
    return 0;
}

static int check_scans(void *arg)
{
    static const size_t lengths[] = {0,   1,    2,    3,    15,   16,    17,       32,
                                     100, 1000, 1024, 1025, 5000, 20000, MAPS_MOST};
    static const size_t grains[] = {0, 1, 2, 3, 16, 1000, 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t j = 0; j < sizeof(grains) / sizeof(grains[0]); j++) {
            CHECK_CALL(check_scan(arg, lengths[i], grains[j], 0));
            CHECK_CALL(check_scan(arg, lengths[i], grains[j], 1));
        }
    }
    return 0;
}

static void test_against_serial(void **state)
{
    (void)state;
    size_t bytes = (MAPS_MOST + 1) * sizeof(map);
    scan_job job = {malloc(bytes), malloc(bytes), malloc(bytes)};
    assert_true(job.in != NULL && job.out != NULL && job.expected != NULL);
    uint64_t random = 1;
    for (size_t i = 0; i < MAPS_MOST; i++)
        job.in[i] = (map){(uint32_t)next_random(&random) | 1, (uint32_t)next_random(&random)};
    on_every_count(check_scans, &job);
    free(job.in);
    free(job.out);
    free(job.expected);
}

/* ---- same bits ---------------------------------------------------------------------------- */

enum { DOUBLES = 1000000 };

static void add(void *left, const void *right, void *arg)
{
    (void)arg;
    *(double *)left += *(const double *)right;
}

typedef struct bits_job {
    double *in;
    double *out;
    double *expected;
    int has_expected;
} bits_job;

static int check_bits(void *arg)
{
    bits_job *job = arg;
    weft_scanning how = {.bytes = sizeof(double), .combine = add};
    double *out = job->has_expected ? job->out : job->expected;
    CHECK(weft_scan(job->in, out, DOUBLES, &how, NULL) == 0);
    if (job->has_expected)
        CHECK(memcmp(job->out, job->expected, DOUBLES * sizeof(double)) == 0);
    job->has_expected = 1;
    return 0;
}

static void test_same_bits(void **state)
{
    (void)state;
    size_t bytes = DOUBLES * sizeof(double);
    bits_job job = {malloc(bytes), malloc(bytes), malloc(bytes), 0};
    assert_true(job.in != NULL && job.out != NULL && job.expected != NULL);
    uint64_t random = 11;
    for (size_t i = 0; i < DOUBLES; i++) {
        uint64_t bits = next_random(&random);
        job.in[i] = ((double)(bits >> 11) * 0x1p-53 - 0.5) * (bits % 2 == 0 ? 1e9 : 1e-6);
    }
    on_every_count(check_bits, &job);
    free(job.in);
    free(job.out);
    free(job.expected);
}

/* An inclusive scan adds nothing of its own: 0.0 + -0.0 would be 0.0. */
static int check_negative_zero(void *arg)
{
    (void)arg;
    const double zeros[3] = {-0.0, -0.0, -0.0};
    double out[3] = {1, 1, 1};
    for (size_t grain = 1; grain <= 3; grain++) {
        weft_scanning how = {.bytes = sizeof(double), .combine = add, .grain = grain};
        CHECK(weft_scan(zeros, out, 3, &how, NULL) == 0);
        CHECK(memcmp(out, zeros, sizeof(out)) == 0);
    }
    return 0;
}

static void test_negative_zero(void **state)
{
    (void)state;
    on_every_count(check_negative_zero, NULL);
}

/* ---- sizes, errors, memory ---------------------------------------------------------------- */

static void add_bytes(void *left, const void *right, void *arg)
{
    unsigned char *sum = left;
    const unsigned char *other = right;
    for (size_t i = 0; i < *(const size_t *)arg; i++)
        sum[i] = (unsigned char)(sum[i] + other[i]);
}

/* Elements full of ones, so that each byte of out[i] is i + 1, or i. */
static int check_size(size_t bytes, size_t n, int exclusive)
{
    unsigned char *elements = malloc(n * bytes);
    CHECK(elements != NULL);
    memset(elements, 1, n * bytes);
    weft_scanning how = {bytes, NULL, add_bytes, 3, exclusive};
    int line = weft_scan(elements, elements, n, &how, &bytes) == 0 ? 0 : __LINE__;
    for (size_t i = 0; i < n * bytes && line == 0; i++)
        line = elements[i] == (unsigned char)(i / bytes + !exclusive) ? 0 : __LINE__;
    free(elements);
    return line;
}

static int check_sizes(void *arg)
{
    (void)arg;
    static const size_t sizes[] = {1, 3, 4, 8, 12, 16, 24, 100, WEFT_REDUCE_BYTES_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CHECK_CALL(check_size(sizes[i], 200, 0));
        CHECK_CALL(check_size(sizes[i], 200, 1));
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
    double values[2] = {1, 2};
    const weft_scanning good = {.bytes = sizeof(double), .combine = add};
    weft_scanning how = good;
    how.bytes = 0;
    CHECK(weft_scan(values, values, 2, &how, NULL) == -EINVAL);
    how.bytes = WEFT_REDUCE_BYTES_MAX + 1;
    CHECK(weft_scan(values, values, 2, &how, NULL) == -EINVAL);
    how = good;
    how.combine = NULL;
    CHECK(weft_scan(values, values, 2, &how, NULL) == -EINVAL);
    CHECK(weft_scan(values, values, SIZE_MAX / 4, &good, NULL) == -EINVAL);
    CHECK(weft_scan(NULL, values, 2, &good, NULL) == -EINVAL);
    CHECK(weft_scan(values, NULL, 2, &good, NULL) == -EINVAL);
    CHECK(weft_scan(NULL, NULL, 0, &good, NULL) == 0);
    CHECK(values[0] == 1 && values[1] == 2);
    return 0;
}

static void test_errors(void **state)
{
    (void)state;
    on_every_count(check_errors, NULL);
}

static void test_no_memory(void **state)
{
    (void)state;
    double in[100];
    double out[100];
    for (size_t i = 0; i < 100; i++) {
        in[i] = (double)i;
        out[i] = -1;
    }
    weft_scanning how = {.bytes = sizeof(double), .combine = add, .grain = 10};
    weft__fault_arm(0);
    int rc = weft_scan(in, out, 100, &how, NULL);
    weft__fault_arm(-1);
    assert_int_equal(rc, -ENOMEM);
    for (size_t i = 0; i < 100; i++)
        assert_true(out[i] == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_serial), cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_negative_zero),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
