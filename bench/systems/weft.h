/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.h — the kernels on weft. */
#ifndef BENCH_WEFT_H
#define BENCH_WEFT_H

#include <string.h>
#include <weft/parallel.h>
#include <weft/runtime.h>
#include <weft/task.h>

#define BENCH_SYSTEM_NAME "weft"

#define BENCH_TASK(R, name, ...)                                                                   \
    typedef R name##_result;                                                                       \
    WEFT_TASK(R, name, __VA_ARGS__)
#define bench_spawn weft_spawn
#define bench_join weft_join

/* Newest first is the fast order for joins. */
#define bench_group(children, name, count)                                                         \
    name##_task children[count];                                                                   \
    size_t children##_n = 0
#define bench_fork(children, name, ...) name##_spawn(&children[children##_n++], __VA_ARGS__)
#define bench_each(children, name, result)                                                         \
    for (name##_result result;                                                                     \
         children##_n && (result = name##_join(&children[--children##_n]), 1);)

typedef double bench_piece(size_t begin, size_t end);

static inline void bench_weft_piece(weft_range piece, void *value, void *arg)
{
    bench_piece *const *sum = (bench_piece *const *)arg;
    double *total = (double *)value;
    *total += (*sum)(piece.begin, piece.end);
}

static inline void bench_weft_combine(void *left, const void *right, void *arg)
{
    (void)arg;
    *(double *)left += *(const double *)right;
}

static inline double bench_sum(size_t n, bench_piece *piece)
{
    weft_reduction how;
    memset(&how, 0, sizeof how);
    how.bytes = sizeof(double);
    how.piece = bench_weft_piece;
    how.combine = bench_weft_combine;
    weft_range range = {0, n, 0};
    double total = 0;
    if (weft_reduce(range, &how, &total, &piece) != 0)
        __builtin_trap();
    return total;
}

typedef struct bench_system {
    weft_runtime *runtime;
} bench_system;

static inline const char *bench_system_version(void)
{
    return weft_version();
}

static inline int bench_system_start(bench_system *system, unsigned workers, size_t stack_bytes)
{
    weft_config config;
    memset(&config, 0, sizeof config);
    config.workers = workers;
    config.stack_bytes = stack_bytes;
    int rc = weft_runtime_create(&system->runtime, &config);
    return rc == 0 ? 0 : bench_complain("weft: %u workers: %s", workers, weft_strerror(rc));
}

static inline int bench_weft_run(void *arg)
{
    ((const bench_kernel *)arg)->run();
    return 0;
}

static inline void bench_system_run(bench_system *system, const bench_kernel *kernel)
{
    if (weft_runtime_run(system->runtime, bench_weft_run, (void *)(uintptr_t)kernel, NULL) != 0)
        __builtin_trap();
}

static inline void bench_system_stop(bench_system *system)
{
    if (weft_runtime_destroy(system->runtime) != 0)
        __builtin_trap();
}

#endif
