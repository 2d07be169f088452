/* SPDX-License-Identifier: BSD-2-Clause */
/* deque.c — the Chase-Lev work-stealing deque, with the order on the accesses.
 *
 *                top                       bottom
 *                 ↓                          ↓
 *     … stolen ][ 7 ][ 8 ][ 9 ][ 10 ][ 11 ][ free …      slot of index i: i mod capacity
 *                 ↑ steal           take ↑  ↑ push
 *
 * `top` only grows, by compare-and-swap. `bottom` is the owner's. Owner and thief can only meet at
 * the last item. If there is but one the owner takes it as a thief would. Otherwise it first claims
 * the newest (bottom = b - 1), then looks at top; a thief first looks at top, then at bottom. Both
 * are sequentially consistent, so at least one of them sees the other, and the compare-and-swap on
 * top decides.
 *
 * Indices are unsigned and wrap; only their differences, cast to signed, are compared.
 *
 * Why not fences, as in the C11 paper: ThreadSanitizer does not understand them, and clang makes
 * mfence of them. Why a release on every store of bottom, also where take only restores it: a
 * thief that reads the restored value must still see the slots below it.
 *
 * Never: a slot read after the compare-and-swap that takes it (the owner may have reused it); an
 * array freed while a thief may still hold it (they stay until the deque is destroyed). */
#include <weft/deque.h>

#include <weft/atomic.h>

#include "batch.h"
#include "hooks.h"

#include <errno.h>

#define CAPACITY_DEFAULT 64
#define CAPACITY_MAX ((uint64_t)1 << 32)

/* One array of slots, and through `outgrown` all its predecessors. */
struct weft__deque_array {
    uint64_t mask;                      /* capacity - 1; constant */
    struct weft__deque_array *outgrown; /* the array before this one; the owner's */
    void *slots[];                      /* the owner stores (relaxed), thieves load (relaxed) */
};

static struct weft__deque_array *array_new(uint64_t capacity, struct weft__deque_array *outgrown)
{
    struct weft__deque_array *array =
        weft__hook_alloc(sizeof *array + (size_t)capacity * sizeof array->slots[0]);
    if (array == NULL)
        return NULL;
    array->mask = capacity - 1;
    array->outgrown = outgrown;
    for (uint64_t i = 0; i < capacity; i++)
        array->slots[i] = NULL;
    return array;
}

static void **slot_of(struct weft__deque_array *array, uint64_t index)
{
    return &array->slots[index & array->mask];
}

int weft__deque_init_at(weft_deque *deque, size_t capacity, uint64_t first_index)
{
    uint64_t rounded = 2;
    if (capacity == 0)
        capacity = CAPACITY_DEFAULT;
    if (capacity > CAPACITY_MAX)
        return -EINVAL;
    while (rounded < capacity)
        rounded *= 2;
    struct weft__deque_array *array = array_new(rounded, NULL);
    if (array == NULL)
        return -ENOMEM;
    deque->top_ = first_index;
    deque->bottom_ = first_index;
    deque->top_seen_ = first_index;
    deque->array_ = array;
    return 0;
}

int weft_deque_init(weft_deque *deque, size_t capacity)
{
    return weft__deque_init_at(deque, capacity, 0);
}

void weft_deque_destroy(weft_deque *deque)
{
    struct weft__deque_array *array = deque->array_;
    while (array != NULL) {
        struct weft__deque_array *outgrown = array->outgrown;
        weft__hook_free(array);
        array = outgrown;
    }
    deque->array_ = NULL;
}

/* Replace the array by one that holds at least `needed` items; indices keep their meaning. */
static int grow(weft_deque *deque, uint64_t top, uint64_t bottom, uint64_t needed)
{
    struct weft__deque_array *old = deque->array_;
    uint64_t capacity = (old->mask + 1) * 2;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > CAPACITY_MAX)
        return -ENOMEM;
    struct weft__deque_array *array = array_new(capacity, old);
    if (array == NULL)
        return -ENOMEM;
    for (uint64_t i = top; i != bottom; i++) {
        void *item = weft__load_relaxed(slot_of(old, i)); /* relaxed: the owner's own stores */
        weft__store_relaxed(slot_of(array, i), item);     /* relaxed: published just below */
    }
    WEFT_CRASH_POINT(1);
    /* edge deque.array (release): a thief that gets this array sees the items copied into it. */
    weft__store_release(&deque->array_, array);
    return 0;
}

/* There is no room for `count` more, as far as the owner knows. */
WEFT__NOINLINE static int make_room(weft_deque *deque, uint64_t bottom, size_t count)
{
    /* edge deque.steal (acquire): a thief that moved top has read its slot before we reuse it. */
    deque->top_seen_ = weft__load_acquire(&deque->top_);
    uint64_t needed = bottom - deque->top_seen_ + count;
    return needed <= deque->array_->mask + 1 ? 0 : grow(deque, deque->top_seen_, bottom, needed);
}

WEFT__INLINE int has_room(const weft_deque *deque, uint64_t bottom, size_t count)
{
    return bottom - deque->top_seen_ + count <= deque->array_->mask + 1;
}

int weft__deque_reserve(weft_deque *deque, size_t count)
{
    uint64_t bottom = weft__load_relaxed(&deque->bottom_); /* relaxed: the owner's own */
    return has_room(deque, bottom, count) ? 0 : make_room(deque, bottom, count);
}

void weft__deque_fill(weft_deque *deque, size_t offset, void *item)
{
    uint64_t bottom = weft__load_relaxed(&deque->bottom_); /* relaxed: the owner's own */
    weft_assert(item != NULL);
    /* relaxed: edge deque.publish makes it visible */
    weft__store_relaxed(slot_of(deque->array_, bottom + offset), item);
    WEFT_CRASH_POINT(2);
}

void weft__deque_commit(weft_deque *deque, size_t count)
{
    uint64_t bottom = weft__load_relaxed(&deque->bottom_); /* relaxed: the owner's own */
    /* edge deque.publish (release): the slots filled above and what they point to are visible to a
     * thief that reads this bottom or a later one.
     * edge idle.work (seq_cst): ordered before the owner's look for sleepers. */
    weft__store_seq_cst(&deque->bottom_, bottom + count);
}

int weft_deque_push(weft_deque *deque, void *item)
{
    uint64_t bottom = weft__load_relaxed(&deque->bottom_); /* relaxed: the owner's own */
    int rc = WEFT__UNLIKELY(!has_room(deque, bottom, 1)) ? make_room(deque, bottom, 1) : 0;
    if (rc != 0)
        return rc;
    weft__deque_fill(deque, 0, item);
    /* edge deque.publish (release): as in commit; who looks for sleepers after this one needs a
     * fence of his own. */
    weft__store_release(&deque->bottom_, bottom + 1);
    return 0;
}

/* The only item that is left, taken as a thief would: top decides, and bottom stays. */
static void *take_only(weft_deque *deque, uint64_t top)
{
    void *item = weft__load_relaxed(slot_of(deque->array_, top)); /* relaxed: own store */
    /* edge deque.last (seq_cst): decides between this take and all steals. */
    return weft__cas_seq_cst(&deque->top_, &top, top + 1) ? item : NULL;
}

WEFT__HOT void *weft_deque_take(weft_deque *deque)
{
    uint64_t newest = weft__load_relaxed(&deque->bottom_) - 1; /* relaxed: the owner's own */
    uint64_t top = weft__load_relaxed(&deque->top_);           /* relaxed: it only grows … */
    if ((int64_t)(newest - top) < 0)
        return NULL; /* … so what looks empty is empty */
    if (newest == top)
        return take_only(deque, top);
    /* edge deque.last (seq_cst): the claim is ordered before the look at top, a thief's look at top
     * before its look at bottom; one of the two sees the other. */
    weft__store_seq_cst(&deque->bottom_, newest);
    WEFT_CRASH_POINT(3);
    top = weft__load_seq_cst(&deque->top_); /* edge deque.last (seq_cst): see above */
    deque->top_seen_ = top;
    if ((int64_t)(newest - top) < 0) {
        /* edge deque.publish (release): slots below stay visible to whoever reads this bottom. */
        weft__store_release(&deque->bottom_, newest + 1);
        return NULL;
    }
    void *item = weft__load_relaxed(slot_of(deque->array_, newest)); /* relaxed: own store */
    if (newest != top)
        return item;
    /* The last item: whoever moves top has it.
     * edge deque.last (seq_cst): decides between this take and all steals. */
    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        item = NULL;
    /* edge deque.publish (release): as above. */
    weft__store_release(&deque->bottom_, newest + 1);
    return item;
}

weft_steal weft_deque_steal(weft_deque *deque, void **item)
{
    uint64_t top = weft__load_seq_cst(&deque->top_); /* edge deque.last (seq_cst): first top … */
    /* edge deque.last (seq_cst): … then bottom; edge deque.publish (acquire): the slot's content */
    uint64_t bottom = weft__load_seq_cst(&deque->bottom_);
    if ((int64_t)(bottom - top) <= 0)
        return WEFT_STEAL_EMPTY;
    /* edge deque.array (acquire): the array is at least as new as bottom, its slots initialised. */
    struct weft__deque_array *array = weft__load_acquire(&deque->array_);
    void *found = weft__load_relaxed(slot_of(array, top)); /* relaxed: edge deque.publish */
    /* edge deque.last (seq_cst): success proves that nobody had index `top` before.
     * edge deque.steal (release): the slot was read before the owner may reuse it. */
    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        return WEFT_STEAL_RETRY;
    *item = found;
    return WEFT_STEAL_ITEM;
}

void *weft__deque_peek(const weft_deque *deque)
{
    uint64_t newest = weft__load_relaxed(&deque->bottom_) - 1; /* relaxed: the owner's own */
    /* relaxed: a hint, take decides */
    if ((int64_t)(newest - weft__load_relaxed(&deque->top_)) < 0)
        return NULL;
    return weft__load_relaxed(slot_of(deque->array_, newest)); /* relaxed: own store */
}

WEFT__HOT int weft__deque_is_empty(const weft_deque *deque)
{
    /* edge idle.work (seq_cst): a worker that announced its sleep looks here afterwards. */
    uint64_t top = weft__load_seq_cst(&deque->top_);
    uint64_t bottom = weft__load_seq_cst(&deque->bottom_); /* edge idle.work (seq_cst) */
    return (int64_t)(bottom - top) <= 0;
}

int weft__deque_has_one(const weft_deque *deque, uint64_t *index)
{
    *index = weft__load_relaxed(&deque->top_);                /* relaxed: a hint */
    return weft__load_relaxed(&deque->bottom_) - *index == 1; /* relaxed: a hint */
}

size_t weft_deque_size(const weft_deque *deque)
{
    uint64_t top = weft__load_relaxed(&deque->top_);       /* relaxed: a snapshot */
    uint64_t bottom = weft__load_relaxed(&deque->bottom_); /* relaxed: a snapshot */
    int64_t size = (int64_t)(bottom - top);
    return size > 0 ? (size_t)size : 0;
}
