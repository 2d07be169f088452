/* SPDX-License-Identifier: BSD-2-Clause */
/* symbol.c — names for addresses of code, without allocation or locks.
 *
 * dladdr() takes the linker's lock and knows no static functions. _dl_find_object() (glibc 2.35)
 * is made for signal handlers; the names come from the symbol table of the file itself, which is
 * mapped for as long as a dump takes. A file may be anything by now, so nothing in it is trusted
 * to lie within it. A stripped file has the names it exports, or none: then module and offset are
 * what addr2line can turn into a line, given the unstripped file. */
#include "debug/symbol.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void weft__symbols_begin(weft__symbols *symbols)
{
    memset(symbols, 0, sizeof *symbols);
}

void weft__symbols_end(weft__symbols *symbols)
{
    for (unsigned i = 0; i < WEFT__MODULES_MAX; i++)
        if (symbols->modules[i].size > 0)
            (void)munmap((void *)(uintptr_t)symbols->modules[i].bytes, symbols->modules[i].size);
}

static int is_within(const weft__module *module, uint64_t offset, uint64_t bytes)
{
    return offset <= module->size && bytes <= module->size - offset;
}

/* Find the table of all symbols, or that of exported ones. */
static void find_tables(weft__module *module)
{
    const ElfW(Ehdr) *header = (const void *)module->bytes;
    const ElfW(Shdr) *sections = (const void *)(module->bytes + header->e_shoff);
    if (!is_within(module, header->e_shoff, (uint64_t)header->e_shnum * sizeof *sections) ||
        header->e_shoff % _Alignof(ElfW(Shdr)) != 0)
        return;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const ElfW(Shdr) *section = &sections[i];
        int is_full = section->sh_type == SHT_SYMTAB;
        if ((!is_full && section->sh_type != SHT_DYNSYM) || section->sh_link >= header->e_shnum)
            continue;
        const ElfW(Shdr) *names = &sections[section->sh_link];
        if (!is_within(module, section->sh_offset, section->sh_size) ||
            !is_within(module, names->sh_offset, names->sh_size) ||
            section->sh_offset % _Alignof(ElfW(Sym)) != 0)
            continue;
        module->symbols = module->bytes + section->sh_offset;
        module->symbol_count = section->sh_size / sizeof(ElfW(Sym));
        module->strings = (const char *)module->bytes + names->sh_offset;
        module->strings_bytes = names->sh_size;
        if (is_full)
            return;
    }
}

static void map_file(weft__module *module, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_size > (off_t)sizeof(ElfW(Ehdr))) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            module->bytes = bytes;
            module->size = (size_t)status.st_size;
        }
    }
    (void)close(fd);
    if (module->size > 0 && memcmp(module->bytes, ELFMAG, SELFMAG) == 0)
        find_tables(module);
}

/* The program itself has no name in the linker's list. */
static const char *path_of(const struct link_map *map)
{
    return map->l_name != NULL && map->l_name[0] != '\0' ? map->l_name : "/proc/self/exe";
}

static weft__module *get_module(weft__symbols *symbols, const struct link_map *map)
{
    for (unsigned i = 0; i < WEFT__MODULES_MAX; i++) {
        weft__module *module = &symbols->modules[i];
        if (module->map == NULL) {
            module->map = map;
            map_file(module, path_of(map));
        }
        if (module->map == map)
            return module;
    }
    return NULL;
}

static const char *find_function(const weft__module *module, uintptr_t offset)
{
    const ElfW(Sym) *symbols = module->symbols;
    for (size_t i = 0; i < module->symbol_count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if (offset < symbol->st_value || offset - symbol->st_value >= symbol->st_size ||
            ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_name >= module->strings_bytes)
            continue;
        const char *name = module->strings + symbol->st_name;
        return memchr(name, '\0', module->strings_bytes - symbol->st_name) != NULL ? name : NULL;
    }
    return NULL;
}

static const char *without_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void weft__symbols_find(weft__symbols *symbols, uintptr_t address, weft__symbol *symbol)
{
    struct dl_find_object found;
    *symbol = (weft__symbol){NULL, NULL, address};
    if (_dl_find_object((void *)address, &found) != 0 || found.dlfo_link_map == NULL)
        return;
    const struct link_map *map = found.dlfo_link_map;
    weft__module *module = get_module(symbols, map);
    symbol->offset = address - map->l_addr;
    symbol->module =
        map->l_name[0] != '\0' ? without_folder(map->l_name) : program_invocation_short_name;
    if (module != NULL)
        symbol->function = find_function(module, symbol->offset);
}
