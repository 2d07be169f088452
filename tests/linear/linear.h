/* SPDX-License-Identifier: BSD-2-Clause */
/* linear.h — is a history linearizable? After Wing and Gong (1993), with Lowe's memory of what has
 * been tried.
 *
 * A history is what several threads have done to one object: operations with a beginning, an end
 * and a result. It is linearizable if the operations can be put in a row, each at some moment
 * between its beginning and its end, so that each has the result that a sequential object gives.
 * The search tries every operation that may come next, undoes what leads nowhere, and does not try
 * the same set of operations and the same state twice.
 *
 *     linear_begin_history(&history);          a thread:
 *     … threads …                                  op = linear_call(&history, KIND, argument);
 *     linear_check(&history, &specification)       result = …
 *                                                  linear_return(&history, op, result);
 *
 * Moments are numbers of a shared counter, drawn by a locked operation: when an operation has ended
 * its stores are visible, so "before" is what the threads themselves could find out. */
#ifndef TESTS_LINEAR_H
#define TESTS_LINEAR_H

#include <weft/atomic.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINEAR_OPERATIONS_MAX 64
#define LINEAR_STATE_BYTES_MAX 128
#define LINEAR_TRIED_MAX 1024 /* a power of two; what does not fit is tried again */

typedef struct linear_operation {
    int kind;
    uint64_t argument;
    uint64_t result;
    uint64_t begin, end; /* moments */
} linear_operation;

typedef struct linear_history {
    uint64_t moment;
    uint32_t count;
    linear_operation operations[LINEAR_OPERATIONS_MAX];
} linear_history;

/* The sequential object; its state has no padding and begins as zeros. `apply` answers whether the
 * operation may have its result in this state, and makes the state the next. */
typedef struct linear_specification {
    size_t state_bytes;
    int (*apply)(void *state, const linear_operation *operation);
} linear_specification;

static inline void linear_begin_history(linear_history *history)
{
    memset(history, 0, sizeof *history);
}

/* A thread begins an operation; from any thread. */
static inline unsigned linear_call(linear_history *history, int kind, uint64_t argument)
{
    unsigned number = weft__fetch_add_relaxed(&history->count, 1);
    linear_operation *operation = &history->operations[number];
    if (number >= LINEAR_OPERATIONS_MAX)
        abort();
    operation->kind = kind;
    operation->argument = argument;
    operation->begin = weft__fetch_add_acq_rel(&history->moment, 1);
    return number;
}

static inline void linear_return(linear_history *history, unsigned number, uint64_t result)
{
    linear_operation *operation = &history->operations[number];
    operation->end = weft__fetch_add_acq_rel(&history->moment, 1);
    operation->result = result;
}

/* ---- the search ------------------------------------------------------------------------------ */

typedef struct linear_tried {
    uint64_t done; /* a bit for each operation; 0: nothing here */
    unsigned char state[LINEAR_STATE_BYTES_MAX];
} linear_tried;

typedef struct linear_search {
    const linear_history *history;
    const linear_specification *specification;
    linear_tried *tried;
} linear_search;

/* Note the set and state. Nonzero: they are there already. */
static inline int linear_is_tried(const linear_search *search, uint64_t done, const void *state)
{
    size_t bytes = search->specification->state_bytes;
    uint64_t hash = done * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const unsigned char *)state)[i]) * UINT64_C(0x100000001b3);
    linear_tried *place = &search->tried[(hash >> 40) & (LINEAR_TRIED_MAX - 1)];
    if (place->done == done && memcmp(place->state, state, bytes) == 0)
        return 1;
    place->done = done;
    memcpy(place->state, state, bytes);
    return 0;
}

/* The end of the operation that ends first among those not yet in the row. */
static inline uint64_t linear_first_end(const linear_search *search, uint64_t done)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < search->history->count; i++) {
        const linear_operation *operation = &search->history->operations[i];
        if (!(done >> i & 1) && operation->end < first)
            first = operation->end;
    }
    return first;
}

/* Whether what is not yet `done` can follow; as deep as there are operations. */
static inline int linear_can_follow(const linear_search *search, uint64_t done, const void *state)
{
    const linear_history *history = search->history;
    unsigned char next[LINEAR_STATE_BYTES_MAX];
    uint64_t first_end = linear_first_end(search, done);
    if (first_end == UINT64_MAX)
        return 1;
    for (unsigned i = 0; i < history->count; i++) {
        const linear_operation *operation = &history->operations[i];
        if ((done >> i & 1) || operation->begin > first_end)
            continue;
        memcpy(next, state, search->specification->state_bytes);
        uint64_t with = done | (uint64_t)1 << i;
        if (search->specification->apply(next, operation) && !linear_is_tried(search, with, next) &&
            linear_can_follow(search, with, next))
            return 1;
    }
    return 0;
}

/* Nonzero: the history, of which all operations have ended, is linearizable. */
static inline int linear_check(const linear_history *history,
                               const linear_specification *specification)
{
    static const unsigned char zeros[LINEAR_STATE_BYTES_MAX];
    linear_search search = {.history = history,
                            .specification = specification,
                            .tried = calloc(LINEAR_TRIED_MAX, sizeof(linear_tried))};
    if (search.tried == NULL || specification->state_bytes > LINEAR_STATE_BYTES_MAX)
        abort();
    int answer = linear_can_follow(&search, 0, zeros);
    free(search.tried);
    return answer;
}

#endif
