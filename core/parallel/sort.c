/* SPDX-License-Identifier: BSD-2-Clause */
/* sort.c — a stable merge sort whose halves and whose merges run in parallel.
 *
 * Both halves are sorted, one of them spawned, into the array that the result shall not be in, and
 * merged from there into the one where it shall be; so each level moves every element once.
 *
 *     result in   array ◀─ merge ─ copy ◀─ merge ─ array ◀─ ...  down to runs of a few elements,
 *                                                                which are sorted by insertion
 *
 * A merge of many elements is cut in two merges of equal length, recursively. Where to cut: the
 * first k elements of the result consist of the first i of the left run and the first k - i of the
 * right one, and i is found by bisection. The left run's element goes first when two are equal;
 * bisecting with the same rule that merges makes the cut stable without a case distinction.
 *
 *     left   ··· i ··· ·          out   ········ k ·········
 *     right  ····· k - i ···            first merge   second merge
 *
 * A result exists once: a stable sort leaves no choice, so workers and timing cannot show.
 *
 * Order that is there already is used. A sorted array costs one look; a strictly falling one is
 * reversed; two runs that do not overlap are copied, not merged.
 *
 * A comparison that contradicts itself yields some permutation, never an access out of bounds:
 * every loop is bounded by counts, not by what the comparison says.
 *
 * Rejected:
 *   - quicksort and sample sort: not stable, and pivots make time and shape depend on the data;
 *   - cutting a merge at the median of the longer run: as simple, but the parts may be 3 : 1;
 *   - merging in place: no copy needed, but several times slower;
 *   - sorting pointers when elements are large: it halves the moves and scatters the comparisons;
 *     a caller who knows that this pays can sort an array of pointers. */
#include <errno.h>

#include "alloc.h"
#include "element.h"

#include <weft/parallel.h>
#include <weft/task.h>

/* Runs up to this length are sorted by insertion. */
#define INSERTION_MOST ((size_t)12)

/* A merge longer than this is cut in two. The cut takes about ten comparisons. */
#define MERGE_MOST ((size_t)1024)

/* A copy up to this size lives in the frame of weft_sort(). */
#define SMALL_BYTES ((size_t)1024)

typedef struct weft__sort {
    char *array; /* the user's */
    char *copy;  /* as large; holds nothing yet */
    size_t bytes;
    int (*compare)(const void *a, const void *b, void *arg);
    void *arg;
} weft__sort;

/* Two sorted runs and where their union goes; `out` overlaps neither. */
typedef struct weft__merge {
    const char *left;
    const char *right;
    size_t lefts; /* elements in the left run */
    size_t rights;
    char *out;
} weft__merge;

/* Nonzero if `right`, which lies to the right of `left`, has to come before it. */
WEFT__INLINE int goes_first(const weft__sort *sort, const char *right, const char *left)
{
    return sort->compare(left, right, sort->arg) > 0;
}

/* ---- serial: insertion and merge, compiled once for each common size of element ----------- */

/* Sort `n` elements from `source` into `out`. */
WEFT__INLINE void insert_sized(const weft__sort *sort, const char *source, char *out, size_t n,
                               size_t bytes)
{
    for (size_t i = 0; i < n; i++) {
        const char *element = source + i * bytes;
        char *place = out + i * bytes;
        for (; place != out && goes_first(sort, element, place - bytes); place -= bytes)
            weft__element_copy(place, place - bytes, bytes);
        weft__element_copy(place, element, bytes);
    }
}

static void insert(const weft__sort *sort, const char *source, char *out, size_t n)
{
    switch (sort->bytes) {
    case 4:
        insert_sized(sort, source, out, n, 4);
        break;
    case 8:
        insert_sized(sort, source, out, n, 8);
        break;
    case 16:
        insert_sized(sort, source, out, n, 16);
        break;
    default:
        insert_sized(sort, source, out, n, sort->bytes);
        break;
    }
}

/* The choice is arithmetic instead of a branch: on random data half of the branches would be
 * mispredicted, each for the price of several comparisons. */
WEFT__INLINE void merge_sized(const weft__sort *sort, weft__merge merge, size_t bytes)
{
    const char *left_end = merge.left + merge.lefts * bytes;
    const char *right_end = merge.right + merge.rights * bytes;
    while (merge.left != left_end && merge.right != right_end) {
        size_t right_first = goes_first(sort, merge.right, merge.left) != 0;
        const char *first = right_first ? merge.right : merge.left;
        weft__element_copy(merge.out, first, bytes);
        merge.out += bytes;
        merge.right += bytes & (0 - right_first);
        merge.left += bytes & (right_first - 1);
    }
    size_t left_rest = (size_t)(left_end - merge.left);
    memcpy(merge.out, merge.left, left_rest);
    memcpy(merge.out + left_rest, merge.right, (size_t)(right_end - merge.right));
}

static void merge_serial(const weft__sort *sort, weft__merge merge)
{
    switch (sort->bytes) {
    case 4:
        merge_sized(sort, merge, 4);
        break;
    case 8:
        merge_sized(sort, merge, 8);
        break;
    case 16:
        merge_sized(sort, merge, 16);
        break;
    default:
        merge_sized(sort, merge, sort->bytes);
        break;
    }
}

/* ---- parallel merge ----------------------------------------------------------------------- */

/* How many elements of the left run are among the first `k` of the result.
 *
 * Of a candidate i and its partner j = k - i, the left run has more to give while its element i
 * precedes the right run's element j - 1. Equal elements precede from the left. */
static size_t lefts_among(const weft__sort *sort, const weft__merge *merge, size_t k)
{
    size_t low = k > merge->rights ? k - merge->rights : 0;
    size_t high = k < merge->lefts ? k : merge->lefts;
    while (low < high) {
        size_t i = low + (high - low) / 2;
        const char *left = merge->left + i * sort->bytes;
        const char *right = merge->right + (k - i - 1) * sort->bytes;
        if (goes_first(sort, right, left))
            high = i;
        else
            low = i + 1;
    }
    return low;
}

/* Nonzero if the runs only have to be put one after the other. */
static int is_in_order(const weft__sort *sort, const weft__merge *merge)
{
    if (merge->lefts == 0 || merge->rights == 0)
        return 1;
    return !goes_first(sort, merge->right, merge->left + (merge->lefts - 1) * sort->bytes);
}

WEFT_VOID_TASK(weft__sort_merge, const weft__sort *, sort, weft__merge, merge)
{
    size_t n = merge.lefts + merge.rights;
    if (n <= MERGE_MOST) {
        if (is_in_order(sort, &merge)) {
            memcpy(merge.out, merge.left, merge.lefts * sort->bytes);
            memcpy(merge.out + merge.lefts * sort->bytes, merge.right, merge.rights * sort->bytes);
        } else {
            merge_serial(sort, merge);
        }
        return;
    }
    size_t half = n / 2;
    size_t lefts = lefts_among(sort, &merge, half);
    weft__merge tail = {
        .left = merge.left + lefts * sort->bytes,
        .right = merge.right + (half - lefts) * sort->bytes,
        .lefts = merge.lefts - lefts,
        .rights = merge.rights - (half - lefts),
        .out = merge.out + half * sort->bytes,
    };
    merge.lefts = lefts;
    merge.rights = half - lefts;
    weft_spawn(upper, weft__sort_merge, sort, tail);
    weft__sort_merge(sort, merge);
    weft_join(upper);
}

/* ---- sort --------------------------------------------------------------------------------- */

/* Sort `n` elements from `begin` on. They lie in the array; the result goes to the copy if
 * `into_copy` is set and back to the array if not. */
WEFT_VOID_TASK(weft__sort_run, const weft__sort *, sort, size_t, begin, size_t, n, int, into_copy)
{
    char *array = sort->array + begin * sort->bytes;
    char *copy = sort->copy + begin * sort->bytes;
    if (n <= INSERTION_MOST) {
        if (!into_copy)
            memcpy(copy, array, n * sort->bytes);
        insert(sort, into_copy ? array : copy, into_copy ? copy : array, n);
        return;
    }
    size_t half = n / 2;
    weft_spawn(upper, weft__sort_run, sort, begin + half, n - half, !into_copy);
    weft__sort_run(sort, begin, half, !into_copy);
    weft_join(upper);

    const char *source = into_copy ? array : copy;
    weft__merge merge = {
        .left = source,
        .right = source + half * sort->bytes,
        .lefts = half,
        .rights = n - half,
        .out = into_copy ? copy : array,
    };
    weft__sort_merge(sort, merge);
}

/* Length of the run of elements at the front that are in order: rising if `falling` is zero,
 * strictly falling otherwise. */
static size_t run_length(const weft__sort *sort, size_t n, int falling)
{
    size_t i = 1;
    const char *element = sort->array;
    for (; i < n; i++, element += sort->bytes)
        if (goes_first(sort, element + sort->bytes, element) != falling)
            break;
    return i;
}

static void swap_elements(char *a, char *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Nonzero if the array had an order that needed no sorting and is sorted now. */
static int use_order(const weft__sort *sort, size_t n)
{
    if (run_length(sort, n, 0) == n)
        return 1;
    if (run_length(sort, n, 1) != n)
        return 0;
    char *low = sort->array;
    char *high = sort->array + (n - 1) * sort->bytes;
    for (; low < high; low += sort->bytes, high -= sort->bytes)
        swap_elements(low, high, sort->bytes);
    return 1;
}

int weft_sort(void *array, size_t n, size_t bytes,
              int (*compare)(const void *a, const void *b, void *arg), void *arg)
{
    if (bytes == 0 || n > (PTRDIFF_MAX - WEFT__LINE) / bytes || (n != 0 && array == NULL))
        return -EINVAL;
    weft__sort sort = {array, NULL, bytes, compare, arg};
    if (n < 2 || use_order(&sort, n))
        return 0;
    char small[SMALL_BYTES + WEFT__LINE];
    char *room = n * bytes <= SMALL_BYTES ? small : weft__alloc(n * bytes + WEFT__LINE);
    if (room == NULL)
        return -ENOMEM;
    sort.copy = weft__element_align(room, array);
    weft__sort_run(&sort, 0, n, 0);
    if (room != small)
        weft__free(room);
    return 0;
}
