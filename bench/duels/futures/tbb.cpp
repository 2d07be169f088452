// SPDX-License-Identifier: BSD-2-Clause
// tbb.cpp — a contestant: tasks of a tbb::task_group, which has no futures.
//
// One waits for the group as a whole, and whoever waits runs its tasks meanwhile: a thread from
// outside that submits one task and waits runs it itself, and is never woken.
#include "../duel.h"

#include <atomic>
#include <memory>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/version.h>

struct contest_future {
    long value;
};

// The threads of oneTBB are those that wait and the workers beside them.
static std::unique_ptr<tbb::global_control> limit;
static std::unique_ptr<tbb::task_arena> arena;
static std::unique_ptr<tbb::task_group> group;
static bool all_done;

static void contest_start(int workers)
{
    limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                  static_cast<std::size_t>(workers) + 1);
    arena = std::make_unique<tbb::task_arena>(workers + 1, 1);
    group = std::make_unique<tbb::task_group>();
}

static void contest_stop()
{
    arena->execute([] { group->wait(); });
    group.reset();
    arena.reset();
    limit.reset();
}

static void contest_submit(contest_future *future, long (*function)(long), long n)
{
    all_done = false;
    arena->execute([=] { group->run([=] { future->value = function(n); }); });
}

static long contest_result(contest_future *future)
{
    if (!all_done)
        arena->execute([] { group->wait(); });
    all_done = true;
    return future->value;
}

// Here the thread that waits is a worker like any other.
static void contest_inside(void (*function)(void *), void *argument)
{
    arena->execute([=] { function(argument); });
}

#include "futures.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "oneTBB " TBB_VERSION_STRING, futures_duels);
}
