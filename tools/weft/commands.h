/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.h — the sub-commands of `weft`, one row each in weft.c's table. */
#ifndef WEFT_TOOLS_COMMANDS_H
#define WEFT_TOOLS_COMMANDS_H

/* Exit codes shared by all of them. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* it was understood but did not work */
    EXIT_USAGE = 2,  /* it was not understood */
};

/* A command gets its own name as arguments[0], as main() does, and answers an exit code. */
int info_main(int count, char **arguments);
int shm_main(int count, char **arguments);

/* What `weft help info` and its siblings print. */
extern const char info_help[];
extern const char shm_help[];

#endif
