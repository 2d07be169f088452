/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.h — the explorer's stand-in for the two structures of ConcurrencyKit that base/ck.h lets in:
 * their contract, not their code, which is assembly. The stack pushes by a releasing swap and is
 * emptied by an acquiring exchange; the event count is a word to sleep on. */
#ifndef WEFT_BASE_CK_H
#define WEFT_BASE_CK_H

#include <weft/atomic.h>
#include <weft/base.h>

struct ck_stack_entry {
    struct ck_stack_entry *next;
};

typedef struct weft__ck_stack {
    struct ck_stack_entry *head;
} weft__ck_stack;

#define ck_stack_init(stack) ((void)((stack)->head = NULL))

WEFT__INLINE void weft__ck_stack_push(weft__ck_stack *stack, struct ck_stack_entry *entry)
{
    struct ck_stack_entry *head = weft__load_relaxed(&stack->head);
    do
        entry->next = head;
    while (!weft__cas_release(&stack->head, &head, entry));
}

WEFT__INLINE struct ck_stack_entry *weft__ck_stack_take_all(weft__ck_stack *stack)
{
    return weft__exchange_acquire(&stack->head, NULL);
}

WEFT__INLINE int weft__ck_stack_is_empty(weft__ck_stack *stack)
{
    return weft__load_relaxed(&stack->head) == NULL;
}

typedef struct weft__ec {
    uint32_t count;
} weft__ec;

WEFT__INLINE void weft__ec_init(weft__ec *ec)
{
    ec->count = 0;
}

WEFT__INLINE uint32_t weft__ec_value(weft__ec *ec)
{
    return weft__load_acquire(&ec->count);
}

WEFT__INLINE void weft__ec_post(weft__ec *ec)
{
    (void)weft__fetch_add_acq_rel(&ec->count, 1);
    explore_park_wake(&ec->count, INT32_MAX);
}

WEFT__INLINE void weft__ec_wait(weft__ec *ec, uint32_t value, int64_t deadline_ns)
{
    (void)explore_park_until(&ec->count, value, deadline_ns);
    (void)weft__load_acquire(&ec->count);
}

#endif
