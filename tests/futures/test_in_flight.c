/* SPDX-License-Identifier: BSD-2-Clause */
/* test_in_flight.c — a million futures at once: what each costs, and that all of it comes back.
 *
 * ctest: TIMEOUT 60 LABELS no-sanitizer
 * The sanitizers' allocators have sizes of their own. */
#include "../core/on_workers.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/future.h>

#include "alloc.h"

enum { COUNT = 1000000 };

WEFT_TASK(double, price, int, option, double, spot)
{
    return option * spot;
}

WEFT_TASK(long, add, long, a, long, b, long, c)
{
    return a + b + c;
}

/* An executor that keeps everything until it is told to run it. */
typedef struct keeper {
    weft_executor base;
    weft_future **futures;
    size_t count;
} keeper;

static void keep(weft_executor *executor, weft_future *future)
{
    keeper *self = (keeper *)(void *)executor;
    self->futures[self->count++] = future;
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu", &pages), 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void submit_all(weft_executor *executor, price_future *futures)
{
    for (int i = 0; i < COUNT; i++)
        futures[i] = weft_submit(executor, price, i, 0.5);
}

static void await_all(price_future *futures)
{
    for (int i = 0; i < COUNT; i++) {
        double value = 0;
        if (weft_await(futures[i], &value, WEFT_FOREVER) != 0 || value != i * 0.5)
            fail_msg("future %d has %f", i, value);
    }
}

static keeper keeper_new(void)
{
    static const weft_executor_ops ops = {.submit = keep};
    keeper self = {.base = {.ops = &ops}, .futures = malloc(COUNT * sizeof(weft_future *))};
    assert_non_null(self.futures);
    memset(self.futures, 1, COUNT * sizeof *self.futures); /* so that it is resident already */
    return self;
}

static void run_all(keeper *self)
{
    for (size_t i = 0; i < COUNT; i++)
        weft_future_run(self->futures[i]);
    free(self->futures);
}

/* With what the allocator keeps of each. */
static void check_bytes(size_t used)
{
    printf("%.1f bytes a future\n", (double)used / COUNT);
    assert_true(used > 100u * COUNT); /* or nothing was measured */
    assert_true(used <= 128u * COUNT);
}

/* Arguments and result are 24 bytes. */
static void test_a_million_in_128_bytes_each(void **state)
{
    price_future *futures = malloc(COUNT * sizeof *futures);
    keeper all = keeper_new();
    (void)state;
    assert_non_null(futures);
    memset(futures, 1, COUNT * sizeof *futures);
    size_t before = resident_bytes();
    submit_all(&all.base, futures);
    size_t used = resident_bytes() - before;
    run_all(&all);
    await_all(futures);
    check_bytes(used);
    free(futures);
}

/* Arguments and result are 32 bytes: what still goes into such a block. */
static void test_a_million_of_the_largest_in_128_bytes_each(void **state)
{
    add_future *futures = malloc(COUNT * sizeof *futures);
    keeper all = keeper_new();
    (void)state;
    assert_non_null(futures);
    memset(futures, 1, COUNT * sizeof *futures);
    size_t before = resident_bytes();
    for (long i = 0; i < COUNT; i++)
        futures[i] = weft_submit(&all.base, add, i, i, 1);
    size_t used = resident_bytes() - before;
    run_all(&all);
    for (long i = 0; i < COUNT; i++) {
        long value = 0;
        if (weft_await(futures[i], &value, WEFT_POLL) != 0 || value != 2 * i + 1)
            fail_msg("future %ld has %ld", i, value);
    }
    check_bytes(used);
    free(futures);
}

/* What the program has allocated, however much the allocator keeps of what was given back. */
static size_t allocated_bytes(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0;
    size_t size = sizeof bytes;
    if (mallctl == NULL)
        return mallinfo2().uordblks + mallinfo2().hblkhd;
    assert_int_equal(mallctl("epoch", NULL, NULL, &epoch, sizeof epoch), 0);
    assert_int_equal(mallctl("stats.allocated", &bytes, &size, NULL, 0), 0);
    return bytes;
}

/* Again and again: memory that did not come back would add up. A worker's deque, once grown, is
 * kept, and whichever worker took the most decides in which round it grew. */
static void test_all_of_it_comes_back(void **state)
{
    price_future *futures = malloc(COUNT * sizeof *futures);
    size_t in_flight[4];
    size_t left[4];
    (void)state;
    assert_non_null(futures);
    for (int round = 0; round < 4; round++) {
        submit_all(weft_workers(), futures);
        in_flight[round] = allocated_bytes();
        await_all(futures);
        left[round] = allocated_bytes();
        assert_true(left[round] + 100u * COUNT < in_flight[round]); /* or it was not measured */
    }
    assert_true(in_flight[3] < in_flight[1] + 32u * COUNT); /* a quarter of what one round takes */
    assert_true(left[3] < left[1] + 32u * COUNT);
    free(futures);
}

enum { THREADS = 100, IN_A_THREAD = 200, KEPT_BY_WORKER = 256 * 112 /* as in stock.c */ };

/* What its destructor releases comes later than the end of the thread's own blocks. */
static pthread_key_t late;

static void release_late(void *held)
{
    price_future *futures = held;
    for (int i = 0; i < IN_A_THREAD; i++)
        weft_release(futures[i]);
    free(futures);
}

static void *submit_in_thread(void *argument)
{
    price_future at_once[IN_A_THREAD];
    price_future *held = malloc(IN_A_THREAD * sizeof *held);
    if (held == NULL || pthread_setspecific(late, held) != 0)
        return NULL;
    for (int i = 0; i < IN_A_THREAD; i++) {
        at_once[i] = weft_submit(weft_workers(), price, i, 0.5);
        held[i] = weft_submit(weft_workers(), price, i, 0.5);
    }
    for (int i = 0; i < IN_A_THREAD; i++)
        if (weft_await(at_once[i], NULL, WEFT_FOREVER) != 0 ||
            weft_result(held[i], NULL, WEFT_FOREVER) != 0)
            return NULL;
    return argument;
}

static void run_in_threads(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        void *result = NULL;
        assert_int_equal(pthread_create(&thread, NULL, submit_in_thread, &late), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, &late);
    }
}

/* What a thread keeps for its next futures ends with it; what the workers keep may become more. */
static void test_ended_threads_keep_nothing(void **state)
{
    (void)state;
    price_future first = weft_submit(weft_workers(), price, 1, 0.5);
    assert_int_equal(weft_await(first, NULL, WEFT_FOREVER), 0); /* the library has its keys now */
    assert_int_equal(pthread_key_create(&late, release_late), 0);
    run_in_threads(10);
    size_t before = allocated_bytes();
    run_in_threads(THREADS);
    size_t after = allocated_bytes();
    assert_int_equal(pthread_key_delete(late), 0);
    /* a tenth of either kind, if it were lost, and what the workers have come to keep */
    size_t more = (size_t)sysconf(_SC_NPROCESSORS_ONLN) * KEPT_BY_WORKER;
    assert_true(after < before + more + (size_t)THREADS * IN_A_THREAD * 100 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_million_in_128_bytes_each),
        cmocka_unit_test(test_a_million_of_the_largest_in_128_bytes_each),
        cmocka_unit_test(test_all_of_it_comes_back),
        cmocka_unit_test(test_ended_threads_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
