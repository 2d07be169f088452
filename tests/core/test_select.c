/* SPDX-License-Identifier: BSD-2-Clause */
/* test_select.c — exactly one case comes true, none is missed, and selects that meet do not stop
 * each other. */
#include "crew.h"

#include <weft/channel.h>
#include <weft/fiber.h>

#include "sync/channel.h"

static weft_channel *new_channel(size_t capacity)
{
    weft_channel *channel = NULL;
    weft_channel_spec spec = {.elem_bytes = sizeof(long), .capacity = capacity};
    return weft_channel_create(&channel, &spec) == 0 ? channel : NULL;
}

static size_t waiters_of(weft_channel *channel)
{
    return count_waiters_under(&channel->senders, &channel->senders) +
           count_waiters_under(&channel->senders, &channel->receivers);
}

/* ---- without waiting ------------------------------------------------------------------------- */

static int check_ready(void *arg)
{
    weft_channel *empty = new_channel(1);
    weft_channel *full = new_channel(1);
    long in = 1;
    long out = 0;
    (void)arg;
    CHECK(weft_channel_push(full, &in, WEFT_POLL) == 0);
    weft_case pops[] = {WEFT_CASE_POP(empty, &out), WEFT_CASE_POP(NULL, &out),
                        WEFT_CASE_POP(full, &out)};
    CHECK(weft_select(pops, 3, WEFT_FOREVER) == 2 && out == 1 && pops[2].result == 0);
    CHECK(weft_select(pops, 3, WEFT_POLL) == -ETIMEDOUT);
    weft_case pushes[] = {WEFT_CASE_PUSH(NULL, &in), WEFT_CASE_PUSH(full, &in)};
    in = 2;
    CHECK(weft_select(pushes, 2, WEFT_FOREVER) == 1);
    CHECK(weft_select(pushes, 2, WEFT_POLL) == -ETIMEDOUT);
    CHECK(weft_select(pops, 3, WEFT_FOREVER) == 2 && out == 2);
    weft_channel_close(empty);
    CHECK(weft_select(pops, 3, WEFT_FOREVER) == 0 && pops[0].result == -EPIPE && out == 2);
    weft_channel_destroy(empty);
    weft_channel_destroy(full);
    return 0;
}

static void test_ready(void **state)
{
    (void)state;
    on_every_count(check_ready, NULL);
}

/* Among cases that can all come true, each has its turn. */
static int check_chance(void *arg)
{
    enum { CASES = 4, ROUNDS = 400 };
    weft_case cases[CASES];
    long value = 0;
    unsigned counts[CASES] = {0};
    (void)arg;
    for (size_t i = 0; i < CASES; i++)
        cases[i] = (weft_case)WEFT_CASE_PUSH(new_channel(ROUNDS), &value);
    for (int round = 0; round < ROUNDS; round++) {
        int index = weft_select(cases, CASES, WEFT_FOREVER);
        CHECK(index >= 0 && index < CASES);
        counts[index]++;
    }
    for (size_t i = 0; i < CASES; i++) {
        CHECK(counts[i] > ROUNDS / CASES / 4);
        CHECK(weft_channel_length(cases[i].source_) == counts[i]);
        weft_channel_destroy(cases[i].source_);
    }
    return 0;
}

static void test_chance(void **state)
{
    (void)state;
    on_every_count(check_chance, NULL);
}

/* ---- with waiting ---------------------------------------------------------------------------- */

static int check_deadline(void *arg)
{
    weft_channel *one = new_channel(0);
    long value = 0;
    (void)arg;
    /* It does not meet itself, though it would do for a partner. */
    weft_case cases[] = {WEFT_CASE_PUSH(one, &value), WEFT_CASE_POP(one, &value),
                         WEFT_CASE_POP(one, &value), WEFT_CASE_POP(NULL, &value)};
    int64_t deadline = weft_in(2 * WEFT_MSEC);
    CHECK(weft_select(cases, 4, deadline) == -ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK(waiters_of(one) == 0);
    CHECK(weft_select(NULL, 0, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    CHECK(weft_select(cases + 3, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    weft_channel_destroy(one);
    return 0;
}

static void test_deadline(void **state)
{
    (void)state;
    on_every_count(check_deadline, NULL);
}

enum { CHANNELS = 5 };

typedef struct desk {
    weft_channel *channels[CHANNELS];
    int is_push;
    int index;
    int result;
    long value;
} desk;

static int wait_at_desk(void *arg, unsigned index)
{
    desk *d = arg;
    weft_case cases[CHANNELS];
    (void)index;
    for (size_t i = 0; i < CHANNELS; i++)
        cases[i] = d->is_push ? (weft_case)WEFT_CASE_PUSH(d->channels[i], &d->value)
                              : (weft_case)WEFT_CASE_POP(d->channels[i], &d->value);
    d->index = weft_select(cases, CHANNELS, WEFT_FOREVER);
    d->result = d->index >= 0 ? cases[d->index].result : 0;
    return 0;
}

static void open_desk(desk *d)
{
    for (size_t i = 0; i < CHANNELS; i++)
        d->channels[i] = new_channel(0);
}

static void close_desk(desk *d)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        assert_int_equal(waiters_of(d->channels[i]), 0);
        weft_channel_destroy(d->channels[i]);
    }
}

/* Who waits at several channels is found at each of them, gets what came there, and is then at none
 * any more. */
static void check_desk(int is_push, unsigned fibers, size_t at, int is_close)
{
    desk d = {.is_push = is_push, .value = is_push ? 42 : 0};
    side_crew side = {.all = {wait_at_desk, &d, fibers, 1 - fibers, 1}};
    long value = is_push ? 0 : 42;
    open_desk(&d);
    start_side(&side);
    for (size_t i = 0; i < CHANNELS; i++)
        while (waiters_of(d.channels[i]) == 0)
            sleep_ns(20 * WEFT_USEC);
    if (is_close)
        weft_channel_close(d.channels[at]);
    else if (is_push)
        assert_int_equal(weft_channel_pop(d.channels[at], &value, WEFT_POLL), 0);
    else
        assert_int_equal(weft_channel_push(d.channels[at], &value, WEFT_POLL), 0);
    end_side(&side);
    assert_int_equal(d.index, at);
    assert_int_equal(d.result, is_close ? -EPIPE : 0);
    if (!is_close)
        assert_true(value == 42 && d.value == 42);
    close_desk(&d);
}

static void test_desk(void **state)
{
    (void)state;
    for (size_t at = 0; at < CHANNELS; at++)
        for (unsigned choice = 0; choice < 8; choice++)
            check_desk(choice & 1, (choice >> 1) & 1, at, (choice >> 2) & 1);
}

WEFT_VOID_TASK(wait_in_scope, desk *, d)
{
    (void)wait_at_desk(d, 0);
}

static int check_cancel(void *arg)
{
    desk d = {.is_push = 0};
    (void)arg;
    for (size_t i = 0; i < CHANNELS; i++)
        d.channels[i] = new_channel(0);
    weft_scope(group)
    {
        CHECK(weft_go(&group, wait_in_scope, &d) == 0);
        while (waiters_of(d.channels[0]) == 0 || waiters_of(d.channels[CHANNELS - 1]) == 0)
            weft_yield();
        weft_cancel_scope(&group);
    }
    CHECK(d.index == -ECANCELED);
    for (size_t i = 0; i < CHANNELS; i++) {
        CHECK(waiters_of(d.channels[i]) == 0);
        weft_channel_destroy(d.channels[i]);
    }
    return 0;
}

static void test_cancel(void **state)
{
    (void)state;
    on_count(1, check_cancel, NULL);
    on_count(4, check_cancel, NULL);
}

/* ---- time ------------------------------------------------------------------------------------ */

static int check_time(void *arg)
{
    weft_channel *channel = new_channel(1);
    long value = 7;
    long out = 0;
    (void)arg;
    int64_t soon = weft_in(2 * WEFT_MSEC);
    weft_case cases[] = {WEFT_CASE_TIME(WEFT_FOREVER), WEFT_CASE_TIME(weft_in(100 * WEFT_SEC)),
                         WEFT_CASE_TIME(soon), WEFT_CASE_POP(channel, &out)};
    CHECK(weft_select(cases, 1, weft_in(WEFT_USEC)) == -ETIMEDOUT);
    CHECK(weft_select(cases, 2, weft_in(WEFT_USEC)) == -ETIMEDOUT);
    CHECK(weft_select(cases, 4, WEFT_FOREVER) == 2 && weft_now() >= soon);
    CHECK(waiters_of(channel) == 0 && cases[2].result == 0);
    CHECK(weft_select(cases, 4, WEFT_POLL) == 2); /* it has come, and stays so */
    CHECK(weft_channel_push(channel, &value, WEFT_POLL) == 0);
    cases[2] = (weft_case)WEFT_CASE_TIME(weft_in(100 * WEFT_SEC));
    CHECK(weft_select(cases, 4, WEFT_FOREVER) == 3 && out == 7);
    cases[1] = (weft_case)WEFT_CASE_TIME(weft_in(WEFT_MSEC));
    CHECK(weft_select(cases, 4, weft_in(100 * WEFT_SEC)) == 1);
    weft_channel_destroy(channel);
    return 0;
}

/* A scope's deadline is not the case's time. */
static int check_scopes_time(void *arg)
{
    (void)arg;
    weft_case cases[] = {WEFT_CASE_TIME(weft_in(100 * WEFT_SEC))};
    int index = 0;
    weft_deadline(weft_in(WEFT_MSEC)) index = weft_select(cases, 1, WEFT_FOREVER);
    CHECK(index == -ETIMEDOUT);
    return 0;
}

static void test_time(void **state)
{
    (void)state;
    on_every_count(check_time, NULL);
    on_workers(check_scopes_time, NULL);
}

/* ---- other sources --------------------------------------------------------------------------- */

/* Something that becomes ready once, after the manner of a future. */
typedef struct promise {
    pthread_mutex_t lock;
    int is_kept;
    weft_case *waiting;    /* linked by `link_` */
    int64_t hesitation_ns; /* between taking the waiting cases out and firing them */
    int refusal;           /* with which it answers who wants to wait for it, or 0 */
} promise;

static int promise_is_ready(weft_case *one)
{
    promise *p = one->source_;
    pthread_mutex_lock(&p->lock);
    int is_kept = p->is_kept;
    pthread_mutex_unlock(&p->lock);
    return is_kept;
}

static int promise_arm(weft_case *one)
{
    promise *p = one->source_;
    pthread_mutex_lock(&p->lock);
    int is_kept = p->is_kept;
    if (!is_kept && p->refusal == 0) {
        one->link_ = p->waiting;
        p->waiting = one;
    }
    pthread_mutex_unlock(&p->lock);
    return is_kept ? 1 : p->refusal;
}

static int promise_disarm(weft_case *one)
{
    promise *p = one->source_;
    int is_back = 0;
    pthread_mutex_lock(&p->lock);
    for (weft_case **at = &p->waiting; *at != NULL; at = (weft_case **)&(*at)->link_)
        if (*at == one) {
            *at = one->link_;
            is_back = 1;
            break;
        }
    pthread_mutex_unlock(&p->lock);
    return is_back;
}

static const weft__case_hook promise_hook = {promise_is_ready, promise_arm, promise_disarm};

static void keep(promise *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_kept = 1;
    weft_case *waiting = p->waiting;
    p->waiting = NULL;
    pthread_mutex_unlock(&p->lock);
    if (p->hesitation_ns > 0)
        sleep_ns(p->hesitation_ns);
    while (waiting != NULL) {
        weft_case *next = waiting->link_;
        weft__case_fire(waiting);
        waiting = next;
    }
}

typedef struct hope {
    promise promises[2];
    weft_channel *channel;
    int index;
} hope;

static int wait_and_hope(void *arg, unsigned index)
{
    hope *h = arg;
    long value;
    (void)index;
    weft_case cases[] = {{.hook_ = &promise_hook, .source_ = &h->promises[0]},
                         WEFT_CASE_POP(h->channel, &value),
                         {.hook_ = &promise_hook, .source_ = &h->promises[1]}};
    h->index = weft_select(cases, 3, WEFT_FOREVER);
    memset(cases, 0xff, sizeof(cases)); /* nobody may look at them any more */
    return 0;
}

static int is_armed(promise *p)
{
    pthread_mutex_lock(&p->lock);
    int is_waiting = p->waiting != NULL;
    pthread_mutex_unlock(&p->lock);
    return is_waiting;
}

static void check_hope(unsigned fibers, int what)
{
    hope h = {.promises = {{.lock = PTHREAD_MUTEX_INITIALIZER, .hesitation_ns = WEFT_MSEC},
                           {.lock = PTHREAD_MUTEX_INITIALIZER}},
              .channel = new_channel(0)};
    side_crew side = {.all = {wait_and_hope, &h, fibers, 1 - fibers, 1}};
    long value = 0;
    start_side(&side);
    while (!is_armed(&h.promises[0]) || !is_armed(&h.promises[1]))
        sleep_ns(20 * WEFT_USEC);
    if (what == 1)
        assert_int_equal(weft_channel_push(h.channel, &value, WEFT_POLL), 0);
    else
        keep(&h.promises[what / 2]);
    end_side(&side);
    assert_int_equal(h.index, what);
    assert_false(is_armed(&h.promises[0]) || is_armed(&h.promises[1]));
    assert_int_equal(waiters_of(h.channel), 0);
    weft_channel_destroy(h.channel);
}

static void test_other_sources(void **state)
{
    (void)state;
    for (unsigned fibers = 0; fibers <= 1; fibers++)
        for (int what = 0; what < 3; what++)
            check_hope(fibers, what);
}

/* One that cannot be waited for: the select fails, and is nowhere any more. */
static int check_refusal(void *arg)
{
    (void)arg;
    hope h = {.promises = {{.lock = PTHREAD_MUTEX_INITIALIZER},
                           {.lock = PTHREAD_MUTEX_INITIALIZER, .refusal = -ENOMEM}},
              .channel = new_channel(1)};
    long value = 0;
    for (int round = 0; round < 20; round++) { /* the cases are looked at in any order */
        CHECK_CALL(wait_and_hope(&h, 0));
        CHECK(h.index == -ENOMEM);
        CHECK(!is_armed(&h.promises[0]) && waiters_of(h.channel) == 0);
    }
    CHECK(weft_channel_push(h.channel, &value, WEFT_POLL) == 0);
    CHECK_CALL(wait_and_hope(&h, 0)); /* it did not have to be waited for */
    CHECK(h.index == 1);
    weft_channel_destroy(h.channel);
    return 0;
}

static void test_a_source_that_cannot_be_waited_for(void **state)
{
    (void)state;
    on_every_count(check_refusal, NULL);
}

static void *keep_in_thread(void *arg)
{
    keep(arg);
    return NULL;
}

/* A promise that is being kept when the select ends otherwise: it waits for the late word. */
static void test_late_fire(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        hope h = {.promises = {{.lock = PTHREAD_MUTEX_INITIALIZER, .hesitation_ns = WEFT_MSEC},
                               {.lock = PTHREAD_MUTEX_INITIALIZER}},
                  .channel = new_channel(0)};
        side_crew side = {.all = {wait_and_hope, &h, round % 2, 1 - round % 2, 1}};
        pthread_t keeper;
        start_side(&side);
        while (!is_armed(&h.promises[0]) || !is_armed(&h.promises[1]))
            sleep_ns(20 * WEFT_USEC);
        assert_int_equal(pthread_create(&keeper, NULL, keep_in_thread, &h.promises[0]), 0);
        while (is_armed(&h.promises[0]))
            sched_yield();
        keep(&h.promises[1]);
        end_side(&side);
        assert_int_equal(pthread_join(keeper, NULL), 0);
        assert_true(h.index == 2 || h.index == 0);
        weft_channel_destroy(h.channel);
    }
}

/* ---- selects that meet ----------------------------------------------------------------------- */

enum { MEMBERS = 6 };

typedef struct plaza {
    weft_channel *channels[CHANNELS];
    unsigned turns;
    unsigned pushed;
    unsigned popped;
    unsigned long sum; /* of what was pushed, minus what was popped */
} plaza;

/* Some cases on some channels, in any order and direction; what comes of it is booked. */
static int stroll(plaza *p, uint64_t *random, long *in)
{
    weft_case cases[CHANNELS];
    long out = 0;
    size_t count = 1 + next_random(random) % CHANNELS;
    for (size_t i = 0; i < count; i++) {
        weft_channel *channel = p->channels[next_random(random) % CHANNELS];
        cases[i] = next_random(random) % 2 ? (weft_case)WEFT_CASE_PUSH(channel, in)
                                           : (weft_case)WEFT_CASE_POP(channel, &out);
    }
    int index = weft_select(cases, count, weft_in(200 * WEFT_USEC));
    if (index == -ETIMEDOUT)
        return 0;
    CHECK(index >= 0 && index < (int)count && cases[index].result == 0);
    weft__fetch_add_relaxed(cases[index].is_push_ ? &p->pushed : &p->popped, 1);
    weft__fetch_add_relaxed(&p->sum, (unsigned long)(cases[index].is_push_ ? *in : -out));
    *in += MEMBERS;
    return 0;
}

static int walk(void *arg, unsigned index)
{
    plaza *p = arg;
    uint64_t random = index;
    long in = index + 1;
    for (unsigned i = 0; i < p->turns; i++)
        CHECK_CALL(stroll(p, &random, &in));
    return 0;
}

static void check_plaza(size_t capacity, unsigned workers)
{
    plaza p = {.turns = LESS_IF_SANITIZED(2000, 200)};
    for (size_t i = 0; i < CHANNELS; i++)
        p.channels[i] = new_channel(capacity);
    crew all = {walk, &p, MEMBERS / 2, MEMBERS / 2, workers};
    int line = run_crew(&all);
    if (line != 0)
        fail_msg("line %d fails with capacity %zu, %u workers", line, capacity, workers);
    for (size_t i = 0; i < CHANNELS; i++) {
        long value;
        assert_int_equal(waiters_of(p.channels[i]), 0);
        while (weft_channel_pop(p.channels[i], &value, WEFT_POLL) == 0) {
            p.popped++;
            p.sum -= (unsigned long)value;
        }
        weft_channel_destroy(p.channels[i]);
    }
    assert_true(p.pushed > 0);
    assert_int_equal(p.pushed, p.popped);
    assert_int_equal(p.sum, 0);
}

static void test_plaza(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 4; workers *= 2)
            for (size_t capacity = 0; capacity <= 1; capacity++)
                check_plaza(capacity, workers);
    } while (weft_now() < end);
}

/* Two that can only meet each other, and both by select: a lost meeting stops both. */
typedef struct couple {
    weft_channel *channels[2];
    unsigned turns;
} couple;

static int meet(void *arg, unsigned index)
{
    couple *c = arg;
    for (unsigned i = 0; i < c->turns; i++) {
        long in = i;
        long out = -1;
        weft_case cases[] = {WEFT_CASE_PUSH(c->channels[index], &in),
                             WEFT_CASE_POP(c->channels[!index], &out)};
        int done = weft_select(cases, 2, WEFT_FOREVER);
        CHECK(done == 0 || (done == 1 && out == (long)i));
    }
    return 0;
}

static void test_couple(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 2; workers++)
            for (unsigned fibers = 0; fibers <= 2; fibers++) {
                couple c = {{new_channel(0), new_channel(0)}, LESS_IF_SANITIZED(10000, 1000)};
                crew all = {meet, &c, fibers, 2 - fibers, workers};
                assert_int_equal(run_crew(&all), 0);
                weft_channel_destroy(c.channels[0]);
                weft_channel_destroy(c.channels[1]);
            }
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready),     cmocka_unit_test(test_chance),
        cmocka_unit_test(test_deadline),  cmocka_unit_test(test_desk),
        cmocka_unit_test(test_cancel),    cmocka_unit_test(test_other_sources),
        cmocka_unit_test(test_late_fire), cmocka_unit_test(test_a_source_that_cannot_be_waited_for),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_plaza),
        cmocka_unit_test(test_couple),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
