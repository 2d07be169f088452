/* SPDX-License-Identifier: BSD-2-Clause */
/* life_cycle.c — the life of a task: new, ready, running, waiting, ready and running again, ended.
 *
 * There is one worker, which runs the program's own task. While that does not wait, the other one
 * is ready. While the other one waits for a key, its fiber is parked, and the worker is free. What
 * is printed about it is what weft itself knows: a future's state, and that of the fiber that runs
 * its task, with the reason why it waits. */
#include <weft/debug.h>
#include <weft/future.h>

#include <stdio.h>
#include <string.h>

typedef WEFT_FUTURE_OF(int) key_future;

/* The fiber that runs the task `open_door` tells what it does. */
static void tell(const weft_fiber_info *fiber, void *arg)
{
    (void)arg;
    if (strcmp(fiber->name, "open_door") != 0)
        return;
    printf("%s", weft_fiber_state_name(fiber->state));
    if (fiber->state == WEFT_FIBER_WAITING)
        printf(" for a %s", weft_reason_name(fiber->reason));
}

static void say(const char *what)
{
    (void)weft_each_fiber(tell, NULL);
    printf("%s\n", what);
}

WEFT_TASK(int, open_door, key_future *, arrived, key_future *, key)
{
    int value = 0;
    say(": it has come to the door");
    (void)weft_set_result(*arrived, &value);
    int rc = weft_result(*key, &value, WEFT_FOREVER); /* parks this fiber */
    say(" again: it has the key");
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
    printf("%s: no worker has taken it yet\n",
           weft_running(door) || weft_done(door) ? "?" : "ready");
    int rc = weft_result(arrived, NULL, WEFT_FOREVER);
    say(": its worker is free");

    double_of_future other = weft_submit(pool, double_of, 21);
    rc |= weft_await(other, &value, WEFT_FOREVER);
    printf("  and has run another task: %d\n", value);

    value = 7;
    rc |= weft_set_result(key, &value);
    say(" again: the key is there, the worker busy");
    rc |= weft_await(door, &value, WEFT_FOREVER);
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
