/* SPDX-License-Identifier: BSD-2-Clause */
/* test_process.c — child processes: what Python's multiprocessing.Process promises, and what it
 * does not: no zombies, no descriptors that leak either way, nobody left when the caller is killed.
 *
 * The rows of Python's documentation have a test each, named after them. */
/* ctest: TIMEOUT 120 */
#include "../core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>

#include <weft/process.h>

#include "process/start.h"

#include "alloc.h"

static int global = 1;

__attribute__((constructor)) static void construct(void)
{
    global = 2;
}

static weft_process *start(int (*body)(weft_child *), const weft_process_config *config)
{
    weft_process *process = NULL;
    assert_int_equal(weft_process_start(&process, body, config), 0);
    assert_non_null(process);
    return process;
}

/* Join, close, and tell how it ended. */
static int finish(weft_process *process)
{
    int code = 12345;
    assert_int_equal(weft_process_join(process, weft_in(LIVENESS_NS)), 0);
    assert_false(weft_process_is_alive(process));
    assert_int_equal(weft_process_exitcode(process, &code), 0);
    assert_int_equal(weft_process_close(process), 0);
    return code;
}

static int run(int (*body)(weft_child *), const weft_process_config *config)
{
    return finish(start(body, config));
}

static int with_arg(int (*body)(weft_child *), const void *arg, size_t bytes)
{
    return run(body, &(weft_process_config){.arg = arg, .arg_bytes = bytes});
}

/* ---- bodies: each answers 0, or the line that failed, as far as a status can tell ------------ */

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(STDERR_FILENO, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int nothing(weft_child *self)
{
    (void)self;
    return 0;
}

static int sleep_long(weft_child *self)
{
    (void)self;
    sleep_ns(2 * LIVENESS_NS);
    return 0;
}

/* Wait until the first descriptor's other end is closed. */
static int sleep_until_closed(weft_child *self)
{
    char byte;
    return (int)read(self->fds[0], &byte, 1);
}

static int return_arg(weft_child *self)
{
    return *(int *)self->arg;
}

static int exit_with_arg(weft_child *self)
{
    exit(*(int *)self->arg);
}

static int raise_arg(weft_child *self)
{
    (void)signal(*(int *)self->arg, SIG_DFL); /* sanitizers catch some */
    (void)raise(*(int *)self->arg);
    return 0;
}

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 31 + i / 251);
}

static int check_pattern(weft_child *self)
{
    unsigned char *byte = self->arg;
    EXPECT((byte == NULL) == (self->arg_bytes == 0));
    EXPECT(((uintptr_t)byte & 63) == 0);
    for (size_t i = 0; i < self->arg_bytes; i++)
        EXPECT(byte[i] == pattern(i));
    for (size_t i = 0; i < self->arg_bytes; i++)
        byte[i] = 0; /* it is ours */
    return 0;
}

static int check_globals(weft_child *self)
{
    (void)self;
    EXPECT(global == 2); /* constructed, and untouched by the caller */
    global = 3;
    return 0;
}

/* ---- Process(target, args, name) ------------------------------------------------------------- */

static void test_target_and_args(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 16 << 10, (16 << 10) + 1, 5 << 20};
    static unsigned char bytes[5 << 20];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (weft_process_method method = WEFT_PROCESS_DEFAULT; method <= WEFT_PROCESS_EXEC;
             method++)
            assert_int_equal(
                run(check_pattern,
                    &(weft_process_config){.arg = bytes, .arg_bytes = sizes[i], .method = method}),
                0);
    assert_int_equal(bytes[1], pattern(1)); /* the children wrote to copies */
}

static void test_own_memory(void **state)
{
    (void)state;
    global = 100;
    assert_int_equal(run(check_globals, NULL), 0);
    assert_int_equal(run(check_globals, NULL), 0); /* nor did the first child change it */
    assert_int_equal(run(check_globals, &(weft_process_config){.method = WEFT_PROCESS_EXEC}), 0);
    assert_int_equal(global, 100);
}

static int check_name(weft_child *self)
{
    char thread_name[17] = "";
    FILE *file = fopen("/proc/self/comm", "r");
    EXPECT(file != NULL && fgets(thread_name, sizeof(thread_name), file) != NULL);
    (void)fclose(file);
    EXPECT(strcmp(self->name, "counter") == 0);
    EXPECT(strcmp(thread_name, "counter\n") == 0);
    return 0;
}

static void test_name(void **state)
{
    char longest[65] = "";
    weft_process *one = start(nothing, NULL);
    weft_process *two = start(nothing, NULL);
    weft_process *named = start(check_name, &(weft_process_config){.name = "counter"});
    (void)state;
    assert_string_equal(weft_process_name(named), "counter");
    assert_int_equal(strncmp(weft_process_name(one), "process-", 8), 0);
    assert_string_not_equal(weft_process_name(one), weft_process_name(two));
    assert_int_equal(finish(one), 0);
    assert_int_equal(finish(two), 0);
    assert_int_equal(finish(named), 0);
    memset(longest, 'n', 64);
    assert_int_equal(weft_process_start(&one, nothing, &(weft_process_config){.name = longest}),
                     -EINVAL);
    longest[63] = '\0';
    assert_int_equal(run(nothing, &(weft_process_config){.name = longest}), 0);
    assert_int_equal(
        run(check_name, &(weft_process_config){.name = "counter", .method = WEFT_PROCESS_EXEC}), 0);
}

static void test_bad_configurations(void **state)
{
    static const int many[WEFT_PROCESS_FDS_MAX + 1];
    weft_process *process = NULL;
    weft_process_config bad[] = {{.arg_bytes = 1},
                                 {.fd_count = 1},
                                 {.fds = many, .fd_count = WEFT_PROCESS_FDS_MAX + 1},
                                 {.arg = many, .arg_bytes = SIZE_MAX},
                                 {.method = 77}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(weft_process_start(&process, nothing, &bad[i]), -EINVAL);
    int closed = 999999;
    assert_int_equal(weft_process_start(&process, nothing,
                                        &(weft_process_config){.fds = &closed, .fd_count = 1}),
                     -EBADF);
    /* A function that lies in no file, as one made by a just-in-time compiler. */
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(weft_process_start(&process, (int (*)(weft_child *))(uintptr_t)page, NULL),
                     -EINVAL);
    assert_int_equal(munmap(page, 4096), 0);
    assert_null(process);
    assert_int_equal(run(nothing, NULL), 0);
}

/* ---- join, is_alive, exitcode, sentinel, close ----------------------------------------------- */

static void test_join_with_timeout(void **state)
{
    int code = 7;
    weft_process *process = start(sleep_long, NULL);
    (void)state;
    assert_int_equal(weft_process_join(process, WEFT_POLL), -ETIMEDOUT);
    int64_t deadline = weft_in(20 * WEFT_MSEC);
    assert_int_equal(weft_process_join(process, deadline), -ETIMEDOUT);
    assert_true(weft_now() >= deadline);
    assert_int_equal(weft_process_exitcode(process, &code), -EAGAIN);
    assert_int_equal(code, 7);
    assert_int_equal(weft_process_kill(process), 0);
    assert_int_equal(weft_process_join(process, WEFT_FOREVER), 0);
    assert_int_equal(weft_process_join(process, WEFT_FOREVER), 0); /* as often as you like */
    assert_int_equal(weft_process_join(process, WEFT_POLL), 0);
    assert_int_equal(finish(process), -SIGKILL);
}

static void *join_in_thread(void *arg)
{
    int code = 12345;
    if (weft_process_join(arg, weft_in(LIVENESS_NS)) != 0 || weft_process_exitcode(arg, &code) != 0)
        return NULL;
    return (void *)(intptr_t)(code + 1000);
}

static void test_join_by_many_threads(void **state)
{
    pthread_t threads[4];
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    weft_process *process =
        start(sleep_until_closed, &(weft_process_config){.fds = ends, .fd_count = 1});
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_in_thread, process), 0);
    close(ends[1]);
    for (size_t i = 0; i < 4; i++) {
        void *answer;
        assert_int_equal(pthread_join(threads[i], &answer), 0);
        assert_int_equal((intptr_t)answer, 1000);
    }
    close(ends[0]);
    assert_int_equal(finish(process), 0);
}

static void test_exitcode_is_the_status(void **state)
{
    static const int statuses[] = {0, 1, 42, 255};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(with_arg(return_arg, &statuses[i], sizeof(int)), statuses[i]);
        assert_int_equal(with_arg(exit_with_arg, &statuses[i], sizeof(int)), statuses[i]);
    }
    assert_int_equal(with_arg(return_arg, &(int){256 + 3}, sizeof(int)), 3); /* as exit() has it */
}

static void test_exitcode_is_minus_the_signal(void **state)
{
    static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(with_arg(raise_arg, &signals[i], sizeof(int)), -signals[i]);
}

static void test_terminate_and_kill(void **state)
{
    (void)state;
    for (int by_kill = 0; by_kill < 2; by_kill++) {
        weft_process *process = start(sleep_long, NULL);
        assert_true(weft_process_is_alive(process));
        assert_int_equal(by_kill ? weft_process_kill(process) : weft_process_terminate(process), 0);
        assert_int_equal(weft_process_join(process, weft_in(LIVENESS_NS)), 0);
        /* Nothing is left to be killed, and that is no error. */
        assert_int_equal(weft_process_terminate(process), 0);
        assert_int_equal(weft_process_kill(process), 0);
        assert_int_equal(finish(process), by_kill ? -SIGKILL : -SIGTERM);
    }
}

static void test_sentinel(void **state)
{
    weft_process *quick = start(nothing, NULL);
    weft_process *slow = start(sleep_long, NULL);
    struct pollfd watched[] = {{.fd = weft_process_sentinel(quick), .events = POLLIN},
                               {.fd = weft_process_sentinel(slow), .events = POLLIN}};
    (void)state;
    assert_int_equal(poll(watched, 2, 60000), 1);
    assert_true(watched[0].revents & POLLIN);
    assert_int_equal(finish(quick), 0);
    assert_int_equal(weft_process_kill(slow), 0);
    assert_int_equal(poll(&watched[1], 1, 60000), 1);
    assert_int_equal(finish(slow), -SIGKILL);
}

static void test_close_needs_the_end(void **state)
{
    weft_process *process = start(sleep_long, NULL);
    (void)state;
    assert_int_equal(weft_process_close(process), -EBUSY);
    assert_int_equal(weft_process_kill(process), 0);
    assert_int_equal(finish(process), -SIGKILL);
    assert_int_equal(weft_process_close(NULL), 0);
}

static int use_memory(weft_child *self)
{
    size_t bytes = *(size_t *)self->arg;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = 1;
    compute_ns(20 * WEFT_MSEC);
    return 0;
}

static void test_used(void **state)
{
    size_t bytes = (size_t)64 << 20;
    weft_process_usage usage = {0};
    weft_process *process =
        start(use_memory, &(weft_process_config){.arg = &bytes, .arg_bytes = sizeof(bytes)});
    (void)state;
    assert_int_equal(weft_process_join(process, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(weft_process_used(process, &usage), 0);
    assert_true(usage.rss_bytes_peak >= bytes && usage.rss_bytes_peak < 8 * bytes);
    assert_true(usage.user_ns + usage.system_ns >= 5 * WEFT_MSEC);
    assert_int_equal(finish(process), 0);
}

/* ---- what a child is given ------------------------------------------------------------------- */

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count - 1; /* the folder's own */
}

static int check_fds(weft_child *self)
{
    char text[4] = "";
    EXPECT(self->fd_count == 2);
    EXPECT(count_fds() == 3 + 2);
    EXPECT(fcntl(self->fds[0], F_GETFD) == FD_CLOEXEC);
    EXPECT(read(self->fds[0], text, 3) == 3 && strcmp(text, "abc") == 0);
    EXPECT(write(self->fds[1], "def", 3) == 3);
    return 0;
}

static void check_fds_with(weft_process_method method)
{
    int there[2];
    int back[2];
    char text[4] = "";
    int stray = open("/dev/null", O_RDONLY); /* without O_CLOEXEC; no child must have it */
    assert_true(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
    assert_int_equal(write(there[1], "abc", 3), 3);
    int given[] = {there[0], back[1]};
    assert_int_equal(
        run(check_fds, &(weft_process_config){.fds = given, .fd_count = 2, .method = method}), 0);
    close(back[1]);
    assert_int_equal(read(back[0], text, 4), 3); /* and then its end: nobody else holds it */
    assert_string_equal(text, "def");
    assert_int_equal(read(back[0], text, 4), 0);
    close(stray);
    close(back[0]);
    close(there[0]);
    close(there[1]);
}

static void test_descriptors_are_explicit(void **state)
{
    (void)state;
    check_fds_with(WEFT_PROCESS_SERVER);
    check_fds_with(WEFT_PROCESS_EXEC);
}

static int check_folder(weft_child *self)
{
    char folder[256] = "";
    EXPECT(getcwd(folder, sizeof(folder)) != NULL);
    EXPECT(strcmp(folder, self->arg) == 0);
    return 0;
}

static void test_folder_is_the_callers(void **state)
{
    static const char root[] = "/";
    char before[256];
    (void)state;
    assert_int_equal(run(nothing, NULL), 0); /* the server is up, wherever that was */
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(with_arg(check_folder, before, strlen(before) + 1), 0);
    assert_int_equal(chdir("/"), 0);
    int rc = with_arg(check_folder, root, sizeof(root));
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, 0);
}

static int check_signals(weft_child *self)
{
    sigset_t blocked;
    (void)self;
    EXPECT(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    for (int number = 1; number < 32; number++)
        EXPECT(sigismember(&blocked, number) == 0);
    EXPECT(getenv("WEFT_PROCESS_SERVER") == NULL);
    return 0;
}

static void test_signals_are_not_blocked(void **state)
{
    sigset_t all;
    sigset_t before;
    (void)state;
    assert_int_equal(sigfillset(&all), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    int here = run(check_signals, NULL);
    int anew = run(check_signals, &(weft_process_config){.method = WEFT_PROCESS_EXEC});
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(here, 0);
    assert_int_equal(anew, 0);
}

/* ---- output ---------------------------------------------------------------------------------- */

static int print_and_die(weft_child *self)
{
    (void)self;
    printf("a whole line\n");
    fprintf(stderr, "an error\n");
    (void)raise(SIGKILL);
    return 0;
}

static int print_rest(weft_child *self)
{
    (void)self;
    printf("no end of line");
    return 0;
}

/* What the caller and the child, which ends with `code`, write to stdout and stderr. */
static void capture(int (*body)(weft_child *), int code, char *text, size_t bytes)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(stdout);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDOUT_FILENO) >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    printf("before, ");
    int got = run(body, NULL);
    assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    close(ends[1]);
    close(out);
    close(err);
    ssize_t length = read(ends[0], text, bytes - 1);
    close(ends[0]);
    text[length > 0 ? length : 0] = '\0';
    assert_int_equal(got, code);
}

static void test_output_is_not_lost(void **state)
{
    char text[256];
    (void)state;
    capture(print_and_die, -SIGKILL, text, sizeof(text));
    assert_string_equal(text, "before, a whole line\nan error\n");
    capture(print_rest, 0, text, sizeof(text));
    assert_string_equal(text, "before, no end of line");
}

/* ---- children of children, and callers of every kind ----------------------------------------- */

static int start_another(weft_child *self)
{
    int depth = *(int *)self->arg - 1;
    weft_process *process;
    int code = 77;
    if (depth == 0)
        return 5;
    weft_process_config config = {.arg = &depth, .arg_bytes = sizeof(depth)};
    EXPECT(weft_process_start(&process, start_another, &config) == 0);
    EXPECT(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
    EXPECT(weft_process_exitcode(process, &code) == 0);
    EXPECT(weft_process_close(process) == 0);
    return code;
}

static void test_children_of_children(void **state)
{
    (void)state;
    assert_int_equal(with_arg(start_another, &(int){3}, sizeof(int)), 5);
}

static int in_a_copy(void *arg)
{
    (void)arg;
    weft_process *process;
    int code = 77;
    CHECK(weft_process_start(&process, nothing, NULL) == 0);
    CHECK(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
    CHECK(weft_process_exitcode(process, &code) == 0 && code == 0);
    CHECK(weft_process_close(process) == 0);
    return 0;
}

/* A process made by fork() gets children of its own, and leaves its parent's server alone. */
static void test_from_a_forked_copy(void **state)
{
    (void)state;
    assert_int_equal(run(nothing, NULL), 0);
    child_end end = in_child(in_a_copy, NULL);
    expect_success(&end);
    assert_int_equal(run(nothing, NULL), 0);
}

static void *start_in_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < LESS_IF_SANITIZED(50, 5); i++)
        if (in_a_copy(NULL) != 0)
            return "failed";
    return NULL;
}

static void test_from_many_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_in_thread, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        void *answer;
        assert_int_equal(pthread_join(threads[i], &answer), 0);
        assert_null(answer);
    }
}

static int run_workers(weft_child *self)
{
    weft_config config = {.workers = 2};
    (void)self;
    return weft_run(in_a_copy, NULL, &config);
}

/* Workers in the caller, and in the child, which starts a child from a fiber in its turn. */
static void test_with_workers(void **state)
{
    weft_config config = {.workers = 2};
    (void)state;
    assert_int_equal(weft_run(in_a_copy, NULL, &config), 0);
    assert_int_equal(run(run_workers, NULL), 0);
}

/* In a copy of this process, whose server is yet to start: it must not inherit the habit. */
static int ignore_sigchld(void *arg)
{
    (void)signal(SIGCHLD, SIG_IGN);
    return in_a_copy(arg);
}

/* The same, with a pipe for stderr that must not stay open in the server. */
static int let_go_of_stderr(void *arg)
{
    int ends[2];
    char byte;
    int before = dup(STDERR_FILENO);
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    CHECK(in_a_copy(arg) == 0);
    CHECK(dup2(before, STDERR_FILENO) >= 0 && close(ends[1]) == 0 && close(before) == 0);
    CHECK(read(ends[0], &byte, 1) == 0);
    return close(ends[0]);
}

static void test_server_holds_nothing_open(void **state)
{
    (void)state;
    child_end end = in_child(let_go_of_stderr, NULL);
    expect_success(&end);
}

static void test_sigchld_is_the_programs_own(void **state)
{
    (void)state;
    child_end end = in_child(ignore_sigchld, NULL);
    expect_success(&end);
    assert_int_equal(run(nothing, NULL), 0);
    (void)signal(SIGCHLD, SIG_IGN); /* which loses the status of every ordinary child */
    assert_int_equal(with_arg(return_arg, &(int){9}, sizeof(int)), 9);
    (void)signal(SIGCHLD, SIG_DFL);
    weft_process *process = start(nothing, NULL);
    assert_int_equal(weft_process_join(process, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* the server lives; the child is not ours */
    assert_int_equal(finish(process), 0);
}

/* ---- ends: of the child, the server, the caller ---------------------------------------------- */

static void test_no_zombies_and_no_leaks(void **state)
{
    int many = LESS_IF_SANITIZED(200, 20);
    (void)state;
    assert_int_equal(run(nothing, NULL), 0);
    size_t before = count_fds();
    for (int i = 0; i < many; i++) {
        weft_process *process = start(nothing, NULL);
        assert_int_equal(weft_process_join(process, weft_in(LIVENESS_NS)), 0);
        int pid = weft_process_pid(process);
        assert_true(kill(pid, 0) == -1 && errno == ESRCH); /* collected, not only dead */
        assert_int_equal(weft_process_close(process), 0);
    }
    assert_int_equal(count_fds(), before);
}

static int parent_of(int pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    return (int)read_key(path, "PPid:");
}

static int is_gone(int pidfd)
{
    struct pollfd watched = {.fd = pidfd, .events = POLLIN};
    return poll(&watched, 1, (int)(LIVENESS_NS / WEFT_MSEC)) == 1;
}

static void test_server_is_killed(void **state)
{
    int ends[2];
    int code = 77;
    weft_process_config config = {.fds = ends, .fd_count = 1};
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    weft_process *survivor = start(sleep_until_closed, &config);
    config.daemonic = 1;
    weft_process *daemon = start(sleep_until_closed, &config);
    assert_int_equal(kill(parent_of(weft_process_pid(survivor)), SIGKILL), 0);
    assert_true(is_gone(weft_process_sentinel(daemon)));
    assert_int_equal(weft_process_join(daemon, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(weft_process_exitcode(daemon, &code),
                     -ECHILD); /* nobody was there to see it */
    assert_true(weft_process_is_alive(survivor));
    assert_int_equal(weft_process_exitcode(survivor, &code), -EAGAIN);
    assert_int_equal(run(nothing, NULL), 0); /* by another server */
    close(ends[1]);
    assert_int_equal(weft_process_join(survivor, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(weft_process_exitcode(survivor, &code), -ECHILD);
    assert_int_equal(code, 77);
    assert_int_equal(weft_process_close(survivor), 0);
    assert_int_equal(weft_process_close(daemon), 0);
    close(ends[0]);
}

static int hold_until_closed(weft_child *self)
{
    char end;
    return (int)read(self->fds[1], &end, 1);
}

/* Whether nobody holds the pipe any more that was handed over. */
static int is_let_go(int fd)
{
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    return poll(&watched, 1, (int)(LIVENESS_NS / WEFT_MSEC)) == 1 &&
           (watched.revents & POLLHUP) != 0;
}

/* A server that does not answer delays a start only until its deadline; it starts no child that
 * nobody waits for, and goes on afterwards. */
static void test_server_is_stopped(void **state)
{
    int held[2], open_end[2];
    weft_process *none = NULL;
    (void)state;
    assert_true(pipe2(held, O_CLOEXEC) == 0 && pipe2(open_end, O_CLOEXEC) == 0);
    int given[] = {held[1], open_end[0]};
    weft_process_config config = {.fds = given, .fd_count = 2, .daemonic = 1};
    weft_process *daemon = start(hold_until_closed, &config);
    int server = parent_of(weft_process_pid(daemon));
    config.start_ns_max = 10 * WEFT_MSEC;
    assert_int_equal(kill(server, SIGSTOP), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(weft_process_start(&none, hold_until_closed, &config), -ETIMEDOUT);
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_int_equal(run(nothing, NULL), 0);
    assert_true(weft_process_is_alive(daemon));
    assert_int_equal(weft_process_kill(daemon), 0);
    assert_int_equal(finish(daemon), -SIGKILL);
    close(held[1]);
    assert_true(is_let_go(held[0]));
    close(held[0]);
    close(open_end[0]);
    close(open_end[1]);
}

#define TOGETHER 5

static int give_argument_back(weft_child *self)
{
    return *(int *)self->arg;
}

/* Start some at once, each with its number for an argument. */
static int start_together(weft_process **processes, int (*body)(weft_child *),
                          weft_process_config config)
{
    weft__start starts[TOGETHER];
    for (int i = 0; i < TOGETHER; i++) {
        config.arg = &i;
        config.arg_bytes = sizeof(i);
        assert_int_equal(weft__start_prepare(&starts[i], body, &config), 0);
    }
    int rc = weft__start_launch(starts, TOGETHER);
    for (int i = 0; i < TOGETHER; i++)
        processes[i] = starts[i].process;
    return rc;
}

/* Several are started by one server, by another if that was killed, or none is if it stands still
 * until the deadline. */
static void test_several_at_once(void **state)
{
    weft_process *processes[TOGETHER];
    weft_process_config config = {.start_ns_max = 0};
    int held[2], open_end[2];
    (void)state;
    assert_true(pipe2(held, O_CLOEXEC) == 0 && pipe2(open_end, O_CLOEXEC) == 0);
    weft_process *other = start(sleep_long, NULL);
    size_t before = count_fds();
    for (int round = 0; round < 2; round++) {
        assert_int_equal(start_together(processes, give_argument_back, config), 0);
        for (int i = 0; i < TOGETHER; i++)
            assert_int_equal(finish(processes[i]), i);
        if (round == 0)
            assert_int_equal(kill(parent_of(weft_process_pid(other)), SIGKILL), 0);
    }
    weft_process *of_new_server = start(sleep_long, NULL);
    int server = parent_of(weft_process_pid(of_new_server));
    int given[] = {held[1], open_end[0]};
    config = (weft_process_config){.fds = given, .fd_count = 2, .start_ns_max = 10 * WEFT_MSEC};
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_int_equal(start_together(processes, hold_until_closed, config), -ETIMEDOUT);
    assert_int_equal(kill(server, SIGCONT), 0);
    for (int i = 0; i < TOGETHER; i++)
        assert_null(processes[i]);
    close(held[1]);
    assert_true(is_let_go(held[0]));
    assert_int_equal(weft_process_kill(of_new_server), 0);
    assert_int_equal(finish(of_new_server), -SIGKILL);
    assert_int_equal(count_fds(), before - 1);
    assert_int_equal(weft_process_kill(other), 0);
    assert_int_equal(weft_process_join(other, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(weft_process_close(other), 0);
    weft__close_all((int[]){held[0], open_end[0], open_end[1]}, 3);
}

/* Deadlines of all lengths that a start may take: it succeeds, or there is no child. */
static void test_start_in_a_hurry(void **state)
{
    int held[2], open_end[2], started = 0;
    (void)state;
    assert_true(pipe2(held, O_CLOEXEC) == 0 && pipe2(open_end, O_CLOEXEC) == 0);
    int given[] = {held[1], open_end[0]};
    for (int i = 0; i < 100; i++) {
        weft_process *process = NULL;
        weft_process_config config = {
            .fds = given, .fd_count = 2, .start_ns_max = 1 + (int64_t)i * i * WEFT_USEC};
        int rc = weft_process_start(&process, hold_until_closed, &config);
        assert_true(rc == 0 || rc == -ETIMEDOUT);
        if (rc == 0) {
            started++;
            assert_int_equal(weft_process_kill(process), 0);
            assert_int_equal(finish(process), -SIGKILL);
        }
    }
    print_message("%d of 100 started in time\n", started);
    assert_int_equal(run(nothing, NULL), 0);
    close(held[1]);
    assert_true(is_let_go(held[0]));
    close(held[0]);
    close(open_end[0]);
    close(open_end[1]);
}

/* A caller, to be killed: starts a child, tells the pids of child and server, and sleeps. */
static int start_and_sleep(weft_child *self)
{
    int pids[2];
    int is_daemonic = *(int *)self->arg;
    weft_process *process;
    weft_process_config config = {.daemonic = is_daemonic, .fds = &self->fds[1], .fd_count = 1};
    EXPECT(weft_process_start(&process, sleep_until_closed, &config) == 0);
    pids[0] = weft_process_pid(process);
    pids[1] = parent_of(pids[0]);
    EXPECT(write(self->fds[0], pids, sizeof(pids)) == sizeof(pids));
    return sleep_long(self);
}

enum { KILL_CALLER, KILL_BOTH, TERMINATE_CALLER };

/* End the caller of a child; nonzero: the child ends as well. */
static int ends_with_caller(int is_daemonic, int how)
{
    int tell[2];
    int hold[2];
    int pids[2];
    assert_true(pipe2(tell, O_CLOEXEC) == 0 && pipe2(hold, O_CLOEXEC) == 0);
    int given[] = {tell[1], hold[0]};
    weft_process *caller =
        start(start_and_sleep,
              &(weft_process_config){
                  .arg = &is_daemonic, .arg_bytes = sizeof(int), .fds = given, .fd_count = 2});
    assert_int_equal(read(tell[0], pids, sizeof(pids)), sizeof(pids));
    int child = pidfd_open(pids[0], 0);
    int server = pidfd_open(pids[1], 0);
    assert_true(child >= 0 && server >= 0);
    if (how == KILL_BOTH)
        assert_int_equal(kill(pids[1], SIGKILL), 0);
    if (how == TERMINATE_CALLER)
        assert_int_equal(weft_process_terminate(caller), 0);
    assert_int_equal(weft_process_kill(caller), 0);
    (void)finish(caller);
    assert_true(is_gone(server));
    struct pollfd watched = {.fd = child, .events = POLLIN};
    int is_ended = is_daemonic ? is_gone(child) : poll(&watched, 1, 50) == 1;
    close(hold[1]);
    assert_true(is_gone(child)); /* an ordinary one goes on until its work is done */
    int all[] = {tell[0], tell[1], hold[0], child, server};
    for (size_t i = 0; i < 5; i++)
        close(all[i]);
    return is_ended;
}

static void test_daemon_dies_with_its_caller(void **state)
{
    (void)state;
    assert_true(ends_with_caller(1, KILL_CALLER));
    assert_true(ends_with_caller(1, KILL_BOTH));
    assert_true(ends_with_caller(1, TERMINATE_CALLER));
    assert_false(ends_with_caller(0, KILL_CALLER));
}

static void *start_daemon(void *arg)
{
    weft_process_config config = {.daemonic = 1};
    if (weft_process_start(arg, sleep_long, &config) != 0)
        *(weft_process **)arg = NULL;
    return NULL;
}

/* The classic mistake: the kernel's parent-death signal means the thread that made the child. */
static void test_daemon_outlives_its_callers_thread(void **state)
{
    weft_process *process = NULL;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, start_daemon, &process), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(process);
    assert_int_equal(weft_process_join(process, weft_in(30 * WEFT_MSEC)), -ETIMEDOUT);
    assert_int_equal(weft_process_kill(process), 0);
    assert_int_equal(finish(process), -SIGKILL);
}

/* ---- limits and failures --------------------------------------------------------------------- */

/* In a copy of this process, so that there is no server yet. */
static int fail_at_each_step(void *arg)
{
    static char large[64 << 10];
    weft_process_config config = {.arg = large, .arg_bytes = sizeof(large)};
    weft_process *process = NULL;
    size_t fds = count_fds();
    int rc = -1;
    (void)arg;
    for (int64_t n = 0; rc != 0; n++) {
        CHECK(n < 100);
        weft__fault_arm(n);
        rc = weft_process_start(&process, nothing, &config);
        int64_t calls = weft__fault_calls();
        weft__fault_arm(-1);
        CHECK(rc == 0 || (process == NULL && calls > n));
        CHECK(rc == 0 || rc == -ENOMEM || rc == -EMFILE || rc == -EAGAIN);
        CHECK(n > 0 || rc != 0);
    }
    CHECK(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
    CHECK(weft_process_close(process) == 0);
    CHECK(count_fds() == fds + 2); /* the server's socket and pidfd */
    return 0;
}

static void test_every_step_may_fail(void **state)
{
    (void)state;
    child_end end = in_child(fail_at_each_step, NULL);
    expect_success(&end);
}

/* Few descriptors left: a clean error at each number, and no child without a handle. */
static int run_out_of_descriptors(void *arg)
{
    struct rlimit limit;
    weft_process *process = NULL;
    int successes = 0;
    (void)arg;
    CHECK(in_a_copy(NULL) == 0);
    size_t used = count_fds();
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (size_t spare = 0; spare < 8; spare++) {
        limit.rlim_cur = used + spare;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        int rc = weft_process_start(&process, nothing, NULL);
        CHECK(rc == 0 || rc == -EMFILE);
        if (rc == 0) {
            CHECK(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
            CHECK(weft_process_close(process) == 0);
            successes++;
        }
    }
    limit.rlim_cur = 256;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(successes > 0 && successes < 8);
    CHECK(count_fds() == used);
    return in_a_copy(NULL);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    child_end end = in_child(run_out_of_descriptors, NULL);
    expect_success(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target_and_args),
        cmocka_unit_test(test_own_memory),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_join_with_timeout),
        cmocka_unit_test(test_join_by_many_threads),
        cmocka_unit_test(test_exitcode_is_the_status),
        cmocka_unit_test(test_exitcode_is_minus_the_signal),
        cmocka_unit_test(test_terminate_and_kill),
        cmocka_unit_test(test_sentinel),
        cmocka_unit_test(test_close_needs_the_end),
        cmocka_unit_test(test_used),
        cmocka_unit_test(test_descriptors_are_explicit),
        cmocka_unit_test(test_folder_is_the_callers),
        cmocka_unit_test(test_signals_are_not_blocked),
        cmocka_unit_test(test_output_is_not_lost),
        cmocka_unit_test(test_children_of_children),
        cmocka_unit_test(test_from_a_forked_copy),
        cmocka_unit_test(test_from_many_threads),
        cmocka_unit_test(test_with_workers),
        cmocka_unit_test(test_server_holds_nothing_open),
        cmocka_unit_test(test_sigchld_is_the_programs_own),
        cmocka_unit_test(test_no_zombies_and_no_leaks),
        cmocka_unit_test(test_server_is_killed),
        cmocka_unit_test(test_server_is_stopped),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_start_in_a_hurry),
        cmocka_unit_test(test_daemon_dies_with_its_caller),
        cmocka_unit_test(test_daemon_outlives_its_callers_thread),
        cmocka_unit_test(test_every_step_may_fail),
        cmocka_unit_test(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
