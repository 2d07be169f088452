/* SPDX-License-Identifier: BSD-2-Clause */
/* image.h — addresses that mean the same in another process of the same program. */
#ifndef WEFT_IPC_PROCESS_IMAGE_H
#define WEFT_IPC_PROCESS_IMAGE_H

#include <weft/base.h>

#define WEFT__IMAGE_PATH_BYTES 1024

/* A place in a program or library, independent of where that was loaded. */
typedef struct weft__symbol {
    uint64_t image;  /* fingerprint of the loaded file: its program headers and notes, which hold
                      * the linker's build id */
    uint64_t offset; /* from the address it was loaded at */
    char path[WEFT__IMAGE_PATH_BYTES]; /* where a library was loaded from; empty: the program */
} weft__symbol;

/* Describe the address of a function or constant: 0; -EINVAL it belongs to no loaded file,
 * -ENAMETOOLONG. */
int weft__image_locate(uintptr_t address, weft__symbol *symbol);

/* Find the address again, loading the library if need be: 0; -EPROTO there is no such image, or it
 * is not the one that was described. */
int weft__image_resolve(const weft__symbol *symbol, uintptr_t *address);

/* The fingerprint of the program itself. */
uint64_t weft__image_of_program(void);

/* Nonzero: the file that holds `address` is loaded whenever this program starts. It is the program
 * or a library that it needs, directly or not; it was not loaded on request. */
int weft__image_is_needed(uintptr_t address);

/* The program's array of constructors and their number; NULL: it has none. */
uintptr_t *weft__image_constructors(size_t *count);

#endif
