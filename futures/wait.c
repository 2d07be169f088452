/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c — waiting for one future, for some of many, for each as it ends.
 *
 * All of these are a group (group.h) in the caller's frame, made only when the caller really has to
 * wait. A fiber parks. A plain thread looks for a moment first, before there is a group that would
 * have to be told. */
#include "group.h"

#include "future.h"
#include "hooks.h"
#include "procpool/help.h"
#include "sched/worker.h"

#include <weft/atomic.h>

#include <errno.h>
#include <string.h>

WEFT__HOT static int has_ended(const void *future)
{
    return (weft__state_look(&((const weft_future *)future)->state) & WEFT__ENDED) != 0;
}

/* ---- one ------------------------------------------------------------------------------------ */

static int wait_in_group(weft_future *future, int64_t deadline_ns)
{
    weft__group group;
    weft__group_init(&group, 0, 0);
    int rc = weft__group_add(&group, &future->state, 0);
    if (rc <= 0)
        return rc;
    rc = weft__group_wait(&group, 1, deadline_ns);
    if (rc != 0) {
        weft__group_remove(&group, &future->state);
        weft__group_close(&group);
    }
    return rc;
}

WEFT__HOT int weft__future_wait_for(weft_future *future, int64_t deadline_ns)
{
    if (has_ended(future))
        return 0;
    if (deadline_ns <= WEFT_POLL)
        return -ETIMEDOUT;
    if (deadline_ns == WEFT_FOREVER && weft__workers_take_back(future))
        return 0;
    if (weft__workers_were_left(future->executor))
        return -ECHILD;
    weft__future_run_calls();
    if (weft__worker_self() == NULL && weft__procpool_help(future, deadline_ns))
        return 0;
    if (weft__worker_self() == NULL && deadline_ns == WEFT_FOREVER &&
        weft__workers_stand_in(future) && has_ended(future))
        return 0;
    if (weft__worker_self() == NULL && weft__thread_looks(has_ended, future, deadline_ns))
        return 0;
    return wait_in_group(future, deadline_ns);
}

/* What became of a future that has ended. */
static int outcome(const weft_future *future, void *result)
{
    if (weft_future_cancelled(future))
        return -ECANCELED;
    if (future->error != WEFT__ERROR_NONE) {
        weft__error_mark_read(future->error);
        return weft__error_code(future->error);
    }
    if (result != NULL)
        weft__copy(result, (const char *)&future->head + future->site->type->result_offset,
                   weft__future_result_bytes(future));
    return 0;
}

int weft_future_result(weft_future *future, void *result, int64_t deadline)
{
    if (future == NULL)
        return -EINVAL;
    int rc = weft__future_wait_for(future, deadline);
    return rc == 0 ? outcome(future, result) : rc;
}

WEFT__HOT int weft_future_await(weft_future **future, void *result, int64_t deadline)
{
    if (*future == NULL)
        return -EINVAL;
    int rc = weft__future_wait_for(*future, deadline);
    if (rc != 0)
        return rc;
    rc = outcome(*future, result);
    weft_future_release(*future);
    *future = NULL;
    return rc;
}

int weft_future_exception(weft_future *future, weft_error *error, int64_t deadline)
{
    if (future == NULL)
        return -EINVAL;
    int rc = weft__future_wait_for(future, deadline);
    if (rc != 0)
        return rc;
    if (weft_future_cancelled(future))
        return -ECANCELED;
    weft__error_read(future->error, future->site, error);
    return 0;
}

/* ---- some of many --------------------------------------------------------------------------- */

/* What weft_future_wait() has found while it went through the futures. */
typedef struct tally {
    size_t ended;
    int is_enough; /* no need to wait */
} tally;

static void count(tally *sum, const weft_future *future, weft_return_when when)
{
    sum->ended++;
    if (when == WEFT_FIRST_COMPLETED)
        sum->is_enough = 1;
    if (when == WEFT_FIRST_EXCEPTION && !weft_future_cancelled(future) &&
        future->error != WEFT__ERROR_NONE)
        sum->is_enough = 1;
}

static tally look_at_all(weft_future *const *futures, size_t count_max, weft_return_when when)
{
    tally sum = {0, 0};
    for (size_t i = 0; i < count_max; i++)
        if (futures[i] != NULL && has_ended(futures[i]))
            count(&sum, futures[i], when);
    return sum;
}

/* Have the group told of each future that has not ended. 0, -ENOMEM, -ECHILD. */
static int add_all(weft__group *group, weft_future *const *futures, size_t count_max,
                   weft_return_when when, tally *sum)
{
    for (size_t i = 0; i < count_max && !sum->is_enough; i++) {
        if (futures[i] == NULL)
            continue;
        if (weft__workers_were_left(futures[i]->executor) && !has_ended(futures[i]))
            return -ECHILD;
        int rc = weft__group_add(group, &futures[i]->state, i);
        if (rc < 0)
            return rc;
        if (rc == 0)
            count(sum, futures[i], when);
    }
    return 0;
}

static int wait_for_some(weft_future *const *futures, size_t count_max, weft_return_when when,
                         int64_t deadline_ns)
{
    weft__group group;
    tally sum = {0, 0};
    weft__group_init(&group, 0, when == WEFT_FIRST_EXCEPTION);
    int rc = add_all(&group, futures, count_max, when, &sum);
    if (rc == 0 && !sum.is_enough && group.armed > 0) {
        uint32_t number = when == WEFT_FIRST_COMPLETED ? 1 : group.armed;
        weft__future_run_calls();
        rc = weft__group_wait(&group, number, deadline_ns);
    }
    for (size_t i = 0; i < count_max && weft__group_arrived(&group) < group.armed; i++)
        if (futures[i] != NULL)
            weft__group_remove(&group, &futures[i]->state);
    weft__group_close(&group);
    return rc == -ETIMEDOUT ? 0 : rc;
}

ptrdiff_t weft_future_wait(weft_future *const *futures, size_t count_max, weft_return_when when,
                           int64_t deadline)
{
    tally sum = look_at_all(futures, count_max, when);
    int rc = 0;
    if (!sum.is_enough && deadline > WEFT_POLL)
        rc = wait_for_some(futures, count_max, when, deadline);
    return rc < 0 ? rc : (ptrdiff_t)look_at_all(futures, count_max, when).ended;
}

/* ---- each as it ends ------------------------------------------------------------------------ */

#define BITS 64
#define INLINE_WORDS 4

/* What a weft_completed consists of. */
typedef struct completed {
    weft__group group;
    weft_future *const *futures;
    size_t count;
    size_t next;       /* the first that has not been looked at */
    size_t left;       /* how many are armed, and have not been handed out */
    uint32_t taken;    /* how many arrivals have been handed out */
    int is_open;       /* between open and close */
    weft__node *ready; /* that have arrived, oldest first */
    int64_t deadline;
    uint64_t *pending; /* a bit for each future that is armed, and has not been handed out */
    uint64_t few[INLINE_WORDS];
} completed;

_Static_assert(sizeof(completed) <= sizeof(weft_completed), "it has room");

static completed *inside(weft_completed *it)
{
    return (completed *)(void *)it;
}

void weft_completed_open(weft_completed *it, weft_future *const *futures, size_t count_max,
                         int64_t deadline)
{
    completed *self = inside(it);
    size_t words = (count_max + BITS - 1) / BITS;
    memset(self, 0, sizeof *self);
    weft__group_init(&self->group, 1, 0);
    self->futures = futures;
    self->count = count_max;
    self->deadline = deadline;
    self->is_open = 1;
    self->pending = self->few;
    if (words <= INLINE_WORDS)
        return;
    self->pending = weft__hook_alloc(words * sizeof *self->pending);
    if (self->pending != NULL)
        memset(self->pending, 0, words * sizeof *self->pending);
}

static void flip(completed *self, size_t index)
{
    self->pending[index / BITS] ^= (uint64_t)1 << (index % BITS);
}

/* Look at the futures in order. 1: this one has ended. 0: no more, the rest is armed. */
static int next_ended(completed *self, size_t *index)
{
    while (self->next < self->count) {
        size_t i = self->next++;
        weft_future *future = self->futures[i];
        if (future == NULL)
            continue;
        if (weft__workers_were_left(future->executor) && !has_ended(future))
            return -ECHILD;
        int rc = weft__group_add(&self->group, &future->state, i);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            *index = i;
            return 1;
        }
        flip(self, i);
        self->left++;
    }
    return 0;
}

static weft__node *reversed(weft__node *newest)
{
    weft__node *oldest = NULL;
    while (newest != NULL) {
        weft__node *older = newest->with.ready;
        newest->with.ready = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

static int next_arrived(completed *self, size_t *index)
{
    if (self->ready == NULL)
        self->ready = reversed(weft__group_take(&self->group));
    if (self->ready == NULL) {
        if (self->deadline <= WEFT_POLL)
            return -ETIMEDOUT;
        weft__future_run_calls();
        int rc = weft__group_wait(&self->group, self->taken + 1, self->deadline);
        if (rc != 0)
            return rc;
        self->ready = reversed(weft__group_take(&self->group));
    }
    weft__node *node = self->ready;
    self->ready = node->with.ready;
    self->taken++;
    self->left--;
    *index = node->of.index;
    flip(self, *index);
    return 1;
}

int weft_completed_next(weft_completed *it, size_t *index)
{
    completed *self = inside(it);
    if (self->pending == NULL)
        return -ENOMEM;
    int rc = next_ended(self, index);
    if (rc != 0)
        return rc;
    return self->left > 0 ? next_arrived(self, index) : 0;
}

void weft_completed_close(weft_completed *it)
{
    completed *self = inside(it);
    if (!self->is_open)
        return;
    self->is_open = 0;
    for (size_t i = 0; i < self->next && self->left > 0; i++) {
        if (!(self->pending[i / BITS] >> (i % BITS) & 1))
            continue;
        weft__group_remove(&self->group, &self->futures[i]->state);
        self->left--;
    }
    weft__group_close(&self->group);
    if (self->pending != self->few)
        weft__hook_free(self->pending);
}
