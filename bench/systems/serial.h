/* SPDX-License-Identifier: BSD-2-Clause */
/* serial.h — the serial twin: a spawn is a call, a join is its result. */
#ifndef BENCH_SERIAL_H
#define BENCH_SERIAL_H

#include "pairs.h"

#define BENCH_SYSTEM_NAME "serial"
#define BENCH_SYSTEM_SERIAL 1

#define BENCH_TASK BENCH_PLAIN_TASK
#define bench_spawn(child, name, ...) name##_result child = name(__VA_ARGS__)
#define bench_join(child) (child)

#define bench_group(children, name, count)                                                         \
    name##_result children[count];                                                                 \
    size_t children##_n = 0
#define bench_fork(children, name, ...) (children[children##_n++] = name(__VA_ARGS__))
#define bench_each(children, name, result)                                                         \
    for (name##_result result; children##_n && (result = children[--children##_n], 1);)

static inline double bench_sum(size_t n, double (*piece)(size_t begin, size_t end))
{
    return piece(0, n);
}

typedef struct bench_system {
    char none;
} bench_system;

static inline const char *bench_system_version(void)
{
    return "";
}

static inline int bench_system_start(bench_system *system, unsigned workers, size_t stack_bytes)
{
    (void)system;
    (void)stack_bytes;
    return workers == 1 ? 0 : bench_complain("serial: cannot use %u workers", workers);
}

static inline void bench_system_run(bench_system *system, const bench_kernel *kernel)
{
    (void)system;
    kernel->run();
}

static inline void bench_system_stop(bench_system *system)
{
    (void)system;
}

#endif
