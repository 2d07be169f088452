/* SPDX-License-Identifier: BSD-2-Clause */
/* hooks.h — the explorer's: sleep, memory, barriers and sudden death are its choices.
 *
 * It stands in front of base/hooks.h in the include path and offers the same names. */
#ifndef WEFT_BASE_HOOKS_H
#define WEFT_BASE_HOOKS_H

#include <sys/types.h>
#include <weft/base.h>

#include "block.h" /* before names of its own become macros here */
#include "explore.h"

#define weft__relax() explore_yield()
#define weft__pause(round) ((void)(round), explore_yield())
#define WEFT_CRASH_POINT(n) explore_crash_point(n)
#define weft__hook_alloc(bytes) explore_hook_alloc(bytes)
#define weft__hook_free(memory) explore_free(memory)
#define weft__hook_block_get(bytes) explore_hook_alloc(bytes)
#define weft__hook_block_put(memory, bytes) explore_free(memory)
#define weft__hook_membarrier() explore_membarrier()
#define weft__alloc(bytes) explore_hook_alloc(bytes)
#define weft__free(memory) explore_free(memory)
#define weft__fault() 0
#define weft__membarrier_register() 0
#define weft__hook_park_wait(word, expected, deadline_ns)                                          \
    explore_park_until((word), (expected), (deadline_ns))
#define weft__hook_park_wake(word, count) ((void)explore_park_wake((word), (count)))

/* Between processes: the same, and the wake answers how many were asleep. */
#define weft__hook_shared_wait(word, expected, deadline_ns)                                        \
    explore_park_until((word), (expected), (deadline_ns))
#define weft__hook_shared_wake(word, count) explore_park_wake((word), (count))
#define weft__hook_shared_membarrier() explore_membarrier()
#define weft__hook_self() ((uintptr_t)explore_self() + 1)
#define weft__hook_spins() 1

#define WEFT__PANIC(what) explore_fail(EXPLORE_PLACE what)
#define weft_assert(condition)                                                                     \
    (WEFT__LIKELY(condition) ? (void)0 : WEFT__PANIC("assertion failed: " #condition))

/* A model that runs who calls them brings them along. */
ssize_t weft__recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t weft__send(int fd, const void *buffer, size_t bytes, int flags);

#define weft__errno_get() explore_errno_get()
#define weft__errno_set(value) explore_errno_set(value)

#endif
