/* SPDX-License-Identifier: BSD-2-Clause */
/* wake.c — how long a plain thread waits for weft_runtime_run() when all workers sleep, and how
 * long until its function begins. */
#include "probe.h"

#define REPEATS_MAX 100000
#define SETTLE_SECONDS 0.006

static int note_time(void *arg)
{
    *(double *)arg = probe_wall();
    return 0;
}

int main(int argc, char **argv)
{
    size_t repeats = (size_t)probe_argument(argc, argv, 300);
    if (repeats > REPEATS_MAX)
        repeats = REPEATS_MAX;
    double *starts = malloc(repeats * sizeof *starts);
    double *rounds = malloc(repeats * sizeof *rounds);
    if (!starts || !rounds)
        return 2;
    weft_runtime *runtime = probe_start(2);
    for (size_t i = 0; i < repeats; i++) {
        double started = 0;
        probe_sleep(SETTLE_SECONDS);
        double begin = probe_wall();
        probe_call(runtime, note_time, &started);
        rounds[i] = probe_wall() - begin;
        starts[i] = started - begin;
    }
    probe_stop(runtime);
    printf("{\"probe\": \"wake\", \"repeats\": %zu, \"start_p50\": %.9f, \"start_p99\": %.9f, "
           "\"round_p50\": %.9f, \"round_p99\": %.9f}\n",
           repeats, probe_quantile(starts, repeats, 0.5), probe_quantile(starts, repeats, 0.99),
           probe_quantile(rounds, repeats, 0.5), probe_quantile(rounds, repeats, 0.99));
    free(starts);
    free(rounds);
    return 0;
}
