#include <stdio.h>

#include "cli/command.h"
#include "cli/job_options.h"

enum {
    OPTION_LATER = SW_JOB_OPTION_END, /* all that this version does not have */
};

static const sw_cli_option check_options[] = {
    SW_JOB_OPTIONS,
    { OPTION_LATER, "explain", NULL, NULL },
    { OPTION_LATER, "events", "N", NULL },
    { OPTION_LATER, "against", "STATE_DIR", NULL },
    { 0 },
};

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    return sw_job_options_set(arg, id, value, err);
}

/* The script has no problems of its own; what the plan objects to shows when the engine is opened. */
static int check_plan(const sw_job_options *options)
{
    sw_runner runner;
    int status = sw_job_open(&runner, options);
    if (status == SW_EXIT_OK) {
        uint32_t count = runner.graph.component_count;
        printf("ok: %s, %u component%s\n", runner.job, count, count == 1 ? "" : "s");
    }
    sw_runner_close(&runner);
    return status;
}

static int check_script(const sw_job_options *options)
{
    sw_buf problems = { 0 }, warnings = { 0 };
    sw_error err;
    int count = sw_runner_check(&options->config, &problems, &warnings, &err);
    int status = SW_EXIT_OK;
    if (count < 0) {
        fprintf(stderr, "swlua: %s\n", err.text);
        status = count == SW_ENOMEM ? SW_EXIT_FAILED : SW_EXIT_SCRIPT;
    } else if (count > 0) {
        fwrite(problems.data, 1, problems.size, stderr);
        status = SW_EXIT_SCRIPT;
    }
    if (warnings.size > 0) sw_job_print_warnings(&warnings);
    sw_buf_deinit(&problems);
    sw_buf_deinit(&warnings);
    return status == SW_EXIT_OK ? check_plan(options) : status;
}

static int run_check(const sw_command *command, int argc, char **argv)
{
    sw_job_options options;
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    sw_job_options_init(&options);
    if (sw_command_begin(command, argc, argv, set_option, &options, &parsed, &status)) {
        if (sw_job_options_take_script(&options, &parsed, &err) == SW_OK) status = check_script(&options);
        else status = sw_command_misused(command, "%s", err.text);
    }
    sw_job_options_deinit(&options);
    return status;
}

const sw_command sw_command_check = {
    .name = "check",
    .arguments = "SCRIPT [options] [-- script arguments]",
    .summary = "loads and validates the graph, runs nothing",
    .notes = "Each problem is one line, file:line: text, on standard error; with any of them the exit status "
             "is 3.",
    .options = check_options,
    .run = run_check,
};
