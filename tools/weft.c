/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — the command line of weft: `weft COMMAND [OPTIONS]`.
 *
 * Each command is a function and a help text in a file of its own and a row in the table below. The
 * tool uses public headers only: whatever it can show, any program can ask for. */
#include "weft/commands.h"

#include <weft/base.h>

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    const char *summary; /* one line for `weft --help` */
    const char *help;    /* the whole text for `weft help NAME` */
    int (*main)(int count, char **arguments);
};

static const struct command commands[] = {
    {"info", "show what weft found: workers and why, machine, environment, traps", info_help,
     info_main},
    {"shm", "show what lies in shared memory, remove what is provably dead", shm_help, shm_main},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int print_usage(FILE *to)
{
    fputs("usage: weft COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("  help       show the options of a command: weft help info\n\n"
          "  --help     show this\n"
          "  --version  show the version of the library in use\n",
          to);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static int unknown_command(const char *name)
{
    fprintf(stderr, "weft: there is no command '%s'; see weft --help\n", name);
    return EXIT_USAGE;
}

static int is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int help_main(const char *name)
{
    const struct command *command = name != NULL ? find_command(name) : NULL;

    if (name == NULL || is_help(name) || strcmp(name, "help") == 0)
        return print_usage(stdout);
    if (command == NULL)
        return unknown_command(name);
    fputs(command->help, stdout);
    return EXIT_OK;
}

/* Whoever asks for help wants no more than that, wherever he writes it. */
static int run_command(const char *name, int count, char **arguments)
{
    const struct command *command = find_command(name);

    if (command == NULL)
        return unknown_command(name);
    for (int i = 1; i < count; i++)
        if (is_help(arguments[i]))
            return help_main(name);
    return command->main(count, arguments);
}

static int run(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : NULL;

    if (name == NULL)
        return print_usage(stderr);
    if (is_help(name))
        return print_usage(stdout);
    if (strcmp(name, "--version") == 0) {
        printf("weft %s\n", weft_version());
        return EXIT_OK;
    }
    if (strcmp(name, "help") == 0)
        return help_main(arguments[2]);
    return run_command(name, count - 1, arguments + 1);
}

int main(int count, char **arguments)
{
    int rc = run(count, arguments);

    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fputs("weft: the output could not be written\n", stderr);
        return EXIT_FAILED;
    }
    return rc;
}
