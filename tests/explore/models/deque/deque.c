/* SPDX-License-Identifier: BSD-2-Clause */
/* deque.c — models of deque/deque.c: an owner and one or two thieves.
 *
 * Each item points to a word that the owner writes before the push and whoever gets the item reads:
 * an item that arrives before its content is a data race. Afterwards each item must have come out
 * exactly once, those still inside included. */
#include "batch.h"
#include "hooks.h"

#define ITEMS_MAX 8

typedef struct item {
    unsigned number;
    unsigned taken; /* by whoever got it; twice is a race or a wrong count */
} item;

static weft_deque deque;
static item *items[ITEMS_MAX];
static unsigned pushed;

static void prepare_at(uint64_t first_index)
{
    pushed = 0;
    for (unsigned i = 0; i < ITEMS_MAX; i++)
        items[i] = explore_alloc(sizeof *items[i]);
    explore_check(weft__deque_init_at(&deque, 2, first_index) == 0);
}

static void prepare(void)
{
    prepare_at(explore_argument());
}

static item *make(void)
{
    item *made = items[pushed];
    made->number = pushed;
    made->taken = 0;
    return made;
}

/* Push one more item: zero if there is no memory for it. */
static int push(void)
{
    int rc = weft_deque_push(&deque, make());
    if (rc == 0)
        pushed++;
    return rc == 0;
}

static void got(item *one)
{
    int is_known = 0;
    for (unsigned i = 0; i < ITEMS_MAX; i++)
        is_known |= items[i] == one;
    explore_check(is_known);
    explore_check(one == items[one->number]);
    explore_check(one->taken == 0);
    one->taken++;
}

static int take(void)
{
    item *one = weft_deque_take(&deque);
    if (one != NULL)
        got(one);
    return one != NULL;
}

static int steal(void)
{
    void *one = NULL;
    if (weft_deque_steal(&deque, &one) != WEFT_STEAL_ITEM)
        return 0;
    got(one);
    return 1;
}

/* Everything that was pushed has come out once, or is still inside. */
static void finish(void)
{
    if (!explore_crashed())
        while (take())
            continue;
    else
        while (steal())
            continue;
    for (unsigned i = 0; i < pushed; i++)
        explore_check(items[i]->taken == 1 || explore_crashed());
    for (unsigned i = 0; i < ITEMS_MAX; i++)
        explore_free(items[i]);
    weft_deque_destroy(&deque);
}

static void steal_once(void)
{
    (void)steal();
}

static void steal_twice(void)
{
    (void)steal();
    (void)steal();
}

/* One item, which both want. */
static void owner_last(void)
{
    (void)push();
    (void)take();
    (void)push();
    (void)take();
}

EXPLORE_MODEL(deque_last) = {.name = "deque.last",
                             .prepare = prepare,
                             .threads = {owner_last, steal_once, steal_once},
                             .finish = finish,
                             .preemptions = 3,
                             .stale = 4};

/* A full deque, emptied from both ends, with indices that begin anywhere. */
static void owner_steal(void)
{
    (void)push();
    (void)push();
    (void)take();
    (void)take();
    (void)push();
    (void)take();
}

#define OWNER_AND_THIEF(variable, title, index)                                                    \
    EXPLORE_MODEL(variable) = {.name = "deque." title,                                             \
                               .prepare = prepare,                                                 \
                               .threads = {owner_steal, steal_twice},                              \
                               .finish = finish,                                                   \
                               .argument = (index),                                                \
                               .preemptions = 3,                                                   \
                               .stale = 4}
OWNER_AND_THIEF(deque_steal, "steal", 0);
OWNER_AND_THIEF(deque_wrap31, "wrap31", ((uint64_t)1 << 31) - 1);
OWNER_AND_THIEF(deque_wrap32, "wrap32", ((uint64_t)1 << 32) - 1);
OWNER_AND_THIEF(deque_wrap63, "wrap63", ((uint64_t)1 << 63) - 1);
OWNER_AND_THIEF(deque_wrap64, "wrap64", UINT64_MAX);

/* The thief is quicker by two than the owner that claims the newest, and looks once more while
 * bottom lies behind top, across the wrap. */
static void owner_late(void)
{
    (void)push();
    (void)push();
    (void)take();
}

static void steal_thrice(void)
{
    steal_twice();
    (void)steal();
}

EXPLORE_MODEL(deque_wrap_behind) = {.name = "deque.wrap-behind",
                                    .prepare = prepare,
                                    .threads = {owner_late, steal_thrice},
                                    .finish = finish,
                                    .argument = UINT64_MAX - 1,
                                    .preemptions = 3,
                                    .stale = 4};

/* Slots are used a second time as soon as a thief has moved on. */
static void owner_reuse(void)
{
    for (int i = 0; i < 4; i++)
        (void)push();
    (void)take();
}

EXPLORE_MODEL(deque_reuse) = {.name = "deque.reuse",
                              .prepare = prepare,
                              .threads = {owner_reuse, steal_twice},
                              .finish = finish,
                              .argument = UINT64_MAX - 1,
                              .preemptions = 3,
                              .stale = 4};

/* The third push outgrows the array under the thieves' hands. */
static void owner_growth(void)
{
    (void)push();
    (void)push();
    (void)push();
    (void)take();
    (void)take();
}

EXPLORE_MODEL(deque_growth) = {.name = "deque.growth",
                               .prepare = prepare,
                               .threads = {owner_growth, steal_twice},
                               .finish = finish,
                               .argument = ((uint64_t)1 << 32) - 2,
                               .preemptions = 3,
                               .stale = 4};

EXPLORE_MODEL(deque_thieves) = {.name = "deque.thieves",
                                .prepare = prepare,
                                .threads = {owner_growth, steal_twice, steal_twice},
                                .finish = finish,
                                .preemptions = 3,
                                .stale = 2};

/* Two items by one store, and a look at the newest. */
static void owner_batch(void)
{
    explore_check(weft__deque_reserve(&deque, 3) == 0);
    items[0]->number = 0;
    items[0]->taken = 0;
    items[1]->number = 1;
    items[1]->taken = 0;
    weft__deque_fill(&deque, 1, items[1]);
    weft__deque_fill(&deque, 0, items[0]);
    weft__deque_commit(&deque, 2);
    pushed = 2;
    item *newest = weft__deque_peek(&deque);
    explore_check(newest == NULL || newest == items[1]);
    if (newest != NULL && weft_deque_take(&deque) == newest)
        got(newest);
    explore_check(weft_deque_size(&deque) <= 1);
    (void)take();
}

EXPLORE_MODEL(deque_batch) = {.name = "deque.batch",
                              .prepare = prepare,
                              .threads = {owner_batch, steal_twice},
                              .finish = finish,
                              .argument = UINT64_MAX,
                              .preemptions = 3,
                              .stale = 4};

/* A push that gets no memory changes nothing. */
static void owner_no_memory(void)
{
    (void)push();
    (void)push();
    if (!push())
        (void)push();
    (void)take();
}

EXPLORE_MODEL(deque_no_memory) = {.name = "deque.no-memory",
                                  .prepare = prepare,
                                  .threads = {owner_no_memory, steal_twice},
                                  .finish = finish,
                                  .preemptions = 2,
                                  .stale = 2,
                                  .no_memory = 2};

/* The owner stops for ever; thieves go on, and nothing comes out twice. */
EXPLORE_MODEL(deque_crash) = {.name = "deque.crash",
                              .prepare = prepare,
                              .threads = {owner_growth, steal_twice},
                              .finish = finish,
                              .preemptions = 3,
                              .stale = 3,
                              .crashes = 1};
