/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pipe.c — weft_pipe: messages of all lengths, in order, whole, in place, and out of room. */
#include "shared.h"

#include <weft/queue.h>

static weft_pipe *new_pipe(size_t capacity, size_t longest)
{
    weft_pipe *pipe = NULL;
    weft_pipe_spec spec = {.capacity_bytes = capacity, .message_bytes = longest};
    assert_int_equal(weft_pipe_create(&pipe, NULL, &spec), 0);
    return pipe;
}

static void test_lengths(void **state)
{
    static char in[5000], out[5000];
    weft_pipe *pipe = new_pipe(16384, 5000);
    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (char)(i * 7);
    for (size_t bytes = 0; bytes <= sizeof in; bytes += bytes < 200 ? 1 : 131) {
        assert_int_equal(weft_pipe_send(pipe, in, bytes, WEFT_POLL), 0);
        memset(out, 0, sizeof out);
        assert_int_equal(weft_pipe_receive(pipe, out, sizeof out, WEFT_POLL), (ssize_t)bytes);
        assert_memory_equal(in, out, bytes);
    }
    assert_int_equal(weft_pipe_send(pipe, in, 5001, WEFT_POLL), -EMSGSIZE);
    assert_int_equal(weft_pipe_receive(pipe, out, sizeof out, WEFT_POLL), -EAGAIN);
    weft_pipe_detach(pipe);
}

/* In order, for all ways in which messages can lie around the end. */
static void test_order(void **state)
{
    weft_pipe *pipe = new_pipe(1024, 400);
    uint64_t next_in = 0, next_out = 0, message[50];
    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t words = 1 + next_in * 11 % 50;
        message[0] = next_in;
        if (weft_pipe_send(pipe, message, words * 8, WEFT_POLL) == 0) {
            next_in++;
            continue;
        }
        ssize_t got = weft_pipe_receive(pipe, message, sizeof message, WEFT_POLL);
        assert_int_equal(got, (ssize_t)(8 * (1 + next_out * 11 % 50)));
        assert_true(message[0] == next_out);
        next_out++;
    }
    while (weft_pipe_receive(pipe, message, sizeof message, WEFT_POLL) > 0)
        assert_true(message[0] == next_out++);
    assert_true(next_in == next_out);
    assert_int_equal(weft_pipe_join(pipe, WEFT_POLL), 0);
    weft_pipe_detach(pipe);
}

static void test_too_small_a_buffer(void **state)
{
    char text[20] = "nineteen characters";
    weft_pipe *pipe = new_pipe(1024, 400);
    (void)state;
    assert_int_equal(weft_pipe_send(pipe, text, 19, WEFT_POLL), 0);
    assert_int_equal(weft_pipe_receive(pipe, text, 18, WEFT_POLL), -EMSGSIZE);
    assert_int_equal(weft_pipe_receive(pipe, text, 19, WEFT_POLL), 19);
    weft_pipe_detach(pipe);
}

static void test_in_place(void **state)
{
    weft_pipe *pipe = new_pipe(1024, 400);
    weft_item item = {0}, other = {0};
    (void)state;
    assert_int_equal(weft_pipe_message_bytes(pipe), 400);
    assert_int_equal(weft_pipe_reserve(pipe, &item, 401, WEFT_POLL), -EMSGSIZE);
    assert_int_equal(weft_pipe_reserve(pipe, &item, 300, WEFT_POLL), 0);
    assert_int_equal(weft_pipe_send(pipe, "behind", 6, WEFT_POLL), 0);
    assert_int_equal(weft_pipe_take(pipe, &other, WEFT_POLL), -EAGAIN);
    memcpy(item.data, "short", 5);
    assert_int_equal(weft_pipe_commit(pipe, &item, 301), -EINVAL);
    assert_int_equal(weft_pipe_commit(pipe, &item, 5), 0);
    assert_int_equal(weft_pipe_commit(pipe, &item, 5), -EINVAL);
    assert_int_equal(weft_pipe_take(pipe, &other, WEFT_POLL), 0);
    assert_int_equal(other.bytes, 5);
    assert_memory_equal(other.data, "short", 5);
    assert_int_equal(weft_pipe_join(pipe, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_pipe_release(pipe, &other), 0);
    assert_int_equal(weft_pipe_release(pipe, &other), -EINVAL);
    assert_int_equal(weft_pipe_reserve(pipe, &item, 100, WEFT_POLL), 0);
    assert_int_equal(weft_pipe_abort(pipe, &item), 0);
    char text[10];
    assert_int_equal(weft_pipe_receive(pipe, text, sizeof text, WEFT_POLL), 6);
    assert_int_equal(weft_pipe_receive(pipe, text, sizeof text, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_pipe_join(pipe, WEFT_POLL), 0);
    weft_pipe_detach(pipe);
}

static void test_shutdown(void **state)
{
    char text[10];
    weft_pipe *pipe = new_pipe(1024, 400);
    (void)state;
    assert_int_equal(weft_pipe_send(pipe, "last", 4, WEFT_POLL), 0);
    weft_pipe_shutdown(pipe);
    assert_int_equal(weft_pipe_send(pipe, "late", 4, WEFT_FOREVER), -EPIPE);
    assert_int_equal(weft_pipe_receive(pipe, text, sizeof text, WEFT_FOREVER), 4);
    assert_int_equal(weft_pipe_receive(pipe, text, sizeof text, WEFT_FOREVER), -EPIPE);
    weft_pipe_detach(pipe);
}

static void test_specs(void **state)
{
    weft_pipe *pipe = NULL;
    weft_queue *queue = NULL;
    weft_pipe_spec too_long = {.capacity_bytes = 1024, .message_bytes = 513};
    char name[64];
    (void)state;
    assert_int_equal(weft_pipe_create(&pipe, NULL, &too_long), -EINVAL);
    own_name(name, "pipe");
    assert_int_equal(weft_pipe_create(&pipe, name, NULL), 0);
    assert_int_equal(weft_queue_open(&queue, name, NULL), -EPROTO);
    weft_pipe *other = NULL;
    assert_int_equal(weft_pipe_open(&other, name), 0);
    assert_int_equal(weft_queue_unlink(name), 0);
    weft_pipe_detach(other);
    weft_pipe_detach(pipe);
    weft_pipe_detach(NULL);
}

/* A message that does not fit the buffer of whoever would inherit it stays for another one. */
static int take_and_die(void *arg)
{
    weft_item item;
    if (weft_pipe_take(arg, &item, weft_in(LIVENESS_NS)) != 0)
        return __LINE__;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static void test_redelivery(void **state)
{
    char text[300] = "long";
    weft_pipe *pipe = new_pipe(1024, 400);
    weft_item item;
    (void)state;
    assert_int_equal(weft_pipe_send(pipe, text, 300, WEFT_POLL), 0);
    assert_int_equal(end_child(start_child(take_and_die, pipe)), -SIGKILL);
    assert_int_equal(weft_pipe_receive(pipe, text, 299, weft_in(LIVENESS_NS)), -EMSGSIZE);
    assert_int_equal(weft_pipe_take(pipe, &item, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(item.bytes, 300);
    assert_int_equal(item.flags, WEFT_REDELIVERED);
    assert_int_equal(weft_pipe_release(pipe, &item), 0);
    assert_int_equal(weft_pipe_join(pipe, WEFT_POLL), 0);
    weft_pipe_detach(pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_too_small_a_buffer),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_specs),
        cmocka_unit_test(test_redelivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
