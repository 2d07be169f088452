/* SPDX-License-Identifier: BSD-2-Clause */
/* models.h — all models; all.c lists them. */
#ifndef EXPLORE_MODELS_H
#define EXPLORE_MODELS_H

#include "explore.h"

/* Ends with NULL. */
extern const explore_model *const explore_models[];

/* deque.c */
extern const explore_model deque_last, deque_steal, deque_wrap31, deque_wrap32, deque_wrap63,
    deque_wrap64, deque_reuse, deque_growth, deque_thieves, deque_batch, deque_no_memory,
    deque_crash;

/* lane.c */
extern const explore_model lane_publish, lane_raid, lane_again, lane_both, lane_raiders, lane_crash,
    lane_no_memory;

/* join.c */
extern const explore_model join_thread, join_fiber, join_foreign;

/* idle.c */
extern const explore_model idle_submit, idle_spawn, idle_push, idle_no_raids, idle_no_raids_spawn,
    idle_again, idle_two;

#endif
