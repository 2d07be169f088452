/* SPDX-License-Identifier: BSD-2-Clause */
/* alloc.h — memory, and the point where tests make it fail. */
#ifndef WEFT_BASE_ALLOC_H
#define WEFT_BASE_ALLOC_H

#include <weft/base.h>

#define WEFT__CACHE_LINE 64

/* `bytes` bytes aligned to a cache line, not cleared; NULL when there is no memory. */
void *weft__alloc(size_t bytes) WEFT_NODISCARD;

/* The same, aligned as malloc() would, for small blocks of which there are many. */
void *weft__alloc_packed(size_t bytes) WEFT_NODISCARD;

/* Give memory of either back; NULL is fine. */
void weft__free(void *memory);

/* What jemalloc tells of itself; NULL when the program does not run on jemalloc. */
extern int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes)
    __attribute__((weak));

/* Resource exhaustion on demand: weft__fault_arm(n) makes the n-th call of weft__fault() from now
 * on (n = 0, 1, 2 ...) answer nonzero, once; a negative n disarms. Every allocation, mapping and
 * thread creation of weft asks first. Costs a load when disarmed. */
int weft__fault(void);
void weft__fault_arm(int64_t n);

/* Number of weft__fault() calls since it was last armed: tells a test when it has seen them all. */
int64_t weft__fault_calls(void);

#endif
