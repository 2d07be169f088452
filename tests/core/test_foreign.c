/* SPDX-License-Identifier: BSD-2-Clause */
/* test_foreign.c — fibers that wait for queues, locks and processes while their only worker goes on
 * with another fiber, without which none of the waits would ever end. */
#include "process.h"

#include <errno.h>
#include <weft/fiber.h>
#include <weft/process.h>
#include <weft/queue.h>
#include <weft/runtime.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

static weft_queue *queue;
static weft_shm_event *event;
static int pipe_fds[2];
static uint64_t popped;
static int has_timed_out;
static int failed_line;

#define EXPECT(holds)                                                                              \
    do {                                                                                           \
        if (!(holds) && failed_line == 0)                                                          \
            failed_line = __LINE__;                                                                \
    } while (0)

WEFT_VOID_TASK(pop_one, int, unused)
{
    (void)unused;
    EXPECT(weft_queue_pop(queue, &popped, weft_in(LIVENESS_NS)) == 0);
}

WEFT_VOID_TASK(await_event, int, unused)
{
    (void)unused;
    EXPECT(weft_shm_event_wait(event, weft_in(LIVENESS_NS)) == 0);
}

static int read_one(weft_child *self)
{
    char byte;
    return read(self->fds[0], &byte, 1) == 1 ? 7 : 1;
}

WEFT_VOID_TASK(join_child, int, unused)
{
    int code = -1;
    weft_process *process = NULL;
    weft_process_config config = {.fds = &pipe_fds[0], .fd_count = 1};
    (void)unused;
    EXPECT(weft_process_start(&process, read_one, &config) == 0);
    EXPECT(weft_process_join(process, weft_in(10 * WEFT_MSEC)) == -ETIMEDOUT);
    has_timed_out = 1;
    EXPECT(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
    EXPECT(weft_process_exitcode(process, &code) == 0 && code == 7);
    EXPECT(weft_process_close(process) == 0);
}

/* All three wait; then this one gives each what it waits for. */
static int feed(void *arg)
{
    uint64_t value = 42;
    (void)arg;
    weft_scope(scope)
    {
        EXPECT(weft_go(&scope, pop_one, 0) == 0);
        EXPECT(weft_go(&scope, await_event, 0) == 0);
        EXPECT(weft_go(&scope, join_child, 0) == 0);
        while (!has_timed_out && failed_line == 0)
            EXPECT(weft_sleep(WEFT_MSEC) == 0);
        EXPECT(weft_queue_push(queue, &value, WEFT_POLL) == 0);
        EXPECT(weft_shm_event_set(event) == 0);
        EXPECT(write(pipe_fds[1], "x", 1) == 1);
    }
    return 0;
}

static void test_worker_goes_on(void **state)
{
    weft_queue_spec spec = {.elem_bytes = 8};
    weft_config config = {.workers = 1};
    weft_shm *shm;
    (void)state;
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    assert_int_equal(weft_shm_create(&shm, NULL, 4096), 0);
    event = weft_shm_data(shm);
    assert_int_equal(weft_shm_event_init(event), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(weft_run(feed, NULL, &config), 0);
    assert_int_equal(failed_line, 0);
    assert_int_equal(popped, 42);
    weft_queue_detach(queue);
    weft_shm_detach(shm);
}

/* Before there is a runtime. */
static int read_nothing(weft_child *self)
{
    char byte;
    return read(self->fds[0], &byte, 1) == 0 ? 0 : 1;
}

static void test_a_thread_keeps_to_its_scopes(void **state)
{
    weft_process *process = NULL;
    weft_shm *shm;
    (void)state;
    failed_line = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    weft_process_config config = {.fds = &pipe_fds[0], .fd_count = 1};
    assert_int_equal(weft_process_start(&process, read_nothing, &config), 0);
    assert_int_equal(weft_shm_create(&shm, NULL, 4096), 0);
    event = weft_shm_data(shm);
    assert_int_equal(weft_shm_event_init(event), 0);
    weft_deadline(weft_in(2 * WEFT_MSEC))
    {
        EXPECT(weft_shm_event_wait(event, WEFT_FOREVER) == -ETIMEDOUT);
        EXPECT(weft_process_join(process, WEFT_FOREVER) == -ETIMEDOUT);
    }
    weft_scope(cancelled)
    {
        weft_cancel_scope(&cancelled);
        EXPECT(weft_shm_event_wait(event, WEFT_FOREVER) == -ECANCELED);
        EXPECT(weft_process_join(process, WEFT_FOREVER) == -ECANCELED);
        weft_shield EXPECT(weft_shm_event_wait(event, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    }
    (void)close(pipe_fds[1]);
    EXPECT(weft_process_join(process, weft_in(LIVENESS_NS)) == 0);
    EXPECT(weft_process_close(process) == 0);
    (void)close(pipe_fds[0]);
    weft_shm_detach(shm);
    assert_int_equal(failed_line, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_thread_keeps_to_its_scopes),
                                       cmocka_unit_test(test_worker_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
