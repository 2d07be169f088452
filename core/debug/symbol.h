/* SPDX-License-Identifier: BSD-2-Clause */
/* symbol.h — names for addresses of code, without allocation or locks: see symbol.c. */
#ifndef WEFT_CORE_DEBUG_SYMBOL_H
#define WEFT_CORE_DEBUG_SYMBOL_H

#include <weft/base.h>

#define WEFT__MODULES_MAX 8

/* A file of the program, mapped. */
typedef struct weft__module {
    const void *map; /* the linker's record of it; NULL: this entry is free */
    const unsigned char *bytes;
    size_t size; /* 0: it could not be mapped */
    const void *symbols;
    size_t symbol_count;
    const char *strings;
    size_t strings_bytes;
} weft__module;

typedef struct weft__symbols {
    weft__module modules[WEFT__MODULES_MAX];
} weft__symbols;

typedef struct weft__symbol {
    const char *function; /* or NULL; lives until weft__symbols_end() */
    const char *module;   /* name of the file, without its folder; or NULL */
    uintptr_t offset;     /* of the address in it, as addr2line wants it */
} weft__symbol;

void weft__symbols_begin(weft__symbols *symbols);
void weft__symbols_find(weft__symbols *symbols, uintptr_t address, weft__symbol *symbol);
void weft__symbols_end(weft__symbols *symbols);

#endif
