/* SPDX-License-Identifier: BSD-2-Clause */
/* test_limits.c — counting processors in made-up trees of /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "fake_root.h"
#include "sched/limits.h"
#include <weft/runtime.h>

#include <errno.h>
#include <sched.h>

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define V1 "/sys/fs/cgroup/cpu,cpuacct"

static struct weft__cpuset cpus(const char *list)
{
    struct weft__cpuset set = {{0}};
    assert_int_equal(weft__cpuset_parse(&set, list), 0);
    return set;
}

/* A machine with 16 processors, all allowed. */
static struct weft__limits read_limits(void)
{
    struct weft__cpuset mask = cpus("0-15");
    struct weft__limits limits;
    assert_int_equal(weft__limits_read_mask(&limits, fake_root, &mask), 0);
    return limits;
}

static void online16(void)
{
    fake_file("/sys/devices/system/cpu/online", "0-15\n");
}

static void v2_files(const char *cgroup, const char *mounts)
{
    online16();
    fake_file("/proc/self/cgroup", cgroup);
    fake_file("/proc/self/mountinfo", mounts);
}

static void v1_files(const char *directory, const char *quota, const char *period)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
    fake_file(path, quota);
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
    fake_file(path, period);
}

static void expect(double quota, unsigned usable, const char *file)
{
    struct weft__limits limits = read_limits();
    assert_true(limits.quota_cpus > quota - 1e-9 && limits.quota_cpus < quota + 1e-9);
    assert_int_equal(limits.usable, usable);
    assert_string_equal(limits.quota_file, file);
}

static void test_cpuset_text(void **state)
{
    static const char *const bad[] = {
        "", "\n", "a", "1-", "3-1", "1,,2", "1,", "-1", "0-3 ", "99999999999999999999", "0:2"};
    struct weft__cpuset set = cpus("0-3,8,10-11\n");
    char text[32];
    (void)state;

    assert_int_equal(weft__cpuset_count(&set), 7);
    assert_string_equal(weft__cpuset_format(&set, text, sizeof(text)), "0-3,8,10-11");
    assert_string_equal(weft__cpuset_format(&set, text, 10), "0-3,8...");
    assert_string_equal(weft__cpuset_format(&set, text, 1), "");
    set = cpus("0-8191");
    assert_int_equal(weft__cpuset_count(&set), 8192);
    assert_string_equal(weft__cpuset_format(&set, text, sizeof(text)), "0-8191");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(weft__cpuset_parse(&set, bad[i]), -EINVAL);
    assert_int_equal(weft__cpuset_count(&set), 8192);
}

static void test_nothing_to_read(void **state)
{
    struct weft__cpuset none = {{0}};
    struct weft__limits limits;
    (void)state;

    expect(0, 16, "");
    limits = read_limits();
    assert_int_equal(limits.online, 16);
    assert_int_equal(weft__limits_read_mask(&limits, fake_root, &none), 0);
    assert_int_equal(limits.online, 1);
    assert_int_equal(limits.allowed, 1);
    assert_int_equal(limits.usable, 1);
    online16();
    assert_int_equal(weft__limits_read_mask(&limits, fake_root, &none), 0);
    assert_int_equal(limits.usable, 16);
}

static void test_mask(void **state)
{
    struct weft__cpuset mask = cpus("2-4,40");
    struct weft__limits limits;
    (void)state;

    v2_files("0::/a\n", V2_MOUNT);
    fake_file("/sys/fs/cgroup/a/cpu.max", "800000 100000\n");
    assert_int_equal(weft__limits_read_mask(&limits, fake_root, &mask), 0);
    assert_int_equal(limits.online, 16);
    assert_int_equal(limits.allowed, 3);
    assert_int_equal(limits.usable, 3);
    assert_true(limits.quota_cpus > 7.9 && limits.quota_cpus < 8.1);
    assert_true(weft__cpuset_has(&limits.allowed_set, 4));
    assert_false(weft__cpuset_has(&limits.allowed_set, 40));
}

static void test_large_machine(void **state)
{
    struct weft__cpuset mask = cpus("1000-2999");
    struct weft__limits limits;
    (void)state;

    fake_file("/sys/devices/system/cpu/online", "0-4095\n");
    assert_int_equal(weft__limits_read_mask(&limits, fake_root, &mask), 0);
    assert_int_equal(limits.online, 4096);
    assert_int_equal(limits.usable, 2000);
}

static void test_v2_own(void **state)
{
    (void)state;
    v2_files("0::/a/b\n", V2_MOUNT);
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    expect(0.5, 1, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    expect(2.5, 3, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
    expect(3, 3, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "100000 50000\n");
    expect(2, 2, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "200000");
    expect(2, 2, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n");
    expect(64, 16, "/sys/fs/cgroup/a/b/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    expect(0, 16, "");
}

static void test_v2_ancestors(void **state)
{
    (void)state;
    v2_files("0::/a/b/c\n", V2_MOUNT);
    fake_file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    fake_file("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
    fake_file("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/a/cpu.max");
    fake_file("/sys/fs/cgroup/a/b/c/cpu.max", "150000 100000\n");
    expect(1.5, 2, "/sys/fs/cgroup/a/b/c/cpu.max");
    /* A sibling is nobody's ancestor. */
    fake_file("/sys/fs/cgroup/a/x/cpu.max", "10000 100000\n");
    fake_file("/sys/fs/cgroup/ab/cpu.max", "10000 100000\n");
    expect(1.5, 2, "/sys/fs/cgroup/a/b/c/cpu.max");
    /* Weights forbid nothing. */
    fake_file("/sys/fs/cgroup/a/b/c/cpu.weight", "1\n");
    expect(1.5, 2, "/sys/fs/cgroup/a/b/c/cpu.max");
}

static void test_v1(void **state)
{
    (void)state;
    v2_files("5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/\n",
             "32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" V1_MOUNT);
    v1_files(V1 "/a/b", "-1\n", "100000\n");
    expect(0, 16, "");
    v1_files(V1 "/a", "250000\n", "100000\n");
    expect(2.5, 3, V1 "/a/cpu.cfs_quota_us");
    v1_files(V1 "/a/b", "50000\n", "100000\n");
    expect(0.5, 1, V1 "/a/b/cpu.cfs_quota_us");
    fake_file(V1 "/a/b/cpu.shares", "2\n");
    expect(0.5, 1, V1 "/a/b/cpu.cfs_quota_us");
}

/* "cpuset" and "cpuacct" are other controllers than "cpu". */
static void test_v1_other_controllers(void **state)
{
    (void)state;
    v2_files("4:cpuset:/a\n3:cpuacct:/a\n",
             "33 25 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
    v1_files("/sys/fs/cgroup/cpuset/a", "50000\n", "100000\n");
    expect(0, 16, "");
}

static void test_hybrid(void **state)
{
    (void)state;
    v2_files("4:cpu,cpuacct:/a\n0::/user.slice\n",
             V1_MOUNT "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    v1_files(V1 "/a", "400000\n", "100000\n");
    expect(4, 4, V1 "/a/cpu.cfs_quota_us");
    fake_file("/sys/fs/cgroup/unified/user.slice/cpu.max", "300000 100000\n");
    expect(3, 3, "/sys/fs/cgroup/unified/user.slice/cpu.max");
}

/* A container that sees its host's path and has its own subtree mounted. */
static void test_subtree_mounted(void **state)
{
    (void)state;
    v2_files("0::/docker/abc/app\n",
             "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    fake_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    fake_file("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    fake_file("/sys/fs/cgroup/docker/abc/app/cpu.max", "100000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/cpu.max");
}

/* The same hierarchy mounted twice: what either shows of our ancestors binds us. */
static void test_two_mounts(void **state)
{
    (void)state;
    v2_files("0::/docker/abc\n", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"
                                 "31 23 0:26 / /host/cgroup ro - cgroup2 cgroup2 rw\n");
    fake_file("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    fake_file("/host/cgroup/docker/cpu.max", "300000 100000\n");
    expect(3, 3, "/host/cgroup/docker/cpu.max");
}

static void test_namespaces(void **state)
{
    (void)state;
    /* The root of a namespace is the mount's root. */
    v2_files("0::/\n", V2_MOUNT);
    fake_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/cpu.max");
    /* Outside of our namespace, which is all that is mounted. */
    fake_file("/proc/self/cgroup", "0::/../other\n");
    fake_file("/sys/fs/other/cpu.max", "100000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/cpu.max");
    /* A mount of the host's that shows what lies above the namespace. */
    fake_file("/proc/self/mountinfo", "30 23 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    fake_file("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
    expect(1, 1, "/sys/fs/cgroup/other/cpu.max");
    fake_file("/proc/self/cgroup", "0::/../../far\n");
    fake_file("/sys/fs/cgroup/far/cpu.max", "50000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/cpu.max");
}

/* A sandbox that shows the path on its host but mounts only what is inside. */
static void test_foreign_path(void **state)
{
    (void)state;
    v2_files("0::/kubepods/pod1/web\n", V2_MOUNT);
    fake_file("/sys/fs/cgroup/cpu.max", "700000 100000\n");
    expect(7, 7, "/sys/fs/cgroup/cpu.max");
    fake_file("/proc/self/mountinfo",
              "30 23 0:26 /elsewhere /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    expect(7, 7, "/sys/fs/cgroup/cpu.max");
}

/* "/docker/ab" is no ancestor of "/docker/abc". */
static void test_similar_names(void **state)
{
    (void)state;
    v2_files("0::/docker/abc\n", "30 23 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    fake_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    fake_file("/sys/fs/cgroupc/cpu.max", "100000 100000\n");
    expect(2, 2, "/sys/fs/cgroup/cpu.max");
}

static void test_odd_mountinfo(void **state)
{
    (void)state;
    v2_files("0::/a:b\n",
             "30 23 0:26 / /sys/fs/c\\040group rw shared:9 master:2 - cgroup2 cgroup2 rw\n");
    fake_file("/sys/fs/c group/a:b/cpu.max", "300000 100000\n");
    expect(3, 3, "/sys/fs/c group/a:b/cpu.max");
}

static void test_long_lines(void **state)
{
    static char mounts[80000];
    (void)state;
    /* An overlay mount with a very long line, then ours. */
    memset(mounts, 'x', 70000);
    strcpy(mounts + 70000, "\n" V2_MOUNT);
    v2_files("0::/a\n", mounts);
    fake_file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    expect(3, 3, "/sys/fs/cgroup/a/cpu.max");
    /* A path longer than any path is ignored. */
    memcpy(mounts, "0::/", 4);
    memset(mounts + 4, 'y', 8000);
    strcpy(mounts + 8004, "\n");
    fake_file("/proc/self/cgroup", mounts);
    expect(0, 16, "");
}

static void test_garbage(void **state)
{
    static const char *const cpu_max[] = {
        "",
        "\n",
        "abc\n",
        "0 100000\n",
        "-5 100000\n",
        "100000 0\n",
        "100000 x\n",
        "100000 -1\n",
        "1e5 1e5\n",
        "99999999999999999999999 100000\n",
        "\377\376\n",
        " \n",
        "max\n",
        "100000 100000 7\n",
    };
    static const char *const cgroups[] = {"", "\n", ":", "::", "0::", "0::a\n", "x\n", "0:\n"};
    static const char *const mounts[] = {
        "",
        "\n",
        " - \n",
        " - cgroup2\n",
        "30 23 0:26 / - cgroup2 x rw\n",
        "a",
        "a b c d e -",
        "a b c d e - ",
        "a b c d e - cgroup2 x rw\n",
        "1 2 3 / / - cgroup c\n",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cpu_max) / sizeof(cpu_max[0]); i++) {
        v2_files("0::/a\n", V2_MOUNT);
        fake_file("/sys/fs/cgroup/a/cpu.max", cpu_max[i]);
        expect(0, 16, "");
    }
    fake_file("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    expect(1, 1, "/sys/fs/cgroup/a/cpu.max");
    for (size_t i = 0; i < sizeof(cgroups) / sizeof(cgroups[0]); i++) {
        fake_file("/proc/self/cgroup", cgroups[i]);
        expect(0, 16, "");
    }
    fake_file("/proc/self/cgroup", "0::/a\n1:cpu:/a\n");
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        fake_file("/proc/self/mountinfo", mounts[i]);
        expect(0, 16, "");
    }
    fake_file("/sys/devices/system/cpu/online", "0-x\n");
    assert_int_equal(read_limits().online, 16);
}

static void test_no_memory(void **state)
{
    struct weft__limits limits = {.online = 77};
    (void)state;

    weft__fault_arm(0);
    assert_int_equal(weft__limits_read(&limits, ""), -ENOMEM);
    assert_int_equal(limits.online, 77);
    weft__fault_arm(0);
    assert_int_equal(weft_usable_cpus(), 1);
    weft__fault_arm(-1);
}

static void test_this_machine(void **state)
{
    struct weft__limits limits;
    cpu_set_t before, one;
    (void)state;

    assert_int_equal(weft__limits_read(&limits, ""), 0);
    assert_in_range(limits.allowed, 1, limits.online);
    assert_in_range(limits.usable, 1, limits.allowed);
    assert_int_equal(weft_usable_cpus(), limits.usable);
    if (sched_getaffinity(0, sizeof(before), &before) != 0)
        return; /* More processors than this test has room for. */
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(weft_usable_cpus(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpuset_text),
        FAKE(test_nothing_to_read),
        FAKE(test_mask),
        FAKE(test_large_machine),
        FAKE(test_v2_own),
        FAKE(test_v2_ancestors),
        FAKE(test_v1),
        FAKE(test_v1_other_controllers),
        FAKE(test_hybrid),
        FAKE(test_subtree_mounted),
        FAKE(test_two_mounts),
        FAKE(test_namespaces),
        FAKE(test_foreign_path),
        FAKE(test_similar_names),
        FAKE(test_odd_mountinfo),
        FAKE(test_long_lines),
        FAKE(test_garbage),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
