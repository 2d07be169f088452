/* SPDX-License-Identifier: BSD-2-Clause */
/* foreign.h — waits of the layers below the engine, in fibers. */
#ifndef WEFT_IO_FOREIGN_H
#define WEFT_IO_FOREIGN_H

/* From now on they hold no worker, and keep to the scopes around the caller, a fiber or a plain
 * thread. Where there is neither nothing changes, so it may happen at any time, and again. */
void weft__block_enter_fibers(void);

/* The same, unless somebody has done it already: a plain thread has opened a scope. */
void weft__block_attend_scopes(void);

#endif
