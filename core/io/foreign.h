/* SPDX-License-Identifier: BSD-2-Clause */
/* foreign.h — waits of the layers below the engine, in fibers. */
#ifndef WEFT_IO_FOREIGN_H
#define WEFT_IO_FOREIGN_H

/* From now on they hold no worker. In plain threads nothing changes, so it may happen at any time,
 * and again. */
void weft__block_enter_fibers(void);

#endif
