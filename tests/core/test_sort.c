/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sort.c — weft_sort() sorts, keeps equal elements in order, and survives bad comparisons. */
#include "on_workers.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weft/atomic.h>
#include <weft/parallel.h>

#include "alloc.h"

/* ---- elements of any size ----------------------------------------------------------------- */

/* An element is a key of one to four bytes, least significant first, and, if there is room, the
 * index at which it started: stability then shows in the element itself. */
typedef struct layout {
    size_t bytes;
    size_t key_bytes;
    size_t compared; /* number of comparisons, counted only if `counting` */
    int counting;
} layout;

static size_t index_bytes(const layout *how)
{
    size_t room = how->bytes - how->key_bytes;
    return room < 4 ? room : 4;
}

static uint32_t load(const unsigned char *bytes, size_t n)
{
    uint32_t value = 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static void store(unsigned char *bytes, size_t n, uint32_t value)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

static int compare_keys(const void *a, const void *b, void *arg)
{
    layout *how = arg;
    if (how->counting)
        weft__fetch_add_relaxed(&how->compared, 1);
    uint32_t left = load(a, how->key_bytes);
    uint32_t right = load(b, how->key_bytes);
    return (left > right) - (left < right);
}

/* How a key follows from its position. */
typedef enum pattern {
    RANDOM,
    FEW_KEYS,
    RISING,
    FALLING,
    FALLING_PAIRS,
    ALL_EQUAL,
    ORGAN_PIPE,
    NEARLY_SORTED,
    PATTERNS
} pattern;

static uint32_t key_at(pattern kind, size_t i, size_t n, uint64_t random)
{
    switch (kind) {
    case FEW_KEYS:
        return (uint32_t)(random % 5);
    case RISING:
        return (uint32_t)i;
    case FALLING:
        return (uint32_t)(n - i);
    case FALLING_PAIRS:
        return (uint32_t)((n - i) / 2);
    case ALL_EQUAL:
        return 42;
    case ORGAN_PIPE:
        return (uint32_t)(i < n / 2 ? i : n - i);
    case NEARLY_SORTED:
        return (uint32_t)(random % 100 == 0 ? random : i);
    default:
        return (uint32_t)random;
    }
}

static void fill(const layout *how, unsigned char *elements, size_t n, pattern kind)
{
    uint64_t random = n + 1;
    memset(elements, 0x5a, n * how->bytes);
    for (size_t i = 0; i < n; i++) {
        unsigned char *element = elements + i * how->bytes;
        uint32_t key = key_at(kind, i, n, next_random(&random) >> 7);
        store(element, how->key_bytes, key);
        store(element + how->key_bytes, index_bytes(how), (uint32_t)i);
    }
}

/* The reference: a merge sort of pointers, as plain as it can be. */
static void sort_serially(const layout *how, const unsigned char **elements,
                          const unsigned char **scratch, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2;
    sort_serially(how, elements, scratch, half);
    sort_serially(how, elements + half, scratch, n - half);
    memcpy(scratch, elements, n * sizeof(*elements));
    size_t left = 0;
    size_t right = half;
    for (size_t i = 0; i < n; i++) {
        int from_left = right == n;
        if (left < half && right < n)
            from_left = load(scratch[left], how->key_bytes) <= load(scratch[right], how->key_bytes);
        elements[i] = from_left ? scratch[left++] : scratch[right++];
    }
}

typedef struct sort_job {
    layout how;
    size_t n;
    pattern kind;
    unsigned char *input;
    unsigned char *expected;
    unsigned char *elements;
} sort_job;

static int run_job(sort_job *job)
{
    size_t bytes = job->how.bytes;
    memcpy(job->elements, job->input, job->n * bytes);
    memset(job->elements + job->n * bytes, 0x77, bytes);
    CHECK(weft_sort(job->elements, job->n, bytes, compare_keys, &job->how) == 0);
    CHECK(memcmp(job->elements, job->expected, job->n * bytes) == 0);
    for (size_t i = 0; i < bytes; i++)
        CHECK(job->elements[job->n * bytes + i] == 0x77);
    return 0;
}

static int start_job(sort_job *job)
{
    size_t bytes = job->how.bytes;
    const unsigned char **pointers = malloc((2 * job->n + 1) * sizeof(*pointers));
    job->input = malloc((job->n + 1) * bytes);
    job->expected = malloc((job->n + 1) * bytes);
    job->elements = malloc((job->n + 1) * bytes);
    CHECK(pointers != NULL && job->input != NULL && job->expected != NULL && job->elements != NULL);
    fill(&job->how, job->input, job->n, job->kind);
    for (size_t i = 0; i < job->n; i++)
        pointers[i] = job->input + i * bytes;
    sort_serially(&job->how, pointers, pointers + job->n, job->n);
    for (size_t i = 0; i < job->n; i++)
        memcpy(job->expected + i * bytes, pointers[i], bytes);
    free(pointers);
    return 0;
}

static void end_job(sort_job *job)
{
    free(job->input);
    free(job->expected);
    free(job->elements);
}

static int check_sort(layout how, size_t n, pattern kind)
{
    sort_job job = {.how = how, .n = n, .kind = kind};
    int line = start_job(&job);
    if (line == 0)
        line = run_job(&job);
    end_job(&job);
    return line;
}

static const layout layouts[] = {
    {.bytes = 1, .key_bytes = 1},  {.bytes = 3, .key_bytes = 1},   {.bytes = 4, .key_bytes = 2},
    {.bytes = 8, .key_bytes = 4},  {.bytes = 16, .key_bytes = 4},  {.bytes = 24, .key_bytes = 4},
    {.bytes = 13, .key_bytes = 2}, {.bytes = 300, .key_bytes = 3},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int check_every_small_size(void *arg)
{
    (void)arg;
    for (size_t n = 0; n <= 70; n++)
        for (size_t i = 0; i < COUNT(layouts); i++)
            for (pattern kind = 0; kind < PATTERNS; kind++)
                CHECK_CALL(check_sort(layouts[i], n, kind));
    return 0;
}

static void test_small(void **state)
{
    (void)state;
    on_every_count(check_every_small_size, NULL);
}

static int check_patterns(void *arg)
{
    (void)arg;
    static const size_t lengths[] = {100, 1023, 1025, 2049, 6007};
    for (size_t n = 0; n < COUNT(lengths); n++)
        for (size_t i = 0; i < COUNT(layouts); i++)
            for (pattern kind = 0; kind < PATTERNS; kind++)
                CHECK_CALL(check_sort(layouts[i], lengths[n], kind));
    return 0;
}

static void test_patterns(void **state)
{
    (void)state;
    on_every_count(check_patterns, NULL);
}

static int check_large(void *arg)
{
    return run_job(arg);
}

static void test_large(void **state)
{
    (void)state;
    for (pattern kind = 0; kind < PATTERNS; kind++) {
        sort_job job = {.how = layouts[3], .n = 100003, .kind = kind};
        assert_int_equal(start_job(&job), 0);
        on_every_count(check_large, &job);
        end_job(&job);
    }
}

/* ---- order that is there is used ---------------------------------------------------------- */

static int check_comparisons(size_t n, pattern kind, size_t compared_most)
{
    layout how = {.bytes = 8, .key_bytes = 4, .counting = 1};
    unsigned char *elements = malloc(n * how.bytes);
    CHECK(elements != NULL);
    fill(&how, elements, n, kind);
    int rc = weft_sort(elements, n, how.bytes, compare_keys, &how);
    free(elements);
    CHECK(rc == 0);
    CHECK(how.compared <= compared_most);
    return 0;
}

static int check_effort(void *arg)
{
    (void)arg;
    size_t n = 1 << 16;
    CHECK_CALL(check_comparisons(n, RISING, n));
    CHECK_CALL(check_comparisons(n, ALL_EQUAL, n));
    CHECK_CALL(check_comparisons(n, FALLING, n + 2));
    CHECK_CALL(check_comparisons(n, ORGAN_PIPE, 7 * n));
    CHECK_CALL(check_comparisons(n, RANDOM, 17 * n));
    return 0;
}

static void test_effort(void **state)
{
    (void)state;
    on_every_count(check_effort, NULL);
}

/* ---- comparisons that lie, alignment, errors ---------------------------------------------- */

static int compare_at_random(const void *a, const void *b, void *arg)
{
    (void)a;
    (void)b;
    uint64_t random = weft__fetch_add_relaxed((uint64_t *)arg, 1);
    return (int)(next_random(&random) % 3) - 1;
}

/* Whatever the comparison says, every element is still there once. */
static int check_liar(void *arg)
{
    (void)arg;
    enum { N = 30000 };
    uint32_t *elements = malloc(N * sizeof(*elements));
    unsigned char *seen = calloc(N, 1);
    CHECK(elements != NULL && seen != NULL);
    for (uint32_t i = 0; i < N; i++)
        elements[i] = i;
    uint64_t seed = 0;
    int line = 0;
    if (weft_sort(elements, N, sizeof(*elements), compare_at_random, &seed) != 0)
        line = __LINE__;
    for (size_t i = 0; i < N && line == 0; i++)
        line = elements[i] < N && ++seen[elements[i]] == 1 ? 0 : __LINE__;
    free(elements);
    free(seen);
    return line;
}

static void test_liar(void **state)
{
    (void)state;
    on_every_count(check_liar, NULL);
}

typedef struct wide {
    _Alignas(64) int key;
} wide;

static int compare_wide(const void *a, const void *b, void *arg)
{
    *(int *)arg |= (uintptr_t)a % 64 != 0 || (uintptr_t)b % 64 != 0;
    return ((const wide *)a)->key - ((const wide *)b)->key;
}

/* The copy is aligned as the array is. In a plain thread only: the comparison writes its arg. */
static void test_alignment(void **state)
{
    (void)state;
    enum { N = 200 };
    for (int n = 3; n <= N; n += 7) {
        wide elements[N];
        for (int i = 0; i < n; i++)
            elements[i].key = i * 37 % 101;
        int misaligned = 0;
        int rc = weft_sort(elements, (size_t)n, sizeof(wide), compare_wide, &misaligned);
        assert_int_equal(rc, 0);
        assert_false(misaligned);
        for (int i = 1; i < n; i++)
            assert_true(elements[i - 1].key <= elements[i].key);
    }
}

static int check_errors(void *arg)
{
    (void)arg;
    layout how = layouts[3];
    unsigned char element[8] = {0};
    CHECK(weft_sort(element, 1, 0, compare_keys, &how) == -EINVAL);
    CHECK(weft_sort(element, SIZE_MAX, 8, compare_keys, &how) == -EINVAL);
    CHECK(weft_sort(element, SIZE_MAX / 8 + 2, 8, compare_keys, &how) == -EINVAL);
    CHECK(weft_sort(element, 2, SIZE_MAX, compare_keys, &how) == -EINVAL);
    CHECK(weft_sort(NULL, 2, 8, compare_keys, &how) == -EINVAL);
    CHECK(weft_sort(NULL, 0, 8, compare_keys, &how) == 0);
    CHECK(weft_sort(element, 1, 8, compare_keys, &how) == 0);
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
    layout how = layouts[3];
    unsigned char elements[8 * 1000];
    unsigned char before[sizeof(elements)];
    fill(&how, elements, 1000, RANDOM);
    memcpy(before, elements, sizeof(elements));
    weft__fault_arm(0);
    int rc = weft_sort(elements, 1000, how.bytes, compare_keys, &how);
    weft__fault_arm(-1);
    assert_int_equal(rc, -ENOMEM);
    assert_memory_equal(elements, before, sizeof(elements));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),  cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_effort),
        cmocka_unit_test(test_liar),   cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
