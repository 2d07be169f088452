/* SPDX-License-Identifier: BSD-2-Clause */
/* block.c — the table of waiting functions, and the thread's version of it. */
#include "block.h"

#include <weft/atomic.h>

#include "sys.h"

#include <errno.h>

static int attend(int64_t *deadline_ns)
{
    (void)deadline_ns;
    return 0;
}

static int wait_words(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns, int is_firm)
{
    (void)is_firm; /* nothing is around a thread */
    int rc = weft__futex_wait_shared(sleeps, count, deadline_ns);
    return rc == -ETIMEDOUT ? rc : 0; /* a signal is no reason, and a bad word is looked at again */
}

static void forget_words(const void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

static uintptr_t self(void)
{
    return weft__thread_pointer();
}

const weft__block weft__block_thread = {.now = weft_now,
                                        .attend = attend,
                                        .wait_words = wait_words,
                                        .forget_words = forget_words,
                                        .wake_word = weft__futex_wake_shared,
                                        .wait_readable = weft__wait_readable,
                                        .self = self};

static const weft__block *installed = &weft__block_thread;

const weft__block *weft__block_now(void)
{
    /* edge block.table (acquire): the table's functions, written before it was installed */
    return weft__load_acquire(&installed);
}

void weft__block_install(const weft__block *table)
{
    /* edge block.table (release): the table is filled */
    weft__store_release(&installed, table != NULL ? table : &weft__block_thread);
}
