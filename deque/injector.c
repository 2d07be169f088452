/* SPDX-License-Identifier: BSD-2-Clause */
/* injector.c — see injector.h. */
#include "injector.h"

#include <weft/atomic.h>

void weft__injector_init(weft__injector *injector)
{
    injector->newest = NULL;
}

WEFT__HOT void weft__injector_push(weft__injector *injector, weft__link *entry)
{
    weft__link *newest = weft__load_relaxed(&injector->newest); /* relaxed: the swap decides */
    do {
        entry->next = newest;
        /* edge inject.entry (release): the entry's content, and its link
         * edge idle.inject (seq_cst): before the submitter's look for sleepers */
    } while (!weft__cas_seq_cst(&injector->newest, &newest, entry));
}

WEFT__HOT weft__link *weft__injector_take_all(weft__injector *injector)
{
    if (weft__injector_looks_empty(injector))
        return NULL;
    /* edge inject.entry (acquire): what is in the entries; each push continues the release of the
     * one before */
    return weft__exchange_acquire(&injector->newest, NULL);
}

WEFT__HOT int weft__injector_take_from(weft__injector *injector, weft__link *entry)
{
    /* edge inject.entry (acquire): what is in the entries */
    return weft__cas_acquire(&injector->newest, &entry, NULL);
}

WEFT__HOT int weft__injector_has_newest(const weft__injector *injector, const weft__link *entry)
{
    return weft__load_relaxed(&injector->newest) == entry; /* relaxed: a hint */
}

int weft__injector_looks_empty(const weft__injector *injector)
{
    return weft__load_relaxed(&injector->newest) == NULL; /* relaxed: a hint */
}

WEFT__HOT int weft__injector_is_empty(const weft__injector *injector)
{
    /* edge idle.inject (seq_cst): a worker that announced its sleep looks here afterwards. */
    return weft__load_seq_cst(&injector->newest) == NULL;
}
