/* SPDX-License-Identifier: BSD-2-Clause */
/* test_waiters_soak.c — test_waiters.c with a million rounds, 64 wake-ups each.
 * ctest: TIMEOUT 7200 LABELS soak */
#define ROUNDS LESS_IF_SANITIZED(1000000, 20000)

#include "test_waiters.c"
