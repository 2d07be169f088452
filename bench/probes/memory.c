/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c — resident memory of an idle runtime with two workers.
 *
 * Built twice: probe-empty has the same libraries and the same main() but no runtime, so that
 * the difference is the runtime's, not that of the allocator it links. */
#include "probe.h"

static long resident_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

#ifndef PROBE_EMPTY
static int nothing(void *arg)
{
    (void)arg;
    return 0;
}
#endif

int main(void)
{
    void *volatile some = malloc(100); /* the allocator is in use, as in every real program */
#ifndef PROBE_EMPTY
    weft_runtime *runtime = probe_start(2);
    probe_call(runtime, nothing, NULL);
#endif
    probe_sleep(0.05);
    long kib = resident_kib();
#ifndef PROBE_EMPTY
    probe_stop(runtime);
    printf("{\"probe\": \"memory\", \"rss_kib\": %ld}\n", kib);
#else
    printf("{\"probe\": \"empty\", \"rss_kib\": %ld}\n", kib);
#endif
    free(some);
    return kib > 0 ? 0 : 2;
}
