/* SPDX-License-Identifier: BSD-2-Clause */
/* test_full.c — there is no room for shared memory left: an error where something is made, never a
 * signal where it is used.
 *
 * Each test runs in a child that has a small file system of its own in the place of /dev/shm, which
 * vanishes with it. Where that is not allowed they are skipped. */
#include "shared.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <weft/queue.h>
#include <weft/shm.h>

#define FOLDER "/dev/shm"
#define MANY 64

/* ---- a folder of one's own ------------------------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, strlen(text));
    (void)close(fd);
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

/* Become root of a user namespace, for whoever is not root already. */
static int become_root(void)
{
    char users[32], groups[32];
    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)getuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || write_text("/proc/self/uid_map", users) != 0 ||
        write_text("/proc/self/setgroups", "deny") != 0)
        return -1;
    return write_text("/proc/self/gid_map", groups);
}

static int mount_own(const char *options)
{
    if (unshare(CLONE_NEWNS) != 0 && become_root() != 0)
        return -1;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -1;
    return mount("tmpfs", FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

static int try_to_mount(void *arg)
{
    (void)arg;
    CHECK(mount_own("size=1m") == 0);
    return 0;
}

static unsigned long free_blocks(void)
{
    struct statvfs seen;
    return statvfs(FOLDER, &seen) == 0 ? (unsigned long)seen.f_bfree : 0;
}

static unsigned count_files(void)
{
    unsigned count = 0;
    DIR *folder = opendir(FOLDER);
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

/* ---- what is made there ---------------------------------------------------------------------- */

typedef struct made {
    weft_queue *queue;
    weft_pipe *messages;
    weft_shm *shm;
} made;

static const char *name_of(char name[static 64], unsigned number)
{
    (void)snprintf(name, 64, "/full-%u", number);
    return name;
}

static int make(made *one, unsigned number)
{
    weft_queue_spec spec = {.elem_bytes = 1000, .capacity = 64};
    weft_pipe_spec pipe_spec = {.capacity_bytes = 65536};
    char name[64];
    *one = (made){.queue = NULL};
    (void)name_of(name, number);
    if (number % 3 == 0)
        return weft_queue_create(&one->queue, name, &spec);
    if (number % 3 == 1)
        return weft_pipe_create(&one->messages, name, &pipe_spec);
    return weft_shm_create(&one->shm, name, 70000);
}

/* Touch every page. */
static int use(made *one)
{
    char bytes[1000] = {1};
    if (one->queue != NULL)
        for (int i = 0; i < 64; i++)
            CHECK(weft_queue_push(one->queue, bytes, WEFT_POLL) == 0);
    for (int i = 0; one->messages != NULL && i < 60; i++)
        CHECK(weft_pipe_send(one->messages, bytes, sizeof bytes, WEFT_POLL) == 0);
    if (one->shm != NULL)
        memset(weft_shm_data(one->shm), 1, 70000);
    return 0;
}

static int drop(made *one, unsigned number)
{
    char name[64];
    (void)name_of(name, number);
    weft_queue_detach(one->queue);
    weft_pipe_detach(one->messages);
    weft_shm_detach(one->shm);
    return weft_shm_unlink(name);
}

/* Make as many as there is room for: so many, and the next one is refused and leaves nothing. */
static int make_until_full(made all[static MANY], unsigned *count)
{
    int rc = 0;
    unsigned long before = 0;
    for (*count = 0; *count < MANY && rc == 0; *count += rc == 0) {
        before = free_blocks();
        rc = make(&all[*count], *count);
    }
    CHECK(rc == -ENOSPC);
    CHECK(*count > 2);
    CHECK(free_blocks() == before);
    CHECK(count_files() == *count);
    return 0;
}

static int fill_up(void *options)
{
    static made all[MANY];
    unsigned count = 0;
    CHECK(mount_own(options) == 0);
    unsigned long empty = free_blocks();
    for (int round = 0; round < 2; round++) {
        CHECK_CALL(make_until_full(all, &count));
        for (unsigned i = 0; i < count; i++)
            CHECK_CALL(use(&all[i]));
        CHECK(drop(&all[0], 0) == 0);
        CHECK(make(&all[0], 0) == 0); /* there is room for it again */
        CHECK_CALL(use(&all[0]));
        for (unsigned i = 0; i < count; i++)
            CHECK(drop(&all[i], i) == 0);
        CHECK(count_files() == 0 && free_blocks() == empty);
    }
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void fill_up_in_child(char *options)
{
    child_end end = in_child(try_to_mount, NULL);
    if (!is_success(&end))
        skip();
    end = in_child(fill_up, options);
    expect_success(&end);
}

static void test_no_pages(void **state)
{
    char options[] = "size=1m";
    (void)state;
    fill_up_in_child(options);
}

static void test_no_inodes(void **state)
{
    char options[] = "size=64m,nr_inodes=9";
    (void)state;
    fill_up_in_child(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_pages),
        cmocka_unit_test(test_no_inodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
