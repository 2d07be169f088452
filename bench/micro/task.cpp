// SPDX-License-Identifier: BSD-2-Clause
// task.cpp — what a task costs: spawned and joined here, stolen, as a piece of a loop.
//
// The loops run inside a worker, so each benchmark measures itself and hands the time over.
#include <benchmark/benchmark.h>

#include <weft/parallel.h>
#include <weft/runtime.h>
#include <weft/task.h>

#include <chrono>
#include <thread>

#include "runtime.hpp"

namespace
{

// Opaque, so that a spawn and a join have to happen.
__attribute__((noinline)) long keep(long n)
{
    asm volatile("" : "+r"(n));
    return n;
}

} // namespace

WEFT_TASK(long, leaf_task, long, n)
{
    return keep(n);
}

WEFT_TASK(long, tree_task, int, n)
{
    if (n < 2)
        return n;
    weft_spawn(left, tree_task, n - 1);
    long right = tree_task(n - 2);
    return weft_join(left) + right;
}

// Waits until somebody has stolen it: only a thief can set the flag while the parent spins.
WEFT_VOID_TASK(stolen_task, long *, started)
{
    weft__store_release(started, 1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (std::chrono::steady_clock::now() < end)
        ;
}

namespace
{

void spawn_join(benchmark::State &state)
{
    Runtime runtime(unsigned(state.range(0)));
    runtime.measure(state, [](std::int64_t n) {
        long sum = 0;
        for (std::int64_t i = 0; i < n; i++) {
            weft_spawn(child, leaf_task, i);
            sum += weft_join(child);
        }
        benchmark::DoNotOptimize(sum);
    });
}
BENCHMARK(spawn_join)->Name("task/spawn+join, workers")->Arg(1)->Arg(2)->UseManualTime();

// fib(25): 242,784 tasks; the figure per item is nanoseconds a task.
void fib_tree(benchmark::State &state)
{
    Runtime runtime(unsigned(state.range(0)));
    runtime.measure(state, [](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i++)
            benchmark::DoNotOptimize(tree_task(25));
    });
    state.SetItemsProcessed(state.iterations() * 242784);
}
BENCHMARK(fib_tree)
    ->Name("task/fib(25), workers")
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

// The child is stolen before the parent joins, works 20 us, and the parent's fiber parks for it.
void suspended_join(benchmark::State &state)
{
    Runtime runtime(2);
    runtime.measure(state, [](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i++) {
            long started = 0;
            weft_spawn(child, stolen_task, &started);
            while (weft__load_acquire(&started) == 0) {
                weft_spawn(poke, leaf_task, 0); // a spawn is where a hungry thief is noticed
                weft_join(poke);
            }
            weft_join(child);
        }
    });
    weft_stats stats;
    weft_runtime_stats(runtime.get(), &stats);
    state.counters["parks"] = double(stats.parks) / double(state.iterations());
}
BENCHMARK(suspended_join)->Name("task/join of a stolen task that works 20 us")->UseManualTime();

void loop_body(weft_range piece, void *arg)
{
    auto *values = static_cast<double *>(arg);
    for (std::size_t i = piece.begin; i < piece.end; i++)
        values[i] += 1;
}

void parallel_for_overhead(benchmark::State &state)
{
    static double values[1 << 20];
    Runtime runtime(unsigned(state.range(0)));
    const auto length = std::size_t(state.range(1));
    runtime.measure(state, [length](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i++)
            weft_parallel_for(weft_range{0, length, 0}, loop_body, values);
    });
    state.SetItemsProcessed(state.iterations() * std::int64_t(length));
}
BENCHMARK(parallel_for_overhead)
    ->Name("loop/workers/length")
    ->UseManualTime()
    ->Args({1, 1})
    ->Args({1, 1000})
    ->Args({1, 1 << 20})
    ->Args({2, 1000})
    ->Args({2, 1 << 20});

} // namespace
