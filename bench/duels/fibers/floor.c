/* SPDX-License-Identifier: BSD-2-Clause */
/* floor.c — what no ping-pong through an object that other threads may use as well can undercut:
 * for each way one atomic step to give, one to take, and one switch. No scheduler, nobody asked. */
#include "../duel.h"

#include <weft/atomic.h>

#include "fiber/stack.h"

static weft__fiber thread_fiber;
static weft__fiber *other_fiber;
static uint32_t batons[2];

static void give(uint32_t *baton)
{
    weft__fetch_add_acq_rel(baton, 1);
}

static void take(uint32_t *baton)
{
    uint32_t one = 1;
    duel_need(weft__cas_acq_rel(baton, &one, 0), "the other's baton");
}

static void answer(void)
{
    weft__fiber_arrived();
    for (;;) {
        take(&batons[0]);
        give(&batons[1]);
        weft__fiber_switch(other_fiber, &thread_fiber);
    }
}

static void ping_pong(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i += 2) {
        give(&batons[0]);
        weft__fiber_switch(&thread_fiber, other_fiber);
        take(&batons[1]);
    }
}

static void duel_pingpong(const duel_request *request)
{
    weft__fiber_pool pool;
    weft__fiber_pool_init(&pool, (size_t)256 << 10, answer, NULL);
    weft__fiber_adopt_thread(&thread_fiber);
    other_fiber = weft__fiber_pool_get(&pool);
    duel_need(other_fiber != NULL, "weft__fiber_pool_get");
    duel_each(request, ping_pong, NULL);
    weft__fiber_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"pingpong", duel_pingpong}, {NULL, NULL}};
    return duel_main(argc, argv, "two atomic steps and a switch", duels);
}
