/* SPDX-License-Identifier: BSD-2-Clause */
/* blocks.c — memory for what is started and ended all the time, from the worker at hand.
 *
 * A general allocator answers in a hundred instructions or two, which is more than starting and
 * ending a fiber costs otherwise. Each worker keeps a few blocks of two sizes in lists of its own:
 * most want the small one, and where there are very many each page counts. A block that ends on
 * another worker than it began on just changes lists. */
#include "sched/worker.h"

#include "hooks.h"

#define BLOCKS_MAX 256u /* of a worker and a size: 96 KiB in all */

static size_t bytes_of(unsigned size)
{
    return size == 0 ? WEFT__BLOCK_BYTES / 2 : WEFT__BLOCK_BYTES;
}

static unsigned size_for(size_t bytes)
{
    return bytes > WEFT__BLOCK_BYTES / 2;
}

void *weft__block_get(size_t bytes)
{
    weft__worker *worker = weft__worker_self();
    if (bytes > WEFT__BLOCK_BYTES)
        return weft__alloc(bytes);
    unsigned size = size_for(bytes);
    if (worker == NULL || worker->blocks[size] == NULL || weft__fault())
        return weft__alloc(bytes_of(size));
    weft__link *block = worker->blocks[size];
    worker->blocks[size] = block->next;
    worker->block_count[size]--;
    return block;
}

void weft__block_put(void *memory, size_t bytes)
{
    weft__worker *worker = weft__worker_self();
    unsigned size = size_for(bytes);
    if (worker == NULL || bytes > WEFT__BLOCK_BYTES || worker->block_count[size] >= BLOCKS_MAX) {
        weft__free(memory);
        return;
    }
    weft__link *block = memory;
    block->next = worker->blocks[size];
    worker->blocks[size] = block;
    worker->block_count[size]++;
}

static void free_all(weft__link *block)
{
    while (block != NULL) {
        weft__link *next = block->next;
        weft__free(block);
        block = next;
    }
}

void weft__blocks_free(weft__worker *worker)
{
    for (unsigned size = 0; size < WEFT__BLOCK_SIZES; size++)
        free_all(worker->blocks[size]);
}
