/* SPDX-License-Identifier: BSD-2-Clause */
/* test_select.c — a select that waits for futures: each way in which one ends, or is left.
 *
 * Whoever selects overwrites his cases afterwards, and releases the futures: a node that still
 * knows of a case, or a future that is touched too late, shows under the sanitizers and in what is
 * counted.
 * ctest: TIMEOUT 120 */
#include "../core/process.h"
#include "../core/side.h"
#include "manual.h"

#include <pthread.h>

#include <weft/channel.h>
#include <weft/fiber.h>

#include "future.h"

typedef WEFT_FUTURE_OF(long) long_future;

WEFT_TASK(int, answer, int, value)
{
    if (value < 0)
        return weft_fail(value, "answer %d", value), 0;
    return value;
}

/* The nodes that are armed for a case. */
static size_t armed_on(weft_future *future)
{
    size_t count = 0;
    weft__node *node = weft__state_newest(&future->state, weft__state_look(&future->state));
    for (; node != NULL; node = weft__state_older(&future->state, node))
        count += WEFT__TAG_OF(weft__load_acquire(&node->target)) == WEFT__NODE_CASE;
    return count;
}

/* Nonzero: so many are, before long. */
static int wait_until_armed(weft_future *future, size_t count)
{
    int64_t end = weft_in(LIVENESS_NS);
    while (armed_on(future) != count) {
        if (weft_now() > end)
            return 0;
        sleep_ns(20 * WEFT_USEC);
    }
    return 1;
}

static weft_channel *new_channel(void)
{
    weft_channel *channel = NULL;
    weft_channel_spec spec = {.elem_bytes = sizeof(long), .capacity = 1};
    return weft_channel_create(&channel, &spec) == 0 ? channel : NULL;
}

/* ---- without waiting ------------------------------------------------------------------------- */

static int check_ended(void *arg)
{
    manual queue = manual_new();
    answer_future none = {NULL};
    answer_future f[3] = {weft_submit(&queue.base, answer, 1),
                          weft_submit(&queue.base, answer, -EIO),
                          weft_submit(&queue.base, answer, 3)};
    int value = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        weft_case cases[] = {WEFT_CASE_FUTURE(none), WEFT_CASE_FUTURE(f[i])};
        CHECK(weft_select(cases, 2, WEFT_POLL) == -ETIMEDOUT);
        if (i < 2)
            manual_run(&queue);
        else
            CHECK(weft_cancel(f[i]));
        CHECK(weft_select(cases, 2, WEFT_POLL) == 1 && cases[1].result == 0);
        CHECK(weft_select(cases, 2, WEFT_FOREVER) == 1);
        CHECK(weft_select(cases, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    }
    manual_run(&queue);
    CHECK(weft_await(f[0], &value, WEFT_POLL) == 0 && value == 1);
    CHECK(weft_await(f[1], &value, WEFT_POLL) == -EIO);
    CHECK(weft_await(f[2], &value, WEFT_POLL) == -ECANCELED);
    return 0;
}

static void test_ended_futures_need_no_waiting(void **state)
{
    (void)state;
    on_every_count(check_ended, NULL);
}

/* Among several that have ended, and a channel with something in it, each has its turn. */
static int check_chance(void *arg)
{
    enum { FUTURES = 3, ROUNDS = 400 };
    long_future f[FUTURES];
    unsigned counts[FUTURES + 1] = {0};
    long value = 5;
    weft_channel *channel = new_channel();
    (void)arg;
    CHECK(channel != NULL);
    for (int i = 0; i < FUTURES; i++) {
        weft_promise(f[i]);
        CHECK(weft_set_result(f[i], &value) == 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        weft_case cases[] = {WEFT_CASE_FUTURE(f[0]), WEFT_CASE_FUTURE(f[1]), WEFT_CASE_FUTURE(f[2]),
                             WEFT_CASE_POP(channel, &value)};
        if (weft_channel_length(channel) == 0)
            CHECK(weft_channel_push(channel, &value, WEFT_POLL) == 0);
        int index = weft_select(cases, FUTURES + 1, WEFT_FOREVER);
        CHECK(index >= 0 && index <= FUTURES);
        counts[index]++;
        CHECK((index == FUTURES) == (weft_channel_length(channel) == 0));
    }
    for (int i = 0; i <= FUTURES; i++)
        CHECK(counts[i] > ROUNDS / (FUTURES + 1) / 4);
    for (int i = 0; i < FUTURES; i++)
        weft_release(f[i]);
    weft_channel_destroy(channel);
    return 0;
}

static void test_each_that_is_ready_has_its_turn(void **state)
{
    (void)state;
    on_every_count(check_chance, NULL);
}

/* ---- with waiting ---------------------------------------------------------------------------- */

/* What may come true: one of two promises, or that something is in a channel, which may be NULL. */
typedef struct choice {
    long_future first;
    long_future second;
    weft_channel *channel;
} choice;

static choice new_choice(weft_channel *channel)
{
    choice c = {.channel = channel};
    weft_promise(c.first);
    weft_promise(c.second);
    return c;
}

/* 0: both were still to be kept. */
static int keep_both(const choice *c)
{
    long value = 1;
    int first = weft_set_result(c->first, &value);
    int second = weft_set_result(c->second, &value);
    return first != 0 ? first : second;
}

static void end_choice(choice *c)
{
    weft_release(c->first);
    weft_release(c->second);
    weft_channel_destroy(c->channel);
}

/* Those that are armed for either promise. */
static size_t armed_on_both(const choice *c)
{
    return armed_on(c->first.h) + armed_on(c->second.h);
}

/* One who selects, with a handle of his own to each promise. */
typedef struct seat {
    choice among;
    int64_t deadline;
    int index;
    int rc; /* what has become of the future that came true */
    long value;
} seat;

static void take_seat(seat *s)
{
    choice *c = &s->among;
    weft_case cases[] = {WEFT_CASE_FUTURE(c->first), WEFT_CASE_POP(c->channel, &s->value),
                         WEFT_CASE_FUTURE(c->second), WEFT_CASE_FUTURE(c->second)};
    s->index = weft_select(cases, 4, s->deadline);
    memset(cases, 0xff, sizeof(cases)); /* nobody may look at them any more */
    if (s->index == 0)
        s->rc = weft_await(c->first, &s->value, WEFT_POLL);
    else if (s->index == 2 || s->index == 3)
        s->rc = weft_await(c->second, &s->value, WEFT_POLL);
    weft_release(c->first);
    weft_release(c->second);
}

static int sit(void *arg)
{
    take_seat(arg);
    return 0;
}

static seat new_seat(const choice *c)
{
    (void)weft_retain(c->first);
    (void)weft_retain(c->second);
    return (seat){.among = *c, .deadline = WEFT_FOREVER};
}

enum happening { RESULT, PUSH, RESULT_OF_SECOND, ERROR, CANCEL, HAPPENINGS };

static void let_happen(enum happening what, const choice *c)
{
    long value = 42;
    if (what == PUSH)
        assert_int_equal(weft_channel_push(c->channel, &value, WEFT_POLL), 0);
    else if (what == ERROR)
        assert_int_equal(weft_set_error(c->first, -EIO, NULL), 0);
    else if (what == CANCEL)
        assert_true(weft_cancel(c->first));
    else
        assert_int_equal(weft_set_result(what == RESULT ? c->first : c->second, &value), 0);
}

static void check_happening(const seat *s, enum happening what)
{
    static const int codes[] = {0, 0, 0, -EIO, -ECANCELED};
    if (what == RESULT_OF_SECOND)
        assert_true(s->index == 2 || s->index == 3);
    else
        assert_int_equal(s->index, what == PUSH);
    assert_int_equal(s->rc, codes[what]);
    if (codes[what] == 0)
        assert_int_equal(s->value, 42);
}

/* Whatever happens to one that waits, in a fiber or a thread: it is told which, and is nowhere else
 * any more. */
static void check_waiting(unsigned workers, enum happening what)
{
    choice c = new_choice(new_channel());
    seat s = new_seat(&c);
    side other = {.body = sit, .arg = &s, .workers = workers};
    start_side(&other);
    assert_true(wait_until_armed(c.first.h, 1));
    assert_true(wait_until_armed(c.second.h, 2));
    let_happen(what, &c);
    end_side(&other);
    check_happening(&s, what);
    assert_int_equal(armed_on_both(&c), 0);
    (void)keep_both(&c);
    end_choice(&c);
}

static void test_a_future_that_ends_wakes_the_select(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        for (int what = 0; what < HAPPENINGS; what++)
            check_waiting(workers, (enum happening)what);
}

static int check_deadline(void *arg)
{
    choice c = new_choice(NULL);
    (void)arg;
    for (int round = 0; round < 3; round++) { /* on the nodes of the round before */
        seat s = new_seat(&c);
        s.deadline = weft_in(WEFT_MSEC);
        take_seat(&s);
        CHECK(s.index == -ETIMEDOUT && weft_now() >= s.deadline);
        CHECK(armed_on_both(&c) == 0);
    }
    CHECK(weft__load_relaxed(&c.first.h->state.idle) == 1);
    CHECK(weft__load_relaxed(&c.second.h->state.idle) == 2);
    CHECK(keep_both(&c) == 0);
    end_choice(&c);
    return 0;
}

static void test_a_deadline_takes_the_nodes_back(void **state)
{
    (void)state;
    on_every_count(check_deadline, NULL);
}

WEFT_VOID_TASK(sit_in_scope, seat *, s)
{
    take_seat(s);
}

static int check_cancelled_scope(void *arg)
{
    choice c = new_choice(NULL);
    seat s = new_seat(&c);
    (void)arg;
    weft_scope(group)
    {
        CHECK(weft_go(&group, sit_in_scope, &s) == 0);
        while (armed_on(c.first.h) != 1 || armed_on(c.second.h) != 2)
            weft_yield();
        weft_cancel_scope(&group);
    }
    CHECK(s.index == -ECANCELED);
    CHECK(armed_on_both(&c) == 0);
    CHECK(keep_both(&c) == 0);
    end_choice(&c);
    return 0;
}

static void test_a_cancelled_select_is_known_to_no_future(void **state)
{
    (void)state;
    on_workers(check_cancelled_scope, NULL);
}

/* Several selects, waits and callbacks on one future: all hear of its end. */
static void count_call(weft_future *future, void *arg)
{
    (void)future;
    weft__fetch_add_relaxed((unsigned *)arg, 1);
}

static int select_one(void *arg)
{
    long_future f = {arg};
    long value = 0;
    weft_case cases[] = {WEFT_CASE_FUTURE(f)};
    CHECK(weft_select(cases, 1, WEFT_FOREVER) == 0);
    CHECK(weft_await(f, &value, WEFT_POLL) == 0 && value == 42);
    return 0;
}

static int await_one(void *arg)
{
    long_future f = {arg};
    long value = 0;
    CHECK(weft_await(f, &value, WEFT_FOREVER) == 0 && value == 42);
    return 0;
}

static void test_selects_waits_and_callbacks_on_one_future(void **state)
{
    enum { SIDES = 6 };
    (void)state;
    long_future f;
    long value = 42;
    unsigned calls = 0;
    side sides[SIDES];
    weft_promise(f);
    for (unsigned i = 0; i < SIDES; i++) {
        (void)weft_retain(f);
        sides[i] = (side){i % 2 == 0 ? select_one : await_one, f.h, i / 2, 0, 0};
        start_side(&sides[i]);
    }
    assert_true(wait_until_armed(f.h, SIDES / 2));
    assert_int_equal(weft_on_done(f, count_call, &calls), 0);
    assert_int_equal(weft_set_result(f, &value), 0);
    for (unsigned i = 0; i < SIDES; i++)
        end_side(&sides[i]);
    assert_int_equal(calls, 1);
    weft_release(f);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static int check_tasks(void *arg)
{
    enum { FUTURES = 6 };
    answer_future f[FUTURES];
    weft_case cases[FUTURES];
    (void)arg;
    for (int round = 0; round < LESS_IF_SANITIZED(200, 20); round++) {
        int sum = 0;
        for (int i = 0; i < FUTURES; i++)
            f[i] = weft_submit(weft_workers(), answer, 1 << i);
        for (int left = FUTURES; left > 0; left--) {
            int value = 0;
            for (int i = 0; i < FUTURES; i++) /* what has come true is NULL, and out of it */
                cases[i] = (weft_case)WEFT_CASE_FUTURE(f[i]);
            int index = weft_select(cases, FUTURES, WEFT_FOREVER);
            CHECK(index >= 0 && index < FUTURES);
            CHECK(weft_await(f[index], &value, WEFT_POLL) == 0 && value == 1 << index);
            sum += value;
        }
        CHECK(sum == (1 << FUTURES) - 1);
        CHECK(weft_select(cases, 0, WEFT_POLL) == -ETIMEDOUT);
    }
    return 0;
}

static void test_tasks_one_after_another_as_they_end(void **state)
{
    (void)state;
    on_every_count(check_tasks, NULL);
}

/* A callback that selects runs what stands behind it, which may be what it waits for. */
typedef struct chain {
    long_future awaited;
    int index;
} chain;

static void select_in_callback(weft_future *future, void *arg)
{
    chain *self = arg;
    (void)future;
    weft_case cases[] = {WEFT_CASE_FUTURE(self->awaited)};
    self->index = weft_select(cases, 1, weft_in(LIVENESS_NS));
}

static void keep_awaited(weft_future *future, void *arg)
{
    chain *self = arg;
    long value = 2;
    (void)future;
    (void)weft_set_result(self->awaited, &value);
}

static void end_second(weft_future *future, void *arg)
{
    long_future *second = arg;
    long value = 3;
    (void)future;
    (void)weft_set_result(*second, &value); /* its callbacks stand behind ours */
}

static void test_a_callback_that_selects_runs_what_stands_behind_it(void **state)
{
    (void)state;
    chain self = {.index = -1};
    long_future first;
    long_future second;
    long value = 1;
    weft_promise(self.awaited);
    weft_promise(first);
    weft_promise(second);
    assert_int_equal(weft_on_done(second, keep_awaited, &self), 0);
    assert_int_equal(weft_on_done(first, end_second, &second), 0);
    assert_int_equal(weft_on_done(first, select_in_callback, &self), 0);
    assert_int_equal(weft_set_result(first, &value), 0);
    assert_int_equal(self.index, 0);
    weft_release(self.awaited);
    weft_release(first);
    weft_release(second);
}

/* ---- races ----------------------------------------------------------------------------------- */

/* Round after round two promises, of which others keep one or both, at about the time when the
 * select gives up or has got what it wanted elsewhere; its side releases everything at once. */
typedef struct storm {
    choice now;
    uint32_t begun;
    uint32_t ended;
    uint32_t rounds;
} storm;

static void delay(uint64_t *random)
{
    for (uint64_t i = next_random(random) % 256; i > 0; i--)
        __asm__ volatile("" ::: "memory");
}

static void await_round(const uint32_t *word, uint32_t round)
{
    for (int i = 0; weft__load_acquire(word) != round; i++)
        if (i % 16 == 15)
            (void)sched_yield();
}

static void *keep_promises(void *arg)
{
    storm *self = arg;
    uint64_t random = 7;
    for (uint32_t round = 1; round <= self->rounds; round++) {
        await_round(&self->begun, round);
        choice c = self->now;
        long value = (long)round;
        delay(&random);
        if (round % 4 == 3 && weft_channel_push(c.channel, &value, WEFT_POLL) != 0)
            fail_msg("the channel is not empty");
        (void)weft_set_result(c.first, &value);
        delay(&random);
        (void)weft_set_result(c.second, &value);
        weft__store_release(&self->ended, round);
    }
    return NULL;
}

static int check_round(storm *self, uint32_t round, uint64_t *random)
{
    self->now = new_choice(self->now.channel);
    seat s = {.among = self->now, .deadline = random_deadline(random)};
    weft__store_release(&self->begun, round);
    delay(random);
    take_seat(&s);
    CHECK(s.index >= 0 || s.index == -ETIMEDOUT);
    CHECK(s.index < 0 || (s.rc == 0 && s.value == (long)round));
    await_round(&self->ended, round);
    int rc = weft_channel_pop(self->now.channel, &s.value, WEFT_POLL);
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    return 0;
}

static int select_in_storm(void *arg)
{
    storm *self = arg;
    uint64_t random = 3;
    for (uint32_t round = 1; round <= self->rounds; round++)
        CHECK_CALL(check_round(self, round, &random));
    return 0;
}

static void check_storm(unsigned workers)
{
    storm all = {.now = {.channel = new_channel()}, .rounds = LESS_IF_SANITIZED(2000, 500)};
    pthread_t keeper;
    assert_int_equal(pthread_create(&keeper, NULL, keep_promises, &all), 0);
    if (workers == 0)
        in_thread(select_in_storm, &all);
    else
        on_count(workers, select_in_storm, &all);
    assert_int_equal(pthread_join(keeper, NULL), 0);
    weft_channel_destroy(all.now.channel);
}

static void test_complete_against_give_up_and_release(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        check_storm(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ended_futures_need_no_waiting),
        cmocka_unit_test(test_each_that_is_ready_has_its_turn),
        cmocka_unit_test(test_a_future_that_ends_wakes_the_select),
        cmocka_unit_test(test_a_deadline_takes_the_nodes_back),
        cmocka_unit_test(test_a_cancelled_select_is_known_to_no_future),
        cmocka_unit_test(test_selects_waits_and_callbacks_on_one_future),
        cmocka_unit_test(test_tasks_one_after_another_as_they_end),
        cmocka_unit_test(test_a_callback_that_selects_runs_what_stands_behind_it),
        cmocka_unit_test(test_complete_against_give_up_and_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
