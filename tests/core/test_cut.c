/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut.c — a scope cuts loops and reductions short, wherever their pieces run. */
#include "on_workers.h"

#include <errno.h>
#include <sched.h>

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/parallel.h>

#define PIECES 1000

typedef struct work {
    weft_scope *scope; /* to be cancelled after `enough` pieces, or NULL */
    size_t enough;
    size_t run;
    size_t told; /* pieces that were told to end */
} work;

/* Pieces that are begun between the last one's count and its cancelling wait for that. */
static void count_piece(work *self)
{
    size_t number = weft__fetch_add_relaxed(&self->run, 1) + 1;
    if (self->scope == NULL || number < self->enough)
        return;
    if (number == self->enough)
        weft_cancel_scope(self->scope);
    while (number < PIECES && !weft_cancel_requested())
        sched_yield();
}

static void body1(weft_range piece, void *arg)
{
    (void)piece;
    count_piece(arg);
}

static void body2(weft_range2 piece, void *arg)
{
    (void)piece;
    count_piece(arg);
}

static void body3(weft_range3 piece, void *arg)
{
    (void)piece;
    count_piece(arg);
}

static void fold(weft_range piece, void *value, void *arg)
{
    *(size_t *)value += piece.end - piece.begin;
    count_piece(arg);
}

static void add(void *left, const void *right, void *arg)
{
    (void)arg;
    *(size_t *)left += *(const size_t *)right;
}

static const weft_range thousand = {0, PIECES, 1};
static const weft_range2 square = {{0, 100, 2}, {0, 40, 2}};
static const weft_range3 cube = {{0, 10, 1}, {0, 10, 1}, {0, 10, 1}};
static const weft_reduction sum = {.bytes = sizeof(size_t), .piece = fold, .combine = add};

/* What the loop returns; 1 if the value of a reduction does not fit to that. */
static int run_kind(int kind, work *self)
{
    size_t value = 12345;
    int rc;
    switch (kind) {
    case 0:
        return weft_parallel_for(thousand, body1, self);
    case 1:
        return weft_parallel_for2(square, body2, self);
    case 2:
        return weft_parallel_for3(cube, body3, self);
    default:
        rc = weft_reduce(thousand, &sum, &value, self);
        return value == (rc == 0 ? PIECES : 12345) ? rc : 1;
    }
}
#define KINDS 4

static int check_cancelled(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++) {
        weft_scope(group)
        {
            work self = {.scope = &group, .enough = 10};
            CHECK(run_kind(kind, &self) == -ECANCELED);
            /* A piece that had been asked before may have run on each other worker. */
            CHECK(self.run >= 10 && self.run <= 10 + weft_num_workers(NULL));
        }
    }
    return 0;
}

static int check_cancelled_before(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++) {
        weft_scope(group)
        {
            work self = {.run = 0};
            weft_cancel_scope(&group);
            CHECK(run_kind(kind, &self) == -ECANCELED);
            CHECK(self.run == 0);
            weft_shield
            {
                CHECK(run_kind(kind, &self) == 0);
                CHECK(self.run == PIECES);
            }
        }
    }
    return 0;
}

static int check_deadline(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++) {
        weft_deadline(weft_in(0))
        {
            work self = {.run = 0};
            CHECK(run_kind(kind, &self) == -ETIMEDOUT);
            CHECK(self.run == 0);
        }
    }
    return 0;
}

static int check_whole(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++) {
        work self = {.run = 0};
        CHECK(run_kind(kind, &self) == 0);
        CHECK(self.run == PIECES);
        weft_scope(group)
        {
            CHECK(run_kind(kind, &self) == 0);
            CHECK(self.run == 2 * PIECES);
            /* Too late to leave anything out. */
            self = (work){.scope = &group, .enough = PIECES};
            CHECK(run_kind(kind, &self) == 0);
        }
    }
    return 0;
}

static void on_all_counts(int (*check)(void *arg))
{
    for (size_t i = 0; i < WORKER_COUNTS; i++)
        on_count(worker_counts[i], check, NULL);
}

static void test_pieces_are_left_out_of_what_is_cancelled(void **state)
{
    (void)state;
    on_all_counts(check_cancelled);
    on_all_counts(check_cancelled_before);
}

static void test_a_deadline_cuts_as_well(void **state)
{
    (void)state;
    on_all_counts(check_deadline);
}

static void test_what_is_not_cut_is_whole(void **state)
{
    (void)state;
    on_every_count(check_whole, NULL);
}

/* Two pieces on two workers: one cancels, both are told, whichever fiber they run on. */
static void meet_and_cancel(weft_range piece, void *arg)
{
    work *self = arg;
    weft__fetch_add_acq_rel(&self->run, 1);
    while (weft__load_acquire(&self->run) < 2) {}
    if (piece.begin == 0)
        weft_cancel_scope(self->scope);
    while (weft_cancel_requested() == 0) {}
    if (weft_sleep(weft_in(100 * WEFT_SEC)) == -ECANCELED)
        weft__fetch_add_relaxed(&self->told, 1);
}

static int check_stolen(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        weft_scope(group)
        {
            work self = {.scope = &group};
            CHECK(weft_parallel_for((weft_range){0, 2, 1}, meet_and_cancel, &self) == 0);
            CHECK(self.told == 2);
        }
        CHECK(weft_current_scope() == NULL);
    }
    return 0;
}

static void test_a_stolen_piece_is_in_the_scope(void **state)
{
    (void)state;
    int line = weft_run(check_stolen, NULL, &(weft_config){.workers = 2});
    assert_int_equal(line, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_left_out_of_what_is_cancelled),
        cmocka_unit_test(test_a_deadline_cuts_as_well),
        cmocka_unit_test(test_what_is_not_cut_is_whole),
        cmocka_unit_test(test_a_stolen_piece_is_in_the_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
