/* SPDX-License-Identifier: BSD-2-Clause */
/* test_damage.c — segments in which somebody has scribbled: before we attach, and while we are at
 * it. The random damage is the same in each run; fuzz_segment.c goes on from there. */
#include "shared.h"

#include "alloc.h"
#include "damage.h"

#include <fcntl.h>

#include <weft/shmsync.h>

#define ROUNDS LESS_IF_SANITIZED(3000, 600)

static uint64_t random_state = 88172645463325252;

/* A number that is likely to hurt. */
static uint64_t nasty(void)
{
    static const uint64_t some[] = {0,          1,          2,
                                    3,          UINT64_MAX, UINT64_MAX - 1,
                                    INT64_MAX,  UINT32_MAX, (uint64_t)1 << 32,
                                    0x7fffffff, 4,          (uint64_t)1 << 63};
    uint64_t dice = next_random(&random_state);
    return dice % 3 == 0 ? dice : some[dice % (sizeof(some) / sizeof(some[0]))];
}

/* Offsets that matter: header, processes, seats, control, words and elements. */
static void scribble(uint8_t *bytes, size_t size)
{
    unsigned times = 1 + (unsigned)(next_random(&random_state) % 8);
    for (unsigned i = 0; i < times; i++) {
        uint64_t value = nasty();
        size_t at = (size_t)(next_random(&random_state) % (size / 8)) * 8;
        if (next_random(&random_state) % 2 == 0) /* control: everything between seats and body */
            at = 4096 + (size_t)(next_random(&random_state) % ((8192 - 4096 + 1024) / 8)) * 8;
        if (at + 8 <= size)
            memcpy(bytes + at, &value, 8);
    }
}

static void test_scribbled_before(void **state)
{
    static uint8_t bytes[DAMAGE_BYTES_MAX], copy[DAMAGE_BYTES_MAX];
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        size_t size = good_segment(kind, bytes);
        assert_true(size > 4096);
        use_segment(bytes, size);
        for (int round = 0; round < ROUNDS / 4; round++) {
            memcpy(copy, bytes, size);
            scribble(copy, size);
            if (round % 4 != 0)
                memcpy(copy, bytes, 80); /* the header as it was */
            else
                sign_header(copy);
            use_segment(copy, size);
        }
    }
}

/* Every header that was changed anywhere is refused, and so is every other size. */
static void test_headers(void **state)
{
    static uint8_t bytes[DAMAGE_BYTES_MAX];
    (void)state;
    size_t size = good_segment(0, bytes);
    for (size_t bit = 0; bit < 8 * 80; bit++) {
        weft_queue *queue = NULL;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int fd = memfd_create("header", MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, bytes, size), (ssize_t)size);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
        assert_int_equal(weft_queue_attach(&queue, fd, NULL), -EPROTO);
        close(fd);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int change = -1; change <= 1; change += 2) {
        weft_queue *queue = NULL;
        int fd = memfd_create("size", MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, bytes, size), (ssize_t)size);
        assert_int_equal(ftruncate(fd, (off_t)size + change * 4096), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
        assert_int_equal(weft_queue_attach(&queue, fd, NULL), -EPROTO);
        close(fd);
    }
}

/* A child that writes rubbish everywhere behind the processes while we use the queue. */
typedef struct victim {
    int fd;
    size_t size;
} victim;

static int scribble_on(void *arg)
{
    const victim *victim_of = arg;
    size_t size = victim_of->size, begin = 4096 + 4 * 128;
    uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, victim_of->fd, 0);
    if (base == MAP_FAILED)
        return __LINE__;
    for (;;) {
        uint64_t value = nasty();
        size_t at = begin + (size_t)(next_random(&random_state) % ((size - begin) / 8)) * 8;
        weft__store_relaxed((uint64_t *)(void *)(base + at), value);
    }
}

static void test_scribbled_meanwhile(void **state)
{
    static uint8_t bytes[DAMAGE_BYTES_MAX];
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        size_t size = good_segment(kind, bytes);
        for (int round = 0; round < ROUNDS / 300; round++) {
            int fd = memfd_create("meanwhile", MFD_ALLOW_SEALING);
            assert_int_equal(write(fd, bytes, size), (ssize_t)size);
            assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
            victim victim_of = {.fd = fd, .size = size};
            pid_t child = start_child(scribble_on, &victim_of);
            for (int use = 0; use < 10; use++) {
                use_queue(fd);
                use_pipe(fd);
            }
            assert_int_equal(kill_child(child), -SIGKILL);
            close(fd);
        }
    }
}

/* A named segment is cut off while it is mapped: reported, not deadly, if that was asked for. */
static int use_what_was_cut_off(void *arg)
{
    char path[96];
    weft_queue *queue = NULL;
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 1024, .flags = *(unsigned *)arg};
    uint64_t value = 1;
    char name[64];
    own_name(name, "cut");
    (void)snprintf(path, sizeof path, "/dev/shm/weft.%s", name + 1);
    if (weft_shm_catch_truncation() != 0 || weft_shm_catch_truncation() != 0)
        return __LINE__;
    if (weft_queue_create(&queue, name, &spec) != 0)
        return __LINE__;
    if (weft_queue_push(queue, &value, WEFT_POLL) != 0)
        return __LINE__;
    if (truncate(path, 0) != 0 || unlink(path) != 0)
        return __LINE__;
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = weft_queue_push(queue, &value, weft_in(WEFT_SEC));
    if (rc != -EPROTO && rc != -EPIPE)
        return __LINE__;
    rc = weft_queue_pop(queue, &value, weft_in(WEFT_SEC));
    if (rc == 0 || rc == -ETIMEDOUT)
        return __LINE__;
    weft_queue_detach(queue);
    return 0;
}

static int die_of_another_bus_error(void *arg)
{
    (void)arg;
    if (weft_shm_catch_truncation() != 0)
        return __LINE__;
    int fd = memfd_create("mine", 0);
    if (ftruncate(fd, 4096) != 0)
        return __LINE__;
    volatile char *base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0)
        return __LINE__;
    return base[0] + __LINE__;
}

static void test_cut_off(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 2; flags++)
        assert_int_equal(end_child(start_child(use_what_was_cut_off, &flags)), 0);
    int end = end_child(start_child(die_of_another_bus_error, NULL));
    assert_true(end == -SIGBUS || (SANITIZED && end > 0));
}

/* No room: an error, and nothing is left. A limit on file sizes stands for a full /dev/shm. */
static int create_without_room(void *arg)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = (size_t)1 << 36};
    weft_queue *queue = NULL;
    weft_shm *shm = NULL;
    char name[64];
    (void)arg;
    if (weft_queue_create(&queue, own_name(name, "room"), &spec) >= 0)
        return __LINE__;
    if (weft_shm_create(&shm, name, (size_t)1 << 45) >= 0)
        return __LINE__;
    return weft_shm_open(&shm, name) == -ENOENT ? 0 : __LINE__;
}

static void test_no_room(void **state)
{
    (void)state;
    assert_int_equal(end_child(start_child(create_without_room, NULL)), 0);
}

/* The n-th allocation, mapping or step of the disk fails: a clean error, nothing left, and in the
 * end success. */
static void test_faults(void **state)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 8};
    char name[64];
    int rc = -1;
    (void)state;
    own_name(name, "faults");
    for (int64_t n = 0; rc != 0; n++) {
        weft_queue *queue = NULL;
        weft__fault_arm(n);
        rc = weft_queue_create(&queue, name, &spec);
        weft__fault_arm(-1);
        if (rc != 0) {
            assert_true(rc == -ENOMEM || rc == -ENOSPC);
            assert_null(queue);
            assert_int_equal(weft_queue_unlink(name), -ENOENT);
            assert_true(n < 100);
            continue;
        }
        assert_true(n >= 3);
        assert_int_equal(weft_queue_unlink(name), 0);
        weft_queue_detach(queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_scribbled_before),
        cmocka_unit_test(test_scribbled_meanwhile),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
