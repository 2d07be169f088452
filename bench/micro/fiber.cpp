// SPDX-License-Identifier: BSD-2-Clause
// fiber.cpp — the bare switch, without a scheduler: from a loop, and three calls deep, where a
// switch that disturbs the processor's prediction of return addresses pays for it.
#include <benchmark/benchmark.h>

extern "C" {
#include "fiber/stack.h"
}

#include <cstdlib>

namespace
{

weft__fiber thread_fiber;
weft__fiber *other;
bool deep;

__attribute__((noinline)) void switch_to(weft__fiber *from, weft__fiber *to)
{
    weft__fiber_switch(from, to);
    asm volatile("" ::: "memory");
}

__attribute__((noinline)) void second_frame(weft__fiber *from, weft__fiber *to)
{
    switch_to(from, to);
    asm volatile("" ::: "memory");
}

__attribute__((noinline)) void first_frame(weft__fiber *from, weft__fiber *to)
{
    second_frame(from, to);
    asm volatile("" ::: "memory");
}

void fiber_body()
{
    weft__fiber_arrived();
    for (;;) {
        if (deep)
            first_frame(other, &thread_fiber);
        else
            weft__fiber_switch(other, &thread_fiber);
    }
}

// Two switches an iteration, there and back; the time shown is that of one.
void fiber_switch(benchmark::State &state)
{
    weft__fiber_pool pool;
    deep = state.range(0) != 0;
    weft__fiber_pool_init(&pool, std::size_t(256) << 10, fiber_body, nullptr);
    weft__fiber_adopt_thread(&thread_fiber);
    other = weft__fiber_pool_get(&pool);
    if (other == nullptr)
        std::abort();
    for (auto _ : state) {
        if (deep)
            first_frame(&thread_fiber, other);
        else
            weft__fiber_switch(&thread_fiber, other);
    }
    weft__fiber_pool_destroy(&pool);
    state.SetItemsProcessed(2 * state.iterations());
    state.counters["per_switch"] =
        benchmark::Counter(2.0 * double(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(fiber_switch)->ArgName("deep")->Arg(0)->Arg(1);

} // namespace
