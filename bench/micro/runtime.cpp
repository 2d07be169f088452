// SPDX-License-Identifier: BSD-2-Clause
// runtime.cpp — the life of a runtime: starting and stopping, being woken, being idle.
#include "runtime.hpp"

#include <ctime>
#include <thread>

namespace
{

int nothing(void *)
{
    return 0;
}

void create_destroy(benchmark::State &state)
{
    for (auto _ : state) {
        Runtime runtime(unsigned(state.range(0)));
        benchmark::DoNotOptimize(runtime.get());
    }
}
BENCHMARK(create_destroy)
    ->Name("runtime/create+destroy, workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void call_awake(benchmark::State &state)
{
    Runtime runtime(2);
    for (auto _ : state)
        runtime.call(nothing, nullptr);
}
BENCHMARK(call_awake)->Name("runtime/run, workers awake")->UseRealTime();

// 6 ms between two calls: by then every worker sleeps.
void call_asleep(benchmark::State &state)
{
    Runtime runtime(2);
    for (auto _ : state) {
        std::this_thread::sleep_for(std::chrono::milliseconds(6));
        const auto begin = std::chrono::steady_clock::now();
        runtime.call(nothing, nullptr);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        state.SetIterationTime(took.count());
    }
}
BENCHMARK(call_asleep)
    ->Name("runtime/run, workers asleep")
    ->UseManualTime()
    ->Iterations(300)
    ->Unit(benchmark::kMicrosecond);

// Time is processor time here: what two idle workers burn in 100 ms.
void idle(benchmark::State &state)
{
    Runtime runtime(2);
    runtime.call(nothing, nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto clock = [] {
        timespec now;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
    };
    for (auto _ : state) {
        const double begin = clock();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        state.SetIterationTime(clock() - begin);
    }
}
BENCHMARK(idle)
    ->Name("runtime/processor time of 100 ms idle")
    ->UseManualTime()
    ->Iterations(20)
    ->Unit(benchmark::kMicrosecond);

} // namespace
