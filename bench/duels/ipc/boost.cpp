// SPDX-License-Identifier: BSD-2-Clause
// boost.cpp — a contestant: boost::lockfree::spsc_queue of fixed capacity, which lies in shared
// memory as it is.
#include "pair.h"

#include <boost/lockfree/spsc_queue.hpp>
#include <boost/version.hpp>

template <std::size_t bytes> struct packet {
    char content[bytes];
};

template <> struct packet<8> {
    std::uint64_t content;
};

template <std::size_t bytes, std::size_t slots>
using queue = boost::lockfree::spsc_queue<packet<bytes>, boost::lockfree::capacity<slots>,
                                          boost::lockfree::fixed_sized<true>>;

// The capacities are those that ring.h asks for.
using queue_8 = queue<8, 4096>;
using queue_64 = queue<64, 4096>;
using queue_1k = queue<1024, 4096>;
using queue_64k = queue<65536, 64>;

struct contest_ring {
    void *queue;
};

template <class type> static contest_ring *create()
{
    auto *made = new contest_ring;
    made->queue = new (pair_share(sizeof(type))) type;
    return made;
}

static contest_ring *contest_create(std::size_t bytes, std::size_t slots)
{
    (void)slots;
    switch (bytes) {
    case 8:
        return create<queue_8>();
    case 64:
        return create<queue_64>();
    case 1024:
        return create<queue_1k>();
    default:
        return create<queue_64k>();
    }
}

template <class type, std::size_t bytes>
static inline bool push_to(contest_ring *ring, const void *sent)
{
    return static_cast<type *>(ring->queue)->push(*static_cast<const packet<bytes> *>(sent));
}

template <class type, std::size_t bytes>
static inline bool pop_from(contest_ring *ring, void *received)
{
    return static_cast<type *>(ring->queue)->pop(*static_cast<packet<bytes> *>(received));
}

static inline __attribute__((always_inline)) bool contest_push(contest_ring *ring, const void *sent,
                                                               std::size_t bytes)
{
    switch (bytes) {
    case 8:
        return push_to<queue_8, 8>(ring, sent);
    case 64:
        return push_to<queue_64, 64>(ring, sent);
    case 1024:
        return push_to<queue_1k, 1024>(ring, sent);
    default:
        return push_to<queue_64k, 65536>(ring, sent);
    }
}

static inline __attribute__((always_inline)) bool contest_pop(contest_ring *ring, void *received,
                                                              std::size_t bytes)
{
    switch (bytes) {
    case 8:
        return pop_from<queue_8, 8>(ring, received);
    case 64:
        return pop_from<queue_64, 64>(ring, received);
    case 1024:
        return pop_from<queue_1k, 1024>(ring, received);
    default:
        return pop_from<queue_64k, 65536>(ring, received);
    }
}

static inline std::size_t contest_push_many(contest_ring *ring, const std::uint64_t *words,
                                            std::size_t n)
{
    auto *packets = reinterpret_cast<const packet<8> *>(words);
    return static_cast<queue_8 *>(ring->queue)->push(packets, n);
}

static inline std::size_t contest_pop_many(contest_ring *ring, std::uint64_t *words, std::size_t n)
{
    return static_cast<queue_8 *>(ring->queue)->pop(reinterpret_cast<packet<8> *>(words), n);
}

#define CONTEST_BATCH
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "Boost " BOOST_LIB_VERSION, ring_duels);
}
