/* SPDX-License-Identifier: BSD-2-Clause */
/* injector.c — see injector.h. The structure is ConcurrencyKit's; what is added is the count that
 * orders a push against a worker that goes to sleep, independent of how strong the library's own
 * compare-and-swap is on a given processor. */
#include "injector.h"

#include <weft/atomic.h>

_Static_assert(sizeof(weft__link) == sizeof(struct ck_stack_entry), "a link is a stack entry");

void weft__injector_init(weft__injector *injector)
{
    ck_stack_init(&injector->stack);
    injector->pushes = 0;
}

void weft__injector_push(weft__injector *injector, weft__link *entry)
{
    weft__ck_stack_push(&injector->stack, (struct ck_stack_entry *)(void *)entry);
    /* edge idle.inject (seq_cst): the push is ordered before the submitter's look for sleepers. */
    weft__fetch_add_seq_cst(&injector->pushes, 1);
}

weft__link *weft__injector_take_all(weft__injector *injector)
{
    if (weft__ck_stack_is_empty(&injector->stack))
        return NULL;
    return (weft__link *)(void *)weft__ck_stack_take_all(&injector->stack);
}

int weft__injector_is_empty(weft__injector *injector)
{
    /* edge idle.inject (seq_cst): a worker that announced its sleep looks here afterwards. */
    (void)weft__load_seq_cst(&injector->pushes);
    return weft__ck_stack_is_empty(&injector->stack);
}
