/* SPDX-License-Identifier: BSD-2-Clause */
/* test_mutex.c — a lock may be held across anything, and nobody waits for it for ever.
 *
 * The first test is the one that schedulers which run foreign work on a waiting stack cannot pass:
 * a task that holds a lock joins, and the worker has nothing better to do than a task that wants
 * the same lock. */
#include "crew.h"
#include "fib.h"

#include <weft/atomic.h>
#include <weft/fiber.h>

static const unsigned mutex_workers[] = {1, 2, 8};
#define MUTEX_WORKERS (sizeof(mutex_workers) / sizeof(mutex_workers[0]))

static void on_mutex_workers(int (*check)(void *arg), void *arg)
{
    for (size_t i = 0; i < MUTEX_WORKERS; i++)
        on_count(mutex_workers[i], check, arg);
}

/* ---- held across spawn and join -------------------------------------------------------------- */

enum { HOLDERS = 200, ROUNDS = 10 };

typedef struct guarded {
    weft_mutex outer;
    weft_mutex inner;
    long entries; /* plain: `outer` guards it */
    int inside;
} guarded;

/* Oldest first: this parks. */
static int join_inside(guarded *g)
{
    weft_spawn(left, fib, 8);
    weft_spawn(right, fib, 9);
    weft_with_lock (&g->inner)
        CHECK(weft_join(left) == 21);
    CHECK(weft_join(right) == 34);
    return 0;
}

WEFT_TASK(int, hold, guarded *, g, int, depth)
{
    weft_with_lock (&g->outer) {
        CHECK(g->inside++ == 0);
        CHECK_CALL(join_inside(g));
        g->entries++;
        CHECK(--g->inside == 0);
    }
    if (depth > 0) {
        weft_spawn(one, hold, g, depth - 1);
        weft_spawn(two, hold, g, depth - 1);
        CHECK_CALL(weft_join(two));
        CHECK_CALL(weft_join(one));
    }
    return 0;
}

static int check_hold(void *arg)
{
    (void)arg;
    for (int round = 0; round < LESS_IF_SANITIZED(ROUNDS, 1); round++) {
        static hold_task tasks[HOLDERS];
        guarded g = {WEFT_MUTEX_INIT, WEFT_MUTEX_INIT, 0, 0};
        for (size_t i = 0; i < HOLDERS; i++)
            hold_spawn(&tasks[i], &g, 1);
        int line = 0;
        for (size_t i = HOLDERS; i-- > 0;) {
            int result = hold_join(&tasks[i]);
            line = line == 0 ? result : line;
        }
        CHECK_CALL(line);
        CHECK(g.entries == 3 * HOLDERS);
        CHECK(weft_mutex_trylock(&g.outer) == 0 && weft_mutex_trylock(&g.inner) == 0);
    }
    return 0;
}

static void test_held_across_join(void **state)
{
    (void)state;
    assert_int_equal(check_hold(NULL), 0);
    on_mutex_workers(check_hold, NULL);
}

/* ---- exclusion ------------------------------------------------------------------------------- */

enum { CONTENDERS = 8, THREADS = 3 };

typedef struct account {
    weft_mutex lock;
    long value[2]; /* plain, always equal outside the lock */
    long turns;
    int is_broken;
} account;

static void deposit(account *a, uint64_t *random)
{
    if (weft_mutex_lock_until(&a->lock, random_deadline(random)) != 0)
        if (weft_mutex_trylock(&a->lock) != 0)
            weft_mutex_lock(&a->lock);
    long kept = a->value[0]++;
    if (next_random(random) % 16 == 0)
        (void)fib(3);
    if (a->value[1]++ != kept)
        a->is_broken = 1;
    weft_mutex_unlock(&a->lock);
}

WEFT_VOID_TASK(deposit_often, account *, a, uint64_t, seed)
{
    for (long i = 0; i < a->turns; i++)
        deposit(a, &seed);
}

static void *deposit_in_thread(void *arg)
{
    deposit_often(arg, (uint64_t)(uintptr_t)&arg);
    return NULL;
}

static int deposit_in_fibers(void *arg)
{
    deposit_often_task tasks[CONTENDERS];
    for (size_t i = 0; i < CONTENDERS; i++)
        deposit_often_spawn(&tasks[i], arg, i);
    for (size_t i = 0; i < CONTENDERS; i++)
        deposit_often_join(&tasks[i]);
    return 0;
}

static void test_exclusion(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (size_t i = 0; i < MUTEX_WORKERS; i++) {
            weft_config config = {.workers = mutex_workers[i]};
            account a = {.turns = LESS_IF_SANITIZED(10000, 1000)};
            pthread_t threads[THREADS];
            for (size_t t = 0; t < THREADS; t++)
                assert_int_equal(pthread_create(&threads[t], NULL, deposit_in_thread, &a), 0);
            assert_int_equal(weft_run(deposit_in_fibers, &a, &config), 0);
            for (size_t t = 0; t < THREADS; t++)
                assert_int_equal(pthread_join(threads[t], NULL), 0);
            assert_int_equal(a.is_broken, 0);
            assert_int_equal(a.value[0], (CONTENDERS + THREADS) * a.turns);
            assert_int_equal(a.value[1], a.value[0]);
        }
    } while (weft_now() < end);
}

/* ---- order of arrival ------------------------------------------------------------------------ */

enum { ARRIVALS = 12 };

typedef struct line_up {
    weft_mutex lock;
    unsigned arrived;
    unsigned served; /* plain: guarded by `lock` */
    int is_unfair;
} line_up;

/* On a runtime of one worker nothing comes between taking a number and queueing up. */
WEFT_VOID_TASK(queue_up, line_up *, l)
{
    unsigned number = weft__fetch_add_acq_rel(&l->arrived, 1);
    weft_mutex_lock(&l->lock);
    if (l->served++ != number)
        l->is_unfair = 1;
    weft_mutex_unlock(&l->lock);
}

static int queue_up_all(void *arg)
{
    queue_up_task tasks[ARRIVALS];
    for (size_t i = 0; i < ARRIVALS; i++)
        queue_up_spawn(&tasks[i], arg);
    for (size_t i = ARRIVALS; i-- > 0;)
        queue_up_join(&tasks[i]);
    return 0;
}

static void *queue_up_in_fibers(void *arg)
{
    weft_config config = {.workers = 1};
    return (void *)(intptr_t)weft_run(queue_up_all, arg, &config);
}

static void *queue_up_in_thread(void *arg)
{
    queue_up(arg);
    return NULL;
}

static void test_fibers_in_order(void **state)
{
    pthread_t thread;
    void *result;
    line_up l = {WEFT_MUTEX_INIT, 0, 0, 0};
    (void)state;
    weft_mutex_lock(&l.lock);
    assert_int_equal(pthread_create(&thread, NULL, queue_up_in_fibers, &l), 0);
    assert_true(wait_for_waiters(&l.lock.queue_, ARRIVALS));
    weft_mutex_unlock(&l.lock);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(l.served, ARRIVALS);
    assert_int_equal(l.is_unfair, 0);
}

static void test_threads_in_order(void **state)
{
    pthread_t threads[ARRIVALS];
    line_up l = {WEFT_MUTEX_INIT, 0, 0, 0};
    (void)state;
    weft_mutex_lock(&l.lock);
    for (size_t i = 0; i < ARRIVALS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, queue_up_in_thread, &l), 0);
        assert_true(wait_for_waiters(&l.lock.queue_, i + 1));
    }
    assert_int_equal(weft_mutex_trylock(&l.lock), -EAGAIN);
    weft_mutex_unlock(&l.lock);
    for (size_t i = 0; i < ARRIVALS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(l.served, ARRIVALS);
    assert_int_equal(l.is_unfair, 0);
}

/* ---- nobody is barged past for ever ---------------------------------------------------------- */

typedef struct contest {
    weft_mutex lock;
    unsigned has_it;
} contest;

static int want(void *arg, unsigned index)
{
    contest *c = arg;
    (void)index;
    weft_mutex_lock(&c->lock);
    weft__store_release(&c->has_it, 1);
    weft_mutex_unlock(&c->lock);
    return 0;
}

/* After a millisecond an unlock hands the mutex over: it is not free for a moment. */
static void check_hand_over(unsigned fibers)
{
    contest c = {.lock = WEFT_MUTEX_INIT};
    side_crew side = {.all = {want, &c, fibers, 1 - fibers, 1}};
    weft_mutex_lock(&c.lock);
    start_side(&side);
    assert_true(wait_for_waiters(&c.lock.queue_, 1));
    sleep_ns(2 * WEFT_MSEC);
    weft_mutex_unlock(&c.lock);
    if (weft_mutex_trylock(&c.lock) == 0) {
        assert_int_equal(weft__load_acquire(&c.has_it), 1);
        weft_mutex_unlock(&c.lock);
    }
    end_side(&side);
}

static void test_hand_over(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++)
        check_hand_over(round % 2);
}

WEFT_VOID_TASK(want_once, contest *, c)
{
    (void)want(c, 0);
}

/* Before that, whoever runs may have it: the waiter comes too late, and is in front again. */
static int barge_past(unsigned *successes)
{
    contest c = {.lock = WEFT_MUTEX_INIT};
    weft_mutex_lock(&c.lock);
    weft_scope(group)
    {
        CHECK(weft_go(&group, want_once, &c) == 0);
        weft_yield(); /* there is one worker: now it waits */
        CHECK(count_waiters(&c.lock.queue_) == 1);
        weft_mutex_unlock(&c.lock);
        if (weft_mutex_trylock(&c.lock) == 0) {
            *successes += 1;
            weft_yield();
            CHECK(count_waiters(&c.lock.queue_) == 1 && !c.has_it);
            weft_mutex_unlock(&c.lock);
        }
    }
    CHECK(c.has_it);
    return 0;
}

static int check_barging(void *arg)
{
    unsigned successes = 0;
    (void)arg;
    for (int round = 0; round < 100; round++)
        CHECK_CALL(barge_past(&successes));
    CHECK(successes > 0); /* unless each of a hundred took a millisecond */
    return 0;
}

static void test_barging(void **state)
{
    weft_config config = {.workers = 1};
    (void)state;
    assert_int_equal(weft_run(check_barging, NULL, &config), 0);
}

/* Whoever locks again at once, as long as somebody waits, does not keep him waiting for ever. */
static void *hog(void *arg)
{
    contest *c = arg;
    while (!weft__load_acquire(&c->has_it)) {
        weft_mutex_lock(&c->lock);
        compute_ns(10 * WEFT_USEC);
        weft_mutex_unlock(&c->lock);
    }
    return NULL;
}

static void test_hog(void **state)
{
    pthread_t thread;
    (void)state;
    for (unsigned fibers = 0; fibers <= 1; fibers++) {
        contest c = {.lock = WEFT_MUTEX_INIT};
        crew one = {want, &c, fibers, 1 - fibers, 1};
        assert_int_equal(pthread_create(&thread, NULL, hog, &c), 0);
        assert_int_equal(run_crew(&one), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

/* ---- giving up ------------------------------------------------------------------------------- */

static int check_deadlines(void *arg)
{
    weft_mutex mutex = WEFT_MUTEX_INIT;
    (void)arg;
    CHECK(weft_mutex_lock_until(&mutex, WEFT_POLL) == 0);
    CHECK(weft_mutex_lock_until(&mutex, WEFT_POLL) == -ETIMEDOUT);
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_mutex_lock_until(&mutex, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(count_waiters(&mutex.queue_) == 0);
    weft_mutex_unlock(&mutex);
    CHECK(weft_mutex_lock_until(&mutex, 1) == 0); /* long ago, but it is free */
    weft_mutex_unlock(&mutex);
    return 0;
}

static void test_deadlines(void **state)
{
    (void)state;
    on_every_count(check_deadlines, NULL);
}

typedef struct waiting_room {
    weft_mutex lock;
    int patience;
    int rc;
} waiting_room;

WEFT_VOID_TASK(wait_in_room, waiting_room *, room)
{
    if (room->patience) {
        weft_mutex_lock(&room->lock);
        room->rc = 0;
    } else {
        room->rc = weft_mutex_lock_until(&room->lock, WEFT_FOREVER);
    }
    if (room->rc == 0)
        weft_mutex_unlock(&room->lock);
}

/* A cancelled scope ends a wait that can fail, and no other. */
static int check_cancel(void *arg)
{
    waiting_room rooms[2] = {{WEFT_MUTEX_INIT, 0, 1}, {WEFT_MUTEX_INIT, 1, 1}};
    (void)arg;
    weft_mutex_lock(&rooms[0].lock);
    weft_mutex_lock(&rooms[1].lock);
    weft_scope(group)
    {
        CHECK(weft_go(&group, wait_in_room, &rooms[0]) == 0);
        CHECK(weft_go(&group, wait_in_room, &rooms[1]) == 0);
        while (count_waiters(&rooms[0].lock.queue_) + count_waiters(&rooms[1].lock.queue_) < 2)
            weft_yield();
        weft_cancel_scope(&group);
        while (count_waiters(&rooms[0].lock.queue_) > 0)
            weft_yield();
        CHECK(count_waiters(&rooms[1].lock.queue_) == 1);
        weft_mutex_unlock(&rooms[1].lock);
    }
    CHECK(rooms[0].rc == -ECANCELED);
    CHECK(rooms[1].rc == 0);
    weft_mutex_unlock(&rooms[0].lock);
    CHECK(weft_mutex_trylock(&rooms[0].lock) == 0);
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    on_mutex_workers(check_cancel, NULL);
}

/* ---- the small things ------------------------------------------------------------------------ */

static int is_free(weft_mutex *mutex)
{
    if (weft_mutex_trylock(mutex) != 0)
        return 0;
    weft_mutex_unlock(mutex);
    return 1;
}

static int leave_by_return(weft_mutex *mutex)
{
    weft_with_lock (mutex) {
        if (!is_free(mutex))
            return 1;
    }
    return 0;
}

static int check_ways_out(void *arg)
{
    weft_mutex mutex = WEFT_MUTEX_INIT;
    int entered = 0;
    (void)arg;
    CHECK(leave_by_return(&mutex) == 1 && is_free(&mutex));
    weft_with_lock (&mutex) {
        entered++;
        if (entered == 1)
            break;
        entered = 100;
    }
    CHECK(entered == 1 && is_free(&mutex));
    weft_with_lock (&mutex) {
        entered++;
        if (entered == 2)
            continue;
        entered = 100;
    }
    CHECK(entered == 2 && is_free(&mutex));
    weft_with_lock (&mutex) {
        if (entered == 2)
            goto out;
        entered = 100;
    }
out:
    CHECK(entered == 2 && is_free(&mutex));
    weft_with_lock (&mutex)
        entered++;
    CHECK(entered == 3 && is_free(&mutex));
    return 0;
}

static void test_ways_out(void **state)
{
    (void)state;
    on_every_count(check_ways_out, NULL);
}

static int check_trylock(void *arg)
{
    weft_mutex mutex = WEFT_MUTEX_INIT;
    (void)arg;
    CHECK(weft_mutex_trylock(&mutex) == 0);
    CHECK(weft_mutex_trylock(&mutex) == -EAGAIN);
    weft_mutex_unlock(&mutex);
    weft_mutex_lock(&mutex);
    CHECK(weft_mutex_trylock(&mutex) == -EAGAIN);
    weft_mutex_unlock(&mutex);
    CHECK(is_free(&mutex));
    return 0;
}

static void test_trylock(void **state)
{
    (void)state;
    on_every_count(check_trylock, NULL);
}

static int unlock_free(void *arg)
{
    weft_mutex mutex = WEFT_MUTEX_INIT;
    (void)arg;
    weft_mutex_unlock(&mutex);
    return 0;
}

static void test_unlock_free(void **state)
{
    (void)state;
    child_end end = in_child(unlock_free, NULL);
    expect_death(&end, SIGABRT, "not locked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlock_free),      cmocka_unit_test(test_held_across_join),
        cmocka_unit_test(test_exclusion),        cmocka_unit_test(test_fibers_in_order),
        cmocka_unit_test(test_threads_in_order), cmocka_unit_test(test_ways_out),
        cmocka_unit_test(test_trylock),          cmocka_unit_test(test_hand_over),
        cmocka_unit_test(test_barging),          cmocka_unit_test(test_hog),
        cmocka_unit_test(test_deadlines),        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
