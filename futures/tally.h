/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.h — what was submitted, what has ended, and who wants to know when the two agree.
 *
 * Counting costs next to nothing: each worker counts what it submits and what it ends, in a line of
 * its own. Who wants to know adds up, first what has ended, then what was submitted. If the two
 * agree, nothing was in flight in between: a task counts what it submits before it counts itself as
 * ended. Workers look whether anybody wants to know after they have counted, without a fence; the
 * one who begins to want calls membarrier() before he adds up himself. Where there is no
 * membarrier(), workers add up after each task.
 *
 * Submissions from outside count themselves in and out of one word, so that nobody frees what they
 * still use. */
#ifndef WEFT_FUTURES_TALLY_H
#define WEFT_FUTURES_TALLY_H

#include <weft/base.h>

/* A worker's counts; it alone writes them. */
typedef struct weft__counts {
    uint64_t submitted;
    uint64_t ended;
} weft__counts;

typedef struct weft__tally {
    uint64_t outside;     /* submissions from outside below, calls in progress above */
    uint64_t purged;      /* ended by a shutdown, not by a worker */
    uint64_t looks;       /* orders those who add up */
    uint32_t is_closed;   /* submissions from outside are refused */
    uint32_t is_closing;  /* somebody wants to know */
    uint32_t is_watched;  /* workers add up when they have counted */
    unsigned count;       /* workers; constant, as what follows */
    size_t stride;        /* from one worker's counts to the next */
    weft__counts *counts; /* the first worker's */
} weft__tally;

/* `can_raid`: there is a membarrier(). */
void weft__tally_init(weft__tally *tally, weft__counts *counts, size_t stride, unsigned count,
                      int can_raid);

/* A worker has submitted one; has ended one, and is the one to tell that everything has if the
 * answer is nonzero. Several may be told to tell. */
void weft__tally_submit(weft__counts *own);
int weft__tally_end(weft__tally *tally, weft__counts *own) WEFT_NODISCARD;

/* From outside: count a submission in; zero: it is too late, and is counted out again by refuse,
 * which answers as weft__tally_end(). Either way leave is the last. */
int weft__tally_enter(weft__tally *tally) WEFT_NODISCARD;
int weft__tally_refuse(weft__tally *tally) WEFT_NODISCARD;
void weft__tally_leave(weft__tally *tally);

/* Whether somebody is between enter and leave. */
int weft__tally_is_entered(weft__tally *tally);

/* One has ended that no worker will come across. */
void weft__tally_purge(weft__tally *tally);

/* Refuse submissions from now on; a hint whether that is so. */
void weft__tally_close(weft__tally *tally);
int weft__tally_is_closed(const weft__tally *tally);

/* Begin to want to know. Nonzero: everything has ended. Otherwise the last one will tell. */
int weft__tally_watch(weft__tally *tally, int can_raid) WEFT_NODISCARD;

/* Who waits for a task may come to help with it, and has nothing of the pool but that task: when it
 * ends the pool may go. But if it has not ended after one has come, the pool is there until one
 * goes again. Whoever frees the pool awaits those who have come, once everything has ended; they do
 * no more than to look, and to hold by other means what they need for longer. The word counts those
 * of all pools: they come before they know that theirs is there. */
void weft__newcomer_comes(uint32_t *newcomers);
void weft__newcomer_goes(uint32_t *newcomers);
void weft__newcomers_await(uint32_t *newcomers);

#endif
