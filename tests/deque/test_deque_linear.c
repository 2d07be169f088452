/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_linear.c — short histories of one owner and two thieves, each linearizable.
 * ctest: TIMEOUT 60
 *
 * Exactly once is not all that a deque promises: the owner takes the newest, thieves the oldest,
 * and an empty answer means that there was a moment without items. A steal that lost a race says
 * nothing. Each round is a fresh deque that has to grow, and a history of a few operations. */
#include "../linear/linear.h"

#include <weft/deque.h>
#include <weft/runtime.h>

#include "batch.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#ifndef LINEAR_SECONDS
#define LINEAR_SECONDS 3
#endif

enum { PUSH, TAKE, STEAL };
enum { THIEVES = 2, OWNER_OPERATIONS = 10, THIEF_OPERATIONS = 5, ITEMS_MAX = OWNER_OPERATIONS };
#define NOTHING ((uint64_t)0)
#define RETRY UINT64_MAX

/* ---- the sequential deque -------------------------------------------------------------------- */

typedef struct row {
    uint32_t first, count;
    uint32_t items[ITEMS_MAX];
} row;

static int apply_deque(void *state, const linear_operation *operation)
{
    row *self = state;
    uint64_t found = NOTHING;
    if (operation->kind == PUSH) {
        self->items[self->first + self->count++] = (uint32_t)operation->argument;
        return 1;
    }
    if (operation->result == RETRY)
        return 1;
    if (self->count > 0 && operation->kind == TAKE)
        found = self->items[self->first + --self->count];
    else if (self->count > 0 && self->count--)
        found = self->items[self->first++];
    return operation->result == found;
}

static const linear_specification a_deque = {.state_bytes = sizeof(row), .apply = apply_deque};

/* ---- rounds ---------------------------------------------------------------------------------- */

typedef struct shared {
    weft_deque deque;
    linear_history history;
    uint64_t random;
    uint32_t round;   /* thieves begin when it is raised */
    uint32_t thieves; /* that are through with it */
    uint32_t is_over;
} shared;

static void steal(shared *self)
{
    void *item = NULL;
    unsigned number = linear_call(&self->history, STEAL, 0);
    int result = (int)weft_deque_steal(&self->deque, &item);
    linear_return(&self->history, number,
                  result == WEFT_STEAL_RETRY ? RETRY : (uint64_t)(uintptr_t)item);
}

static void *thief(void *arg)
{
    shared *self = arg;
    for (uint32_t round = 1;; round++) {
        while (weft__load_acquire(&self->round) != round)
            if (weft__load_acquire(&self->is_over))
                return NULL;
            else
                (void)sched_yield();
        for (unsigned i = 0; i < THIEF_OPERATIONS; i++)
            steal(self);
        weft__fetch_add_acq_rel(&self->thieves, 1);
    }
}

static void own(shared *self)
{
    for (uintptr_t i = 1; i <= OWNER_OPERATIONS; i++) {
        self->random = self->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        int is_push = self->random >> 62 != 0 || i == 1;
        unsigned number = linear_call(&self->history, is_push ? PUSH : TAKE, i);
        void *item = NULL;
        if (is_push)
            assert_int_equal(weft_deque_push(&self->deque, (void *)i), 0);
        else
            item = weft_deque_take(&self->deque);
        linear_return(&self->history, number, (uint64_t)(uintptr_t)item);
    }
}

/* Nonzero: the history of the round is linearizable. */
static int one_round(shared *self)
{
    linear_begin_history(&self->history);
    assert_int_equal(weft_deque_init(&self->deque, 2), 0);
    weft__store_relaxed(&self->thieves, 0);
    weft__store_release(&self->round, self->round + 1);
    own(self);
    while (weft__load_acquire(&self->thieves) != THIEVES)
        (void)sched_yield();
    int answer = linear_check(&self->history, &a_deque);
    weft_deque_destroy(&self->deque);
    return answer;
}

/* The number of the first round that is not linearizable, or 0. */
static uint32_t first_bad_round(shared *self)
{
    pthread_t threads[THIEVES];
    int64_t deadline = weft_in(LINEAR_SECONDS * WEFT_SEC);
    int is_good = 1;
    self->random = (uint64_t)weft_now();
    for (unsigned i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thief, self), 0);
    while (is_good && weft_now() < deadline)
        is_good = one_round(self);
    weft__store_release(&self->is_over, 1);
    for (unsigned i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    return is_good ? 0 : self->round;
}

#ifndef LINEAR_TEST
#define LINEAR_TEST test_linearizable

static void print_history(const linear_history *history)
{
    static const char *const names[] = {"push", "take", "steal"};
    for (unsigned i = 0; i < history->count; i++) {
        const linear_operation *one = &history->operations[i];
        print_message("%3llu ... %3llu %-5s %llu = %lld\n", (unsigned long long)one->begin,
                      (unsigned long long)one->end, names[one->kind],
                      (unsigned long long)one->argument, (long long)one->result);
    }
}

static void test_linearizable(void **state)
{
    static shared run;
    (void)state;
    uint32_t bad = first_bad_round(&run);
    print_message("%u histories\n", run.round);
    if (bad != 0)
        print_history(&run.history);
    assert_int_equal(bad, 0);
}
#else
static void LINEAR_TEST(void **state);
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {{"linearizable", LINEAR_TEST, NULL, NULL, NULL}};
    return cmocka_run_group_tests_name("deque linear", tests, NULL, NULL);
}
