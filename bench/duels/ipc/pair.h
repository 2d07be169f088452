/* SPDX-License-Identifier: BSD-2-Clause */
/* pair.h — processes that measure together: this one, and helpers on the other processor.
 *
 * A hypervisor moves the processors it lends, and then a cache line that bounced between two of
 * them in 60–110 ns takes 300 ns, or a microsecond, for seconds. So every repetition stands
 * between two probes, which bounce a line and nothing else, and is printed under what they found:
 * `near` if both took less than 150 ns a round trip, `far` if both took 150–450. All others are
 * dropped: the machine changed meanwhile, or somebody else ran.
 *
 * The first helper stays on the second processor and this process on the first. All commands go
 * through one word in shared memory; who has nothing to do sleeps. */
#ifndef PAIR_H
#define PAIR_H

#include "../duel.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <weft/atomic.h>

#define HELPERS_MAX 3
#define NEAR_NS 150
#define FAR_NS 450
#define PROBE_ROUNDS 50 /* round trips of one sample of a probe */
#define PROBE_SAMPLES 15
#define SPINS_MAX 2000 /* before giving way to whoever else runs here */
#define REPETITION_NS 4e6

enum { PAIR_PROBE = -1, PAIR_QUIT = -2 };

typedef struct pair_line {
    uint64_t word;
    char fill[120]; /* neighbouring lines are fetched together */
} pair_line;

/* In shared memory. */
typedef struct pair_stage {
    pair_line ping;
    pair_line pong;
    uint32_t turn; /* a futex: counts commands */
    int32_t n;     /* what the command is: PAIR_PROBE, PAIR_QUIT, or how many messages */
    char fill[120];
    uint32_t done; /* helpers that have finished the command */
} pair_stage;

static struct {
    pair_stage *stage;
    int helpers;
    pid_t pids[HELPERS_MAX];
} pair;

static inline void *pair_share(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    duel_need(memory != MAP_FAILED, "mmap");
    return memory;
}

/* A helper that found something wrong has said so; that is the end. */
static inline void pair_check_helpers(void)
{
    int status;
    if (waitpid(-1, &status, WNOHANG) > 0)
        duel_fail(WIFEXITED(status) ? WEXITSTATUS(status) : 2, "a helper ended");
}

/* What waits in a loop for the other side calls this with its own counter. */
static inline void pair_relax(unsigned *spins)
{
    if (++*spins % SPINS_MAX != 0) {
        duel_pause();
        return;
    }
    sched_yield();
    if (*spins % (1000 * SPINS_MAX) == 0)
        pair_check_helpers();
}

static inline void pair_await(uint64_t *word, uint64_t value)
{
    unsigned spins = 0;
    while (weft__load_acquire(word) != value)
        pair_relax(&spins);
}

/* ---- the helpers -------------------------------------------------------------------------- */

static inline void pair_answer_probe(void)
{
    for (uint64_t i = 1; i <= PROBE_ROUNDS * PROBE_SAMPLES; i++) {
        pair_await(&pair.stage->ping.word, i);
        weft__store_release(&pair.stage->pong.word, i);
    }
}

static inline void pair_help(int number, void (*work)(int number, long n))
{
    pair_stage *stage = pair.stage;
    for (uint32_t turn = 0;; turn++) {
        for (unsigned spins = 0; weft__load_acquire(&stage->turn) == turn; spins++) {
            if (spins > SPINS_MAX)
                syscall(SYS_futex, &stage->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
            duel_pause();
        }
        long n = stage->n;
        if (n == PAIR_QUIT)
            _exit(0);
        if (n != PAIR_PROBE)
            work(number, n);
        else if (number == 0)
            pair_answer_probe();
        weft__fetch_add_acq_rel(&stage->done, 1);
    }
}

/* Start helpers that do `work(number, n)` whenever they are told to. What they find wrong ends
 * them, and then everything. Whatever they share must have been made before. */
static inline void pair_start(int helpers, void (*work)(int number, long n))
{
    pid_t parent = getpid();
    pair.stage = (pair_stage *)pair_share(sizeof *pair.stage);
    pair.helpers = helpers;
    for (int i = 0; i < helpers; i++) {
        pair.pids[i] = fork();
        duel_need(pair.pids[i] >= 0, "fork");
        if (pair.pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(2);
            duel_pin(i + 1);
            pair_help(i, work);
        }
    }
    duel_pin(0);
}

static inline void pair_begin(long n)
{
    weft__store_relaxed(&pair.stage->done, 0u);
    pair.stage->n = (int32_t)n;
    weft__fetch_add_acq_rel(&pair.stage->turn, 1);
    syscall(SYS_futex, &pair.stage->turn, FUTEX_WAKE, HELPERS_MAX, NULL, NULL, 0);
}

static inline void pair_end(void)
{
    unsigned spins = 0;
    while (weft__load_acquire(&pair.stage->done) < (uint32_t)pair.helpers)
        pair_relax(&spins);
}

static inline void pair_stop(void)
{
    pair_begin(PAIR_QUIT);
    for (int i = 0; i < pair.helpers; i++)
        waitpid(pair.pids[i], NULL, 0);
}

/* ---- the probe ---------------------------------------------------------------------------- */

/* Nanoseconds a line takes to the other processor and back, median of short samples. */
static inline double pair_probe(void)
{
    duel_samples samples = duel_samples_make(PROBE_SAMPLES);
    uint64_t i = 0;
    weft__store_relaxed(&pair.stage->ping.word, (uint64_t)0);
    weft__store_relaxed(&pair.stage->pong.word, (uint64_t)0);
    pair_begin(PAIR_PROBE);
    while (i < PROBE_ROUNDS * PROBE_SAMPLES) {
        int64_t begin = duel_now_ns();
        for (int j = 0; j < PROBE_ROUNDS; j++) {
            i++;
            weft__store_release(&pair.stage->ping.word, i);
            pair_await(&pair.stage->pong.word, i);
        }
        duel_samples_add(&samples, (double)(duel_now_ns() - begin) / PROBE_ROUNDS);
    }
    pair_end();
    double median = duel_samples_quantile(&samples, 0.5);
    free(samples.values);
    return median;
}

/* "near", "far", or NULL for what lies between. */
static inline const char *pair_class(double before, double after)
{
    if (before < NEAR_NS && after < NEAR_NS)
        return "near";
    if (before >= NEAR_NS && after >= NEAR_NS && before < FAR_NS && after < FAR_NS)
        return "far";
    return NULL;
}

/* ---- repetitions -------------------------------------------------------------------------- */

/* Measure as long as there is time: `repeat(n)` is one repetition with n messages, between probes,
 * and `print(distance, n, ns, context)` says what it found. A repetition takes a few
 * milliseconds. */
static inline void pair_measure(const duel_request *request, void (*repeat)(long n),
                                void (*print)(const char *distance, long n, double ns))
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    long n = 256;
    long kept = 0;
    long dropped = 0;
    double took = 0;
    double before = pair_probe();
    while (duel_now_ns() < deadline || took < REPETITION_NS / 2) {
        int64_t begin = duel_now_ns();
        repeat(n);
        took = (double)(duel_now_ns() - begin);
        double after = pair_probe();
        const char *distance = pair_class(before, after);
        before = after;
        if (took < REPETITION_NS / 2) {
            n *= took < REPETITION_NS / 16 ? 8 : 2;
        } else if (distance) {
            print(distance, n, took);
            kept++;
        } else {
            dropped++;
        }
    }
    if (kept + dropped > 0)
        duel_value("dropped", 100.0 * (double)dropped / (double)(kept + dropped), "%");
}

static inline void pair_print_quantity(const char *distance, const char *quantity, double value,
                                       const char *unit)
{
    char name[32];
    snprintf(name, sizeof name, "%s%s%s", distance, *quantity ? "." : "", quantity);
    duel_value(name, value, unit);
}

#endif
