/* SPDX-License-Identifier: BSD-2-Clause */
/* for.c — loops over ranges, rectangles and boxes.
 *
 * A loop is a recursion over piece numbers: spawn the upper half, run the lower half in place,
 * join. A single piece is handed to the body. The spawns stay in the worker's private list, where
 * one costs a few nanoseconds and can nevertheless be stolen at any time, largest first.
 *
 *     pieces 0 … 7     0-7 ──spawn──▶ 4-7 ──────▶ 6-7      oldest = largest: what a thief takes
 *                       └─▶ 0-3 ──spawn──▶ 2-3
 *                            └─▶ 0-1 ──spawn──▶ 1
 *                                 └─▶ 0: body(piece 0)
 *
 * Rectangles and boxes are the same recursion on up to three axes: the axis with the most pieces
 * is halved, so tiles approach the shape the grains ask for and a thief gets a compact part.
 *
 * Rejected:
 *   - splitting only when a thief asks: it saves a spawn for each piece, and costs a test in every
 *     loop, a second scheduling protocol, and work that a body which runs long keeps to itself;
 *   - one task for each piece, spawned in a row: a thief takes one piece at a time, and the tasks
 *     need an array as long as the range;
 *   - handing out pieces from a shared counter: every worker writes one line, neighbouring pieces
 *     land on different workers, and nested loops need a counter each.
 *
 * Never: a piece that is empty, longer than the grain, or run twice. */
#include "cut.h"
#include "pieces.h"

#include <weft/runtime.h>
#include <weft/task.h>

/* About as many pieces as a loop whose grain is automatic should have. Outside a runtime it is
 * one: nobody could take another. */
static size_t pieces_wanted(void)
{
    size_t workers = weft_num_workers(NULL);
    return workers == 0 ? 1 : workers * WEFT__PIECES_PER_WORKER;
}

/* ---- one axis --------------------------------------------------------------------------- */

typedef struct weft__loop {
    weft_range range; /* not empty, its grain set */
    weft_body *body;
    void *arg;
    weft__cut cut;
} weft__loop;

/* Run pieces first … last - 1, at least one. */
WEFT_VOID_TASK(weft__loop_run, weft__loop *, loop, size_t, first, size_t, last)
{
    if (last - first == 1) {
        weft__piece piece = weft__cut_enter(&loop->cut);
        if (piece != WEFT__PIECE_LEFT_OUT)
            loop->body(weft__range_piece(loop->range, first), loop->arg);
        weft__cut_leave(piece);
        return;
    }
    size_t middle = first + (last - first) / 2;
    weft_spawn(upper, weft__loop_run, loop, middle, last);
    weft__loop_run(loop, first, middle);
    weft_join(upper);
}

int weft_parallel_for(weft_range range, weft_body *body, void *arg)
{
    size_t n = weft__range_length(range);
    if (n == 0)
        return 0;
    if (range.grain == 0)
        range.grain = weft__divide_up(n, pieces_wanted());
    weft__loop loop = {range, body, arg, weft__cut_begin()};
    weft__loop_run(&loop, 0, weft__range_pieces(range));
    return weft__cut_end(&loop.cut);
}

/* ---- two and three axes ----------------------------------------------------------------- */

enum { PLANES, ROWS, COLS, AXES };

/* Which body a grid has. */
typedef union weft__grid_body {
    weft_body2 *two;
    weft_body3 *three;
} weft__grid_body;

typedef struct weft__grid {
    weft_range axis[AXES]; /* none empty, all grains set; a rectangle has a single plane */
    weft__grid_body body;
    int is_box;
    void *arg;
    weft__cut cut;
} weft__grid;

/* A block of pieces: piece numbers first … last - 1 on every axis. */
typedef struct weft__block {
    size_t first[AXES];
    size_t last[AXES];
} weft__block;

/* The axis along which a block has the most pieces; the outer one of equals, because rows that
 * stay whole are contiguous in memory. */
static size_t longest_axis(const weft__block *block)
{
    size_t longest = PLANES;
    for (size_t axis = ROWS; axis < AXES; axis++)
        if (block->last[axis] - block->first[axis] > block->last[longest] - block->first[longest])
            longest = axis;
    return longest;
}

static void call_body(const weft__grid *grid, const weft__block *block)
{
    weft_range rows = weft__range_piece(grid->axis[ROWS], block->first[ROWS]);
    weft_range cols = weft__range_piece(grid->axis[COLS], block->first[COLS]);
    if (!grid->is_box) {
        grid->body.two((weft_range2){rows, cols}, grid->arg);
        return;
    }
    weft_range planes = weft__range_piece(grid->axis[PLANES], block->first[PLANES]);
    grid->body.three((weft_range3){planes, rows, cols}, grid->arg);
}

/* Call the body on a block of one piece. */
static void run_piece(weft__grid *grid, const weft__block *block)
{
    weft__piece piece = weft__cut_enter(&grid->cut);
    if (piece != WEFT__PIECE_LEFT_OUT)
        call_body(grid, block);
    weft__cut_leave(piece);
}

WEFT_VOID_TASK(weft__grid_run, weft__grid *, grid, weft__block, block)
{
    size_t axis = longest_axis(&block);
    size_t pieces = block.last[axis] - block.first[axis];
    if (pieces == 1) {
        run_piece(grid, &block);
        return;
    }
    weft__block far = block;
    far.first[axis] += pieces / 2;
    block.last[axis] = far.first[axis];
    weft_spawn(upper, weft__grid_run, grid, far);
    weft__grid_run(grid, block);
    weft_join(upper);
}

/* Set the grains that were left open, so that the grid has about as many pieces as wanted. What
 * the given grains already yield is counted first; the rest is cut from outer axes before inner
 * ones, so that a body's inner loop stays as long as it can. */
static void choose_grains(weft_range *axes)
{
    size_t wanted = pieces_wanted();
    for (int given = 1; given >= 0; given--) {
        for (weft_range *axis = axes; axis < axes + AXES; axis++) {
            if ((axis->grain != 0) != given)
                continue;
            if (!given)
                axis->grain = weft__divide_up(weft__range_length(*axis), wanted);
            wanted /= weft__range_pieces(*axis);
            wanted += wanted == 0;
        }
    }
}

static int run_grid(weft__grid *grid)
{
    for (size_t axis = 0; axis < AXES; axis++)
        if (weft__range_length(grid->axis[axis]) == 0)
            return 0;
    choose_grains(grid->axis);
    weft__block block;
    for (size_t axis = 0; axis < AXES; axis++) {
        block.first[axis] = 0;
        block.last[axis] = weft__range_pieces(grid->axis[axis]);
    }
    weft__grid_run(grid, block);
    return weft__cut_end(&grid->cut);
}

int weft_parallel_for2(weft_range2 range, weft_body2 *body, void *arg)
{
    weft_range plane = {0, 1, 1};
    weft__grid grid = {{plane, range.rows, range.cols}, {.two = body}, 0, arg, weft__cut_begin()};
    return run_grid(&grid);
}

int weft_parallel_for3(weft_range3 range, weft_body3 *body, void *arg)
{
    weft__grid grid = {
        {range.planes, range.rows, range.cols}, {.three = body}, 1, arg, weft__cut_begin()};
    return run_grid(&grid);
}
