/* SPDX-License-Identifier: BSD-2-Clause */
/* scale.c — do fibers and futures get faster with more workers?
 *
 * Each scenario keeps every worker busy with something that shares nothing but a scope, as far as
 * its author can see: what does not scale here shares a cache line within weft. One worker, then
 * all; a rate is the best of three, since a neighbour on the machine only ever makes it worse. */
#include <weft/channel.h>
#include <weft/fiber.h>
#include <weft/future.h>

#include <errno.h>
#include <stdint.h>

#include "probe.h"

#define WORKERS_MAX 1024
#define FIBERS_PER_WORKER 4
#define FIBERS_MAX (WORKERS_MAX * FIBERS_PER_WORKER)
#define BATCH 64
#define REPEATS 3

/* Operations of each fiber, in lines of their own. */
static struct {
    long count;
    char line[2 * 64 - sizeof(long)];
} done[FIBERS_MAX];

static unsigned worker_count;
static double deadline;
static double seconds;

static int is_over(void)
{
    return probe_wall() >= deadline;
}

static void need(int rc)
{
    if (rc != 0)
        probe_fail("scale", rc);
}

/* ---- scenarios ------------------------------------------------------------------------------ */

WEFT_FIBER(yielding, unsigned, id)
{
    for (; !is_over(); done[id].count += BATCH)
        for (int i = 0; i < BATCH; i++)
            weft_yield();
}

WEFT_FIBER(nothing, unsigned, id)
{
    (void)id;
}

WEFT_FIBER(starting, unsigned, id)
{
    for (; !is_over(); done[id].count += BATCH) {
        weft_scope(own)
        {
            for (int i = 0; i < BATCH; i++)
                need(weft_go(&own, nothing, id));
        }
    }
}

typedef struct ends {
    weft_channel *there;
    weft_channel *back;
} ends;

WEFT_FIBER(answering, ends *, of)
{
    long value;
    while (weft_channel_pop(of->there, &value, WEFT_FOREVER) == 0)
        need(weft_channel_push(of->back, &value, WEFT_FOREVER));
}

WEFT_FIBER(asking, unsigned, id)
{
    weft_channel_spec spec = {.elem_bytes = sizeof(long), .capacity = 1};
    ends of;
    long value = 0;
    need(weft_channel_create(&of.there, &spec));
    need(weft_channel_create(&of.back, &spec));
    weft_scope(own)
    {
        need(weft_go(&own, answering, &of));
        for (; !is_over(); done[id].count += 2 * BATCH) {
            for (int i = 0; i < BATCH; i++) {
                need(weft_channel_push(of.there, &value, WEFT_FOREVER));
                need(weft_channel_pop(of.back, &value, WEFT_FOREVER));
            }
        }
        weft_channel_close(of.there);
    }
    weft_channel_destroy(of.there);
    weft_channel_destroy(of.back);
}

WEFT_TASK(unsigned, empty, unsigned, id)
{
    return id;
}

WEFT_FIBER(submitting, unsigned, id)
{
    empty_future futures[BATCH];
    for (; !is_over(); done[id].count += BATCH) {
        for (int i = 0; i < BATCH; i++)
            futures[i] = weft_submit(weft_workers(), empty, id);
        for (int i = 0; i < BATCH; i++)
            need(weft_await(futures[i], NULL, WEFT_FOREVER));
    }
}

WEFT_FIBER(sleeping, unsigned, id)
{
    for (; !is_over(); done[id].count++)
        need(weft_sleep(weft_in(100 * WEFT_USEC)));
}

typedef struct scenario {
    const char *name;
    int (*start)(weft_scope *scope, unsigned id);
} scenario;

#define STARTER(name)                                                                              \
    static int start_##name(weft_scope *scope, unsigned id)                                        \
    {                                                                                              \
        return weft_go(scope, name, id);                                                           \
    }
STARTER(yielding)
STARTER(starting)
STARTER(asking)
STARTER(submitting)
STARTER(sleeping)

static const scenario scenarios[] = {
    {"yield", start_yielding},    {"start", start_starting}, {"channel", start_asking},
    {"future", start_submitting}, {"sleep", start_sleeping},
};

/* ---- rates ---------------------------------------------------------------------------------- */

static int run_scenario(void *arg)
{
    const scenario *self = arg;
    weft_scope(all)
    {
        for (unsigned id = 0; id < worker_count * FIBERS_PER_WORKER; id++)
            need(self->start(&all, id));
    }
    return 0;
}

/* Operations a second. */
static double rate_of(weft_runtime *runtime, const scenario *self)
{
    memset(done, 0, sizeof done);
    worker_count = weft_num_workers(runtime);
    double begin = probe_wall();
    deadline = begin + seconds;
    (void)probe_call(runtime, run_scenario, (void *)(uintptr_t)self);
    double lasted = probe_wall() - begin;
    double sum = 0;
    for (unsigned id = 0; id < worker_count * FIBERS_PER_WORKER; id++)
        sum += (double)done[id].count;
    return sum / lasted;
}

static double best_of(weft_runtime *runtime, const scenario *self)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double rate = rate_of(runtime, self);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    seconds = 1e-3 * (double)probe_argument(argc, argv, 100);
    weft_runtime *one = probe_start(1);
    weft_runtime *all = probe_start(0);
    if (weft_num_workers(all) > WORKERS_MAX)
        probe_fail("more workers than this probe knows", -EINVAL);
    printf("{\"probe\": \"scale\", \"workers\": %u", weft_num_workers(all));
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        double alone = best_of(one, &scenarios[i]);
        double together = best_of(all, &scenarios[i]);
        printf(", \"%s_one\": %.0f, \"%s_all\": %.0f", scenarios[i].name, alone, scenarios[i].name,
               together);
    }
    printf("}\n");
    probe_stop(one);
    probe_stop(all);
    return 0;
}
