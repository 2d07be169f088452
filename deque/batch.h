/* SPDX-License-Identifier: BSD-2-Clause */
/* batch.h — what the engine needs of a deque beyond <weft/deque.h>: several items published by one
 * store, a look at the newest item, a chosen first index.
 *
 * The owner reserves room, fills slots in any order and commits:
 *
 *     reserve(d, 3)    bottom ─┐
 *     fill(d, 2, c)    ────────┼── [ ][ ][c]
 *     fill(d, 0, a)    ────────┼── [a][ ][c]
 *     fill(d, 1, b)    ────────┼── [a][b][c]
 *     commit(d, 3)     one store: bottom += 3, a is stolen first */
#ifndef WEFT_DEQUE_BATCH_H
#define WEFT_DEQUE_BATCH_H

#include <weft/deque.h>

/* weft_deque_init() with a first index of the caller's choice, for tests of wrap-around. */
int weft__deque_init_at(weft_deque *deque, size_t capacity, uint64_t first_index) WEFT_NODISCARD;

/* Owner: make room for `count` more items: 0 or -ENOMEM. */
int weft__deque_reserve(weft_deque *deque, size_t count) WEFT_NODISCARD;

/* Owner: write the item that will be the `offset`-th of the next commit. */
void weft__deque_fill(weft_deque *deque, size_t offset, void *item);

/* Owner: publish the `count` items filled in since the last commit. The store is sequentially
 * consistent: whoever commits may afterwards look for sleepers and miss none (edge idle.work). */
void weft__deque_commit(weft_deque *deque, size_t count);

/* Owner: the newest item, which stays where it is, or NULL. A thief may be about to get it. */
void *weft__deque_peek(const weft_deque *deque);

/* Whether there was exactly one item, and at which index: a hint. */
int weft__deque_has_one(const weft_deque *deque, uint64_t *index);

/* Whether there was an item at the moment of looking, in the single order of commits and sleeps. */
int weft__deque_is_empty(const weft_deque *deque);

#endif
