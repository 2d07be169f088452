/* SPDX-License-Identifier: BSD-2-Clause */
/* wake.c — how long a plain thread waits for weft_runtime_run() when all workers sleep, and how
 * long until its function begins; and the same in a phase, in which they stay awake. */
#include "probe.h"

#define REPEATS_MAX 100000
#define SETTLE_SECONDS 0.006

static int note_time(void *arg)
{
    *(double *)arg = probe_wall();
    return 0;
}

typedef struct times {
    double *starts; /* from the call until the function begins */
    double *rounds; /* until the call returns */
} times;

static times measure(weft_runtime *runtime, size_t repeats)
{
    times seen = {malloc(repeats * sizeof(double)), malloc(repeats * sizeof(double))};
    if (!seen.starts || !seen.rounds)
        exit(2);
    for (size_t i = 0; i < repeats; i++) {
        double started = 0;
        probe_sleep(SETTLE_SECONDS);
        double begin = probe_wall();
        probe_call(runtime, note_time, &started);
        seen.rounds[i] = probe_wall() - begin;
        seen.starts[i] = started - begin;
    }
    return seen;
}

static void print(const char *prefix, times seen, size_t repeats)
{
    printf(", \"%sstart_p50\": %.9f, \"%sstart_p99\": %.9f, \"%sround_p50\": %.9f, "
           "\"%sround_p99\": %.9f",
           prefix, probe_quantile(seen.starts, repeats, 0.5), prefix,
           probe_quantile(seen.starts, repeats, 0.99), prefix,
           probe_quantile(seen.rounds, repeats, 0.5), prefix,
           probe_quantile(seen.rounds, repeats, 0.99));
    free(seen.starts);
    free(seen.rounds);
}

int main(int argc, char **argv)
{
    size_t repeats = (size_t)probe_argument(argc, argv, 300);
    if (repeats > REPEATS_MAX)
        repeats = REPEATS_MAX;
    weft_runtime *runtime = probe_start(2);
    times asleep = measure(runtime, repeats);
    if (weft_phase_begin(runtime) != 0)
        return 2;
    times awake = measure(runtime, repeats);
    weft_phase_end(runtime);
    probe_stop(runtime);
    printf("{\"probe\": \"wake\", \"repeats\": %zu", repeats);
    print("", asleep, repeats);
    print("phase_", awake, repeats);
    printf("}\n");
    return 0;
}
