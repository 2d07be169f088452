/* SPDX-License-Identifier: BSD-2-Clause */
/* lane.c — models of core/sched/lane.c, spawn.c and the fast paths in task.h: publication on demand
 * and the raid, against an owner that spawns and joins. */
#include "common/workers.h"

static void prepare_two(void)
{
    workers_prepare(2);
}

static void prepare_three(void)
{
    workers_prepare(3);
}

/* Two spawns, two joins. */
static void owner_pair(void)
{
    job *older = job_spawn();
    job *newer = job_spawn();
    job_join(newer);
    job_join(older);
}

/* A spawn between joins: the list shrinks and grows under the raider's eyes. */
static void owner_again(void)
{
    job *older = job_spawn();
    job_join(job_spawn());
    job *newer = job_spawn();
    job_join(newer);
    job_join(older);
}

static void run_all(weft__worker *self)
{
    weft_task *item;
    while ((item = weft__worker_own(self)) != NULL)
        workers_run(item);
}

static void raid_once(unsigned round)
{
    weft__worker *self = weft__worker_self();
    weft_task *chain = weft__lane_raid(&workers[0].lane, (uint64_t)round << 16 | self->id);
    if (chain == NULL)
        return;
    explore_check(weft__chain_push(chain, &self->deque) == 0);
    run_all(self);
}

static void raider(void)
{
    raid_once(1);
}

static void raider_twice(void)
{
    raid_once(1);
    raid_once(2);
}

static void asker(void)
{
    void *item = NULL;
    (void)weft__lane_ask(&workers[0].lane);
    for (int i = 0; i < 2; i++)
        if (weft_deque_steal(&workers[0].deque, &item) == WEFT_STEAL_ITEM)
            workers_run(item);
    run_all(weft__worker_self());
}

EXPLORE_MODEL(lane_publish) = {.name = "lane.publish",
                               .prepare = prepare_two,
                               .threads = {owner_pair, asker},
                               .finish = workers_finish,
                               .preemptions = 3,
                               .stale = 3};

EXPLORE_MODEL(lane_raid) = {.name = "lane.raid",
                            .prepare = prepare_two,
                            .threads = {owner_pair, raider},
                            .finish = workers_finish,
                            .preemptions = 3,
                            .stale = 3};

EXPLORE_MODEL(lane_again) = {.name = "lane.again",
                             .prepare = prepare_two,
                             .threads = {owner_again, raider_twice},
                             .finish = workers_finish,
                             .preemptions = 3,
                             .stale = 2};

EXPLORE_MODEL(lane_both) = {.name = "lane.both",
                            .prepare = prepare_three,
                            .threads = {owner_pair, raider, asker},
                            .finish = workers_finish,
                            .preemptions = 3,
                            .stale = 2};

EXPLORE_MODEL(lane_raiders) = {.name = "lane.raiders",
                               .prepare = prepare_three,
                               .threads = {owner_pair, raider, raider},
                               .finish = workers_finish,
                               .preemptions = 3,
                               .stale = 2};

/* A raider that dies between its two swaps leaves nothing behind; an owner that dies inside its
 * lane keeps raiders out. */
EXPLORE_MODEL(lane_crash) = {.name = "lane.crash",
                             .prepare = prepare_two,
                             .threads = {owner_pair, raider},
                             .finish = workers_finish,
                             .preemptions = 2,
                             .stale = 2,
                             .crashes = 1};

/* The deque cannot grow: tasks stay private. */
static void owner_three(void)
{
    job *first = job_spawn();
    job *second = job_spawn();
    job *third = job_spawn();
    job_join(third);
    job_join(second);
    job_join(first);
}

EXPLORE_MODEL(lane_no_memory) = {.name = "lane.no-memory",
                                 .prepare = prepare_two,
                                 .threads = {owner_three, asker},
                                 .finish = workers_finish,
                                 .preemptions = 2,
                                 .stale = 2,
                                 .no_memory = 1};

/* ---- items that nobody joins ----------------------------------------------------------------- */

/* Released by whoever runs it: the owner must not look at one that a raider has. */
typedef struct loose {
    weft_task head;
    unsigned content;
} loose;

static unsigned put_count;
static uint32_t ended;

static void run_loose(weft_task *task)
{
    loose *one = (loose *)(void *)task;
    explore_check(one->content == 42);
    explore_free(one);
    weft__fetch_add_relaxed(&ended, 1);
}

static const weft_task_type loose_type = {.run = run_loose, .name = "loose", .is_consumed_ = 1};

static void put(void)
{
    loose *one = explore_alloc(sizeof *one);
    one->content = 42;
    one->head.state_ = (uintptr_t)&loose_type;
    weft__worker_put(weft__worker_self(), &one->head);
    put_count++;
}

static void prepare_puts(void)
{
    workers_prepare(2);
    put_count = ended = 0;
}

static void prepare_three_puts(void)
{
    workers_prepare(3);
    put_count = ended = 0;
}

static void finish_puts(void)
{
    explore_check(ended == put_count);
    workers_finish();
}

/* The first moves out of the way of the second. */
static void owner_put(void)
{
    put();
    put();
    run_all(weft__worker_self());
}

/* Below a task; another one has to go elsewhere. */
static void owner_below(void)
{
    put();
    job *above = job_spawn();
    put();
    job_join(above);
    run_all(weft__worker_self());
}

EXPLORE_MODEL(lane_put) = {.name = "lane.put",
                           .prepare = prepare_puts,
                           .threads = {owner_put, raider_twice},
                           .finish = finish_puts,
                           .preemptions = 3,
                           .stale = 2};

EXPLORE_MODEL(lane_put_asked) = {.name = "lane.put-asked",
                                 .prepare = prepare_three_puts,
                                 .threads = {owner_put, raider, asker},
                                 .finish = finish_puts,
                                 .preemptions = 2,
                                 .stale = 2};

EXPLORE_MODEL(lane_below) = {.name = "lane.below",
                             .prepare = prepare_puts,
                             .threads = {owner_below, raider},
                             .finish = finish_puts,
                             .preemptions = 3,
                             .stale = 2};

EXPLORE_MODEL(lane_below_asked) = {.name = "lane.below-asked",
                                   .prepare = prepare_puts,
                                   .threads = {owner_below, asker},
                                   .finish = finish_puts,
                                   .preemptions = 3,
                                   .stale = 2};
