/* SPDX-License-Identifier: BSD-2-Clause */
/* rte_mpmc.c — a contestant: DPDK's ring for many senders and many receivers. */
#define CONTEST_MANY
#include "rte.c"
