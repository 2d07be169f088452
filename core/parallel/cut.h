/* SPDX-License-Identifier: BSD-2-Clause */
/* cut.h — loops that are cut short: the scope around the call is asked before each piece.
 *
 * A piece that was stolen runs on a fiber that is in no scope. It enters the caller's meanwhile, so
 * that what it waits for is interrupted too, and weft_cancel_requested() answers in it as in any
 * other piece. The scope outlives that: its owner waits for the loop. */
#ifndef WEFT_CORE_PARALLEL_CUT_H
#define WEFT_CORE_PARALLEL_CUT_H

#include <weft/atomic.h>

#include "fiber/scope.h"

typedef struct weft__cut {
    weft__brood *brood; /* the caller's, in the scope around the call; or NULL */
    uint32_t is_cut;    /* a piece has been left out; relaxed: read behind the joins */
} weft__cut;

/* In a piece: what to undo at its end. */
typedef enum weft__piece {
    WEFT__PIECE_LEFT_OUT = 0, /* it is not to be run */
    WEFT__PIECE_AT_HOME,
    WEFT__PIECE_VISITS,
} weft__piece;

static inline weft__cut weft__cut_begin(void)
{
    return (weft__cut){.brood = weft__brood_here(), .is_cut = 0};
}

static inline weft__piece weft__cut_enter(weft__cut *cut)
{
    if (cut->brood == NULL)
        return WEFT__PIECE_AT_HOME;
    if (weft__scope_is_over(cut->brood->scope_)) {
        weft__store_relaxed(&cut->is_cut, 1); /* relaxed: see there */
        return WEFT__PIECE_LEFT_OUT;
    }
    return weft__scope_visit(cut->brood) ? WEFT__PIECE_VISITS : WEFT__PIECE_AT_HOME;
}

static inline void weft__cut_leave(weft__piece piece)
{
    if (piece == WEFT__PIECE_VISITS)
        weft__scope_unvisit();
}

/* What the call returns: 0, or why pieces were left out. */
static inline int weft__cut_end(const weft__cut *cut)
{
    return cut->is_cut ? weft_cancel_requested() : 0;
}

#endif
