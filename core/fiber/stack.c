/* SPDX-License-Identifier: BSD-2-Clause */
/* stack.c — guarded stacks by the million.
 *
 * A reservation of address space (MAP_NORESERVE, committed by touch) is cut into strides. The
 * guard page of each is installed when the stack is first used, by MADV_GUARD_INSTALL where the
 * kernel has it, since that leaves the mapping in one piece; PROT_NONE splits it in two each time
 * and runs into vm.max_map_count after 32,750 stacks. Huge pages are refused for these mappings:
 * one touched byte would commit two megabytes.
 *
 * Stacks are prepared a few at a time, the more the more there are already: one call guards them,
 * another commits the page of each that is touched anyway. A fault costs far more than its share of
 * such a call, most of all in a virtual machine, where it is half of what a new fiber costs.
 *
 * The descriptor sits at the top of the stack, a few cache lines lower on each neighbour than on
 * the last: with equal offsets in every stride all hot lines would fall into the same cache set. */
#include "stack.h"

#include "hooks.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <weft/atomic.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#define PIDFD_SELF (-10000) /* no descriptor that a forked child could take for its own */

#define CHUNK_BYTES ((size_t)16 << 20)
#define COLOURS 15 /* with one more, frames of the lowest would reach into a second page */
#define COLOUR_BYTES ((size_t)192)
#define BATCH_SHARE 8 /* but no more than this part of all, so that few stay few */

_Static_assert(COLOURS *COLOUR_BYTES + sizeof(weft__fiber) <= 4096,
               "every descriptor lies in the highest page, which is committed beforehand");

/* Asked for several times for each stack, and a call that the C library passes on to others. */
static size_t page_bytes(void)
{
    static size_t known;
    size_t bytes = weft__load_relaxed(&known); /* relaxed: whoever is late finds out the same */
    if (WEFT__UNLIKELY(bytes == 0)) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
        weft__store_relaxed(&known, bytes); /* relaxed: likewise */
    }
    return bytes;
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

/* Advise the kernel on a page in each of `count` strides, by one call. Returns how many it took
 * note of: none where the kernel is too old for PIDFD_SELF (it came after MADV_GUARD_INSTALL), or a
 * sandbox does not know the call. */
static size_t advise_each(weft__fiber_pool *pool, char *page, size_t count, int advice)
{
    struct iovec *pages = pool->pages; /* not on the stack of a fiber, which keeps its pages */
    size_t stride = pool->stride;
    for (size_t i = 0; i < count; i++)
        pages[i] = (struct iovec){.iov_base = page + i * stride, .iov_len = page_bytes()};
    long bytes = syscall(SYS_process_madvise, PIDFD_SELF, pages, count, advice, 0);
    return bytes > 0 ? (size_t)bytes / page_bytes() : 0;
}

static int install_guard(char *lowest_page)
{
    if (weft__guard_kind() == WEFT__GUARD_MADVISE)
        return madvise(lowest_page, page_bytes(), MADV_GUARD_INSTALL);
    return mprotect(lowest_page, page_bytes(), PROT_NONE);
}

/* Returns how many of `count` stacks have their guard. */
static size_t install_guards(weft__fiber_pool *pool, char *low, size_t count)
{
    size_t done = 0;
    if (count > 1 && weft__guard_kind() == WEFT__GUARD_MADVISE)
        done = advise_each(pool, low, count, MADV_GUARD_INSTALL);
    while (done < count && install_guard(low + done * pool->stride) == 0)
        done++;
    return done;
}

void weft__fiber_pool_init(weft__fiber_pool *pool, size_t stack_bytes, void (*entry)(void),
                           void *runtime)
{
    int rc = pthread_mutex_init(&pool->lock, NULL);
    weft_assert(rc == 0);
    pool->chunks = NULL;
    pool->idle = NULL;
    pool->idle_count = 0;
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
    chunk->prepared = 0;
    chunk->first = pool->fibers;
    chunk->next = pool->chunks;
    /* edge pool.fibers (release): the chunk, for who walks the list without the lock */
    weft__store_release(&pool->chunks, chunk);
    return chunk;
}

/* The descriptor of the `number`-th fiber, whose stride begins at `low`. */
static weft__fiber *place_fiber(const weft__fiber_pool *pool, char *low, uint64_t number)
{
    size_t colour = (size_t)(number % COLOURS) * COLOUR_BYTES;
    uintptr_t top = (uintptr_t)low + pool->stride - colour - sizeof(weft__fiber);
    return (weft__fiber *)(top & ~(uintptr_t)(WEFT__CACHE_LINE - 1));
}

/* Guard the next stacks of the chunk and commit their highest pages. Nonzero: there is one. */
static int prepare(weft__fiber_pool *pool, weft__stack_chunk *chunk)
{
    size_t stride = pool->stride;
    size_t count = chunk->bytes / stride - chunk->prepared;
    size_t share = 1 + (size_t)pool->fibers / BATCH_SHARE;
    count = count < (size_t)WEFT__STACK_BATCH ? count : (size_t)WEFT__STACK_BATCH;
    count = count < share ? count : share;
    char *low = chunk->base + chunk->prepared * stride;
    size_t guarded = weft__fault() ? 0 : install_guards(pool, low, count);
    if (guarded > 1) /* that it may fail does no harm: the pages are committed when touched */
        (void)advise_each(pool, low + stride - page_bytes(), guarded, MADV_POPULATE_WRITE);
    chunk->prepared += guarded;
    return guarded > 0;
}

static weft__fiber *carve(weft__fiber_pool *pool)
{
    weft__stack_chunk *chunk = chunk_with_room(pool);
    if (chunk == NULL || (chunk->carved == chunk->prepared && !prepare(pool, chunk)))
        return NULL;
    char *low = chunk->base + chunk->carved * pool->stride;
    weft__fiber *fiber = place_fiber(pool, low, pool->fibers);
    fiber->stack_low = low + page_bytes();
    fiber->stack_bytes = (size_t)((char *)fiber - (char *)fiber->stack_low);
    fiber->runtime = pool->runtime;
    weft__store_relaxed(&fiber->running, NULL); /* relaxed: dumps look at any time */
    fiber->next = NULL;
    weft__fiber_prepare(fiber, pool->entry);
    /* edge pool.fibers (release): the descriptor, likewise */
    weft__store_release(&chunk->carved, chunk->carved + 1);
    /* relaxed: a statistic; the lock orders the writers */
    weft__store_relaxed(&pool->fibers, pool->fibers + 1);
    return fiber;
}

/* relaxed: a statistic; the lock orders the writers */
static void count_idle(weft__fiber_pool *pool, int difference)
{
    weft__store_relaxed(&pool->idle_count, pool->idle_count + (size_t)difference);
}

weft__fiber *weft__fiber_pool_get(weft__fiber_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    weft__fiber *fiber = pool->idle;
    if (fiber != NULL) {
        pool->idle = fiber->next;
        count_idle(pool, -1);
    } else {
        fiber = carve(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return fiber;
}

void weft__fiber_pool_put(weft__fiber_pool *pool, weft__fiber *fiber)
{
    (void)pthread_mutex_lock(&pool->lock);
    fiber->next = pool->idle;
    pool->idle = fiber;
    count_idle(pool, 1);
    (void)pthread_mutex_unlock(&pool->lock);
}

void weft__fiber_pool_each(const weft__fiber_pool *pool,
                           void (*each)(weft__fiber *fiber, uint64_t number, void *arg), void *arg)
{
    /* edge pool.fibers (acquire): chunks and descriptors as they were made */
    const weft__stack_chunk *chunk = weft__load_acquire(&pool->chunks);
    for (; chunk != NULL; chunk = chunk->next) {
        size_t carved = weft__load_acquire(&chunk->carved); /* edge pool.fibers (acquire) */
        for (size_t i = 0; i < carved; i++) {
            uint64_t number = chunk->first + i;
            each(place_fiber(pool, chunk->base + i * pool->stride, number), number, arg);
        }
    }
}

uint64_t weft__fiber_pool_number(const weft__fiber_pool *pool, const weft__fiber *fiber)
{
    /* edge pool.fibers (acquire): as above */
    const weft__stack_chunk *chunk = weft__load_acquire(&pool->chunks);
    for (; chunk != NULL; chunk = chunk->next) {
        uintptr_t distance = (uintptr_t)fiber - (uintptr_t)chunk->base;
        if (distance < chunk->bytes)
            return chunk->first + distance / pool->stride;
    }
    return 0;
}

static void forget_fiber(weft__fiber *fiber, uint64_t number, void *arg)
{
    (void)number;
    (void)arg;
    weft__fiber_forget(fiber);
}

void weft__fiber_pool_destroy(weft__fiber_pool *pool)
{
    weft__fiber_pool_each(pool, forget_fiber, NULL);
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
