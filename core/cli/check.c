#include <stdio.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/job_options.h"
#include "cli/saved.h"
#include "cli/text.h"

#define EXPLAIN_MODULE "swlua.explain"
#define EVENTS_DEFAULT "10000"
#define SAMPLE_NS_MAX 10000000000

enum {
    OPTION_EXPLAIN = SW_JOB_OPTION_END,
    OPTION_EVENTS,
    OPTION_AGAINST,
};

static const sw_cli_option check_options[] = {
    SW_JOB_OPTIONS,
    { OPTION_EXPLAIN, "explain", NULL, "runs a sample, and says which code the JIT does not compile and why" },
    { OPTION_EVENTS, "events", "N", "events of each source in the sample; default " EVENTS_DEFAULT },
    { OPTION_AGAINST, "against", "STATE_DIR", "what going on from the latest checkpoint there would mean" },
    { 0 },
};

typedef struct check_settings {
    sw_job_options job;  /* which job */
    const char *events;  /* size of the sample */
    const char *against; /* a state directory, or a job's name; NULL: none */
    bool is_explain;     /* --explain */
} check_settings;

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    check_settings *settings = arg;
    uint64_t count;
    switch (id) {
    case OPTION_AGAINST: settings->against = value; return SW_OK;
    case OPTION_EXPLAIN: settings->is_explain = true; return SW_OK;
    case OPTION_EVENTS: settings->events = value; return sw_cli_read_count(value, 1, 1ull << 53, &count, err);
    default: return sw_job_options_set(&settings->job, id, value, err);
    }
}

/* --- explaining --------------------------------------------------------------------------------------------------- */

/* A source may wait for input for ever: the clock ends the sample then. */
static void end_long_sample(void *arg)
{
    sw_runner *runner = arg;
    if (sw_clock_mono_ns(sw_clock_real()) - runner->began_ns > SAMPLE_NS_MAX) sw_runner_stop(runner);
}

static int run_sample(sw_runner *runner, const char *events, sw_error *err)
{
    sw_buf out = { 0 };
    int rc = sw_runner_call(runner, EXPLAIN_MODULE, "prepare", events, &out, err);
    if (rc != SW_OK) return rc;
    runner->on_tick = end_long_sample;
    runner->tick_arg = runner;
    int status = sw_runner_run(runner);
    if (status != SW_EXIT_OK) rc = sw_error_set(err, SW_EIO, "%s", runner->engine.failure.text);
    sw_error unused;
    if (sw_runner_call(runner, EXPLAIN_MODULE, "report", NULL, &out, rc == SW_OK ? err : &unused) == SW_OK)
        fwrite(out.data, 1, out.size, stdout);
    else if (rc == SW_OK) rc = SW_ESCRIPT;
    sw_buf_deinit(&out);
    return rc;
}

/* One worker: the main state is the only one. */
static int explain(sw_job_options *options, const char *events)
{
    sw_runner runner;
    sw_error err;
    options->config.workers = 1;
    int status = sw_job_open(&runner, options);
    if (status == SW_EXIT_OK && run_sample(&runner, events, &err) != SW_OK) {
        fprintf(stderr, "swlua: %s: the sample failed: %s\n", runner.job, err.text);
        status = SW_EXIT_FAILED;
    }
    sw_runner_close(&runner);
    return status;
}

/* --- comparing with what is saved --------------------------------------------------------------------------------- */

static void print_origin(const sw_checkpoint_meta *meta)
{
    char taken[SW_TEXT_SIZE];
    printf("\ngoing on from checkpoint %llu of %s, taken %s:\n", (unsigned long long)meta->id, meta->job,
           sw_text_time(taken, meta->time_ms));
}

static int tell(sw_runner *runner, sw_restore *restore, sw_error *err)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    sw_buf lines = { 0 };
    uint32_t refused = 0;
    int rc = sw_checkpointing_tell(&runner->graph, restore, runner->scripts[0]->L, &lines, &refused, err);
    if (rc == SW_OK) {
        print_origin(meta);
        fwrite(lines.data, 1, lines.size, stdout);
        if (meta->is_finished) puts("its input had ended: swlua run starts afresh, unless --from says otherwise");
        if (refused > 0) rc = sw_error_set(err, SW_ESTATE, "%s cannot go on from it", runner->job);
    }
    sw_buf_deinit(&lines);
    return rc;
}

static int check_against(sw_runner *runner, const char *against)
{
    sw_checkpoints *checkpoints = NULL;
    sw_restore *restore = NULL;
    sw_error err;
    int rc = sw_saved_open(&checkpoints, against, &err);
    if (rc == SW_OK) rc = sw_saved_restore(&restore, checkpoints, "latest", &err);
    if (rc == SW_OK) rc = tell(runner, restore, &err);
    sw_restore_close(restore);
    sw_checkpoints_close(checkpoints);
    if (rc == SW_OK) return SW_EXIT_OK;
    fprintf(stderr, "swlua check: %s\n", err.text);
    return rc == SW_ENOMEM ? SW_EXIT_FAILED : SW_EXIT_STATE;
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

/* The script has no problems of its own; what the plan objects to shows when the engine is opened. */
static int check_plan(const sw_job_options *options, const char *against)
{
    sw_runner runner;
    int status = sw_job_open(&runner, options);
    if (status == SW_EXIT_OK) {
        uint32_t count = runner.graph.component_count;
        printf("ok: %s, %u component%s\n", runner.job, count, count == 1 ? "" : "s");
        if (against != NULL) status = check_against(&runner, against);
    }
    sw_runner_close(&runner);
    return status;
}

static int check_script(check_settings *settings)
{
    sw_job_options *options = &settings->job;
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
    if (status != SW_EXIT_OK) return status;
    return settings->is_explain ? explain(options, settings->events) : check_plan(options, settings->against);
}

static int run_check(const sw_command *command, int argc, char **argv)
{
    check_settings settings = { .events = EVENTS_DEFAULT };
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    sw_job_options_init(&settings.job);
    settings.job.config.is_detached = true;
    if (sw_command_begin(command, argc, argv, set_option, &settings, &parsed, &status)) {
        if (sw_job_options_take_script(&settings.job, &parsed, &err) == SW_OK) status = check_script(&settings);
        else status = sw_command_misused(command, "%s", err.text);
    }
    sw_job_options_deinit(&settings.job);
    return status;
}

const sw_command sw_command_check = {
    .name = "check",
    .arguments = "SCRIPT [options] [-- script arguments]",
    .summary = "loads and validates the graph, runs nothing",
    .notes = "Each problem is one line, file:line: text, on standard error; with any of them the exit status "
             "is 3.\n"
             "--against says of each component whether its saved state is kept, upgraded, dropped or refused; exit "
             "status 4\n"
             "when the job cannot go on.",
    .options = check_options,
    .run = run_check,
};
