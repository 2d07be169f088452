/* SPDX-License-Identifier: BSD-2-Clause */
/* test_dump.c — a dump shows every worker and every fiber, whatever they do meanwhile. */
#include "process.h"

#include <weft/debug.h>
#include <weft/fiber.h>
#include <weft/sync.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#define CROWD 1000

/* What weft_dump() writes; the caller frees it. */
static char *dump_text(void)
{
    FILE *file = tmpfile();
    if (file == NULL || weft_dump(fileno(file)) != 0)
        return NULL;
    long bytes = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc((size_t)bytes + 1, 1);
    if (text != NULL && pread(fileno(file), text, (size_t)bytes, 0) != bytes)
        text[0] = '\0';
    (void)fclose(file);
    return text;
}

static size_t count_words(const char *text, const char *words)
{
    size_t count = 0;
    for (; (text = strstr(text, words)) != NULL; text++)
        count++;
    return count;
}

/* The line that begins with "fiber N 'name'", for the first N; NULL: there is none. */
static const char *line_of(const char *text, const char *name)
{
    char words[80];
    (void)snprintf(words, sizeof(words), "'%s'", name);
    for (const char *line = text; line != NULL; line = strchr(line + 1, '\n')) {
        const char *begin = line[0] == '\n' ? line + 1 : line;
        const char *found = strstr(begin, words);
        if (strncmp(begin, "fiber ", 6) == 0 && found != NULL && found - begin < 20)
            return begin;
    }
    return NULL;
}

static int is_in_line(const char *line, const char *words)
{
    const char *found = line != NULL ? strstr(line, words) : NULL;
    return found != NULL && found < strchr(line, '\n');
}

/* The same for the lines that belong to the fiber: up to the next that is not indented. */
static int is_in_frames(const char *line, const char *words)
{
    const char *found = line != NULL ? strstr(line, words) : NULL;
    const char *end = line != NULL ? strchr(line, '\n') : NULL;
    while (end != NULL && end[1] == ' ')
        end = strchr(end + 1, '\n');
    return found != NULL && found < end;
}

/* ---- reasons --------------------------------------------------------------------------------- */

static unsigned crowd_count;

static void count_in(void)
{
    weft__fetch_add_acq_rel(&crowd_count, 1);
}

/* Until all others stand where they wait: they have counted, and need a moment more. */
static int await_crowd(unsigned count)
{
    int64_t deadline = weft_in(LIVENESS_NS);
    while (weft__load_acquire(&crowd_count) < count) {
        CHECK(weft_now() < deadline);
        CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
    }
    return weft_sleep(weft_in(LESS_IF_SANITIZED(50, 3000) * WEFT_MSEC)); /* fibers cost TSan a ms */
}

WEFT_FIBER(dozing, unsigned, i)
{
    (void)i;
    count_in();
    if (weft_sleep(WEFT_FOREVER) == 0) /* not its last act: it keeps a frame of its own */
        count_in();
}

static int check_crowd_text(void)
{
    char *text = dump_text();
    CHECK(text != NULL);
    CHECK(count_words(text, "'dozing' sleeps") == CROWD);
    CHECK(count_words(text, "; started at ") == CROWD);
    CHECK(count_words(text, "(weft_sleep") == 0);
    CHECK(count_words(text, "  weft_sleep (") == CROWD);
    CHECK(count_words(text, "  dozing") >= CROWD);
    CHECK(is_in_line(line_of(text, "dozing"), "test_dump.c:"));
    CHECK(is_in_line(line_of(text, "weft_run"), " runs"));
    CHECK(is_in_frames(line_of(text, "weft_run"), "check_crowd"));
    CHECK(strstr(text, "weft: end of dump\n") != NULL);
    free(text);
    return 0;
}

static int check_crowd(void *arg)
{
    int line = 0;
    (void)arg;
    weft__store_release(&crowd_count, 0);
    weft_scope(crowd)
    {
        for (unsigned i = 0; i < CROWD; i++)
            CHECK(weft_go(&crowd, dozing, i) == 0);
        line = await_crowd(CROWD);
        if (line == 0)
            line = check_crowd_text();
        weft_cancel_scope(&crowd);
    }
    return line;
}

static void run_check(int (*check)(void *arg), unsigned workers)
{
    weft_config config = {.workers = workers};
    int line = weft_run(check, NULL, &config);
    if (line != 0)
        fail_msg("line %d fails with %u workers", line, workers);
}

static void test_crowd(void **state)
{
    (void)state;
    run_check(check_crowd, 1);
    run_check(check_crowd, 3);
}

static weft_mutex gate;

WEFT_FIBER(at_mutex, int, unused)
{
    (void)unused;
    count_in();
    weft_mutex_lock(&gate);
    weft_mutex_unlock(&gate);
}

WEFT_FIBER(at_scope, int, unused)
{
    (void)unused;
    weft_scope(inner)
    {
        (void)weft_go(&inner, dozing, 0);
        while (weft__load_acquire(&crowd_count) < 3)
            weft_yield(); /* not to run it ourselves */
    }
}

WEFT_VOID_TASK(stolen_wait, int, unused)
{
    (void)unused;
    count_in();
    weft_mutex_lock(&gate);
    weft_mutex_unlock(&gate);
}

WEFT_FIBER(at_join, int, unused)
{
    (void)unused;
    weft_spawn(task, stolen_wait, 0);
    while (weft__load_acquire(&crowd_count) < 3)
        weft_yield(); /* not to run it ourselves */
    weft_join(task);
}

static int check_reason_lines(void)
{
    char object[40];
    char *text = dump_text();
    CHECK(text != NULL);
    (void)snprintf(object, sizeof(object), "waits for mutex %p", (void *)&gate);
    CHECK(is_in_line(line_of(text, "at_mutex"), object));
    CHECK(is_in_frames(line_of(text, "at_mutex"), "  weft_mutex_lock ("));
    CHECK(is_in_line(line_of(text, "stolen_wait"), object));
    CHECK(is_in_line(line_of(text, "stolen_wait"), "task of "));
    CHECK(is_in_line(line_of(text, "at_scope"), "waits for scope 0x"));
    CHECK(is_in_line(line_of(text, "at_scope"), "in which lives fiber "));
    CHECK(is_in_line(line_of(text, "at_scope"), "'dozing'"));
    CHECK(is_in_line(line_of(text, "at_join"), "waits for task 0x"));
    CHECK(is_in_line(line_of(text, "at_join"), "run by fiber "));
    CHECK(is_in_line(line_of(text, "at_join"), "'stolen_wait'"));
    free(text);
    return 0;
}

static int check_reasons(void *arg)
{
    int line = 0;
    (void)arg;
    weft__store_release(&crowd_count, 0);
    weft_mutex_lock(&gate);
    weft_scope(group)
    {
        CHECK(weft_go(&group, at_mutex, 0) == 0);
        CHECK(weft_go(&group, at_scope, 0) == 0);
        CHECK(weft_go(&group, at_join, 0) == 0);
        line = await_crowd(3);
        if (line == 0)
            line = check_reason_lines();
        weft_mutex_unlock(&gate);
        weft_cancel_scope(&group);
    }
    return line;
}

static void test_reasons(void **state)
{
    (void)state;
    run_check(check_reasons, 2);
    run_check(check_reasons, 4);
}

/* ---- the same facts as values ---------------------------------------------------------------- */

typedef struct tally {
    unsigned running, sleeping, at_mutex, stamped;
} tally;

static void add_up(const weft_fiber_info *info, void *arg)
{
    tally *sum = arg;
    sum->running += info->state == WEFT_FIBER_RUNNING && strcmp(info->name, "weft_run") == 0;
    sum->sleeping += info->state == WEFT_FIBER_WAITING && info->reason == WEFT_REASON_SLEEP &&
                     strcmp(info->name, "dozing") == 0 && info->line > 0;
    sum->at_mutex += info->state == WEFT_FIBER_WAITING && info->reason == WEFT_REASON_MUTEX &&
                     info->object == &gate;
    sum->stamped += info->since_ns != 0 && info->since_ns <= weft_now();
}

static int check_values(void *arg)
{
    tally sum = {0};
    int line = 0;
    size_t count = 0;
    weft__store_release(&crowd_count, 0);
    weft_mutex_lock(&gate);
    weft_scope(group)
    {
        CHECK(weft_go(&group, at_mutex, 0) == 0);
        for (unsigned i = 0; i < 5; i++)
            CHECK(weft_go(&group, dozing, i) == 0);
        line = await_crowd(6);
        count = weft_each_fiber(add_up, &sum);
        weft_mutex_unlock(&gate);
        weft_cancel_scope(&group);
    }
    CHECK_CALL(line);
    CHECK(count == 7 && sum.running == 1 && sum.sleeping == 5 && sum.at_mutex == 1);
    CHECK(arg == NULL || sum.stamped == 6);
    return 0;
}

static int run_stamped(void *arg)
{
    weft_config config = {.workers = 2, .dump_signal = SIGUSR2};
    return weft_run(check_values, arg, &config);
}

static void test_values(void **state)
{
    int yes = 1;
    (void)state;
    run_check(check_values, 2);
    child_end end = in_child(run_stamped, &yes); /* the handler stays: not in this process */
    expect_success(&end);
    assert_int_equal(weft_each_fiber(add_up, &(tally){0}), 0);
    assert_string_equal(weft_reason_name(WEFT_REASON_MUTEX), "mutex");
    assert_string_equal(weft_reason_name(WEFT_REASON_PROCESS), "process");
    assert_string_equal(weft_fiber_state_name(WEFT_FIBER_WAITING), "waiting");
}

/* ---- busy workers ---------------------------------------------------------------------------- */

static unsigned busy_count;

__attribute__((noinline)) static void spin_in_here(void)
{
    count_in();
    while (weft__load_relaxed(&busy_count) == 0) /* relaxed: never set */
        continue;
    __asm__ volatile("" ::: "memory"); /* no tail call */
}

WEFT_FIBER(busy, int, unused)
{
    (void)unused;
    spin_in_here();
}

static int be_busy(void *arg)
{
    (void)arg;
    weft_scope(group)
    {
        CHECK(weft_go(&group, busy, 0) == 0);
        CHECK(weft_go(&group, busy, 0) == 0);
        CHECK(weft_go(&group, busy, 0) == 0);
    }
    return 0;
}

static void *signal_then_leave(void *arg)
{
    (void)wait_for(&crowd_count, 2); /* both workers are in there; the third fiber waits for one */
    (void)kill(getpid(), SIGQUIT);
    sleep_ns(500 * WEFT_MSEC);
    _exit(3);
    return arg;
}

static int run_busy(void *arg)
{
    pthread_t other;
    weft_config config = {.workers = 2, .dump_signal = SIGQUIT};
    int is_blocked_here = arg != NULL;
    sigset_t quit;
    (void)sigemptyset(&quit);
    (void)sigaddset(&quit, SIGQUIT);
    if (is_blocked_here)
        (void)pthread_sigmask(SIG_BLOCK, &quit, NULL);
    if (pthread_create(&other, NULL, signal_then_leave, NULL) != 0)
        return __LINE__;
    return weft_run(be_busy, NULL, &config);
}

static void test_busy(void **state)
{
    int yes = 1;
    (void)state;
#ifdef WEFT__TSAN
    skip(); /* it keeps signals back until their thread calls something */
#endif
    for (int is_blocked = 0; is_blocked < 2; is_blocked++) {
        weft__store_release(&crowd_count, 0);
        child_end end = in_child(run_busy, is_blocked ? &yes : NULL);
        assert_true(WIFEXITED(end.status));
        assert_int_equal(WEXITSTATUS(end.status), 3);
        assert_non_null(strstr(end.errors, "worker 0 runs fiber "));
        assert_non_null(strstr(end.errors, "worker 1 runs fiber "));
        assert_non_null(strstr(end.errors, "weft: end of dump"));
        if (!SANITIZED) /* they keep signals back until the thread calls something */
            assert_int_equal(count_words(end.errors, "  spin_in_here ("), 2);
    }
}

/* ---- a failed assertion ---------------------------------------------------------------------- */

static WEFT__NOINLINE int stumble(void *arg)
{
    weft_mutex_unlock(arg);
    return 0;
}

static int run_stumble(void *arg)
{
    weft_config config = {.workers = 1};
    return weft_run(stumble, arg, &config);
}

static void test_last_words(void **state)
{
    weft_mutex free = WEFT_MUTEX_INIT;
    (void)state;
    child_end end = in_child(run_stumble, &free);
    expect_death(&end, SIGABRT, "the mutex is not locked");
    assert_true(is_in_line(line_of(end.errors, "weft_run"), " runs"));
    assert_true(is_in_frames(line_of(end.errors, "weft_run"), "#0  weft_mutex_unlock"));
    assert_true(is_in_frames(line_of(end.errors, "weft_run"), "  stumble ("));
}

/* ---- odd places ------------------------------------------------------------------------------ */

static int dump_in_child(void *arg)
{
    return weft_dump(*(int *)arg);
}

static int check_fork(void *arg)
{
    int fd = STDERR_FILENO;
    (void)arg;
    child_end end = in_child(dump_in_child, &fd);
    CHECK(is_success(&end));
    CHECK(strstr(end.errors, "dump of process") != NULL && strstr(end.errors, "worker") == NULL);
    return 0;
}

static void test_odd(void **state)
{
    (void)state;
    assert_int_equal(weft_dump(-1), -EBADF);
    errno = 33;
    (void)weft_dump(-1);
    assert_int_equal(errno, 33);
    run_check(check_fork, 2);
}

WEFT_VOID_TASK(shuffle, unsigned, rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        weft_yield();
        if (i % 4 == 0)
            (void)weft_sleep(weft_in(WEFT_USEC * (i % 64)));
        weft_with_lock (&gate)
            weft_yield();
    }
}

static unsigned dump_end;

static void *dump_on_and_on(void *arg)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    unsigned *dumps = arg;
    while (weft__load_acquire(&dump_end) == 0) {
        (void)weft_dump(fd);
        *dumps += 1;
    }
    (void)close(fd);
    return NULL;
}

static int run_shuffle(void *arg)
{
    (void)arg;
    weft_scope(group)
    {
        for (unsigned i = 0; i < 50; i++)
            CHECK(weft_go(&group, shuffle, 40) == 0);
    }
    return 0;
}

/* Nothing crashes, though stacks are walked while their fibers run, and runtimes come and go. */
static void test_stress(void **state)
{
    pthread_t dumper;
    unsigned dumps = 0;
    (void)state;
    weft__store_release(&dump_end, 0);
    assert_int_equal(pthread_create(&dumper, NULL, dump_on_and_on, &dumps), 0);
    int64_t end = weft_in(WEFT_SEC + soak_ns());
    do {
        on_count(3, run_shuffle, NULL);
    } while (weft_now() < end);
    weft__store_release(&dump_end, 1);
    assert_int_equal(pthread_join(dumper, NULL), 0);
    assert_true(dumps > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),      cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_busy),
        cmocka_unit_test(test_odd),        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
