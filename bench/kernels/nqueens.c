/* SPDX-License-Identifier: BSD-2-Clause */
/* nqueens.c — count the ways to put n queens on a board; a task for each legal placement.
 *
 * A task copies its parent's board of one byte a row and places its own queen, so that it
 * does some 100 ns of honest work. The
 * oracle counts with bit masks, an algorithm that shares nothing with the one that is timed, and
 * is itself compared with the published number where there is one. */
#include "bench.h"

#define ROWS_MAX 15

typedef struct board {
    signed char column[ROWS_MAX + 1]; /* of the queen in each row, counted from 1 */
} board;

static int rows;
static uint64_t result;

static int is_legal(const board *b, int row, int column)
{
    for (int i = 1; i < row; i++) {
        int distance = b->column[i] - column;
        if (distance == 0 || distance == row - i || distance == i - row)
            return 0;
    }
    return 1;
}

/* The parent's board lives in its frame until its children have been joined. The root places no
 * queen: it is row 0, which nobody looks at. */
BENCH_TASK(uint64_t, place_queen, const board *, parent, int, row, int, column)
{
    if (row == rows)
        return 1;
    board own = *parent;
    own.column[row] = (signed char)column;
    const board *b = &own;
    uint64_t ways = 0;
    bench_group(children, place_queen, ROWS_MAX);
    for (int next = 0; next < rows; next++)
        if (is_legal(b, row + 1, next))
            bench_fork(children, place_queen, b, row + 1, next);
    bench_each(children, place_queen, child) ways += child;
    return ways;
}

typedef struct count {
    uint64_t solutions;
    uint64_t placements;
} count;

/* `columns`, `left` and `right` have a bit set for each column that is attacked in this row. */
static void count_by_masks(count *sum, unsigned columns, unsigned left, unsigned right)
{
    unsigned all = (1u << rows) - 1;
    if (columns == all)
        sum->solutions++;
    for (unsigned open = all & ~(columns | left | right); open; open &= open - 1) {
        unsigned bit = open & -open;
        sum->placements++;
        count_by_masks(sum, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
}

static int prepare(bench_problem *problem)
{
    static const uint64_t published[ROWS_MAX + 1] = {
        1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596, 2279184};
    if (problem->size > ROWS_MAX)
        return bench_complain("nqueens: size %ld is over %d", problem->size, ROWS_MAX);
    rows = (int)problem->size;
    count sum = {0, 0};
    count_by_masks(&sum, 0, 0, 0);
    if (sum.solutions != published[rows])
        return bench_complain("nqueens: the oracle itself is wrong for %d rows", rows);
    problem->expected = sum.solutions;
    problem->tasks = sum.placements;
    return 0;
}

static void run(void)
{
    board empty = {{0}};
    result = place_queen(&empty, 0, 0);
}

static uint64_t answer(void)
{
    return result;
}

static bench_kernel kernel = {
    .name = "nqueens",
    .title = "n queens: a task for each legal placement, some 100 ns of work each",
    .group = "",
    .least = 12,
    .quick = 12,
    .full = 13,
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
