/* SPDX-License-Identifier: BSD-2-Clause */
/* workers.h — a small runtime for models: workers without threads, fibers without stacks.
 *
 * Thread i of the model is worker i; threads beyond the workers are plain ones. A worker's code is
 * the real one in spawn.c, park.c, lane.c and idle.c. What stands here instead of loop.c is
 * that a fiber which parks takes its worker's thread with it: as if that worker were not scheduled
 * until somebody resumes the fiber. */
#ifndef EXPLORE_COMMON_WORKERS_H
#define EXPLORE_COMMON_WORKERS_H

#include "sched/worker.h"

#include "batch.h"
#include "hooks.h"
#include "sched/lane.h"

#define WORKERS_MAX 3

extern weft_runtime workers_runtime;
extern weft_runtime workers_other; /* where a model has two */
extern weft__worker workers[WORKERS_MAX];

/* A task with something to race on. */
typedef struct job {
    weft_task head;
    unsigned runs;
} job;

extern const weft_task_type job_type;

/* Prepare `count` workers, alone, and `other` ones behind them that are those of another runtime;
 * workers_finish() checks that nothing is left with them. */
void workers_prepare(unsigned count);
void workers_prepare_two(unsigned count, unsigned other);
void workers_finish(void);

/* What the scheduler's loop does with an item: run the task and wake who waits, or resume the
 * fiber. After run() and execute() in core/sched/loop.c. */
void workers_run(weft_task *item);

job *job_spawn(void);

/* Join, check that it has run once, release it. */
void job_join(job *one);

#endif
