/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rwlock.c — readers together, a writer alone, and each lets the others in. */
#include "crew.h"

#include <weft/fiber.h>

/* ---- alone ----------------------------------------------------------------------------------- */

static int check_alone(void *arg)
{
    static weft_rwlock lock; /* memory of zeros */
    (void)arg;
    weft_rwlock_read_lock(&lock);
    CHECK(weft_rwlock_read_trylock(&lock) == 0);
    CHECK(weft_rwlock_write_trylock(&lock) == -EAGAIN);
    CHECK(weft_rwlock_write_lock_until(&lock, WEFT_POLL) == -ETIMEDOUT);
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_rwlock_write_lock_until(&lock, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(weft_rwlock_read_lock_until(&lock, WEFT_POLL) == 0); /* no writer waits any more */
    weft_rwlock_read_unlock(&lock);
    weft_rwlock_read_unlock(&lock);
    weft_rwlock_read_unlock(&lock);
    CHECK(weft_rwlock_write_trylock(&lock) == 0);
    CHECK(weft_rwlock_read_trylock(&lock) == -EAGAIN);
    CHECK(weft_rwlock_read_lock_until(&lock, WEFT_POLL) == -ETIMEDOUT);
    deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_rwlock_read_lock_until(&lock, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    weft_rwlock_write_unlock(&lock);
    weft_rwlock_write_lock(&lock);
    weft_rwlock_write_unlock(&lock);
    CHECK(weft_rwlock_write_lock_until(&lock, 1) == 0); /* long ago, but it is free */
    weft_rwlock_write_unlock(&lock);
    return 0;
}

static void test_alone(void **state)
{
    (void)state;
    on_every_count(check_alone, NULL);
}

static int unlock_reader(void *arg)
{
    weft_rwlock lock = WEFT_RWLOCK_INIT;
    (void)arg;
    weft_rwlock_read_unlock(&lock);
    return 0;
}

static int unlock_writer(void *arg)
{
    weft_rwlock lock = WEFT_RWLOCK_INIT;
    (void)arg;
    weft_rwlock_read_lock(&lock);
    weft_rwlock_write_unlock(&lock);
    return 0;
}

static void test_unlock_free(void **state)
{
    (void)state;
    child_end end = in_child(unlock_reader, NULL);
    expect_death(&end, SIGABRT, "no reader");
    end = in_child(unlock_writer, NULL);
    expect_death(&end, SIGABRT, "no writer");
}

/* ---- phases ---------------------------------------------------------------------------------- */

enum { READERS = 4, WRITERS = 3 };

typedef struct phases {
    weft_rwlock lock;
    unsigned readers_in;
    unsigned writers_in;
    unsigned leave; /* so many may leave */
} phases;

static int read_once(void *arg, unsigned index)
{
    phases *p = arg;
    weft_rwlock_read_lock(&p->lock);
    weft__fetch_add_acq_rel(&p->readers_in, 1);
    CHECK(wait_for(&p->leave, index + 1));
    weft_rwlock_read_unlock(&p->lock);
    return 0;
}

static int write_once(void *arg, unsigned index)
{
    phases *p = arg;
    weft_rwlock_write_lock(&p->lock);
    weft__fetch_add_acq_rel(&p->writers_in, 1);
    (void)index;
    weft_rwlock_write_unlock(&p->lock);
    return 0;
}

static side_crew some(crew_member *member, phases *p, unsigned fibers, unsigned threads)
{
    side_crew side = {.all = {member, p, fibers, threads, fibers + 1}};
    return side;
}

/* Behind a writer that waits, readers wait; then all of them are let in together, before the next
 * writers, who come one after another when the last reader has left. */
static void check_phases(unsigned fibers)
{
    phases p = {.lock = WEFT_RWLOCK_INIT};
    side_crew writers = some(write_once, &p, fibers ? WRITERS : 0, fibers ? 0 : WRITERS);
    side_crew readers = some(read_once, &p, fibers ? READERS : 0, fibers ? 0 : READERS);
    weft_rwlock_read_lock(&p.lock);
    start_side(&writers);
    assert_true(wait_for_waiters(&p.lock.writers_, WRITERS));
    start_side(&readers);
    assert_true(wait_for_waiters_under(&p.lock.writers_, &p.lock.readers_, READERS));
    assert_int_equal(weft_rwlock_read_trylock(&p.lock), -EAGAIN);
    weft_rwlock_read_unlock(&p.lock); /* one writer, then all readers, who stay */
    assert_true(wait_for(&p.readers_in, READERS));
    assert_int_equal(weft__load_acquire(&p.writers_in), 1);
    weft__store_release(&p.leave, READERS - 1);
    sleep_ns(WEFT_MSEC);
    assert_int_equal(weft__load_acquire(&p.writers_in), 1);
    weft__store_release(&p.leave, READERS);
    end_side(&writers);
    end_side(&readers);
    assert_int_equal(p.writers_in, WRITERS);
    assert_int_equal(weft_rwlock_write_trylock(&p.lock), 0);
}

static void test_phases(void **state)
{
    (void)state;
    check_phases(0);
    check_phases(1);
}

/* A writer that gives up makes way for the readers it held up. */
static int write_or_not(void *arg, unsigned index)
{
    phases *p = arg;
    (void)index;
    CHECK(weft_rwlock_write_lock_until(&p->lock, weft_in(100 * WEFT_MSEC)) == -ETIMEDOUT);
    return 0;
}

static void test_writer_gives_up(void **state)
{
    (void)state;
    for (unsigned fibers = 0; fibers <= 1; fibers++) {
        phases p = {.lock = WEFT_RWLOCK_INIT, .leave = READERS};
        side_crew writer = some(write_or_not, &p, fibers, 1 - fibers);
        side_crew readers = some(read_once, &p, 0, READERS);
        weft_rwlock_read_lock(&p.lock);
        start_side(&writer);
        assert_true(wait_for_waiters(&p.lock.writers_, 1));
        start_side(&readers);
        end_side(&readers);
        end_side(&writer);
        assert_int_equal(p.readers_in, READERS);
        weft_rwlock_read_unlock(&p.lock);
        assert_int_equal(weft_rwlock_write_trylock(&p.lock), 0);
    }
}

/* ---- cancelled ------------------------------------------------------------------------------- */

typedef struct room {
    weft_rwlock lock;
    int reader;
    int writer;
} room;

WEFT_VOID_TASK(read_in_room, room *, r)
{
    r->reader = weft_rwlock_read_lock_until(&r->lock, WEFT_FOREVER);
}

WEFT_VOID_TASK(write_in_room, room *, r)
{
    r->writer = weft_rwlock_write_lock_until(&r->lock, WEFT_FOREVER);
}

static int check_cancel(void *arg)
{
    room r = {.lock = WEFT_RWLOCK_INIT};
    (void)arg;
    weft_rwlock_write_lock(&r.lock);
    weft_scope(group)
    {
        CHECK(weft_go(&group, read_in_room, &r) == 0);
        CHECK(weft_go(&group, write_in_room, &r) == 0);
        while (count_waiters(&r.lock.writers_) == 0 ||
               count_waiters_under(&r.lock.writers_, &r.lock.readers_) == 0)
            weft_yield();
        weft_cancel_scope(&group);
    }
    CHECK(r.reader == -ECANCELED && r.writer == -ECANCELED);
    weft_rwlock_write_unlock(&r.lock);
    CHECK(weft_rwlock_write_trylock(&r.lock) == 0);
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    on_count(1, check_cancel, NULL);
    on_count(4, check_cancel, NULL);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { MEMBERS = 12 };

typedef struct table {
    weft_rwlock lock;
    long value[2]; /* plain, always equal outside the writer's lock */
    unsigned readers;
    long turns;
} table;

static int read_table(table *t, uint64_t *random)
{
    if (weft_rwlock_read_lock_until(&t->lock, random_deadline(random)) != 0 &&
        weft_rwlock_read_trylock(&t->lock) != 0)
        weft_rwlock_read_lock(&t->lock);
    weft__fetch_add_acq_rel(&t->readers, 1);
    CHECK(t->value[0] == t->value[1]);
    weft__fetch_add_acq_rel(&t->readers, (unsigned)-1);
    weft_rwlock_read_unlock(&t->lock);
    return 0;
}

static int write_table(table *t, uint64_t *random)
{
    if (weft_rwlock_write_lock_until(&t->lock, random_deadline(random)) != 0 &&
        weft_rwlock_write_trylock(&t->lock) != 0)
        weft_rwlock_write_lock(&t->lock);
    CHECK(weft__load_acquire(&t->readers) == 0);
    t->value[0]++;
    t->value[1]++;
    weft_rwlock_write_unlock(&t->lock);
    return 0;
}

static int use_table(void *arg, unsigned index)
{
    table *t = arg;
    uint64_t random = index;
    for (long i = 0; i < t->turns; i++)
        CHECK_CALL(index % 3 == 0 ? write_table(t, &random) : read_table(t, &random));
    return 0;
}

static void test_table(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        table t = {.turns = LESS_IF_SANITIZED(3000, 200)};
        on_crews(use_table, &t, MEMBERS);
        assert_int_equal(t.value[0], 3 * (MEMBERS / 3) * t.turns);
        assert_int_equal(weft_rwlock_write_trylock(&t.lock), 0);
        assert_int_equal(count_waiters(&t.lock.writers_), 0);
        assert_int_equal(t.lock.readers_.word_, 0);
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlock_free),     cmocka_unit_test(test_alone),
        cmocka_unit_test(test_phases),          cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_writer_gives_up), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
