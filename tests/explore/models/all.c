/* SPDX-License-Identifier: BSD-2-Clause */
/* all.c — the list of models, those that take longest last. */
#include "models.h"

const explore_model *const explore_models[] = {
    &deque_steal,         &deque_wrap31,   &deque_wrap32, &deque_wrap63,    &deque_wrap64,
    &deque_batch,         &deque_reuse,    &deque_growth, &deque_no_memory, &deque_crash,
    &deque_thieves,       &deque_last,     &join_thread,  &join_fiber,      &join_foreign,
    &lane_publish,        &lane_raid,      &lane_again,   &lane_raiders,    &lane_both,
    &lane_crash,          &lane_no_memory, &idle_submit,  &idle_push,       &idle_no_raids,
    &idle_no_raids_spawn, &idle_spawn,     &idle_again,   &idle_two,        NULL,
};
