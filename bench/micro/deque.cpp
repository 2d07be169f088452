// SPDX-License-Identifier: BSD-2-Clause
// deque.cpp — the Chase-Lev deque: what the owner pays, what a thief pays, and both at once.
#include <benchmark/benchmark.h>

#include <weft/deque.h>

#include <atomic>
#include <thread>
#include <vector>

namespace
{

struct Deque {
    weft_deque deque;
    explicit Deque(std::size_t capacity)
    {
        if (weft_deque_init(&deque, capacity) != 0)
            std::abort();
    }
    ~Deque()
    {
        weft_deque_destroy(&deque);
    }
    void push(void *item)
    {
        if (weft_deque_push(&deque, item) != 0)
            std::abort();
    }
};

int item;

void push_take(benchmark::State &state)
{
    Deque d(64);
    for (auto _ : state) {
        d.push(&item);
        benchmark::DoNotOptimize(weft_deque_take(&d.deque));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(push_take)->Name("deque/push+take");

// A batch at a time, as a spawning loop does; the array has grown before the clock counts.
void push_take_batch(benchmark::State &state)
{
    const auto n = state.range(0);
    Deque d(64);
    for (auto _ : state) {
        for (std::int64_t i = 0; i < n; i++)
            d.push(&item);
        for (std::int64_t i = 0; i < n; i++)
            benchmark::DoNotOptimize(weft_deque_take(&d.deque));
    }
    state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(push_take_batch)->Name("deque/push+take, batches")->Arg(64)->Arg(4096);

void push_steal(benchmark::State &state)
{
    Deque d(64);
    void *stolen;
    for (auto _ : state) {
        d.push(&item);
        if (weft_deque_steal(&d.deque, &stolen) != WEFT_STEAL_ITEM)
            state.SkipWithError("an uncontended steal got nothing");
        benchmark::DoNotOptimize(stolen);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(push_steal)->Name("deque/push+steal, one thread");

// The owner pushes and takes while thieves steal; time per item the owner pushed. `stolen` is the
// share that went to thieves.
void concurrent_steal(benchmark::State &state)
{
    Deque d(1024);
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> stolen{0};
    std::vector<std::thread> thieves;
    for (std::int64_t i = 0; i < state.range(0); i++)
        thieves.emplace_back([&] {
            std::int64_t mine = 0;
            void *got;
            while (!stop.load(std::memory_order_relaxed))
                mine += weft_deque_steal(&d.deque, &got) == WEFT_STEAL_ITEM;
            stolen += mine;
        });
    std::int64_t taken = 0;
    for (auto _ : state) {
        for (int i = 0; i < 64; i++)
            d.push(&item);
        while (weft_deque_take(&d.deque))
            taken++;
    }
    stop = true;
    for (auto &thief : thieves)
        thief.join();
    const auto pushed = state.iterations() * 64;
    if (taken + stolen.load() != pushed)
        state.SkipWithError("an item was lost or came twice");
    state.SetItemsProcessed(pushed);
    state.counters["stolen"] = double(stolen.load()) / double(pushed);
}
BENCHMARK(concurrent_steal)->Name("deque/owner against thieves")->Arg(1)->Arg(2)->UseRealTime();

} // namespace
