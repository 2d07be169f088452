/* SPDX-License-Identifier: BSD-2-Clause */
/* test_local.c — a fiber's values go with it, are its own, and are destroyed when it ends. */
#include "crew.h"

#include <weft/fiber.h>
#include <weft/local.h>

enum { KEYS = 20, FIBERS = 50 };

static unsigned destroyed;

static void destroy_box(void *value)
{
    weft__fetch_add_acq_rel(&destroyed, 1);
    free(value);
}

static const weft_local boxes = WEFT_LOCAL_INIT(destroy_box);
static weft_local plain[KEYS]; /* memory of zeros */

static int *new_box(int content)
{
    int *box = malloc(sizeof *box);
    *box = content;
    return box;
}

/* ---- get and set ----------------------------------------------------------------------------- */

/* Many keys, some of which were never set. */
static int check_keys(void *arg)
{
    int marks[KEYS];
    (void)arg;
    for (size_t i = 0; i < KEYS; i++)
        CHECK(weft_local_get(&plain[i]) == NULL);
    for (size_t i = 0; i < KEYS; i += 2)
        CHECK(weft_local_set(&plain[i], &marks[i]) == 0);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(weft_local_get(&plain[i]) == (i % 2 == 0 ? &marks[i] : NULL));
    for (size_t i = 0; i < KEYS; i++)
        CHECK(weft_local_set(&plain[i], NULL) == 0);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(weft_local_get(&plain[i]) == NULL);
    return 0;
}

static void test_keys(void **state)
{
    (void)state;
    on_every_count(check_keys, NULL);
}

/* ---- a fiber's own --------------------------------------------------------------------------- */

typedef struct herd {
    weft_barrier all_set;
    unsigned wrong;
} herd;

/* Set, wait for all others to do so, travel, and look. */
WEFT_FIBER(keep_box, herd *, h, int, number)
{
    if (weft_local_get(&boxes) != NULL || weft_local_set(&boxes, new_box(number)) != 0)
        weft__fetch_add_acq_rel(&h->wrong, 1);
    if (weft_barrier_wait(&h->all_set, WEFT_FOREVER) < 0)
        weft__fetch_add_acq_rel(&h->wrong, 1);
    for (int i = 0; i < 10; i++) {
        weft_yield();
        int *box = weft_local_get(&boxes);
        if (box == NULL || *box != number)
            weft__fetch_add_acq_rel(&h->wrong, 1);
    }
}

static int check_herd(void *arg)
{
    herd h = {.all_set = WEFT_BARRIER_INIT(FIBERS)};
    unsigned before = weft__load_acquire(&destroyed);
    (void)arg;
    weft_scope(group)
    {
        for (int i = 0; i < FIBERS; i++)
            CHECK(weft_go(&group, keep_box, &h, i) == 0);
    }
    CHECK(h.wrong == 0);
    CHECK(weft__load_acquire(&destroyed) == before + FIBERS);
    CHECK(weft_local_get(&boxes) == NULL);
    return 0;
}

static void test_herd(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        on_count(workers, check_herd, NULL);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static unsigned resets;
static void set_again(void *value);
static const weft_local stubborn = WEFT_LOCAL_INIT(set_again);

static void set_again(void *value)
{
    resets++;
    if (weft_local_set(&stubborn, value) != 0)
        resets += 100;
}

static int be_stubborn(void *arg, unsigned index)
{
    static int something;
    (void)arg;
    (void)index;
    CHECK(weft_local_set(&stubborn, &something) == 0);
    return 0;
}

/* A destructor that leaves something behind is called again, but not for ever. */
static void test_stubborn(void **state)
{
    (void)state;
    for (unsigned fibers = 0; fibers <= 1; fibers++) {
        crew one = {be_stubborn, NULL, fibers, 1 - fibers, 1};
        resets = 0;
        assert_int_equal(run_crew(&one), 0);
        assert_int_equal(resets, 4);
    }
}

static int leave_box(void *arg, unsigned index)
{
    (void)arg;
    CHECK(weft_local_set(&boxes, new_box((int)index)) == 0);
    CHECK(*(int *)weft_local_get(&boxes) == (int)index);
    return 0;
}

/* Threads, too, and fibers that use the same stack one after another. */
static void test_end(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        crew threads = {leave_box, NULL, 0, 8, 1};
        unsigned before = weft__load_acquire(&destroyed);
        assert_int_equal(run_crew(&threads), 0);
        assert_int_equal(weft__load_acquire(&destroyed), before + 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_herd),
        cmocka_unit_test(test_stubborn),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
