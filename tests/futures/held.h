/* SPDX-License-Identifier: BSD-2-Clause */
/* held.h — pools whose worker is held up, so that what is submitted stays in their queue. */
#ifndef WEFT_TESTS_FUTURES_HELD_H
#define WEFT_TESTS_FUTURES_HELD_H

#include "../core/process.h"

#include <weft/future.h>

static inline weft_executor *pool_new(unsigned workers, size_t queue_max, weft_full full)
{
    weft_executor *pool = NULL;
    weft_pool_config config = {
        .runtime = {.workers = workers}, .queue_max = queue_max, .full = full};
    assert_int_equal(weft_pool_create(&pool, &config), 0);
    return pool;
}

/* Keeps its thread, until the word is 2: nothing else runs on a pool of one worker. */
WEFT_TASK(int, hold, uint32_t *, word)
{
    weft__store_release(word, 1);
    while (weft__load_acquire(word) != 2)
        sleep_ns(50 * WEFT_USEC);
    return 0;
}

/* It does so already. */
static inline hold_future hold_worker(weft_executor *pool, uint32_t *word)
{
    *word = 0;
    hold_future f = weft_submit(pool, hold, word);
    while (weft__load_acquire(word) != 1)
        sleep_ns(50 * WEFT_USEC);
    return f;
}

#endif
