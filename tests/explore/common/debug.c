/* SPDX-License-Identifier: BSD-2-Clause */
/* debug.c — what core/debug provides: nothing, since models neither dump nor move fibers. */
#include "debug/check.h"
#include "debug/dump.h"
#include "debug/holder.h"
#include "io/foreign.h"

void weft__check_leaving(weft__worker *worker, weft__fiber *fiber)
{
    (void)worker;
    (void)fiber;
}

void weft__check_returned(weft__fiber *fiber, int saved_errno)
{
    (void)saved_errno;
    (void)fiber;
}

int weft__check_migrate(weft__worker *worker, weft__fiber *fiber)
{
    (void)worker;
    (void)fiber;
    return 0;
}

uint64_t weft__float_mode(void)
{
    return 0;
}

void weft__dump_signal_install(int signal_number)
{
    (void)signal_number;
}

uint32_t weft__holders_are_watched;

void weft__holder_watch(void)
{
}

void weft__holder_set(const void *object)
{
    (void)object;
}

void weft__holder_clear(const void *object)
{
    (void)object;
}

void weft__block_enter_fibers(void)
{
}

void weft__block_attend_scopes(void)
{
}
