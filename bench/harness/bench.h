/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.h — what a kernel offers to the harness.
 *
 * A kernel is one file under kernels/, written once in a small vocabulary of tasks, and compiled
 * once for each system under systems/, which says what that vocabulary means there:
 *
 *     BENCH_TASK(R, name, type, a, ...) { ... }    define a function that may become a task
 *     bench_spawn(child, name, args...);           one child, which another worker may run
 *     bench_join(child)                            its result
 *     bench_group(children, name, count);          up to `count` children of one kind
 *     bench_fork(children, name, args...);         one more of them
 *     bench_each(children, name, result) { ... }   join them all, one result after the other
 *     bench_sum(n, piece)                          sum of piece(begin, end) over 0 … n
 *
 * So every system runs the same text with its own idioms, and the serial system, where a spawn is
 * a plain call, is the serial twin of all of them. Kernel files are C that is C++ as well. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* One problem to solve: the harness asks, the kernel's prepare() fills in the rest. */
typedef struct bench_problem {
    long size;
    const char *data;  /* path of the input file, or NULL */
    uint64_t expected; /* the oracle's answer, got in another way than by running the kernel */
    uint64_t tasks;    /* tasks spawned by one run, or 0 where counting them means nothing */
} bench_problem;

typedef struct bench_kernel {
    const char *name;
    const char *title; /* one line for the reader of the report */
    const char *group; /* kernels that share a group are one algorithm; "" otherwise */
    long least;        /* smallest size worth timing; systems too slow for the others get it */
    long quick;        /* size for --quick; 0: left out there */
    long full;
    int loops;          /* the kernel is a loop: OpenMP opens its region inside, not around it */
    int serial_only;    /* a baseline, not a parallel program */
    int needs_data;     /* takes an input file */
    size_t stack_bytes; /* deepest recursion, generously; 0: the system's default will do */
    int (*prepare)(bench_problem *problem); /* 0, or 2 after one line on stderr */
    void (*run)(void);                      /* the timed part */
    uint64_t (*answer)(void);               /* of the last run, not timed */
    const struct bench_kernel *next;
} bench_kernel;

/* Make a kernel known to the harness. */
void bench_register(bench_kernel *kernel);

#define BENCH_KERNEL(variable)                                                                     \
    __attribute__((constructor)) static void variable##_register(void)                             \
    {                                                                                              \
        bench_register(&variable);                                                                 \
    }                                                                                              \
    struct bench__semicolon

/* One line on stderr that names the culprit; returns 2, the exit status for it. */
__attribute__((format(printf, 1, 2))) int bench_complain(const char *format, ...);

#include BENCH_SYSTEM

#endif
