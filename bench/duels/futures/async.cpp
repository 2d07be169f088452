// SPDX-License-Identifier: BSD-2-Clause
// async.cpp — a contestant: std::async, which starts a thread for each future, and std::promise.
#include "../duel.h"

#include <future>

using contest_future = std::shared_future<long>;

static std::promise<long> promise;

static void contest_start(int workers)
{
    (void)workers;
}

static void contest_stop()
{
}

static void contest_submit(contest_future *future, long (*function)(long), long n)
{
    *future = std::async(std::launch::async, function, n).share();
}

static long contest_wait(contest_future *future)
{
    return future->get();
}

static void contest_drop(contest_future *future)
{
    *future = contest_future();
}

static long contest_result(contest_future *future)
{
    long value = contest_wait(future);
    contest_drop(future);
    return value;
}

static void contest_promise(contest_future *future)
{
    promise = std::promise<long>();
    *future = promise.get_future().share();
}

static void contest_complete(contest_future *future, long n)
{
    (void)future;
    promise.set_value(n);
}

static void contest_inside(void (*function)(void *), void *argument)
{
    std::async(std::launch::async, function, argument).get();
}

#define CONTEST_FEW
#define CONTEST_PROMISES
#include "futures.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "libstdc++ of gcc " __VERSION__, futures_duels);
}
