/* SPDX-License-Identifier: BSD-2-Clause */
/* weft_mpmc.c — weft's queues for any number of senders and receivers. */
#define CONTEST_MANY
#include "weft.c"
