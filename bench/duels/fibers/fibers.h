/* SPDX-License-Identifier: BSD-2-Clause */
/* fibers.h — the duels about fibers, in a vocabulary that every contestant defines first:
 *
 *     contest_run(function, argument)        run `void *function(void *)` as a fiber, on one worker
 *     contest_fiber                          a handle
 *     contest_scope(group) { ... }           what owns the fibers started in it, if there is such
 *     contest_start(group, &fiber, function, argument), contest_join(&fiber)
 *     contest_yield(), contest_sleep_us(us); CONTEST_NO_YIELD: it has no yield
 *     contest_baton                          whoever takes it waits until somebody passes it
 *     contest_baton_init(&baton), contest_pass(&baton), contest_take(&baton)
 *     contest_gate                           many wait at it until it is opened
 *     contest_gate_init(&gate), contest_gate_wait(&gate), contest_gate_open(&gate)
 *
 * One that has several workers defines CONTEST_PAIRS and
 *
 *     contest_pair(left, right, argument)    run two functions, each as a fiber on a worker of its
 *                                            own
 *
 * and one whose batons plain threads may pass and take defines CONTEST_THREADS as well. */
#include <weft/atomic.h>

#ifndef contest_scope
#define contest_scope(group) for (int group = 1; group; group = 0)
#endif

#define BLOCKED 1000000
#define SLEEPERS 100000
#define SLEEPS 10
#define SLEEP_US 10000

#ifndef CONTEST_NO_YIELD
/* ---- yield -------------------------------------------------------------------------------- */

/* A frame, as both fibers yield from the same place: see DUEL_FRAME. */
DUEL_FRAME static void *yield_many(void *argument)
{
    for (long i = *(long *)argument; i > 0; i--)
        contest_yield();
    return NULL;
}

/* Two fibers give way to each other: 2 n yields, of which n are counted by duel_each(). */
static void yield_in_turn(long n, void *argument)
{
    long half = n / 2;
    contest_fiber other;
    (void)argument;
    contest_scope(group)
    {
        contest_start(group, &other, yield_many, &half);
        yield_many(&half);
        contest_join(&other);
    }
}

static void *measure_yield(void *request)
{
    duel_each((const duel_request *)request, yield_in_turn, NULL);
    return NULL;
}

static void duel_yield(const duel_request *request)
{
    duel_request copy = *request;
    contest_run(measure_yield, &copy);
}
#endif

/* ---- start and join ----------------------------------------------------------------------- */

static long began;

static void *count_one(void *argument)
{
    ++*(long *)argument;
    return NULL;
}

static void start_and_join(long n, void *argument)
{
    (void)argument;
    began = 0;
    for (long i = 0; i < n; i++) {
        contest_fiber fiber;
        contest_scope(group)
        {
            contest_start(group, &fiber, count_one, &began);
            contest_join(&fiber);
        }
    }
    duel_equal("fibers run", began, n);
}

static void *measure_start(void *request)
{
    duel_each((const duel_request *)request, start_and_join, NULL);
    return NULL;
}

/* ---- start, block once, join -------------------------------------------------------------- */

static contest_baton arrived;
static contest_baton go_on;

static void *count_after_taking(void *argument)
{
    contest_pass(&arrived);
    contest_take(&go_on);
    ++*(long *)argument;
    return NULL;
}

static void start_block_join(long n, void *argument)
{
    (void)argument;
    began = 0;
    for (long i = 0; i < n; i++) {
        contest_fiber fiber;
        contest_scope(group)
        {
            contest_start(group, &fiber, count_after_taking, &began);
            contest_take(&arrived); /* a child that did not begin at once does so now */
            contest_pass(&go_on);
            contest_join(&fiber);
        }
    }
    duel_equal("fibers run", began, n);
}

static void *measure_start_block(void *request)
{
    contest_baton_init(&arrived);
    contest_baton_init(&go_on);
    duel_each((const duel_request *)request, start_block_join, NULL);
    return NULL;
}

/* ---- ping-pong ---------------------------------------------------------------------------- */

static contest_baton ping;
static contest_baton pong;

static void *answer_pings(void *argument)
{
    for (long i = *(long *)argument; i > 0; i--) {
        contest_take(&ping);
        contest_pass(&pong);
    }
    return NULL;
}

static void *send_pings(void *argument)
{
    for (long i = *(long *)argument; i > 0; i--) {
        contest_pass(&ping);
        contest_take(&pong);
    }
    return NULL;
}

/* n passes: half of them there, half of them back. */
static void play(long n, void *argument)
{
    long half = n / 2;
    contest_fiber other;
    (void)argument;
    contest_scope(group)
    {
        contest_start(group, &other, answer_pings, &half);
        send_pings(&half);
        contest_join(&other);
    }
}

static void *measure_pingpong(void *request)
{
    contest_baton_init(&ping);
    contest_baton_init(&pong);
    duel_each((const duel_request *)request, play, NULL);
    return NULL;
}

#ifdef CONTEST_PAIRS
static void play_apart(long n, void *argument)
{
    long half = n / 2;
    (void)argument;
    contest_pair(send_pings, answer_pings, &half);
}

static void duel_pair(const duel_request *request)
{
    contest_baton_init(&ping);
    contest_baton_init(&pong);
    duel_each(request, play_apart, NULL);
}
#endif

#ifdef CONTEST_THREADS
#include <limits.h>
#include <pthread.h>

static void play_with_thread(long n, void *argument)
{
    long half = n / 2;
    (void)argument;
    contest_run(send_pings, &half);
}

/* One thread for all of it: a new one begins on its maker's processor, and as long as the kernel
 * leaves it there the two are not both awake. */
static void duel_thread(const duel_request *request)
{
    static const long forever = LONG_MAX;
    pthread_t thread;
    contest_baton_init(&ping);
    contest_baton_init(&pong);
    duel_need(pthread_create(&thread, NULL, answer_pings, (void *)(uintptr_t)&forever) == 0,
              "pthread_create");
    duel_each(request, play_with_thread, NULL);
}

#define ASLEEP_US 5000

static duel_samples asleep;

static void ask(void)
{
    contest_pass(&ping);
    contest_take(&pong);
}

/* The first answer waits until the contestant has made its threads: it does not count. */
static void *ask_as_thread(void *argument)
{
    ask();
    for (long i = *(long *)argument; i > 1; i--) {
        duel_sleep_us(ASLEEP_US);
        int64_t begin = duel_now_ns();
        ask();
        duel_samples_add(&asleep, 1e-3 * (double)(duel_now_ns() - begin));
    }
    return NULL;
}

static void duel_asleep(const duel_request *request)
{
    pthread_t thread;
    long n = 5 + (long)(1e6 * request->seconds / ASLEEP_US);
    asleep = duel_samples_make((size_t)n + 1);
    contest_baton_init(&ping);
    contest_baton_init(&pong);
    duel_need(pthread_create(&thread, NULL, ask_as_thread, &n) == 0, "pthread_create");
    contest_run(answer_pings, &n);
    pthread_join(thread, NULL);
    duel_samples_print(&asleep, "us");
}
#endif

/* ---- memory ------------------------------------------------------------------------------- */

static contest_gate gate;
static contest_baton all_blocked;
static long to_block;
static long passed;

static void *block_at_gate(void *argument)
{
    (void)argument;
    if (--to_block == 0)
        contest_pass(&all_blocked);
    contest_gate_wait(&gate);
    passed++;
    return NULL;
}

static void say_memory(long count, long rss_kib, long tables_kib)
{
    rss_kib = duel_status_kib("VmRSS:") - rss_kib;
    tables_kib = duel_status_kib("VmPTE:") - tables_kib;
    duel_value("bytes", 1024.0 * (double)rss_kib / (double)count, "B");
    duel_value("tables", 1024.0 * (double)tables_kib / (double)count, "B");
    duel_value("mappings", (double)duel_mappings(), "-");
    duel_equal("fibers that passed a closed gate", passed, 0);
}

static void *measure_memory(void *argument)
{
    const duel_request *request = (const duel_request *)argument;
    long count = request->size ? request->size : BLOCKED;
    contest_fiber *fibers = (contest_fiber *)duel_alloc((size_t)count * sizeof *fibers);
    memset((void *)fibers, 0, (size_t)count * sizeof *fibers);
    contest_gate_init(&gate);
    contest_baton_init(&all_blocked);
    to_block = count;
    long rss_kib = duel_status_kib("VmRSS:");
    long tables_kib = duel_status_kib("VmPTE:");
    contest_scope(group)
    {
        for (long i = 0; i < count; i++)
            contest_start(group, &fibers[i], block_at_gate, NULL);
        contest_take(&all_blocked);
        say_memory(count, rss_kib, tables_kib);
        contest_gate_open(&gate);
        for (long i = 0; i < count; i++)
            contest_join(&fibers[i]);
    }
    duel_equal("fibers that passed the gate", passed, count);
    free(fibers);
    return NULL;
}

/* ---- timers ------------------------------------------------------------------------------- */

static long sleeps;

static void *sleep_again_and_again(void *argument)
{
    (void)argument;
    for (int i = 0; i < SLEEPS; i++) {
        contest_sleep_us(SLEEP_US);
        sleeps++;
    }
    return NULL;
}

static void *measure_sleepers(void *argument)
{
    const duel_request *request = (const duel_request *)argument;
    long count = request->size ? request->size : SLEEPERS;
    contest_fiber *fibers = (contest_fiber *)duel_alloc((size_t)count * sizeof *fibers);
    int64_t begin = duel_now_ns();
    int64_t cpu = duel_cpu_ns();
    contest_scope(group)
    {
        for (long i = 0; i < count; i++)
            contest_start(group, &fibers[i], sleep_again_and_again, NULL);
        for (long i = 0; i < count; i++)
            contest_join(&fibers[i]);
    }
    duel_value("wall", 1e-6 * (double)(duel_now_ns() - begin), "ms");
    duel_value("cpu", (double)(duel_cpu_ns() - cpu) / (double)(SLEEPS * count), "ns");
    duel_equal("sleeps", sleeps, SLEEPS * count);
    free(fibers);
    return NULL;
}

/* ---- the table ---------------------------------------------------------------------------- */

#define ON_ONE_WORKER(duel)                                                                        \
    static void duel_##duel(const duel_request *request)                                           \
    {                                                                                              \
        duel_request copy = *request;                                                              \
        contest_run(measure_##duel, &copy);                                                        \
    }

ON_ONE_WORKER(start)
ON_ONE_WORKER(start_block)
ON_ONE_WORKER(pingpong)
ON_ONE_WORKER(memory)
ON_ONE_WORKER(sleepers)

#define FIBERS_DUELS                                                                               \
    {"start", duel_start}, {"start-block", duel_start_block}, {"pingpong", duel_pingpong},         \
        {"memory", duel_memory},                                                                   \
    {                                                                                              \
        "sleepers", duel_sleepers                                                                  \
    }
