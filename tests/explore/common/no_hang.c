/* SPDX-License-Identifier: BSD-2-Clause */
/* no_hang.c — instead of the detector of hangs and the list of runtimes that it looks through:
 * nothing, where the explorer itself says who sleeps for ever. */
#include "debug/hang.h"
#include "debug/registry.h"

int64_t weft__hang_watch(weft__worker *worker, int64_t due_ns)
{
    (void)worker;
    return due_ns;
}

void weft__thread_rests(void)
{
}

void weft__thread_roused(void)
{
}

void weft__registry_add(weft_runtime *runtime)
{
    (void)runtime;
}

void weft__registry_remove(weft_runtime *runtime)
{
    (void)runtime;
}
