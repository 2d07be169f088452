/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_linear_control.c — does the check of histories find anything? A deque whose swap
 * compares and stores in two steps must fail it.
 * ctest: TIMEOUT 90 LABELS no-sanitizer */
#include <weft/atomic.h>
#include <weft/runtime.h>

#include <sched.h>

#include "hooks.h"

/* Others get the processor in between, even if there is only one. */
static int broken_cas(uint64_t *word, uint64_t *expected, uint64_t value)
{
    uint64_t seen = weft__load_acquire(word);
    (void)sched_yield();
    if (seen != *expected) {
        *expected = seen;
        return 0;
    }
    weft__store_seq_cst(word, value);
    return 1;
}

/* The broken twin has other names. */
#undef weft__cas_seq_cst
#define weft__cas_seq_cst(p, expected, v) broken_cas(p, expected, v)
#define weft_deque_init broken_deque_init
#define weft_deque_destroy broken_deque_destroy
#define weft_deque_push broken_deque_push
#define weft_deque_take broken_deque_take
#define weft_deque_steal broken_deque_steal
#define weft_deque_size broken_deque_size
#define weft__deque_init_at broken__deque_init_at
#define weft__deque_reserve broken__deque_reserve
#define weft__deque_fill broken__deque_fill
#define weft__deque_commit broken__deque_commit
#define weft__deque_peek broken__deque_peek
#define weft__deque_is_empty broken__deque_is_empty
#include "deque.c"

#define LINEAR_SECONDS 60
#define LINEAR_TEST test_broken_twin_fails
#include "test_deque_linear.c"

static void test_broken_twin_fails(void **state)
{
    static shared run;
    (void)state;
    assert_int_not_equal(first_bad_round(&run), 0);
    print_message("found in history %u\n", run.round);
}
