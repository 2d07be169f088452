/* SPDX-License-Identifier: BSD-2-Clause */
/* channels.c — models of channels and selects: what is pushed is popped once, or is still there, or
 * was refused; and whoever has an element in hand last may destroy the channel. */
#include <weft/channel.h>

#include "hooks.h"
#include "models/sync/threads.h"
#include "sync/channel.h"

static weft_channel *one, *two;
static uint64_t pushed[4], popped[4]; /* sums, each thread's own */

static weft_channel *new_channel(size_t capacity)
{
    weft_channel *channel = NULL;
    weft_channel_spec spec = {.elem_bytes = sizeof(uint64_t), .capacity = capacity};
    explore_check(weft_channel_create(&channel, &spec) == 0);
    return channel;
}

static void prepare_with(size_t capacity)
{
    threads_prepare(0);
    one = new_channel(capacity);
    two = new_channel(capacity);
    for (unsigned i = 0; i < 4; i++)
        pushed[i] = popped[i] = 0;
}

static void prepare(void)
{
    prepare_with(0);
}

static void prepare_buffer(void)
{
    prepare_with(1);
}

static void drain(weft_channel *channel)
{
    uint64_t value;
    explore_check(channel->senders.first_ == NULL && channel->receivers.first_ == NULL);
    while (weft_channel_pop(channel, &value, WEFT_POLL) == 0)
        popped[3] += value;
    weft_channel_destroy(channel);
}

static void finish(void)
{
    uint64_t in = 0;
    uint64_t out = 0;
    drain(one);
    drain(two);
    for (unsigned i = 0; i < 4; i++) {
        in += pushed[i];
        out += popped[i];
    }
    explore_check(in == out);
}

/* ---- push, pop and close --------------------------------------------------------------------- */

static int push(weft_channel *channel, uint64_t value, int64_t deadline_ns)
{
    int rc = weft_channel_push(channel, &value, deadline_ns);
    if (rc == 0)
        pushed[explore_self()] += value;
    value = 0; /* nobody may read it any more */
    return rc;
}

static int pop(weft_channel *channel, int64_t deadline_ns)
{
    uint64_t value = 0;
    int rc = weft_channel_pop(channel, &value, deadline_ns);
    explore_check((rc == 0) == (value != 0));
    popped[explore_self()] += value;
    return rc;
}

static void push_one(void)
{
    explore_check(push(one, 1, WEFT_FOREVER) == 0);
}

static void push_two(void)
{
    explore_check(push(one, 1, WEFT_FOREVER) == 0);
    explore_check(push(one, 2, WEFT_FOREVER) == 0);
}

static void pop_one(void)
{
    explore_check(pop(one, WEFT_FOREVER) == 0);
}

static void pop_two_in_order(void)
{
    uint64_t value = 0;
    for (uint64_t i = 1; i <= 2; i++) {
        explore_check(weft_channel_pop(one, &value, WEFT_FOREVER) == 0 && value == i);
        popped[explore_self()] += value;
    }
}

static void pop_and_destroy(void)
{
    pop_one();
    weft_channel_destroy(one);
    one = new_channel(0);
}

static void push_soon(void)
{
    (void)push(one, 1, SOON);
}

static void pop_soon(void)
{
    (void)pop(one, SOON);
}

static void push_unless_closed(void)
{
    int rc = push(one, 1, WEFT_FOREVER);
    explore_check(rc == 0 || rc == -EPIPE);
}

static void pop_until_closed(void)
{
    int rc = 0;
    while (rc == 0)
        rc = pop(one, WEFT_FOREVER);
    explore_check(rc == -EPIPE);
}

static void close_one(void)
{
    weft_channel_close(one);
}

EXPLORE_MODEL(channel_meet) = {.name = "channel.meet",
                               .prepare = prepare,
                               .threads = {push_one, pop_and_destroy},
                               .finish = finish,
                               .preemptions = 3,
                               .stale = 2};

EXPLORE_MODEL(channel_buffer) = {.name = "channel.buffer",
                                 .prepare = prepare_buffer,
                                 .threads = {push_two, pop_two_in_order},
                                 .finish = finish,
                                 .preemptions = 2,
                                 .stale = 2};

EXPLORE_MODEL(channel_three) = {.name = "channel.three",
                                .prepare = prepare_buffer,
                                .threads = {push_two, pop_one, pop_one},
                                .finish = finish,
                                .preemptions = 1,
                                .stale = 0};

EXPLORE_MODEL(channel_deadline) = {.name = "channel.deadline",
                                   .prepare = prepare,
                                   .threads = {push_soon, pop_soon, push_soon},
                                   .finish = finish,
                                   .preemptions = 1,
                                   .stale = 0};

EXPLORE_MODEL(channel_close) = {.name = "channel.close",
                                .prepare = prepare,
                                .threads = {push_unless_closed, pop_until_closed, close_one},
                                .finish = finish,
                                .preemptions = 2,
                                .stale = 0};

/* ---- select ---------------------------------------------------------------------------------- */

/* Push to `to` or pop from `from`. */
static int select_both(weft_channel *to, weft_channel *from, int64_t deadline_ns)
{
    uint64_t in = 1 + explore_self();
    uint64_t out = 0;
    weft_case cases[] = {WEFT_CASE_PUSH(to, &in), WEFT_CASE_POP(from, &out)};
    int index = weft_select(cases, 2, deadline_ns);
    explore_check((index == 1 && cases[1].result == 0) == (out != 0));
    if (index == 0 && cases[0].result == 0)
        pushed[explore_self()] += in;
    popped[explore_self()] += out;
    return index;
}

static void select_forth(void)
{
    explore_check(select_both(one, two, WEFT_FOREVER) >= 0);
}

static void select_back(void)
{
    explore_check(select_both(two, one, WEFT_FOREVER) >= 0);
}

static void select_soon(void)
{
    (void)select_both(one, two, SOON);
}

static void push_to_two(void)
{
    explore_check(push(two, 8, WEFT_FOREVER) == 0);
}

static void push_to_two_soon(void)
{
    (void)push(two, 8, SOON);
}

/* Both can meet only each other, on either channel. */
EXPLORE_MODEL(select_meet) = {.name = "select.meet",
                              .prepare = prepare,
                              .threads = {select_forth, select_back},
                              .finish = finish,
                              .preemptions = 2,
                              .stale = 1};

/* Two that come for it at the same time, one on each channel, and whoever is left meets the
 * rest. */
static void select_forth_or_pop(void)
{
    if (select_both(one, two, WEFT_FOREVER) == 0)
        explore_check(pop(two, WEFT_FOREVER) == 0);
}

EXPLORE_MODEL(select_wanted) = {.name = "select.wanted",
                                .prepare = prepare,
                                .threads = {pop_soon, select_forth_or_pop, push_to_two},
                                .finish = finish,
                                .preemptions = 1,
                                .stale = 0};

EXPLORE_MODEL(select_deadline) = {.name = "select.deadline",
                                  .prepare = prepare,
                                  .threads = {select_soon, pop_soon, push_to_two_soon},
                                  .finish = finish,
                                  .preemptions = 1,
                                  .stale = 0};

EXPLORE_MODEL(select_close) = {.name = "select.close",
                               .prepare = prepare,
                               .threads = {select_forth, close_one, push_to_two_soon},
                               .finish = finish,
                               .preemptions = 1,
                               .stale = 0};

/* ---- another source -------------------------------------------------------------------------- */

/* Kept once: 0, then the case that waits, then KEPT. */
#define KEPT ((uintptr_t)1)
static uintptr_t promise;

static void prepare_promise(void)
{
    prepare();
    promise = 0;
}

static int promise_is_ready(weft_case *its)
{
    (void)its;
    return weft__load_acquire(&promise) == KEPT;
}

static int promise_arm(weft_case *its)
{
    uintptr_t seen = 0;
    return !weft__cas_acq_rel(&promise, &seen, (uintptr_t)its);
}

static int promise_disarm(weft_case *its)
{
    uintptr_t seen = (uintptr_t)its;
    return weft__cas_acq_rel(&promise, &seen, 0);
}

static const weft__case_hook promise_hook = {promise_is_ready, promise_arm, promise_disarm};

static void keep_promise(void)
{
    uintptr_t waiting = weft__exchange_acq_rel(&promise, KEPT);
    if (waiting != 0)
        weft__case_fire((weft_case *)waiting);
}

static void hope(void)
{
    uint64_t out = 0;
    weft_case *cases = explore_alloc(2 * sizeof *cases);
    cases[0] = (weft_case){.hook_ = &promise_hook, .source_ = &promise};
    cases[1] = (weft_case)WEFT_CASE_POP(two, &out);
    int index = weft_select(cases, 2, WEFT_FOREVER);
    explore_check((index == 1) == (out != 0));
    popped[explore_self()] += out;
    explore_free(cases);
}

EXPLORE_MODEL(select_fire) = {.name = "select.fire",
                              .prepare = prepare_promise,
                              .threads = {hope, keep_promise, push_to_two_soon},
                              .finish = finish,
                              .preemptions = 2,
                              .stale = 1};

/* And one that cannot be waited for: nothing comes true unless something was faster. */
static int refuse_to_arm(weft_case *its)
{
    (void)its;
    return -ENOMEM;
}

static int is_never_ready(weft_case *its)
{
    (void)its;
    return 0;
}

static const weft__case_hook refusing_hook = {is_never_ready, refuse_to_arm, promise_disarm};

static void hope_in_vain(void)
{
    uint64_t out = 0;
    weft_case *cases = explore_alloc(3 * sizeof *cases);
    cases[0] = (weft_case){.hook_ = &promise_hook, .source_ = &promise};
    cases[1] = (weft_case)WEFT_CASE_POP(two, &out);
    cases[2] = (weft_case){.hook_ = &refusing_hook};
    int index = weft_select(cases, 3, WEFT_FOREVER);
    explore_check(index == 0 || index == 1 || index == -ENOMEM);
    explore_check((index == 1) == (out != 0));
    popped[explore_self()] += out;
    explore_free(cases);
}

EXPLORE_MODEL(select_refuse) = {.name = "select.refuse",
                                .prepare = prepare_promise,
                                .threads = {hope_in_vain, keep_promise, push_to_two_soon},
                                .finish = finish,
                                .preemptions = 2,
                                .stale = 1};

/* ---- time ------------------------------------------------------------------------------------ */

static void prepare_clock(void)
{
    prepare_promise();
    threads_prepare(SOON); /* so that what is soon has come whenever somebody looks */
}

/* Whatever comes first. The clock is looked at twice before the wait ends, and says 3 then. */
static void hope_in_time(void)
{
    uint64_t out = 0;
    weft_case *cases = explore_alloc(3 * sizeof *cases);
    cases[0] = (weft_case){.hook_ = &promise_hook, .source_ = &promise};
    cases[1] = (weft_case)WEFT_CASE_POP(two, &out);
    cases[2] = (weft_case)WEFT_CASE_TIME(3 * SOON);
    int index = weft_select(cases, 3, WEFT_FOREVER);
    explore_check(index >= 0 && (index == 1) == (out != 0));
    popped[explore_self()] += out;
    explore_free(cases);
}

EXPLORE_MODEL(select_time) = {.name = "select.time",
                              .prepare = prepare_clock,
                              .threads = {hope_in_time, keep_promise, push_to_two_soon},
                              .finish = finish,
                              .preemptions = 2,
                              .stale = 1};
