/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — weft's futures, in a pool with workers of its own. */
#include "../duel.h"

#include <weft/future.h>

typedef long contest_function(long n);

WEFT_TASK(long, apply, contest_function *, function, long, n)
{
    return function(n);
}

typedef apply_future contest_future;

static weft_executor *pool;

static void contest_start(int workers)
{
    const weft_pool_config config = {.runtime = {.workers = (unsigned)workers}};
    duel_need(weft_pool_create(&pool, &config) == 0, "weft_pool_create");
}

static void contest_stop(void)
{
    duel_need(weft_pool_destroy(pool) == 0, "weft_pool_destroy");
}

static void contest_submit(contest_future *future, contest_function *function, long n)
{
    *future = weft_submit(pool, apply, function, n);
}

static long contest_result(contest_future *future)
{
    long value = -1;
    int rc = weft_await(*future, &value, WEFT_FOREVER);
    if (rc != 0)
        duel_fail(1, "weft_await: %s", weft_strerror(rc));
    return value;
}

static void contest_promise(contest_future *future)
{
    weft_promise(*future);
}

static void contest_complete(contest_future *future, long n)
{
    duel_need(weft_set_result(*future, &n) == 0, "weft_set_result");
}

static long contest_wait(contest_future *future)
{
    long value = -1;
    int rc = weft_result(*future, &value, WEFT_FOREVER);
    if (rc != 0)
        duel_fail(1, "weft_result: %s", weft_strerror(rc));
    return value;
}

static void contest_drop(contest_future *future)
{
    weft_release(*future);
}

typedef void inside_function(void *argument);

WEFT_VOID_TASK(call_inside, inside_function *, function, void *, argument)
{
    function(argument);
}

static void contest_inside(inside_function *function, void *argument)
{
    call_inside_future future = weft_submit(pool, call_inside, function, argument);
    duel_need(weft_await(future, NULL, WEFT_FOREVER) == 0, "weft_await");
}

#define CONTEST_PROMISES
#include "futures.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, weft_version(), futures_duels);
}
