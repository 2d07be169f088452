/* SPDX-License-Identifier: BSD-2-Clause */
/* stack.h — where fibers come from: guarded stacks carved out of large reservations. */
#ifndef WEFT_FIBER_STACK_H
#define WEFT_FIBER_STACK_H

#include "fiber.h"

#include <pthread.h>
#include <sys/uio.h>

/* How the lowest page of a stack is made to fault; best first. */
typedef enum weft__guard {
    WEFT__GUARD_MADVISE, /* MADV_GUARD_INSTALL, Linux 6.13: costs no mapping */
    WEFT__GUARD_MPROTECT /* PROT_NONE: two mappings for each stack, 32,750 stacks at most */
} weft__guard;

/* The kind this kernel offers; probed once per process. */
weft__guard weft__guard_kind(void);

/* One reservation; a list, newest first. */
typedef struct weft__stack_chunk {
    struct weft__stack_chunk *next;
    char *base;
    size_t bytes;
    uint64_t first;  /* the number of its first fiber */
    size_t carved;   /* stacks handed out so far */
    size_t prepared; /* stacks that can be: guarded, under the pool's lock */
} weft__stack_chunk;

#define WEFT__STACK_BATCH 16 /* stacks that are prepared together, at most */

/* All fibers of one runtime. Idle ones are kept, not unmapped: the next to block wants one. */
typedef struct weft__fiber_pool {
    pthread_mutex_t lock;      /* guards everything below; slow paths only */
    weft__stack_chunk *chunks; /* read without the lock by weft__fiber_pool_each() */
    weft__fiber *idle;
    size_t idle_count; /* as `fibers`: also read without the lock */
    size_t stride;     /* bytes of one stack, guard and descriptor included */
    uint64_t fibers;   /* made so far; read by statistics without the lock */
    void (*entry)(void);
    void *runtime;
    struct iovec pages[WEFT__STACK_BATCH]; /* what the kernel is being told of */
} weft__fiber_pool;

void weft__fiber_pool_init(weft__fiber_pool *pool, size_t stack_bytes, void (*entry)(void),
                           void *runtime);

/* An idle fiber, new if need be; NULL when there is no memory or no mapping left. */
weft__fiber *weft__fiber_pool_get(weft__fiber_pool *pool);

/* Give an idle fiber back. */
void weft__fiber_pool_put(weft__fiber_pool *pool, weft__fiber *fiber);

/* Unmap everything; no fiber of the pool runs or will run. */
void weft__fiber_pool_destroy(weft__fiber_pool *pool);

/* Call `each` for all fibers that exist, idle ones included, newest chunk first. Takes no lock, and
 * may be called at any time while the pool exists. Async-signal-safe if `each` is. */
void weft__fiber_pool_each(const weft__fiber_pool *pool,
                           void (*each)(weft__fiber *fiber, uint64_t number, void *arg), void *arg);

/* The number of a fiber of the pool. As the one above. */
uint64_t weft__fiber_pool_number(const weft__fiber_pool *pool, const weft__fiber *fiber);

/* Whether `address` lies in the guard page of `fiber`. Async-signal-safe. */
int weft__fiber_guards(const weft__fiber *fiber, const void *address);

#endif
