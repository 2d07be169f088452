/* SPDX-License-Identifier: BSD-2-Clause */
/* hang.c — models of core/debug/hang.c: whoever falls asleep last looks whether anybody can ever go
 * on. No alarm is false: nobody does anything after it. Where all sleep for ever it is raised. */
#include "world.h"

#include "common/reactor.h"
#include "debug/hang.h"
#include "debug/registry.h"

#include <string.h>

#define SOON (4 * WEFT_MSEC)

enum { TO_FIBER, TO_THREAD, TO_FIBER_AGAIN, TO_OTHER };

/* ---- no false alarm: letters between a fiber and a plain thread ------------------------------ */

static void fiber_is_over(void)
{
    fiber_ends(0);
    end();
}

static void fiber_answers(void)
{
    post(TO_THREAD);
    fiber_awaits(0, TO_FIBER_AGAIN, fiber_is_over);
}

static void prepare_letter(void)
{
    world_prepare((unsigned)explore_argument(), 0, 1);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_answers);
}

/* It rests while the fiber goes on, whose worker falls asleep afterwards. */
static void correspondent(void)
{
    post(TO_FIBER);
    thread_awaits(TO_THREAD);
    post(TO_FIBER_AGAIN);
    thread_ends();
}

EXPLORE_MODEL(hang_letter) = {.name = "hang.letter",
                              .prepare = prepare_letter,
                              .threads = {worker, correspondent},
                              .finish = world_finish,
                              .argument = 1,
                              .preemptions = 2,
                              .stale = 1};
EXPLORE_MODEL(hang_letter_two) = {.name = "hang.letter-two",
                                  .prepare = prepare_letter,
                                  .threads = {worker, worker, correspondent},
                                  .finish = world_finish,
                                  .argument = 2,
                                  .preemptions = 1,
                                  .stale = 0};

/* ---- no false alarm: two plain threads ------------------------------------------------------- */

/* A fiber waits until the end; one thread wakes another, which goes on and rests anew. */
static void prepare_turns(void)
{
    world_prepare(1, 0, 2);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

static void waker(void)
{
    post(TO_THREAD);
    post(TO_OTHER);
    thread_ends();
}

static void woken(void)
{
    thread_awaits(TO_THREAD);
    thread_awaits(TO_OTHER);
    post(TO_FIBER);
    thread_ends();
}

static void woken_in_scope(void)
{
    thread_awaits_in_scope(TO_THREAD);
    thread_awaits_in_scope(TO_OTHER);
    post(TO_FIBER);
    thread_ends();
}

EXPLORE_MODEL(hang_turns) = {.name = "hang.turns",
                             .prepare = prepare_turns,
                             .threads = {worker, waker, woken},
                             .finish = world_finish,
                             .preemptions = 2,
                             .stale = 1};
EXPLORE_MODEL(hang_turns_scope) = {.name = "hang.turns-scope",
                                   .prepare = prepare_turns,
                                   .threads = {worker, waker, woken_in_scope},
                                   .finish = world_finish,
                                   .preemptions = 2,
                                   .stale = 0};

/* A thread makes another and rests until that has done something; or ends. */
static void maker(void)
{
    thread_makes();
    if (explore_argument() == 0)
        thread_awaits(TO_THREAD);
    thread_ends();
}

static void made(void)
{
    thread_begins();
    post(TO_THREAD);
    post(TO_FIBER);
    thread_ends();
}

static void prepare_birth(void)
{
    world_prepare(1, 0, 1);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

EXPLORE_MODEL(hang_birth) = {.name = "hang.birth",
                             .prepare = prepare_birth,
                             .threads = {worker, maker, made},
                             .finish = world_finish,
                             .preemptions = 2,
                             .stale = 0};
EXPLORE_MODEL(hang_heir) = {.name = "hang.heir",
                            .prepare = prepare_birth,
                            .threads = {worker, maker, made},
                            .finish = world_finish,
                            .argument = 1,
                            .preemptions = 2,
                            .stale = 1};

/* ---- no false alarm: helpers ----------------------------------------------------------------- */

static void prepare_helper(void)
{
    prepare_birth();
    helper_begins();
}

/* A thread that is not counted has a helper end, and starts another. */
static void changer(void)
{
    helper_ends();
    helper_begins();
    post(TO_FIBER);
    thread_ends();
}

EXPLORE_MODEL(hang_helpers) = {.name = "hang.helpers",
                               .prepare = prepare_helper,
                               .threads = {worker, changer},
                               .finish = world_finish,
                               .preemptions = 4,
                               .stale = 2};

/* A helper has news for a fiber, which has some for another. */
static void other_is_over(void)
{
    fiber_ends(1);
    end();
}

static void fiber_passes_on(void)
{
    post(TO_OTHER);
    fiber_ends(0);
}

static void prepare_news(void)
{
    world_prepare(1, 0, 0);
    helper_begins();
    fiber_begins(0, &workers_runtime, WEFT_REASON_PROCESS);
    fiber_awaits(0, TO_FIBER, fiber_passes_on);
    fiber_begins(1, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(1, TO_OTHER, other_is_over);
}

static void helper(void)
{
    post(TO_FIBER);
}

EXPLORE_MODEL(hang_news) = {.name = "hang.news",
                            .prepare = prepare_news,
                            .threads = {worker, helper},
                            .finish = world_finish,
                            .preemptions = 3,
                            .stale = 2};

/* ---- no false alarm: two runtimes ------------------------------------------------------------ */

/* Their fibers send each other letters, and the worker of who has sent one falls asleep. */
static unsigned letters;

static void fiber_of_first(void)
{
    unsigned left = --letters;
    if (left == 0) {
        fiber_is_over();
        return;
    }
    post(TO_OTHER);
    fiber_awaits(0, TO_FIBER, fiber_of_first);
}

static void fiber_of_other(void)
{
    unsigned left = --letters;
    if (left == 0) {
        fiber_ends(1);
        end();
        return;
    }
    post(TO_FIBER);
    fiber_awaits(1, TO_OTHER, fiber_of_other);
}

static void prepare_ball(unsigned count, unsigned letters_in_all)
{
    world_prepare(count, 1, 0);
    letters = letters_in_all;
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_begins(1, &workers_other, WEFT_REASON_EVENT);
    fiber_awaits(1, TO_OTHER, fiber_of_other);
    post(TO_OTHER);
    fiber_awaits(0, TO_FIBER, fiber_of_first);
}

static void prepare_ball_between_two(void)
{
    prepare_ball(1, 2);
}

/* The second worker of the first runtime looks on. */
static void prepare_ball_with_onlooker(void)
{
    prepare_ball(2, 3);
}

EXPLORE_MODEL(hang_ball) = {.name = "hang.ball",
                            .prepare = prepare_ball_between_two,
                            .threads = {worker, worker},
                            .finish = world_finish,
                            .preemptions = 2,
                            .stale = 2};
EXPLORE_MODEL(hang_ball_three) = {.name = "hang.ball-three",
                                  .prepare = prepare_ball_with_onlooker,
                                  .threads = {worker, worker, worker},
                                  .finish = world_finish,
                                  .preemptions = 0,
                                  .stale = 0};

/* The same without all that a worker does to find something and to fall asleep, so that more can be
 * tried between the steps of a look: whoever has the letter claims the next, and announces its own
 * sleep. */
static void prepare_jugglers(void)
{
    world_prepare(2, 1, 0);
    letters = 5;
    workers_runtime.sleepers = 2;
    workers[0].asleep = workers[1].asleep = 1;
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

static void await_claim(weft__worker *self)
{
    while (weft__load_acquire(&self->asleep) != 0)
        explore_park_wait(&self->asleep, 1);
}

static void claim(weft__worker *next)
{
    uint32_t asleep = 1;
    while (!weft__cas_seq_cst(&next->asleep, &asleep, 0)) {
        asleep = 1;
        weft__relax();
    }
    explore_park_wake(&next->asleep, 1);
}

static void announce(weft__worker *self)
{
    weft__store_relaxed(&self->announcements, self->announcements + 1);
    weft__store_seq_cst(&self->asleep, 1);
}

static void juggle(weft__worker *next)
{
    weft__worker *self = weft__worker_self();
    for (;;) {
        await_claim(self);
        acts();
        if (letters == 0)
            return;
        int is_last = --letters == 0;
        claim(next);
        if (is_last)
            return;
        announce(self);
    }
}

static void juggler_of_first(void)
{
    juggle(&workers[2]);
}

static void juggler_of_other(void)
{
    juggle(&workers[0]);
}

/* Asleep from the beginning, until it has looked. */
static void looker(void)
{
    weft__worker *self = weft__worker_self();
    while (weft__hang_watch(self, WEFT_FOREVER) != WEFT_FOREVER)
        continue;
}

EXPLORE_MODEL(hang_jugglers) = {.name = "hang.jugglers",
                                .prepare = prepare_jugglers,
                                .threads = {juggler_of_first, looker, juggler_of_other},
                                .finish = world_finish,
                                .preemptions = 3,
                                .stale = 0};

/* ---- no false alarm: a deadline, a file ------------------------------------------------------ */

static void prepare_timer(void)
{
    world_prepare(2, 0, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_SLEEP);
    fiber_sleeps(0, SOON, fiber_is_over);
}

EXPLORE_MODEL(hang_timer) = {.name = "hang.timer",
                             .prepare = prepare_timer,
                             .threads = {worker, worker},
                             .finish = world_finish,
                             .preemptions = 2,
                             .stale = 1};

/* Somebody else than a thread of this process makes it ready. It does not matter what the fiber
 * says that it waits for. */
static void file_is_ready(void)
{
    file_go_on();
    fiber_is_over();
}

static void fiber_reads(void)
{
    file_install(&workers_runtime);
    fiber_awaits_file(0, file_is_ready);
}

static void prepare_file(void)
{
    file_prepare();
    world_prepare((unsigned)explore_argument(), 0, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    post(TO_FIBER);
    fiber_awaits(0, TO_FIBER, fiber_reads);
}

EXPLORE_MODEL(hang_file) = {.name = "hang.file",
                            .prepare = prepare_file,
                            .threads = {worker, file_make_ready},
                            .finish = world_finish,
                            .argument = 1,
                            .preemptions = 2,
                            .stale = 1};
EXPLORE_MODEL(hang_file_two) = {.name = "hang.file-two",
                                .prepare = prepare_file,
                                .threads = {worker, worker, file_make_ready},
                                .finish = world_finish,
                                .argument = 2,
                                .preemptions = 1,
                                .stale = 0};

/* A worker of the other runtime looks while the reactor is made. */
static void prepare_file_of_other(void)
{
    file_prepare();
    world_prepare(1, 1, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    post(TO_FIBER);
    fiber_awaits(0, TO_FIBER, fiber_reads);
    fiber_begins(1, &workers_other, WEFT_REASON_EVENT);
    fiber_awaits(1, TO_OTHER, fiber_is_over);
}

EXPLORE_MODEL(hang_file_other) = {.name = "hang.file-other",
                                  .prepare = prepare_file_of_other,
                                  .threads = {worker, worker, file_make_ready},
                                  .finish = world_finish,
                                  .preemptions = 1,
                                  .stale = 1};

/* One of two fibers does not say what it waits for: it may come from where no thread is counted. */
static void prepare_unknown(void)
{
    world_prepare(1, 0, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_UNKNOWN);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
    fiber_begins(1, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(1, TO_OTHER, fiber_is_over);
}

static void outsider(void)
{
    post(TO_FIBER);
}

EXPLORE_MODEL(hang_unknown) = {.name = "hang.unknown",
                               .prepare = prepare_unknown,
                               .threads = {worker, outsider},
                               .finish = world_finish,
                               .preemptions = 2,
                               .stale = 1};

/* ---- no false alarm: runtimes that come and go ----------------------------------------------- */

static weft_runtime passing;

static void begin_passing(void)
{
    weft__registry_remove(&passing); /* of an execution that was broken off */
    memset(&passing, 0, sizeof passing);
}

static void prepare_passing(void)
{
    world_prepare(1, 0, 1);
    begin_passing();
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

/* It is the last in the list, behind one that is looked at. */
static void prepare_passing_last(void)
{
    prepare_passing();
    weft__registry_remove(&workers_runtime);
    weft__registry_add(&passing);
    weft__registry_add(&workers_runtime);
}

/* One without workers. What becomes of its memory is a race with whoever still looks. */
static void passer(void)
{
    if (explore_argument() == 0) /* it is not there yet */
        weft__registry_add(&passing);
    weft__registry_remove(&passing);
    explore_plain_write(&passing.next_runtime);
    explore_plain_write(&passing.fork_count);
    explore_plain_write(&passing.worker_count);
    post(TO_FIBER);
    thread_ends();
}

EXPLORE_MODEL(hang_passing) = {.name = "hang.passing",
                               .prepare = prepare_passing,
                               .threads = {worker, passer},
                               .finish = world_finish,
                               .preemptions = 3,
                               .stale = 2};

EXPLORE_MODEL(hang_passing_last) = {.name = "hang.passing-last",
                                    .prepare = prepare_passing_last,
                                    .threads = {worker, passer},
                                    .finish = world_finish,
                                    .argument = 1,
                                    .preemptions = 3,
                                    .stale = 2};

/* ---- no false alarm: a forked child ---------------------------------------------------------- */

/* A thread of the parent rests, it has a helper, and its workers are awake, for all that the child
 * knows. */
static void prepare_parent(unsigned threads)
{
    world_prepare(1, 1, threads);
    helper_begins();
    weft__thread_rests();
    weft__hang_noted.is_told = 1;
    world_forks(1);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

static void prepare_child(void)
{
    prepare_parent(1);
}

static void sender(void)
{
    post(TO_FIBER);
    thread_ends();
}

/* One of the child's own goes, which is behind the parent's in the list. */
static void prepare_child_passing(void)
{
    prepare_parent(1);
    begin_passing();
    passing.fork_count = weft__fork_count();
    weft__registry_remove(&workers_other);
    weft__registry_add(&passing);
    weft__registry_add(&workers_other);
}

EXPLORE_MODEL(hang_child_passing) = {.name = "hang.child-passing",
                                     .prepare = prepare_child_passing,
                                     .threads = {worker, passer},
                                     .finish = world_finish,
                                     .argument = 1,
                                     .preemptions = 3,
                                     .stale = 2};

EXPLORE_MODEL(hang_child) = {.name = "hang.child",
                             .prepare = prepare_child,
                             .threads = {worker, sender},
                             .finish = world_finish,
                             .preemptions = 3,
                             .stale = 2};

/* ---- true alarms ----------------------------------------------------------------------------- */

static void prepare_child_that_hangs(void)
{
    prepare_parent(0);
}

EXPLORE_MODEL(hang_child_told) = {.name = "hang.child-told",
                                  .prepare = prepare_child_that_hangs,
                                  .threads = {worker},
                                  .finish = world_finish,
                                  .hangs = &told,
                                  .preemptions = 3,
                                  .stale = 2};

/* Nobody but the workers, of which the last to fall asleep looks once. */
static void prepare_told(void)
{
    world_prepare((unsigned)explore_argument(), 0, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

EXPLORE_MODEL(hang_told) = {.name = "hang.told",
                            .prepare = prepare_told,
                            .threads = {worker, worker},
                            .argument = 2,
                            .finish = world_finish,
                            .hangs = &told,
                            .preemptions = 2,
                            .stale = 1};
/* Beside helpers, that have nobody to wake. */
static void prepare_told_beside_helper(void)
{
    prepare_told();
    helper_begins();
}

EXPLORE_MODEL(hang_told_helper) = {.name = "hang.told-helper",
                                   .prepare = prepare_told_beside_helper,
                                   .threads = {worker},
                                   .argument = 1,
                                   .finish = world_finish,
                                   .hangs = &told,
                                   .preemptions = 3,
                                   .stale = 2};
EXPLORE_MODEL(hang_told_three) = {.name = "hang.told-three",
                                  .prepare = prepare_told,
                                  .threads = {worker, worker, worker},
                                  .argument = 3,
                                  .finish = world_finish,
                                  .hangs = &told,
                                  .preemptions = 1,
                                  .stale = 1};

/* A runtime each: the last of all looks at both. */
static void prepare_told_by_other(void)
{
    world_prepare(1, 1, 0);
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
    fiber_begins(1, &workers_other, WEFT_REASON_EVENT);
    fiber_awaits(1, TO_OTHER, fiber_is_over);
}

EXPLORE_MODEL(hang_told_other) = {.name = "hang.told-other",
                                  .prepare = prepare_told_by_other,
                                  .threads = {worker, worker},
                                  .finish = world_finish,
                                  .hangs = &told,
                                  .preemptions = 2,
                                  .stale = 1};

/* The same from where both sleep, until both have looked. */
static void prepare_lookers(void)
{
    prepare_told();
    workers_runtime.sleepers = 2;
    for (unsigned i = 0; i < 2; i++)
        workers[i].asleep = 1;
}

static void finish_told(void)
{
    explore_check(told == 1);
    world_finish();
}

EXPLORE_MODEL(hang_lookers) = {.name = "hang.lookers",
                               .prepare = prepare_lookers,
                               .threads = {looker, looker},
                               .finish = finish_told,
                               .argument = 2,
                               .preemptions = 2,
                               .stale = 2};

/* A plain thread goes to rest when the workers have looked before; they look again. */
static void prepare_late(void)
{
    world_prepare((unsigned)explore_argument(), 0, 1);
    workers_runtime.hang = WEFT_HANG_EXIT;
    weft__hang_patience_ns = 4 * WEFT_MSEC;
    fiber_begins(0, &workers_runtime, WEFT_REASON_EVENT);
    fiber_awaits(0, TO_FIBER, fiber_is_over);
}

static void latecomer(void)
{
    thread_awaits(TO_THREAD);
}

EXPLORE_MODEL(hang_late) = {.name = "hang.late",
                            .prepare = prepare_late,
                            .threads = {worker, latecomer},
                            .finish = world_finish,
                            .argument = 1,
                            .hangs = &told,
                            .patient = 1,
                            .preemptions = 2,
                            .stale = 1};
EXPLORE_MODEL(hang_late_two) = {.name = "hang.late-two",
                                .prepare = prepare_late,
                                .threads = {worker, worker, latecomer},
                                .finish = world_finish,
                                .argument = 2,
                                .hangs = &told,
                                .patient = 1,
                                .preemptions = 0,
                                .stale = 1};
