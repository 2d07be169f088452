/* SPDX-License-Identifier: BSD-2-Clause */
/* stack.c — guarded stacks by the million.
 *
 * A reservation of address space (MAP_NORESERVE, committed by touch) is cut into strides. The
 * guard page of each is installed when the stack is first used, by MADV_GUARD_INSTALL where the
 * kernel has it, since that leaves the mapping in one piece; PROT_NONE splits it in two each time
 * and runs into vm.max_map_count after 32,750 stacks. Huge pages are refused for these mappings:
 * one touched byte would commit two megabytes.
 *
 * The descriptor sits at the top of the stack, a few cache lines lower on each neighbour than on
 * the last: with equal offsets in every stride all hot lines would fall into the same cache set. */
#include "stack.h"

#include "hooks.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/atomic.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define CHUNK_BYTES ((size_t)16 << 20)
#define COLOURS 16
#define COLOUR_BYTES ((size_t)192)

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void *reserve(size_t bytes)
{
    if (weft__fault())
        return NULL;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    /* Refused on kernels without huge pages, where there is nothing to refuse. */
    (void)madvise(base, bytes, MADV_NOHUGEPAGE);
    return base;
}

static weft__guard guard_kind = WEFT__GUARD_MPROTECT;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

static void guard_probe(void)
{
    size_t page = page_bytes();
    void *probe = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED)
        return;
    if (madvise(probe, page, MADV_GUARD_INSTALL) == 0)
        guard_kind = WEFT__GUARD_MADVISE;
    (void)munmap(probe, page);
}

weft__guard weft__guard_kind(void)
{
    (void)pthread_once(&guard_once, guard_probe);
    return guard_kind;
}

static int install_guard(char *lowest_page)
{
    if (weft__guard_kind() == WEFT__GUARD_MADVISE)
        return madvise(lowest_page, page_bytes(), MADV_GUARD_INSTALL);
    return mprotect(lowest_page, page_bytes(), PROT_NONE);
}

void weft__fiber_pool_init(weft__fiber_pool *pool, size_t stack_bytes, void (*entry)(void),
                           void *runtime)
{
    int rc = pthread_mutex_init(&pool->lock, NULL);
    weft_assert(rc == 0);
    pool->chunks = NULL;
    pool->idle = NULL;
    pool->stride = stack_bytes;
    pool->fibers = 0;
    pool->entry = entry;
    pool->runtime = runtime;
}

/* A chunk with room for at least one more stack, or NULL. */
static weft__stack_chunk *chunk_with_room(weft__fiber_pool *pool)
{
    weft__stack_chunk *chunk = pool->chunks;
    if (chunk != NULL && (chunk->carved + 1) * pool->stride <= chunk->bytes)
        return chunk;
    chunk = weft__alloc(sizeof *chunk);
    if (chunk == NULL)
        return NULL;
    chunk->bytes =
        pool->stride > CHUNK_BYTES ? pool->stride : CHUNK_BYTES / pool->stride * pool->stride;
    chunk->base = reserve(chunk->bytes);
    if (chunk->base == NULL) {
        weft__free(chunk);
        return NULL;
    }
    chunk->carved = 0;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    return chunk;
}

/* The descriptor of the `number`-th fiber, whose stride begins at `low`. */
static weft__fiber *place_fiber(const weft__fiber_pool *pool, char *low, uint64_t number)
{
    size_t colour = (size_t)(number % COLOURS) * COLOUR_BYTES;
    uintptr_t top = (uintptr_t)low + pool->stride - colour - sizeof(weft__fiber);
    return (weft__fiber *)(top & ~(uintptr_t)(WEFT__CACHE_LINE - 1));
}

static weft__fiber *carve(weft__fiber_pool *pool)
{
    weft__stack_chunk *chunk = chunk_with_room(pool);
    if (chunk == NULL)
        return NULL;
    char *low = chunk->base + chunk->carved * pool->stride;
    if (weft__fault() || install_guard(low) != 0)
        return NULL;
    weft__fiber *fiber = place_fiber(pool, low, pool->fibers);
    fiber->stack_low = low + page_bytes();
    fiber->stack_bytes = (size_t)((char *)fiber - (char *)fiber->stack_low);
    fiber->runtime = pool->runtime;
    fiber->running = NULL;
    fiber->next = NULL;
    weft__fiber_prepare(fiber, pool->entry);
    chunk->carved++;
    /* relaxed: a statistic; the lock orders the writers */
    weft__store_relaxed(&pool->fibers, pool->fibers + 1);
    return fiber;
}

weft__fiber *weft__fiber_pool_get(weft__fiber_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    weft__fiber *fiber = pool->idle;
    if (fiber != NULL)
        pool->idle = fiber->next;
    else
        fiber = carve(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return fiber;
}

void weft__fiber_pool_put(weft__fiber_pool *pool, weft__fiber *fiber)
{
    (void)pthread_mutex_lock(&pool->lock);
    fiber->next = pool->idle;
    pool->idle = fiber;
    (void)pthread_mutex_unlock(&pool->lock);
}

static void forget_fibers(const weft__fiber_pool *pool)
{
    /* Chunks are listed newest first, so the numbers run backwards. */
    uint64_t number = pool->fibers;
    for (weft__stack_chunk *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = chunk->carved; i-- > 0;) {
            number--;
            weft__fiber_forget(place_fiber(pool, chunk->base + i * pool->stride, number));
        }
    }
}

void weft__fiber_pool_destroy(weft__fiber_pool *pool)
{
    forget_fibers(pool);
    while (pool->chunks != NULL) {
        weft__stack_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        (void)munmap(chunk->base, chunk->bytes);
        weft__free(chunk);
    }
    pool->idle = NULL;
    (void)pthread_mutex_destroy(&pool->lock);
}

int weft__fiber_guards(const weft__fiber *fiber, const void *address)
{
    uintptr_t low = (uintptr_t)fiber->stack_low;
    uintptr_t at = (uintptr_t)address;
    return at < low && at >= low - page_bytes();
}
