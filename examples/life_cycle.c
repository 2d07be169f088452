/* SPDX-License-Identifier: BSD-2-Clause */
/* life_cycle.c — the life of a task: new, ready, running, waiting, running again, ended.
 *
 * There is one worker, which runs the program's own task. While that does not wait, the other one
 * is ready. While the other one waits for a key, its fiber is parked, and the worker is free. */
#include <weft/future.h>

#include <stdio.h>

typedef WEFT_FUTURE_OF(int) key_future;

WEFT_TASK(int, open_door, key_future *, arrived, key_future *, key)
{
    int value = 0;
    (void)weft_set_result(*arrived, &value);
    int rc = weft_result(*key, &value, WEFT_FOREVER); /* parks this fiber */
    return rc == 0 ? value : rc;
}

WEFT_TASK(int, double_of, int, n)
{
    return 2 * n;
}

static int live(weft_executor *pool)
{
    key_future arrived;
    key_future key;
    int value = 0;
    weft_promise(arrived);
    weft_promise(key);
    puts("new: a function and its arguments");

    open_door_future door = weft_submit(pool, open_door, .arrived = &arrived, .key = &key);
    printf("%s\n", weft_running(door) ? "running" : "ready: no worker has taken it yet");
    int rc = weft_result(arrived, NULL, WEFT_FOREVER);
    printf("%s\n", weft_running(door) ? "running: it has come to the door" : "?");

    double_of_future other = weft_submit(pool, double_of, 21);
    rc |= weft_await(other, &value, WEFT_FOREVER);
    printf("%s another task has run: %d\n",
           weft_running(door) ? "waiting: for the key; on its worker" : "?", value);

    value = 7;
    rc |= weft_set_result(key, &value);
    rc |= weft_await(door, &value, WEFT_FOREVER);
    puts("running again: the key is there");
    printf("ended: its result is %d\n", value);
    weft_release(arrived);
    weft_release(key);
    return rc;
}

static int app(void *arg)
{
    (void)arg;
    return live(weft_workers());
}

int main(void)
{
    int rc = weft_run(app, NULL, &(weft_config){.workers = 1});
    if (rc != 0)
        fprintf(stderr, "life_cycle: %s\n", weft_strerror(rc));
    return rc == 0 ? 0 : 1;
}
