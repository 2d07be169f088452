/* SPDX-License-Identifier: BSD-2-Clause */
/* on_workers.h — run one check in a plain thread and on runtimes of several sizes.
 *
 * A check runs on a worker, in a fiber, where cmocka's assertions must not jump out of. So it
 * returns 0 or, through CHECK, the line that failed; the test asserts on what comes back.
 * More workers than processors is intended: every interleaving is possible there. */
#ifndef WEFT_TESTS_CORE_ON_WORKERS_H
#define WEFT_TESTS_CORE_ON_WORKERS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <weft/runtime.h>

/* In a function that returns an int: 0 for success, the line number for failure. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

/* As CHECK, for a call that itself answers with a line. */
#define CHECK_CALL(call)                                                                           \
    do {                                                                                           \
        int check_line = (call);                                                                   \
        if (check_line != 0)                                                                       \
            return check_line;                                                                     \
    } while (0)

/* Run check(arg) on so many workers; a failure names its line and their number. */
static inline void on_count(unsigned workers, int (*check)(void *arg), void *arg)
{
    weft_config config = {.workers = workers};
    int line = weft_run(check, arg, &config);
    if (line != 0)
        fail_msg("line %d fails with %u workers", line, workers);
}

static inline void in_thread(int (*check)(void *arg), void *arg)
{
    int line = check(arg);
    if (line != 0)
        fail_msg("line %d fails in a plain thread", line);
}

/* On one worker, as many as processors where tests are run, and more than those. */
static inline void on_workers(int (*check)(void *arg), void *arg)
{
    for (unsigned workers = 1; workers <= 4; workers *= 2)
        on_count(workers, check, arg);
}

static const unsigned worker_counts[] = {1, 2, 3, 7, 16};
#define WORKER_COUNTS (sizeof(worker_counts) / sizeof(worker_counts[0]))

/* Everywhere. */
static inline void on_every_count(int (*check)(void *arg), void *arg)
{
    in_thread(check, arg);
    for (size_t i = 0; i < WORKER_COUNTS; i++)
        on_count(worker_counts[i], check, arg);
}

/* A small generator of reproducible pseudo-random numbers (splitmix64). */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Now with patience, now with little of it, now with none. */
static inline int64_t random_deadline(uint64_t *random)
{
    switch (next_random(random) % 4) {
    case 0:
        return WEFT_POLL;
    case 1:
        return weft_in((int64_t)(next_random(random) % 3000));
    default:
        return WEFT_FOREVER;
    }
}

#endif
