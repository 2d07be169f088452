/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c — WEFT_CHECK=migrate: every fiber that waits goes on in another thread, if there is one.
 *
 * A fiber may move at any wait, but rarely does, so code that keeps something of its thread across
 * one works for months. Forced to move each time, it fails at once. What a thread has and a fiber
 * must not rely on:
 *
 *   errno               is saved and restored by every wait, which is tested here
 *   rounding, traps     belong to the thread: to be restored before a wait
 *   uselocale()         likewise
 *   thread-local data   its address changes; weft's own accessors are tested here
 *
 * The middle two are checked at each wait, with the fiber's name: a wait that begins with a changed
 * mode ends the process.
 *
 * How it moves: a worker about to go on with a fiber that has left from it puts it into the
 * injector instead, where any worker finds it. If the others are busy for long, it gives in. */
#include "debug/check.h"

#include "debug/text.h"
#include "hooks.h"
#include "sys.h"

#include <locale.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of weft__fiber.parked_on: the worker's number and one, and how often it was put back. */
#define WORKER(word) ((word)&0xffffu)
#define ROUND 0x10000u
#define ROUNDS_MAX (40 * ROUND)
#define PATIENT_ROUNDS (8 * ROUND)

uint64_t weft__float_mode(void)
{
#if defined(__x86_64__)
    uint32_t sse;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(sse), "=m"(x87));
    return (uint64_t)(sse & 0xffc0u) << 16 | x87; /* without the flags that operations leave */
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
#else
    return 0;
#endif
}

__attribute__((noreturn)) static void complain(const weft__fiber *fiber, const char *what)
{
    weft__text text;
    weft__text_begin(&text, STDERR_FILENO);
    weft__text_put(&text, "weft: task '");
    weft__text_put(&text, fiber->running != NULL ? fiber->running->name : "?");
    weft__text_put(&text, "' waits with ");
    weft__text_put(&text, what);
    weft__text_put(&text, ", which belongs to the thread: restore it before\n");
    (void)weft__text_flush(&text);
    abort();
}

void weft__check_leaving(weft__worker *worker, weft__fiber *fiber)
{
    if (worker->checks != WEFT__CHECK_GUEST)
        weft__store_relaxed(&fiber->since_ns, weft_now()); /* relaxed: for dumps */
    if (!(worker->checks & WEFT__CHECK_MIGRATE))
        return;
    if (weft__float_mode() != worker->runtime->float_mode)
        complain(fiber, "a changed floating-point mode");
    if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE)
        complain(fiber, "a locale set by uselocale()");
    fiber->parked_on = worker->id + 1;
}

/* Both ways to thread-local storage: a function, and the inlined code of task.h. */
void weft__check_returned(weft__fiber *fiber, int saved_errno)
{
    const weft__worker *worker = weft__worker_self();
    weft_assert(worker != NULL && worker->current == fiber);
    weft_assert(weft__lane_self()->worker_ == worker);
    if (!(worker->checks & WEFT__CHECK_MIGRATE))
        return;
    fiber->parked_on = 0;
    weft_assert(weft__errno_get() == saved_errno); /* in this thread, not where it was before */
    weft_assert(weft__float_mode() == worker->runtime->float_mode);
}

int weft__check_migrate(weft__worker *worker, weft__fiber *fiber)
{
    weft_runtime *runtime = worker->runtime;
    unsigned word = fiber->parked_on;
    if (!(worker->checks & WEFT__CHECK_MIGRATE) || WORKER(word) != worker->id + 1 ||
        runtime->worker_count == 1 || word >= ROUNDS_MAX)
        return 0;
    fiber->parked_on = word + ROUND;
    weft__fiber_mark_ready(fiber);
    weft__injector_push(&runtime->injector, (weft__link *)(void *)&fiber->item);
    weft__runtime_notify(runtime, worker);
    /* From here on the fiber may be running, or have ended. */
    if (word < PATIENT_ROUNDS)
        (void)sched_yield();
    else
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    return 1;
}
