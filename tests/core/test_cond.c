/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cond.c — a condition wakes whom it is told to, in order, and gives the mutex back always. */
#include "crew.h"

#include <weft/fiber.h>

static int is_held(weft_mutex *mutex)
{
    if (weft_mutex_trylock(mutex) != 0)
        return 1;
    weft_mutex_unlock(mutex);
    return 0;
}

/* ---- alone ----------------------------------------------------------------------------------- */

static int check_alone(void *arg)
{
    static weft_cond cond; /* memory of zeros */
    weft_mutex mutex = WEFT_MUTEX_INIT;
    (void)arg;
    weft_cond_notify(&cond, 1); /* is not remembered */
    weft_cond_notify_all(&cond);
    weft_mutex_lock(&mutex);
    CHECK(weft_cond_wait(&cond, &mutex, WEFT_POLL) == -ETIMEDOUT);
    CHECK(is_held(&mutex));
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_cond_wait(&cond, &mutex, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(is_held(&mutex));
    CHECK(count_waiters(&cond.queue_) == 0 && count_waiters(&mutex.queue_) == 0);
    weft_mutex_unlock(&mutex);
    return 0;
}

static void test_alone(void **state)
{
    (void)state;
    on_every_count(check_alone, NULL);
}

/* ---- who is notified ------------------------------------------------------------------------- */

enum { WAITERS = 8 };

typedef struct hall {
    weft_mutex lock;
    weft_cond changed;
    unsigned came;
    unsigned left; /* under `lock`; in this order */
    unsigned order[WAITERS];
    unsigned released; /* how many may leave */
} hall;

static int sit_in_hall(void *arg, unsigned index)
{
    hall *h = arg;
    CHECK(wait_for(&h->came, index));
    CHECK(index == 0 || wait_for_waiters(&h->changed.queue_, index));
    weft_mutex_lock(&h->lock);
    weft__fetch_add_acq_rel(&h->came, 1);
    CHECK(weft_cond_wait(&h->changed, &h->lock, WEFT_FOREVER) == 0);
    CHECK(is_held(&h->lock));
    h->order[h->left] = index;
    weft__store_release(&h->left, h->left + 1);
    weft_mutex_unlock(&h->lock);
    return 0;
}

/* Notified under the lock, they stand in line for it, and none has been woken in vain. */
static void check_line(unsigned fibers)
{
    hall h = {.lock = WEFT_MUTEX_INIT};
    side_crew side = {.all = {sit_in_hall, &h, fibers, WAITERS - fibers, WAITERS}};
    start_side(&side);
    assert_true(wait_for_waiters(&h.changed.queue_, WAITERS));
    weft_mutex_lock(&h.lock);
    weft_cond_notify(&h.changed, 0);
    assert_int_equal(count_waiters(&h.lock.queue_), 0);
    weft_cond_notify(&h.changed, 1);
    weft_cond_notify(&h.changed, 2);
    assert_int_equal(count_waiters(&h.changed.queue_), WAITERS - 3);
    assert_int_equal(count_waiters(&h.lock.queue_), 3);
    weft_mutex_unlock(&h.lock);
    assert_true(wait_for(&h.left, 3));
    weft_mutex_lock(&h.lock);
    weft_cond_notify_all(&h.changed);
    assert_int_equal(count_waiters(&h.changed.queue_), 0);
    assert_int_equal(count_waiters(&h.lock.queue_), WAITERS - 3);
    weft_mutex_unlock(&h.lock);
    end_side(&side);
    for (unsigned i = 0; i < WAITERS; i++)
        assert_int_equal(h.order[i], i);
}

static void test_line(void **state)
{
    (void)state;
    check_line(0);
    check_line(WAITERS);
    check_line(WAITERS / 2);
}

/* Without the lock held, the first is given it at once. */
static void test_notify_unlocked(void **state)
{
    hall h = {.lock = WEFT_MUTEX_INIT};
    side_crew side = {.all = {sit_in_hall, &h, 2, 2, 4}};
    (void)state;
    start_side(&side);
    assert_true(wait_for_waiters(&h.changed.queue_, 4));
    weft_cond_notify(&h.changed, 1);
    assert_true(wait_for(&h.left, 1));
    weft_cond_notify(&h.changed, SIZE_MAX);
    end_side(&side);
    assert_int_equal(h.left, 4);
}

/* ---- cancelled ------------------------------------------------------------------------------- */

typedef struct room {
    weft_mutex lock;
    weft_cond changed;
    int rc;
    int was_held;
} room;

WEFT_VOID_TASK(wait_in_room, room *, r)
{
    weft_mutex_lock(&r->lock);
    r->rc = weft_cond_wait(&r->changed, &r->lock, WEFT_FOREVER);
    r->was_held = is_held(&r->lock);
    weft_mutex_unlock(&r->lock);
}

/* The lock is waited for, and had, also in a cancelled scope. */
static int check_cancel(void *arg)
{
    room r = {.lock = WEFT_MUTEX_INIT};
    (void)arg;
    weft_scope(group)
    {
        CHECK(weft_go(&group, wait_in_room, &r) == 0);
        while (count_waiters(&r.changed.queue_) == 0)
            weft_yield();
        weft_mutex_lock(&r.lock);
        weft_cancel_scope(&group);
        while (count_waiters(&r.lock.queue_) == 0)
            weft_yield();
        CHECK(count_waiters(&r.changed.queue_) == 0);
        weft_mutex_unlock(&r.lock);
    }
    CHECK(r.rc == -ECANCELED && r.was_held);
    CHECK(!is_held(&r.lock));
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    on_count(1, check_cancel, NULL);
    on_count(4, check_cancel, NULL);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { ROOM = 2, MEMBERS = 8 };

/* A bounded buffer; each notification lets exactly one go on, so a lost one stops all. */
typedef struct buffer {
    weft_mutex lock;
    weft_cond not_full;
    weft_cond not_empty;
    unsigned count;
    long sum;
    long turns;
    int is_sloppy; /* notify without the lock */
} buffer;

static int change(buffer *b, int by, uint64_t *random)
{
    weft_cond *mine = by > 0 ? &b->not_full : &b->not_empty;
    weft_cond *others = by > 0 ? &b->not_empty : &b->not_full;
    weft_mutex_lock(&b->lock);
    while (b->count == (by > 0 ? ROOM : 0)) {
        int rc = weft_cond_wait(mine, &b->lock, random_deadline(random));
        CHECK(rc == 0 || rc == -ETIMEDOUT);
    }
    b->count += (unsigned)by;
    b->sum += by;
    if (!b->is_sloppy)
        weft_cond_notify(others, 1);
    weft_mutex_unlock(&b->lock);
    if (b->is_sloppy)
        weft_cond_notify(others, 1);
    return 0;
}

static int trade(void *arg, unsigned index)
{
    buffer *b = arg;
    uint64_t random = index;
    for (long i = 0; i < b->turns; i++)
        CHECK_CALL(change(b, index % 2 == 0 ? 1 : -1, &random));
    return 0;
}

static void test_trade(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (int is_sloppy = 0; is_sloppy <= 1; is_sloppy++) {
            buffer b = {.turns = LESS_IF_SANITIZED(2000, 200), .is_sloppy = is_sloppy};
            on_crews(trade, &b, MEMBERS);
            assert_int_equal(b.count, 0);
            assert_int_equal(b.sum, 0);
        }
    } while (weft_now() < end);
}

/* Everybody waits for the next round, and one begins it: all come, each time. */
typedef struct rounds {
    weft_mutex lock;
    weft_cond begun;
    unsigned here;
    long round;
    long count;
} rounds;

static int go_round(void *arg, unsigned index)
{
    rounds *r = arg;
    (void)index;
    for (long i = 0; i < r->count; i++) {
        weft_mutex_lock(&r->lock);
        long mine = r->round;
        if (++r->here == MEMBERS) {
            r->here = 0;
            r->round++;
            weft_cond_notify_all(&r->begun);
        }
        while (r->round == mine)
            CHECK(weft_cond_wait(&r->begun, &r->lock, WEFT_FOREVER) == 0);
        weft_mutex_unlock(&r->lock);
    }
    return 0;
}

static void test_rounds(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        rounds r = {.count = LESS_IF_SANITIZED(1000, 100)};
        on_crews(go_round, &r, MEMBERS);
        assert_int_equal(r.round, 3 * r.count);
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),           cmocka_unit_test(test_line),
        cmocka_unit_test(test_notify_unlocked), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_trade),           cmocka_unit_test(test_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
