/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.h — the duels about rings between processes, in a vocabulary that every contestant defines
 * first:
 *
 *     contest_ring *contest_create(message_bytes, slots)   in memory shared with later children
 *     contest_push(ring, &message, bytes), contest_pop     nonzero if it was done; never waiting.
 *                                                          `bytes` is a constant
 *
 * And, as far as it has them:
 *
 *     CONTEST_MPMC       several may push and pop
 *     CONTEST_BATCH      contest_push_many(ring, words, n), contest_pop_many: 8-byte messages, how
 *                        many were done
 *     CONTEST_IN_PLACE   contest_reserve(ring, bytes) → slot or NULL, contest_commit(ring),
 *                        contest_peek(ring, bytes), contest_release(ring)
 *     CONTEST_BLOCKS     contest_push_wait(ring, &message, bytes), contest_pop_wait: as long as it
 *                        takes
 *     CONTEST_NO_SPIN    nothing but CONTEST_BLOCKS and the throughput
 *
 * A message begins with its number, and the receiver checks every number. */
#include "pair.h"

#define INLINE static inline __attribute__((always_inline))
#define BATCH 64
#define PLACES_BYTES (4 << 20) /* of all slots together, at most */
#define SLOTS_MAX 4096
#define COLD_US 5000

typedef struct message {
    uint64_t number;
    uint64_t rest[(65536 - 8) / 8];
} message;

static contest_ring *ring;
static contest_ring *back;
static message *outgoing;
static message *incoming;

static size_t slots_for(size_t bytes)
{
    size_t slots = PLACES_BYTES / bytes;
    return slots < SLOTS_MAX ? slots : SLOTS_MAX;
}

static void make_messages(void)
{
    outgoing = (message *)duel_alloc(sizeof *outgoing);
    incoming = (message *)duel_alloc(sizeof *incoming);
    memset(outgoing, 1, sizeof *outgoing);
}

static void check_number(uint64_t found, uint64_t expected)
{
    if (found != expected)
        duel_equal("number of a message", (long long)found, (long long)expected);
}

INLINE void push(contest_ring *to, const void *sent, size_t bytes)
{
    unsigned spins = 0;
    while (!contest_push(to, sent, bytes))
        pair_relax(&spins);
}

INLINE void pop(contest_ring *from, void *received, size_t bytes)
{
    unsigned spins = 0;
    while (!contest_pop(from, received, bytes))
        pair_relax(&spins);
}

static void print_rate(const char *distance, long n, double ns)
{
    pair_print_quantity(distance, "", 1e3 * (double)n / ns, "M/s");
}

static void print_bandwidth(const char *distance, long n, double ns)
{
    pair_print_quantity(distance, "", 65536.0 * (double)n / ns, "GB/s");
}

/* ---- one sends, one receives -------------------------------------------------------------- */

INLINE void send_all(long n, size_t bytes)
{
    for (long i = 0; i < n; i++) {
        outgoing->number = (uint64_t)i;
        push(ring, outgoing, bytes);
    }
}

INLINE void receive_all(long n, size_t bytes)
{
    pair_begin(n);
    for (long i = 0; i < n; i++) {
        pop(ring, incoming, bytes);
        check_number(incoming->number, (uint64_t)i);
    }
    pair_end();
}

#define ONE_WAY(name, bytes, print)                                                                \
    static void send_##name(int number, long n)                                                    \
    {                                                                                              \
        (void)number;                                                                              \
        send_all(n, bytes);                                                                        \
    }                                                                                              \
    static void receive_##name(long n)                                                             \
    {                                                                                              \
        receive_all(n, bytes);                                                                     \
    }                                                                                              \
    static void duel_##name(const duel_request *request)                                           \
    {                                                                                              \
        make_messages();                                                                           \
        ring = contest_create(bytes, slots_for(bytes));                                            \
        pair_start(1, send_##name);                                                                \
        pair_measure(request, receive_##name, print);                                              \
        pair_stop();                                                                               \
    }

ONE_WAY(bytes_8, 8, print_rate)
ONE_WAY(bytes_64, 64, print_rate)
ONE_WAY(bytes_1k, 1024, print_rate)
ONE_WAY(bytes_64k, 65536, print_bandwidth)

/* ---- batches ------------------------------------------------------------------------------ */

#ifdef CONTEST_BATCH
static void send_batches(int number, long n)
{
    uint64_t words[BATCH];
    unsigned spins = 0;
    (void)number;
    for (long i = 0; i < n; i += BATCH) {
        for (int j = 0; j < BATCH; j++)
            words[j] = (uint64_t)(i + j);
        for (size_t done = 0; done < BATCH;) {
            size_t more = contest_push_many(ring, words + done, BATCH - done);
            done += more;
            if (more == 0)
                pair_relax(&spins);
        }
    }
}

static void receive_batches(long n)
{
    uint64_t words[BATCH];
    uint64_t expected = 0;
    unsigned spins = 0;
    pair_begin(n);
    while (expected < (uint64_t)n) {
        size_t got = contest_pop_many(ring, words, BATCH);
        for (size_t j = 0; j < got; j++)
            check_number(words[j], expected++);
        if (got == 0)
            pair_relax(&spins);
    }
    pair_end();
}

static void duel_batch(const duel_request *request)
{
    ring = contest_create(8, SLOTS_MAX);
    pair_start(1, send_batches);
    pair_measure(request, receive_batches, print_rate);
    pair_stop();
}
#endif

/* ---- in place ----------------------------------------------------------------------------- */

#ifdef CONTEST_IN_PLACE
/* The sender writes every line of the slot, as whoever makes a message there would. */
static void send_in_place(int number, long n)
{
    unsigned spins = 0;
    (void)number;
    for (long i = 0; i < n; i++) {
        uint64_t *slot;
        while (!(slot = (uint64_t *)contest_reserve(ring, 1024)))
            pair_relax(&spins);
        for (int j = 0; j < 128; j += 8)
            slot[j] = (uint64_t)i;
        contest_commit(ring);
    }
}

static void receive_in_place(long n)
{
    unsigned spins = 0;
    pair_begin(n);
    for (long i = 0; i < n; i++) {
        const uint64_t *slot;
        while (!(slot = (const uint64_t *)contest_peek(ring, 1024)))
            pair_relax(&spins);
        for (int j = 0; j < 128; j += 8)
            check_number(slot[j], (uint64_t)i);
        contest_release(ring);
    }
    pair_end();
}

static void duel_in_place(const duel_request *request)
{
    ring = contest_create(1024, slots_for(1024));
    pair_start(1, send_in_place);
    pair_measure(request, receive_in_place, print_rate);
    pair_stop();
}
#endif

/* ---- there and back ----------------------------------------------------------------------- */

#define ROUNDS_MAX (1 << 20)

static duel_samples rounds;
static double ns_per_tick;

static void print_rounds(const char *distance, long n, double ns)
{
    (void)n;
    (void)ns;
    pair_print_quantity(distance, "p50", ns_per_tick * duel_samples_quantile(&rounds, 0.50), "ns");
    pair_print_quantity(distance, "p99", ns_per_tick * duel_samples_quantile(&rounds, 0.99), "ns");
}

#define THERE_AND_BACK(name, give, take)                                                           \
    static void answer_##name(int number, long n)                                                  \
    {                                                                                              \
        uint64_t word;                                                                             \
        (void)number;                                                                              \
        for (long i = 0; i < n; i++) {                                                             \
            take(ring, &word, 8);                                                                  \
            give(back, &word, 8);                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void ask_##name(long n)                                                                 \
    {                                                                                              \
        uint64_t word;                                                                             \
        rounds.count = 0;                                                                          \
        pair_begin(n);                                                                             \
        for (uint64_t i = 0; i < (uint64_t)n; i++) {                                               \
            uint64_t begin = duel_ticks();                                                         \
            give(ring, &i, 8);                                                                     \
            take(back, &word, 8);                                                                  \
            duel_samples_add(&rounds, (double)(duel_ticks() - begin));                             \
            check_number(word, i);                                                                 \
        }                                                                                          \
        pair_end();                                                                                \
    }                                                                                              \
    static void duel_##name(const duel_request *request)                                           \
    {                                                                                              \
        rounds = duel_samples_make(ROUNDS_MAX);                                                    \
        ns_per_tick = duel_ns_per_tick();                                                          \
        ring = contest_create(8, 64);                                                              \
        back = contest_create(8, 64);                                                              \
        pair_start(1, answer_##name);                                                              \
        pair_measure(request, ask_##name, print_rounds);                                           \
        pair_stop();                                                                               \
    }

#ifndef CONTEST_NO_SPIN
THERE_AND_BACK(round_trip, push, pop)
#endif

#ifdef CONTEST_BLOCKS
/* With the calls that sleep when they must, one question after the other. */
THERE_AND_BACK(waiting, contest_push_wait, contest_pop_wait)

/* The same after a rest, when both sides sleep. Nothing is near or far after a system call. */
static void duel_cold(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    uint64_t word;
    uint64_t i = 0;
    ring = contest_create(8, 64);
    back = contest_create(8, 64);
    pair_start(1, answer_waiting);
    pair_begin(1 << 30);
    for (; duel_now_ns() < deadline || i < 5; i++) {
        duel_sleep_us(COLD_US);
        int64_t begin = duel_now_ns();
        contest_push_wait(ring, &i, 8);
        contest_pop_wait(back, &word, 8);
        duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin));
        check_number(word, i);
    }
    kill(pair.pids[0], SIGKILL);
    waitpid(pair.pids[0], NULL, 0);
    duel_samples_print(&samples, "us");
}
#endif

/* ---- several send, several receive -------------------------------------------------------- */

#ifdef CONTEST_MPMC
#define END (~(uint64_t)0)
#define NUMBER_BITS 56

/* What the receivers found, in shared memory; by receiver. */
static struct found {
    uint64_t sum;
    uint64_t count;
    char fill[112];
} * found;

static void send_numbered(uint64_t sender, long n)
{
    uint64_t word;
    for (long i = 0; i < n; i++) {
        word = sender << NUMBER_BITS | (uint64_t)i;
        push(ring, &word, 8);
    }
    word = END;
    push(ring, &word, 8);
}

/* Until one of the senders has ended; the other receiver meets the other end. */
static void receive_numbered(struct found *mine)
{
    uint64_t next[2] = {0, 0};
    uint64_t word;
    mine->sum = 0;
    mine->count = 0;
    for (pop(ring, &word, 8); word != END; pop(ring, &word, 8)) {
        uint64_t number = word & (((uint64_t)1 << NUMBER_BITS) - 1);
        uint64_t sender = word >> NUMBER_BITS & 1;
        if (number < next[sender])
            duel_equal("order of a sender", (long long)number, (long long)next[sender]);
        next[sender] = number + 1;
        mine->sum += number;
        mine->count++;
    }
}

/* Helpers 0 and 1 send, 2 receives like this process: two of them on each processor. */
static void share_work(int number, long n)
{
    if (number < 2)
        send_numbered((uint64_t)number, n / 2);
    else
        receive_numbered(&found[1]);
}

static void receive_shared(long n)
{
    pair_begin(n);
    receive_numbered(&found[0]);
    pair_end();
    long half = n / 2;
    duel_equal("messages", (long long)(found[0].count + found[1].count), 2 * half);
    duel_equal("sum", (long long)(found[0].sum + found[1].sum), (long long)half * (half - 1));
}

static void duel_mpmc(const duel_request *request)
{
    found = (struct found *)pair_share(2 * sizeof *found);
    ring = contest_create(8, SLOTS_MAX);
    pair_start(3, share_work);
    pair_measure(request, receive_shared, print_rate);
    pair_stop();
}
#endif

static const duel ring_duels[] = {
    {"8", duel_bytes_8},
    {"64", duel_bytes_64},
    {"1k", duel_bytes_1k},
    {"64k", duel_bytes_64k},
#ifdef CONTEST_BATCH
    {"batch", duel_batch},
#endif
#ifdef CONTEST_IN_PLACE
    {"in-place", duel_in_place},
#endif
#ifndef CONTEST_NO_SPIN
    {"round-trip", duel_round_trip},
#endif
#ifdef CONTEST_BLOCKS
    {"waiting", duel_waiting},
    {"cold", duel_cold},
#endif
#ifdef CONTEST_MPMC
    {"mpmc", duel_mpmc},
#endif
    {NULL, NULL},
};
