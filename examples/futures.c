/* SPDX-License-Identifier: BSD-2-Clause */
/* futures.c — what one may ask of a future: done, running, cancelled, result, exception, callback;
 * of one that succeeds, one that fails, one that is cancelled, and one that takes too long.
 *
 * The pool has one worker, and a promise keeps its first task waiting, so that every state can be
 * seen. A task that waits leaves its worker to others. */
#include <weft/future.h>

#include <errno.h>
#include <stdio.h>

typedef WEFT_FUTURE_OF(double) spot_future;

WEFT_TASK(double, price, int, option, spot_future *, spot)
{
    double value = 0;
    if (option < 0)
        return weft_fail(-EINVAL, "there is no option %d", option), 0;
    if (weft_result(*spot, &value, WEFT_FOREVER) != 0)
        return weft_fail(-EIO, "no spot price"), 0;
    return option * value;
}

/* A callback runs in whichever thread ends the future. */
static void print_end(weft_future *future, void *name)
{
    printf("%s has ended, done %d\n", (const char *)name, weft_future_done(future) != 0);
}

static void keep_promise(weft_future *future, void *promise)
{
    weft_void_future *told = promise;
    (void)future;
    (void)weft_set_result(*told, NULL);
}

static void show(const char *name, price_future f)
{
    printf("%s: done %d, running %d, cancelled %d\n", name, weft_done(f) != 0, weft_running(f) != 0,
           weft_cancelled(f) != 0);
}

static int run(weft_executor *pool)
{
    double value = 0;
    double spot_price = 101.5;
    weft_error error;
    spot_future spot;
    weft_void_future told;
    weft_promise(spot);
    weft_void_promise(told);

    price_future good = weft_submit(pool, price, .option = 2, .spot = &spot);
    price_future bad = weft_submit(pool, price, .option = -1, .spot = &spot);
    price_future unwanted;
    weft_promise(unwanted); /* pending until somebody keeps it: nobody will */
    int rc = weft_on_done(good, keep_promise, &told);
    rc |= weft_on_done(unwanted, print_end, "unwanted");

    rc |= weft_exception(bad, &error, WEFT_FOREVER);
    printf("bad: %s (%s)\n", error.message, weft_strerror(error.code));
    show("bad", bad);
    show("good", good);
    printf("good, in 10 ms: %s\n",
           weft_strerror(weft_result(good, &value, weft_in(10 * WEFT_MSEC))));
    printf("cancel good: %d, cancel unwanted: %d\n", weft_cancel(good) != 0,
           weft_cancel(unwanted) != 0);
    show("unwanted", unwanted);
    printf("unwanted: %s\n", weft_strerror(weft_result(unwanted, NULL, WEFT_FOREVER)));

    rc |= weft_set_result(spot, &spot_price);
    rc |= weft_result(good, &value, WEFT_FOREVER);
    rc |= weft_await(told, NULL, WEFT_FOREVER);
    printf("good has called back: %.2f\n", value);
    show("good", good);
    rc |= weft_exception(good, &error, WEFT_POLL);
    printf("good has %s error\n", error.code == 0 ? "no" : "an");
    (void)weft_set_error(unwanted, -ECANCELED, NULL); /* whoever should have kept it learns of it */
    weft_release(good);
    weft_release(bad);
    weft_release(unwanted);
    weft_release(spot);
    return rc;
}

int main(void)
{
    weft_executor *pool;
    int rc = weft_pool_create(&pool, &(weft_pool_config){.runtime = {.workers = 1}});
    if (rc == 0) {
        rc = run(pool);
        rc |= weft_pool_destroy(pool);
    }
    if (rc != 0)
        fprintf(stderr, "futures: %s\n", weft_strerror(rc));
    return rc == 0 ? 0 : 1;
}
