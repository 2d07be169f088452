/* SPDX-License-Identifier: BSD-2-Clause */
/* panic.h — assertions that stay on in release builds.
 *
 * They guard programmer errors and broken invariants only; whatever can go wrong at run time is a
 * return code. Each tests one condition and costs O(1). */
#ifndef WEFT_BASE_PANIC_H
#define WEFT_BASE_PANIC_H

#include <weft/base.h>

/* Print "weft: what (file:line)" to stderr and abort. Safe in any context. */
__attribute__((noreturn, cold)) void weft__panic(const char *what, const char *file, int line);

/* Have `witness` say more when the message is out, before the process aborts: once, also if it
 * panics itself. */
void weft__panic_call(void (*witness)(void));

#define WEFT__PANIC(what) weft__panic((what), __FILE__, __LINE__)
#define weft_assert(condition)                                                                     \
    (WEFT__LIKELY(condition) ? (void)0 : WEFT__PANIC("assertion failed: " #condition))

#endif
