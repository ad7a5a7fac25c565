/* job_options.h -- the options that say which job is meant: shared by the commands that load a script.
 *
 *     argv --sw_job_options_set--> sw_runner_config: script, arguments, --set values, settings that override the job's
 *
 * Ownership  sw_job_options owns the names in its pairs; all else points into argv.
 * Limits     SW_RUNNER_PAIRS_MAX of each kind of pair. */
#ifndef SW_CLI_JOB_OPTIONS_H
#define SW_CLI_JOB_OPTIONS_H

#include "cli/options.h"
#include "script/runner.h"

#define SW_WORKERS_MAX 256
#define SW_SIM_START_MS                                                                                                \
    4102444800000 /* 2100-01-01: fixed, so that runs are equal; late, so that no event is ahead of it */

enum {
    SW_JOB_OPTION_SET = 1,
    SW_JOB_OPTION_DELIVERY,
    SW_JOB_OPTION_PARALLELISM,
    SW_JOB_OPTION_CHECKPOINT_INTERVAL,
    SW_JOB_OPTION_BACKPRESSURE,
    SW_JOB_OPTION_ON_ERROR,
    SW_JOB_OPTION_WORKERS,
    SW_JOB_OPTION_END, /* a command's own options are numbered from here on */
};

/* Their rows in a command's table. */
#define SW_JOB_OPTIONS                                                                                                 \
    { SW_JOB_OPTION_SET, "set", "NAME=VALUE", "sw.args.NAME in the script: a number where it parses as one" },         \
        { SW_JOB_OPTION_PARALLELISM, "parallelism", "[COMPONENT=]N", "instances of each component, or of one" },       \
        { SW_JOB_OPTION_WORKERS, "workers", "N", "threads; default the machine's cores" },                             \
        { SW_JOB_OPTION_DELIVERY, "delivery", "GUARANTEE", "at-most-once, at-least-once or exactly-once" },            \
        { SW_JOB_OPTION_ON_ERROR, "on-error", "POLICY", "fail, skip or dead-letter" },                                 \
        { SW_JOB_OPTION_BACKPRESSURE, "backpressure", "POLICY",                                                        \
          "block, stop-sources, drop, drop-newest or drop-oldest" },                                                   \
    {                                                                                                                  \
        SW_JOB_OPTION_CHECKPOINT_INTERVAL, "checkpoint-interval", "DURATION", "such as 500ms, 10s or 1m"               \
    }

typedef struct sw_job_options {
    sw_runner_config config;               /* its sets and settings point to the arrays below */
    sw_pair sets[SW_RUNNER_PAIRS_MAX];     /* names owned */
    sw_pair settings[SW_RUNNER_PAIRS_MAX]; /* names owned */
} sw_job_options;

/* The struct stays where it is until deinit. */
void sw_job_options_init(sw_job_options *options);
void sw_job_options_deinit(sw_job_options *options);

/* Takes an option of SW_JOB_OPTIONS. SW_OK, SW_EINVAL, SW_ELIMIT, SW_ENOMEM. */
int sw_job_options_set(sw_job_options *options, int id, const char *value, sw_error *err);

/* Takes the script and its arguments from what is left of the command line. SW_EINVAL when there is no script. */
int sw_job_options_take_script(sw_job_options *options, const sw_cli_parsed *parsed, sw_error *err);

/* Loads the job. The exit status; one that is not 0 has been explained on standard error. Close the runner always. */
int sw_job_open(sw_runner *runner, const sw_job_options *options);

/* Writes each line of text to standard error, with "swlua: warning: " before it. */
void sw_job_print_warnings(const sw_buf *text);

#endif
