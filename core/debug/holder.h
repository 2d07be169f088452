/* SPDX-License-Identifier: BSD-2-Clause */
/* holder.h — who holds what, kept only while the process checks for hangs (WEFT_CHECK=hang).
 *
 * A lock has no room for its holder and no time to note it: uncontended, it is one swap. So locks
 * report to a table beside them, when somebody has asked for it: otherwise a load and a branch. */
#ifndef WEFT_CORE_DEBUG_HOLDER_H
#define WEFT_CORE_DEBUG_HOLDER_H

#include <weft/atomic.h>
#include <weft/base.h>

/* A fiber's address; a thread's id, doubled and odd; 0: not known, or nobody. */
typedef uintptr_t weft__holder;

#define WEFT__HOLDER_IS_THREAD(holder) ((holder)&1)

/* Begin to keep the table, for the rest of the process. */
void weft__holder_watch(void);

weft__holder weft__holder_of(const void *object);

/* Slow paths of the two below. */
extern uint32_t weft__holders_are_watched;
void weft__holder_set(const void *object);
void weft__holder_clear(const void *object);

/* The caller has got `object`, and nobody else will have it before weft__lets_go(). */
WEFT__INLINE void weft__holds(const void *object)
{
    if (WEFT__UNLIKELY(weft__load_relaxed(&weft__holders_are_watched))) /* relaxed: set for ever */
        weft__holder_set(object);
}

/* The caller is about to release it, or to hand it over. */
WEFT__INLINE void weft__lets_go(const void *object)
{
    if (WEFT__UNLIKELY(weft__load_relaxed(&weft__holders_are_watched))) /* relaxed: as above */
        weft__holder_clear(object);
}

#endif
