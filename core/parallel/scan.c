/* SPDX-License-Identifier: BSD-2-Clause */
/* scan.c — prefix sums, with the same bits on every machine.
 *
 * Two passes over the array and a tree between them:
 *
 *     up      every piece is summed; neighbouring totals are combined on the way to the root
 *     down    every piece learns the sum of all before it, and is scanned beginning with that
 *
 * The totals of the tree need one slot a piece. The total of pieces first … last - 1 lies in slot
 * last - 1, so a node's left child keeps its own slot while the right child's becomes the node's:
 *
 *     slots          0       1       2       3
 *     pieces        [0]     [1]     [2]     [3]
 *     one up        [0]    [0-1]    [2]    [2-3]
 *     up            [0]    [0-1]    [2]    [0-3]     the last slot is never used: nobody follows
 *     down          [0]    [0-1]   [0-2]             slot m - 1: the sum of all before piece m
 *
 * On the way down each node combines what lies before it with its left child's total; the result
 * is what lies before its right child, and replaces that total, which nobody else reads. So no
 * pass is serial, and an expensive operation scales.
 *
 * As in reduce.c, pieces and tree depend on the length and the grain only.
 *
 * An inclusive scan never touches the identity: -0.0 remains -0.0. An exclusive one begins with it,
 * so that it may be any first value.
 *
 * Rejected:
 *   - one pass with look-back to pieces still in progress: a piece that waits for its predecessor
 *     needs it to run, which a task may not assume;
 *   - a serial sweep over the totals: it is the whole time when elements are few and expensive;
 *   - keeping each piece's local scan in `out` and adding the prefix afterwards: the same number
 *     of operations, one write of the array more, and rounding that differs from a plain loop. */
#include <errno.h>

#include "alloc.h"
#include "element.h"
#include "pieces.h"

#include <weft/task.h>

/* Elements that an automatic piece has at least: a scan in pieces takes two operations an element
 * and two a piece, where the plain loop takes one an element. */
#define SCAN_GRAIN_LEAST ((size_t)16)

typedef struct weft__scan {
    const char *in;
    char *out;
    char *totals;     /* a slot for each piece but the last */
    weft_range range; /* 0 … n - 1, its grain set */
    size_t pieces;
    const weft_scanning *how;
    void *arg;
} weft__scan;

/* *right = *left op *right, though the user's function wants it the other way round. Out of line,
 * for the value in its frame. */
static WEFT__NOINLINE void prepend(const weft__scan *scan, const void *left, void *right)
{
    void *sum = WEFT__IN_FRAME(scan->how->bytes);
    weft__element_copy(sum, left, scan->how->bytes);
    scan->how->combine(sum, right, scan->arg);
    weft__element_copy(right, sum, scan->how->bytes);
}

/* The slot that ends up with the sum of all elements before piece `index`, at least 1. */
static char *total_before(const weft__scan *scan, size_t index)
{
    return scan->totals + (index - 1) * scan->how->bytes;
}

/* ---- up --------------------------------------------------------------------------------- */

static WEFT__NOINLINE void sum_piece(const weft__scan *scan, size_t index)
{
    size_t bytes = scan->how->bytes;
    weft_range piece = weft__range_piece(scan->range, index);
    const char *in = scan->in + piece.begin * bytes;
    const char *end = scan->in + piece.end * bytes;
    void *sum = WEFT__IN_FRAME(bytes);
    weft__element_copy(sum, in, bytes);
    for (in += bytes; in != end; in += bytes)
        scan->how->combine(sum, in, scan->arg);
    weft__element_copy(total_before(scan, index + 1), sum, bytes);
}

/* Leave the total of pieces first … last - 1, at least one, in its slot; unless nobody follows. */
WEFT_VOID_TASK(weft__scan_up, const weft__scan *, scan, size_t, first, size_t, last)
{
    if (last - first == 1) {
        if (last < scan->pieces)
            sum_piece(scan, first);
        return;
    }
    size_t middle = first + (last - first) / 2;
    weft_spawn(upper, weft__scan_up, scan, middle, last);
    weft__scan_up(scan, first, middle);
    weft_join(upper);
    if (last < scan->pieces)
        prepend(scan, total_before(scan, middle), total_before(scan, last));
}

/* ---- down ------------------------------------------------------------------------------- */

/* `before` is the sum of all that lies before the piece; NULL: nothing does. */
static WEFT__NOINLINE void scan_inclusive(const weft__scan *scan, weft_range piece,
                                          const void *before)
{
    size_t bytes = scan->how->bytes;
    const char *in = scan->in + piece.begin * bytes;
    const char *end = scan->in + piece.end * bytes;
    char *out = scan->out + piece.begin * bytes;
    void *sum = WEFT__IN_FRAME(bytes);
    weft__element_copy(sum, before == NULL ? in : before, bytes);
    if (before == NULL) {
        weft__element_copy(out, sum, bytes);
        in += bytes;
        out += bytes;
    }
    for (; in != end; in += bytes, out += bytes) {
        scan->how->combine(sum, in, scan->arg);
        weft__element_copy(out, sum, bytes);
    }
}

/* In place, out[i] is in[i]: the element is saved before the sum that leaves it out is stored. */
static WEFT__NOINLINE void scan_exclusive(const weft__scan *scan, weft_range piece,
                                          const void *before)
{
    size_t bytes = scan->how->bytes;
    const char *in = scan->in + piece.begin * bytes;
    const char *last = scan->in + (piece.end - 1) * bytes;
    char *out = scan->out + piece.begin * bytes;
    void *sum = WEFT__IN_FRAME(bytes);
    void *next = WEFT__IN_FRAME(bytes);
    weft__element_copy(sum, before, bytes);
    for (; in != last; in += bytes, out += bytes) {
        weft__element_copy(next, in, bytes);
        weft__element_copy(out, sum, bytes);
        scan->how->combine(sum, next, scan->arg);
    }
    weft__element_copy(out, sum, bytes);
}

/* Scan the pieces first … last - 1, at least one, of which `before` is the sum of all before. */
WEFT_VOID_TASK(weft__scan_down, const weft__scan *, scan, size_t, first, size_t, last, const void *,
               before)
{
    if (last - first == 1) {
        weft_range piece = weft__range_piece(scan->range, first);
        if (scan->how->exclusive)
            scan_exclusive(scan, piece, before);
        else
            scan_inclusive(scan, piece, before);
        return;
    }
    size_t middle = first + (last - first) / 2;
    char *before_middle = total_before(scan, middle);
    if (before != NULL)
        prepend(scan, before, before_middle);
    weft_spawn(upper, weft__scan_down, scan, middle, last, before_middle);
    weft__scan_down(scan, first, middle, before);
    weft_join(upper);
}

/* ---- both ------------------------------------------------------------------------------- */

static int is_valid(const void *in, const void *out, size_t n, const weft_scanning *how)
{
    if (how->combine == NULL || how->bytes == 0 || how->bytes > WEFT_REDUCE_BYTES_MAX)
        return 0;
    return n == 0 || (in != NULL && out != NULL && n <= PTRDIFF_MAX / how->bytes);
}

/* At most 4096 pieces, however fine a grain was asked for: a piece of a scan is not visible to
 * anyone, and the totals stay small. */
static size_t scan_grain(size_t n, size_t wanted)
{
    size_t least = wanted == 0 ? weft__grain_fixed(n) : weft__divide_up(n, WEFT__LEAVES_MOST);
    if (wanted == 0)
        wanted = SCAN_GRAIN_LEAST;
    return wanted > least ? wanted : least;
}

static WEFT__NOINLINE void run_passes(const weft__scan *scan)
{
    size_t bytes = scan->how->bytes;
    void *first = NULL;
    if (scan->how->exclusive) {
        first = WEFT__IN_FRAME(bytes);
        if (scan->how->identity != NULL)
            memcpy(first, scan->how->identity, bytes);
        else
            memset(first, 0, bytes);
    }
    if (scan->pieces > 1)
        weft__scan_up(scan, 0, scan->pieces);
    weft__scan_down(scan, 0, scan->pieces, first);
}

int weft_scan(const void *in, void *out, size_t n, const weft_scanning *how, void *arg)
{
    if (!is_valid(in, out, n, how))
        return -EINVAL;
    if (n == 0)
        return 0;
    weft__scan scan = {in, out, NULL, {0, n, scan_grain(n, how->grain)}, 0, how, arg};
    scan.pieces = weft__range_pieces(scan.range);
    void *room = NULL;
    if (scan.pieces > 1) {
        room = weft__alloc((scan.pieces - 1) * how->bytes + WEFT__LINE);
        if (room == NULL)
            return -ENOMEM;
        scan.totals = weft__element_align(room, in);
    }
    run_passes(&scan);
    weft__free(room);
    return 0;
}
