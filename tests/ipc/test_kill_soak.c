/* SPDX-License-Identifier: BSD-2-Clause */
/* test_kill_soak.c — test_kill.c with 12,000 kills.
 * ctest: TIMEOUT 900 LABELS soak */
#define KILLS 4000

#include "test_kill.c"
