/* SPDX-License-Identifier: BSD-2-Clause */
/* others.c — models of the condition, the semaphore, the event, the value and the recursive lock
 * between processes. What they guard or announce is plain data: an order that is missing is a
 * race. */
#include "models/shmsync/world.h"

static unsigned data, taken;

static void prepare(void)
{
    data = taken = 0;
    world_prepare(2);
}

/* ---- condition ------------------------------------------------------------------------------- */

static void lock(void)
{
    explore_check(weft_shm_mutex_lock(&world.mutex, WEFT_FOREVER) == 0);
}

static void unlock(void)
{
    explore_check(weft_shm_mutex_unlock(&world.mutex) == 0);
}

static void wait_and_take(void)
{
    lock();
    while (data == 0)
        explore_check(weft_shm_cond_wait(&world.cond, &world.mutex, WEFT_FOREVER) == 0);
    data--;
    taken++;
    unlock();
}

static void give(unsigned count)
{
    lock();
    data += count;
    explore_check(weft_shm_cond_notify(&world.cond, (int)count) == 0);
    unlock();
}

static void give_one(void)
{
    give(1);
}

static void give_two(void)
{
    give(2);
}

static void check_one(void)
{
    explore_check(data == 0 && taken == 1);
}

static void check_two(void)
{
    explore_check(data == 0 && taken == 2);
}

EXPLORE_MODEL(condition_one) = {.name = "condition.one",
                                .prepare = prepare,
                                .threads = {wait_and_take, give_one},
                                .finish = check_one,
                                .preemptions = 3,
                                .stale = 1,
                                .spurious = 1};

EXPLORE_MODEL(condition_all) = {.name = "condition.all",
                                .prepare = prepare,
                                .threads = {wait_and_take, wait_and_take, give_two},
                                .finish = check_two,
                                .preemptions = 1,
                                .stale = 1};

/* ---- semaphore ------------------------------------------------------------------------------- */

static void acquire_and_read(void)
{
    explore_check(weft_shm_semaphore_acquire(&world.semaphore, WEFT_FOREVER) == 0);
    explore_check(data == 1);
}

static void write_and_release(void)
{
    data = 1;
    explore_check(weft_shm_semaphore_release(&world.semaphore, 1) == 0);
}

static void write_and_release_two(void)
{
    data = 1;
    explore_check(weft_shm_semaphore_release(&world.semaphore, 2) == 0);
}

EXPLORE_MODEL(semaphore_one) = {.name = "semaphore.one",
                                .prepare = prepare,
                                .threads = {acquire_and_read, write_and_release},
                                .preemptions = 3,
                                .stale = 2};

EXPLORE_MODEL(semaphore_two) = {
    .name = "semaphore.two",
    .prepare = prepare,
    .threads = {acquire_and_read, acquire_and_read, write_and_release_two},
    .preemptions = 2,
    .stale = 1};

/* ---- event ----------------------------------------------------------------------------------- */

static void await_and_read(void)
{
    explore_check(weft_shm_event_wait(&world.event, WEFT_FOREVER) == 0);
    explore_check(data == 1);
}

static void write_and_set(void)
{
    data = 1;
    explore_check(weft_shm_event_set(&world.event) == 0);
}

EXPLORE_MODEL(event_two) = {.name = "event.two",
                            .prepare = prepare,
                            .threads = {await_and_read, await_and_read, write_and_set},
                            .preemptions = 2,
                            .stale = 2};

/* ---- value ----------------------------------------------------------------------------------- */

static void write_and_store(void)
{
    data = 1;
    weft_shm_value_store(&world.value, 1);
}

static void load_and_read(void)
{
    if (weft_shm_value_load(&world.value) == 1)
        explore_check(data == 1);
}

static void write_and_add(void)
{
    data = 1;
    (void)weft_shm_value_add(&world.value, 1);
}

static void add_and_read(void)
{
    if (weft_shm_value_add(&world.value, 1) == 1)
        explore_check(data == 1);
}

static void write_and_swap(void)
{
    uint64_t expected = 0;
    data = 1;
    explore_check(weft_shm_value_swap(&world.value, &expected, 1));
}

static void swap_and_read(void)
{
    uint64_t expected = 1;
    if (weft_shm_value_swap(&world.value, &expected, 2))
        explore_check(data == 1);
}

#define VALUE(variable, title, writer, reader)                                                     \
    EXPLORE_MODEL(variable) = {.name = "value." title,                                             \
                               .prepare = prepare,                                                 \
                               .threads = {writer, reader},                                        \
                               .preemptions = 2,                                                   \
                               .stale = 2}

VALUE(value_store, "store", write_and_store, load_and_read);
VALUE(value_add, "add", write_and_add, add_and_read);
VALUE(value_swap, "swap", write_and_swap, swap_and_read);

/* ---- recursive lock -------------------------------------------------------------------------- */

static void add_within(void)
{
    explore_check(weft_shm_rlock_lock(&world.rlock, WEFT_FOREVER) == 0);
    explore_check(weft_shm_rlock_lock(&world.rlock, WEFT_FOREVER) == 0);
    data++;
    explore_check(weft_shm_rlock_unlock(&world.rlock) == 0);
    data++;
    explore_check(weft_shm_rlock_unlock(&world.rlock) == 0);
    explore_check(weft_shm_rlock_unlock(&world.rlock) == -EPERM);
}

static void check_four(void)
{
    explore_check(data == 4);
}

EXPLORE_MODEL(rlock_two) = {.name = "rlock.two",
                            .prepare = prepare,
                            .threads = {add_within, add_within},
                            .finish = check_four,
                            .preemptions = 2,
                            .stale = 2};
