/* SPDX-License-Identifier: BSD-2-Clause */
/* pieces.h — how a range is cut, once for everything in this folder.
 *
 * A range of n indices with grain g has ceil(n / g) pieces. Piece i begins at begin + i * g and is
 * g long; only the last one may be shorter. Recursion therefore runs over piece numbers, and a
 * body can compute its piece's number as (piece.begin - begin) / piece.grain.
 *
 * Rejected: halving the indices themselves until a half fits the grain. Pieces then have any
 * length between g/2 and g, begin anywhere, and are up to twice as many as the user asked for.
 *
 * There are two automatic grains, because they answer to different masters. A plain loop may look
 * at the number of workers; a reduction may not, or its rounding would depend on the machine.
 *
 * Never: arithmetic that wraps. Ranges may end at SIZE_MAX, so sizes are compared by subtracting,
 * and ceil(n / g) is computed as (n - 1) / g + 1. */
#ifndef WEFT_CORE_PARALLEL_PIECES_H
#define WEFT_CORE_PARALLEL_PIECES_H

#include <weft/parallel.h>

/* Pieces an automatic loop makes for each worker: enough to even out bodies that take unequal
 * time, few enough that a body of a microsecond hides the cost of its piece. */
#define WEFT__PIECES_PER_WORKER ((size_t)32)

/* Pieces of an automatic reduction: 16 for each of 64 workers. */
#define WEFT__PIECES_FIXED ((size_t)1024)

/* The most leaves a tree of a reduction or a scan has; see reduce.c. */
#define WEFT__LEAVES_MOST ((size_t)4096)

/* ceil(n / by), for n and by of at least 1. */
static inline size_t weft__divide_up(size_t n, size_t by)
{
    return (n - 1) / by + 1;
}

/* Number of indices; 0 for an empty or reversed range. */
static inline size_t weft__range_length(weft_range range)
{
    return range.begin < range.end ? range.end - range.begin : 0;
}

/* Number of pieces of a range that is not empty and whose grain is set. */
static inline size_t weft__range_pieces(weft_range range)
{
    return weft__divide_up(range.end - range.begin, range.grain);
}

/* Piece `index` of a range whose grain is set. */
static inline weft_range weft__range_piece(weft_range range, size_t index)
{
    size_t begin = range.begin + index * range.grain;
    size_t left = range.end - begin;
    return (weft_range){begin, begin + (left < range.grain ? left : range.grain), range.grain};
}

/* The automatic grain of a reduction over n indices: a function of n and nothing else.
 *
 * A small range is cut down to single indices, for the body may be expensive and nothing here can
 * know. A large one is cut into no more pieces than large machines need: a body that only streams
 * through memory is slower by some percent in pieces of 40 KiB than in pieces of 160. */
static inline size_t weft__grain_fixed(size_t n)
{
    return weft__divide_up(n, WEFT__PIECES_FIXED);
}

#endif
