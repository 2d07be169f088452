/* SPDX-License-Identifier: BSD-2-Clause */
/* file.c — models of core/io/files.c and of how io.c tries and waits: fibers on workers 0 and 1
 * read from a file, worker 2 is the world outside, and hears of events. A wake-up that is lost is a
 * deadlock. */
#include "models/file/kernel.h"

#include "fiber/scope.h"

#include <errno.h>
#include <poll.h>
#include <weft/io.h>

static uint32_t unfinished; /* fibers */
static uint32_t got;        /* bytes */
static uint32_t first_over; /* the first fiber, whose scope it is, has ended */
static weft_scope scope;

static void prepare(int is_adopted, unsigned kind, int is_slow, unsigned fibers)
{
    workers_prepare(3);
    kernel_prepare(is_adopted, kind, is_slow);
    unfinished = fibers;
    got = first_over = 0;
}

static void run_own(void)
{
    weft_task *item;
    while ((item = weft__worker_own(weft__worker_self())) != NULL)
        workers_run(item);
}

static void end_fiber(void)
{
    run_own();
    if (weft__fetch_add_acq_rel(&unfinished, (uint32_t)-1) == 1)
        kernel_end();
}

static ssize_t read_bytes(size_t bytes)
{
    char buffer[4];
    ssize_t n = weft_read(FD, buffer, bytes, WEFT_FOREVER);
    if (n > 0)
        weft__fetch_add_relaxed(&got, (uint32_t)n);
    return n;
}

static void finish(void)
{
    kernel_finish();
    workers_finish();
}

static void read_one(void)
{
    explore_check(read_bytes(1) == 1);
    end_fiber();
}

/* ---- an event between a try and the wait ----------------------------------------------------- */

static void prepare_adopted(void)
{
    prepare(1, WEFT__ANY, 0, 1);
    kernel_begin(0);
}

static void prepare_foreign(void)
{
    prepare(0, WEFT__ANY, 0, 1);
}

static void nobody(void)
{
}

static void send_one(void)
{
    kernel_arrive(1);
    kernel_deliver();
}

EXPLORE_MODEL(file_event) = {
    .name = "file.event",
    .prepare = prepare_adopted,
    .threads = {read_one, nobody, send_one},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(file_foreign) = {
    .name = "file.foreign",
    .prepare = prepare_foreign,
    .threads = {read_one, nobody, send_one},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

/* ---- no event, and two who try --------------------------------------------------------------- */

/* While one tries the other cannot know whether there will be more. */
static void prepare_beside(void)
{
    prepare(1, WEFT__ANY, 0, 2);
    kernel_begin(2);
}

EXPLORE_MODEL(file_beside) = {
    .name = "file.beside",
    .prepare = prepare_beside,
    .threads = {read_one, read_one, kernel_deliver},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

/* One only looks, and must not keep the other from reading; it has a byte of its own afterwards. */
static void look(void)
{
    explore_check(weft_poll(FD, POLLIN, WEFT_FOREVER) == POLLIN);
    end_fiber();
}

static void read_beside_look(void)
{
    explore_check(read_bytes(1) == 1);
    weft__store_release(&first_over, 1);
    end_fiber();
}

static void send_twice(void)
{
    kernel_arrive(1);
    while (weft__load_acquire(&first_over) == 0)
        kernel_step();
    kernel_arrive(1);
    kernel_deliver();
}

static void prepare_poll(void)
{
    prepare(1, WEFT__ANY, 0, 2);
    kernel_begin(0);
}

EXPLORE_MODEL(file_poll) = {
    .name = "file.poll",
    .prepare = prepare_poll,
    .threads = {look, read_beside_look, send_twice},
    .finish = finish,
    .preemptions = 1,
};

/* ---- one event, two who wait ----------------------------------------------------------------- */

static void prepare_pass(void)
{
    prepare(1, WEFT__ANY, 0, 2);
}

static void prepare_foreign_pass(void)
{
    prepare(0, WEFT__ANY, 0, 2);
}

static void send_two(void)
{
    kernel_arrive(2);
    kernel_deliver();
}

EXPLORE_MODEL(file_pass) = {
    .name = "file.pass",
    .prepare = prepare_pass,
    .threads = {read_one, read_one, send_two},
    .finish = finish,
    .preemptions = 1,
};

EXPLORE_MODEL(file_foreign_pass) = {
    .name = "file.foreign-pass",
    .prepare = prepare_foreign_pass,
    .threads = {read_one, read_one, send_two},
    .finish = finish,
    .preemptions = 1,
};

/* ---- the peer goes --------------------------------------------------------------------------- */

static void read_end(void)
{
    explore_check(read_bytes(1) == 0);
    explore_check(read_bytes(1) == 0); /* and no event will say so again */
    end_fiber();
}

static void hang_up(void)
{
    kernel_hang_up();
    kernel_deliver();
}

EXPLORE_MODEL(file_gone) = {
    .name = "file.gone",
    .prepare = prepare_pass,
    .threads = {read_end, read_end, hang_up},
    .finish = finish,
    .preemptions = 1,
};

/* ---- who gives up ---------------------------------------------------------------------------- */

/* The first waits in a scope that is cancelled. Its byte, if it did not take one, is the second's:
 * else there is another. */
static void prepare_declined(void)
{
    prepare(1, WEFT__ANY, 0, 2);
    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
    workers[0].current->scope = &scope;
}

static void read_unless_cancelled(void)
{
    ssize_t n = read_bytes(1);
    explore_check(n == 1 || n == -ECANCELED);
    weft__store_release(&first_over, n == 1 ? 2 : 1);
    explore_park_wake(&first_over, 1);
    end_fiber();
}

static void send_and_cancel(void)
{
    uint32_t seen;
    weft_cancel_scope(&scope);
    run_own();
    kernel_arrive(1);
    while ((seen = weft__load_acquire(&first_over)) == 0)
        kernel_step();
    if (seen == 2)
        kernel_arrive(1);
    kernel_deliver();
}

static void finish_declined(void)
{
    weft__fiber_withdraw(workers[0].current);
    finish();
}

EXPLORE_MODEL(file_declined) = {
    .name = "file.declined",
    .prepare = prepare_declined,
    .threads = {read_unless_cancelled, read_one, send_and_cancel},
    .finish = finish_declined,
    .preemptions = 1,
};

/* A file of somebody else's: who gives up waits until the kernel holds it no longer, or holds
 * it for another who has come; not until that one is through, whose byte comes later. */
static void prepare_slow_declined(void)
{
    prepare(0, WEFT__ANY, 1, 2);
    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
    workers[0].current->scope = &scope;
}

static void wait_until_cancelled(void)
{
    explore_check(read_bytes(1) == -ECANCELED);
    weft__store_release(&first_over, 1);
    explore_park_wake(&first_over, 1);
    end_fiber();
}

static void cancel_then_send(void)
{
    weft_cancel_scope(&scope);
    run_own();
    while (weft__load_acquire(&first_over) == 0)
        kernel_step();
    kernel_arrive(1);
    kernel_deliver();
}

EXPLORE_MODEL(file_declined_slow) = {
    .name = "file.declined-slow",
    .prepare = prepare_slow_declined,
    .threads = {wait_until_cancelled, read_one, cancel_then_send},
    .finish = finish_declined,
    .preemptions = 1,
};

/* ---- closing --------------------------------------------------------------------------------- */

static void prepare_close(void)
{
    prepare(1, WEFT__ANY, 0, 2);
}

static void prepare_slow_close(void)
{
    prepare(1, WEFT__ANY, 1, 2);
}

static void read_closed(void)
{
    explore_check(read_bytes(1) == -EBADF);
    end_fiber();
}

static void close_file(void)
{
    explore_check(weft_close(FD) == 0);
    end_fiber();
}

EXPLORE_MODEL(file_close) = {
    .name = "file.close",
    .prepare = prepare_close,
    .threads = {read_closed, close_file, kernel_deliver},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(file_close_slow) = {
    .name = "file.close-slow",
    .prepare = prepare_slow_close,
    .threads = {read_closed, close_file, kernel_deliver},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

/* ---- urgent data ----------------------------------------------------------------------------- */

/* A read of two finds one, and the other lies behind the mark: the file is not dry. */
static void prepare_urgent(void)
{
    prepare(1, WEFT__TCP, 0, 1);
    kernel_begin(1);
}

static void read_both(void)
{
    while (weft__load_relaxed(&got) < 2)
        explore_check(read_bytes(2) > 0);
    end_fiber();
}

static void send_urgent(void)
{
    kernel_arrive_urgent();
    kernel_deliver();
}

EXPLORE_MODEL(file_urgent) = {
    .name = "file.urgent",
    .prepare = prepare_urgent,
    .threads = {read_both, nobody, send_urgent},
    .finish = finish,
    .preemptions = 2,
    .stale = 2,
};

/* ---- records --------------------------------------------------------------------------------- */

#define OTHER_FD 8 /* its record lies in another chunk */

static void find_record(void)
{
    const weft__file *file = weft__files_get((weft__files *)workers_runtime.reactor, OTHER_FD);
    explore_check(file != NULL && file->fd == OTHER_FD);
    end_fiber();
}

EXPLORE_MODEL(file_chunk) = {
    .name = "file.chunk",
    .prepare = prepare_pass,
    .threads = {find_record, find_record, kernel_deliver},
    .finish = finish,
    .preemptions = 2,
    .stale = 2,
};
