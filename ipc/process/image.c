/* SPDX-License-Identifier: BSD-2-Clause */
/* image.c — addresses that mean the same in another process of the same program.
 *
 * Every process loads its files at other addresses, so a function is named by the file it lies in
 * and its distance from that file's start. A distance is meaningful only in the very same file: a
 * library may have been replaced on disk since this process loaded it. Hence the fingerprint, over
 * what describes a file's layout (the program headers) and over its notes, among which the linker
 * puts the build id, a hash of everything it wrote.
 *
 * A table of names that both sides compare would do as well and would even survive a rebuild, but
 * it needs a registration for every function, and two functions of one name would be told apart by
 * nothing. Parent and child always run the same file, so the stricter check costs nothing. */
#include "process/image.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#define OBJECTS_MAX 512 /* files in one process that weft__image_is_needed() can tell apart */

/* ---- looking for one of the loaded files ----------------------------------------------------- */

/* What is looked for, and where it was found. */
typedef struct search {
    uintptr_t address; /* the file that holds this address, or */
    const char *path;  /* the file loaded from here (empty: the program), if this is not NULL */
    int index;         /* of the file looked at; the program is 0 */
    int found;
    struct dl_phdr_info info;
} search;

static int holds(const struct dl_phdr_info *info, uintptr_t address)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return 1;
    }
    return 0;
}

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    search *wanted = arg;
    (void)size;
    /* The program is the first, and the only one without a name that counts. */
    const char *path = wanted->index == 0 ? "" : info->dlpi_name;
    if (wanted->path != NULL ? strcmp(path, wanted->path) == 0 : holds(info, wanted->address)) {
        wanted->info = *info;
        wanted->found = 1;
        return 1;
    }
    wanted->index++;
    return 0;
}

/* FNV-1a: not against malice, which could simply pass an address. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t fingerprint(const struct dl_phdr_info *info)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, info->dlpi_phdr, info->dlpi_phnum * sizeof(info->dlpi_phdr[0]));
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_NOTE)
            hash = mix(hash, (const void *)(info->dlpi_addr + part->p_vaddr), part->p_filesz);
    }
    return hash;
}

int weft__image_locate(uintptr_t address, weft__symbol *symbol)
{
    search wanted = {.address = address};
    (void)dl_iterate_phdr(visit, &wanted);
    if (!wanted.found)
        return -EINVAL;
    const char *path = wanted.index == 0 ? "" : wanted.info.dlpi_name;
    size_t length = strlen(path);
    if (length >= sizeof(symbol->path))
        return -ENAMETOOLONG;
    symbol->image = fingerprint(&wanted.info);
    symbol->offset = address - wanted.info.dlpi_addr;
    memcpy(symbol->path, path, length + 1);
    return 0;
}

int weft__image_resolve(const weft__symbol *symbol, uintptr_t *address)
{
    search wanted = {.path = symbol->path};
    (void)dl_iterate_phdr(visit, &wanted);
    if (!wanted.found) {
        /* Kept open for good: the address must stay valid. */
        if (dlopen(symbol->path, RTLD_NOW | RTLD_LOCAL) == NULL)
            return -EPROTO;
        wanted = (search){.path = symbol->path};
        (void)dl_iterate_phdr(visit, &wanted);
    }
    if (!wanted.found || fingerprint(&wanted.info) != symbol->image)
        return -EPROTO;
    uintptr_t found = wanted.info.dlpi_addr + symbol->offset;
    if (!holds(&wanted.info, found))
        return -EPROTO;
    *address = found;
    return 0;
}

uint64_t weft__image_of_program(void)
{
    search wanted = {.path = ""};
    (void)dl_iterate_phdr(visit, &wanted);
    return wanted.found ? fingerprint(&wanted.info) : 0;
}

/* ---- dynamic sections ------------------------------------------------------------------------ */

static const ElfW(Dyn) * dynamic_section(const struct dl_phdr_info *info)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return NULL;
}

static ElfW(Xword) entry(const ElfW(Dyn) * section, ElfW(Sxword) tag)
{
    for (; section != NULL && section->d_tag != DT_NULL; section++)
        if (section->d_tag == tag)
            return section->d_un.d_val;
    return 0;
}

/* The loader turns some of these distances into addresses in place, on some architectures. */
static uintptr_t pointer(const struct dl_phdr_info *info, ElfW(Xword) value)
{
    return value >= info->dlpi_addr ? value : info->dlpi_addr + value;
}

uintptr_t *weft__image_constructors(size_t *count)
{
    search wanted = {.path = ""};
    (void)dl_iterate_phdr(visit, &wanted);
    const ElfW(Dyn) *section = wanted.found ? dynamic_section(&wanted.info) : NULL;
    ElfW(Xword) array = entry(section, DT_INIT_ARRAY);
    *count = entry(section, DT_INIT_ARRAYSZ) / sizeof(uintptr_t);
    /* This one the loader leaves as it is. */
    return array == 0 || *count == 0 ? NULL : (uintptr_t *)(wanted.info.dlpi_addr + array);
}

/* ---- what a program needs -------------------------------------------------------------------- */

typedef struct object {
    struct dl_phdr_info info;
    int is_needed; /* by the program, as far as is known */
    int is_looked_through;
} object;

typedef struct objects {
    object all[OBJECTS_MAX];
    size_t count;
} objects;

static int collect(struct dl_phdr_info *info, size_t size, void *arg)
{
    objects *list = arg;
    (void)size;
    if (list->count == OBJECTS_MAX)
        return 1;
    list->all[list->count] = (object){.info = *info, .is_needed = list->count == 0};
    list->count++;
    return 0;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Nonzero: `name`, as one file names another that it needs, means this object. */
static int is_named(const object *candidate, const char *name)
{
    const ElfW(Dyn) *section = dynamic_section(&candidate->info);
    ElfW(Xword) strings = entry(section, DT_STRTAB);
    ElfW(Xword) soname = entry(section, DT_SONAME);
    if (strcmp(last_part(candidate->info.dlpi_name), last_part(name)) == 0)
        return 1;
    return soname != 0 && strings != 0 &&
           strcmp((const char *)pointer(&candidate->info, strings) + soname, name) == 0;
}

static void mark_needed(objects *list, object *by)
{
    const ElfW(Dyn) *section = dynamic_section(&by->info);
    ElfW(Xword) strings = entry(section, DT_STRTAB);
    by->is_looked_through = 1;
    for (; strings != 0 && section->d_tag != DT_NULL; section++) {
        if (section->d_tag != DT_NEEDED)
            continue;
        const char *name = (const char *)pointer(&by->info, strings) + section->d_un.d_val;
        for (size_t i = 1; i < list->count; i++)
            if (!list->all[i].is_needed && is_named(&list->all[i], name))
                list->all[i].is_needed = 1;
    }
}

int weft__image_is_needed(uintptr_t address)
{
    static objects list; /* too large for a fiber's stack; the caller holds a lock */
    list.count = 0;
    (void)dl_iterate_phdr(collect, &list);
    for (size_t i = 0; i < list.count;) {
        if (list.all[i].is_needed && !list.all[i].is_looked_through) {
            mark_needed(&list, &list.all[i]);
            i = 0; /* it may need what stands before it */
        } else {
            i++;
        }
    }
    for (size_t i = 0; i < list.count; i++)
        if (list.all[i].is_needed && holds(&list.all[i].info, address))
            return 1;
    return 0;
}
