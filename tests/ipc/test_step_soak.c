/* SPDX-License-Identifier: BSD-2-Clause */
/* test_step_soak.c — test_step.c, after each instruction.
 * ctest: TIMEOUT 900 LABELS soak */
#define STRIDE 1

#include "test_step.c"
