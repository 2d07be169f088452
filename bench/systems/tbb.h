/* SPDX-License-Identifier: BSD-2-Clause */
/* tbb.h — the kernels on oneTBB: task_group for tasks, parallel_reduce for loops. */
#ifndef BENCH_TBB_H
#define BENCH_TBB_H

#include <functional>
#include <memory>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

#include "pairs.h"

#define BENCH_SYSTEM_NAME "tbb"

template <class R> struct bench_child {
    tbb::task_group group;
    R result;
};

#define BENCH_TASK BENCH_PLAIN_TASK
#define bench_spawn(child, name, ...)                                                              \
    bench_child<name##_result> child;                                                              \
    child.group.run([=, &child] { child.result = name(__VA_ARGS__); })
#define bench_join(child) (child.group.wait(), child.result)

#define bench_group(children, name, count)                                                         \
    tbb::task_group children##_group;                                                              \
    name##_result children[count];                                                                 \
    size_t children##_n = 0
#define bench_fork(children, name, ...)                                                            \
    do {                                                                                           \
        name##_result *bench_to = &children[children##_n++];                                       \
        children##_group.run([=] { *bench_to = name(__VA_ARGS__); });                              \
    } while (0)
#define bench_each(children, name, result)                                                         \
    children##_group.wait();                                                                       \
    for (name##_result result; children##_n && (result = children[--children##_n], 1);)

static inline double bench_sum(size_t n, double (*piece)(size_t begin, size_t end))
{
    return tbb::parallel_reduce(
        tbb::blocked_range<size_t>(0, n, 4096), 0.0,
        [=](const tbb::blocked_range<size_t> &range, double total) {
            return total + piece(range.begin(), range.end());
        },
        std::plus<double>());
}

struct bench_system {
    std::unique_ptr<tbb::global_control> workers;
    std::unique_ptr<tbb::global_control> stacks;
    std::unique_ptr<tbb::task_arena> arena;
};

static inline const char *bench_system_version(void)
{
    return TBB_runtime_version();
}

static inline int bench_system_start(bench_system *system, unsigned workers, size_t stack_bytes)
{
    using tbb::global_control;
    system->workers.reset(new global_control(global_control::max_allowed_parallelism, workers));
    if (stack_bytes != 0)
        system->stacks.reset(new global_control(global_control::thread_stack_size, stack_bytes));
    system->arena.reset(new tbb::task_arena((int)workers));
    return 0;
}

static inline void bench_system_run(bench_system *system, const bench_kernel *kernel)
{
    system->arena->execute([=] { kernel->run(); });
}

static inline void bench_system_stop(bench_system *system)
{
    system->arena.reset();
    system->stacks.reset();
    system->workers.reset();
}

#endif
