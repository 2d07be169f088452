/* SPDX-License-Identifier: BSD-2-Clause */
/* topology.h — which processor each worker is bound to, and how far workers are from each other. */
#ifndef WEFT_CORE_SCHED_TOPOLOGY_H
#define WEFT_CORE_SCHED_TOPOLOGY_H

#include "sched/settings.h"

/* How far two workers are apart, in rings a thief searches one after the other. */
enum weft__distance {
    WEFT__SELF = 0,
    WEFT__SAME_CORE,    /* hardware threads of one core */
    WEFT__SAME_CACHE,   /* cores below one last-level cache */
    WEFT__SAME_NUMA,    /* one memory controller; also said of all workers that are not bound */
    WEFT__SAME_PACKAGE, /* one socket */
    WEFT__FARTHER,
};

/**
 * Place `workers` workers as `settings` ask.
 *
 * Without binding no file is read and hwloc is not touched: all distances are WEFT__SAME_NUMA.
 * More workers than places start again at the first place.
 *
 * @param cpu_of_worker  receives for each worker the processor to bind it to, or -1
 * @param distance       receives workers x workers distances, row by row
 * Returns         0; -ENOMEM
 * Context         any thread or fiber
 * Progress        blocking: the first call that needs it reads the machine's topology
 */
int weft__topology_map(const struct weft__settings *settings, unsigned workers, int *cpu_of_worker,
                       unsigned char *distance);

/* What the machine consists of, allowed to us or not; counts of 0: not known. */
struct weft__topology {
    unsigned packages, cores, threads, caches, numa_nodes;
    unsigned kinds; /* kinds of cores that differ in speed; 1: all alike */
};

/* Counts; loads the topology if that has not happened. All 0 without hwloc. */
struct weft__topology weft__topology_count(void);

#endif
