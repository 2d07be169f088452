/* SPDX-License-Identifier: BSD-2-Clause */
/* self.c — see self.h. */
#include "common/self.h"

#include "explore.h"

#include <string.h>

#define ACTORS (EXPLORE_THREADS_MAX + 1)

static struct {
    weft__lane *bound;
    weft__lane plain;
    weft_scope *scope;
    weft__mood mood;
    void *local; /* a plain thread's */
    int is_in_region;
    int64_t clock;
    int errno_value;
} selves[ACTORS];

void self_reset(void)
{
    memset(selves, 0, sizeof selves);
}

void self_bind(unsigned number, weft__worker *worker)
{
    if (worker->lane.worker_ == NULL)
        worker->lane.worker_ = worker;
    worker->errno_at = &selves[number].errno_value;
    selves[number].bound = &worker->lane;
}

weft__lane *weft__lane_get(void)
{
    unsigned self = explore_self();
    return selves[self].bound != NULL ? selves[self].bound : &selves[self].plain;
}

void weft__worker_bind_thread(weft__worker *worker)
{
    self_bind(explore_self(), worker);
}

void weft__worker_unbind_thread(void)
{
    selves[explore_self()].bound = NULL;
}

weft_scope *weft__thread_scope(void)
{
    return selves[explore_self()].scope;
}

void weft__thread_set_scope(weft_scope *scope)
{
    selves[explore_self()].scope = scope;
}

/* Nobody looks before he sleeps: whoever comes in between, before or behind, is explored anyway. */
int weft__thread_looks(int (*has_come)(const void *), const void *what, int64_t deadline_ns)
{
    (void)has_come;
    (void)what;
    (void)deadline_ns;
    return 0;
}

void weft__thread_set_mood(weft__mood mood)
{
    selves[explore_self()].mood = mood;
}

weft__mood weft__thread_mood(void)
{
    return selves[explore_self()].mood;
}

void *weft__local_swap(void *value)
{
    void *before = selves[explore_self()].local;
    selves[explore_self()].local = value;
    return before;
}

void weft__local_set(void *value)
{
    selves[explore_self()].local = value;
}

void weft__thread_set_in_region(int is_in_region)
{
    selves[explore_self()].is_in_region = is_in_region;
}

int weft__thread_is_in_region(void)
{
    return selves[explore_self()].is_in_region;
}

/* Nobody steps aside: at that place any other thread may run anyway. */
int weft__step_aside(weft__courtesy *courtesy)
{
    (void)courtesy;
    return 0;
}

/* Time passes for each thread by itself. */
int64_t weft_now(void)
{
    return selves[explore_self()].clock += WEFT_MSEC;
}

int64_t weft_in(int64_t distance_ns)
{
    return weft_now() + distance_ns;
}
