/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c — see table.h. */
#include "models/ring/table.h"

#include <string.h>

#define SEATS (EXPLORE_THREADS_MAX + 1)

weft__ring ring;
unsigned ring_sent[RING_VALUES], ring_got[RING_VALUES], ring_again[RING_VALUES];
static unsigned whole[RING_VALUES]; /* popped by somebody who came to the end of it */

static weft__shm_control control;
static weft__shm_process processes[SEATS];
static weft__shm_seat seats[SEATS];
static uint64_t words[RING_CAPACITY];
static char body[RING_CAPACITY * WEFT__GRANULE];

static void prepare(uint64_t capacity)
{
    uint64_t first = explore_argument();
    memset(&control, 0, sizeof control);
    memset(seats, 0, sizeof seats);
    memset(body, 0, sizeof body);
    memset(ring_sent, 0, sizeof ring_sent);
    memset(ring_got, 0, sizeof ring_got);
    memset(ring_again, 0, sizeof ring_again);
    memset(whole, 0, sizeof whole);
    for (uint32_t i = 0; i < SEATS; i++) {
        processes[i].state = WEFT__PROCESS_STATE(1, WEFT__PHASE_LIVE, 100 + i);
        seats[i].owner = WEFT__MEMBER(1, i);
    }
    control.tail = first;
    control.head = first;
    ring = (weft__ring){.control = &control,
                        .words = (char *)words,
                        .word_stride = sizeof words[0],
                        .body = body,
                        .stride = WEFT__GRANULE,
                        .mask = capacity - 1,
                        .seats = seats,
                        .processes = processes,
                        .participants = SEATS};
    for (uint64_t p = first; p < first + capacity; p++)
        words[p & ring.mask] = WEFT__FREE(p);
}

void ring_prepare(void)
{
    prepare(2);
}

void ring_prepare_pipe(void)
{
    prepare(4);
    ring.is_pipe = 1;
}

weft__shm_seat *ring_seat(void)
{
    return &seats[explore_self()];
}

int64_t ring_push(unsigned value)
{
    uint64_t position = 0;
    int64_t rc = weft__mpmc_claim_push(&ring, ring_seat(), 1, 1, &position);
    if (rc <= 0)
        return rc;
    *(unsigned *)(void *)weft__ring_element(&ring, position) = value;
    weft__mpmc_publish(&ring, position);
    ring_sent[value] = 1;
    return rc;
}

void ring_note(unsigned value, int is_again)
{
    explore_check(value < RING_VALUES);
    ring_got[value]++;
    ring_again[value] += is_again != 0;
}

int64_t ring_pop(void)
{
    uint64_t position = 0;
    int64_t rc =
        weft__mpmc_claim_pop(&ring, ring_seat(), 1, weft__mpmc_measure_elements, &position);
    if (rc <= 0)
        return rc;
    unsigned value = *(unsigned *)(void *)weft__ring_element(&ring, position);
    ring_note(value, 0); /* before the release: who is killed in between gets it twice, marked */
    weft__mpmc_release(&ring, position, 1);
    whole[value] = 1;
    return rc;
}

static void mark_the_dead(void)
{
    for (uint32_t i = 0; i < EXPLORE_THREADS_MAX; i++) {
        if (i == explore_self() || !explore_has_died(i))
            continue;
        uint64_t live = WEFT__PROCESS_STATE(1, WEFT__PHASE_LIVE, 100 + i);
        (void)weft__cas_acq_rel(&processes[i].state, &live,
                                WEFT__PROCESS_STATE(1, WEFT__PHASE_DEAD, 100 + i));
    }
}

int ring_recover(void)
{
    weft__heir heir;
    heir.seat = explore_self();
    heir.most = UINT64_MAX;
    heir.changes = 0;
    heir.too_long = 0;
    mark_the_dead();
    weft__settled settled = weft__recover(&ring, &heir);
    if (settled == WEFT__TAKEN_ON) {
        unsigned at = ring.is_pipe ? WEFT__MESSAGE_PREFIX : 0;
        uint64_t count = 1;
        if (ring.is_pipe)
            count = WEFT__MESSAGE_GRANULES(weft__pipe_prefix(&ring, heir.position));
        unsigned value = *(unsigned *)(void *)(weft__ring_element(&ring, heir.position) + at);
        ring_note(value, 1);
        weft__mpmc_release(&ring, heir.position, count);
    }
    return settled != WEFT__SETTLED;
}

void ring_finish(void)
{
    uint64_t tail = control.tail & ~WEFT__CLOSED;
    explore_check(tail == control.head);
    for (unsigned i = 0; i < RING_VALUES; i++) {
        explore_check(!ring_sent[i] || ring_got[i] > 0);
        explore_check(ring_got[i] - ring_again[i] <= 1);
        explore_check(!whole[i] || ring_got[i] == 1);
        explore_check(explore_crashed() || (ring_got[i] == ring_sent[i] && ring_again[i] == 0));
    }
    for (uint64_t p = tail; p <= tail + ring.mask; p++)
        explore_check(words[p & ring.mask] == WEFT__FREE(p));
}
