#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/job_control.h"
#include "cli/job_options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/supervise.h"

enum {
    OPTION_STATE = SW_JOB_OPTION_END,
    OPTION_FROM,
    OPTION_WITH_CODE,
    OPTION_DROP_STATE,
    OPTION_REPORT,
    OPTION_PROGRESS,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_SEED,
    OPTION_SIM,
    OPTION_LOGS,
    OPTION_LATER, /* all that this version does not have */
};

static const sw_cli_option run_options[] = {
    SW_JOB_OPTIONS,
    { OPTION_STATE, "state", "DIR", "what the job keeps; default $XDG_STATE_HOME/swlua/JOB" },
    { OPTION_LOGS, "logs", "DIR", "where event logs live; default $XDG_STATE_HOME/swlua/logs" },
    { OPTION_FROM, "from", "latest|none|ID|NAME",
      "what to go on from; default the latest checkpoint of a job not over" },
    { OPTION_WITH_CODE, "with-code", NULL, "runs the script that the checkpoint was taken with, not SCRIPT's text" },
    { OPTION_DROP_STATE, "drop-state", "COMPONENT", "goes on without what this component had saved" },
    { OPTION_SEED, "seed", "N", "everything random derives from it; default 1" },
    { OPTION_SIM, "sim", NULL, "deterministic simulation: one thread, virtual clock, seeded schedule" },
    { OPTION_REPORT, "report", "FILE", "a JSON summary at exit; - is standard error" },
    { OPTION_PROGRESS, "progress", "auto|off|plain", "a live line on a terminal, else a line each 10 s" },
    { OPTION_LOG_LEVEL, "log-level", "LEVEL", "error, warn, info (default) or debug" },
    { OPTION_LOG_FORMAT, "log-format", "text|json", "of the log on standard error" },
    { OPTION_LATER, "http", "ADDR:PORT", NULL },
    { OPTION_LATER, "ui", NULL, NULL },
    { OPTION_LATER, "watch", NULL, NULL },
    { OPTION_LATER, "trial", "DURATION", NULL },
    { OPTION_LATER, "state-memory", "SIZE", NULL },
    { 0 },
};

#define DROPS_MAX 64

typedef struct run_settings {
    sw_job_options job;           /* which job, and how */
    const char *drops[DROPS_MAX]; /* of --drop-state */
    const char *report;           /* file; NULL none */
    sw_progress_mode progress;    /* of --progress */
    sw_log_level log_level;       /* of --log-level */
    bool is_log_json;             /* --log-format json */
} run_settings;

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    static const char *const modes[] = { "auto", "off", "plain", NULL };            /* As sw_progress_mode. */
    static const char *const levels[] = { "error", "warn", "info", "debug", NULL }; /* As sw_log_level. */
    static const char *const formats[] = { "text", "json", NULL };
    run_settings *settings = arg;
    int index = 0, rc = SW_OK;
    switch (id) {
    case OPTION_STATE: settings->job.config.state_dir = value; break;
    case OPTION_LOGS: settings->job.config.logs_dir = value; break;
    case OPTION_WITH_CODE: settings->job.config.is_with_code = true; break;
    case OPTION_FROM: settings->job.config.from = value; break;
    case OPTION_DROP_STATE:
        if (settings->job.config.drop_count == DROPS_MAX)
            return sw_error_set(err, SW_ELIMIT, "at most %d of them", DROPS_MAX);
        settings->drops[settings->job.config.drop_count++] = value;
        settings->job.config.drops = settings->drops;
        break;
    case OPTION_REPORT: settings->report = value; break;
    case OPTION_SIM: settings->job.config.is_sim = true; break;
    case OPTION_SEED: return sw_cli_read_count(value, 0, UINT64_MAX, &settings->job.config.seed, err);
    case OPTION_PROGRESS:
        if ((rc = sw_cli_read_word(value, modes, &index, err)) == SW_OK) settings->progress = (sw_progress_mode)index;
        break;
    case OPTION_LOG_LEVEL:
        if ((rc = sw_cli_read_word(value, levels, &index, err)) == SW_OK) settings->log_level = (sw_log_level)index;
        break;
    case OPTION_LOG_FORMAT:
        if ((rc = sw_cli_read_word(value, formats, &index, err)) == SW_OK) settings->is_log_json = index == 1;
        break;
    default: return sw_job_options_set(&settings->job, id, value, err);
    }
    return rc;
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static sw_runner *stoppable;               /* the runner that a signal stops; NULL once it has run */
static sw_progress *shown;                 /* whose line a signal takes off the terminal; NULL none */
static pid_t supervisor;                   /* who passes signals on; 0 nobody */
static volatile sig_atomic_t sent_count;   /* SIGINT and SIGTERM so far that came by themselves */
static volatile sig_atomic_t passed_count; /* and that the supervisor passed on */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) return; /* Nobody is left to tell. */
}

static void end_at_once(void)
{
    if (shown != NULL) sw_progress_clear(shown);
    say("swlua: stopped at once; events in flight are lost\n");
    _exit(SW_EXIT_KILLED);
}

/* How often a stop has been asked for: what a terminal or a process group is sent comes by both ways. */
static int stops_asked(void)
{
    return sent_count > passed_count ? sent_count : passed_count;
}

/* The first signal lets everything in flight be finished; the second waits for nothing. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    int before = stops_asked();
    (void)context;
    if (supervisor != 0 && info->si_code == SI_USER && info->si_pid == supervisor) passed_count++;
    else sent_count++;
    if (stops_asked() == before) return;
    if (shown != NULL) sw_progress_clear(shown);
    if (before > 0) end_at_once();
    if (stoppable == NULL) { /* There is nothing to stop any more, and the signal ends the process. */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    say("swlua: stopping: events in flight are being finished; once more stops at once\n");
    sw_runner_stop(stoppable);
}

static void catch_signals(sw_runner *runner, sw_progress *progress)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO };
    if (runner->config.supervision != NULL) supervisor = runner->config.supervision->supervisor;
    stoppable = runner;
    shown = progress;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static void print_warnings(sw_runner *runner)
{
    sw_buf text = { 0 };
    if (sw_runner_warnings(runner, &text) == SW_OK && text.size > 0) sw_job_print_warnings(&text);
    sw_buf_deinit(&text);
}

/* A job that is stopped without a guarantee loses what its components keep: one line names them. */
static void say_what_was_not_kept(sw_runner *runner)
{
    sw_buf names = { 0 };
    sw_error err;
    if (sw_runner_call(runner, "swlua.internal.engine", "state_not_kept", NULL, &names, &err) == SW_OK &&
        names.size > 0)
        fprintf(stderr, "swlua: %s: the state of %.*s was not kept (no checkpoints are taken)\n", runner->job,
                (int)names.size, (const char *)names.data);
    sw_buf_deinit(&names);
}

/* May a restart overcome the failure? One at the very first start it may not: what the job needs is not there. The
 * supervisor then tells of it. */
static bool asks_restart(sw_runner *runner, int status)
{
    sw_supervision *page = runner->config.supervision;
    const sw_engine *engine = &runner->engine;
    if (page == NULL || runner->is_stopping || (status != SW_EXIT_FAILED && status != SW_EXIT_BUG)) return false;
    return (engine->has_started || page->restarts > 0) && sw_supervision_ask_restart(page, engine->failure.text);
}

static void tell_end(sw_runner *runner, int status)
{
    sw_supervision *page = runner->config.supervision;
    if (status == SW_EXIT_OK && page != NULL) atomic_store(&page->is_over, true);
    if (status == SW_EXIT_OK && runner->checkpointing != NULL) sw_checkpointing_end(runner->checkpointing);
    if (status == SW_EXIT_OK && runner->is_stopping && runner->checkpointing == NULL) say_what_was_not_kept(runner);
    if (status == SW_EXIT_OK) return;
    fprintf(stderr, "swlua: %s failed: %s\n", runner->job, runner->engine.failure.text);
    if (page == NULL || !page->has_guarantee || page->failures == 0 || sw_supervision_has_attempts(page)) return;
    fprintf(stderr, "swlua: %s: given up after %u restarts without a completed checkpoint\n", runner->job,
            page->failures);
}

/* What looks at the job while it runs. */
typedef struct watchers {
    sw_progress progress;   /* the line */
    sw_job_control control; /* the socket */
} watchers;

static void on_tick(void *arg)
{
    watchers *w = arg;
    sw_progress_tick(&w->progress);
    sw_job_control_tick(&w->control);
}

static int run_job(sw_runner *runner, sw_progress_mode mode)
{
    watchers w;
    if (sw_progress_init(&w.progress, runner, mode) != SW_OK) {
        fprintf(stderr, "swlua: %s failed: out of memory\n", runner->job);
        return SW_EXIT_FAILED;
    }
    sw_job_control_init(&w.control, runner, end_at_once);
    runner->on_tick = on_tick;
    runner->tick_arg = &w;
    catch_signals(runner, &w.progress);
    int status = sw_runner_run(runner);
    stoppable = NULL;
    sw_job_control_close(&w.control);
    if (asks_restart(runner, status)) {
        sw_progress_clear(&w.progress);
    } else {
        sw_progress_end(&w.progress, status);
        tell_end(runner, status);
    }
    shown = NULL;
    sw_progress_deinit(&w.progress);
    return status;
}

static int open_and_run(sw_runner *runner, const run_settings *settings)
{
    int status = sw_job_open(runner, &settings->job);
    if (status != SW_EXIT_OK) return status;
    if (settings->job.config.supervision == NULL || settings->job.config.supervision->restarts == 0)
        print_warnings(runner);
    return run_job(runner, settings->progress);
}

/* What follows goes on where this process ends, and reports in the end. */
static bool is_to_be_restarted(const run_settings *settings)
{
    const sw_supervision *page = settings->job.config.supervision;
    return page != NULL && atomic_load(&page->asks_restart);
}

static int run_with_report(const run_settings *settings, sw_report *report)
{
    sw_runner runner;
    sw_error err;
    int status = open_and_run(&runner, settings);
    if (is_to_be_restarted(settings)) {
        sw_report_drop(report);
    } else if (report != NULL && sw_report_finish(report, &runner, status, &err) != SW_OK) {
        fprintf(stderr, "swlua: the report was not written: %s\n", err.text);
        if (status == SW_EXIT_OK) status = SW_EXIT_FAILED;
    }
    sw_runner_close(&runner);
    return status;
}

/* The life of the engine process; page is NULL without a supervisor. */
static int run_settled(void *arg, sw_supervision *page)
{
    run_settings *settings = arg;
    sw_report *report = NULL;
    sw_error err;
    settings->job.config.supervision = page;
    if (page != NULL && page->has_checkpoint)
        settings->job.config.from = "latest"; /* Of this run, not what it began with, and even if it is its last. */
    if (settings->report != NULL && sw_report_open(&report, settings->report, &err) != SW_OK)
        return sw_command_misused(&sw_command_run, "option \"--report\": %s", err.text);
    sw_log_configure(settings->log_level, settings->is_log_json);
    return run_with_report(settings, report);
}

static int run_run(const sw_command *command, int argc, char **argv)
{
    run_settings settings = { .progress = SW_PROGRESS_AUTO, .log_level = SW_LOG_INFO };
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    sw_job_options_init(&settings.job);
    if (sw_command_begin(command, argc, argv, set_option, &settings, &parsed, &status)) {
        if (sw_job_options_take_script(&settings.job, &parsed, &err) != SW_OK)
            status = sw_command_misused(command, "%s", err.text);
        else if (settings.job.config.is_with_code && settings.job.config.from != NULL &&
                 strcmp(settings.job.config.from, "none") == 0)
            status = sw_command_misused(command, "--with-code takes the script of a checkpoint: not with --from none");
        else if (settings.job.config.is_sim) status = run_settled(&settings, NULL);
        else status = sw_supervise(run_settled, &settings);
    }
    sw_job_options_deinit(&settings.job);
    return status;
}

const sw_command sw_command_run = {
    .name = "run",
    .arguments = "SCRIPT [options] [-- script arguments]",
    .summary = "runs the job until its input ends or it is stopped",
    .notes = "Options override what the script says. The first SIGINT or SIGTERM stops the sources and "
             "finishes what is in\n"
             "flight; the second stops at once.",
    .options = run_options,
    .run = run_run,
};
