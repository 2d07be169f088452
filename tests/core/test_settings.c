/* SPDX-License-Identifier: BSD-2-Clause */
/* test_settings.c — configuration before environment before machine, and what a bad value says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "debug/check.h"
#include "fake_root.h"
#include "sched/settings.h"

#include <errno.h>
#include <fcntl.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct weft__settings settings;
static struct weft__environment environment;

/* Forgets every variable that plays a role. */
static int clean(void **state)
{
    (void)state;
    for (int i = 0; i < WEFT__VARIABLES; i++)
        unsetenv(weft__variable_name[i]);
    unsetenv("OMP_NUM_THREADS");
    unsetenv("SLURM_CPUS_PER_TASK");
    return fake_setup(state);
}

static void inspect(const weft_config *config)
{
    assert_int_equal(weft__settings_inspect(config, fake_root, &settings, &environment), 0);
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static bool is_bad(enum weft__variable variable)
{
    return environment.verdict[variable].bad;
}

static void test_defaults(void **state)
{
    (void)state;
    inspect(NULL);
    assert_int_equal(settings.workers, settings.limits.usable);
    assert_int_equal(settings.stack_bytes, WEFT_STACK_BYTES_DEFAULT);
    assert_int_equal(settings.wait, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(settings.spin_ns, WEFT__SPIN_NS_DEFAULT);
    assert_int_equal(settings.bind, WEFT_BIND_FALSE);
    assert_int_equal(settings.report_overflow, 0);
    assert_int_equal(settings.places.kind, WEFT__PLACES_CORES);
    assert_false(environment.display);
    for (int i = 0; i < WEFT__VARIABLES; i++)
        assert_string_equal(environment.verdict[i].text, "not set");
}

static void test_config_out_of_range(void **state)
{
    const weft_config bad[] = {
        {.workers = WEFT_WORKERS_MAX + 1},
        {.workers = UINT32_MAX},
        {.stack_bytes = 1},
        {.stack_bytes = WEFT_STACK_BYTES_MIN - 1},
        {.stack_bytes = WEFT_STACK_BYTES_MAX + 1},
        {.stack_bytes = SIZE_MAX},
        {.spin_ns = -1},
        {.spin_ns = INT64_MIN},
        {.wait = (weft_wait_policy)4},
        {.wait = (weft_wait_policy)-1},
        {.bind = (weft_proc_bind)4},
        {.bind = (weft_proc_bind)-1},
    };
    (void)state;

    memset(&settings, 0x5a, sizeof(settings));
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_int_equal(weft__settings_resolve(&bad[i], &settings), -EINVAL);
    for (size_t i = 0; i < sizeof(settings); i++)
        assert_int_equal(((unsigned char *)&settings)[i], 0x5a);
}

static void test_config_wins(void **state)
{
    const weft_config config = {
        .workers = 3,
        .stack_bytes = 20001,
        .wait = WEFT_WAIT_ADAPTIVE,
        .spin_ns = 77,
        .bind = WEFT_BIND_SPREAD,
        .report_overflow = 1,
    };
    (void)state;

    set("WEFT_NUM_WORKERS", "5");
    set("WEFT_STACK_SIZE", "1M");
    set("WEFT_WAIT_POLICY", "passive");
    set("WEFT_SPIN_US", "9");
    set("WEFT_PROC_BIND", "close");
    inspect(&config);
    assert_int_equal(settings.workers, 3);
    assert_int_equal(settings.stack_bytes % (size_t)sysconf(_SC_PAGESIZE), 0);
    assert_in_range(settings.stack_bytes, 20001, 20001 + (size_t)sysconf(_SC_PAGESIZE) - 1);
    assert_int_equal(settings.wait, WEFT_WAIT_ADAPTIVE);
    assert_int_equal(settings.spin_ns, 77);
    assert_int_equal(settings.bind, WEFT_BIND_SPREAD);
    assert_int_equal(settings.report_overflow, 1);
    assert_non_null(strstr(environment.verdict[WEFT__NUM_WORKERS].text, "weft_config"));
    /* What is not consulted cannot be wrong. */
    set("WEFT_NUM_WORKERS", "abc");
    inspect(&config);
    assert_false(is_bad(WEFT__NUM_WORKERS));
}

static void test_workers(void **state)
{
    static const struct {
        const char *text;
        unsigned workers; /* 0: bad */
    } table[] = {
        {"1", 1},        {" 7 ", 7},        {"1024", 1024},
        {"007", 7},      {"0", 0},          {"-1", 0},
        {"100000", 0},   {"1025", 0},       {"abc", 0},
        {"", 0},         {" ", 0},          {"1e9", 0},
        {"4x", 0},       {"4,2", 0},        {"+4", 0},
        {"0x4", 0},      {"4294967297", 0}, {"18446744073709551617", 0},
        {"auto:omp", 0}, {"auto,auto", 0},
    };
    unsigned detected;
    (void)state;

    inspect(NULL);
    detected = settings.workers;
    for (size_t i = 0; i < LENGTH(table); i++) {
        set("WEFT_NUM_WORKERS", table[i].text);
        inspect(NULL);
        assert_int_equal(is_bad(WEFT__NUM_WORKERS), table[i].workers == 0);
        assert_int_equal(settings.workers, table[i].workers != 0 ? table[i].workers : detected);
    }
}

static void test_workers_of_others(void **state)
{
    unsigned detected;
    (void)state;

    set("OMP_NUM_THREADS", "5,2");
    set("SLURM_CPUS_PER_TASK", "6");
    set("WEFT_NUM_WORKERS", "auto");
    inspect(NULL);
    detected = settings.workers;
    assert_int_equal(detected, settings.limits.usable);
    set("WEFT_NUM_WORKERS", "Auto:Env");
    inspect(NULL);
    assert_int_equal(settings.workers, 5);
    assert_non_null(strstr(settings.workers_why, "OMP_NUM_THREADS"));
    set("OMP_NUM_THREADS", "none");
    inspect(NULL);
    assert_int_equal(settings.workers, 6);
    unsetenv("SLURM_CPUS_PER_TASK");
    inspect(NULL);
    assert_int_equal(settings.workers, detected);
    assert_false(is_bad(WEFT__NUM_WORKERS));
}

static void test_parse_bytes(void **state)
{
    static const struct {
        const char *text;
        int rc;
        size_t bytes;
    } table[] = {
        {"256", 0, 256 << 10},
        {"256K", 0, 256 << 10},
        {"256k", 0, 256 << 10},
        {" 2 m ", 0, 2 << 20},
        {"1G", 0, 1 << 30},
        {"65536B", 0, 65536},
        {"65536 b", 0, 65536},
        {"0", 0, 0},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1T", -EINVAL, 0},
        {"1KB", -EINVAL, 0},
        {"1 K x", -EINVAL, 0},
        {"1.5M", -EINVAL, 0},
        {"1e9", -EINVAL, 0},
        {"18446744073709551615", -ERANGE, 0},
        {"18446744073709551616B", -ERANGE, 0},
        {"17179869184G", -ERANGE, 0},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        size_t bytes = 12345;
        assert_int_equal(weft__parse_bytes(table[i].text, &bytes), table[i].rc);
        assert_int_equal(bytes, table[i].rc == 0 ? table[i].bytes : 12345);
    }
}

static void test_stack(void **state)
{
    static const struct {
        const char *text;
        size_t bytes; /* 0: bad */
    } table[] = {
        {"16", 16 << 10},
        {"1M", 1 << 20},
        {"64G", WEFT_STACK_BYTES_MAX},
        {"16384B", 16 << 10},
        {"1B", 0},
        {"0", 0},
        {"16383B", 0},
        {"65G", 0},
        {"lots", 0},
        {"", 0},
        {"-64K", 0},
        {"99999999999999999999G", 0},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        set("WEFT_STACK_SIZE", table[i].text);
        inspect(NULL);
        assert_int_equal(is_bad(WEFT__STACK_SIZE), table[i].bytes == 0);
        assert_int_equal(settings.stack_bytes,
                         table[i].bytes != 0 ? table[i].bytes : WEFT_STACK_BYTES_DEFAULT);
    }
    set("WEFT_STACK_SIZE", "16385B");
    inspect(NULL);
    assert_int_equal(settings.stack_bytes, (16 << 10) + sysconf(_SC_PAGESIZE));
}

static void test_waiting(void **state)
{
    (void)state;
    set("WEFT_WAIT_POLICY", "PASSIVE");
    set("WEFT_SPIN_US", "50");
    inspect(NULL);
    assert_int_equal(settings.wait, WEFT_WAIT_PASSIVE);
    assert_int_equal(settings.spin_ns, 0);
    set("WEFT_WAIT_POLICY", " active ");
    inspect(NULL);
    assert_int_equal(settings.wait, WEFT_WAIT_ACTIVE);
    assert_true(settings.spin_ns == WEFT_FOREVER);
    set("WEFT_WAIT_POLICY", "adaptive");
    inspect(NULL);
    assert_int_equal(settings.spin_ns, 50 * WEFT_USEC);
    set("WEFT_SPIN_US", "0");
    inspect(NULL);
    assert_int_equal(settings.spin_ns, 0);
    assert_false(is_bad(WEFT__SPIN_US));
    for (const char *const *bad = (const char *const[]){"-1", "abc", "", "1e9", "1.5", "1000000001",
                                                        "99999999999999999999", NULL};
         *bad != NULL; bad++) {
        set("WEFT_SPIN_US", *bad);
        inspect(NULL);
        assert_true(is_bad(WEFT__SPIN_US));
        assert_int_equal(settings.spin_ns, WEFT__SPIN_NS_DEFAULT);
    }
    for (const char *const *bad = (const char *const[]){"", "lazy", "active,passive", "1", NULL};
         *bad != NULL; bad++) {
        set("WEFT_WAIT_POLICY", *bad);
        inspect(NULL);
        assert_true(is_bad(WEFT__WAIT_POLICY));
        assert_int_equal(settings.wait, WEFT_WAIT_ADAPTIVE);
    }
}

/* Nobody spins away another's time slice, unless told to. */
static void test_crowded(void **state)
{
    weft_config config = {.workers = 9};
    (void)state;

    fake_file("/proc/self/cgroup", "0::/a\n");
    fake_file("/proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    fake_file("/cg/a/cpu.max", "50000 100000\n");
    inspect(NULL);
    assert_int_equal(settings.workers, 1);
    assert_int_equal(settings.spin_ns, WEFT__SPIN_NS_DEFAULT);
    inspect(&config);
    assert_int_equal(settings.workers, 9);
    assert_int_equal(settings.spin_ns, 0);
    config.spin_ns = 5;
    inspect(&config);
    assert_int_equal(settings.spin_ns, 5);
    set("WEFT_SPIN_US", "7");
    set("WEFT_NUM_WORKERS", "4");
    inspect(NULL);
    assert_int_equal(settings.spin_ns, 7 * WEFT_USEC);
}

static void test_bind(void **state)
{
    static const struct {
        const char *text;
        int bind; /* 0: bad */
        bool primary;
    } table[] = {
        {"false", WEFT_BIND_FALSE, false},
        {"TRUE", WEFT_BIND_CLOSE, false},
        {"close", WEFT_BIND_CLOSE, false},
        {" spread", WEFT_BIND_SPREAD, false},
        {"primary", WEFT_BIND_CLOSE, true},
        {"master", WEFT_BIND_CLOSE, true},
        {"spread, close", WEFT_BIND_SPREAD, false},
        {"", 0, false},
        {"near", 0, false},
        {"close,", 0, false},
        {"1", 0, false},
        {"close,x", 0, false},
        {",close", 0, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        set("WEFT_PROC_BIND", table[i].text);
        inspect(NULL);
        assert_int_equal(is_bad(WEFT__PROC_BIND), table[i].bind == 0);
        assert_int_equal(settings.bind, table[i].bind != 0 ? table[i].bind : WEFT_BIND_FALSE);
        assert_int_equal(settings.bind_primary, table[i].primary);
    }
    set("WEFT_PROC_BIND", "primary");
    inspect(&(weft_config){.bind = WEFT_BIND_SPREAD});
    assert_false(settings.bind_primary);
    assert_int_equal(settings.bind, WEFT_BIND_SPREAD);
}

/* Writes down what a list names: "0:0 0:1 1:4 ". */
static void write_down(void *context, unsigned place, unsigned cpu)
{
    char *text = context;
    snprintf(text + strlen(text), 200 - strlen(text), "%u:%u ", place, cpu);
}

static void test_place_lists(void **state)
{
    static const struct {
        const char *text;
        const char *named; /* NULL: bad */
    } table[] = {
        {"{0:4}:2:4", "0:0 0:1 0:2 0:3 1:4 1:5 1:6 1:7 "},
        {"{0,1},{2,3}", "0:0 0:1 1:2 1:3 "},
        {" { 0 , 3 : 2 : 5 } , 9", "0:0 0:3 0:8 1:9 "},
        {"0:3", "0:0 1:1 2:2 "},
        {"{4}:3:-2", "0:4 1:2 2:0 "},
        {"{6:3:-1}", "0:6 0:5 0:4 "},
        {"{0}:2,{8}", "0:0 1:1 2:8 "},
        {"", NULL},
        {"{}", NULL},
        {"{0", NULL},
        {"0}", NULL},
        {"{0},", NULL},
        {"{0:0}", NULL},
        {"{0:-1}", NULL},
        {"{-1}", NULL},
        {"{0}:3:-1", NULL},
        {"{8191:2}", NULL},
        {"{0:8191}:9", NULL},
        {"{0:4}:8:4:2", NULL},
        {"{0;1}", NULL},
        {"{99999999999999999999}", NULL},
        {"{0:", NULL},
    };
    struct weft__places places;
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        char text[200] = "";
        assert_int_equal(weft__places_parse(&places, table[i].text),
                         table[i].named != NULL ? 0 : -EINVAL);
        if (table[i].named == NULL)
            continue;
        assert_int_equal(places.kind, WEFT__PLACES_LIST);
        assert_int_equal(weft__places_each(places.list, write_down, text), 0);
        assert_string_equal(text, table[i].named);
    }
    assert_int_equal(weft__places_parse(&places, "!{0}"), -ENOTSUP);
    assert_int_equal(weft__places_parse(&places, "{0:8},!{3}"), -ENOTSUP);
    assert_int_equal(weft__places_parse(&places, "{0:8,!3}"), -ENOTSUP);
}

static void test_place_words(void **state)
{
    static const struct {
        const char *text;
        int kind; /* -1: bad */
        unsigned count;
    } table[] = {
        {"threads", WEFT__PLACES_THREADS, 0},
        {"Cores(4)", WEFT__PLACES_CORES, 4},
        {"ll_caches", WEFT__PLACES_CACHES, 0},
        {" sockets ( 2 ) ", WEFT__PLACES_SOCKETS, 2},
        {"numa_domains(1)", WEFT__PLACES_NUMA, 1},
        {"core", -1, 0},
        {"cores(0)", -1, 0},
        {"cores(-2)", -1, 0},
        {"cores()", -1, 0},
        {"cores(2", -1, 0},
        {"cores 2", -1, 0},
        {"cores,threads", -1, 0},
    };
    struct weft__places places;
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        int rc = weft__places_parse(&places, table[i].text);
        assert_int_equal(rc, table[i].kind < 0 ? -EINVAL : 0);
        if (rc != 0)
            continue;
        assert_int_equal(places.kind, table[i].kind);
        assert_int_equal(places.count_max, table[i].count);
    }
}

static void test_places(void **state)
{
    char one[32];
    unsigned first = 0;
    (void)state;

    set("WEFT_PLACES", "threads");
    inspect(NULL);
    assert_int_equal(settings.bind, WEFT_BIND_CLOSE);
    set("WEFT_PROC_BIND", "false");
    inspect(NULL);
    assert_int_equal(settings.bind, WEFT_BIND_FALSE);
    assert_non_null(strstr(environment.verdict[WEFT__PLACES].text, "not bound"));
    unsetenv("WEFT_PROC_BIND");
    while (!weft__cpuset_has(&settings.limits.allowed_set, first))
        first++;
    snprintf(one, sizeof(one), "{%u}", first);
    set("WEFT_PLACES", one);
    inspect(NULL);
    assert_int_equal(settings.workers, 1);
    for (const char *const *bad = (const char *const[]){"", "nodes", "!{0}", "{8000}", NULL};
         *bad != NULL; bad++) {
        set("WEFT_PLACES", *bad);
        inspect(NULL);
        assert_true(is_bad(WEFT__PLACES));
        assert_int_equal(settings.places.kind, WEFT__PLACES_CORES);
        assert_int_equal(settings.bind, WEFT_BIND_FALSE);
    }
}

static void test_check(void **state)
{
    static const struct {
        const char *text;
        int report;
        unsigned checks;
        bool bad;
    } table[] = {
        {"stack", 1, 0, false},
        {"STACK ", 1, 0, false},
        {"stack,locks", 1, 0, true},
        {"locks,stack", 1, 0, true},
        {"locks", 0, 0, true},
        {"", 0, 0, true},
        {"stack,", 1, 0, true},
        {"hang", 0, WEFT__CHECK_STAMP, false},
        {"reactor,stack", 1, WEFT__CHECK_REACTOR, false},
        {"migrate, reactor", 0, WEFT__CHECK_MIGRATE | WEFT__CHECK_REACTOR, false},
        {"join", 0, WEFT__CHECK_JOIN, false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        set("WEFT_CHECK", table[i].text);
        inspect(NULL);
        assert_int_equal(settings.report_overflow, table[i].report);
        assert_int_equal(settings.checks, table[i].checks);
        assert_int_equal(is_bad(WEFT__CHECK), table[i].bad);
    }
}

/* Runs weft__settings_resolve() twice and answers what went to stderr. */
static const char *resolve_twice(void)
{
    static char text[4096];
    FILE *capture = tmpfile();
    int saved = dup(STDERR_FILENO);
    size_t length;

    assert_non_null(capture);
    assert_true(dup2(fileno(capture), STDERR_FILENO) >= 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(weft__settings_resolve(NULL, &settings), 0);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(capture);
    length = fread(text, 1, sizeof(text) - 1, capture);
    text[length] = '\0';
    fclose(capture);
    return text;
}

static unsigned count_text(const char *text, const char *part)
{
    unsigned count = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        count++;
    return count;
}

/* One line for each bad variable, once in the life of the process. */
static void test_warnings(void **state)
{
    static const char *const names[] = {
        "WEFT_NUM_WORKERS", "WEFT_STACK_SIZE", "WEFT_WAIT_POLICY", "WEFT_SPIN_US",
        "WEFT_PROC_BIND",   "WEFT_PLACES",     "WEFT_CHECK",
    };
    const char *text = resolve_twice();
    (void)state;

    assert_string_equal(text, "");
    for (size_t i = 0; i < LENGTH(names); i++)
        set(names[i], "b@d");
    text = resolve_twice();
    assert_int_equal(count_text(text, "\n"), LENGTH(names));
    assert_int_equal(count_text(text, "'b@d'"), LENGTH(names) + 1); /* The check is named again. */
    for (size_t i = 0; i < LENGTH(names); i++)
        assert_int_equal(count_text(text, names[i]), 1);
    assert_int_equal(count_text(text, "; using "), LENGTH(names));
    assert_string_equal(resolve_twice(), "");
}

/* A name that is nearly one of ours, once; what is farther may be somebody else's. */
static void test_mistyped_names(void **state)
{
    static const char *const wrong[] = {
        "WEFT_NUM_WORKER", "WEFT_STACK_SIZES", "WEFT_WAIT_POLICI", "WEFT_SPIN_SU", "EFT_CHECK",
    };
    static const char *const others[] = {"WEFT", "WEFT_", "WEFT_WORKERS", "WEFT_XY", "WEFT_ID"};
    (void)state;

    for (size_t i = 0; i < LENGTH(others); i++)
        set(others[i], "4");
    assert_string_equal(resolve_twice(), "");
    for (size_t i = 0; i < LENGTH(wrong); i++)
        set(wrong[i], "4");
    const char *text = resolve_twice();
    assert_int_equal(count_text(text, "\n"), LENGTH(wrong));
    assert_int_equal(count_text(text, "no WEFT_NUM_WORKER; did you mean WEFT_NUM_WORKERS?\n"), 1);
    assert_int_equal(count_text(text, "no WEFT_SPIN_SU; did you mean WEFT_SPIN_US?\n"), 1);
    for (size_t i = 0; i < LENGTH(wrong); i++)
        unsetenv(wrong[i]);
    for (size_t i = 0; i < LENGTH(others); i++)
        unsetenv(others[i]);
}

static void test_display(void **state)
{
    const char *text;
    (void)state;

    set("WEFT_DISPLAY_ENV", "0");
    assert_string_equal(resolve_twice(), "");
    set("WEFT_DISPLAY_ENV", "1");
    set("WEFT_NUM_WORKERS", "6");
    text = resolve_twice();
    assert_int_equal(count_text(text, "WEFT DISPLAY ENVIRONMENT BEGIN\n"), 1);
    assert_int_equal(count_text(text, "WEFT_NUM_WORKERS = '6' (WEFT_NUM_WORKERS says so)\n"), 1);
    assert_int_equal(count_text(text, "WEFT DISPLAY ENVIRONMENT END\n"), 1);
    set("WEFT_DISPLAY_ENV", "maybe");
    assert_int_equal(count_text(resolve_twice(), "WEFT_DISPLAY_ENV='maybe': "), 1);
}

#define CLEAN(test) cmocka_unit_test_setup_teardown(test, clean, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLEAN(test_defaults),
        CLEAN(test_config_out_of_range),
        CLEAN(test_config_wins),
        CLEAN(test_workers),
        CLEAN(test_workers_of_others),
        CLEAN(test_parse_bytes),
        CLEAN(test_stack),
        CLEAN(test_waiting),
        CLEAN(test_crowded),
        CLEAN(test_bind),
        CLEAN(test_place_lists),
        CLEAN(test_place_words),
        CLEAN(test_places),
        CLEAN(test_check),
        CLEAN(test_warnings),
        CLEAN(test_mistyped_names),
        CLEAN(test_display),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
