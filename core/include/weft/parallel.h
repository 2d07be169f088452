/* SPDX-License-Identifier: BSD-2-Clause */
/* parallel.h — loops, reductions, scans, sorting and plain calls, in parallel.
 *
 *     static void scale(weft_range piece, void *arg)
 *     {
 *         float *x = arg;
 *         for (size_t i = piece.begin; i < piece.end; i++)
 *             x[i] *= 2;
 *     }
 *     ...
 *     weft_parallel_for((weft_range){0, n, 0}, scale, x);
 *
 * A range is cut into pieces as long as the grain, and the pieces are halved recursively, each
 * upper half spawned as a task. A spawn costs a few nanoseconds, so a loop that nobody helps with
 * runs like a plain one, and whatever has not begun can be stolen. The body gets a contiguous
 * piece, never a single index, so that it vectorises.
 *
 * The pieces of weft_reduce() and weft_scan() and the order in which they are combined depend on
 * the range and the grain alone: the result is the same to the bit for every number of workers,
 * and outside a runtime.
 *
 * Everything here may be called from a task or from a plain thread (where it runs serially), and
 * may be nested. core/parallel/README.md says more about grains. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The indices begin … end - 1. In a piece handed to a body, `grain` is the grain in effect. */
typedef struct weft_range {
    size_t begin;
    size_t end;   /* an empty or reversed range does nothing */
    size_t grain; /* indices in each piece, fewer only in the last; 0: chosen automatically */
} weft_range;

/* A rectangle and a box of indices, split along their longest side (in grains). Where the grains
 * are left open, outer axes are cut before inner ones, so that rows stay as long as possible. */
typedef struct weft_range2 {
    weft_range rows;
    weft_range cols;
} weft_range2;

typedef struct weft_range3 {
    weft_range planes;
    weft_range rows;
    weft_range cols;
} weft_range3;

typedef void weft_body(weft_range piece, void *arg);
typedef void weft_body2(weft_range2 piece, void *arg);
typedef void weft_body3(weft_range3 piece, void *arg);

/**
 * Call `body` on disjoint pieces that together make up `range`, in parallel.
 *
 * Piece i begins at range.begin + i * grain. An automatic grain yields a few dozen pieces for each
 * worker, and a single piece outside a runtime.
 *
 * A scope around the call (weft/fiber.h) that is cancelled, or whose deadline passes, cuts the loop
 * short: pieces that have not begun are left out. A body asks by weft_cancel_requested(), wherever
 * it runs.
 *
 * Returns         0 all pieces have been run; -ECANCELED, -ETIMEDOUT some were left out
 * Context         thread or fiber; may park
 * Order           the call happens-before every piece, every piece happens-before the return
 * Progress        that of the body
 */
WEFT_API int weft_parallel_for(weft_range range, weft_body *body, void *arg) WEFT_NONNULL(2);
WEFT_API int weft_parallel_for2(weft_range2 range, weft_body2 *body, void *arg) WEFT_NONNULL(2);
WEFT_API int weft_parallel_for3(weft_range3 range, weft_body3 *body, void *arg) WEFT_NONNULL(2);

/* How to reduce a range to one value of `bytes` bytes. `combine` must be associative up to
 * rounding; it need not be commutative: `left` always covers lower indices than `right`. */
typedef struct weft_reduction {
    size_t bytes;         /* size of the value, 1 … WEFT_REDUCE_BYTES_MAX */
    const void *identity; /* initial value of every piece; NULL: all bytes zero */
    void (*piece)(weft_range piece, void *value, void *arg);   /* fold the piece into *value */
    void (*combine)(void *left, const void *right, void *arg); /* left = left op right */
} weft_reduction;

#define WEFT_REDUCE_BYTES_MAX ((size_t)4096)

/**
 * Reduce `range` to one value; the same bits for every number of workers.
 *
 * The values handed to both functions are aligned to 64 bytes. They live in the callers' frames, at
 * most thirteen on one stack, so nothing is allocated. The automatic grain depends on the length
 * only: 1 up to 1024 indices, then 513 to 1024 pieces.
 *
 * @param value    receives the result, `bytes` long; the identity for an empty range
 * Returns         0; -EINVAL `bytes` is out of range or a function is missing; -ECANCELED or
 *                 -ETIMEDOUT a scope around cut it short, as with loops. After each of these
 *                 `value` is untouched
 * Context         thread or fiber; may park
 * Order           the call happens-before every piece, every piece happens-before the return
 * Progress        that of the functions
 */
WEFT_API WEFT_NODISCARD int weft_reduce(weft_range range, const weft_reduction *how, void *value,
                                        void *arg) WEFT_NONNULL(2, 3);

/* How to scan an array: out[i] = in[0] op … op in[i], or, exclusive, identity op in[0] op … op
 * in[i - 1]. `combine` must be associative up to rounding; it need not be commutative. */
typedef struct weft_scanning {
    size_t bytes;         /* size of an element, 1 … WEFT_REDUCE_BYTES_MAX */
    const void *identity; /* out[0] of an exclusive scan, unused otherwise; NULL: all bytes zero */
    void (*combine)(void *left, const void *right, void *arg); /* left = left op right */
    size_t grain;  /* elements a piece, more if there were over 4096 pieces; 0: automatic */
    int exclusive; /* nonzero: out[i] leaves in[i] out */
} weft_scanning;

/**
 * Prefix sums of `n` elements; the same bits for every number of workers.
 *
 * Does about twice the work of a plain loop, so it takes three workers to gain from cheap sums.
 *
 * @param out      n elements; may be `in` itself, may not overlap it otherwise
 * Returns         0; -EINVAL `bytes` is out of range, there is no such array or no `combine`;
 *                 -ENOMEM no memory for the pieces' sums; `out` is untouched by both
 * Context         thread or fiber; may park
 * Order           the call happens-before every `combine`, all of them happen-before the return
 * Progress        that of `combine`
 */
WEFT_API WEFT_NODISCARD int weft_scan(const void *in, void *out, size_t n, const weft_scanning *how,
                                      void *arg) WEFT_NONNULL(4);

/**
 * Sort `n` elements of `bytes` bytes each, stably: equal elements keep their order.
 *
 * A merge sort whose halves and whose merges run in parallel; uses n * bytes of extra memory,
 * none if the array is in order already, rising or strictly falling.
 *
 * @param compare  negative, zero or positive, as for qsort_r; called from several workers at once
 * Returns         0; -EINVAL no such array; -ENOMEM no memory for the copy, the array is untouched
 * Context         thread or fiber; may park
 * Order           the call happens-before every `compare`, all of them happen-before the return
 * Progress        that of `compare`
 */
WEFT_API WEFT_NODISCARD int weft_sort(void *array, size_t n, size_t bytes,
                                      int (*compare)(const void *a, const void *b, void *arg),
                                      void *arg) WEFT_NONNULL(4);

/* One call of weft_invoke(). */
typedef struct weft_call {
    void (*fn)(void *arg);
    void *arg;
} weft_call;

/**
 * Make `n` calls in parallel and wait for all of them. In a plain thread they are made one after
 * the other.
 *
 * Context         thread or fiber; may park
 * Order           the call happens-before each fn, each fn happens-before the return
 * Progress        that of the functions
 */
WEFT_API void weft_invoke(const weft_call *calls, size_t n);

WEFT_END_DECLS
#endif
