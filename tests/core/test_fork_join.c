/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fork_join.c — tasks run exactly once, answer right, and are joined on every way out.
 *
 * ctest: TIMEOUT 90
 *
 * Answers are computed with few and with many more workers than processors, in a plain thread and
 * in several of them. In the stress each task marks a place of its own, so that a task lost or run
 * twice is seen whatever the result. Joins come newest first, which is the fast way, oldest first
 * and in random order, which make fibers park. */
#include "fib.h"
#include "process.h"

#include <errno.h>
#include <pthread.h>

#include <weft/atomic.h>
#include <weft/task.h>

#include "sched/worker.h"
#include "sys.h"

/* ---- answers that are known ------------------------------------------------------------------ */

/* Places for a queen in each row; one task for each place. */
WEFT_TASK(long, queens, int, rows, unsigned, columns, unsigned, left, unsigned, right)
{
    queens_task places[12];
    size_t count = 0;
    long sum = 0;
    unsigned all = (1U << rows) - 1;
    unsigned free_columns = all & ~(columns | left | right);
    if (columns == all)
        return 1;
    while (free_columns != 0) {
        unsigned queen = free_columns & (~free_columns + 1);
        free_columns ^= queen;
        queens_spawn(&places[count++], rows, columns | queen, (left | queen) << 1,
                     (right | queen) >> 1);
    }
    while (count > 0)
        sum += queens_join(&places[--count]);
    return sum;
}

/* The sum of `begin` ... `begin + count - 1`, as a tree that leans to one side. */
WEFT_TASK(uint64_t, tree_sum, uint64_t, begin, uint64_t, count)
{
    if (count <= 1)
        return count * begin;
    uint64_t part = 1 + count / 5;
    weft_spawn(small, tree_sum, begin, part);
    uint64_t large = tree_sum(begin + part, count - part);
    return weft_join(small) + large;
}

static int check_answers(void *arg)
{
    (void)arg;
    CHECK(fib(LESS_IF_SANITIZED(24, 17)) == LESS_IF_SANITIZED(46368, 1597));
    CHECK(queens(8, 0, 0, 0) == 92);
    CHECK(tree_sum(5, 30000) == UINT64_C(30000) * (5 + 30004) / 2);
    return 0;
}

static void test_answers(void **state)
{
    (void)state;
    on_every_count(check_answers, NULL);
    for (unsigned workers = 1; workers <= 16; workers++) {
        on_count(workers, check_answers, NULL);
    }
}

/* ---- exactly once ---------------------------------------------------------------------------- */

typedef enum order { NEWEST_FIRST, OLDEST_FIRST, RANDOM_ORDER, ORDERS } order;

enum { PARTS_MOST = 8 };

/* Mark the first place, cut the others into parts of random size, one task for each. */
WEFT_VOID_TASK(mark, unsigned char *, places, size_t, count, order, joins, uint64_t, seed)
{
    mark_task parts[PARTS_MOST];
    size_t turn[PARTS_MOST];
    if (count == 0)
        return;
    places[0]++;
    size_t at = 1;
    size_t parts_count = 1 + (size_t)(next_random(&seed) % PARTS_MOST);
    for (size_t i = 0; i < parts_count; i++) {
        size_t rest = count - at;
        size_t size = i + 1 == parts_count ? rest : (size_t)(next_random(&seed) % (rest + 1));
        mark_spawn(&parts[i], places + at, size, joins, next_random(&seed));
        at += size;
        turn[i] = joins == OLDEST_FIRST ? i : parts_count - 1 - i;
    }
    for (size_t i = parts_count; joins == RANDOM_ORDER && i > 1; i--) {
        size_t j = (size_t)(next_random(&seed) % i);
        size_t kept = turn[i - 1];
        turn[i - 1] = turn[j];
        turn[j] = kept;
    }
    for (size_t i = 0; i < parts_count; i++)
        mark_join(&parts[turn[i]]);
}

static int check_once(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    size_t count = LESS_IF_SANITIZED(200000, 10000);
    unsigned char *places = malloc(count);
    CHECK(places != NULL);
    int line = 0;
    for (order joins = NEWEST_FIRST; line == 0 && joins < ORDERS; joins++) {
        memset(places, 0, count);
        mark(places, count, joins, seed + joins);
        for (size_t i = 0; line == 0 && i < count; i++)
            line = places[i] == 1 ? 0 : __LINE__;
    }
    free(places);
    return line;
}

static void test_once(void **state)
{
    uint64_t seed = 20240607;
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        assert_int_equal(check_once(&seed), 0);
        for (size_t i = 0; i < WORKER_COUNTS; i++) {
            weft_config config = {.workers = worker_counts[i], .stack_bytes = (size_t)2 << 20};
            int line = weft_run(check_once, &seed, &config);
            if (line != 0)
                fail_msg("line %d fails with %u workers and seed %llu", line, worker_counts[i],
                         (unsigned long long)seed);
        }
        seed += 1000;
    } while (weft_now() < end);
}

static void *once_in_thread(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    int line = check_once(&seed);
    return (void *)(intptr_t)(line != 0 ? line : check_answers(NULL));
}

static void test_plain_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, once_in_thread, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++) {
        void *line;
        assert_int_equal(pthread_join(threads[i], &line), 0);
        assert_int_equal((int)(intptr_t)line, 0);
    }
}

/* ---- forms of tasks -------------------------------------------------------------------------- */

typedef struct pair {
    double first;
    char second[40];
} pair;

WEFT_TASK(int, give0)
{
    return 100;
}

WEFT_TASK(int, give1, int, a)
{
    return a;
}

WEFT_TASK(int, give2, int, a, char, b)
{
    return a * 10 + b;
}

WEFT_TASK(long, give3, int, a, char, b, long, c)
{
    return give2(a, b) * 10 + c;
}

WEFT_TASK(double, give4, int, a, char, b, long, c, double, d)
{
    return (double)give3(a, b, c) * 10 + d;
}

WEFT_TASK(double, give5, int, a, char, b, long, c, double, d, const int *, e)
{
    return give4(a, b, c, d) * 10 + *e;
}

WEFT_TASK(double, give6, int, a, char, b, long, c, double, d, const int *, e, pair, f)
{
    return give5(a, b, c, d, e) * 10 + f.first;
}

WEFT_TASK(pair, turn_round, pair, p)
{
    pair turned = {-p.first, ""};
    size_t length = strlen(p.second);
    for (size_t i = 0; i < length; i++)
        turned.second[i] = p.second[length - 1 - i];
    return turned;
}

WEFT_VOID_TASK(set_to, int *, place, int, value)
{
    *place = value;
}

static int nothing_done;

WEFT_VOID_TASK(do_nothing)
{
    weft__fetch_add_relaxed(&nothing_done, 1);
}

WEFT_TASK_DECLARE(int, is_even, unsigned, n);
WEFT_TASK_DECLARE(int, is_odd, unsigned, n);

WEFT_TASK_DEFINE(int, is_even, unsigned, n)
{
    if (n == 0)
        return 1;
    weft_spawn(less, is_odd, n - 1);
    return weft_join(less);
}

WEFT_TASK_DEFINE(int, is_odd, unsigned, n)
{
    if (n == 0)
        return 0;
    weft_spawn(less, is_even, n - 1);
    return weft_join(less);
}

static int check_forms_once(void)
{
    int five = 5;
    int place = 0;
    pair p = {6, "abc"};
    weft__store_relaxed(&nothing_done, 0);
    weft_spawn(none, do_nothing);
    weft_spawn(set, set_to, &place, 42);
    weft_spawn(t0, give0);
    weft_spawn(t1, give1, 1);
    weft_spawn(t2, give2, 1, 2);
    weft_spawn(t3, give3, 1, 2, 3);
    weft_spawn(t4, give4, 1, 2, 3, 4.0);
    weft_spawn(t5, give5, 1, 2, 3, 4.0, &five);
    weft_spawn(t6, give6, 1, 2, 3, 4.0, &five, p);
    weft_spawn(turned, turn_round, p);
    p.first = 1000; /* arguments have been copied */
    pair q = weft_join(turned);
    CHECK(q.first < -5.5 && q.first > -6.5 && strcmp(q.second, "cba") == 0);
    CHECK((long)weft_join(t6) == 123456 && (long)weft_join(t5) == 12345);
    CHECK((long)weft_join(t4) == 1234 && weft_join(t3) == 123);
    CHECK(weft_join(t2) == 12 && weft_join(t1) == 1 && weft_join(t0) == 100);
    weft_join(set);
    weft_join(none);
    CHECK(place == 42 && nothing_done == 1);
    CHECK(is_even(100) && !is_odd(100) && is_odd(101) && !is_even(101));
    return 0;
}

static int check_forms(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        CHECK_CALL(check_forms_once());
    return 0;
}

static void test_forms(void **state)
{
    (void)state;
    on_every_count(check_forms, NULL);
}

/* ---- leaving a block ------------------------------------------------------------------------- */

static int leave_by_return(int *place, int early)
{
    weft_spawn(set, set_to, place, 1);
    if (early)
        return 1;
    weft_join(set);
    return 0;
}

static int check_ways_out(int early)
{
    int places[3] = {0, 0, 0};
    CHECK(leave_by_return(&places[0], early) == early && places[0] == 1);
    for (int i = 0; i < 5; i++) {
        weft_spawn(set, set_to, &places[1], i + 1);
        if (early && i == 2)
            break;
        if (i == 1)
            continue;
        weft_join(set);
    }
    CHECK(places[1] == (early ? 3 : 5));
    {
        weft_spawn(set, set_to, &places[2], 7);
        if (early)
            goto out;
        weft_join(set);
    }
out:
    CHECK(places[2] == 7);
    return 0;
}

static int check_guard(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        CHECK_CALL(check_ways_out(i % 2));
    return 0;
}

static void test_guard(void **state)
{
    (void)state;
    on_every_count(check_guard, NULL);
}

/* ---- a run inside a run ---------------------------------------------------------------------- */

static int same_worker(void *arg)
{
    return weft_worker_id() == *(int *)arg && fib(10) == 55 ? 0 : __LINE__;
}

static int check_nested(void *arg)
{
    (void)arg;
    int id = weft_worker_id();
    weft_config config = {.workers = 5};
    if (id < 0)
        return 0;
    unsigned workers = weft_num_workers(NULL);
    CHECK_CALL(weft_run(same_worker, &id, &config));
    CHECK(weft_num_workers(NULL) == workers);
    return 0;
}

static void test_nested(void **state)
{
    (void)state;
    on_every_count(check_nested, NULL);
}

/* ---- depth ----------------------------------------------------------------------------------- */

/* Each task waits for the next: all frames lie on stacks at the same time. */
WEFT_TASK(long, deep, long, n)
{
    if (n == 0)
        return 0;
    weft_spawn(next, deep, n - 1);
    return weft_join(next) + 1;
}

/* Nothing is joined before everything is spawned: the longest private list there can be. */
static WEFT__NOINLINE long spawn_all(long n)
{
    if (n == 0)
        return 0;
    weft_spawn(one, give1, 1);
    long others = spawn_all(n - 1);
    return weft_join(one) + others;
}

static int check_depth(void *arg)
{
    (void)arg;
    long depth = LESS_IF_SANITIZED(1000000, 10000);
    CHECK(deep(depth) == depth);
    CHECK(spawn_all(depth) == depth);
    return 0;
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        weft_config config = {.workers = workers,
                              .stack_bytes = (size_t)LESS_IF_SANITIZED(1024, 64) << 20};
        assert_int_equal(weft_run(check_depth, NULL, &config), 0);
    }
}

/* ---- a join that parks ----------------------------------------------------------------------- */

static weft_runtime *runtime;

static uint64_t parks(void)
{
    weft_stats stats;
    weft_runtime_stats(runtime, &stats);
    return stats.parks;
}

/* Begin, and end only after the spawner has parked. */
WEFT_TASK(int, outlast, unsigned *, begun, uint64_t, parks_before)
{
    int64_t end = weft_now() + LIVENESS_NS;
    weft__store_release(begun, 1);
    while (parks() == parks_before && weft_now() < end)
        continue;
    weft__errno_set(EDOM);
    return weft_worker_id();
}

static int check_migration(void *arg)
{
    int *migrations = arg;
    for (int i = 0; i < 50; i++) {
        unsigned begun = 0;
        int before = weft_worker_id();
        weft_spawn(other, outlast, &begun, parks());
        CHECK(wait_for(&begun, 1));
        weft__errno_set(EXDEV);
        int elsewhere = weft_join(other);
        CHECK(weft__errno_get() == EXDEV);
        CHECK(elsewhere != before && elsewhere >= 0 && elsewhere < 3);
        int after = weft_worker_id();
        CHECK(after >= 0 && after < 3 && weft_num_workers(NULL) == 3);
        CHECK(weft__worker_self()->id == (unsigned)after);
        *migrations += after != before;
    }
    return 0;
}

static void test_migration(void **state)
{
    weft_config config = {.workers = 3};
    int migrations = 0;
    int line = -1;
    (void)state;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    assert_int_equal(weft_runtime_run(runtime, check_migration, &migrations, &line), 0);
    assert_int_equal(line, 0);
    assert_true(migrations > 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* ---- joined twice ---------------------------------------------------------------------------- */

WEFT_TASK(int, take_long, int, ns)
{
    sleep_ns(ns);
    return ns;
}

/* Nobody takes the task; or another worker does, and ends it before the first join or behind it. */
static int join_twice(void *arg)
{
    int ns = *(const int *)arg;
    take_long_task once;
    take_long_task twice;
    take_long_spawn(&once, 1);
    take_long_spawn(&twice, ns);
    if (ns > 0)
        sleep_ns(10 * WEFT_MSEC);
    CHECK(take_long_join(&twice) == ns && take_long_join(&once) == 1);
    take_long_spawn(&once, ns); /* is another task */
    CHECK(take_long_join(&once) == ns);
    return take_long_join(&twice);
}

static int join_twice_on_workers(void *arg)
{
    weft_config config = {.workers = 2};
    return weft_run(join_twice, arg, &config);
}

static void test_a_second_join_says_so(void **state)
{
    int spans[] = {0, (int)WEFT_MSEC, (int)(20 * WEFT_MSEC)};
    (void)state;
    assert_int_equal(setenv("WEFT_CHECK", "join", 1), 0);
    for (int i = 0; i < 3; i++) {
        child_end end = in_child(join_twice_on_workers, &spans[i]);
        expect_death(&end, SIGABRT, "weft_join: the task has been joined already");
    }
    assert_int_equal(unsetenv("WEFT_CHECK"), 0);
    child_end end = in_child(join_twice, &spans[0]); /* a plain thread notices by itself */
    expect_death(&end, SIGABRT, "has joined already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_plain_threads),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_a_second_join_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
