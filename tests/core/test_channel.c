/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel.c — what is pushed is popped: once, in order, and also around a close. */
#include "crew.h"

#include <weft/channel.h>
#include <weft/fiber.h>

#include "sync/channel.h"

static weft_channel *new_channel(size_t elem_bytes, size_t capacity)
{
    weft_channel *channel = NULL;
    weft_channel_spec spec = {.elem_bytes = elem_bytes, .capacity = capacity};
    return weft_channel_create(&channel, &spec) == 0 ? channel : NULL;
}

static size_t senders_of(weft_channel *channel)
{
    return count_waiters_under(&channel->senders, &channel->senders);
}

static size_t receivers_of(weft_channel *channel)
{
    return count_waiters_under(&channel->senders, &channel->receivers);
}

/* ---- alone ----------------------------------------------------------------------------------- */

/* As a queue: in order, also round the end of the buffer, and bounded. */
static int check_buffer(size_t elem_bytes, size_t capacity)
{
    unsigned char in[64];
    unsigned char out[64] = {0};
    weft_channel *channel = new_channel(elem_bytes, capacity);
    CHECK(channel != NULL);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < capacity; i++) {
            memset(in, (int)(i + round), sizeof(in));
            CHECK(weft_channel_push(channel, in, WEFT_POLL) == 0);
            CHECK(weft_channel_length(channel) == i + 1);
        }
        CHECK(weft_channel_push(channel, in, WEFT_POLL) == -ETIMEDOUT);
        for (size_t i = 0; i < capacity; i++) {
            memset(in, (int)(i + round), sizeof(in));
            CHECK(weft_channel_pop(channel, out, WEFT_POLL) == 0);
            CHECK(memcmp(in, out, elem_bytes) == 0);
            CHECK(elem_bytes == sizeof(out) || out[elem_bytes] == 0);
        }
        CHECK(weft_channel_pop(channel, out, WEFT_POLL) == -ETIMEDOUT);
        memset(out, 0, sizeof(out));
    }
    CHECK(capacity == 0 || weft_channel_push(channel, in, WEFT_POLL) == 0); /* it is left in it */
    weft_channel_destroy(channel);
    return 0;
}

static int check_buffers(void *arg)
{
    static const size_t sizes[] = {0, 1, 4, 8, 24, 64};
    (void)arg;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t capacity = 0; capacity <= 5; capacity++)
            CHECK_CALL(check_buffer(sizes[i], capacity));
    return 0;
}

static void test_buffers(void **state)
{
    (void)state;
    on_every_count(check_buffers, NULL);
}

static void test_create(void **state)
{
    weft_channel *channel = NULL;
    (void)state;
    weft_channel_spec spec = {.elem_bytes = 1, .capacity = (size_t)1 << 29};
    assert_int_equal(weft_channel_create(&channel, &spec), -EINVAL);
    spec = (weft_channel_spec){.elem_bytes = SIZE_MAX / 2, .capacity = 3};
    assert_int_equal(weft_channel_create(&channel, &spec), -ENOMEM);
    spec = (weft_channel_spec){.elem_bytes = SIZE_MAX / 8, .capacity = 1};
    if (!SANITIZED) /* their allocators abort */
        assert_int_equal(weft_channel_create(&channel, &spec), -ENOMEM);
    assert_null(channel);
    weft_channel_destroy(NULL);
}

static int check_deadlines(void *arg)
{
    weft_channel *channel = new_channel(sizeof(long), 0);
    long value = 7;
    (void)arg;
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_channel_push(channel, &value, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_channel_pop(channel, &value, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline && value == 7);
    CHECK(senders_of(channel) == 0 && receivers_of(channel) == 0);
    weft_channel_destroy(channel);
    return 0;
}

static void test_deadlines(void **state)
{
    (void)state;
    on_every_count(check_deadlines, NULL);
}

/* ---- closing --------------------------------------------------------------------------------- */

static int check_close(void *arg)
{
    weft_channel *channel = new_channel(sizeof(long), 2);
    long value = 1;
    (void)arg;
    CHECK(weft_channel_push(channel, &value, WEFT_POLL) == 0);
    value = 2;
    CHECK(weft_channel_push(channel, &value, WEFT_POLL) == 0);
    weft_channel_close(channel);
    weft_channel_close(channel);
    CHECK(weft_channel_push(channel, &value, WEFT_FOREVER) == -EPIPE);
    CHECK(weft_channel_pop(channel, &value, WEFT_FOREVER) == 0 && value == 1);
    CHECK(weft_channel_push(channel, &value, WEFT_POLL) == -EPIPE);
    CHECK(weft_channel_pop(channel, &value, WEFT_POLL) == 0 && value == 2);
    CHECK(weft_channel_pop(channel, &value, WEFT_FOREVER) == -EPIPE);
    CHECK(weft_channel_pop(channel, &value, WEFT_POLL) == -EPIPE && value == 2);
    weft_channel_destroy(channel);
    return 0;
}

static void test_close(void **state)
{
    (void)state;
    on_every_count(check_close, NULL);
}

enum { CROWD = 8 };

typedef struct crowd {
    weft_channel *channel;
    int is_push;
    unsigned refused;
} crowd;

static int wait_in_vain(void *arg, unsigned index)
{
    crowd *c = arg;
    long value = index;
    int rc = c->is_push ? weft_channel_push(c->channel, &value, WEFT_FOREVER)
                        : weft_channel_pop(c->channel, &value, WEFT_FOREVER);
    CHECK(rc == -EPIPE && value == (long)index);
    weft__fetch_add_acq_rel(&c->refused, 1);
    return 0;
}

/* Whoever waits when the channel is closed is sent away; what lies in it stays. */
static void check_close_on_crowd(int is_push, size_t capacity)
{
    crowd c = {.channel = new_channel(sizeof(long), capacity), .is_push = is_push};
    side_crew side = {.all = {wait_in_vain, &c, CROWD / 2, CROWD / 2, 2}};
    long value = 100;
    for (size_t i = 0; is_push && i < capacity; i++)
        assert_int_equal(weft_channel_push(c.channel, &value, WEFT_POLL), 0);
    start_side(&side);
    weft__waitq *queue = is_push ? &c.channel->senders : &c.channel->receivers;
    assert_true(wait_for_waiters_under(&c.channel->senders, queue, CROWD));
    weft_channel_close(c.channel);
    end_side(&side);
    assert_int_equal(c.refused, CROWD);
    for (size_t i = 0; is_push && i < capacity; i++)
        assert_int_equal(weft_channel_pop(c.channel, &value, WEFT_POLL), 0);
    assert_int_equal(weft_channel_pop(c.channel, &value, WEFT_POLL), -EPIPE);
    weft_channel_destroy(c.channel);
}

static void test_close_on_crowd(void **state)
{
    (void)state;
    for (int is_push = 0; is_push <= 1; is_push++)
        for (size_t capacity = 0; capacity <= 2; capacity++)
            check_close_on_crowd(is_push, capacity);
}

static int destroy_in_use(void *arg)
{
    crowd c = {.channel = new_channel(sizeof(long), 0)};
    side_crew side = {.all = {wait_in_vain, &c, 0, 1, 1}};
    (void)arg;
    start_side(&side);
    if (wait_for_waiters_under(&c.channel->senders, &c.channel->receivers, 1))
        weft_channel_destroy(c.channel);
    return 0;
}

static void test_destroy_in_use(void **state)
{
    (void)state;
    child_end end = in_child(destroy_in_use, NULL);
    expect_death(&end, SIGABRT, "somebody waits");
}

/* ---- order ----------------------------------------------------------------------------------- */

typedef struct line {
    weft_channel *channel;
    unsigned came;
} line;

/* Whether `count` have pushed or wait to push; sees to it that this is so soon. */
static int have_come(weft_channel *channel, size_t count)
{
    int64_t end = weft_in(LIVENESS_NS);
    while (weft_channel_length(channel) + senders_of(channel) < count) {
        if (weft_now() > end)
            return 0;
        sleep_ns(20 * WEFT_USEC);
    }
    return 1;
}

/* Members queue up one after another, each with its number. */
static int push_number(void *arg, unsigned index)
{
    line *l = arg;
    long value = index;
    CHECK(have_come(l->channel, index));
    CHECK(weft_channel_push(l->channel, &value, WEFT_FOREVER) == 0);
    return 0;
}

static void check_senders_in_order(size_t capacity, unsigned fibers)
{
    line l = {.channel = new_channel(sizeof(long), capacity)};
    side_crew side = {.all = {push_number, &l, fibers, CROWD - fibers, CROWD}};
    start_side(&side);
    assert_true(wait_for_waiters_under(&l.channel->senders, &l.channel->senders, CROWD - capacity));
    assert_int_equal(weft_channel_length(l.channel), capacity);
    for (long i = 0; i < CROWD; i++) {
        long value = -1;
        assert_int_equal(weft_channel_pop(l.channel, &value, WEFT_FOREVER), 0);
        assert_int_equal(value, i);
    }
    end_side(&side);
    weft_channel_destroy(l.channel);
}

static void test_senders_in_order(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity <= 3; capacity++)
        for (unsigned fibers = 0; fibers <= CROWD; fibers += CROWD / 2)
            check_senders_in_order(capacity, fibers);
}

static int pop_number(void *arg, unsigned index)
{
    line *l = arg;
    long value = -1;
    CHECK(wait_for(&l->came, index));
    CHECK(wait_for_waiters_under(&l->channel->senders, &l->channel->receivers, index));
    weft__fetch_add_acq_rel(&l->came, 1);
    CHECK(weft_channel_pop(l->channel, &value, WEFT_FOREVER) == 0);
    CHECK(value == (long)index);
    return 0;
}

/* Elements go straight to those who wait: they never lie in the buffer. */
static void check_receivers_in_order(size_t capacity, unsigned fibers)
{
    line l = {.channel = new_channel(sizeof(long), capacity)};
    side_crew side = {.all = {pop_number, &l, fibers, CROWD - fibers, CROWD}};
    start_side(&side);
    assert_true(wait_for_waiters_under(&l.channel->senders, &l.channel->receivers, CROWD));
    for (long i = 0; i < CROWD; i++) {
        assert_int_equal(weft_channel_push(l.channel, &i, WEFT_POLL), 0);
        assert_int_equal(weft_channel_length(l.channel), 0);
    }
    end_side(&side);
    weft_channel_destroy(l.channel);
}

static void test_receivers_in_order(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity <= 2; capacity += 2)
        for (unsigned fibers = 0; fibers <= CROWD; fibers += CROWD / 2)
            check_receivers_in_order(capacity, fibers);
}

/* ---- cancelled ------------------------------------------------------------------------------- */

typedef struct room {
    weft_channel *channel;
    int rc[2];
} room;

WEFT_VOID_TASK(push_in_room, room *, r)
{
    long value = 0;
    r->rc[0] = weft_channel_push(r->channel, &value, WEFT_FOREVER);
}

WEFT_VOID_TASK(pop_in_room, room *, r)
{
    long value = 0;
    r->rc[1] = weft_channel_pop(r->channel, &value, WEFT_FOREVER);
}

static int check_cancel(void *arg)
{
    long value = 5;
    (void)arg;
    for (int is_push = 0; is_push <= 1; is_push++) {
        room r = {.channel = new_channel(sizeof(long), 0), .rc = {1, 1}};
        weft_scope(group)
        {
            CHECK(is_push ? weft_go(&group, push_in_room, &r) == 0
                          : weft_go(&group, pop_in_room, &r) == 0);
            while (senders_of(r.channel) + receivers_of(r.channel) == 0)
                weft_yield();
            weft_cancel_scope(&group);
        }
        CHECK(r.rc[!is_push] == -ECANCELED);
        CHECK(senders_of(r.channel) + receivers_of(r.channel) == 0);
        CHECK(weft_channel_push(r.channel, &value, WEFT_POLL) == -ETIMEDOUT);
        weft_channel_destroy(r.channel);
    }
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    on_count(1, check_cancel, NULL);
    on_count(4, check_cancel, NULL);
}

/* ---- nothing is lost ------------------------------------------------------------------------- */

enum { SENDERS = 4, MEMBERS = 8 };

typedef struct message {
    unsigned sender;
    unsigned number;
    unsigned check; /* the sum of both: an element that was copied by halves shows */
} message;

typedef struct market {
    weft_channel *channel;
    unsigned turns;
    unsigned senders_left;
    unsigned long received[SENDERS]; /* how many of each sender's; counted by all receivers */
} market;

static int send_all(market *m, unsigned index)
{
    uint64_t random = index;
    for (unsigned i = 0; i < m->turns; i++) {
        message one = {.sender = index, .number = i, .check = index + i};
        int rc = -ETIMEDOUT;
        while (rc == -ETIMEDOUT)
            rc = weft_channel_push(m->channel, &one, random_deadline(&random));
        CHECK(rc == 0);
    }
    if (weft__fetch_add_acq_rel(&m->senders_left, (unsigned)-1) == 1)
        weft_channel_close(m->channel);
    return 0;
}

/* Each receiver sees each sender's elements in order, though not all of them. */
static int receive_all(market *m, unsigned index)
{
    uint64_t random = index;
    long last[SENDERS] = {-1, -1, -1, -1};
    for (;;) {
        message one;
        int rc = weft_channel_pop(m->channel, &one, random_deadline(&random));
        if (rc == -EPIPE)
            return 0;
        if (rc == -ETIMEDOUT)
            continue;
        CHECK(rc == 0 && one.sender < SENDERS && one.check == one.sender + one.number);
        CHECK((long)one.number > last[one.sender]);
        last[one.sender] = one.number;
        weft__fetch_add_relaxed(&m->received[one.sender], 1);
    }
}

static int trade(void *arg, unsigned index)
{
    /* Senders and receivers among the fibers as well as among the threads. */
    unsigned number = index / 2;
    return index % 2 == 0 ? send_all(arg, number) : receive_all(arg, number);
}

static void check_market(size_t capacity, unsigned workers)
{
    market m = {.channel = new_channel(sizeof(message), capacity),
                .turns = LESS_IF_SANITIZED(1500, 150),
                .senders_left = SENDERS};
    crew all = {trade, &m, MEMBERS / 2, MEMBERS / 2, workers};
    int failed = run_crew(&all);
    if (failed != 0)
        fail_msg("line %d fails with capacity %zu, %u workers", failed, capacity, workers);
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(m.received[i], m.turns);
    weft_channel_destroy(m.channel);
}

static void test_market(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 4; workers *= 2)
            for (size_t capacity = 0; capacity <= 3; capacity++)
                check_market(capacity, workers);
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroy_in_use),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_on_crowd),
        cmocka_unit_test(test_senders_in_order),
        cmocka_unit_test(test_receivers_in_order),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_market),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
