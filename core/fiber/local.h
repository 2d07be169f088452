/* SPDX-License-Identifier: BSD-2-Clause */
/* local.h — the end of a fiber's values; the rest is <weft/local.h>. */
#ifndef WEFT_FIBER_LOCAL_H
#define WEFT_FIBER_LOCAL_H

typedef struct weft__locals weft__locals;

/* The calling fiber or thread ends: destroy what it has set. */
void weft__locals_end(weft__locals *locals);

#endif
