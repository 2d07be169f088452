/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.h — how many processors this process may use, and what says so. */
#ifndef WEFT_CORE_SCHED_LIMITS_H
#define WEFT_CORE_SCHED_LIMITS_H

#include "sched/cpuset.h"

#define WEFT__QUOTA_FILE_BYTES 512

struct weft__limits {
    unsigned online;                         /* processors that run; at least 1 */
    unsigned allowed;                        /* of those, the ones in the affinity mask; >= 1 */
    unsigned usable;                         /* min(allowed, ceil(quota_cpus)); at least 1 */
    double quota_cpus;                       /* processors' worth of time granted; 0: no quota */
    char quota_file[WEFT__QUOTA_FILE_BYTES]; /* the file that grants least; "": no quota */
    struct weft__cpuset online_set;          /* what `online` counts */
    struct weft__cpuset allowed_set;         /* what `allowed` counts */
};

/**
 * Read online processors, the caller's affinity mask and all CPU quotas above it.
 *
 * @param root     prefix of every path that is read; "" outside of tests
 * Returns         0; -ENOMEM. What cannot be read is left out of account, never an error.
 * Context         any thread or fiber
 * Progress        blocking: reads files
 */
int weft__limits_read(struct weft__limits *out, const char *root);

/* The same with an affinity mask given instead of read; an empty one counts as unknown. */
int weft__limits_read_mask(struct weft__limits *out, const char *root,
                           const struct weft__cpuset *mask);

#endif
