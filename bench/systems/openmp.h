/* SPDX-License-Identifier: BSD-2-Clause */
/* openmp.h — the kernels on OpenMP: tasks and taskwait, a static loop for reductions.
 *
 * Which library it is follows from the compiler: gcc brings libgomp, clang libomp. */
#ifndef BENCH_OPENMP_H
#define BENCH_OPENMP_H

#include <omp.h>

#include "pairs.h"

#define BENCH_SYSTEM_NAME "openmp"

/* Both libraries read the size of their threads' stacks before main() and never again. */
#define BENCH_SYSTEM_STACK_VARIABLE "OMP_STACKSIZE"

#define BENCH__PRAGMA(...) _Pragma(#__VA_ARGS__)

#define BENCH_TASK BENCH_PLAIN_TASK
#define bench_spawn(child, name, ...)                                                              \
    name##_result child;                                                                           \
    BENCH__PRAGMA(omp task shared(child)) child = name(__VA_ARGS__)
#define bench_join(child) (bench_taskwait(), child)

#define bench_group(children, name, count)                                                         \
    name##_result children[count];                                                                 \
    size_t children##_n = 0
#define bench_fork(children, name, ...)                                                            \
    do {                                                                                           \
        name##_result *bench_to = &children[children##_n++];                                       \
        BENCH__PRAGMA(omp task firstprivate(bench_to)) *bench_to = name(__VA_ARGS__);              \
    } while (0)
#define bench_each(children, name, result)                                                         \
    bench_taskwait();                                                                              \
    for (name##_result result; children##_n && (result = children[--children##_n], 1);)

/* A taskwait belongs to the task that executes it, whichever function it stands in. */
static inline void bench_taskwait(void)
{
#pragma omp taskwait
}

static inline double bench_sum(size_t n, double (*piece)(size_t begin, size_t end))
{
    const size_t block = 16384;
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (size_t begin = 0; begin < n; begin += block)
        total += piece(begin, begin + block < n ? begin + block : n);
    return total;
}

typedef struct bench_system {
    char none;
} bench_system;

static inline const char *bench_system_version(void)
{
#if defined(__clang__)
    return "libomp";
#else
    return "libgomp";
#endif
}

static inline int bench_system_start(bench_system *system, unsigned workers, size_t stack_bytes)
{
    (void)system;
    (void)stack_bytes;
    omp_set_dynamic(0);
    omp_set_num_threads((int)workers);
    return 0;
}

static inline void bench_system_run(bench_system *system, const bench_kernel *kernel)
{
    (void)system;
    if (kernel->loops) {
        kernel->run();
        return;
    }
#pragma omp parallel
#pragma omp single
    kernel->run();
}

static inline void bench_system_stop(bench_system *system)
{
    (void)system;
}

#endif
