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
