/* SPDX-License-Identifier: BSD-2-Clause */
/* st.c — a contestant: State Threads, which has one thread and no guard pages. */
#include "../duel.h"

#include <st.h>

#define STACK_BYTES (64 << 10)

typedef st_thread_t contest_fiber;

typedef struct contest_baton {
    st_cond_t cond;
    int here;
} contest_baton;

typedef struct contest_gate {
    st_cond_t cond;
    int open;
} contest_gate;

static void contest_run(void *(*function)(void *), void *argument)
{
    duel_need(st_init() == 0, "st_init");
    function(argument);
}

static void contest_start(int group, contest_fiber *fiber, void *(*function)(void *),
                          void *argument)
{
    (void)group;
    *fiber = st_thread_create(function, argument, 1, STACK_BYTES);
    duel_need(*fiber != NULL, "st_thread_create");
}

static void contest_join(contest_fiber *fiber)
{
    duel_need(st_thread_join(*fiber, NULL) == 0, "st_thread_join");
}

static void contest_sleep_us(long us)
{
    st_usleep((st_utime_t)us);
}

static void contest_baton_init(contest_baton *baton)
{
    baton->cond = st_cond_new();
    baton->here = 0;
    duel_need(baton->cond != NULL, "st_cond_new");
}

static void contest_pass(contest_baton *baton)
{
    baton->here = 1;
    st_cond_signal(baton->cond);
}

static void contest_take(contest_baton *baton)
{
    while (!baton->here)
        st_cond_wait(baton->cond);
    baton->here = 0;
}

static void contest_gate_init(contest_gate *gate)
{
    gate->cond = st_cond_new();
    gate->open = 0;
    duel_need(gate->cond != NULL, "st_cond_new");
}

static void contest_gate_wait(contest_gate *gate)
{
    while (!gate->open)
        st_cond_wait(gate->cond);
}

static void contest_gate_open(contest_gate *gate)
{
    gate->open = 1;
    st_cond_broadcast(gate->cond);
}

#define CONTEST_NO_YIELD
#include "fibers.h"

int main(int argc, char **argv)
{
    static const duel duels[] = {FIBERS_DUELS, {NULL, NULL}};
    return duel_main(argc, argv, "State Threads", duels);
}
