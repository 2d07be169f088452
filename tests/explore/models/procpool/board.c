/* SPDX-License-Identifier: BSD-2-Clause */
/* board.c — models of futures/procpool/board.h: a pool and one or two workers, which may stop for
 * ever between any two steps.
 *
 * A task carries a number that the worker reads and answers with its double: a task that is seen
 * before its content, or a result before it is there, is a data race. What each task has become is
 * counted: none may run twice, none may be lost. */
#include "procpool/board.h"

#include <string.h>

#define RECORDS 2u
#define WORKERS 2u
#define TASKS_MAX 4u

static weft__board_words *words;
static weft__desk *desks;
static uint64_t *entries;
static uint32_t *done;
static weft__record *records;
static weft__board board;

static uint32_t seen[WORKERS];      /* results collected, the pool's */
static uint32_t call;               /* what the pool sleeps on */
static unsigned task_of[RECORDS];   /* the pool's */
static uint64_t ticket_of[RECORDS]; /* the pool's */
static uint64_t next_ticket;
static unsigned runs[TASKS_MAX + 1]; /* by whoever runs it; twice is a race or a wrong count */
static unsigned ended[TASKS_MAX + 1];
static unsigned failed[TASKS_MAX + 1];

static void prepare(void)
{
    words = explore_alloc(sizeof *words);
    desks = explore_alloc(WORKERS * sizeof *desks);
    entries = explore_alloc(RECORDS * sizeof *entries);
    done = explore_alloc((size_t)WORKERS * RECORDS * sizeof *done);
    records = explore_alloc(RECORDS * sizeof *records);
    next_ticket = explore_argument() == 0 ? 1 : explore_argument();
    words->head = next_ticket;
    words->asleep[0] = 0;
    words->is_closing = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        desks[i].bell = 0;
        desks[i].done_tail = 0;
        desks[i].is_listened = 0;
        seen[i] = 0;
    }
    for (unsigned i = 0; i < RECORDS; i++) {
        entries[i] = 0;
        records[i].state = 0;
        task_of[i] = 0;
    }
    for (unsigned i = 0; i < WORKERS * RECORDS; i++)
        done[i] = 0;
    memset(runs, 0, sizeof runs);
    memset(ended, 0, sizeof ended);
    memset(failed, 0, sizeof failed);
    call = 0;
    board = (weft__board){.words = words,
                          .desks = desks,
                          .entries = entries,
                          .done = done,
                          .records = records,
                          .record_count = RECORDS,
                          .worker_count = WORKERS};
}

static void release(void)
{
    explore_free(words);
    explore_free(desks);
    explore_free(entries);
    explore_free(done);
    explore_free(records);
}

/* ---- bells: as segment.c has them ------------------------------------------------------------ */

static void ring(uint32_t *bell)
{
    (void)weft__fetch_add_acq_rel(bell, 1u);
    explore_park_wake(bell, 1);
}

/* ---- a worker: as worker.c has it ------------------------------------------------------------ */

static void run(uint32_t worker, uint32_t index)
{
    unsigned *task = (unsigned *)(void *)records[index].task;
    runs[task[0]]++;
    task[1] = 2 * task[0];
    uint64_t ticket = WEFT__TASK_TICKET(weft__load_relaxed(&records[index].state));
    if (!weft__board_end(&board, worker, index))
        return; /* condemned: it would be killed here */
    if (weft__board_is_collected(&board, worker, index, ticket))
        return;
    if (weft__board_must_call(&board, worker))
        ring(&call);
}

static void work(uint32_t worker)
{
    for (;;) {
        uint32_t index = weft__board_take(&board, worker);
        if (index != WEFT__BOARD_NONE) {
            run(worker, index);
            continue;
        }
        if (weft__load_relaxed(&words->is_closing) != 0)
            return;
        uint32_t rung = weft__load_acquire(&desks[worker].bell);
        weft__board_sleep(&board, worker, 1);
        if (!weft__board_has_task(&board) && weft__load_relaxed(&words->is_closing) == 0)
            explore_park_wait(&desks[worker].bell, rung);
        weft__board_sleep(&board, worker, 0);
    }
}

static void work_0(void)
{
    work(0);
}

static void work_1(void)
{
    work(1);
}

static void take_once(uint32_t worker)
{
    uint32_t index = weft__board_take(&board, worker);
    if (index != WEFT__BOARD_NONE)
        run(worker, index);
}

static void take_once_0(void)
{
    take_once(0);
}

static void take_once_1(void)
{
    take_once(1);
}

/* ---- the pool -------------------------------------------------------------------------------- */

static void publish(uint32_t index, unsigned number)
{
    unsigned *task = (unsigned *)(void *)records[index].task;
    task[0] = number;
    task[1] = 0;
    task_of[index] = number;
    ticket_of[index] = next_ticket++;
    weft__board_publish(&board, index, ticket_of[index]);
    uint32_t sleeper = weft__board_pick_sleeper(&board);
    if (sleeper != WEFT__BOARD_NONE)
        ring(&desks[sleeper].bell);
}

/* Collect one result, whoever has it: its record, free again, or none. */
static uint32_t collect(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint32_t index = weft__board_collect(&board, i, &seen[i]);
        if (index == WEFT__BOARD_NONE)
            continue;
        explore_check(index < RECORDS);
        unsigned *task = (unsigned *)(void *)records[index].task;
        explore_check(task[0] == task_of[index] && task[1] == 2 * task[0]);
        explore_check(weft__load_relaxed(&records[index].state) ==
                      WEFT__TASK_STATE(WEFT__TASK_DONE, i, ticket_of[index]));
        ended[task[0]]++;
        weft__board_free(&board, index);
        return index;
    }
    return WEFT__BOARD_NONE;
}

/* The same, but sleep until there is one. */
static uint32_t await(void)
{
    for (;;) {
        uint32_t rung = weft__load_acquire(&call);
        uint32_t index = collect();
        if (index != WEFT__BOARD_NONE)
            return index;
        for (uint32_t i = 0; i < WORKERS; i++)
            weft__board_listen(&board, i);
        index = collect();
        if (index != WEFT__BOARD_NONE)
            return index;
        explore_park_wait(&call, rung);
    }
}

static void close_board(void)
{
    weft__store_relaxed(&words->is_closing, 1u);
    for (uint32_t i = 0; i < WORKERS; i++)
        ring(&desks[i].bell);
}

/* Three tasks in two records: the third goes where the first result came from. */
static void pool_of_three(void)
{
    publish(0, 1);
    publish(1, 2);
    uint32_t free = await();
    explore_check(next_ticket - weft__load_relaxed(&words->head) <= RECORDS);
    weft__board_tidy(&board);
    explore_check(weft__board_has_place(&board, next_ticket));
    publish(free, 3);
    (void)await();
    (void)await();
    close_board();
}

static void pool_of_two(void)
{
    publish(0, 1);
    publish(1, 2);
    (void)await();
    (void)await();
    close_board();
}

static void finish_all(void)
{
    for (unsigned i = 1; i < next_ticket && i <= TASKS_MAX; i++)
        explore_check(runs[i] == ended[i]);
    explore_check(words->asleep[0] == 0);
    release();
}

EXPLORE_MODEL(board_one) = {.name = "board.one",
                            .prepare = prepare,
                            .threads = {pool_of_three, work_0},
                            .finish = finish_all,
                            .preemptions = 2,
                            .stale = 1};

EXPLORE_MODEL(board_two) = {.name = "board.two",
                            .prepare = prepare,
                            .threads = {pool_of_two, work_0, work_1},
                            .finish = finish_all,
                            .preemptions = 1,
                            .stale = 1};

/* ---- deaths ---------------------------------------------------------------------------------- */

/* It does not wait for anybody, since nobody tells it here that somebody has died. */
static void pool_without_waiting(void)
{
    publish(0, 1);
    (void)collect();
    publish(1, 2);
    (void)collect();
}

/* All workers are dead. What they had is certain now, and what nobody had can be taken. */
static void finish_dead(void)
{
    unsigned victims = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        while (collect() != WEFT__BOARD_NONE)
            continue;
        uint32_t victim = weft__board_bury(&board, i);
        if (victim != WEFT__BOARD_NONE) {
            failed[task_of[victim]]++;
            weft__board_free(&board, victim);
            victims++;
        }
    }
    explore_check(victims <= explore_crashed());
    for (unsigned i = 0; i < 2; i++)
        take_once(0);
    while (collect() != WEFT__BOARD_NONE)
        continue;
    for (unsigned i = 1; i <= 2; i++) {
        explore_check(ended[i] + failed[i] == 1);
        explore_check(runs[i] <= 1 && runs[i] >= ended[i]);
    }
    release();
}

EXPLORE_MODEL(board_crash) = {.name = "board.crash",
                              .prepare = prepare,
                              .threads = {pool_without_waiting, take_once_0, take_once_1},
                              .finish = finish_dead,
                              .preemptions = 2,
                              .stale = 1,
                              .crashes = 2};

/* A worker has died between DONE and its ring; another thread of the pool collects while the task
 * is put there. */
static void prepare_dead(void)
{
    prepare();
    records[1].state = WEFT__TASK_STATE(WEFT__TASK_DONE, 0, 1);
    task_of[1] = 1;
    ticket_of[1] = 1;
    unsigned *task = (unsigned *)(void *)records[1].task;
    task[0] = 1;
    task[1] = 2;
}

static void bury_0(void)
{
    explore_check(weft__board_bury(&board, 0) == WEFT__BOARD_NONE);
}

static void collect_once(void)
{
    (void)collect();
}

static void finish_buried(void)
{
    (void)collect();
    explore_check(ended[1] == 1);
    release();
}

EXPLORE_MODEL(board_help) = {.name = "board.help",
                             .prepare = prepare_dead,
                             .threads = {bury_0, collect_once},
                             .finish = finish_buried,
                             .preemptions = 3,
                             .stale = 2};

/* One worker is held up while the ring of entries goes round. */
static void prepare_lap(void)
{
    prepare();
    publish(0, 1);
    publish(1, 2);
}

static void go_round(void)
{
    take_once(1);
    take_once(1);
    for (unsigned number = 3; number <= 4; number++) {
        uint32_t index = collect();
        if (index == WEFT__BOARD_NONE)
            return; /* the other one has it */
        weft__board_tidy(&board);
        publish(index, number);
        take_once(1);
    }
}

static void finish_lap(void)
{
    for (unsigned i = 0; i < 4; i++)
        take_once(0);
    while (collect() != WEFT__BOARD_NONE)
        continue;
    for (unsigned i = 1; i < next_ticket; i++)
        explore_check(runs[i] == 1 && ended[i] == 1);
    explore_check(words->head == next_ticket);
    release();
}

EXPLORE_MODEL(board_lap) = {.name = "board.lap",
                            .prepare = prepare_lap,
                            .threads = {take_once_0, go_round},
                            .finish = finish_lap,
                            .preemptions = 3,
                            .stale = 2};

/* ---- decisions ------------------------------------------------------------------------------- */

/* A task is taken back, and its record used again at once; `head` may still point to it. */
static void pool_that_withdraws(void)
{
    publish(0, 1);
    if (!weft__board_withdraw(&board, 0, ticket_of[0]))
        return;
    ended[1]++;
    weft__board_free(&board, 0);
    publish(0, 2);
    (void)collect();
}

static void finish_withdrawn(void)
{
    while (collect() != WEFT__BOARD_NONE)
        continue;
    if (next_ticket - explore_argument() == 2) {
        explore_check(runs[1] == 0);
        take_once(0);
        (void)collect();
        explore_check(runs[2] == 1 && ended[2] == 1);
    } else {
        explore_check(runs[1] == 1 && ended[1] == 1);
    }
    release();
}

EXPLORE_MODEL(board_withdraw) = {.name = "board.withdraw",
                                 .prepare = prepare,
                                 .threads = {pool_that_withdraws, take_once_0, take_once_1},
                                 .finish = finish_withdrawn,
                                 .argument = 7,
                                 .preemptions = 2,
                                 .stale = 1};

/* A task is forbidden to end. Either it has ended, or its worker is named, and it never will. */
static void pool_that_condemns(void)
{
    uint32_t worker = WORKERS;
    publish(0, 1);
    if (weft__board_condemn(&board, 0, ticket_of[0], &worker)) {
        explore_check(worker < 2);
        failed[1]++;
    }
}

static void finish_condemned(void)
{
    while (collect() != WEFT__BOARD_NONE)
        continue;
    uint32_t victim = weft__board_bury(&board, 0);
    if (victim == WEFT__BOARD_NONE)
        victim = weft__board_bury(&board, 1);
    explore_check((victim == 0) == (failed[1] == 1));
    while (collect() != WEFT__BOARD_NONE)
        continue;
    if (ended[1] + failed[1] == 0) {
        take_once(0); /* nobody had come by */
        (void)collect();
    }
    explore_check(ended[1] + failed[1] == 1 && runs[1] == 1);
    release();
}

EXPLORE_MODEL(board_condemn) = {.name = "board.condemn",
                                .prepare = prepare,
                                .threads = {pool_that_condemns, take_once_0, take_once_1},
                                .finish = finish_condemned,
                                .preemptions = 3,
                                .stale = 1};
