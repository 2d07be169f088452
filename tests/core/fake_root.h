/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_root.h — a temporary directory that stands for "/" in tests of what is read from it. */
#ifndef WEFT_TESTS_CORE_FAKE_ROOT_H
#define WEFT_TESTS_CORE_FAKE_ROOT_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char fake_root[64];

static int fake_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Removes everything below the root and the root. */
static int fake_teardown(void **state)
{
    (void)state;
    return nftw(fake_root, fake_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes an empty root. */
static int fake_setup(void **state)
{
    (void)state;
    strcpy(fake_root, "/tmp/weft-root-XXXXXX");
    return mkdtemp(fake_root) == NULL;
}

/* Writes a file below the root, and the directories above it. */
static void fake_file(const char *path, const char *text)
{
    char name[PATH_MAX];
    FILE *file;

    snprintf(name, sizeof(name), "%s%s", fake_root, path);
    for (char *slash = strchr(name + strlen(fake_root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(name, 0777);
        *slash = '/';
    }
    file = fopen(name, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0)
        abort();
}

#endif
