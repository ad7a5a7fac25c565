/* The swlua program: finds the command and leaves with its status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cli/command.h"

/* `swlua SCRIPT` and `swlua --option SCRIPT` are short for `swlua run`. */
static bool is_run(const char *word)
{
    size_t len = strlen(word);
    bool is_lua = len > 4 && strcmp(word + len - 4, ".lua") == 0;
    return word[0] == '-' || is_lua || strchr(word, '/') != NULL || sw_fs_exists(word);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) return sw_command_misused(NULL, "no script and no command given");
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        puts("swlua " SW_VERSION);
        return SW_EXIT_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        sw_help_print(NULL);
        return SW_EXIT_OK;
    }
    const sw_command *command = sw_command_find(word);
    if (command != NULL) return command->run(command, argc - 1, argv + 1);
    if (!is_run(word)) return sw_command_unknown(word);
    return sw_command_run.run(&sw_command_run, argc, argv);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* A closed pipe is an error of the write, with a message; */
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow further. */
    sw_fs_hold_standard();
    int status = dispatch(argc, argv);
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (!is_written && status == SW_EXIT_OK) {
        fprintf(stderr, "swlua: cannot write standard output: %s\n", strerror(errno));
        status = SW_EXIT_FAILED;
    }
    exit(status);
}
