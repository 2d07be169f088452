/* SPDX-License-Identifier: BSD-2-Clause */
/* holder.c — who holds what: a table of fixed size, keyed by address.
 *
 * An entry lies in one of a few places that its address names, so that removing one leaves no
 * tombstone. When all of them are taken, that object's holder is not known: the table is a help to
 * whoever reads a report, and nothing rests on it. Each place is written by the object's only
 * holder; all accesses are relaxed, since the reports are read when everybody sleeps. */
#include "debug/holder.h"

#include "sched/worker.h"

#include <unistd.h>

#define PLACES 4096
#define WINDOW 16

static struct {
    uintptr_t object;
    weft__holder holder;
} places[PLACES];

uint32_t weft__holders_are_watched;

void weft__holder_watch(void)
{
    weft__store_relaxed(&weft__holders_are_watched, 1); /* relaxed: see the head of this file */
}

static size_t place_of(uintptr_t object, unsigned i)
{
    return (size_t)(((object >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 40) + i) % PLACES;
}

static weft__holder caller(void)
{
    const weft__worker *worker = weft__worker_self();
    return worker != NULL ? (weft__holder)worker->current : (weft__holder)gettid() << 1 | 1;
}

void weft__holder_set(const void *address)
{
    uintptr_t object = (uintptr_t)address;
    for (unsigned i = 0; i < WINDOW; i++) {
        size_t at = place_of(object, i);
        uintptr_t none = 0;
        if (weft__cas_relaxed(&places[at].object, &none, object) || none == object) {
            weft__store_relaxed(&places[at].holder, caller()); /* relaxed: as all here */
            return;
        }
    }
}

static size_t find(uintptr_t object)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        size_t at = place_of(object, i);
        if (weft__load_relaxed(&places[at].object) == object) /* relaxed: as all here */
            return at;
    }
    return PLACES;
}

void weft__holder_clear(const void *address)
{
    size_t at = find((uintptr_t)address);
    if (at == PLACES)
        return;
    weft__store_relaxed(&places[at].holder, (weft__holder)0); /* relaxed: as all here */
    weft__store_relaxed(&places[at].object, (uintptr_t)0);
}

weft__holder weft__holder_of(const void *address)
{
    size_t at = find((uintptr_t)address);
    return at < PLACES ? weft__load_relaxed(&places[at].holder) : 0; /* relaxed: as all here */
}
