/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_soak.c — test_deque_stress.c for longer: 10^9 operations, a push and a take or steal
 * for each item.
 * ctest: TIMEOUT 1800 LABELS soak */
#define STRESS_ITEMS UINT64_C(500000000)
#define STRESS_SECONDS 1500

#include "test_deque_stress.c"
