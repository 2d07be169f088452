/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.h — what the probes share: clocks, order statistics, starting and stopping.
 *
 * A probe is a program of its own that measures one promise which no kernel shows, in a fresh
 * process, and prints one JSON line. Exit status 2 and a line on stderr: it could not measure. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weft/runtime.h>

static inline double probe_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double probe_wall(void)
{
    return probe_clock(CLOCK_MONOTONIC);
}

static inline double probe_cpu(void)
{
    return probe_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void probe_sleep(double seconds)
{
    struct timespec rest;
    rest.tv_sec = (time_t)seconds;
    rest.tv_nsec = (long)(1e9 * (seconds - (double)rest.tv_sec));
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) != 0)
        ;
}

static inline void probe_fail(const char *what, int rc)
{
    fprintf(stderr, "probe: %s: %s\n", what, weft_strerror(rc));
    exit(2);
}

static inline weft_runtime *probe_start(unsigned workers)
{
    weft_runtime *runtime;
    weft_config config;
    memset(&config, 0, sizeof config);
    config.workers = workers;
    int rc = weft_runtime_create(&runtime, &config);
    if (rc != 0)
        probe_fail("weft_runtime_create", rc);
    return runtime;
}

static inline int probe_call(weft_runtime *runtime, int (*fn)(void *arg), void *arg)
{
    int result = 0;
    int rc = weft_runtime_run(runtime, fn, arg, &result);
    if (rc != 0)
        probe_fail("weft_runtime_run", rc);
    return result;
}

static inline void probe_stop(weft_runtime *runtime)
{
    int rc = weft_runtime_destroy(runtime);
    if (rc != 0)
        probe_fail("weft_runtime_destroy", rc);
}

static inline int probe_less(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `share` of the n values lie; sorts them. */
static inline double probe_quantile(double *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, probe_less);
    size_t i = (size_t)(share * (double)n);
    return values[i < n ? i : n - 1];
}

/* A probe takes one number at most: how often or how long, in its own unit. */
static inline long probe_argument(int argc, char **argv, long otherwise)
{
    char *end;
    if (argc < 2)
        return otherwise;
    long number = strtol(argv[1], &end, 10);
    if (argc > 2 || end == argv[1] || *end != '\0' || number < 1) {
        fprintf(stderr, "probe: not a positive number: '%s'\n", argv[argc - 1]);
        exit(2);
    }
    return number;
}

#endif
