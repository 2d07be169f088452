/* SPDX-License-Identifier: BSD-2-Clause */
/* test_apart.c — where a worker wakes: when its waker sends it elsewhere, where to, what is learnt
 * from where the kernel puts it, and that what it runs may run wherever it might before. */
#include "on_workers.h"

#include <weft/task.h>

#include "sched/cpuset.h"
#include "sched/worker.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 3
#define PRICE_MIN 16   /* as in apart.c */
#define PRICE_MAX 4096 /* likewise */

/* All zero if that fails. */
static struct weft__cpuset own_mask(void)
{
    struct weft__cpuset mask = {{0}};
    (void)sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)&mask);
    return mask;
}

/* ---- what is learnt ------------------------------------------------------------------------- */

/* One sleep of a worker whose waker, a worker as well, was on the calling thread's processor, or
 * elsewhere. */
static void sleep_once(weft__worker *worker, int is_together)
{
    weft__place_lie_down(worker);
    worker->place.waker = worker->place.last + !is_together;
    weft__place_get_up(worker);
}

static void test_learns(void **state)
{
    (void)state;
    static weft__worker worker = {.cpu = -1};
    sleep_once(&worker, 0);
    assert_int_equal(worker.place.guided, 0);
    unsigned price = 0;
    for (int i = 0; i < 12; i++) {
        sleep_once(&worker, 1);
        price = 2 * price + PRICE_MIN < PRICE_MAX ? 2 * price + PRICE_MIN : PRICE_MAX;
        assert_int_equal(worker.place.guided, price);
    }
    assert_int_equal(price, PRICE_MAX);
    worker.place.guided = 0;
    sleep_once(&worker, 0);
    assert_int_equal(worker.place.price, PRICE_MAX / 2);
    assert_int_equal(worker.place.guided, 0);
}

/* Who woke it is forgotten with the next sleep: that may end by itself. */
static void test_forgets(void **state)
{
    (void)state;
    static weft__worker worker = {.cpu = -1};
    worker.place.waker = 1 + (unsigned)sched_getcpu();
    weft__place_lie_down(&worker);
    weft__place_get_up(&worker);
    assert_int_equal(worker.place.guided, 0);
}

/* ---- who is sent, and where ----------------------------------------------------------------- */

/* A runtime whose workers are this thread: the first is the sleeper, the second its waker. */
typedef struct scene {
    weft_runtime runtime;
    weft__worker workers[WORKERS];
    weft__thread thread;
} scene;

static scene *scene_new(void)
{
    scene *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->runtime.workers = self->workers;
    self->runtime.worker_count = WORKERS;
    self->runtime.cpu_count = 2;
    self->thread.number = (pid_t)gettid();
    for (int i = 0; i < WORKERS; i++) {
        self->workers[i].runtime = &self->runtime;
        self->workers[i].cpu = -1;
        self->workers[i].thread = &self->thread;
        self->workers[i].asleep = WEFT__ABED;
        self->workers[i].lane.worker_ = &self->workers[i];
    }
    weft__place_lie_down(&self->workers[0]);
    self->workers[0].place.guided = 2;
    weft__worker_bind_thread(&self->workers[1]);
    return self;
}

static void scene_free(scene *self)
{
    weft__worker_unbind_thread();
    free(self);
}

static void choose(scene *self)
{
    weft__worker *sleeper = &self->workers[0];
    weft__place_choose(sleeper, weft__place_turn(&sleeper->place));
}

static int is_whole(const struct weft__cpuset *before)
{
    struct weft__cpuset now = own_mask();
    return memcmp(&now, before, sizeof now) == 0;
}

/* The calling thread plays both, so it is moved in the middle; here that is all the same. Nonzero:
 * it was sent elsewhere. */
static int check_sent(const struct weft__cpuset *before)
{
    scene *self = scene_new();
    unsigned from = (unsigned)sched_getcpu();
    choose(self);
    struct weft__cpuset now = own_mask();
    unsigned to = self->workers[0].place.last - 1;
    assert_int_equal(weft__cpuset_count(&now), 1);
    assert_true(weft__cpuset_has(&now, to) && weft__cpuset_has(before, to));
    assert_int_equal(sched_getcpu(), to);
    weft__place_get_up(&self->workers[0]);
    assert_true(is_whole(before));
    assert_int_equal(self->workers[0].place.guided, 1); /* nothing was left to the kernel */
    scene_free(self);
    return to != from;
}

/* The kernel may move the thread by itself before the first look; hardly every time. */
static void test_is_sent(void **state)
{
    (void)state;
    struct weft__cpuset before = own_mask();
    if (weft__cpuset_count(&before) < 2)
        skip();
    int sent = 0;
    for (int i = 0; i < 20; i++)
        sent += check_sent(&before);
    assert_true(sent > 0);
}

/* Every other processor has a worker that is awake. */
static void test_nowhere_to_go(void **state)
{
    (void)state;
    struct weft__cpuset before = own_mask();
    if (weft__cpuset_count(&before) != 2 || !weft__cpuset_has(&before, 0) ||
        !weft__cpuset_has(&before, 1))
        skip();
    scene *self = scene_new();
    for (int i = 1; i < WORKERS; i++) {
        self->workers[i].asleep = 0;
        self->workers[i].place.last = (unsigned)i; /* one on each */
    }
    choose(self);
    assert_true(is_whole(&before));
    weft__place_get_up(&self->workers[0]);
    assert_true(is_whole(&before));
    scene_free(self);
}

static void test_is_not_sent(void **state)
{
    (void)state;
    struct weft__cpuset before = own_mask();
    scene *self = scene_new();
    weft__worker *sleeper = &self->workers[0];

    sleeper->cpu = sched_getcpu(); /* bound */
    choose(self);
    assert_true(is_whole(&before));
    sleeper->cpu = -1;

    self->runtime.cpu_count = 1;
    choose(self);
    assert_true(is_whole(&before));
    self->runtime.cpu_count = 2;

    weft__worker_unbind_thread(); /* a plain thread wakes it */
    choose(self);
    assert_true(is_whole(&before));
    weft__worker_bind_thread(&self->workers[1]);

    uint32_t turn = weft__place_turn(&sleeper->place); /* of a sleep that is over */
    weft__place_get_up(sleeper);
    weft__place_lie_down(sleeper);
    weft__place_choose(sleeper, turn);
    assert_true(is_whole(&before));

    turn = weft__place_turn(&sleeper->place); /* up already */
    weft__place_get_up(sleeper);
    weft__place_choose(sleeper, turn);
    assert_true(is_whole(&before));
    scene_free(self);
}

/* ---- a runtime ------------------------------------------------------------------------------ */

WEFT_TASK(int, tree, const struct weft__cpuset *, whole, int, depth)
{
    if (depth == 0) {
        volatile int spun = 0;
        while (spun < 300)
            spun = spun + 1;
        return !is_whole(whole);
    }
    weft_spawn(half, tree, whole, depth - 1);
    int rest = tree(whole, depth - 1);
    return weft_join(half) + rest;
}

static int run_tree(void *whole)
{
    return tree(whole, 8);
}

/* Short regions, each of which wakes workers, every one of them guided: nothing ever runs confined,
 * and nobody is left confined in the end. */
static void test_nothing_runs_confined(void **state)
{
    (void)state;
    struct weft__cpuset whole = own_mask();
    const weft_config config = {.workers = WORKERS};
    weft_runtime *runtime;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    for (int round = 0; round < 200; round++) {
        int confined = -1;
        for (int i = 0; i < WORKERS; i++)
            weft__store_relaxed(&runtime->workers[i].place.guided, 1000);
        assert_int_equal(weft_runtime_run(runtime, run_tree, &whole, &confined), 0);
        assert_int_equal(confined, 0);
        if (round % 10 == 0)
            usleep(2000);
    }
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),      cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_is_sent),     cmocka_unit_test(test_nowhere_to_go),
        cmocka_unit_test(test_is_not_sent), cmocka_unit_test(test_nothing_runs_confined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
