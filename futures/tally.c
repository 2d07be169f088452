/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.c — see tally.h; why it is right is argued in README.md. */
#include "tally.h"

#include <weft/atomic.h>

#include "hooks.h"

/* The word `outside`. */
#define ONE_CALL ((uint64_t)1 << 48)
#define SUBMITTED(outside) ((outside) & (ONE_CALL - 1))
#define CALLS(outside) ((outside) >> 48)

void weft__tally_init(weft__tally *tally, weft__counts *counts, size_t stride, unsigned count,
                      int can_raid)
{
    *tally =
        (weft__tally){.is_watched = !can_raid, .count = count, .stride = stride, .counts = counts};
}

static weft__counts *counts_of(const weft__tally *tally, unsigned id)
{
    return (weft__counts *)(void *)((char *)tally->counts + id * tally->stride);
}

/* ---- adding up ------------------------------------------------------------------------------ */

static int is_in_flight(weft__tally *tally)
{
    /* edge tally.ended (acquire): what the tasks had submitted */
    uint64_t ended = weft__load_acquire(&tally->purged);
    for (unsigned id = 0; id < tally->count; id++)
        ended += weft__load_acquire(&counts_of(tally, id)->ended); /* edge tally.ended (acquire) */
    /* edge tally.outside (seq_cst): behind the store that closes */
    uint64_t submitted = SUBMITTED(weft__load_seq_cst(&tally->outside));
    for (unsigned id = 0; id < tally->count; id++)
        submitted += weft__load_relaxed(&counts_of(tally, id)->submitted); /* relaxed: acquired */
    return ended != submitted;
}

/* Of several who count and look at the same time, the last sees all counts. */
static int look(weft__tally *tally)
{
    /* edge tally.look (acq_rel): the counts of those who have looked before */
    weft__fetch_add_acq_rel(&tally->looks, 1);
    /* relaxed: the addition has ordered it */
    return weft__load_relaxed(&tally->is_closing) && !is_in_flight(tally);
}

/* ---- workers -------------------------------------------------------------------------------- */

void weft__tally_submit(weft__counts *own)
{
    /* relaxed: the owner's; who adds up is behind the end of the task that submits */
    weft__store_relaxed(&own->submitted, own->submitted + 1);
}

WEFT__HOT int weft__tally_end(weft__tally *tally, weft__counts *own)
{
    /* edge tally.ended (release): what the task had submitted, and all it did */
    weft__store_release(&own->ended, own->ended + 1);
    weft__compiler_barrier(); /* edge tally.watch: count first, look second */
    /* relaxed: the barrier's other half is the watcher's */
    if (WEFT__LIKELY(!weft__load_relaxed(&tally->is_watched)))
        return 0;
    return look(tally); /* whose edge tally.look makes the last of us see all counts */
}

void weft__tally_purge(weft__tally *tally)
{
    /* edge tally.ended (release): as for a worker */
    weft__fetch_add_acq_rel(&tally->purged, 1);
}

/* ---- from outside --------------------------------------------------------------------------- */

WEFT__HOT int weft__tally_enter(weft__tally *tally)
{
    /* edge tally.outside (seq_cst): counted in before the look; who closes looks at the count */
    weft__fetch_add_seq_cst(&tally->outside, ONE_CALL + 1);
    return !weft__load_seq_cst(&tally->is_closed); /* edge tally.outside (seq_cst) */
}

int weft__tally_refuse(weft__tally *tally)
{
    weft__fetch_add_relaxed(&tally->outside, (uint64_t)-1); /* relaxed: look() orders it */
    return look(tally);
}

WEFT__HOT void weft__tally_leave(weft__tally *tally)
{
    /* edge tally.outside (acq_rel): the last touch */
    weft__fetch_add_acq_rel(&tally->outside, (uint64_t)0 - ONE_CALL);
}

int weft__tally_is_entered(weft__tally *tally)
{
    /* edge tally.outside (acquire): their last touch */
    return CALLS(weft__load_acquire(&tally->outside)) > 0;
}

/* ---- newcomers ------------------------------------------------------------------------------ */

WEFT__HOT void weft__newcomer_comes(uint32_t *newcomers)
{
    /* edge tally.newcomers (acquire): if somebody has found nobody before, the end of the task */
    weft__fetch_add_acq_rel(newcomers, 1);
}

WEFT__HOT void weft__newcomer_goes(uint32_t *newcomers)
{
    /* edge tally.newcomers (release): the last touch, and what is held from now on */
    weft__fetch_add_acq_rel(newcomers, (uint32_t)-1);
}

void weft__newcomers_await(uint32_t *newcomers)
{
    /* edge tally.newcomers (acq_rel): whoever comes after this knows what has ended */
    uint32_t left = weft__fetch_add_acq_rel(newcomers, 0);
    for (unsigned round = 0; left > 0; round++) {
        weft__pause(round);
        /* edge tally.newcomers (acquire): the last touch of those who came before, and what they
         * hold */
        left = weft__load_acquire(newcomers);
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

void weft__tally_close(weft__tally *tally)
{
    /* edge tally.outside (seq_cst): before the count of those who have not seen it */
    weft__store_seq_cst(&tally->is_closed, 1);
}

WEFT__HOT int weft__tally_is_closed(const weft__tally *tally)
{
    return weft__load_relaxed(&tally->is_closed) != 0; /* relaxed: looked at again by enter */
}

int weft__tally_watch(weft__tally *tally, int can_raid)
{
    weft__store_relaxed(&tally->is_closing, 1); /* relaxed: the addition in look() orders it */
    weft__store_relaxed(&tally->is_watched, 1); /* relaxed: the barrier orders it */
    if (can_raid)
        weft__hook_membarrier(); /* edge tally.watch: before we add up */
    return look(tally);
}
