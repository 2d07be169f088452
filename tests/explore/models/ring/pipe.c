/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe.c — models of ipc/pipe_ring.h: messages of one and of two granules, whose producers may stop
 * for ever. */
#include "models/ring/table.h"

static int64_t measure(const weft__ring *of, uint64_t head, uint64_t most)
{
    (void)most;
    if (weft__load_acquire(weft__ring_word(of, head)) != WEFT__READY(head))
        return 0;
    uint64_t prefix = weft__pipe_prefix(of, head);
    return prefix != 0 ? (int64_t)WEFT__MESSAGE_GRANULES(prefix) : -EPROTO;
}

static int64_t send(unsigned value, uint64_t granules)
{
    uint64_t position = 0;
    int64_t rc = weft__pipe_claim(&ring, explore_self(), granules, &position);
    if (rc <= 0)
        return rc;
    char *at = weft__ring_element(&ring, position);
    *(unsigned *)(void *)(at + WEFT__MESSAGE_PREFIX) = value;
    weft__store_relaxed(weft__pipe_prefix_at(&ring, position),
                        WEFT__MESSAGE(granules == 1 ? 4 : 100, granules));
    weft__mpmc_publish(&ring, position);
    ring_sent[value] = 1;
    return rc;
}

static int64_t receive(void)
{
    uint64_t position = 0;
    int64_t rc = weft__mpmc_claim_pop(&ring, ring_seat(), UINT64_MAX, measure, &position);
    if (rc <= 0)
        return rc;
    char *at = weft__ring_element(&ring, position);
    ring_note(*(unsigned *)(void *)(at + WEFT__MESSAGE_PREFIX), 0);
    weft__mpmc_release(&ring, position, (uint64_t)rc);
    return rc;
}

static void send_long(void)
{
    (void)send(1, 2);
}

static void send_short(void)
{
    (void)send(2, 1);
}

/* Two that do not fit behind each other without a gap: from position 3 of 4 on. */
static void send_both(void)
{
    (void)send(1, 2);
    (void)send(2, 1);
}

static void receive_two(void)
{
    (void)receive();
    (void)receive();
}

static void recover_once(void)
{
    (void)ring_recover();
    (void)receive();
}

static void finish(void)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        int64_t rc;
        while ((rc = receive()) > 0)
            continue;
        explore_check(rc == -EAGAIN);
        while (ring_recover())
            continue;
    }
    ring_finish();
}

#define PIPE(variable, title, ...)                                                                 \
    EXPLORE_MODEL(variable) = {                                                                    \
        .name = "pipe." title, .prepare = ring_prepare_pipe, .finish = finish, __VA_ARGS__}

PIPE(pipe_two, "two", .threads = {send_long, send_short, receive_two}, .preemptions = 1,
     .stale = 1);
PIPE(pipe_gap, "gap", .threads = {send_both, receive_two}, .argument = 3, .preemptions = 2,
     .stale = 1);
PIPE(pipe_crash, "crash", .threads = {send_long, send_short}, .preemptions = 2, .stale = 1,
     .crashes = 2);
PIPE(pipe_crash_gap, "crash-gap", .threads = {send_both, receive_two}, .argument = 3,
     .preemptions = 2, .stale = 1, .crashes = 1);
PIPE(pipe_recover, "recover", .threads = {send_long, send_short, recover_once}, .preemptions = 1,
     .stale = 1, .crashes = 1);

/* A seat that claims two messages of different lengths, and somebody who counts a claim for it. */
static void send_short_and_long(void)
{
    (void)send(1, 1);
    (void)send(2, 2);
}

static void send_third(void)
{
    (void)send(3, 1);
}

PIPE(pipe_help, "help", .threads = {send_short_and_long, send_third}, .preemptions = 3, .stale = 2);

/* The ring is full but for one granule, and who wants two finds it free, then claimed. The seat has
 * once claimed two. */
static void prepare_full(void)
{
    ring_prepare_pipe();
    for (unsigned value = 4; value < 7; value++)
        explore_check(send(value, 1) == 1);
    ring.seats[0].span = 2;
}

EXPLORE_MODEL(pipe_full) = {.name = "pipe.full",
                            .prepare = prepare_full,
                            .threads = {send_short, send_long},
                            .finish = finish,
                            .argument = 3,
                            .preemptions = 3,
                            .stale = 2};
