/* SPDX-License-Identifier: BSD-2-Clause */
/* ck_mpmc.c — a contestant: the rings of Concurrency Kit for many senders and many receivers. */
#define CONTEST_MANY
#include "ck.c"
