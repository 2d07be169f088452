/* SPDX-License-Identifier: BSD-2-Clause */
/* stranger.c — models of claims in a ring that somebody scribbles over meanwhile: whatever is read
 * there, a claim ends, and says either how many positions it won or why it won none. */
#include "models/ring/table.h"

#define RUBBISH 7 /* no lap of a ring that begins at 4 has had such a word */

/* A side that leaps back, and a word that cannot be there. */
static void scribble_words(void)
{
    weft__store_relaxed(weft__ring_word(&ring, explore_argument()), RUBBISH);
}

static void leap_back(uint64_t *side)
{
    scribble_words();
    weft__store_relaxed(side, explore_argument() + 1);
    weft__store_relaxed(side, explore_argument() - 1);
}

static void leap_back_with_head(void)
{
    leap_back(&ring.control->head);
}

static void leap_back_with_tail(void)
{
    leap_back(&ring.control->tail);
}

static void check_result(int64_t rc, int64_t most)
{
    explore_check(rc == -EAGAIN || rc == -EPIPE || rc == -EPROTO || (rc > 0 && rc <= most));
}

static void pop(void)
{
    uint64_t position = 0;
    check_result(
        weft__mpmc_claim_pop(&ring, ring_seat(), 1, weft__mpmc_measure_elements, &position), 1);
}

static void push(void)
{
    uint64_t position = 0;
    check_result(weft__mpmc_claim_push(&ring, ring_seat(), 1, 1, &position), 1);
}

static void send(void)
{
    uint64_t position = 0;
    check_result(weft__pipe_claim(&ring, explore_self(), 2, &position), 1);
}

#define STRANGER(variable, title, before, ...)                                                     \
    EXPLORE_MODEL(variable) = {.name = "stranger." title,                                          \
                               .prepare = before,                                                  \
                               .threads = {__VA_ARGS__},                                           \
                               .argument = 4,                                                      \
                               .preemptions = 3,                                                   \
                               .stale = 2}

STRANGER(stranger_pop, "pop", ring_prepare, pop, leap_back_with_head);
STRANGER(stranger_push, "push", ring_prepare, push, leap_back_with_tail);
STRANGER(stranger_pipe, "pipe", ring_prepare_pipe, send, leap_back_with_tail);
