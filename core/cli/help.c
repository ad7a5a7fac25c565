#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

const sw_command *const sw_commands[] = {
    &sw_command_run,
    &sw_command_check,
    &sw_command_graph,
    &sw_command_ps,
    &sw_command_stop,
    &sw_command_savepoint,
    &sw_command_checkpoints,
    &sw_command_state,
    &sw_command_log,
    &sw_command_test,
    &sw_command_new,
    &sw_command_help,
    NULL,
};

#define OPTION_COLUMN 34 /* where the text of an option starts in the help */

/* --- printing ----------------------------------------------------------------------------------------------------- */

static void print_program(void)
{
    puts("usage: swlua SCRIPT.lua [options] [-- script arguments]\n"
         "       swlua COMMAND [arguments]\n"
         "\n"
         "Runs stream jobs written in Lua. \"swlua SCRIPT.lua\" is short for \"swlua run SCRIPT.lua\".\n"
         "\n"
         "Commands:");
    for (int i = 0; sw_commands[i] != NULL; i++)
        printf("  %-11s %-44s %s\n", sw_commands[i]->name, sw_commands[i]->arguments, sw_commands[i]->summary);
    puts("\n"
         "swlua --version prints the version; swlua COMMAND --help, what a command takes.\n"
         "\n"
         "Exit status: 0 the input ended or the job was stopped as asked; 1 the job failed; 2 wrong usage; 3 "
         "the script\n"
         "is wrong; 4 state cannot be used; 70 a bug in the engine, or a call of user code that did not "
         "return.");
}

static void print_options(const sw_cli_option *options)
{
    puts("\nOptions:");
    for (; options->name != NULL; options++) {
        if (options->help == NULL) continue;
        int width = printf("  --%s%s%s", options->name, options->value != NULL ? " " : "",
                           options->value != NULL ? options->value : "");
        printf("%*s%s\n", width < OPTION_COLUMN ? OPTION_COLUMN - width : 1, "", options->help);
    }
}

void sw_help_print(const sw_command *command)
{
    if (command == NULL) {
        print_program();
        return;
    }
    printf("usage: swlua %s %s\n\n%c%s.\n", command->name, command->arguments, toupper(command->summary[0]),
           command->summary + 1);
    if (command->options != NULL) print_options(command->options);
    if (command->notes != NULL) printf("\n%s\n", command->notes);
}

/* --- finding and refusing ----------------------------------------------------------------------------------------- */

const sw_command *sw_command_find(const char *name)
{
    for (int i = 0; sw_commands[i] != NULL; i++)
        if (strcmp(sw_commands[i]->name, name) == 0) return sw_commands[i];
    return NULL;
}

int sw_command_unknown(const char *name)
{
    const char *names[sizeof(sw_commands) / sizeof(sw_commands[0])];
    int n = 0;
    for (; sw_commands[n] != NULL; n++) names[n] = sw_commands[n]->name;
    names[n] = NULL;
    const char *nearest = sw_cli_nearest(name, names);
    if (nearest != NULL)
        return sw_command_misused(NULL, "no command and no script \"%s\"; did you mean \"%s\"?", name, nearest);
    return sw_command_misused(NULL, "no command and no script \"%s\"", name);
}

int sw_command_misused(const sw_command *command, const char *fmt, ...)
{
    char text[SW_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (command == NULL) fprintf(stderr, "swlua: %s\nTry: swlua --help\n", text);
    else fprintf(stderr, "swlua %s: %s\nTry: swlua %s --help\n", command->name, text, command->name);
    return SW_EXIT_USAGE;
}

bool sw_command_begin(const sw_command *command, int argc, char **argv, sw_cli_set *set, void *arg,
                      sw_cli_parsed *parsed, int *status)
{
    sw_error err;
    if (sw_cli_parse(command->options, argc, argv, set, arg, parsed, &err) != SW_OK) {
        *status = sw_command_misused(command, "%s", err.text);
        return false;
    }
    if (!parsed->is_help) return true;
    sw_help_print(command);
    *status = SW_EXIT_OK;
    return false;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int run_help(const sw_command *command, int argc, char **argv)
{
    sw_cli_parsed parsed;
    int status;
    if (!sw_command_begin(command, argc, argv, NULL, NULL, &parsed, &status)) return status;
    if (parsed.rest_count > 1) return sw_command_misused(command, "one command at a time");
    const sw_command *about = parsed.rest_count == 1 ? sw_command_find(parsed.rest[0]) : NULL;
    if (parsed.rest_count == 1 && about == NULL) return sw_command_unknown(parsed.rest[0]);
    sw_help_print(about);
    return SW_EXIT_OK;
}

const sw_command sw_command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "what a command does and takes",
    .run = run_help,
};
