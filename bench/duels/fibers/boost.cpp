// SPDX-License-Identifier: BSD-2-Clause
// boost.cpp — a contestant: Boost.Fiber with pooled stacks, and Boost.Context's bare switch.
//
// A baton is a channel, as in Boost's own examples; the gate is a condition. Fibers of two threads
// meet through the same channel, each under the scheduler of its thread.
#include "../duel.h"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <thread>

#define STACK_BYTES (64 << 10)

static boost::context::pooled_fixedsize_stack stacks(STACK_BYTES);

struct contest_fiber {
    // Made in calloc()ed memory: the handle is constructed when the fiber starts and gone once it
    // was joined.
    alignas(boost::fibers::fiber) char bytes[sizeof(boost::fibers::fiber)];
};

struct contest_baton {
    boost::fibers::buffered_channel<int> *channel;
};

struct contest_gate {
    boost::fibers::mutex mutex;
    boost::fibers::condition_variable condition;
    bool open;
};

static void contest_run(void *(*function)(void *), void *argument)
{
    function(argument); // the thread's first function is a fiber already
}

static void contest_start(int group, contest_fiber *fiber, void *(*function)(void *),
                          void *argument)
{
    (void)group;
    new (fiber->bytes) boost::fibers::fiber(boost::fibers::launch::dispatch, std::allocator_arg,
                                            stacks, function, argument);
}

static void contest_join(contest_fiber *fiber)
{
    auto *handle = reinterpret_cast<boost::fibers::fiber *>(fiber->bytes);
    handle->join();
    handle->~fiber();
}

static void contest_yield()
{
    boost::this_fiber::yield();
}

static void contest_sleep_us(long us)
{
    boost::this_fiber::sleep_for(std::chrono::microseconds(us));
}

static void contest_baton_init(contest_baton *baton)
{
    baton->channel = new boost::fibers::buffered_channel<int>(2);
}

static void contest_pass(contest_baton *baton)
{
    baton->channel->push(1);
}

static void contest_take(contest_baton *baton)
{
    baton->channel->value_pop();
}

static void contest_gate_init(contest_gate *gate)
{
    gate->open = false;
}

static void contest_gate_wait(contest_gate *gate)
{
    std::unique_lock<boost::fibers::mutex> lock(gate->mutex);
    gate->condition.wait(lock, [=] { return gate->open; });
}

static void contest_gate_open(contest_gate *gate)
{
    std::unique_lock<boost::fibers::mutex> lock(gate->mutex);
    gate->open = true;
    gate->condition.notify_all();
}

static void contest_pair(void *(*left)(void *), void *(*right)(void *), void *argument)
{
    std::thread other(right, argument);
    left(argument);
    other.join();
}

#define CONTEST_PAIRS
#include "fibers.h"

// ---- the bare switch, three calls deep --------------------------------------------------------

static boost::context::fiber other;

DUEL_FRAME static void third_frame()
{
    other = std::move(other).resume();
    asm volatile("" ::: "memory");
}

DUEL_FRAME static void second_frame()
{
    third_frame();
    asm volatile("" ::: "memory");
}

DUEL_FRAME static void first_frame()
{
    second_frame();
    asm volatile("" ::: "memory");
}

static void switch_many(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i += 2)
        first_frame();
}

static void duel_switch(const duel_request *request)
{
    other = boost::context::fiber([](boost::context::fiber &&back) {
        for (other = std::move(back);;)
            first_frame();
        return boost::context::fiber();
    });
    duel_each(request, switch_many, NULL);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"switch", duel_switch},
                                 {"yield", duel_yield},
                                 FIBERS_DUELS,
                                 {"pair", duel_pair},
                                 {NULL, NULL}};
    return duel_main(argc, argv, "Boost " BOOST_LIB_VERSION, duels);
}
