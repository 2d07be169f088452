/* SPDX-License-Identifier: BSD-2-Clause */
/* explore.c — which thread goes next, and the search through all the answers.
 *
 * The threads of a model are stacks of one thread of the system. Before each shared access the
 * running thread asks which thread goes first (engine_point), and during it which store it sees
 * (engine_choose). An execution is the list of the answers; those other than 0, with their places,
 * are the trace, which replays it:
 *
 *     depth-first    all lists within the bounds, those with fewer preemptions first
 *     random         every answer by chance
 *     PCT            the thread with the highest priority runs, and changes of priority happen at a
 *                    few random places: finds a bug that needs d of them with a known probability
 *                    (Burckhardt and others, ASPLOS 2010)
 *
 * A thread that goes on need not be asked before an access that only it makes, or before a load of
 * a word that only it writes: another thread would do the same after it. Which words these are is
 * learnt on the way, and the search is repeated until nothing new is learnt.
 *
 * Never: an answer that depends on anything but the answers before it. */
#include "engine.h"

#include "fiber/switch.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STACK_BYTES ((size_t)64 << 10)
#define STEPS_MAX 4000     /* accesses in one execution; more is a livelock */
#define IDLE_ROUNDS_MAX 30 /* times that all threads waited and nobody wrote */
#define IDLE_TICKS_MAX 50  /* ticks of the clock without an access */
#define PERSISTENCE_MAX 2  /* rounds of a waiting loop that others may sleep through */
#define PASSED_OVER_MAX 3  /* times in a row that those who wait prefer others to a thread */
#define BRANCHES_MAX 65536
#define TRACE_MAX 4096
#define CHANGES_MAX 8
#define REPLAYS 100
#define MESSAGE_BYTES 512
#define FIBERS_MAX 16

typedef enum thread_state { ABSENT, READY, BLOCKED, CRASHED, DONE } thread_state;

typedef struct thread {
    thread_state state;
    unsigned persisted;   /* times in a row that it went on although it waits */
    unsigned passed_over; /* times that it could have gone on when others waited */
    bool is_waiting;      /* has called explore_yield(), and nobody has written since */
    bool is_postponed;    /* others go before `next`, and nobody has done anything that matters */
    engine_step next;
    explore_sleep sleeps[EXPLORE_SLEEPS_MAX]; /* what a BLOCKED one sleeps on */
    unsigned sleep_count;                     /* 0: it is not in the middle of a sleep */
    int hit;                                  /* which of them a wake was for, the last */
    void (*body)(void);
    weft__context context;
    unsigned priority; /* PCT's */
} thread;

/* A fiber's, which threads switch to by themselves. */
typedef struct extra_stack {
    const char *low;
    size_t bytes;
    void *const *pointer; /* where it stands while nobody is on it */
} extra_stack;

typedef struct branch {
    uint16_t count;
    uint16_t value;
} branch;

typedef struct answer {
    unsigned at; /* number of the question */
    unsigned value;
} answer;

static char stacks[ACTORS][STACK_BYTES] __attribute__((aligned(64)));

static struct {
    const explore_model *model;
    const engine_settings *settings;

    /* The search. */
    engine_mode mode;
    unsigned preemptions_max;
    unsigned stale_max;
    branch branches[BRANCHES_MAX];
    unsigned branch_count;
    uint64_t random;
    unsigned changes[CHANGES_MAX];
    unsigned steps_longest;
    uint64_t executions;
    uint64_t steps_total;
    double begin; /* when the search began */
    bool is_late;
    bool is_verbose;

    /* The execution. */
    thread threads[ACTORS];
    extra_stack fibers[FIBERS_MAX];
    unsigned fiber_count;
    weft__context outside;
    unsigned current;
    unsigned questions;
    unsigned branch_at; /* the next of `branches` */
    unsigned steps;
    unsigned idle_rounds;
    unsigned preemptions, stale, spurious, crashes, no_memory; /* used up */
    answer trace[TRACE_MAX];
    unsigned trace_count;
    unsigned replay_at;
    char message[MESSAGE_BYTES];
    bool is_inside; /* a thread runs */
    bool is_failed;
    bool is_redundant; /* another execution with no more preemptions does the same */
} run;

/* ---- endless loops ------------------------------------------------------------------------- */

/* Time passes, by the ticks of a clock: a thread that makes no access in a second makes none ever.
 * Two ticks would be too few, since a guest's clock may go on while the machine stands still; they
 * do to see a loop again that is known. */
void engine_tick(void)
{
    static uint64_t before;
    static unsigned idle_ticks;
    uint64_t now = run.executions * (STEPS_MAX + 1) + run.steps;
    idle_ticks = run.is_inside && now == before ? idle_ticks + 1 : 0;
    before = now;
    if (idle_ticks >= (run.mode == MODE_REPLAY ? 2 : IDLE_TICKS_MAX))
        engine_fail("a loop without end and without an access");
}

/* ---- answers ------------------------------------------------------------------------------- */

static uint64_t next_random(void)
{
    uint64_t x = run.random += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static unsigned from_branches(unsigned count)
{
    if (run.branch_at == run.branch_count) {
        if (run.branch_count == BRANCHES_MAX)
            engine_fail("the model asks too many questions");
        run.branches[run.branch_count++] = (branch){(uint16_t)count, 0};
    }
    branch *b = &run.branches[run.branch_at++];
    if (b->count != count)
        engine_fail("the model is not deterministic");
    return b->value;
}

static unsigned from_trace(unsigned at)
{
    if (run.replay_at < run.trace_count && run.trace[run.replay_at].at == at)
        return run.trace[run.replay_at++].value;
    return 0;
}

static void record(unsigned at, unsigned value)
{
    if (value == 0 || run.mode == MODE_REPLAY)
        return;
    if (run.trace_count == TRACE_MAX)
        engine_fail("livelock: the trace is too long");
    run.trace[run.trace_count++] = (answer){at, value};
}

/* Questions with a single answer are not counted: a replay skips them too. */
unsigned engine_choose(unsigned count, bool is_fixed)
{
    if (count <= 1 || run.current == PREPARER)
        return 0;
    unsigned at = run.questions++;
    unsigned value = 0;
    if (run.mode == MODE_REPLAY)
        value = from_trace(at);
    else if (is_fixed)
        value = 0;
    else if (run.mode == MODE_DEPTH_FIRST)
        value = from_branches(count);
    else if (next_random() % 4 == 0)
        value = (unsigned)(next_random() % count);
    if (value >= count)
        engine_fail("the trace does not fit the model");
    record(at, value);
    return value;
}

/* PCT's answer: the thread of the highest priority. */
static unsigned highest(const unsigned *candidates, unsigned count)
{
    unsigned best = 0;
    for (unsigned i = 1; i < count; i++)
        if (run.threads[candidates[i]].priority > run.threads[candidates[best]].priority)
            best = i;
    return best;
}

static unsigned choose_thread(const unsigned *candidates, unsigned count, bool is_fixed)
{
    if (run.mode != MODE_PCT || count <= 1)
        return engine_choose(count, is_fixed);
    unsigned value = highest(candidates, count);
    record(run.questions++, value);
    return value;
}

/* ---- threads ------------------------------------------------------------------------------- */

unsigned engine_current(void)
{
    return run.current;
}

bool engine_is_running(unsigned i)
{
    return run.threads[i].state == READY || run.threads[i].state == BLOCKED;
}

static void switch_to(unsigned next)
{
    thread *from = &run.threads[run.current];
    from->persisted = 0;
    run.threads[next].passed_over = 0;
    run.current = next;
    weft__context_switch(&from->context, &run.threads[next].context);
}

__attribute__((noreturn)) static void leave(void)
{
    weft__context_switch(&run.threads[run.current].context, &run.outside);
    abort();
}

void engine_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run.message, sizeof run.message, format, arguments);
    va_end(arguments);
    run.is_failed = true;
    leave();
}

void explore_fail(const char *what)
{
    engine_fail("%s", what);
}

void engine_say(const char *format, ...)
{
    if (!run.is_verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    if (run.current == PREPARER)
        printf("        -   ");
    else
        printf("%6u  %*sT%u  ", run.questions, 4 * (int)run.current, "", run.current);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

/* Threads that can go on instead of the current one, from the next on round; those that wait for a
 * change only if `are_waiting_too`. */
static unsigned others(unsigned *list, bool are_waiting_too)
{
    unsigned count = 0;
    for (unsigned i = 1; i < EXPLORE_THREADS_MAX; i++) {
        unsigned id = (run.current + i) % EXPLORE_THREADS_MAX;
        const thread *t = &run.threads[id];
        if (t->state == READY && (are_waiting_too || !t->is_waiting))
            list[count++] = id;
    }
    return count;
}

static void change_priority(void)
{
    for (unsigned i = 0; i + 1 < run.settings->depth && i < CHANGES_MAX; i++)
        if (run.changes[i] == run.steps)
            run.threads[run.current].priority = run.settings->depth - 1 - i;
}

void engine_makes(engine_step step)
{
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++) {
        thread *t = &run.threads[i];
        if (t->is_postponed && i != run.current &&
            (step.word == NULL ||
             (step.word == t->next.word && (step.is_write || t->next.is_write))))
            t->is_postponed = false;
    }
}

/* Others go first. If none of them does anything that `step` can notice, or that notices it, then
 * the same happens if the thread makes it at once and is preempted afterwards: a list of answers
 * that comes before this one. */
static void postpone(engine_step step, unsigned next)
{
    thread *self = &run.threads[run.current];
    run.preemptions++;
    self->next = step;
    self->is_postponed = run.mode == MODE_DEPTH_FIRST && step.word != NULL;
    switch_to(next);
    run.is_redundant = self->is_postponed;
    if (run.is_redundant)
        leave();
}

void engine_point(engine_step step, bool is_local)
{
    if (run.current == PREPARER)
        return;
    if (++run.steps > STEPS_MAX)
        engine_fail("livelock: %d accesses and no end", STEPS_MAX);
    if (run.mode == MODE_PCT)
        change_priority();
    unsigned candidates[EXPLORE_THREADS_MAX] = {run.current};
    unsigned count = 1 + others(candidates + 1, false);
    bool is_bound = run.mode == MODE_DEPTH_FIRST && run.preemptions >= run.preemptions_max;
    unsigned chosen = choose_thread(candidates, count, is_local || is_bound);
    if (chosen != 0)
        postpone(step, candidates[chosen]);
}

void engine_has_written(void)
{
    run.idle_rounds = 0;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        run.threads[i].is_waiting = false;
}

/* Whoever could wake the sleepers has stopped for ever, or that nobody will has been noticed. */
static bool may_sleep_for_ever(void)
{
    const explore_model *model = run.model;
    if (model->hangs != NULL)
        return memory_newest(model->hangs) != 0;
    return run.crashes > 0 && model->ends == NULL;
}

/* The current thread cannot go on: somebody else must, or the execution is over. */
static void give_way(void)
{
    unsigned candidates[EXPLORE_THREADS_MAX];
    unsigned count = others(candidates, false);
    if (count == 0)
        count = others(candidates, true);
    if (count > 0) {
        switch_to(candidates[choose_thread(candidates, count, false)]);
        return;
    }
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        if (run.threads[i].state == BLOCKED && !may_sleep_for_ever())
            engine_fail("deadlock: thread %u sleeps and nobody will wake it", i);
    leave();
}

/* The current thread waits: which of these goes on? A thread that never has its turn, because the
 * others wait for it and do so busily, would make an execution without end. */
static unsigned choose_fairly(const unsigned *candidates, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (run.threads[candidates[i]].passed_over >= PASSED_OVER_MAX)
            return candidates[i];
    for (unsigned i = 0; i < count; i++)
        run.threads[candidates[i]].passed_over++;
    return candidates[choose_thread(candidates, count, false)];
}

static int errnos[ACTORS];

int explore_errno_get(void)
{
    return errnos[run.current];
}

void explore_errno_set(int value)
{
    errnos[run.current] = value;
}

void explore_yield(void)
{
    if (run.current == PREPARER)
        return;
    if (++run.steps > STEPS_MAX)
        engine_fail("livelock: %d accesses and no end", STEPS_MAX);
    unsigned candidates[EXPLORE_THREADS_MAX];
    unsigned count = others(candidates, false);
    thread *self = &run.threads[run.current];
    engine_makes((engine_step){NULL, true});
    if (count > 0 && engine_choose(2, self->persisted >= PERSISTENCE_MAX)) {
        self->persisted++;
        return;
    }
    self->is_waiting = true;
    if (count == 0) {
        if (++run.idle_rounds > IDLE_ROUNDS_MAX)
            engine_fail("livelock: all threads wait, and nobody writes");
        count = others(candidates, true);
        for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
            run.threads[i].is_waiting = false;
    }
    if (count > 0)
        switch_to(choose_fairly(candidates, count));
}

static void thread_main(void)
{
    thread *self = &run.threads[run.current];
    self->body();
    engine_say("ends");
    self->state = DONE;
    if (run.current == PREPARER)
        leave();
    engine_has_written();
    give_way();
    abort();
}

static void start(unsigned id, void (*body)(void))
{
    thread *t = &run.threads[id];
    char *top = stacks[id] + STACK_BYTES - 64;
    *t = (thread){.state = READY, .body = body, .priority = 100 + (unsigned)(next_random() % 900)};
    t->context.resume_at = (void *)(uintptr_t)thread_main;
#if defined(__x86_64__)
    top -= sizeof(void *); /* as after a call */
#endif
    t->context.stack = top;
}

void explore_stack(const void *low, size_t bytes, void *const *pointer)
{
    if (run.fiber_count == FIBERS_MAX)
        engine_fail("the model has too many stacks");
    run.fibers[run.fiber_count++] = (extra_stack){low, bytes, pointer};
}

static bool is_within(const void *address, const char *low, size_t bytes)
{
    return (size_t)((const char *)address - low) < bytes;
}

/* How deep a stack is used, as far as somebody else can know: a thread stands on it, or nobody. */
static const void *depth_of(const char *low, size_t bytes, const void *at_rest)
{
    if (is_within(__builtin_frame_address(0), low, bytes))
        return NULL;
    for (unsigned i = 0; i < ACTORS; i++) {
        const thread *t = &run.threads[i];
        if (i != run.current && t->state != ABSENT && t->state != DONE &&
            is_within(t->context.stack, low, bytes))
            return t->context.stack;
    }
    return is_within(at_rest, low, bytes) ? at_rest : NULL;
}

bool engine_is_dead_frame(const void *address)
{
    unsigned owner = (unsigned)((size_t)((const char *)address - stacks[0]) / STACK_BYTES);
    if (is_within(address, stacks[0], sizeof stacks))
        return owner != run.current &&
               (run.threads[owner].state == DONE ||
                (const char *)address < (const char *)depth_of(stacks[owner], STACK_BYTES, NULL));
    for (unsigned i = 0; i < run.fiber_count; i++) {
        const extra_stack *one = &run.fibers[i];
        if (is_within(address, one->low, one->bytes))
            return (const char *)address <
                   (const char *)depth_of(one->low, one->bytes, *one->pointer);
    }
    return false;
}

/* Take a sleeper off a word's list. One that sleeps on several words is on the others' until it
 * runs, as in the kernel: a wake there is used up, though it wakes nobody any more. */
static bool take_off(thread *t, const uint32_t *word)
{
    for (unsigned i = 0; i < t->sleep_count; i++) {
        if (t->sleeps[i].word != word)
            continue;
        t->sleeps[i].word = NULL;
        t->hit = (int)i;
        return true;
    }
    return false;
}

/* ---- what else may happen ------------------------------------------------------------------- */

bool engine_may_be_stale(void)
{
    return run.mode == MODE_REPLAY || run.stale < run.stale_max;
}

void engine_is_stale(void)
{
    run.stale++;
}

/* Wake up to `count` of those who sleep on a word: how many. */
static int wake(const uint32_t *word, int count)
{
    int woken = 0;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX && woken < count; i++) {
        thread *t = &run.threads[i];
        while (woken < count && take_off(t, word)) {
            if (t->state == BLOCKED)
                t->state = READY;
            if (t->sleep_count > 1) /* it takes itself off the other lists, under their locks */
                memory_tell(i);
            t->is_waiting = false;
            woken++;
            engine_say("wakes T%u", i);
        }
    }
    return woken;
}

/* What the kernel does when a process is dead: nobody can come between it and the end. */
static void tell_of_end(void)
{
    static const explore_site site = {"the kernel: an end", EXPLORE_ACQ_REL};
    uint32_t *ends = run.model->ends;
    if (ends == NULL)
        return;
    (void)explore_fetch_add((explore_access){ends, sizeof *ends, &site}, 1);
    (void)wake(ends, INT_MAX);
}

void explore_crash_point(int number)
{
    if (run.current == PREPARER || run.model->crashes == 0 || run.current < run.model->survivors)
        return;
    if (!engine_choose(2, run.crashes >= run.model->crashes))
        return;
    run.crashes++;
    engine_makes((engine_step){NULL, true});
    tell_of_end();
    engine_say("stops for ever at crash point %d", number);
    run.threads[run.current].state = CRASHED;
    give_way();
    abort();
}

void *explore_hook_alloc(size_t bytes)
{
    if (run.current != PREPARER && run.model->no_memory != 0 &&
        engine_choose(2, run.no_memory >= run.model->no_memory)) {
        run.no_memory++;
        engine_say("gets no memory");
        return NULL;
    }
    return explore_alloc(bytes);
}

static bool has_changed(const explore_sleep sleeps[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (memory_newest(sleeps[i].word) != sleeps[i].expected)
            return true;
    return false;
}

int explore_park_any(const explore_sleep sleeps[], unsigned count)
{
    engine_step step = {count == 1 ? sleeps[0].word : NULL, true};
    engine_point(step, false);
    engine_makes(step);
    if (has_changed(sleeps, count)) {
        engine_say("does not sleep, the word has changed");
        return -1;
    }
    if (run.model->spurious != 0 && engine_choose(2, run.spurious >= run.model->spurious)) {
        run.spurious++;
        engine_say("wakes up for no reason");
        return -1;
    }
    if (run.current == PREPARER)
        engine_fail("deadlock: nobody is left to wake who prepares or finishes");
    thread *self = &run.threads[run.current];
    self->state = BLOCKED;
    self->sleep_count = count;
    self->hit = -1;
    memcpy(self->sleeps, sleeps, count * sizeof sleeps[0]);
    engine_say("sleeps");
    give_way();
    if (count > 1)
        engine_makes(step); /* off all lists */
    self->sleep_count = 0;
    return self->hit;
}

void explore_park_wait(const uint32_t *word, uint32_t expected)
{
    (void)explore_park_any(&(explore_sleep){word, expected}, 1);
}

/* Time is not modelled: a deadline may pass at any moment, so it passes at once, after whatever the
 * other threads do first. Nonzero: it has passed. */
int explore_park_until(const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX) {
        explore_park_wait(word, expected);
        return 0;
    }
    if (run.model->patient)
        explore_yield();
    else
        engine_point((engine_step){word, false}, false);
    engine_say("its deadline passes");
    return 1;
}

int explore_park_wake(const uint32_t *word, int count)
{
    engine_step step = {word, true};
    engine_point(step, false);
    engine_makes(step);
    return wake(word, count);
}

/* ---- for models ---------------------------------------------------------------------------- */

unsigned explore_self(void)
{
    return run.current;
}

uint64_t explore_argument(void)
{
    return run.model->argument;
}

unsigned explore_crashed(void)
{
    engine_makes((engine_step){NULL, true});
    return run.crashes;
}

int explore_has_died(unsigned number)
{
    engine_step step = {NULL, true};
    engine_point(step, false);
    engine_makes(step);
    if (run.threads[number].state != CRASHED)
        return 0;
    memory_follow(number);
    engine_say("learns that T%u is dead", number);
    return 1;
}

/* ---- one execution ------------------------------------------------------------------------- */

static void go(unsigned first)
{
    run.current = first;
    run.is_inside = true;
    weft__context_switch(&run.outside, &run.threads[first].context);
    run.is_inside = false;
}

static void run_preparer(void (*body)(void))
{
    if (body == NULL || run.is_failed || run.is_redundant)
        return;
    start(PREPARER, body);
    go(PREPARER);
}

static void run_threads(void)
{
    const explore_model *model = run.model;
    if (run.is_failed)
        return;
    memory_fork();
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX && model->threads[i] != NULL; i++)
        start(i, model->threads[i]);
    run.current = EXPLORE_THREADS_MAX - 1;
    unsigned candidates[EXPLORE_THREADS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        if (run.threads[i].state == READY)
            candidates[count++] = i;
    go(candidates[choose_thread(candidates, count, false)]);
    memory_join();
}

static void execute(void)
{
    memory_reset();
    for (unsigned i = 0; i < ACTORS; i++)
        run.threads[i].state = ABSENT;
    run.questions = run.branch_at = run.steps = run.idle_rounds = run.replay_at = 0;
    run.preemptions = run.stale = run.spurious = run.crashes = run.no_memory = 0;
    run.fiber_count = 0;
    run.is_failed = run.is_redundant = false;
    if (run.mode != MODE_REPLAY)
        run.trace_count = 0;
    for (unsigned i = 0; i < CHANGES_MAX; i++)
        run.changes[i] = run.steps_longest ? (unsigned)(next_random() % run.steps_longest) : 0;
    run_preparer(run.model->prepare);
    run_threads();
    run_preparer(run.model->finish);
    if (!run.is_failed && !run.is_redundant && run.crashes == 0 && memory_left_over() > 0) {
        (void)snprintf(run.message, sizeof run.message, "leak: %u blocks of memory are left over",
                       memory_left_over());
        run.is_failed = true;
    }
    run.executions++;
    run.steps_total += run.steps;
    if (run.steps > run.steps_longest)
        run.steps_longest = run.steps;
}

/* ---- searches ------------------------------------------------------------------------------ */

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether a search ends before it is complete: by count, or by time, looked at now and then. */
static bool is_exhausted(void)
{
    uint64_t most = run.settings->executions;
    if (run.settings->seconds > 0 && run.executions % 1024 == 0)
        run.is_late = seconds_now() - run.begin > run.settings->seconds;
    return run.is_late || (most != 0 && run.executions >= most);
}

/* The next list of answers in depth-first order: false if this was the last. */
static bool advance(void)
{
    run.branch_count = run.branch_at;
    while (run.branch_count > 0) {
        branch *b = &run.branches[run.branch_count - 1];
        if (++b->value < b->count)
            return true;
        run.branch_count--;
    }
    return false;
}

static void search_depth_first(void)
{
    unsigned bound_max = run.preemptions_max;
    for (unsigned bound = 0; bound <= bound_max; bound++) {
        run.preemptions_max = bound;
        do {
            run.branch_count = 0;
            do {
                execute();
                if (run.is_failed || is_exhausted())
                    return;
            } while (advance());
        } while (memory_has_learnt());
    }
}

static void search_randomly(void)
{
    do {
        if (run.executions % 1024 == 1)
            (void)memory_has_learnt();
        run.random = run.settings->seed * 0x2545f4914f6cdd1dU + run.executions;
        execute();
    } while (!run.is_failed && !is_exhausted());
}

/* Read "12:1,40:2". */
static void read_trace(const char *text)
{
    char *rest = NULL;
    run.trace_count = 0;
    while (*text != '\0' && run.trace_count < TRACE_MAX) {
        unsigned at = (unsigned)strtoul(text, &rest, 10);
        unsigned value = *rest == ':' ? (unsigned)strtoul(rest + 1, &rest, 10) : 0;
        run.trace[run.trace_count++] = (answer){at, value};
        text = *rest == '\0' ? rest : rest + 1;
    }
}

static void print_trace(void)
{
    for (unsigned i = 0; i < run.trace_count; i++)
        printf("%s%u:%u", i > 0 ? "," : "", run.trace[i].at, run.trace[i].value);
    if (run.trace_count == 0)
        printf("0:0");
}

/* Show a failure line by line, then see whether its trace leads to it every time. */
static void report(void)
{
    char message[MESSAGE_BYTES];
    memcpy(message, run.message, sizeof message);
    uint64_t found_at = run.executions;
    engine_mode mode = run.mode;
    run.mode = MODE_REPLAY;
    if (!run.settings->is_quiet) {
        run.is_verbose = true;
        execute();
        run.is_verbose = false;
    }
    unsigned same = 0;
    for (unsigned i = 0; i < REPLAYS; i++) {
        execute();
        same += run.is_failed && strcmp(run.message, message) == 0;
    }
    printf("%s: FAILED in execution %llu: %s\n", run.model->name, (unsigned long long)found_at,
           message);
    if (mode == MODE_RANDOM || mode == MODE_PCT)
        printf("  seed %llu\n", (unsigned long long)run.settings->seed);
    printf("  replays %u of %d times: %s %s --replay ", same, REPLAYS, run.settings->program,
           run.model->name);
    print_trace();
    (void)putchar('\n');
}

static void print_clean(void)
{
    printf("%-24s clean: %9llu executions %11llu steps %7.2f s", run.model->name,
           (unsigned long long)run.executions, (unsigned long long)run.steps_total,
           seconds_now() - run.begin);
    if (run.mode == MODE_DEPTH_FIRST)
        printf("  bound %u, stale %u%s", run.preemptions_max, run.stale_max,
               is_exhausted() ? ", incomplete" : "");
    (void)putchar('\n');
    (void)fflush(stdout);
}

static unsigned preemptions_of(const explore_model *model, const engine_settings *settings)
{
    if (settings->preemptions >= 0)
        return (unsigned)settings->preemptions;
    unsigned most =
        settings->preemptions_most < 0 ? UINT32_MAX : (unsigned)settings->preemptions_most;
    unsigned bound = model->preemptions + (unsigned)settings->deeper;
    return bound < most ? bound : most;
}

int engine_search(const explore_model *model, const engine_settings *settings)
{
    run.model = model;
    run.settings = settings;
    run.mode = settings->mode;
    run.preemptions_max = preemptions_of(model, settings);
    run.stale_max = settings->stale < 0 ? model->stale : (unsigned)settings->stale;
    run.executions = run.steps_total = run.steps_longest = 0;
    run.begin = seconds_now();
    run.is_late = false;
    memory_forget();
    if (run.mode == MODE_DEPTH_FIRST) {
        search_depth_first();
    } else if (run.mode == MODE_REPLAY) {
        read_trace(settings->replay);
        execute();
    } else {
        search_randomly();
    }
    if (run.is_failed) {
        report();
        return 1;
    }
    print_clean();
    return 0;
}
