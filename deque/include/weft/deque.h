/* SPDX-License-Identifier: BSD-2-Clause */
/* deque.h — a work-stealing deque: one owner pushes and takes at the bottom, thieves steal at the
 * top.
 *
 *              push ↓ ↑ take          owner = one thread at a time, X = caller must serialise
 *     bottom  [ newest ]                            push  take  steal  size
 *             [   …    ]                 push / take  X     X     -      -
 *             [ oldest ]                 steal        -     -     -      -
 *        top      ↓ steal
 *
 * Items are pointers other than NULL. The array grows without bound; arrays it has outgrown stay
 * readable until the deque is destroyed, since a slow thief may still look at one (their sizes add
 * up to less than the current one's). Protocol, edges and proof sketch: deque/README.md.
 *
 * After Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005), in the C11 form of Lê,
 * Pop, Cohen and Zappa Nardelli (PPoPP 2013), with the order on the accesses instead of fences. */
#ifndef WEFT_DEQUE_H
#define WEFT_DEQUE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft__deque_array;

/* The owner's words and the thieves' word lie on lines of their own. */
typedef struct weft_deque {
    uint64_t top_; /* next index to steal; thieves and the owner's last take, by compare-and-swap */
    char line0_[64 - sizeof(uint64_t)];
    uint64_t bottom_;                 /* next index to push; the owner stores, thieves load */
    struct weft__deque_array *array_; /* the owner stores, thieves load */
    uint64_t top_seen_;               /* the owner's: a lower bound of top_, spares loads */
    char line1_[64 - 2 * sizeof(uint64_t) - sizeof(void *)];
} weft_deque;

/* What a steal came to; contention is a value, not a loop. */
typedef enum weft_steal {
    WEFT_STEAL_EMPTY = 0, /* nothing there at the moment of looking */
    WEFT_STEAL_ITEM,      /* *item is yours */
    WEFT_STEAL_RETRY,     /* lost a race, there may be more */
} weft_steal;

/**
 * Make an empty deque with room for `capacity` items (rounded up to a power of two; 0: 64).
 *
 * Returns         0; -ENOMEM; -EINVAL capacity over 2^32
 * Context         any thread or fiber, before the deque is shared
 * Progress        as malloc()
 * Lifetime        weft_deque_destroy() frees it
 */
WEFT_API WEFT_NODISCARD int weft_deque_init(weft_deque *deque, size_t capacity) WEFT_NONNULL(1);

/**
 * Free the deque's memory; items still in it are forgotten.
 *
 * Context         when nobody uses it any more
 * Progress        as free()
 */
WEFT_API void weft_deque_destroy(weft_deque *deque) WEFT_NONNULL(1);

/**
 * Push an item at the bottom.
 *
 * Returns         0; -ENOMEM the array is full and could not grow, nothing happened
 * Context         owner
 * Order           everything before it happens-before the steal or take that returns the item
 * Progress        wait-free; one copy when the array grows
 */
WEFT_API WEFT_NODISCARD int weft_deque_push(weft_deque *deque, void *item) WEFT_NONNULL(1, 2);

/**
 * Take the newest item.
 *
 * Returns         the item, or NULL: empty, or a thief got the last one
 * Context         owner
 * Order           see weft_deque_push
 * Progress        wait-free
 */
WEFT_API void *weft_deque_take(weft_deque *deque) WEFT_NONNULL(1);

/**
 * Steal the oldest item.
 *
 * @param item     receives the item when WEFT_STEAL_ITEM is returned
 * Context         any thread or fiber
 * Order           see weft_deque_push
 * Progress        wait-free; after WEFT_STEAL_RETRY somebody else has got an item
 */
WEFT_API WEFT_NODISCARD weft_steal weft_deque_steal(weft_deque *deque, void **item)
    WEFT_NONNULL(1, 2);

/**
 * Number of items at some moment during the call; exact for the owner while nobody steals.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API size_t weft_deque_size(const weft_deque *deque) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
