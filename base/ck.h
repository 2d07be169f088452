/* SPDX-License-Identifier: BSD-2-Clause */
/* ck.h — the only door to ConcurrencyKit.
 *
 * Taken from it: the event count. Its operations are inline assembly that ThreadSanitizer cannot
 * see, so each is announced as a release or an acquire of the object, and the plain accesses inside
 * are hidden. */
#ifndef WEFT_BASE_CK_H
#define WEFT_BASE_CK_H

#include <weft/base.h>

#include <ck_ec.h>

#include "sanitize.h"

#ifdef WEFT__TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

/* Around each operation: what it publishes, then its accesses unseen, then what it has learnt. Only
 * the edges an operation really makes are announced, lest others' races be hidden. */
WEFT__INLINE void weft__ck_release(void *object)
{
#ifdef WEFT__TSAN
    __tsan_release(object);
#else
    (void)object;
#endif
}

WEFT__INLINE void weft__ck_acquire(void *object)
{
#ifdef WEFT__TSAN
    __tsan_acquire(object);
#else
    (void)object;
#endif
}

WEFT__INLINE void weft__ck_hide(void)
{
#ifdef WEFT__TSAN
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}

WEFT__INLINE void weft__ck_show(void)
{
#ifdef WEFT__TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}

/* ---- an event count: one word to sleep on -------------------------------------------------- */

typedef struct ck_ec32 weft__ec;

/* How event counts sleep: our futex calls, several producers (so that a wake is never missed and
 * the timed retries which ConcurrencyKit makes for the single-producer form are not needed). */
extern const struct ck_ec_mode weft__ec_mode;

WEFT__INLINE void weft__ec_init(weft__ec *ec)
{
    ck_ec32_init(ec, 0);
}

WEFT__INLINE uint32_t weft__ec_value(weft__ec *ec)
{
    weft__ck_hide();
    uint32_t value = ck_ec32_value(ec);
    weft__ck_show();
    weft__ck_acquire(ec);
    return value;
}

/* Count one event and wake whoever sleeps; no system call when nobody does. */
WEFT__INLINE void weft__ec_post(weft__ec *ec)
{
    weft__ck_release(ec);
    weft__ck_hide();
    ck_ec32_inc(ec, &weft__ec_mode);
    weft__ck_show();
}

/* weft__ec_wait() without the announcements. */
void weft__ec_sleep(weft__ec *ec, uint32_t value, int64_t deadline_ns);

/* Sleep until the count is no longer `value`, or the deadline has passed; may return earlier: look
 * again. */
WEFT__INLINE void weft__ec_wait(weft__ec *ec, uint32_t value, int64_t deadline_ns)
{
    weft__ck_hide();
    weft__ec_sleep(ec, value, deadline_ns);
    weft__ck_show();
    weft__ck_acquire(ec);
}

#endif
