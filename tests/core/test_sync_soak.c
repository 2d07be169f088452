/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sync_soak.c — the stress tests of core/sync, each for so long that it comes to more than ten
 * million waits and wakes.
 *
 * It runs the programs that lie beside it with WEFT_SOAK set to their share of seconds.
 * ctest: TIMEOUT 3600 LABELS soak */
#include "process.h"

typedef struct share {
    const char *name;
    const char *seconds;
} share;

/* Those in which all must come together each time take longest. */
static const share shares[] = {
    {"mutex", "60"},    {"rwlock", "60"},  {"cond", "240"},      {"semaphore", "60"},
    {"event", "240"},   {"latch", "120"},  {"once", "120"},      {"barrier", "240"},
    {"channel", "120"}, {"select", "240"}, {"giving_up", "120"},
};

static const char *program_beside(const char *name)
{
    static char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);
    assert_true(length > 0);
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    assert_non_null(slash);
    (void)snprintf(slash + 1, 60, "test_core.%s", name);
    return path;
}

static void test_soak(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        const char *path = program_beside(shares[i].name);
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            (void)setenv("WEFT_SOAK", shares[i].seconds, 1);
            (void)execl(path, path, (char *)NULL);
            _exit(127);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("%s ends with status %#x", path, (unsigned)status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_soak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
