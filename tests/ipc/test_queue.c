/* SPDX-License-Identifier: BSD-2-Clause */
/* test_queue.c — weft_queue: order, limits, waiting, items in place, names and descriptors. */
#include "shared.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include <weft/queue.h>

static const weft_queue_spec kinds[] = {
    {.elem_bytes = 8, .capacity = 8},
    {.elem_bytes = 8, .capacity = 8, .flags = WEFT_QUEUE_ONE_TO_ONE},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static weft_queue *new_queue(const weft_queue_spec *spec)
{
    weft_queue *queue = NULL;
    assert_int_equal(weft_queue_create(&queue, NULL, spec), 0);
    return queue;
}

static void test_order_and_limits(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        uint64_t next_in = 0, next_out = 0, got = 0;
        for (int round = 0; round < 100; round++) {
            while (weft_queue_push(queue, &next_in, WEFT_POLL) == 0)
                next_in++;
            assert_int_equal(weft_queue_push(queue, &next_in, WEFT_POLL), -EAGAIN);
            assert_int_equal(weft_queue_size(queue), 8);
            for (int i = 0; i < 1 + round % 8; i++) {
                assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), 0);
                assert_true(got == next_out++);
            }
        }
        while (weft_queue_pop(queue, &got, WEFT_POLL) == 0)
            assert_true(got == next_out++);
        assert_true(next_out == next_in);
        assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), -EAGAIN);
        assert_int_equal(weft_queue_size(queue), 0);
        weft_queue_detach(queue);
    }
}

static void test_batches(void **state)
{
    uint64_t in[20], out[20];
    (void)state;
    for (size_t i = 0; i < 20; i++)
        in[i] = 100 + i;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        assert_int_equal(weft_queue_push_n(queue, in, 5, WEFT_POLL), 5);
        assert_int_equal(weft_queue_push_n(queue, in + 5, 15, WEFT_POLL), 3);
        assert_int_equal(weft_queue_push_n(queue, in, 1, WEFT_POLL), -EAGAIN);
        assert_int_equal(weft_queue_push_n(queue, in, 0, WEFT_POLL), 0);
        assert_int_equal(weft_queue_pop_n(queue, out, 3, WEFT_POLL), 3);
        assert_int_equal(weft_queue_push_n(queue, in + 8, 12, WEFT_POLL), 3);
        assert_int_equal(weft_queue_pop_n(queue, out + 3, 17, WEFT_POLL), 8);
        assert_int_equal(weft_queue_pop_n(queue, out, 17, WEFT_POLL), -EAGAIN);
        assert_memory_equal(in + 3, out + 3, 8 * sizeof in[0]);
        weft_queue_detach(queue);
    }
}

/* Elements of every odd size arrive as they were. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 24, 55, 56, 57, 64, 100, 1024, 65536};
    (void)state;
    for (size_t s = 0; s < 2 * sizeof(sizes) / sizeof(sizes[0]); s++) {
        weft_queue_spec spec = {.elem_bytes = sizes[s / 2], .capacity = 4, .flags = s % 2};
        weft_queue *queue = new_queue(&spec);
        unsigned char *in = malloc(spec.elem_bytes), *out = malloc(spec.elem_bytes);
        for (unsigned round = 0; round < 11; round++) {
            memset(in, (int)(round * 31 + 1), spec.elem_bytes);
            assert_int_equal(weft_queue_push(queue, in, WEFT_POLL), 0);
            assert_int_equal(weft_queue_pop(queue, out, WEFT_POLL), 0);
            assert_memory_equal(in, out, spec.elem_bytes);
        }
        free(in);
        free(out);
        weft_queue_detach(queue);
    }
}

static void test_deadlines(void **state)
{
    uint64_t value = 1;
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        int64_t begin = weft_now();
        assert_int_equal(weft_queue_pop(queue, &value, weft_in(20 * WEFT_MSEC)), -ETIMEDOUT);
        assert_true(weft_now() - begin >= 20 * WEFT_MSEC);
        while (weft_queue_push(queue, &value, WEFT_POLL) == 0)
            continue;
        assert_int_equal(weft_queue_push(queue, &value, weft_in(20 * WEFT_MSEC)), -ETIMEDOUT);
        assert_int_equal(weft_queue_push(queue, &value, 1), -ETIMEDOUT);
        weft_queue_detach(queue);
    }
}

static void test_shutdown(void **state)
{
    uint64_t value = 7;
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
        weft_queue_shutdown(queue);
        weft_queue_shutdown(queue);
        assert_int_equal(weft_queue_push(queue, &value, WEFT_FOREVER), -EPIPE);
        assert_int_equal(weft_queue_pop(queue, &value, WEFT_FOREVER), 0);
        assert_int_equal(weft_queue_pop(queue, &value, WEFT_FOREVER), -EPIPE);
        weft_queue_detach(queue);
    }
}

static void *pop_until_shutdown(void *arg)
{
    uint64_t value, sum = 0;
    int rc;
    while ((rc = weft_queue_pop(arg, &value, WEFT_FOREVER)) == 0)
        sum += value;
    return rc == -EPIPE ? (void *)(uintptr_t)sum : NULL;
}

/* Whoever sleeps is woken: by an element, and by the end. */
static void test_wakes(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        pthread_t popper;
        void *sum = NULL;
        assert_int_equal(pthread_create(&popper, NULL, pop_until_shutdown, queue), 0);
        for (uint64_t i = 1; i <= 100; i++) {
            assert_int_equal(weft_queue_push(queue, &i, WEFT_FOREVER), 0);
            if (i % 10 == 0)
                (void)usleep(2000);
        }
        weft_queue_shutdown(queue);
        assert_int_equal(pthread_join(popper, &sum), 0);
        assert_int_equal((uintptr_t)sum, 5050);
        weft_queue_detach(queue);
    }
}

static void test_items(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        weft_queue *queue = new_queue(&kinds[k]);
        weft_item item = {0}, other = {0};
        assert_int_equal(weft_queue_commit(queue, &item), -EINVAL);
        assert_int_equal(weft_queue_reserve(queue, &item, WEFT_POLL), 0);
        assert_int_equal(item.bytes, 8);
        assert_int_equal(weft_queue_take(queue, &other, WEFT_POLL), -EAGAIN);
        *(uint64_t *)item.data = 42;
        assert_int_equal(weft_queue_commit(queue, &item), 0);
        assert_int_equal(weft_queue_commit(queue, &item), -EINVAL);
        assert_int_equal(weft_queue_reserve(queue, &item, WEFT_POLL), 0);
        assert_int_equal(weft_queue_abort(queue, &item), 0);
        assert_int_equal(weft_queue_join(queue, WEFT_POLL), -EAGAIN);
        assert_int_equal(weft_queue_take(queue, &other, WEFT_POLL), 0);
        assert_int_equal(other.flags, 0);
        assert_true(*(uint64_t *)other.data == 42);
        assert_int_equal(weft_queue_join(queue, WEFT_POLL), -EAGAIN);
        assert_int_equal(weft_queue_release(queue, &other), 0);
        assert_int_equal(weft_queue_release(queue, &other), -EINVAL);
        assert_int_equal(weft_queue_join(queue, WEFT_POLL), 0);
        assert_int_equal(weft_queue_take(queue, &other, WEFT_POLL), -EAGAIN);
        weft_queue_detach(queue);
    }
}

/* Items are released in any order; what is not released keeps its place. */
static void test_items_out_of_order(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    weft_item items[8];
    uint64_t value = 0;
    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(weft_queue_push(queue, &i, WEFT_POLL), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(weft_queue_take(queue, &items[i], WEFT_POLL), 0);
    for (int i = 7; i > 0; i--)
        assert_int_equal(weft_queue_release(queue, &items[i]), 0);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_queue_join(queue, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_queue_release(queue, &items[0]), 0);
    assert_int_equal(weft_queue_join(queue, WEFT_POLL), 0);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    weft_queue_detach(queue);
}

/* One-to-one: while an item is open its side does nothing else, and then goes on where it was. */
static void test_open_item_of_one_to_one(void **state)
{
    weft_queue *queue = new_queue(&kinds[1]);
    weft_item in, out;
    uint64_t value = 1, got = 0;
    (void)state;
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    assert_int_equal(weft_queue_reserve(queue, &in, WEFT_POLL), 0);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), -EBUSY);
    assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), 0);
    assert_int_equal(weft_queue_take(queue, &out, WEFT_POLL), 0);
    assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), -EBUSY);
    *(uint64_t *)in.data = 2;
    assert_int_equal(weft_queue_commit(queue, &in), 0);
    assert_int_equal(weft_queue_release(queue, &out), 0);
    value = 3;
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    for (uint64_t i = 2; i <= 3; i++) {
        assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), 0);
        assert_true(got == i);
    }
    assert_int_equal(weft_queue_pop(queue, &got, WEFT_POLL), -EAGAIN);
    weft_queue_detach(queue);
}

static void *work_off(void *arg)
{
    weft_item item;
    int rc;
    while ((rc = weft_queue_take(arg, &item, WEFT_FOREVER)) == 0) {
        (void)usleep(100);
        (void)weft_queue_release(arg, &item);
    }
    return (void *)(intptr_t)rc;
}

static void test_join_waits(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    pthread_t workers[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, work_off, queue), 0);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(weft_queue_push(queue, &i, WEFT_FOREVER), 0);
    assert_int_equal(weft_queue_join(queue, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(weft_queue_size(queue), 0);
    weft_queue_shutdown(queue);
    for (int i = 0; i < 3; i++) {
        void *rc;
        assert_int_equal(pthread_join(workers[i], &rc), 0);
        assert_int_equal((intptr_t)rc, -EPIPE);
    }
    weft_queue_detach(queue);
}

/* ---- names and descriptors ------------------------------------------------------------------- */

static void test_names(void **state)
{
    char name[64];
    weft_queue *queue = NULL, *other = NULL;
    weft_queue_spec wrong_size = {.elem_bytes = 16};
    weft_queue_spec wrong_kind = {.elem_bytes = 8, .flags = WEFT_QUEUE_ONE_TO_ONE};
    uint64_t value = 5;
    (void)state;
    own_name(name, "names");
    assert_int_equal(weft_queue_open(&queue, name, &kinds[0]), -ENOENT);
    assert_int_equal(weft_queue_create(&queue, name, &kinds[0]), 0);
    assert_int_equal(weft_queue_create(&other, name, &kinds[0]), -EEXIST);
    assert_int_equal(weft_queue_open(&other, name, &wrong_size), -EMSGSIZE);
    assert_int_equal(weft_queue_open(&other, name, &wrong_kind), -EPROTO);
    assert_null(other);
    assert_int_equal(weft_queue_open(&other, name, NULL), 0);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    value = 0;
    assert_int_equal(weft_queue_pop(other, &value, WEFT_POLL), 0);
    assert_true(value == 5);
    assert_int_equal(weft_queue_unlink(name), 0);
    assert_int_equal(weft_queue_unlink(name), -ENOENT);
    weft_queue_detach(other);
    weft_queue_detach(queue);
    weft_queue_detach(NULL);
    static const char *const bad[] = {"", "/", "none", "/a/b", "/../x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(weft_queue_create(&queue, bad[i], &kinds[0]), -EINVAL);
}

static void test_bad_specs(void **state)
{
    static const weft_queue_spec bad[] = {
        {.elem_bytes = 0},
        {.elem_bytes = 8, .capacity = SIZE_MAX},
        {.elem_bytes = SIZE_MAX},
        {.elem_bytes = 8, .participants = 1024},
        {.elem_bytes = (size_t)1 << 31, .capacity = (size_t)1 << 40},
    };
    weft_queue *queue = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(weft_queue_create(&queue, NULL, &bad[i]), -EINVAL);
    assert_null(queue);
}

/* A symbolic link in the place of a name leads nowhere. */
static void test_links_are_not_followed(void **state)
{
    char name[64], link[96], target[96];
    weft_queue *queue = NULL;
    (void)state;
    own_name(name, "real");
    assert_int_equal(weft_queue_create(&queue, name, &kinds[0]), 0);
    (void)snprintf(target, sizeof target, "/dev/shm/weft.%s", name + 1);
    (void)snprintf(link, sizeof link, "/dev/shm/weft.link-%d", (int)getpid());
    assert_int_equal(symlink(target, link), 0);
    weft_queue *other = NULL;
    char link_name[64];
    (void)snprintf(link_name, sizeof link_name, "/link-%d", (int)getpid());
    assert_int_equal(weft_queue_open(&other, link_name, NULL), -ELOOP);
    assert_int_equal(weft_queue_create(&other, link_name, &kinds[0]), -EEXIST);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(weft_queue_unlink(name), 0);
    weft_queue_detach(queue);
}

/* Send a descriptor over a socket, as unrelated processes do. */
static void send_fd(int socket, int fd)
{
    char byte = 0, space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
    char byte, space[CMSG_SPACE(sizeof(int))];
    int fd = -1;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/* The child knows nothing but the socket; the memory lies elsewhere for it. */
static int pop_from_received(void *arg)
{
    int fd = receive_fd(*(int *)arg);
    weft_queue *queue = NULL;
    uint64_t value = 0;
    void *elsewhere = mmap(NULL, 1 << 22, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (elsewhere == MAP_FAILED || fd < 0)
        return __LINE__;
    if (weft_queue_attach(&queue, fd, &kinds[0]) != 0)
        return __LINE__;
    close(fd);
    for (uint64_t i = 0; i < 1000; i++)
        if (weft_queue_pop(queue, &value, weft_in(LIVENESS_NS)) != 0 || value != i)
            return __LINE__;
    weft_queue_detach(queue);
    return 0;
}

static void test_descriptors(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pid_t child = start_child(pop_from_received, &ends[1]);
    weft_queue *queue = new_queue(&kinds[0]);
    send_fd(ends[0], weft_queue_fd(queue));
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(weft_queue_push(queue, &i, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(end_child(child), 0);
    weft_queue_detach(queue);
    close(ends[0]);
    close(ends[1]);
}

/* What is not a sealed segment is refused. */
static void test_bad_descriptors(void **state)
{
    weft_queue *queue = NULL;
    (void)state;
    assert_int_equal(weft_queue_attach(&queue, -1, NULL), -EBADF);
    int plain = memfd_create("plain", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(plain, 1 << 20), 0);
    assert_int_equal(weft_queue_attach(&queue, plain, NULL), -EPROTO);
    assert_int_equal(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(weft_queue_attach(&queue, plain, NULL), -EPROTO);
    close(plain);
    assert_int_equal(weft_queue_attach(&queue, STDIN_FILENO, NULL) < 0, 1);
    assert_null(queue);
}

/* ---- processes ------------------------------------------------------------------------------- */

static int push_thousands(void *arg)
{
    for (uint64_t i = 1; i <= 5000; i++)
        if (weft_queue_push(arg, &i, weft_in(LIVENESS_NS)) != 0)
            return __LINE__;
    return 0;
}

/* Forked children use the handle they inherit, as participants of their own. */
static void test_forked_producers(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    uint64_t sum = 0, value = 0;
    pid_t children[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        children[i] = start_child(push_thousands, queue);
    for (int i = 0; i < 3 * 5000; i++) {
        assert_int_equal(weft_queue_pop(queue, &value, weft_in(LIVENESS_NS)), 0);
        sum += value;
    }
    assert_true(sum == 3 * (uint64_t)5000 * 5001 / 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(end_child(children[i]), 0);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_POLL), -EAGAIN);
    weft_queue_detach(queue);
}

/* One-to-one: a second producer is turned away while the first lives, and welcome afterwards. */
static int push_as_second(void *arg)
{
    uint64_t value = 1;
    return weft_queue_push(arg, &value, WEFT_POLL) == -EBUSY ? 0 : __LINE__;
}

static int push_as_successor(void *arg)
{
    uint64_t value = 2;
    return weft_queue_push(arg, &value, WEFT_POLL) == 0 ? 0 : __LINE__;
}

static int push_and_die(void *arg)
{
    uint64_t value = 1;
    if (weft_queue_push(arg, &value, WEFT_POLL) != 0)
        return __LINE__;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static void test_roles(void **state)
{
    weft_queue *queue = new_queue(&kinds[1]);
    uint64_t value = 0;
    (void)state;
    assert_int_equal(end_child(start_child(push_and_die, queue)), -SIGKILL);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_POLL), 0);
    assert_true(value == 1);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_FOREVER), -EOWNERDEAD);
    assert_int_equal(end_child(start_child(push_as_successor, queue)), 0);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_POLL), 0);
    assert_true(value == 2);
    assert_int_equal(weft_queue_pop(queue, &value, weft_in(WEFT_SEC)), -EOWNERDEAD);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    assert_int_equal(end_child(start_child(push_as_second, queue)), 0);
    weft_queue_detach(queue);
}

/* The last other process is killed: whoever waits for it learns it. */
static int take_and_die(void *arg)
{
    weft_item item;
    if (weft_queue_take(arg, &item, weft_in(LIVENESS_NS)) != 0)
        return __LINE__;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static void test_redelivery(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    uint64_t value = 9;
    unsigned flags = 77;
    (void)state;
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    assert_int_equal(end_child(start_child(take_and_die, queue)), -SIGKILL);
    assert_int_equal(weft_queue_join(queue, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_queue_pop_flags(queue, &value, &flags, weft_in(LIVENESS_NS)), 0);
    assert_true(value == 9);
    assert_int_equal(flags, WEFT_REDELIVERED);
    assert_int_equal(weft_queue_join(queue, WEFT_POLL), 0);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_FOREVER), -EOWNERDEAD);
    weft_queue_detach(queue);
}

static int reserve_and_die(void *arg)
{
    weft_item item;
    if (weft_queue_reserve(arg, &item, weft_in(LIVENESS_NS)) != 0)
        return __LINE__;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static void test_abandoned_reservation(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    uint64_t value = 0;
    (void)state;
    assert_int_equal(end_child(start_child(reserve_and_die, queue)), -SIGKILL);
    for (uint64_t i = 0; i < 7; i++)
        assert_int_equal(weft_queue_push(queue, &i, WEFT_POLL), 0);
    for (uint64_t i = 0; i < 7; i++) {
        assert_int_equal(weft_queue_pop(queue, &value, weft_in(LIVENESS_NS)), 0);
        assert_true(value == i);
    }
    weft_queue_detach(queue);
}

static int pop_and_die(void *arg)
{
    uint64_t value;
    if (weft_queue_pop(arg, &value, WEFT_POLL) != -EAGAIN)
        return __LINE__;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

/* The last other process was killed, but a thread of this one has pushed, and may once more. It is
 * told when it waits itself. */
static void *pop_for_a_while(void *arg)
{
    uint64_t value;
    return weft_queue_pop(arg, &value, weft_in(300 * WEFT_MSEC)) == -ETIMEDOUT ? NULL : arg;
}

static void test_another_thread_may_push(void **state)
{
    weft_queue *queue = new_queue(&kinds[0]);
    uint64_t value = 1;
    pthread_t thread;
    void *failed = queue;
    (void)state;
    assert_int_equal(end_child(start_child(pop_and_die, queue)), -SIGKILL);
    assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_POLL), 0);
    assert_int_equal(pthread_create(&thread, NULL, pop_for_a_while, queue), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(weft_queue_pop(queue, &value, WEFT_FOREVER), -EOWNERDEAD);
    weft_queue_detach(queue);
}

/* A table of participants that is full of the dead has room again; full of the living, none. */
static void test_participants(void **state)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 8, .participants = 3};
    char name[64];
    weft_queue *queue = NULL, *others[3] = {NULL};
    (void)state;
    own_name(name, "participants");
    assert_int_equal(weft_queue_create(&queue, name, &spec), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(end_child(start_child(pop_and_die, queue)), -SIGKILL);
    assert_int_equal(weft_queue_open(&others[0], name, NULL), 0);
    assert_int_equal(weft_queue_open(&others[1], name, NULL), 0);
    assert_int_equal(weft_queue_open(&others[2], name, NULL), -ENOMEM);
    weft_queue_detach(others[0]);
    assert_int_equal(weft_queue_open(&others[2], name, NULL), 0);
    weft_queue_detach(others[1]);
    weft_queue_detach(others[2]);
    assert_int_equal(weft_queue_unlink(name), 0);
    weft_queue_detach(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_limits),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_items_out_of_order),
        cmocka_unit_test(test_open_item_of_one_to_one),
        cmocka_unit_test(test_join_waits),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_forked_producers),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_redelivery),
        cmocka_unit_test(test_abandoned_reservation),
        cmocka_unit_test(test_another_thread_may_push),
        cmocka_unit_test(test_participants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
