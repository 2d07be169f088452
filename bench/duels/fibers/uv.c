/* SPDX-License-Identifier: BSD-2-Clause */
/* uv.c — a contestant in one duel: libuv, which has timers but no fibers; its sleepers are
 * callbacks. */
#include "../duel.h"

#include <uv.h>

#define SLEEPERS 100000
#define SLEEPS 10
#define SLEEP_MS 10

typedef struct sleeper {
    uv_timer_t timer;
    int sleeps;
} sleeper;

static long sleeps;

static void wake(uv_timer_t *timer)
{
    sleeper *woken = (sleeper *)timer;
    sleeps++;
    if (++woken->sleeps < SLEEPS)
        uv_timer_start(timer, wake, SLEEP_MS, 0);
}

static void duel_sleepers(const duel_request *request)
{
    long count = request->size ? request->size : SLEEPERS;
    sleeper *sleepers = (sleeper *)duel_alloc((size_t)count * sizeof *sleepers);
    int64_t begin = duel_now_ns();
    int64_t cpu = duel_cpu_ns();
    for (long i = 0; i < count; i++) {
        uv_timer_init(uv_default_loop(), &sleepers[i].timer);
        uv_timer_start(&sleepers[i].timer, wake, SLEEP_MS, 0);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    duel_value("wall", 1e-6 * (double)(duel_now_ns() - begin), "ms");
    duel_value("cpu", (double)(duel_cpu_ns() - cpu) / (double)(SLEEPS * count), "ns");
    duel_equal("sleeps", sleeps, SLEEPS * count);
    free(sleepers);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"sleepers", duel_sleepers}, {NULL, NULL}};
    char version[64];
    snprintf(version, sizeof version, "libuv %s", uv_version_string());
    return duel_main(argc, argv, version, duels);
}
