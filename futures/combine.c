/* SPDX-License-Identifier: BSD-2-Clause */
/* combine.c — futures made of futures: a continuation, all of several, any of them, the first.
 *
 * Each hangs a callback into the futures it depends on. Since callbacks never nest (future.c),
 * chains and trees of them may be as deep as they like. */
#include "future.h"

#include <weft/atomic.h>

#include "hooks.h"

#include <errno.h>
#include <string.h>

/* ---- then ----------------------------------------------------------------------------------- */

static void go_on(weft_future *after, void *arg)
{
    weft_future *future = arg;
    const weft_task_type *type = future->site->type;
    if (weft_future_cancelled(after)) {
        weft__future_cancel_queued(future);
        return;
    }
    if (after->error != WEFT__ERROR_NONE) {
        if (weft_future_begin(future) == 0)
            weft__future_end(future, weft__error_share(after->error));
        return;
    }
    if (type->first_bytes > 0 && type->first_bytes == weft__future_result_bytes(after))
        memcpy(weft_future_args(future), weft_future_room(after), type->first_bytes);
    future->executor->ops->submit(future->executor, future);
}

weft_future *weft_future_then(weft_executor *executor, weft_future *after, const weft_site *site,
                              const void *args)
{
    weft_future *future = weft__future_new(executor, site, site->type->task_bytes);
    if (future == NULL)
        return weft__future_without_memory();
    memcpy(weft_future_args(future), args, site->type->args_bytes);
    int rc = weft_future_on_done(after, go_on, future);
    if (rc != 0)
        weft__future_refuse(future, rc);
    return future;
}

/* ---- all, any, race ------------------------------------------------------------------------- */

typedef enum kind { ALL, ANY, RACE } kind;

typedef struct member {
    struct whole *whole;
    weft_future *future; /* a handle */
} member;

/* Lives until the last member has ended, and the result. */
typedef struct whole {
    weft_future *result; /* a promise; a handle */
    uint32_t users;      /* members that have not ended, and the result until it has */
    uint32_t left;       /* members that have not ended */
    uint32_t is_settled; /* somebody has completed the result, or has tried */
    kind kind;
    size_t count;
    member members[];
} whole;

static void drop_whole(whole *self)
{
    /* edge combine.users (acq_rel): the others' last accesses, for the one who frees it */
    if (weft__fetch_add_acq_rel(&self->users, (uint32_t)-1) != 1)
        return;
    for (size_t i = 0; i < self->count; i++)
        weft_future_release(self->members[i].future);
    weft_future_release(self->result);
    weft__hook_free(self);
}

/* Nonzero for one caller: it completes the result. */
static int settle(whole *self)
{
    uint32_t unsettled = 0;
    /* relaxed: the result carries its own order */
    return weft__cas_relaxed(&self->is_settled, &unsettled, 1);
}

static void settle_with_index(whole *self, const member *which)
{
    size_t index = (size_t)(which - self->members);
    if (settle(self))
        (void)weft_future_set_result(self->result, &index);
}

/* The result fails as this member has. */
static void settle_with_error(whole *self, const weft_future *future)
{
    if (!settle(self))
        return;
    if (weft_future_cancelled(future))
        (void)weft_future_set_error(self->result, -ECANCELED, NULL);
    else
        weft__promise_fail(self->result, weft__error_share(future->error));
}

static void arrive(weft_future *future, void *arg)
{
    member *which = arg;
    whole *self = which->whole;
    int is_good = !weft_future_cancelled(future) && future->error == WEFT__ERROR_NONE;
    /* edge combine.users (acq_rel): the last sees what the others have done */
    int is_last = weft__fetch_add_acq_rel(&self->left, (uint32_t)-1) == 1;
    if (self->kind == ALL && !is_good)
        settle_with_error(self, future);
    else if (self->kind == ALL && is_last && settle(self))
        (void)weft_future_set_result(self->result, NULL);
    else if (self->kind == RACE || (self->kind == ANY && is_good))
        settle_with_index(self, which);
    else if (self->kind == ANY && is_last)
        settle_with_error(self, future);
    drop_whole(self);
}

/* The result has ended; if the user has cancelled it, nobody needs the members any more. */
static void end_of_result(weft_future *result, void *arg)
{
    whole *self = arg;
    if (weft_future_cancelled(result))
        for (size_t i = 0; i < self->count; i++)
            (void)weft_future_cancel(self->members[i].future);
    drop_whole(self);
}

static whole *whole_new(weft_future *const *futures, size_t count, kind which)
{
    whole *self = NULL;
    if (count < UINT32_MAX)
        self = weft__hook_alloc(sizeof *self + count * sizeof(member));
    if (self == NULL)
        return NULL;
    size_t result_bytes = which == ALL ? 0 : sizeof(size_t);
    *self = (whole){.result = weft_promise_new(result_bytes),
                    .users = (uint32_t)count + 1,
                    .left = (uint32_t)count,
                    .kind = which,
                    .count = count};
    for (size_t i = 0; i < count; i++)
        self->members[i] = (member){.whole = self, .future = weft_future_retain(futures[i])};
    if (!weft_future_done(self->result) &&
        weft_future_on_done(self->result, end_of_result, self) == 0)
        return self;
    if (!weft_future_done(self->result))
        (void)weft_future_set_error(self->result, -ENOMEM, NULL);
    self->users = 1;
    drop_whole(self);
    return NULL;
}

static weft_future *combine(weft_future *const *futures, size_t count, kind which)
{
    whole *self = whole_new(futures, count, which);
    if (self == NULL)
        return weft__future_without_memory();
    weft_future *result = weft_future_retain(self->result);
    if (count == 0 && settle(self)) {
        if (which == ALL)
            (void)weft_future_set_result(result, NULL);
        else
            (void)weft_future_set_error(result, -EINVAL, "none of no futures");
    }
    for (size_t i = 0; i < count; i++) {
        weft_future *future = futures[i];
        member *place = &self->members[i]; /* the whole is kept by those that have not arrived */
        if (weft_future_on_done(future, arrive, place) == 0)
            continue;
        /* Nobody will tell: the result fails now, and the member counts as ended. */
        if (settle(self))
            (void)weft_future_set_error(result, -ENOMEM, NULL);
        drop_whole(self);
    }
    return result;
}

weft_future *weft_future_all(weft_future *const *futures, size_t count)
{
    return combine(futures, count, ALL);
}

weft_future *weft_future_any(weft_future *const *futures, size_t count)
{
    return combine(futures, count, ANY);
}

weft_future *weft_future_race(weft_future *const *futures, size_t count)
{
    return combine(futures, count, RACE);
}
