/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — weft's fibers, semaphores and events; and the bare switch beneath them. */
#include "../duel.h"

#include "fiber/stack.h"
#include "fiber/switch.h"

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/runtime.h>
#include <weft/sync.h>

typedef void *contest_function(void *argument);
typedef char contest_fiber; /* scopes know their fibers */
typedef weft_semaphore contest_baton;
typedef weft_event contest_gate;

#define contest_scope(group) weft_scope(group)
#define contest_start(group, fiber, function, argument)                                            \
    duel_need(weft_go(&(group), call, (function), (argument)) == 0, "weft_go")
#define contest_join(fiber) ((void)(fiber))

WEFT_FIBER(call, contest_function *, function, void *, argument)
{
    function(argument);
}

typedef struct call_arguments {
    contest_function *function;
    void *argument;
} call_arguments;

static int call_root(void *arguments)
{
    call_arguments *given = (call_arguments *)arguments;
    given->function(given->argument);
    return 0;
}

/* One runtime of each size, made when it is first wanted, so that batches do not pay for it. */
static weft_runtime *runtime_of(unsigned workers)
{
    static weft_runtime *runtimes[3];
    const weft_config config = {.workers = workers};
    if (!runtimes[workers])
        duel_need(weft_runtime_create(&runtimes[workers], &config) == 0, "weft_runtime_create");
    return runtimes[workers];
}

static void contest_run(contest_function *function, void *argument)
{
    call_arguments arguments = {function, argument};
    duel_need(weft_runtime_run(runtime_of(1), call_root, &arguments, NULL) == 0,
              "weft_runtime_run");
}

static void contest_yield(void)
{
    weft_yield();
}

static void contest_sleep_us(long us)
{
    duel_need(weft_sleep(weft_in(us * WEFT_USEC)) == 0, "weft_sleep");
}

static void contest_baton_init(contest_baton *baton)
{
    *baton = (weft_semaphore)WEFT_SEMAPHORE_INIT(0);
}

static void contest_pass(contest_baton *baton)
{
    weft_semaphore_release(baton, 1);
}

static void contest_take(contest_baton *baton)
{
    duel_need(weft_semaphore_acquire(baton, WEFT_FOREVER) == 0, "weft_semaphore_acquire");
}

static void contest_gate_init(contest_gate *gate)
{
    *gate = (weft_event)WEFT_EVENT_INIT;
}

static void contest_gate_wait(contest_gate *gate)
{
    duel_need(weft_event_wait(gate, WEFT_FOREVER) == 0, "weft_event_wait");
}

static void contest_gate_open(contest_gate *gate)
{
    weft_event_set(gate);
}

/* ---- two workers -------------------------------------------------------------------------- */

typedef struct two_functions {
    contest_function *left;
    contest_function *right;
    void *argument;
    int met; /* how many of the two have begun: each holds its worker until both have */
} two_functions;

WEFT_FIBER(meet, two_functions *, two, contest_function *, function)
{
    weft__fetch_add_acq_rel(&two->met, 1);
    while (weft__load_acquire(&two->met) < 2)
        duel_pause();
    function(two->argument);
}

static int call_both(void *argument)
{
    two_functions *two = (two_functions *)argument;
    weft_scope(group)
    {
        duel_need(weft_go(&group, meet, two, two->left) == 0, "weft_go");
        duel_need(weft_go(&group, meet, two, two->right) == 0, "weft_go");
    }
    return 0;
}

static void contest_pair(contest_function *left, contest_function *right, void *argument)
{
    two_functions two = {left, right, argument, 0};
    duel_need(weft_runtime_run(runtime_of(2), call_both, &two, NULL) == 0, "weft_runtime_run");
}

#define CONTEST_PAIRS
#define CONTEST_THREADS
#include "fibers.h"

/* ---- the bare switch, three calls deep: inlined, as it is in the library's waits ----------- */

static weft__fiber thread_fiber;
static weft__fiber *other_fiber;

DUEL_FRAME static void third_frame(weft__fiber *from, weft__fiber *to)
{
    weft__context_switch(&from->context, &to->context);
    __asm__ volatile("" ::: "memory");
}

DUEL_FRAME static void second_frame(weft__fiber *from, weft__fiber *to)
{
    third_frame(from, to);
    __asm__ volatile("" ::: "memory");
}

DUEL_FRAME static void first_frame(weft__fiber *from, weft__fiber *to)
{
    second_frame(from, to);
    __asm__ volatile("" ::: "memory");
}

static void answer_switches(void)
{
    weft__fiber_arrived();
    for (;;)
        first_frame(other_fiber, &thread_fiber);
}

static void switch_many(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i += 2)
        first_frame(&thread_fiber, other_fiber);
}

static void duel_switch(const duel_request *request)
{
    weft__fiber_pool pool;
    weft__fiber_pool_init(&pool, (size_t)256 << 10, answer_switches, NULL);
    weft__fiber_adopt_thread(&thread_fiber);
    other_fiber = weft__fiber_pool_get(&pool);
    duel_need(other_fiber != NULL, "weft__fiber_pool_get");
    duel_each(request, switch_many, NULL);
    weft__fiber_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {
        {"switch", duel_switch}, {"yield", duel_yield},   FIBERS_DUELS, {"pair", duel_pair},
        {"thread", duel_thread}, {"asleep", duel_asleep}, {NULL, NULL}};
    return duel_main(argc, argv, weft_version(), duels);
}
