/* SPDX-License-Identifier: BSD-2-Clause */
/* map.c — a task for each of many inputs, no more of them in flight than wanted.
 *
 * The map is pulled: whoever asks for the next result also submits what may follow. So it needs no
 * thread of its own, memory for one window of inputs, and never runs ahead of a slow consumer.
 *
 * Calls are submitted singly, as anybody would submit them, or in chunks: one future whose task
 * makes several calls, each with arguments, result and error of its own. Chunks stay in this
 * process: other executors get single calls, which they know by name. */
#include "future.h"
#include "group.h"
#include "hooks.h"

#include <weft/atomic.h>

#include <errno.h>
#include <string.h>

#define WINDOW_PER_WORKER 4
#define WINDOW_ELSEWHERE 16
#define ARRIVALS_MAX ((uint32_t)1 << 30) /* after which the group's counts begin anew */

/* ---- chunks --------------------------------------------------------------------------------- */

/* The task of a chunk. Calls follow, `stride` bytes each: the task's own struct; then the
 * errors. */
typedef struct chunk {
    weft_task head;
    weft_site site; /* the future's: it may outlive the map */
    const weft_site *inner;
    size_t stride;
    size_t count;      /* calls in it */
    uintptr_t *errors; /* one for each */
} chunk;

#define CALLS_OFFSET ((sizeof(chunk) + 15) & ~(size_t)15)

static weft_task *call_of(chunk *self, size_t i)
{
    return (weft_task *)(void *)((char *)self + CALLS_OFFSET + i * self->stride);
}

static void run_chunk(weft_task *task)
{
    chunk *self = (chunk *)(void *)task;
    for (size_t i = 0; i < self->count; i++)
        self->errors[i] = weft__future_call(self->inner, call_of(self, i));
}

static void drop_chunk(weft_task *task)
{
    chunk *self = (chunk *)(void *)task;
    for (size_t i = 0; i < self->count; i++)
        weft__error_drop(self->errors[i]);
}

static const weft_task_type chunk_type = {.run = run_chunk,
                                          .drop_ = drop_chunk,
                                          .name = "map",
                                          .file = __FILE__,
                                          .line = __LINE__,
                                          .task_align = 16};

/* ---- the map -------------------------------------------------------------------------------- */

/* One submission in flight. */
typedef struct slot {
    weft_future *future;
    size_t first; /* number of its first call */
    size_t count; /* calls in it */
    size_t given; /* results handed out */
    size_t next;  /* in a list of slots, or SIZE_MAX */
} slot;

struct weft_map {
    weft_executor *executor;
    const weft_site *site;
    weft_source *source;
    void *arg;
    weft_map_config config; /* without zeroes */
    size_t made;            /* calls that the source has been asked for */
    int is_exhausted;       /* it has no more */
    size_t in_flight;       /* slots in use */
    size_t oldest;          /* the slot that was submitted first */
    size_t current;         /* the slot whose results are handed out, or SIZE_MAX */
    size_t unused;          /* unordered: slots not in use, or SIZE_MAX */
    size_t untold;          /* unordered: slots in use that the group does not know of */
    uint32_t taken;         /* arrivals looked at */
    weft__node *ready;      /* arrivals that have not been */
    uintptr_t error;        /* of the last call that failed */
    weft__group group;
    slot slots[];
};

static void set_config(weft_map *self, const weft_map_config *config)
{
    unsigned workers = weft__workers_count(self->executor);
    if (config != NULL)
        self->config = *config;
    if (self->config.chunk == 0 || workers == 0)
        self->config.chunk = 1;
    if (self->config.deadline == 0)
        self->config.deadline = WEFT_FOREVER;
}

int weft_future_map(weft_map **map, weft_executor *executor, const weft_site *site,
                    weft_source *source, void *arg, const weft_map_config *config)
{
    unsigned workers = weft__workers_count(executor);
    size_t window = config != NULL ? config->window : 0;
    if (window == 0)
        window = workers != 0 ? (size_t)workers * WINDOW_PER_WORKER : WINDOW_ELSEWHERE;
    if (window > SIZE_MAX / 2 / sizeof(slot))
        return -ENOMEM;
    weft_map *self = weft__hook_alloc(sizeof *self + window * sizeof(slot));
    if (self == NULL)
        return -ENOMEM;
    memset(self, 0, sizeof *self + window * sizeof(slot));
    self->executor = executor;
    self->site = site;
    self->source = source;
    self->arg = arg;
    self->current = SIZE_MAX;
    self->untold = SIZE_MAX;
    for (size_t i = 0; i < window; i++)
        self->slots[i].next = i + 1 < window ? i + 1 : SIZE_MAX;
    set_config(self, config);
    self->config.window = window;
    weft__group_init(&self->group, 1, 0);
    *map = self;
    return 0;
}

/* ---- submitting ----------------------------------------------------------------------------- */

/* The arguments of the next call. Zero: there are no more. */
static int ask(weft_map *self, void *args)
{
    if (!self->is_exhausted && self->source(self->arg, self->made, args)) {
        self->made++;
        return 1;
    }
    self->is_exhausted = 1;
    return 0;
}

static weft_future *single(weft_map *self, size_t *count)
{
    const weft_task_type *type = self->site->type;
    weft_future *future = weft__future_new(self->executor, self->site, type->task_bytes);
    if (future == NULL)
        return NULL;
    memset(weft_future_args(future), 0, type->args_bytes);
    *count = (size_t)ask(self, weft_future_args(future));
    return future;
}

static weft_future *several(weft_map *self, size_t *count)
{
    const weft_task_type *type = self->site->type;
    size_t stride = ((size_t)type->task_bytes + 15) & ~(size_t)15;
    size_t max = self->config.chunk;
    static const weft_site site = {.type = &chunk_type, .file = __FILE__, .line = __LINE__};
    weft_future *future =
        weft__future_new(self->executor, &site, CALLS_OFFSET + max * (stride + sizeof(uintptr_t)));
    if (future == NULL)
        return NULL;
    chunk *calls = (chunk *)(void *)&future->head;
    calls->site = *self->site;
    calls->site.type = &chunk_type;
    calls->inner = self->site;
    calls->stride = stride;
    calls->count = 0;
    calls->errors = (uintptr_t *)(void *)((char *)calls + CALLS_OFFSET + max * stride);
    future->site = &calls->site;
    while (calls->count < max) {
        void *args = (char *)call_of(calls, calls->count) + type->args_offset;
        memset(args, 0, type->args_bytes);
        if (!ask(self, args))
            break;
        calls->errors[calls->count++] = WEFT__ERROR_NONE;
    }
    *count = calls->count;
    return future;
}

/* A slot that is not in use: in order they are a ring that begins at the oldest. */
static size_t free_slot(const weft_map *self)
{
    return self->config.unordered ? self->unused
                                  : (self->oldest + self->in_flight) % self->config.window;
}

/* Have an unordered map told of the end of the slot's future. */
static void listen(weft_map *self, size_t index)
{
    weft_future *future = self->slots[index].future;
    if (weft__group_add(&self->group, &future->state, index) == 1)
        return;
    /* It has ended, or there is no memory, and then it is looked at in its turn. */
    self->slots[index].next = self->untold;
    self->untold = index;
}

/* Submit what comes next. 0; -ENOMEM. */
static int submit_next(weft_map *self)
{
    size_t index = free_slot(self);
    slot *place = &self->slots[index];
    size_t first = self->made;
    size_t count = 0;
    weft_future *future = self->config.chunk == 1 ? single(self, &count) : several(self, &count);
    if (future == NULL)
        return -ENOMEM;
    if (count == 0) {
        weft__future_cancel_queued(future); /* a form that was not needed */
        weft_future_release(future);
        return 0;
    }
    self->unused = place->next;
    *place = (slot){.future = future, .first = first, .count = count};
    self->in_flight++;
    weft__future_hand_over(future, self->config.deadline);
    if (self->config.unordered)
        listen(self, index);
    return 0;
}

static int refill(weft_map *self)
{
    if (self->group.armed >= ARRIVALS_MAX && self->in_flight == 0) {
        weft__group_close(&self->group);
        weft__group_init(&self->group, 1, 0);
        self->taken = 0;
    }
    while (!self->is_exhausted && self->in_flight < self->config.window &&
           self->group.armed < ARRIVALS_MAX) {
        int rc = submit_next(self);
        if (rc != 0)
            return self->in_flight > 0 ? 0 : rc; /* perhaps there is memory next time */
    }
    return 0;
}

/* ---- results -------------------------------------------------------------------------------- */

/* All results of the current slot have been handed out. */
static void retire(weft_map *self)
{
    slot *place = &self->slots[self->current];
    weft_future_release(place->future);
    place->future = NULL;
    place->next = self->unused;
    self->unused = self->current;
    self->oldest = (self->oldest + 1) % self->config.window;
    self->current = SIZE_MAX;
    self->in_flight--;
}

static int select_in_order(weft_map *self)
{
    int rc = weft__future_wait_for(self->slots[self->oldest].future, self->config.deadline);
    if (rc == 0)
        self->current = self->oldest;
    return rc;
}

static int select_untold(weft_map *self)
{
    size_t index = self->untold;
    int rc = weft__future_wait_for(self->slots[index].future, self->config.deadline);
    if (rc != 0)
        return rc;
    self->untold = self->slots[index].next;
    self->current = index;
    return 0;
}

static int select_as_completed(weft_map *self)
{
    if (self->untold != SIZE_MAX)
        return select_untold(self);
    if (self->ready == NULL)
        self->ready = weft__group_take(&self->group);
    if (self->ready == NULL) {
        weft__future_run_calls();
        int rc = weft__group_wait(&self->group, self->taken + 1, self->config.deadline);
        if (rc != 0)
            return rc;
        self->ready = weft__group_take(&self->group);
    }
    self->current = self->ready->of.index;
    self->ready = self->ready->with.ready;
    self->taken++;
    return 0;
}

static void keep_error(weft_map *self, uintptr_t error)
{
    weft__error_drop(self->error);
    self->error = weft__error_share(error);
    weft__error_mark_read(error);
}

/* The next result of the current slot. */
static int give(weft_map *self, size_t *index, void *result)
{
    slot *place = &self->slots[self->current];
    weft_future *future = place->future;
    const weft_task_type *type = self->site->type;
    weft_task *call = &future->head;
    uintptr_t error = WEFT__ERROR_CODE(-ECANCELED);
    size_t i = place->given++;
    *index = place->first + i;
    if (!weft_future_cancelled(future))
        error = future->error;
    if (error == WEFT__ERROR_NONE && self->config.chunk > 1) {
        chunk *calls = (chunk *)(void *)call;
        error = calls->errors[i];
        call = call_of(calls, i);
    }
    if (error != WEFT__ERROR_NONE) {
        keep_error(self, error);
        return weft__error_code(error);
    }
    if (result != NULL)
        memcpy(result, (const char *)call + type->result_offset, type->result_bytes);
    return 1;
}

static int next_of(weft_map *self, size_t *index, void *result)
{
    if (self->current != SIZE_MAX &&
        self->slots[self->current].given == self->slots[self->current].count)
        retire(self);
    if (self->current == SIZE_MAX) {
        int rc = refill(self);
        if (rc != 0)
            return rc;
        if (self->in_flight == 0)
            return 0;
        rc = self->config.unordered ? select_as_completed(self) : select_in_order(self);
        if (rc != 0)
            return rc;
    }
    return give(self, index, result);
}

int weft_map_next(weft_map *map, size_t *index, void *result)
{
    size_t number = SIZE_MAX;
    int rc = next_of(map, &number, result);
    if (index != NULL)
        *index = number;
    return rc;
}

void weft_map_error(const weft_map *map, weft_error *error)
{
    weft__error_read(map->error, map->site, error);
}

void weft_map_close(weft_map *map)
{
    if (map == NULL)
        return;
    for (size_t i = 0; i < map->config.window; i++) {
        weft_future *future = map->slots[i].future;
        if (future == NULL)
            continue;
        (void)weft_future_cancel(future);
        weft__group_remove(&map->group, &future->state);
    }
    weft__group_close(&map->group);
    for (size_t i = 0; i < map->config.window; i++)
        weft_future_release(map->slots[i].future);
    weft__error_drop(map->error);
    weft__hook_free(map);
}

/* ---- over an array -------------------------------------------------------------------------- */

static int element(void *arg, size_t index, void *args)
{
    const weft__map_each *each = arg;
    if (index == each->count_)
        return 0;
    memcpy(args, each->inputs_ + index * each->bytes_, each->bytes_);
    return 1;
}

weft__map_each *weft_map_each_begin(weft__map_each *each, weft_executor *executor,
                                    const weft_site *site, const weft_map_config *config)
{
    int rc = weft_future_map(&each->map_, executor, site, element, each, config);
    return rc == 0 ? each : NULL;
}

void weft_map_each_end(weft__map_each *each)
{
    weft_map_close(each->map_);
}
