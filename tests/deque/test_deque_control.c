/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_control.c — does the stress test find anything? A deque whose take claims the newest
 * item without a store-load order must fail it: owner and thief then overlook each other, and both
 * have the item.
 *
 * Release instead of sequentially consistent is enough to show on x86-64. It takes a fraction of a
 * second on two processors; on a single one it cannot happen.
 * ctest: TIMEOUT 90 LABELS no-sanitizer */
#include <weft/atomic.h>
#include <weft/runtime.h>

#include "hooks.h"

/* The broken twin: other names, and one order less. */
#undef weft__store_seq_cst
#define weft__store_seq_cst(p, v) weft__store_release(p, v)
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

#define STRESS_SECONDS 60
#define STRESS_ITEMS UINT64_MAX
#define STRESS_TEST test_broken_twin_fails
#include "test_deque_stress.c"

static void test_broken_twin_fails(void **state)
{
    (void)state;
    if (weft_usable_cpus() < 2)
        skip();
    stress run = {0};
    assert_int_not_equal(all_rounds(&run), 0);
}
