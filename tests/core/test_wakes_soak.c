/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wakes_soak.c — test_wakes.c with ten million rounds for each primitive, twice as many waits.
 * ctest: TIMEOUT 7200 LABELS soak */
#define ROUNDS LESS_IF_SANITIZED(10000000, 100000)

#include "test_wakes.c"
