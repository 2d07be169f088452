/* SPDX-License-Identifier: BSD-2-Clause */
/* stock.c — the memory of futures, from whoever is at hand.
 *
 * Workers and plain threads keep some free blocks for themselves: a general allocator touches
 * thirty cache lines to hand one out and take it back, which is much for who submits tasks of a
 * hundred nanoseconds, and more for who has just slept. A block that is given back by another than
 * took it just changes hands.
 *
 * A plain thread's blocks are freed by the destructor of a value of its own (<weft/local.h>). What
 * other destructors give back after that is not kept. */
#include "stock.h"

#include <weft/local.h>

#include "future.h"
#include "hooks.h"
#include "sanitize.h"

/* Futures of the usual size are blocks of this. They do not begin at cache lines: that would be 128
 * bytes, and 4 more that jemalloc has in mind for each, since it cuts blocks of that size out of
 * single pages, and those of 112 out of seven. */
#define BLOCK_BYTES 112
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
#define BLOCKS_MAX 0 /* the sanitizer wants to see each */
#else
#define BLOCKS_MAX 256
#endif

enum keeping { NOT_YET, KEEPS, NO_MORE };

void weft__stock_clear(weft__stock *stock)
{
    while (stock->first != NULL) {
        weft__link *first = stock->first;
        stock->first = first->next;
        weft__free(first);
    }
    stock->count = 0;
}

static void thread_ends(void *value)
{
    weft__stock *stock = value;
    stock->keeping = NO_MORE;
    weft__stock_clear(stock);
}

static weft_local at_end = WEFT_LOCAL_INIT(thread_ends);

static int is_kept_by_thread(weft__stock *stock)
{
    if (WEFT__UNLIKELY(stock->keeping == NOT_YET))
        stock->keeping = weft_local_set(&at_end, stock) == 0 ? KEEPS : NO_MORE;
    return stock->keeping == KEEPS;
}

/* What `worker` keeps, or the calling thread, which is none; NULL: nothing. */
static weft__stock *stock_of(weft__worker *worker)
{
    if (BLOCKS_MAX == 0)
        return NULL;
    return worker != NULL ? weft__workers_stock(worker) : weft__thread_stock();
}

WEFT__HOT void *weft__future_alloc(size_t bytes)
{
    if (bytes > BLOCK_BYTES)
        return weft__alloc(bytes);
    weft__worker *worker = weft__worker_self();
    weft__stock *stock = stock_of(worker);
    if (stock == NULL || stock->first == NULL)
        return weft__alloc_packed(BLOCK_BYTES);
    if (worker == NULL && weft__fault())
        return NULL;
    weft__link *first = stock->first;
    stock->first = first->next;
    stock->count--;
    return first;
}

WEFT__HOT void weft__future_free(void *memory, size_t bytes)
{
    weft__worker *worker = weft__worker_self();
    weft__stock *stock = bytes > BLOCK_BYTES ? NULL : stock_of(worker);
    if (stock == NULL || stock->count == BLOCKS_MAX ||
        (worker == NULL && !is_kept_by_thread(stock))) {
        weft__free(memory);
        return;
    }
    weft__link *block = memory;
    block->next = stock->first;
    stock->first = block;
    stock->count++;
}
