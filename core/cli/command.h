/* command.h -- the commands of the swlua program.
 *
 *     main.c --argv from the command's name on--> sw_command.run --exit status--> main.c
 *
 * Standard output belongs to the job and to what a command was asked to print; all messages go to standard error.
 *
 * Threads  the main thread. */
#ifndef SW_CLI_COMMAND_H
#define SW_CLI_COMMAND_H

#include "cli/options.h"

#define SW_VERSION "0.1.0"

/* Exit statuses. */
enum {
    SW_EXIT_OK = 0,      /* input ended, or stopped as asked */
    SW_EXIT_FAILED = 1,  /* the job failed */
    SW_EXIT_USAGE = 2,   /* wrong usage */
    SW_EXIT_SCRIPT = 3,  /* the script is wrong */
    SW_EXIT_STATE = 4,   /* state cannot be used */
    SW_EXIT_BUG = 70,    /* a bug in the engine, or a stuck call */
    SW_EXIT_KILLED = 130 /* a second signal to stop */
};

typedef struct sw_command {
    const char *name;             /* first word after "swlua" */
    const char *arguments;        /* what follows it, for help */
    const char *summary;          /* one line */
    const char *notes;            /* more for its own help; NULL */
    const sw_cli_option *options; /* ends with a row without a name; NULL: none */
    int (*run)(const struct sw_command *command, int argc, char **argv); /* argv[0] is its name; an exit status */
} sw_command;

extern const sw_command sw_command_run;
extern const sw_command sw_command_check;
extern const sw_command sw_command_ps;
extern const sw_command sw_command_stop;
extern const sw_command sw_command_savepoint;
extern const sw_command sw_command_checkpoints;
extern const sw_command sw_command_state;
extern const sw_command sw_command_graph;
extern const sw_command sw_command_log;
extern const sw_command sw_command_test;
extern const sw_command sw_command_new;
extern const sw_command sw_command_help;

/* All of them, in the order of the help, ended by NULL. */
extern const sw_command *const sw_commands[];

/* The command of this name, or NULL. */
const sw_command *sw_command_find(const char *name);

/* Writes to standard error that there is no such command and what was meant; the exit status. */
int sw_command_unknown(const char *name);

/* Prints the program's help, or a command's. */
void sw_help_print(const sw_command *command);

/* Parses a command's arguments. True: go on with `parsed`. False: *status is the exit status, because --help was
 * asked for and printed, or because the usage was wrong and that was said. */
bool sw_command_begin(const sw_command *command, int argc, char **argv, sw_cli_set *set, void *arg,
                      sw_cli_parsed *parsed, int *status);

/* Says what is wrong with the usage and where help is; SW_EXIT_USAGE. */
int sw_command_misused(const sw_command *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
