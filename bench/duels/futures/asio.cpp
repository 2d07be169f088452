// SPDX-License-Identifier: BSD-2-Clause
// asio.cpp — a contestant: boost::asio::thread_pool, whose use_future gives a std::future.
#include "../duel.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/version.hpp>
#include <memory>

using contest_future = std::future<long>;

static std::unique_ptr<boost::asio::thread_pool> pool;

static void contest_start(int workers)
{
    pool = std::make_unique<boost::asio::thread_pool>(static_cast<std::size_t>(workers));
}

static void contest_stop()
{
    pool->join();
    pool.reset();
}

static void contest_submit(contest_future *future, long (*function)(long), long n)
{
    *future = boost::asio::post(*pool, boost::asio::use_future([=] { return function(n); }));
}

static long contest_result(contest_future *future)
{
    return future->get();
}

static void contest_inside(void (*function)(void *), void *argument)
{
    boost::asio::post(*pool, boost::asio::use_future([=] { function(argument); })).get();
}

#include "futures.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "Boost " BOOST_LIB_VERSION, futures_duels);
}
