/* SPDX-License-Identifier: BSD-2-Clause */
/* spsc.c — models of ipc/spsc.h: a producer and a consumer, and who takes the place of one that has
 * stopped for ever. */
#include "models/ring/table.h"

static weft__spsc_side push_side, pop_side;

static void prepare(void)
{
    ring_prepare();
    push_side = (weft__spsc_side){.next = ring.control->tail, .limit = ring.control->tail};
    pop_side = (weft__spsc_side){
        .next = ring.control->head, .limit = ring.control->head, .doubts = ring.control->head};
    ring.control->producer = WEFT__MEMBER(1, 0);
    ring.control->consumer = WEFT__MEMBER(1, 1);
}

/* With room for three, so that an echo is replaced while it may be read. */
static void prepare_room(void)
{
    prepare();
    ring.mask = RING_CAPACITY - 1;
}

static int push(weft__spsc_side *side, unsigned value)
{
    uint64_t elem = value;
    if (weft__spsc_room(&ring, side, 1) < 1)
        return 0;
    *(uint64_t *)(void *)weft__ring_element(&ring, side->next) = elem;
    weft__spsc_tell(&ring, side, &elem, sizeof elem);
    ring_sent[value] = 1;
    return 1;
}

static int pop(weft__spsc_side *side)
{
    uint64_t elem;
    if (weft__spsc_ready(&ring, side, 1) < 1)
        return 0;
    if (!weft__spsc_hear(&ring, side, &elem, sizeof elem))
        elem = *(uint64_t *)(void *)weft__ring_element(&ring, side->next);
    ring_note((unsigned)elem, weft__spsc_is_doubtful(side));
    weft__spsc_release(&ring, side, 1);
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
                            .preemptions = 2,
                            .stale = 2};

EXPLORE_MODEL(spsc_echo) = {.name = "spsc.echo",
                            .prepare = prepare_room,
                            .threads = {push_three, pop_three},
                            .finish = check,
                            .preemptions = 2,
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

/* ---- a role that is handed on ---------------------------------------------------------------- */

/* Thread 0 has the producer's role. Whoever gets it next goes on where the last one stopped. */
static void prepare_heirs(void)
{
    prepare();
    ring.control->consumer = WEFT__MEMBER(1, 3);
}

static uint64_t me(void)
{
    return WEFT__MEMBER(1, explore_self());
}

static void leave(void)
{
    weft__spsc_leave_role(&ring.control->producer, me());
}

static void push_and_leave(void)
{
    (void)push(&push_side, 1);
    leave();
}

static void push_two_and_leave(void)
{
    (void)push(&push_side, 1);
    (void)push(&push_side, 2);
    leave();
}

static void inherit(unsigned value)
{
    weft__spsc_side side;
    while (weft__spsc_take_role(&ring, &ring.control->producer, me()) < 0)
        weft__relax();
    explore_check(weft__spsc_begin_push(&ring, &side) == 0);
    while (!push(&side, value))
        weft__relax();
    leave();
}

static void inherit_and_push_three(void)
{
    inherit(3);
}

static void inherit_and_push_four(void)
{
    inherit(4);
}

static void finish_heirs(void)
{
    while (pop(&pop_side))
        continue;
    check();
}

/* The ring has room for all. */
static void prepare_long(void)
{
    ring_prepare_pipe();
    ring.is_pipe = 0;
    push_side = (weft__spsc_side){.next = 0};
    pop_side = (weft__spsc_side){.next = 0};
    ring.control->producer = WEFT__MEMBER(1, 0);
    ring.control->consumer = WEFT__MEMBER(1, 3);
}

EXPLORE_MODEL(spsc_heirs) = {
    .name = "spsc.heirs",
    .prepare = prepare_long,
    .threads = {push_and_leave, inherit_and_push_three, inherit_and_push_four},
    .finish = finish_heirs,
    .preemptions = 1,
    .stale = 2};

/* The heir finds the ring full, or what the consumer has just read. */
EXPLORE_MODEL(spsc_heir) = {.name = "spsc.heir",
                            .prepare = prepare_heirs,
                            .threads = {push_two_and_leave, inherit_and_push_three, pop_three},
                            .finish = check,
                            .preemptions = 1,
                            .stale = 1};
