/* SPDX-License-Identifier: BSD-2-Clause */
/* letter.h — one waits for a letter, another posts it; who is first leaves his mark in the box. */
#ifndef EXPLORE_RUNTIME_LETTER_H
#define EXPLORE_RUNTIME_LETTER_H

#include "sched/worker.h"

#define POSTED ((uintptr_t)1)
static uintptr_t box;

/* A wait's commit. */
static inline int commit_box(weft__waiter *waiter, void *arg)
{
    uintptr_t seen = 0;
    (void)arg;
    return weft__cas_acq_rel(&box, &seen, (uintptr_t)waiter);
}

static inline void await_letter(void)
{
    weft__waiter waiter;
    weft__wait(&waiter, commit_box, NULL);
}

/* The one who waits, to be woken by the caller; NULL: he will find it. */
static inline weft__waiter *post_letter(void)
{
    return (weft__waiter *)weft__exchange_acq_rel(&box, POSTED);
}

#endif
