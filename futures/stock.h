/* SPDX-License-Identifier: BSD-2-Clause */
/* stock.h — the memory of futures. */
#ifndef WEFT_FUTURES_STOCK_H
#define WEFT_FUTURES_STOCK_H

#include "sched/worker.h"

/* NULL: there is none. Given back with the same `bytes`, by any thread. */
void *weft__future_alloc(size_t bytes) WEFT_NODISCARD;
void weft__future_free(void *memory, size_t bytes);

/* What a worker keeps, as part of its executor. NULL: it has none yet. */
weft__stock *weft__workers_stock(weft__worker *worker);

/* Free the blocks that are kept. */
void weft__stock_clear(weft__stock *stock);

#endif
