/* SPDX-License-Identifier: BSD-2-Clause */
/* spsc.c — models of ipc/spsc.h: a producer and a consumer, and who takes the place of one that has
 * stopped for ever. */
#include "models/ring/table.h"

static weft__spsc_side push_side, pop_side;

static void prepare(void)
{
    ring_prepare();
    push_side = (weft__spsc_side){.next = ring.control->tail, .seen = ring.control->head};
    pop_side = (weft__spsc_side){.next = ring.control->head, .doubts = ring.control->head};
    ring.control->producer = WEFT__MEMBER(1, 0);
    ring.control->consumer = WEFT__MEMBER(1, 1);
}

static int push(weft__spsc_side *side, unsigned value)
{
    if (weft__spsc_room(&ring, side, 1) != 1)
        return 0;
    *(unsigned *)(void *)weft__ring_element(&ring, side->next) = value;
    weft__spsc_publish(&ring, side->next);
    weft__spsc_advance(&ring, side, side->next + 1);
    ring_sent[value] = 1;
    return 1;
}

static int pop(weft__spsc_side *side)
{
    if (weft__spsc_ready(&ring, side, 1) != 1)
        return 0;
    unsigned value = *(unsigned *)(void *)weft__ring_element(&ring, side->next);
    ring_note(value, (int64_t)(side->doubts - side->next) > 0);
    weft__spsc_release(&ring, side, side->next + 1);
    return 1;
}

static void push_three(void)
{
    for (unsigned value = 1; value <= 3; value++)
        while (!push(&push_side, value))
            weft__relax();
}

static void pop_three(void)
{
    for (unsigned count = 0; count < 3;) {
        if (pop(&pop_side))
            count++;
        else
            weft__relax();
    }
}

static void try_to_push_three(void)
{
    for (unsigned value = 1; value <= 3; value++)
        if (!push(&push_side, value))
            return;
}

static void try_to_pop_two(void)
{
    (void)pop(&pop_side);
    (void)pop(&pop_side);
}

/* Everything sent has come, and the ring is empty. */
static void check(void)
{
    for (unsigned i = 0; i < RING_VALUES; i++) {
        explore_check(!ring_sent[i] || ring_got[i] > 0);
        explore_check(ring_got[i] - ring_again[i] <= 1);
        explore_check(explore_crashed() || ring_got[i] == ring_sent[i]);
    }
}

/* Successors take both places, push two more and pop all there is. */
static void succeed(void)
{
    weft__shm_control *control = ring.control;
    uint64_t me = WEFT__MEMBER(1, EXPLORE_THREADS_MAX);
    weft__spsc_side pusher, popper;
    (void)ring_recover(); /* marks the dead */
    for (uint32_t i = 0; i < 2; i++) {
        if (!explore_has_died(i))
            weft__spsc_leave_role(i == 0 ? &control->producer : &control->consumer,
                                  WEFT__MEMBER(1, i));
    }
    int heir = weft__spsc_take_role(&ring, &control->consumer, me);
    explore_check(heir >= 0 && weft__spsc_begin_pop(&ring, &popper, heir) == 0);
    explore_check(weft__spsc_take_role(&ring, &control->producer, me) >= 0);
    explore_check(weft__spsc_begin_push(&ring, &pusher) == 0);
    while (pop(&popper))
        continue;
    for (unsigned value = 5; value <= 6; value++)
        explore_check(push(&pusher, value));
    explore_check(!push(&pusher, 7));
    while (pop(&popper))
        continue;
    explore_check(ring_got[5] == 1 && ring_got[6] == 1);
    check();
}

EXPLORE_MODEL(spsc_pass) = {.name = "spsc.pass",
                            .prepare = prepare,
                            .threads = {push_three, pop_three},
                            .finish = check,
                            .preemptions = 3,
                            .stale = 2};

EXPLORE_MODEL(spsc_wrap) = {.name = "spsc.wrap",
                            .prepare = prepare,
                            .threads = {push_three, pop_three},
                            .finish = check,
                            .preemptions = 2,
                            .stale = 1,
                            .argument = ((uint64_t)1 << 62) - 2};

EXPLORE_MODEL(spsc_crash) = {.name = "spsc.crash",
                             .prepare = prepare,
                             .threads = {try_to_push_three, try_to_pop_two},
                             .finish = succeed,
                             .preemptions = 3,
                             .stale = 1,
                             .crashes = 2};
