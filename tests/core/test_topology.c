/* SPDX-License-Identifier: BSD-2-Clause */
/* test_topology.c — where workers go on machines that are made up.
 *
 * hwloc reads a machine from HWLOC_SYNTHETIC or HWLOC_XMLFILE as it would read the real one. The
 * topology is loaded once in the life of a process, so each machine lives in a child process, which
 * hands its result back in shared memory. Without hwloc these tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "fake_root.h"
#include "sched/topology.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
#define __libc_single_threaded 0
#endif

#define WORKERS_MAX 64

/* Two sockets, four NUMA nodes with a last-level cache each, eight cores of two threads. */
#define LARGE "pack:2 numa:2 l3:1 core:2 pu:2"

static struct result {
    int rc;
    unsigned workers;
    struct weft__topology topology;
    bool safe;    /* did it get over allocations that fail? */
    bool plugins; /* with a single thread, have hwloc's plugins left something behind? */
    int cpu[WORKERS_MAX];
    unsigned char distance[WORKERS_MAX * WORKERS_MAX];
} * result;

static bool mapped(const char *library)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        found = found || strstr(line, library) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

/* Lets each allocation fail in turn; answers whether that was noticed and did no harm. */
static bool survives_faults(const struct weft__settings *settings)
{
    for (int n = 0; n < 2; n++) {
        int rc;
        weft__fault_arm(n);
        rc = weft__topology_map(settings, settings->workers, result->cpu, result->distance);
        if (rc != -ENOMEM || result->cpu[0] != -1)
            return false;
    }
    weft__fault_arm(-1);
    return true;
}

static void child(const char *variable, const char *machine, const struct weft__settings *settings)
{
    bool had_cxx = mapped("libstdc++"); /* A sanitizer may have. */

    if (machine != NULL)
        setenv(variable, machine, 1);
    unsetenv("HWLOC_PLUGINS_PATH");
    if (settings->bind != WEFT_BIND_FALSE && weft__cpuset_count(&settings->limits.allowed_set) > 0)
        result->safe = survives_faults(settings);
    result->rc = weft__topology_map(settings, settings->workers, result->cpu, result->distance);
    result->workers = settings->workers;
    if (settings->bind != WEFT_BIND_FALSE)
        result->topology = weft__topology_count();
    if (!__libc_single_threaded)
        return; /* ThreadSanitizer has one of its own. */
    result->plugins = mapped("libOpenCL") || mapped("libX11") ||
                      (!had_cxx && mapped("libstdc++")) || getenv("HWLOC_PLUGINS_PATH") != NULL;
}

/* Maps workers on a machine; NULL stands for this one. */
static void map_on(const char *variable, const char *machine, const struct weft__settings *settings)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    result->safe = true;
    result->plugins = false;
    if (pid == 0) {
        child(variable, machine, settings);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(result->rc, 0);
    assert_true(result->safe);
    assert_false(result->plugins);
}

/* Settings with processors 0 ... cpus - 1 allowed, read as from the environment. */
static struct weft__settings make(unsigned cpus, unsigned workers, weft_proc_bind bind,
                                  const char *places)
{
    struct weft__settings settings = {.workers = workers, .bind = bind};
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        weft__cpuset_add(&settings.limits.allowed_set, cpu);
    if (places != NULL)
        assert_int_equal(weft__places_parse(&settings.places, places), 0);
    return settings;
}

/* The parent must not load its own machine, which its children would inherit: a child looks. */
static void need_hwloc(void)
{
    struct weft__settings settings = make(1, 1, WEFT_BIND_CLOSE, NULL);
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    if (result->topology.threads == 0)
        skip();
}

static void expect_cpus(const char *expected)
{
    char text[512] = "";
    for (unsigned i = 0; i < result->workers; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i > 0 ? " " : "",
                 result->cpu[i]);
    assert_string_equal(text, expected);
}

static int distance(unsigned a, unsigned b)
{
    return result->distance[a * result->workers + b];
}

static void expect_on_large(unsigned workers, weft_proc_bind bind, const char *places,
                            const char *cpus)
{
    struct weft__settings settings = make(16, workers, bind, places);
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    expect_cpus(cpus);
}

static void test_unbound(void **state)
{
    (void)state;
    expect_on_large(5, WEFT_BIND_FALSE, NULL, "-1 -1 -1 -1 -1");
    for (unsigned i = 0; i < 5; i++)
        for (unsigned j = 0; j < 5; j++)
            assert_int_equal(distance(i, j), i == j ? WEFT__SELF : WEFT__SAME_NUMA);
}

static void test_this_machine(void **state)
{
    struct weft__settings settings;
    struct weft__environment environment;
    (void)state;

    assert_int_equal(weft__settings_inspect(&(weft_config){.workers = 7, .bind = WEFT_BIND_CLOSE},
                                            "", &settings, &environment),
                     0);
    map_on(NULL, NULL, &settings);
    for (unsigned i = 0; i < 7; i++) {
        assert_in_range(result->cpu[i], 0, WEFT__CPUS_MAX - 1);
        assert_true(weft__cpuset_has(&settings.limits.allowed_set, (unsigned)result->cpu[i]));
        assert_int_equal(distance(i, i), WEFT__SELF);
        for (unsigned j = 0; j < i; j++) {
            assert_int_equal(distance(i, j), distance(j, i));
            assert_in_range(distance(i, j), WEFT__SAME_CORE, WEFT__FARTHER);
        }
    }
}

static void test_close(void **state)
{
    (void)state;
    need_hwloc();
    expect_on_large(3, WEFT_BIND_CLOSE, NULL, "0 2 4");
    expect_on_large(10, WEFT_BIND_CLOSE, NULL, "0 2 4 6 8 10 12 14 1 3");
    expect_on_large(18, WEFT_BIND_CLOSE, NULL, "0 2 4 6 8 10 12 14 1 3 5 7 9 11 13 15 0 2");
    expect_on_large(4, WEFT_BIND_CLOSE, "threads", "0 1 2 3");
    expect_on_large(4, WEFT_BIND_CLOSE, "threads(2)", "0 1 0 1");
    expect_on_large(5, WEFT_BIND_CLOSE, "sockets", "0 8 1 9 2");
    expect_on_large(5, WEFT_BIND_CLOSE, "numa_domains", "0 4 8 12 1");
    expect_on_large(3, WEFT_BIND_CLOSE, "ll_caches(2)", "0 4 1");
}

static void test_spread(void **state)
{
    (void)state;
    need_hwloc();
    expect_on_large(2, WEFT_BIND_SPREAD, NULL, "0 8");
    expect_on_large(3, WEFT_BIND_SPREAD, NULL, "0 4 10");
    expect_on_large(4, WEFT_BIND_SPREAD, NULL, "0 4 8 12");
    expect_on_large(8, WEFT_BIND_SPREAD, NULL, "0 2 4 6 8 10 12 14");
    expect_on_large(9, WEFT_BIND_SPREAD, NULL, "0 2 4 6 8 10 12 14 1");
    expect_on_large(2, WEFT_BIND_SPREAD, "cores(4)", "0 4");
}

static void test_lists(void **state)
{
    (void)state;
    expect_on_large(3, WEFT_BIND_CLOSE, "{3},{1},{2}", "3 1 2");
    expect_on_large(5, WEFT_BIND_CLOSE, "{0:2}:2:8", "0 8 1 9 0");
    /* Processors that are not allowed fall out, and so do places without any left. */
    expect_on_large(3, WEFT_BIND_CLOSE, "{90},{15,16},{20},{7}", "15 7 15");
    /* A list of which nothing is left is no list. */
    expect_on_large(1, WEFT_BIND_CLOSE, "{90}", "0");
}

static void test_primary(void **state)
{
    struct weft__settings settings = make(16, 3, WEFT_BIND_CLOSE, "{4,6},{0}");
    (void)state;

    settings.bind_primary = true;
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    expect_cpus("4 6 4");
}

static void test_mask(void **state)
{
    struct weft__settings settings = make(0, 4, WEFT_BIND_CLOSE, NULL);
    (void)state;

    need_hwloc();
    for (unsigned cpu = 5; cpu <= 9; cpu++)
        weft__cpuset_add(&settings.limits.allowed_set, cpu);
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    expect_cpus("5 6 8 5");
}

static void test_distances(void **state)
{
    (void)state;
    need_hwloc();
    expect_on_large(16, WEFT_BIND_CLOSE, "threads", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15");
    assert_int_equal(distance(0, 0), WEFT__SELF);
    assert_int_equal(distance(0, 1), WEFT__SAME_CORE);
    assert_int_equal(distance(0, 2), WEFT__SAME_CACHE);
    assert_int_equal(distance(1, 3), WEFT__SAME_CACHE);
    assert_int_equal(distance(0, 4), WEFT__SAME_PACKAGE);
    assert_int_equal(distance(0, 8), WEFT__FARTHER);
    assert_int_equal(distance(15, 0), WEFT__FARTHER);
    assert_int_equal(result->topology.packages, 2);
    assert_int_equal(result->topology.cores, 8);
    assert_int_equal(result->topology.threads, 16);
    assert_int_equal(result->topology.caches, 4);
    assert_int_equal(result->topology.numa_nodes, 4);
}

/* Without an outer cache in common, what two cores share is the memory controller. */
static void test_small_caches(void **state)
{
    struct weft__settings settings = make(8, 8, WEFT_BIND_CLOSE, "threads");
    (void)state;

    need_hwloc();
    map_on("HWLOC_SYNTHETIC", "pack:1 l2:2 core:2 pu:2", &settings);
    assert_int_equal(distance(0, 1), WEFT__SAME_CORE);
    assert_int_equal(distance(0, 2), WEFT__SAME_CACHE);
    assert_int_equal(distance(0, 4), WEFT__SAME_NUMA);
    map_on("HWLOC_SYNTHETIC", "pack:1 core:4 pu:2", &settings);
    assert_int_equal(distance(0, 1), WEFT__SAME_CORE);
    assert_int_equal(distance(0, 2), WEFT__SAME_NUMA);
}

/* Six cores; the last two are fast. */
static void write_hybrid(void)
{
    static const char all[] = "cpuset=\"0x3f\" complete_cpuset=\"0x3f\" allowed_cpuset=\"0x3f\" "
                              "nodeset=\"0x1\" complete_nodeset=\"0x1\" allowed_nodeset=\"0x1\"";
    char text[8192];
    size_t used;

    snprintf(text, sizeof(text),
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology version=\"2.0\">\n"
             "<object type=\"Machine\" os_index=\"0\" %s gp_index=\"1\">\n"
             "<object type=\"NUMANode\" os_index=\"0\" %s gp_index=\"2\"/>\n",
             all, all);
    for (unsigned cpu = 0; cpu < 6; cpu++) {
        used = strlen(text);
        snprintf(text + used, sizeof(text) - used,
                 "<object type=\"Core\" os_index=\"%u\" cpuset=\"0x%x\" complete_cpuset=\"0x%x\" "
                 "nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"%u\">\n"
                 "<object type=\"PU\" os_index=\"%u\" cpuset=\"0x%x\" complete_cpuset=\"0x%x\" "
                 "nodeset=\"0x1\" complete_nodeset=\"0x1\" gp_index=\"%u\"/>\n</object>\n",
                 cpu, 1u << cpu, 1u << cpu, 10 + cpu, cpu, 1u << cpu, 1u << cpu, 20 + cpu);
    }
    used = strlen(text);
    snprintf(text + used, sizeof(text) - used,
             "</object>\n"
             "<cpukind cpuset=\"0xf\" forced_efficiency=\"0\">\n"
             "<info name=\"CoreType\" value=\"IntelAtom\"/>\n</cpukind>\n"
             "<cpukind cpuset=\"0x30\" forced_efficiency=\"1\">\n"
             "<info name=\"CoreType\" value=\"IntelCore\"/>\n</cpukind>\n</topology>\n");
    fake_file("/hybrid.xml", text);
}

static void test_fast_cores_first(void **state)
{
    static const struct {
        unsigned workers;
        weft_proc_bind bind;
        const char *places, *cpus;
    } table[] = {
        {2, WEFT_BIND_CLOSE, NULL, "4 5"},
        {3, WEFT_BIND_CLOSE, NULL, "4 5 0"},
        {7, WEFT_BIND_CLOSE, "threads", "4 5 0 1 2 3 4"},
        {1, WEFT_BIND_SPREAD, NULL, "4"},
        {2, WEFT_BIND_SPREAD, NULL, "4 5"},
        {3, WEFT_BIND_SPREAD, NULL, "4 0 2"},
        {3, WEFT_BIND_CLOSE, "sockets", "4 5 0"},
    };
    char path[128];
    (void)state;

    need_hwloc();
    write_hybrid();
    snprintf(path, sizeof(path), "%s/hybrid.xml", fake_root);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct weft__settings settings = make(6, table[i].workers, table[i].bind, table[i].places);
        map_on("HWLOC_XMLFILE", path, &settings);
        assert_int_equal(result->topology.kinds, 2);
        expect_cpus(table[i].cpus);
    }
}

/* What hwloc does not know is bound by its number. */
static void test_unknown_processors(void **state)
{
    struct weft__settings settings = make(0, 3, WEFT_BIND_CLOSE, NULL);
    (void)state;

    weft__cpuset_add(&settings.limits.allowed_set, 5000);
    weft__cpuset_add(&settings.limits.allowed_set, 8191);
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    expect_cpus("5000 8191 5000");
    settings = make(0, 2, WEFT_BIND_CLOSE, NULL);
    map_on("HWLOC_SYNTHETIC", LARGE, &settings);
    expect_cpus("-1 -1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbound),
        cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_primary),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_small_caches),
        cmocka_unit_test_setup_teardown(test_fast_cores_first, fake_setup, fake_teardown),
        cmocka_unit_test(test_unknown_processors),
    };
    result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return result == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
