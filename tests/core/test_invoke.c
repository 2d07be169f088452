/* SPDX-License-Identifier: BSD-2-Clause */
/* test_invoke.c — every call is made once, with its own argument, before weft_invoke() returns. */
#include "on_workers.h"

#include <weft/parallel.h>

enum { CALLS_MOST = 300 };

static void increment(void *arg)
{
    ++*(int *)arg;
}

static int check_counts(void *arg)
{
    (void)arg;
    int counts[CALLS_MOST] = {0};
    weft_call calls[CALLS_MOST];
    for (size_t i = 0; i < CALLS_MOST; i++)
        calls[i] = (weft_call){increment, &counts[i]};
    for (size_t n = 0; n <= CALLS_MOST; n++)
        weft_invoke(calls, n);
    for (size_t i = 0; i < CALLS_MOST; i++)
        CHECK(counts[i] == (int)(CALLS_MOST - i));
    weft_invoke(NULL, 0);
    return 0;
}

static void test_counts(void **state)
{
    (void)state;
    on_every_count(check_counts, NULL);
}

typedef struct node {
    int depth;
    long leaves;
} node;

/* Count the leaves of a ternary tree, each node by three calls. */
static void count_leaves(void *arg)
{
    node *self = arg;
    if (self->depth == 0) {
        self->leaves = 1;
        return;
    }
    node child[3] = {{self->depth - 1, 0}, {self->depth - 1, 0}, {self->depth - 1, 0}};
    weft_call calls[3] = {
        {count_leaves, &child[0]}, {count_leaves, &child[1]}, {count_leaves, &child[2]}};
    weft_invoke(calls, 3);
    self->leaves = child[0].leaves + child[1].leaves + child[2].leaves;
}

static int check_nested(void *arg)
{
    (void)arg;
    node root = {9, 0};
    count_leaves(&root);
    CHECK(root.leaves == 19683);
    return 0;
}

static void test_nested(void **state)
{
    (void)state;
    on_every_count(check_nested, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
