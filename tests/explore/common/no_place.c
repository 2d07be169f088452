/* SPDX-License-Identifier: BSD-2-Clause */
/* no_place.c — instead of where a worker wakes: nowhere in particular. */
#include "sched/worker.h"

void weft__place_lie_down(weft__worker *worker)
{
    (void)worker;
}

void weft__place_get_up(weft__worker *worker)
{
    (void)worker;
}

void weft__place_choose(weft__worker *sleeper, uint32_t turn)
{
    (void)sleeper;
    (void)turn;
}
