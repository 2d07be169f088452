/* SPDX-License-Identifier: BSD-2-Clause */
/* parallel.h — loops, reductions, scans, sorting and plain calls, in parallel.
 *
 * A range is halved down to its grain, each upper half spawned as a task: a spawn costs a few
 * nanoseconds, so even an idle machine's loop runs like a plain one, and whatever has not begun can
 * be stolen. The body gets a contiguous piece, never a single index, so that it vectorises.
 *
 * The pieces of weft_reduce() and weft_scan() and the order in which they are combined depend on
 * the range and the grain alone: the result is the same to the bit for every number of workers.
 *
 * Everything here may be called from a task or from a plain thread (where it runs serially), and
 * may be nested. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The indices begin … end - 1. */
typedef struct weft_range {
    size_t begin;
    size_t end;   /* an empty or reversed range does nothing */
    size_t grain; /* largest piece given to a body at once; 0: chosen automatically */
} weft_range;

/* A rectangle and a box of indices, split along their longest side (in grains). */
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
 * Context         thread or fiber; may park
 * Order           the call happens-before every piece, every piece happens-before the return
 * Progress        that of the body
 */
WEFT_API void weft_parallel_for(weft_range range, weft_body *body, void *arg) WEFT_NONNULL(2);
WEFT_API void weft_parallel_for2(weft_range2 range, weft_body2 *body, void *arg) WEFT_NONNULL(2);
WEFT_API void weft_parallel_for3(weft_range3 range, weft_body3 *body, void *arg) WEFT_NONNULL(2);

/* How to reduce a range to one value of `bytes` bytes. `combine` must be associative up to
 * rounding; it need not be commutative: `left` always covers lower indices than `right`. */
typedef struct weft_reduction {
    size_t bytes;         /* size of the value, 1 … WEFT_REDUCE_BYTES_MAX */
    const void *identity; /* initial value of every piece; NULL: all bytes zero */
    void (*piece)(weft_range piece, void *value, void *arg);      /* fold the piece into *value */
    void (*combine)(void *left, const void *right, void *arg);    /* left = left op right */
} weft_reduction;

#define WEFT_REDUCE_BYTES_MAX ((size_t)4096)

/**
 * Reduce `range` to one value; the same bits for every number of workers.
 *
 * @param value    receives the result, `bytes` long; the identity for an empty range
 * Returns         0; -EINVAL `bytes` is out of range or a function is missing
 * Context         thread or fiber; may park
 */
WEFT_API WEFT_NODISCARD int weft_reduce(weft_range range, const weft_reduction *how, void *value,
                                        void *arg) WEFT_NONNULL(2, 3);

/* How to scan an array: out[i] = in[0] op … op in[i] (inclusive) or … op in[i - 1] (exclusive). */
typedef struct weft_scanning {
    size_t bytes;         /* size of an element, 1 … WEFT_REDUCE_BYTES_MAX */
    const void *identity; /* NULL: all bytes zero */
    void (*combine)(void *left, const void *right, void *arg); /* left = left op right */
    size_t grain;         /* elements a piece, 0: chosen automatically */
    int exclusive;        /* nonzero: out[i] leaves in[i] out */
} weft_scanning;

/**
 * Prefix sums of `n` elements; the same bits for every number of workers.
 *
 * @param out      n elements; may be `in` itself, may not overlap it otherwise
 * Returns         0; -EINVAL; -ENOMEM no memory for the pieces' sums, `out` untouched
 * Context         thread or fiber; may park
 */
WEFT_API WEFT_NODISCARD int weft_scan(const void *in, void *out, size_t n, const weft_scanning *how,
                                      void *arg) WEFT_NONNULL(4);

/**
 * Sort `n` elements of `bytes` bytes each, stably: equal elements keep their order.
 *
 * A merge sort whose halves and whose merges run in parallel; uses n * bytes of extra memory.
 *
 * @param compare  negative, zero or positive, as for qsort_r
 * Returns         0; -EINVAL; -ENOMEM no memory for the copy, the array is untouched
 * Context         thread or fiber; may park
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
 * Make `n` calls in parallel and wait for all of them.
 *
 * Context         thread or fiber; may park
 * Order           the call happens-before each fn, each fn happens-before the return
 */
WEFT_API void weft_invoke(const weft_call *calls, size_t n);

WEFT_END_DECLS
#endif
