/* SPDX-License-Identifier: BSD-2-Clause */
/* test_deque_soak.c — test_deque_stress.c for longer: 10^9 operations, a push and a take or steal
 * for each item; 10^8 under ThreadSanitizer. It ends when they are done, not by the clock.
 * ctest: TIMEOUT 3600 LABELS soak */
#include "sanitize.h"

#ifdef WEFT__TSAN
#define STRESS_ITEMS UINT64_C(50000000)
#else
#define STRESS_ITEMS UINT64_C(500000000)
#endif
#define STRESS_SECONDS (24 * 3600)

#include "test_deque_stress.c"
