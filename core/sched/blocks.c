/* SPDX-License-Identifier: BSD-2-Clause */
/* blocks.c — memory for what is started and ended all the time, from the worker at hand.
 *
 * A general allocator answers in a hundred instructions or two, which is more than starting and
 * ending a fiber costs otherwise. Each worker keeps a few blocks of one size in a list of its own;
 * a block that ends on another worker than it began on just changes lists. */
#include "sched/worker.h"

#include "hooks.h"

#define BLOCKS_MAX 256u /* of a worker: 64 KiB */

void *weft__block_get(size_t bytes)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL || bytes > WEFT__BLOCK_BYTES || worker->blocks == NULL || weft__fault())
        return weft__alloc(bytes > WEFT__BLOCK_BYTES ? bytes : WEFT__BLOCK_BYTES);
    weft__link *block = worker->blocks;
    worker->blocks = block->next;
    worker->block_count--;
    return block;
}

void weft__block_put(void *memory, size_t bytes)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL || bytes > WEFT__BLOCK_BYTES || worker->block_count >= BLOCKS_MAX) {
        weft__free(memory);
        return;
    }
    weft__link *block = memory;
    block->next = worker->blocks;
    worker->blocks = block;
    worker->block_count++;
}

void weft__blocks_free(weft__worker *worker)
{
    while (worker->blocks != NULL) {
        weft__link *next = worker->blocks->next;
        weft__free(worker->blocks);
        worker->blocks = next;
    }
}
