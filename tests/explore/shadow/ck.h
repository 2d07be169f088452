/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.h — the explorer's stand-in for the event count of ConcurrencyKit that base/ck.h lets in: its
 * contract, not its code, which is assembly. It is a word to sleep on. */
#ifndef WEFT_BASE_CK_H
#define WEFT_BASE_CK_H

#include <weft/atomic.h>
#include <weft/base.h>

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
