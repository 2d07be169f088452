/* SPDX-License-Identifier: BSD-2-Clause */
/* alloc.c — the only file that knows which allocator there is.
 *
 * jemalloc is linked shared, never with link-time optimisation: an inlined fast path would keep the
 * address of its thread cache across a fiber switch, and a fiber that has moved to another thread
 * would then corrupt that thread's heap. Blocks start on a cache line: what weft allocates is
 * shared between cores or large, and both want it. The exception are those that are packed. */
#include "alloc.h"

#include <stdlib.h>
#include <weft/atomic.h>

#ifdef WEFT_HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#define DISARMED INT64_MIN

static int64_t fault_countdown = DISARMED;
static int64_t fault_calls;

WEFT__HOT int weft__fault(void)
{
    /* relaxed: a test hook; the test orders arming against use by starting threads */
    if (WEFT__LIKELY(weft__load_relaxed(&fault_countdown) == DISARMED))
        return 0;
    weft__fetch_add_relaxed(&fault_calls, 1);
    return weft__fetch_add_relaxed(&fault_countdown, -1) == 0;
}

void weft__fault_arm(int64_t n)
{
    weft__store_relaxed(&fault_calls, 0);
    weft__store_relaxed(&fault_countdown, n < 0 ? DISARMED : n);
}

int64_t weft__fault_calls(void)
{
    return weft__load_relaxed(&fault_calls);
}

void *weft__alloc(size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX - WEFT__CACHE_LINE || weft__fault())
        return NULL;
#ifdef WEFT_HAVE_JEMALLOC
    return mallocx(bytes, MALLOCX_ALIGN(WEFT__CACHE_LINE));
#else
    size_t lines = (bytes + WEFT__CACHE_LINE - 1) / WEFT__CACHE_LINE;
    return aligned_alloc(WEFT__CACHE_LINE, lines * WEFT__CACHE_LINE);
#endif
}

void *weft__alloc_packed(size_t bytes)
{
    if (bytes == 0 || weft__fault())
        return NULL;
#ifdef WEFT_HAVE_JEMALLOC
    return mallocx(bytes, 0);
#else
    return malloc(bytes);
#endif
}

void weft__free(void *memory)
{
#ifdef WEFT_HAVE_JEMALLOC
    if (memory != NULL)
        dallocx(memory, 0);
#else
    free(memory);
#endif
}
