/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wakes.c — two parties that do nothing but wait for each other, over each primitive in turn:
 * a wake-up that is lost stops them for ever, one too many shows in the number they exchange.
 *
 *     party 0:  number = 2k      signal 1 ─────►  party 1:  it is 2k?  number = 2k + 1
 *               it is 2k + 1?  ◄───── signal 0
 *
 * The number is a plain variable: what is written before a signal is to be seen after it. The
 * parties are fibers or threads, together or far from each other, and both come a little too early
 * or too late, by chance. Arguments: a primitive's name, and how many rounds. test_wakes_soak.c
 * makes ten million with each.
 * ctest: TIMEOUT 120 */
#include "crew.h"

#include <weft/channel.h>
#include <weft/fiber.h>
#include <weft/runtime.h>

#include "hooks.h"

#ifndef ROUNDS
#define ROUNDS LESS_IF_SANITIZED(20000, 2000)
#endif
#define PAIRS_MAX 3

enum mode { WRITER, READER };

/* What two parties have between them; [i] is what party i waits for. */
typedef struct line {
    uint64_t number; /* plain */
    uint64_t rounds;
    uint64_t random[2];
    weft_mutex mutex[2];
    weft_rwlock rwlock[2];
    enum mode mode[2];
    weft_mutex guard;
    weft_cond cond[2];
    int is_told[2];
    weft_semaphore semaphore[2];
    weft_event event[2];
    weft_latch latch[2];
    weft_barrier barrier[2];
    weft_channel *direct[2];
    weft_channel *buffered[2];
    uint64_t timeouts[2];
} line;

typedef struct primitive {
    const char *name;
    int (*signal)(line *l, unsigned to, uint64_t number); /* a line that failed, or 0 */
    int (*await)(line *l, unsigned self, uint64_t number);
} primitive;

/* ---- the primitives -------------------------------------------------------------------------- */

/* A mutex is held; whoever is signalled is unlocked. */
static int signal_mutex(line *l, unsigned to, uint64_t number)
{
    (void)number;
    weft_mutex_unlock(&l->mutex[to]);
    return 0;
}

static int await_mutex(line *l, unsigned self, uint64_t number)
{
    (void)number;
    weft_mutex_lock(&l->mutex[self]);
    return 0;
}

/* The same, of either kind: each knows how the other holds its lock, for it waits. */
static int signal_rwlock(line *l, unsigned to, uint64_t number)
{
    (void)number;
    if (l->mode[to] == WRITER)
        weft_rwlock_write_unlock(&l->rwlock[to]);
    else
        weft_rwlock_read_unlock(&l->rwlock[to]);
    return 0;
}

static int await_rwlock(line *l, unsigned self, uint64_t number)
{
    /* Who waits to write is kept out by a reader, who waits to read by a writer only. */
    enum mode wanted = l->mode[self] == WRITER && number / 2 % 2 == 0 ? READER : WRITER;
    if (wanted == WRITER)
        weft_rwlock_write_lock(&l->rwlock[self]);
    else
        weft_rwlock_read_lock(&l->rwlock[self]);
    l->mode[self] = wanted;
    return 0;
}

static int signal_cond(line *l, unsigned to, uint64_t number)
{
    weft_with_lock (&l->guard) {
        l->is_told[to] = 1;
        if (number % 4 < 2)
            weft_cond_notify(&l->cond[to], 1);
    }
    if (number % 4 >= 2)
        weft_cond_notify_all(&l->cond[to]);
    return 0;
}

static int await_cond(line *l, unsigned self, uint64_t number)
{
    (void)number;
    weft_with_lock (&l->guard) {
        while (!l->is_told[self])
            CHECK(weft_cond_wait(&l->cond[self], &l->guard, WEFT_FOREVER) == 0);
        l->is_told[self] = 0;
    }
    return 0;
}

static int signal_semaphore(line *l, unsigned to, uint64_t number)
{
    (void)number;
    CHECK(weft_semaphore_release(&l->semaphore[to], 1) == 0);
    return 0;
}

static int await_semaphore(line *l, unsigned self, uint64_t number)
{
    (void)number;
    CHECK(weft_semaphore_acquire(&l->semaphore[self], WEFT_FOREVER) == 0);
    return 0;
}

/* A deadline passes just before, while, or just after it is granted. */
static int await_in_time(line *l, unsigned self, uint64_t number)
{
    int64_t deadline = weft_in((int64_t)(next_random(&l->random[self]) % 4096));
    int rc = weft_semaphore_acquire(&l->semaphore[self], deadline);
    if (rc == 0)
        return 0;
    CHECK(rc == -ETIMEDOUT);
    l->timeouts[self]++;
    return await_semaphore(l, self, number);
}

static int signal_event(line *l, unsigned to, uint64_t number)
{
    (void)number;
    weft_event_set(&l->event[to]);
    return 0;
}

static int await_event(line *l, unsigned self, uint64_t number)
{
    (void)number;
    CHECK(weft_event_wait(&l->event[self], WEFT_FOREVER) == 0);
    weft_event_clear(&l->event[self]);
    return 0;
}

static int signal_latch(line *l, unsigned to, uint64_t number)
{
    (void)number;
    weft_latch_count_down(&l->latch[to], 1);
    return 0;
}

/* Whoever has passed it may make it anew. */
static int await_latch(line *l, unsigned self, uint64_t number)
{
    (void)number;
    CHECK(weft_latch_wait(&l->latch[self], WEFT_FOREVER) == 0);
    l->latch[self] = (weft_latch)WEFT_LATCH_INIT(1);
    return 0;
}

static int meet(weft_barrier *barrier)
{
    int place = weft_barrier_wait(barrier, WEFT_FOREVER);
    CHECK(place == 0 || place == 1);
    return 0;
}

static int signal_barrier(line *l, unsigned to, uint64_t number)
{
    (void)number;
    return meet(&l->barrier[to]);
}

static int await_barrier(line *l, unsigned self, uint64_t number)
{
    (void)number;
    return meet(&l->barrier[self]);
}

static int signal_channel(line *l, unsigned to, uint64_t number)
{
    CHECK(weft_channel_push(l->direct[to], &number, WEFT_FOREVER) == 0);
    return 0;
}

static int await_channel(line *l, unsigned self, uint64_t number)
{
    uint64_t got;
    CHECK(weft_channel_pop(l->direct[self], &got, WEFT_FOREVER) == 0);
    CHECK(got == number);
    return 0;
}

static int signal_buffered(line *l, unsigned to, uint64_t number)
{
    CHECK(weft_channel_push(l->buffered[to], &number, WEFT_FOREVER) == 0);
    return 0;
}

static int await_buffered(line *l, unsigned self, uint64_t number)
{
    uint64_t got;
    CHECK(weft_channel_pop(l->buffered[self], &got, WEFT_FOREVER) == 0);
    CHECK(got == number);
    return 0;
}

/* Either by one channel or by the other, as a select or not. */
static int signal_select(line *l, unsigned to, uint64_t number)
{
    weft_case cases[] = {WEFT_CASE_PUSH(number % 3 == 0 ? l->direct[to] : NULL, &number),
                         WEFT_CASE_PUSH(number % 3 != 0 ? l->buffered[to] : NULL, &number)};
    if (number % 2 == 0)
        return number % 3 == 0 ? signal_channel(l, to, number) : signal_buffered(l, to, number);
    CHECK(weft_select(cases, 2, WEFT_FOREVER) == (number % 3 != 0));
    return 0;
}

static int await_select(line *l, unsigned self, uint64_t number)
{
    uint64_t got;
    weft_case cases[] = {WEFT_CASE_POP(l->direct[self], &got),
                         WEFT_CASE_POP(l->buffered[self], &got)};
    CHECK(weft_select(cases, 2, WEFT_FOREVER) == (number % 3 != 0));
    CHECK(got == number);
    return 0;
}

/* ---- the parties ----------------------------------------------------------------------------- */

static void linger(line *l, unsigned self)
{
    for (uint64_t i = next_random(&l->random[self]) % 32; i > 0; i--)
        weft__relax();
}

static int play_first(const primitive *p, line *l)
{
    for (uint64_t k = 0; k < l->rounds; k++) {
        l->number = 2 * k;
        CHECK_CALL(p->signal(l, 1, 2 * k));
        linger(l, 0);
        CHECK_CALL(p->await(l, 0, 2 * k + 1));
        CHECK(l->number == 2 * k + 1);
    }
    return 0;
}

static int play_second(const primitive *p, line *l)
{
    for (uint64_t k = 0; k < l->rounds; k++) {
        CHECK_CALL(p->await(l, 1, 2 * k));
        CHECK(l->number == 2 * k);
        l->number = 2 * k + 1;
        linger(l, 1);
        CHECK_CALL(p->signal(l, 0, 2 * k + 1));
    }
    return 0;
}

typedef struct match {
    const primitive *primitive;
    line lines[PAIRS_MAX];
} match;

static int play(void *arg, unsigned index)
{
    match *m = arg;
    line *l = &m->lines[index / 2];
    return index % 2 == 0 ? play_first(m->primitive, l) : play_second(m->primitive, l);
}

/* ---- where they play ------------------------------------------------------------------------- */

typedef struct place {
    unsigned fibers, threads, workers;
} place;

static const place places[] = {
    {2, 0, 1}, /* one worker */
    {2, 0, 2}, /* one each: both look for work while the other's is on its way */
    {1, 1, 1}, /* a fiber and a thread */
    {0, 2, 0}, /* two threads */
    {6, 0, 3}, /* more than there are processors: workers fall asleep */
};
#define PLACES (sizeof places / sizeof places[0])

static int open_line(line *l, uint64_t rounds, uint64_t seed)
{
    weft_channel_spec direct = {.elem_bytes = sizeof(uint64_t)};
    weft_channel_spec buffered = {.elem_bytes = sizeof(uint64_t), .capacity = 1};
    *l = (line){.rounds = rounds, .random = {seed, ~seed}};
    for (int i = 0; i < 2; i++) {
        weft_mutex_lock(&l->mutex[i]);
        weft_rwlock_write_lock(&l->rwlock[i]);
        l->latch[i] = (weft_latch)WEFT_LATCH_INIT(1);
        l->barrier[i] = (weft_barrier)WEFT_BARRIER_INIT(2);
        CHECK(weft_channel_create(&l->direct[i], &direct) == 0);
        CHECK(weft_channel_create(&l->buffered[i], &buffered) == 0);
    }
    return 0;
}

static void close_line(line *l)
{
    for (int i = 0; i < 2; i++) {
        weft_channel_destroy(l->direct[i]);
        weft_channel_destroy(l->buffered[i]);
    }
}

static void play_at(const place *where, const primitive *p, uint64_t rounds)
{
    match m = {.primitive = p};
    unsigned pairs = (where->fibers + where->threads) / 2;
    crew all = {play, &m, where->fibers, where->threads, where->workers};
    for (unsigned i = 0; i < pairs; i++)
        assert_int_equal(open_line(&m.lines[i], rounds / pairs + 1, i), 0);
    int failed = run_crew(&all);
    if (failed != 0)
        fail_msg("line %d fails with %u fibers, %u threads, %u workers", failed, where->fibers,
                 where->threads, where->workers);
    for (unsigned i = 0; i < pairs; i++)
        close_line(&m.lines[i]);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static const primitive primitives[] = {
    {"mutex", signal_mutex, await_mutex},       {"rwlock", signal_rwlock, await_rwlock},
    {"cond", signal_cond, await_cond},          {"semaphore", signal_semaphore, await_semaphore},
    {"timer", signal_semaphore, await_in_time}, {"event", signal_event, await_event},
    {"latch", signal_latch, await_latch},       {"barrier", signal_barrier, await_barrier},
    {"channel", signal_channel, await_channel}, {"buffered", signal_buffered, await_buffered},
    {"select", signal_select, await_select},
};
#define PRIMITIVES (sizeof primitives / sizeof primitives[0])

static uint64_t rounds_wanted = ROUNDS;

static void test_primitive(void **state)
{
    for (size_t i = 0; i < PLACES; i++)
        play_at(&places[i], *state, rounds_wanted / PLACES);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[PRIMITIVES];
    size_t count = 0;
    if (argc > 2)
        rounds_wanted = strtoull(argv[2], NULL, 10);
    for (size_t i = 0; i < PRIMITIVES; i++)
        if (argc < 2 || strcmp(argv[1], primitives[i].name) == 0)
            tests[count++] =
                (struct CMUnitTest){.name = primitives[i].name,
                                    .test_func = test_primitive,
                                    .initial_state = (void *)(uintptr_t)&primitives[i]};
    return count == 0 ? 1 : _cmocka_run_group_tests("wakes", tests, count, NULL, NULL);
}
