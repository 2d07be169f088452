/* SPDX-License-Identifier: BSD-2-Clause */
/* test_parallel_for.c — loops call the body exactly once for every index, in legal pieces. */
#include "on_workers.h"

#include <stdlib.h>

#include <weft/atomic.h>
#include <weft/parallel.h>

/* ---- one axis ----------------------------------------------------------------------------- */

typedef struct coverage {
    weft_range range;      /* as the loop was given it */
    unsigned char *counts; /* one for each index, from range.begin on */
    int broken;            /* line of a broken rule; any piece may store it */
    size_t pieces;
} coverage;

static int piece_is_legal(const coverage *seen, weft_range piece)
{
    CHECK(piece.begin < piece.end);
    CHECK(piece.begin >= seen->range.begin && piece.end <= seen->range.end);
    CHECK(piece.grain >= 1 && piece.end - piece.begin <= piece.grain);
    CHECK(seen->range.grain == 0 || piece.grain == seen->range.grain);
    CHECK((piece.begin - seen->range.begin) % piece.grain == 0);
    CHECK(piece.end == seen->range.end || piece.end - piece.begin == piece.grain);
    return 0;
}

static void cover(weft_range piece, void *arg)
{
    coverage *seen = arg;
    int line = piece_is_legal(seen, piece);
    if (line != 0) {
        weft__store_relaxed(&seen->broken, line);
        return;
    }
    weft__fetch_add_relaxed(&seen->pieces, 1);
    for (size_t i = piece.begin; i < piece.end; i++)
        seen->counts[i - seen->range.begin]++;
}

/* Loop over [begin, begin + n) and look at every count. */
static int check_loop(size_t begin, size_t n, size_t grain)
{
    coverage seen = {{begin, begin + n, grain}, calloc(n + 1, 1), 0, 0};
    CHECK(seen.counts != NULL);
    weft_parallel_for(seen.range, cover, &seen);
    int line = seen.broken;
    for (size_t i = 0; i < n && line == 0; i++)
        line = seen.counts[i] == 1 ? 0 : __LINE__;
    free(seen.counts);
    CHECK_CALL(line);
    if (grain != 0)
        CHECK(seen.pieces == n / grain + (n % grain != 0));
    else
        CHECK(seen.pieces <= (weft_num_workers(NULL) == 0 ? 1 : 64 * weft_num_workers(NULL)));
    return 0;
}

static const size_t lengths[] = {0, 1, 2, 3, 7, 8, 63, 64, 65, 100, 1000, 1023, 4097, 20000};
static const size_t grains[] = {0, 1, 2, 3, 8, 64, 1000, 5000, SIZE_MAX};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int check_coverage(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t j = 0; j < COUNT(grains); j++) {
            CHECK_CALL(check_loop(0, lengths[i], grains[j]));
            CHECK_CALL(check_loop(12345, lengths[i], grains[j]));
            CHECK_CALL(check_loop(SIZE_MAX - lengths[i], lengths[i], grains[j]));
        }
    }
    return 0;
}

static void test_coverage(void **state)
{
    (void)state;
    on_every_count(check_coverage, NULL);
}

static void count_piece(weft_range piece, void *arg)
{
    (void)piece;
    weft__fetch_add_relaxed((size_t *)arg, 1);
}

static void add_length(weft_range piece, void *arg)
{
    weft__fetch_add_relaxed((size_t *)arg, piece.end - piece.begin);
}

static int check_extremes(void *arg)
{
    (void)arg;
    size_t pieces = 0;
    weft_parallel_for((weft_range){5, 5, 0}, count_piece, &pieces);
    weft_parallel_for((weft_range){6, 5, 1}, count_piece, &pieces);
    weft_parallel_for((weft_range){SIZE_MAX, 0, 0}, count_piece, &pieces);
    CHECK(pieces == 0);
    weft_parallel_for((weft_range){0, SIZE_MAX, SIZE_MAX}, count_piece, &pieces);
    CHECK(pieces == 1);
    weft_parallel_for((weft_range){0, SIZE_MAX, SIZE_MAX / 2}, count_piece, &pieces);
    CHECK(pieces == 4);
    size_t total = 0;
    weft_parallel_for((weft_range){0, SIZE_MAX, 0}, add_length, &total);
    CHECK(total == SIZE_MAX);
    total = 0;
    weft_parallel_for((weft_range){1, SIZE_MAX, SIZE_MAX / 1000}, add_length, &total);
    CHECK(total == SIZE_MAX - 1);
    return 0;
}

static void test_extremes(void **state)
{
    (void)state;
    on_every_count(check_extremes, NULL);
}

/* ---- nested ------------------------------------------------------------------------------- */

enum { OUTER = 40, INNER = 300 };

typedef struct nest {
    unsigned char counts[OUTER][INNER];
} nest;

static void nest_inner(weft_range piece, void *arg)
{
    unsigned char *row = arg;
    for (size_t i = piece.begin; i < piece.end; i++)
        row[i]++;
}

static void nest_outer(weft_range piece, void *arg)
{
    nest *nested = arg;
    for (size_t i = piece.begin; i < piece.end; i++)
        weft_parallel_for((weft_range){0, INNER, i % 3}, nest_inner, nested->counts[i]);
}

static int check_nested(void *arg)
{
    (void)arg;
    nest nested = {{{0}}};
    weft_parallel_for((weft_range){0, OUTER, 0}, nest_outer, &nested);
    for (size_t i = 0; i < OUTER; i++)
        for (size_t j = 0; j < INNER; j++)
            CHECK(nested.counts[i][j] == 1);
    return 0;
}

static void test_nested(void **state)
{
    (void)state;
    on_every_count(check_nested, NULL);
}

/* ---- two and three axes ------------------------------------------------------------------- */

typedef struct grid {
    weft_range3 range;
    unsigned char *counts; /* planes × rows × cols */
    int broken;
} grid;

static size_t side(weft_range range)
{
    return range.begin < range.end ? range.end - range.begin : 0;
}

/* The rules for one axis of a piece. */
static int side_is_legal(weft_range whole, weft_range piece)
{
    coverage seen = {.range = whole};
    return piece_is_legal(&seen, piece);
}

static int piece3_is_legal(const grid *seen, weft_range3 piece)
{
    CHECK_CALL(side_is_legal(seen->range.planes, piece.planes));
    CHECK_CALL(side_is_legal(seen->range.rows, piece.rows));
    CHECK_CALL(side_is_legal(seen->range.cols, piece.cols));
    return 0;
}

static void cover3(weft_range3 piece, void *arg)
{
    grid *seen = arg;
    weft_range3 all = seen->range;
    int line = piece3_is_legal(seen, piece);
    if (line != 0) {
        weft__store_relaxed(&seen->broken, line);
        return;
    }
    for (size_t p = piece.planes.begin; p < piece.planes.end; p++) {
        for (size_t r = piece.rows.begin; r < piece.rows.end; r++) {
            size_t row = (p - all.planes.begin) * side(all.rows) + (r - all.rows.begin);
            for (size_t c = piece.cols.begin; c < piece.cols.end; c++)
                seen->counts[row * side(all.cols) + (c - all.cols.begin)]++;
        }
    }
}

static void cover2(weft_range2 piece, void *arg)
{
    cover3((weft_range3){{0, 1, 1}, piece.rows, piece.cols}, arg);
}

/* Run a loop over the box, as a rectangle if `flat`. */
static int check_grid(weft_range3 range, int flat)
{
    size_t n = side(range.planes) * side(range.rows) * side(range.cols);
    grid seen = {range, calloc(n + 1, 1), 0};
    CHECK(seen.counts != NULL);
    if (flat)
        weft_parallel_for2((weft_range2){range.rows, range.cols}, cover2, &seen);
    else
        weft_parallel_for3(range, cover3, &seen);
    int line = seen.broken;
    for (size_t i = 0; i < n && line == 0; i++)
        line = seen.counts[i] == 1 ? 0 : __LINE__;
    free(seen.counts);
    return line;
}

static const weft_range sides[] = {
    {0, 1, 0},   {0, 37, 0},  {10, 74, 5}, {0, 100, 100}, {9, 9, 1}, {SIZE_MAX - 20, SIZE_MAX, 3},
    {3, 300, 0}, {0, 128, 1},
};

static int check_grids(void *arg)
{
    (void)arg;
    weft_range plane = {0, 1, 1};
    for (size_t r = 0; r < COUNT(sides); r++) {
        for (size_t c = 0; c < COUNT(sides); c++) {
            CHECK_CALL(check_grid((weft_range3){plane, sides[r], sides[c]}, 1));
            CHECK_CALL(check_grid((weft_range3){{0, 3, 0}, sides[r], sides[c]}, 0));
            CHECK_CALL(check_grid((weft_range3){sides[c], sides[r], {2, 9, 2}}, 0));
        }
    }
    return 0;
}

static void test_grids(void **state)
{
    (void)state;
    on_every_count(check_grids, NULL);
}

static void keep_narrowest(weft_range2 piece, void *arg)
{
    size_t *shortest = arg;
    size_t width = side(piece.cols);
    size_t seen = weft__load_relaxed(shortest);
    while (width < seen && !weft__cas_relaxed(shortest, &seen, width)) {}
}

/* Open grains cut rows apart, not through, as long as there are enough of them. */
static int check_rows_stay_whole(void *arg)
{
    (void)arg;
    size_t shortest = SIZE_MAX;
    weft_parallel_for2((weft_range2){{0, 5000, 0}, {0, 777, 0}}, keep_narrowest, &shortest);
    CHECK(shortest == 777);
    return 0;
}

static void test_rows_stay_whole(void **state)
{
    (void)state;
    on_every_count(check_rows_stay_whole, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coverage),        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_nested),          cmocka_unit_test(test_grids),
        cmocka_unit_test(test_rows_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
