/* SPDX-License-Identifier: BSD-2-Clause */
/* trickle.c — processor time it costs to be given a tiny job a thousand times a second.
 *
 * Each job wakes a worker and the submitting thread; what is measured is that, plus whatever the
 * workers burn looking for more before they sleep again. */
#include "probe.h"

#define JOBS_PER_SECOND 1000

static int job(void *arg)
{
    ++*(long *)arg;
    return 0;
}

int main(int argc, char **argv)
{
    long jobs = JOBS_PER_SECOND * probe_argument(argc, argv, 2);
    long done = 0;
    weft_runtime *runtime = probe_start(2);
    probe_sleep(0.05);
    double cpu = probe_cpu();
    double begin = probe_wall();
    for (long i = 0; i < jobs; i++) {
        double rest = begin + (double)i / JOBS_PER_SECOND - probe_wall();
        if (rest > 0)
            probe_sleep(rest);
        probe_call(runtime, job, &done);
    }
    cpu = probe_cpu() - cpu;
    double wall = probe_wall() - begin;
    probe_stop(runtime);
    printf("{\"probe\": \"trickle\", \"jobs\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.9f, "
           "\"share\": %.9f}\n",
           done, wall, cpu, cpu / wall);
    return done == jobs ? 0 : 1;
}
