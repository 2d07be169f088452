/* SPDX-License-Identifier: BSD-2-Clause */
/* test_hang.c — a program in which nothing can happen any more says who waits for whom, and ends;
 * one in which something still can is left alone. */
#include "process.h"

#include <weft/fiber.h>
#include <weft/sync.h>

#include <errno.h>
#include <pthread.h>

#include "debug/hang.h"
#include "sched/worker.h"

/* ThreadSanitizer has a thread of its own that might do something, so no hang is certain there.
 * ctest: TIMEOUT 60 LABELS no-tsan */

static weft_mutex first, second;
static unsigned begun;

typedef struct program {
    int (*fn)(void *arg);
    weft_config config;
} program;

static int run_program(void *arg)
{
    const program *self = arg;
    return weft_run(self->fn, NULL, &self->config);
}

static child_end end_of(int (*fn)(void *arg), unsigned workers, weft_hang_policy hang)
{
    program self = {.fn = fn, .config = {.workers = workers, .hang = hang}};
    return in_child(run_program, &self);
}

static void expect_hang(const child_end *end, const char *const *words)
{
    if (!WIFEXITED(end->status) || WEXITSTATUS(end->status) != WEFT_EXIT_HANG)
        fail_msg("the child should end with status 86; status %#x, said: %s", (unsigned)end->status,
                 end->errors);
    for (; *words != NULL; words++)
        if (strstr(end->errors, *words) == NULL)
            fail_msg("the child should say \"%s\"; said: %s", *words, end->errors);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- hangs ----------------------------------------------------------------------------------- */

static int lock_both(weft_mutex *one, weft_mutex *other)
{
    weft_mutex_lock(one);
    weft__fetch_add_acq_rel(&begun, 1);
    while (weft__load_acquire(&begun) < 2)
        (void)weft_sleep(weft_in(WEFT_MSEC));
    weft_mutex_lock(other);
    return 0;
}

WEFT_FIBER(left, int, unused)
{
    (void)unused;
    (void)lock_both(&first, &second);
}

WEFT_FIBER(right, int, unused)
{
    (void)unused;
    (void)lock_both(&second, &first);
}

static int two_mutexes(void *arg)
{
    (void)arg;
    weft_scope(group)
    {
        CHECK(weft_go(&group, left, 0) == 0);
        CHECK(weft_go(&group, right, 0) == 0);
    }
    return 0;
}

static void test_mutexes(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers++) {
        child_end end = end_of(two_mutexes, workers, WEFT_HANG_EXIT);
        expect_hang(&end, WORDS("the program hangs", "'left' waits for mutex",
                                "'right' waits for mutex", "held by fiber",
                                "test_hang.c:", "a cycle: fiber", "waits for scope", "status 86"));
    }
}

WEFT_VOID_TASK(wants_first, int, unused)
{
    (void)unused;
    weft__store_release(&begun, 1);
    weft_mutex_lock(&first);
}

/* The joiner holds what the task that it joins wants. */
static int join_of_a_waiter(void *arg)
{
    (void)arg;
    weft_mutex_lock(&first);
    weft_spawn(task, wants_first, 0);
    CHECK(wait_for(&begun, 1));
    weft_join(task);
    return 0;
}

static void test_join(void **state)
{
    (void)state;
    child_end end = end_of(join_of_a_waiter, 2, WEFT_HANG_EXIT);
    expect_hang(&end, WORDS("'weft_run' waits for task", "run by fiber", "'wants_first' waits for",
                            "'weft_run', for", "a cycle: "));
}

WEFT_FIBER(needs_owner, int, unused)
{
    (void)unused;
    weft_mutex_lock(&first);
}

static int scope_of_a_waiter(void *arg)
{
    (void)arg;
    weft_mutex_lock(&first);
    weft_scope(group) CHECK(weft_go(&group, needs_owner, 0) == 0);
    return 0;
}

static void test_scope(void **state)
{
    (void)state;
    child_end end = end_of(scope_of_a_waiter, 2, WEFT_HANG_EXIT);
    expect_hang(&end, WORDS("waits for scope", "in which lives fiber", "'needs_owner' waits for",
                            "a cycle: "));
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_FOREVER);
}

static void test_forgotten(void **state)
{
    (void)state;
    child_end end = end_of(sleep_for_ever, 3, WEFT_HANG_EXIT);
    expect_hang(&end, WORDS("'weft_run' sleeps"));
    assert_null(strstr(end.errors, "cycle"));
}

/* Two plain threads, each in a call into the runtime; a third in a lock. */
static weft_runtime *shared;

static int lock_first(void *arg)
{
    weft_mutex_lock(&first);
    return arg != NULL;
}

static void *run_on_shared(void *arg)
{
    (void)weft_runtime_run(shared, lock_first, arg, NULL);
    return NULL;
}

static void *lock_as_thread(void *arg)
{
    weft_mutex_lock(&first);
    return arg;
}

/* Somebody could cancel its scope; but nobody will. */
static void *lock_in_scope(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    weft_scope(inner)
    {
        weft_cancel_scope(&inner);
        if (weft_event_wait(&never, WEFT_FOREVER) != -ECANCELED)
            return arg;
    }
    int rc = 0;
    weft_scope(outer) rc = weft_mutex_lock_until(&first, WEFT_FOREVER);
    return rc == 0 ? NULL : arg;
}

/* Three threads that nobody wakes: one runs a fiber, the others do what is given. */
static int hang_three(void *(*other)(void *arg), void *(*last)(void *arg))
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT};
    pthread_t threads[2];
    CHECK(weft_runtime_create(&shared, &config) == 0);
    weft_mutex_lock(&first);
    CHECK(pthread_create(&threads[0], NULL, run_on_shared, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, other, NULL) == 0);
    (void)last(NULL);
    return __LINE__;
}

static int threads_in_scopes(void *arg)
{
    (void)arg;
    return hang_three(lock_in_scope, lock_in_scope);
}

static int plain_threads(void *arg)
{
    (void)arg;
    return hang_three(lock_as_thread, run_on_shared);
}

static void test_threads(void **state)
{
    (void)state;
    child_end end = in_child(plain_threads, NULL);
    expect_hang(&end, WORDS("'weft_run' waits for mutex", "held by thread "));
    end = in_child(threads_in_scopes, NULL);
    expect_hang(&end, WORDS("'weft_run' waits for mutex", "held by thread "));
}

/* ---- policies -------------------------------------------------------------------------------- */

static int sleep_until_killed(void *arg)
{
    (void)alarm(1);
    return sleep_for_ever(arg);
}

static void test_policies(void **state)
{
    (void)state;
    child_end end = end_of(sleep_until_killed, 2, WEFT_HANG_IGNORE);
    expect_death(&end, SIGALRM, "");
    assert_string_equal(end.errors, "");
    end = end_of(sleep_until_killed, 2, WEFT_HANG_REPORT);
    expect_death(&end, SIGALRM, "the program hangs");
    expect_death(&end, SIGALRM, "'weft_run' sleeps");
}

/* ---- no hangs -------------------------------------------------------------------------------- */

static void expect_calm(const child_end *end)
{
    expect_success(end);
    assert_string_equal(end->errors, "");
}

static int sleep_a_little(void *arg)
{
    (void)arg;
    return weft_sleep(weft_in(400 * WEFT_MSEC));
}

static void *unlock_later(void *arg)
{
    weft_mutex_lock(&first);
    weft__store_release(&begun, 1);
    sleep_ns(400 * WEFT_MSEC);
    weft_mutex_unlock(&first);
    return arg;
}

static int wait_for_thread(void *arg)
{
    pthread_t other;
    (void)arg;
    CHECK(pthread_create(&other, NULL, unlock_later, NULL) == 0);
    CHECK(wait_for(&begun, 1));
    weft_mutex_lock(&first);
    (void)pthread_join(other, NULL);
    return 0;
}

/* The thread that will go on is in a wait of weft's, but with a deadline. */
static int wait_for_sleeper(void *arg)
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT};
    pthread_t other;
    (void)arg;
    CHECK(weft_runtime_create(&shared, &config) == 0);
    weft_mutex_lock(&first);
    CHECK(pthread_create(&other, NULL, run_on_shared, NULL) == 0);
    CHECK(weft_sleep(weft_in(400 * WEFT_MSEC)) == 0);
    weft_mutex_unlock(&first);
    (void)pthread_join(other, NULL);
    return weft_runtime_destroy(shared);
}

static void leave(int signal_number)
{
    _exit(signal_number == SIGALRM ? 0 : 1);
}

/* Nobody knows what a handler does. */
static int wait_for_handler(void *arg)
{
    (void)signal(SIGALRM, leave);
    return sleep_until_killed(arg);
}

static int commit_to_nobody(weft__waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return 1;
}

WEFT_FIBER(waits_for_unknown, int, unused)
{
    weft__waiter waiter;
    (void)unused;
    weft__wait(&waiter, commit_to_nobody, NULL);
}

/* A wait that does not say what it is for may be ended by anybody, who may then end all others. */
static int wait_for_unknown(void *arg)
{
    (void)arg;
    (void)alarm(1);
    weft_scope(group) CHECK(weft_go(&group, waits_for_unknown, 0) == 0);
    return __LINE__;
}

static int nothing(void *arg)
{
    weft_yield();
    return arg != NULL;
}

/* Threads that have rested before do not count twice. */
static int wait_again_for_thread(void *arg)
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT};
    CHECK(weft_run(nothing, NULL, &config) == 0);
    CHECK(weft_run(wait_for_thread, arg, &config) == 0);
    return 0;
}

static void test_calm(void **state)
{
    (void)state;
    child_end end = end_of(sleep_a_little, 2, WEFT_HANG_EXIT);
    expect_calm(&end);
    end = end_of(wait_for_thread, 2, WEFT_HANG_EXIT);
    expect_calm(&end);
    end = in_child(wait_again_for_thread, NULL);
    expect_calm(&end);
    end = in_child(wait_for_sleeper, NULL);
    expect_calm(&end);
    end = end_of(wait_for_handler, 2, WEFT_HANG_EXIT);
    expect_calm(&end);
    end = end_of(wait_for_unknown, 2, WEFT_HANG_EXIT);
    expect_death(&end, SIGALRM, "");
    assert_string_equal(end.errors, "");
}

/* ---- looking all the time -------------------------------------------------------------------- */

/* A plain thread and a fiber that take turns, each asleep while the other runs: two mutexes, handed
 * to and fro. Whoever sleeps last looks at once, and must always find that the other will go on. */
static weft_mutex turn[2];

static int take_turns(void *arg)
{
    unsigned side = arg == NULL;
    for (unsigned i = 0; i < LESS_IF_SANITIZED(5000u, 500u); i++) {
        weft_mutex_lock(&turn[side]);
        weft_mutex_unlock(&turn[1 - side]);
    }
    return 0;
}

static void *run_turns(void *arg)
{
    (void)weft_runtime_run(shared, take_turns, NULL, NULL);
    return arg;
}

static int look_at_turns(void *arg)
{
    weft_config config = {.workers = *(unsigned *)arg, .hang = WEFT_HANG_EXIT};
    pthread_t other;
    weft__hang_patience_ns = 1;
    CHECK(weft_runtime_create(&shared, &config) == 0);
    weft_mutex_lock(&turn[0]);
    weft_mutex_lock(&turn[1]);
    CHECK(pthread_create(&other, NULL, run_turns, NULL) == 0);
    weft_mutex_unlock(&turn[0]);
    CHECK(take_turns(arg) == 0);
    (void)pthread_join(other, NULL);
    return weft_runtime_destroy(shared);
}

/* The calling thread sleeps in many short calls, between which workers sleep. */
static int look_at_runs(void *arg)
{
    weft_config config = {.workers = *(unsigned *)arg, .hang = WEFT_HANG_EXIT, .spin_ns = 1};
    weft__hang_patience_ns = 1;
    CHECK(weft_runtime_create(&shared, &config) == 0);
    for (unsigned i = 0; i < LESS_IF_SANITIZED(5000u, 500u); i++)
        CHECK(weft_runtime_run(shared, nothing, NULL, NULL) == 0);
    return weft_runtime_destroy(shared);
}

WEFT_FIBER(nap, unsigned, i)
{
    for (unsigned k = 0; k < LESS_IF_SANITIZED(100u, 20u); k++)
        (void)weft_sleep(weft_in(WEFT_USEC * (1 + (i * 37 + k * 101) % 2000)));
}

static int take_naps(void *arg)
{
    (void)arg;
    weft_scope(group)
    {
        for (unsigned i = 0; i < 8; i++)
            CHECK(weft_go(&group, nap, i) == 0);
    }
    return 0;
}

/* Somebody always sleeps until a deadline, and seldom the one who fell asleep last. */
static int look_at_naps(void *arg)
{
    weft_config config = {.workers = *(unsigned *)arg, .hang = WEFT_HANG_EXIT, .spin_ns = 1};
    weft__hang_patience_ns = 1;
    return weft_run(take_naps, NULL, &config);
}

static void test_stress(void **state)
{
    int64_t end_ns = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 3; workers++) {
            child_end end = in_child(look_at_turns, &workers);
            expect_calm(&end);
            end = in_child(look_at_runs, &workers);
            expect_calm(&end);
            end = in_child(look_at_naps, &workers);
            expect_calm(&end);
        }
    } while (weft_now() < end_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutexes), cmocka_unit_test(test_join),
        cmocka_unit_test(test_scope),   cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_policies),
        cmocka_unit_test(test_calm),    cmocka_unit_test(test_stress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
