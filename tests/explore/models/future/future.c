/* SPDX-License-Identifier: BSD-2-Clause */
/* future.c — models of futures/state.c and group.c: the end of a future meets those who wait, give
 * up, cancel, add callbacks, and let go of it.
 *
 * All threads are plain ones. A future is released by whoever is told to, at once: an access after
 * that, a leak, a wake-up that does not come, a result that is not seen are what may go wrong. */
#include "common/workers.h"

#include "future.h"
#include "group.h"
#include "state.h"

#include <errno.h>

/* As in struct weft_future, the state comes first: case.c takes a cell for one. */
typedef struct cell {
    weft__state state;
    unsigned result;
    unsigned calls; /* callbacks that have run; the order is checked */
} cell;

#define CELLS_MAX 2

static cell *cells[CELLS_MAX];
static unsigned reason; /* written by whoever cancels, before he does */

static cell *cell_new(unsigned handles)
{
    cell *self = explore_alloc(sizeof *self);
    weft__state_init(&self->state);
    self->state.handles = handles;
    self->result = 0;
    self->calls = 0;
    return self;
}

static void cell_free(cell *self)
{
    weft__state_destroy(&self->state);
    explore_free(self);
}

static void conclude(cell *self, weft__after after)
{
    if (after == WEFT__AFTER_FREE)
        cell_free(self);
    if (after != WEFT__AFTER_CALLS)
        return;
    for (weft__node *node = weft__state_calls(&self->state); node != NULL;) {
        weft__node *next = weft__node_next_call(node);
        node->with.call((weft_future *)(void *)self, node->of.arg);
        node = next;
    }
    if (weft__state_drop(&self->state, WEFT__NOTIFYING))
        cell_free(self);
}

/* What an executor does. */
static void run(cell *self)
{
    if (!weft__state_begin(&self->state)) {
        if (weft__state_drop(&self->state, WEFT__LISTED))
            cell_free(self);
        return;
    }
    self->result = 42;
    conclude(self, weft__state_finish(&self->state, 0));
}

static void run_first(void)
{
    run(cells[0]);
}

static void run_second(void)
{
    run(cells[1]);
}

static void release(cell *self)
{
    if (weft__state_release(&self->state))
        cell_free(self);
}

static void prepare_handles(unsigned handles)
{
    workers_prepare(0);
    reason = 0;
    cells[0] = cell_new(handles);
    cells[1] = NULL;
}

static void prepare_one(void)
{
    prepare_handles(1);
}

static void prepare_two(void)
{
    prepare_handles(2);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* As wait_in_group() has it. */
static int await(cell *self, int64_t deadline_ns)
{
    weft__group *group = explore_alloc(sizeof *group);
    weft__group_init(group, 0, 0);
    int rc = weft__group_add(group, &self->state, 0);
    if (rc == 1) {
        rc = weft__group_wait(group, 1, deadline_ns);
        if (rc != 0) {
            weft__group_remove(group, &self->state);
            weft__group_close(group);
        }
    }
    explore_free(group);
    return rc;
}

static void check_end(cell *self)
{
    uintptr_t word = weft__state_look(&self->state);
    explore_check(word & WEFT__ENDED);
    if (WEFT__STATE(word) == WEFT__FINISHED)
        explore_check(self->result == 42);
    else
        explore_check(reason == 7);
}

static void patient(void)
{
    int rc = await(cells[0], WEFT_FOREVER);
    explore_check(rc == 0 || rc == -ENOMEM);
    if (rc == 0)
        check_end(cells[0]);
    release(cells[0]);
}

static void impatient(void)
{
    if (await(cells[0], WEFT_MSEC) == 0)
        check_end(cells[0]);
    release(cells[0]);
}

/* Gives up, and waits again: on the same node. */
static void persistent(void)
{
    if (await(cells[0], WEFT_MSEC) != 0)
        explore_check(await(cells[0], WEFT_FOREVER) == 0);
    check_end(cells[0]);
    uintptr_t newest = WEFT__NEWEST(weft__state_look(&cells[0]->state));
    explore_check(newest == 0 || newest == WEFT__OWN_NODE);
    release(cells[0]);
}

/* Does not wait at all: looks. */
static void poller(void)
{
    while (!(weft__state_look(&cells[0]->state) & WEFT__ENDED))
        weft__relax();
    explore_check(cells[0]->result == 42);
    release(cells[0]);
}

EXPLORE_MODEL(future_poll) = {
    .name = "future.poll",
    .prepare = prepare_one,
    .threads = {run_first, poller},
    .finish = workers_finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(future_wait) = {
    .name = "future.wait",
    .prepare = prepare_two,
    .threads = {run_first, patient, impatient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
    .no_memory = 1,
};

EXPLORE_MODEL(future_again) = {
    .name = "future.again",
    .prepare = prepare_one,
    .threads = {run_first, persistent},
    .finish = workers_finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(future_give_up) = {
    .name = "future.give_up",
    .prepare = prepare_two,
    .threads = {run_first, impatient, impatient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

/* ---- cancelling ------------------------------------------------------------------------------ */

static void canceller(void)
{
    weft__after after = WEFT__AFTER_NOTHING;
    reason = 7;
    if (weft__state_cancel(&cells[0]->state, &after) == 0)
        conclude(cells[0], after);
    release(cells[0]);
}

/* A promise: whoever cancels it is also the one who comes across it. */
static void cancel_all(void)
{
    weft__after after = WEFT__AFTER_NOTHING;
    reason = 7;
    explore_check(weft__state_cancel(&cells[0]->state, &after) == 0);
    conclude(cells[0], after);
    run(cells[0]);
}

EXPLORE_MODEL(future_cancel_all) = {
    .name = "future.cancel_all",
    .prepare = prepare_two,
    .threads = {cancel_all, patient, patient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_cancel) = {
    .name = "future.cancel",
    .prepare = prepare_two,
    .threads = {run_first, canceller, patient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

/* ---- callbacks ------------------------------------------------------------------------------- */

/* Called as the first or the second of those that one thread adds. */
static void call(weft_future *future, void *arg)
{
    cell *self = (cell *)(void *)future;
    explore_check(self->result == 42);
    explore_check(self->calls++ == *(const unsigned *)arg);
}

static void add(cell *self, const unsigned *place)
{
    int rc = weft__state_call(&self->state, call, (void *)(uintptr_t)place);
    explore_check(rc >= 0);
    if (rc == 0) /* it has ended, and that is enough to read the result */
        explore_check(self->result == 42);
}

static const unsigned places[] = {0, 1};

static void adder(void)
{
    cell *self = cells[0];
    add(self, &places[0]);
    add(self, &places[1]);
    release(self);
}

/* Hands its node over between the two. */
static void adder_and_waiter(void)
{
    cell *self = cells[0];
    add(self, &places[0]);
    (void)await(self, WEFT_MSEC);
    add(self, &places[1]);
    release(self);
}

EXPLORE_MODEL(future_calls) = {
    .name = "future.calls",
    .prepare = prepare_one,
    .threads = {run_first, adder},
    .finish = workers_finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(future_calls_waits) = {
    .name = "future.calls_waits",
    .prepare = prepare_two,
    .threads = {run_first, adder_and_waiter, impatient},
    .finish = workers_finish,
    .preemptions = 1,
    .stale = 1,
};

/* ---- the last to touch it -------------------------------------------------------------------- */

static void retainer(void)
{
    weft__state_retain(&cells[0]->state);
    release(cells[0]);
    release(cells[0]);
}

static void releaser(void)
{
    release(cells[0]);
}

EXPLORE_MODEL(future_last) = {
    .name = "future.last",
    .prepare = prepare_two,
    .threads = {run_first, retainer, releaser},
    .finish = workers_finish,
    .preemptions = 3,
    .stale = 2,
};

/* ---- several --------------------------------------------------------------------------------- */

static void prepare_cells(void)
{
    prepare_one();
    cells[1] = cell_new(1);
}

/* The first of two; then lets go of both, and of the group. */
static void wait_for_first(void)
{
    weft__group *group = explore_alloc(sizeof *group);
    weft__group_init(group, 0, 0);
    int is_over = 0;
    for (size_t i = 0; i < CELLS_MAX && !is_over; i++)
        is_over = weft__group_add(group, &cells[i]->state, i) == 0;
    if (!is_over)
        explore_check(weft__group_wait(group, 1, WEFT_FOREVER) == 0);
    explore_check((weft__state_look(&cells[0]->state) | weft__state_look(&cells[1]->state)) &
                  WEFT__ENDED);
    for (size_t i = 0; i < CELLS_MAX; i++)
        weft__group_remove(group, &cells[i]->state);
    weft__group_close(group);
    explore_free(group);
    release(cells[0]);
    release(cells[1]);
}

/* Each as it ends, and is let go of at once. */
static void wait_for_each(void)
{
    weft__group *group = explore_alloc(sizeof *group);
    weft__node *ready = NULL;
    unsigned seen = 0;
    weft__group_init(group, 1, 0);
    for (size_t i = 0; i < CELLS_MAX; i++)
        if (weft__group_add(group, &cells[i]->state, i) == 0) {
            check_end(cells[i]);
            release(cells[i]);
            seen |= 1u << i;
        }
    for (uint32_t taken = 0; taken < group->armed; taken++) {
        if (ready == NULL)
            ready = weft__group_take(group);
        if (ready == NULL) {
            explore_check(weft__group_wait(group, taken + 1, WEFT_FOREVER) == 0);
            ready = weft__group_take(group);
        }
        size_t index = ready->of.index;
        ready = ready->with.ready;
        check_end(cells[index]);
        release(cells[index]);
        seen |= 1u << index;
    }
    explore_check(seen == 3);
    weft__group_close(group);
    explore_free(group);
}

EXPLORE_MODEL(future_first) = {
    .name = "future.first",
    .prepare = prepare_cells,
    .threads = {wait_for_first, run_first, run_second},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_each) = {
    .name = "future.each",
    .prepare = prepare_cells,
    .threads = {wait_for_each, run_first, run_second},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

/* ---- selecting ------------------------------------------------------------------------------- */

_Static_assert(offsetof(cell, state) == offsetof(struct weft_future, state), "see above");

/* What case.c wants of the rest of the folder. */
int weft__workers_were_left(weft_executor *executor)
{
    (void)executor;
    return 0;
}

void weft__future_run_calls(void)
{
}

int weft_future_done(const weft_future *future)
{
    return (weft__state_look(&future->state) & WEFT__ENDED) != 0;
}

static weft_case case_of(cell *self)
{
    return (weft_case){.hook_ = &weft__future_case, .source_ = self};
}

/* Whichever comes first, if any does in time; then lets go of all of them, and of the cases. */
static void select_until(size_t count, int64_t deadline_ns)
{
    weft_case *cases = explore_alloc(count * sizeof *cases);
    for (size_t i = 0; i < count; i++)
        cases[i] = case_of(cells[i % CELLS_MAX]);
    int index = weft_select(cases, count, deadline_ns);
    explore_free(cases);
    if (index >= 0)
        check_end(cells[index % CELLS_MAX]);
    else
        explore_check(index == -ENOMEM || (index == -ETIMEDOUT && deadline_ns != WEFT_FOREVER));
}

static void select_one(void)
{
    select_until(1, WEFT_FOREVER);
    release(cells[0]);
}

static void select_one_soon(void)
{
    select_until(1, WEFT_MSEC);
    release(cells[0]);
}

static void select_first(void)
{
    select_until(2, WEFT_FOREVER);
    release(cells[0]);
    release(cells[1]);
}

/* The same two again, on the nodes that are left: one of them twice. */
static void select_again(void)
{
    select_until(2, WEFT_MSEC);
    select_until(3, WEFT_FOREVER);
    release(cells[0]);
    release(cells[1]);
}

/* Nobody will end the future before it has given up. */
static void select_before_run(void)
{
    select_until(1, WEFT_MSEC);
    run(cells[0]);
    release(cells[0]);
}

EXPLORE_MODEL(case_late) = {
    .name = "case.late",
    .prepare = prepare_two,
    .threads = {select_before_run, impatient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(case_end) = {
    .name = "case.end",
    .prepare = prepare_two,
    .threads = {run_first, select_one, impatient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
    .no_memory = 1,
};

EXPLORE_MODEL(case_give_up) = {
    .name = "case.give_up",
    .prepare = prepare_two,
    .threads = {run_first, select_one_soon, patient},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
    .no_memory = 1,
};

EXPLORE_MODEL(case_cancel) = {
    .name = "case.cancel",
    .prepare = prepare_two,
    .threads = {run_first, canceller, select_one},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(case_first) = {
    .name = "case.first",
    .prepare = prepare_cells,
    .threads = {select_first, run_first, run_second},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(case_again) = {
    .name = "case.again",
    .prepare = prepare_cells,
    .threads = {select_again, run_first, run_second},
    .finish = workers_finish,
    .preemptions = 1,
    .stale = 1,
};
