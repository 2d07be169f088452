/* SPDX-License-Identifier: BSD-2-Clause */
/* reduce.c — fold a range to one value, with the same bits on every machine.
 *
 * The range is cut into pieces, each piece folded into a value of its own that begins as the
 * identity, and the values combined along a binary tree, left before right:
 *
 *     leaf 0   leaf 1   leaf 2   leaf 3        value = ((v0 op v1) op (v2 op v3))
 *        \       /         \       /
 *         v0 op v1          v2 op v3           left: where the parent wants it
 *              \              /                right: in the frame that spawned it
 *               ──────  op ──
 *
 * Why the bits cannot differ: the pieces follow from (begin, end, grain); the automatic grain
 * follows from the length; the leaves and the tree follow from the number of pieces. Neither the
 * number of workers nor who ran what enters any of them, and a combination happens in the task that
 * spawned the right half, after its join, whoever computed the two values. A serial run takes the
 * same steps in the same order.
 *
 * Values live in frames: nothing is allocated, so a reduction cannot fail half way. The tree has at
 * most 4096 leaves, hence at most twelve levels, and a stack holds at most one value a level. A
 * range with more pieces than that puts several neighbouring ones into a leaf, which folds them
 * one after the other.
 *
 * Rejected:
 *   - a value for each worker, combined at the end: the order of additions is then a race;
 *   - an array of values, one a piece: megabytes for what twelve frames can hold;
 *   - folding on into the last piece's value where one worker runs two pieces in a row: saves a
 *     combination, and makes the result depend on who ran what. */
#include <errno.h>

#include "cut.h"
#include "element.h"
#include "pieces.h"

#include <weft/task.h>

typedef struct weft__reduce {
    weft_range range; /* not empty, its grain set */
    size_t pieces;    /* of the range */
    size_t group;     /* pieces in a leaf of the tree */
    const weft_reduction *how;
    void *arg;
    weft__cut cut;
} weft__reduce;

static void start(const weft_reduction *how, void *value)
{
    if (how->identity != NULL)
        weft__element_copy(value, how->identity, how->bytes);
    else
        memset(value, 0, how->bytes);
}

static void fold_piece(weft__reduce *reduce, size_t index, void *value)
{
    start(reduce->how, value);
    weft__piece piece = weft__cut_enter(&reduce->cut);
    if (piece != WEFT__PIECE_LEFT_OUT)
        reduce->how->piece(weft__range_piece(reduce->range, index), value, reduce->arg);
    weft__cut_leave(piece);
}

/* Fold the pieces first … last - 1, of which there are at least two, one after the other. */
static WEFT__NOINLINE void fold_pieces(weft__reduce *reduce, size_t first, size_t last, void *value)
{
    void *next = WEFT__IN_FRAME(reduce->how->bytes);
    fold_piece(reduce, first, value);
    for (size_t index = first + 1; index < last; index++) {
        fold_piece(reduce, index, next);
        reduce->how->combine(value, next, reduce->arg);
    }
}

static void fold_leaf(weft__reduce *reduce, size_t leaf, void *value)
{
    size_t first = leaf * reduce->group;
    size_t left = reduce->pieces - first;
    if (left == 1 || reduce->group == 1)
        fold_piece(reduce, first, value);
    else
        fold_pieces(reduce, first, first + (left < reduce->group ? left : reduce->group), value);
}

/* Reduce the leaves first … last - 1, at least one, to *value. */
WEFT_VOID_TASK(weft__reduce_run, weft__reduce *, reduce, size_t, first, size_t, last, void *, value)
{
    if (last - first == 1) {
        fold_leaf(reduce, first, value);
        return;
    }
    void *right = WEFT__IN_FRAME(reduce->how->bytes);
    size_t middle = first + (last - first) / 2;
    weft_spawn(upper, weft__reduce_run, reduce, middle, last, right);
    weft__reduce_run(reduce, first, middle, value);
    weft_join(upper);
    reduce->how->combine(value, right, reduce->arg);
}

int weft_reduce(weft_range range, const weft_reduction *how, void *value, void *arg)
{
    if (how->bytes == 0 || how->bytes > WEFT_REDUCE_BYTES_MAX)
        return -EINVAL;
    if (how->piece == NULL || how->combine == NULL)
        return -EINVAL;
    size_t n = weft__range_length(range);
    /* Not `value` itself: it may be unaligned, or be what `identity` points to. */
    void *total = WEFT__IN_FRAME(how->bytes);
    int rc = 0;
    if (n == 0) {
        start(how, total);
    } else {
        if (range.grain == 0)
            range.grain = weft__grain_fixed(n);
        size_t pieces = weft__range_pieces(range);
        size_t group = weft__divide_up(pieces, WEFT__LEAVES_MOST);
        weft__reduce reduce = {range, pieces, group, how, arg, weft__cut_begin()};
        weft__reduce_run(&reduce, 0, weft__divide_up(pieces, group), total);
        rc = weft__cut_end(&reduce.cut);
    }
    if (rc == 0)
        memcpy(value, total, how->bytes);
    return rc;
}
