/* SPDX-License-Identifier: BSD-2-Clause */
/* pipeline.c — stages connected by channels: which number below 10,000 takes longest to reach 1,
 * if an even number is halved and an odd one tripled, plus one?
 *
 *     count ──numbers──► measure ──┐
 *                        measure ──┼─chains──► longest
 *                        measure ──┘
 *
 * Each stage is a fiber that pops until its channel is closed, and closes its own when it ends.
 * The channels are short, so a fast stage waits for a slow one, and memory stays bounded. */
#include <weft/channel.h>
#include <weft/fiber.h>
#include <weft/runtime.h>

#include <stdio.h>

#define LIMIT 10000
#define MEASURERS 3

struct chain {
    long start;
    long steps;
};

WEFT_FIBER(count, weft_channel *, numbers)
{
    for (long n = 1; n < LIMIT; n++)
        if (weft_channel_push(numbers, &n, WEFT_FOREVER) != 0)
            break;
    weft_channel_close(numbers);
}

WEFT_FIBER(measure, weft_channel *, numbers, weft_channel *, chains)
{
    struct chain chain;
    while (weft_channel_pop(numbers, &chain.start, WEFT_FOREVER) == 0) {
        chain.steps = 0;
        for (long n = chain.start; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1)
            chain.steps++;
        if (weft_channel_push(chains, &chain, WEFT_FOREVER) != 0)
            break;
    }
}

/* The stage in the middle: done when all its fibers are. */
WEFT_FIBER(measure_all, weft_channel *, numbers, weft_channel *, chains)
{
    weft_scope(measurers)
    {
        for (int i = 0; i < MEASURERS; i++)
            if (weft_go(&measurers, measure, numbers, chains) != 0)
                weft_channel_close(numbers); /* fewer have to do, and find a wrong answer */
    }
    weft_channel_close(chains);
}

static struct chain longest(weft_channel *chains)
{
    struct chain best = {0, 0};
    struct chain chain;
    while (weft_channel_pop(chains, &chain, WEFT_FOREVER) == 0)
        if (chain.steps > best.steps || (chain.steps == best.steps && chain.start < best.start))
            best = chain;
    return best;
}

static int app(void *arg)
{
    struct chain *best = arg;
    weft_channel *numbers = NULL;
    weft_channel *chains = NULL;
    weft_channel_spec numbers_spec = {.elem_bytes = sizeof(long), .capacity = 16};
    weft_channel_spec chains_spec = {.elem_bytes = sizeof(struct chain), .capacity = 16};
    int rc = weft_channel_create(&numbers, &numbers_spec);
    if (rc == 0)
        rc = weft_channel_create(&chains, &chains_spec);
    weft_scope(stages)
    {
        if (rc == 0)
            rc = weft_go(&stages, count, numbers);
        if (rc == 0)
            rc = weft_go(&stages, measure_all, numbers, chains);
        if (rc == 0)
            *best = longest(chains);
        else
            weft_cancel_scope(&stages);
    }
    weft_channel_destroy(chains);
    weft_channel_destroy(numbers);
    return rc;
}

int main(void)
{
    struct chain best = {0, 0};
    int rc = weft_run(app, &best, NULL);
    if (rc != 0) {
        fprintf(stderr, "pipeline: %s\n", weft_strerror(rc));
        return 1;
    }
    printf("%ld takes %ld steps\n", best.start, best.steps);
    return best.start == 6171 && best.steps == 261 ? 0 : 1;
}
