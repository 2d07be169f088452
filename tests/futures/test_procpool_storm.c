/* SPDX-License-Identifier: BSD-2-Clause */
/* test_procpool_storm.c — workers are killed at random while tasks stream through the pool.
 *
 * Each task counts itself in memory that all processes share. In the end every future has ended,
 * one that succeeded has the right result and has run exactly once, one that failed has run at most
 * once, and there are as many failures as processes that died with a task. */
/* ctest: TIMEOUT 120 */
#include "../core/process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include <weft/procpool.h>

enum { WORKERS = 3, ROUND = 2000, WINDOW = 64 };

/* What each task is and has done. */
static uint32_t *runs;

static int open_runs(void *arg, size_t bytes)
{
    FILE *file = fopen(arg, "r+"); /* by the name it has among the descriptors of the test */
    (void)bytes;
    if (file == NULL)
        return 1;
    void *memory =
        mmap(NULL, ROUND * sizeof(runs[0]), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    (void)fclose(file);
    runs = memory;
    return memory == MAP_FAILED;
}

WEFT_TASK(uint64_t, count_run, uint32_t, number, uint32_t, work)
{
    uint64_t random = number;
    (void)weft__fetch_add_relaxed(&runs[number], 1);
    for (uint32_t i = 0; i < work; i++)
        (void)next_random(&random);
    return random;
}

/* The same for tasks that do not fit into a record. */
typedef struct large {
    uint32_t number;
    unsigned char bytes[5000];
} large;

WEFT_TASK(large, count_large_run, large, input)
{
    (void)weft__fetch_add_relaxed(&runs[input.number], 1);
    for (size_t i = 0; i < sizeof(input.bytes); i++)
        input.bytes[i] ^= (unsigned char)input.number;
    return input;
}

typedef struct storm {
    weft_procpool *pool;
    int64_t pause_ns;
    unsigned is_over;
    unsigned kills;
    unsigned deaths; /* of processes that had a task; the pool's thread */
} storm;

static void *kill_at_random(void *arg)
{
    storm *self = arg;
    uint64_t random = (uint64_t)weft_now();
    while (!weft__load_acquire(&self->is_over)) {
        int pid = weft_procpool_pid(self->pool, (unsigned)(next_random(&random) % WORKERS));
        if (pid != 0 && kill(pid, SIGKILL) == 0)
            self->kills++;
        compute_ns((int64_t)(next_random(&random) % (uint64_t)self->pause_ns));
        sleep_ns(self->pause_ns);
    }
    return NULL;
}

static void note_death(const weft_procpool_death *death, void *arg)
{
    storm *self = arg;
    (void)death;
    (void)weft__fetch_add_relaxed(&self->deaths, 1);
}

/* Await task `i` and check it: nonzero, its process had died. */
static int check_small(count_run_future f, uint32_t i, uint32_t work)
{
    uint64_t value = 0;
    uint64_t random = i;
    int rc = weft_await(f, &value, weft_in(LIVENESS_NS));
    if (rc == -EOWNERDEAD)
        return 1;
    assert_int_equal(rc, 0);
    for (uint32_t k = 0; k < work; k++)
        (void)next_random(&random);
    assert_true(value == random);
    return 0;
}

static int check_large(count_large_run_future f, uint32_t i)
{
    static large output;
    int rc = weft_await(f, &output, weft_in(LIVENESS_NS));
    if (rc == -EOWNERDEAD)
        return 1;
    assert_int_equal(rc, 0);
    assert_int_equal(output.number, i);
    for (size_t k = 0; k < sizeof(output.bytes); k++)
        assert_int_equal(output.bytes[k], (unsigned char)((k + i) & 255) ^ (unsigned char)i);
    return 0;
}

static count_large_run_future submit_large(weft_procpool *pool, uint32_t i)
{
    static large input;
    input.number = i;
    for (size_t k = 0; k < sizeof(input.bytes); k++)
        input.bytes[k] = (unsigned char)((k + i) & 255);
    return weft_submit(weft_procpool_executor(pool), count_large_run, input);
}

static int is_large(uint32_t i)
{
    return i % 8 == 0;
}

static uint32_t work_of(uint32_t i)
{
    return i * 7919 % 20000;
}

/* One round of tasks with a window in flight: how many have failed. */
static unsigned run_round(weft_procpool *pool)
{
    static count_run_future small[ROUND];
    static count_large_run_future great[ROUND];
    static int has_failed[ROUND];
    unsigned failures = 0;
    for (uint32_t i = 0; i < ROUND; i++)
        weft__store_relaxed(&runs[i], 0);
    for (uint32_t i = 0; i < ROUND + WINDOW; i++) {
        if (i < ROUND && is_large(i))
            great[i] = submit_large(pool, i);
        else if (i < ROUND)
            small[i] = weft_submit(weft_procpool_executor(pool), count_run, i, work_of(i));
        if (i < WINDOW)
            continue;
        uint32_t k = i - WINDOW;
        has_failed[k] =
            is_large(k) ? check_large(great[k], k) : check_small(small[k], k, work_of(k));
        failures += (unsigned)has_failed[k];
    }
    for (uint32_t i = 0; i < ROUND; i++) {
        uint32_t count = weft__load_relaxed(&runs[i]);
        assert_true(has_failed[i] ? count <= 1 : count == 1);
    }
    return failures;
}

static void test_storm(void **state)
{
    int64_t length = soak_ns() > 0 ? soak_ns() : 3 * WEFT_SEC;
    char path[64];
    pthread_t killer;
    storm self = {.pause_ns = LESS_IF_SANITIZED(1, 10) * WEFT_MSEC};
    (void)state;
    int file = memfd_create("runs", MFD_CLOEXEC);
    assert_true(file >= 0 && ftruncate(file, ROUND * sizeof(runs[0])) == 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), file);
    assert_int_equal(open_runs(path, sizeof(path)), 0);
    assert_int_equal(
        weft_procpool_create(&self.pool, &(weft_procpool_config){.workers = WORKERS,
                                                                 .initializer = open_runs,
                                                                 .init_arg = path,
                                                                 .init_bytes = sizeof(path),
                                                                 .on_death = note_death,
                                                                 .on_death_arg = &self}),
        0);
    assert_int_equal(pthread_create(&killer, NULL, kill_at_random, &self), 0);
    unsigned failures = 0;
    unsigned rounds = 0;
    int64_t end = weft_in(length);
    for (; weft_now() < end || (failures == 0 && weft_now() < end + LIVENESS_NS); rounds++)
        failures += run_round(self.pool); /* on a busy machine few tasks are hit */
    weft__store_release(&self.is_over, 1);
    assert_int_equal(pthread_join(killer, NULL), 0);
    assert_int_equal(run_round(self.pool) + failures, weft__load_relaxed(&self.deaths));
    assert_int_equal(weft_procpool_destroy(self.pool), 0);
    print_message("%u kills, %u of %u tasks lost with their process\n", self.kills, failures,
                  rounds * ROUND);
    assert_true(self.kills > 0 && failures > 0);
    assert_true(munmap(runs, ROUND * sizeof(runs[0])) == 0 && close(file) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
