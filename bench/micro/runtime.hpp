// SPDX-License-Identifier: BSD-2-Clause
// runtime.hpp — a runtime that measures a loop from inside one of its workers.
#ifndef BENCH_MICRO_RUNTIME_HPP
#define BENCH_MICRO_RUNTIME_HPP

#include <benchmark/benchmark.h>
#include <weft/runtime.h>

#include <chrono>
#include <cstdlib>

class Runtime
{
  public:
    explicit Runtime(unsigned workers)
    {
        weft_config config = {};
        config.workers = workers;
        if (weft_runtime_create(&runtime_, &config) != 0)
            std::abort();
    }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;
    ~Runtime()
    {
        if (weft_runtime_destroy(runtime_) != 0)
            std::abort();
    }

    weft_runtime *get() const
    {
        return runtime_;
    }

    void call(int (*fn)(void *), void *arg) const
    {
        if (weft_runtime_run(runtime_, fn, arg, nullptr) != 0)
            std::abort();
    }

    // `loop(n)` does the operation n times on a worker; the clock is read there, around a batch.
    template <class Loop> void measure(benchmark::State &state, Loop loop) const
    {
        struct Job {
            Loop *loop;
            std::int64_t n;
            double seconds;
        } job = {&loop, 1, 0};
        const auto run = [](void *arg) {
            auto *j = static_cast<Job *>(arg);
            const auto begin = std::chrono::steady_clock::now();
            (*j->loop)(j->n);
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
            j->seconds = took.count();
            return 0;
        };
        for (call(run, &job); job.seconds < batch_seconds; call(run, &job))
            job.n *= 2;
        while (state.KeepRunningBatch(job.n)) {
            call(run, &job);
            state.SetIterationTime(job.seconds);
        }
        state.SetItemsProcessed(state.iterations());
    }

  private:
    // Long against a clock's reading, short against the time one benchmark gets.
    static constexpr double batch_seconds = 50e-6;
    weft_runtime *runtime_ = nullptr;
};

#endif
