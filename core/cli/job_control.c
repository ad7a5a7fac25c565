#include "cli/job_control.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "run/coordinator.h"
#include "state/checkpoints.h"

#define MEASURE_NS 1000000000LL

/* --- ps ----------------------------------------------------------------------------------------------------------- */

static void measure(sw_job_control *job, int64_t now_ns)
{
    int64_t since_ns = now_ns - job->measured_ns;
    if (since_ns < MEASURE_NS) return;
    uint64_t events = sw_progress_events_in(job->runner);
    job->events_per_s = (double)(events - job->measured_events) * 1e9 / (double)since_ns;
    job->measured_ns = now_ns;
    job->measured_events = events;
}

/* How far the least watermark of the tasks is behind the clock; -1 when there is none yet. */
static int64_t watermark_lag_ms(const sw_engine *engine)
{
    int64_t least = SW_TIME_MAX;
    for (uint32_t i = 0; i < engine->task_count; i++) {
        int64_t wm = __atomic_load_n(&engine->tasks[i].wm[0], __ATOMIC_RELAXED);
        if (wm != SW_TIME_MIN && wm < least) least = wm;
    }
    if (least == SW_TIME_MAX) return -1;
    int64_t now_ms = sw_engine_now_ms(engine);
    return now_ms > least ? now_ms - least : 0;
}

static int print_checkpoints(sw_buf *out, const sw_engine *engine)
{
    if (engine->coordinator == NULL) return sw_buf_append_str(out, ",\"checkpoint\":null,\"checkpoint_age_s\":null");
    const sw_coordinator_stats stats = sw_coordinator_get_stats(engine->coordinator);
    if (stats.last_id == 0) return sw_buf_append_str(out, ",\"checkpoint\":null,\"checkpoint_age_s\":null");
    return sw_buf_printf(out, ",\"checkpoint\":%u,\"checkpoint_age_s\":%.1f", stats.last_id,
                         (double)(sw_engine_now_ms(engine) - stats.last_ms) / 1000);
}

static int print_lag(sw_buf *out, const sw_engine *engine)
{
    int64_t lag_ms = watermark_lag_ms(engine);
    if (lag_ms < 0) return sw_buf_append_str(out, ",\"watermark_lag_ms\":null");
    return sw_buf_printf(out, ",\"watermark_lag_ms\":%lld", (long long)lag_ms);
}

static int print_job(sw_buf *out, const sw_job_control *job)
{
    const sw_runner *runner = job->runner;
    const sw_supervision *page = runner->config.supervision;
    long engine_pid = (long)getpid(), pid = page != NULL ? (long)page->supervisor : engine_pid;
    double uptime_s = (double)(sw_clock_mono_ns(sw_clock_real()) - job->began_ns) / 1e9;
    int rc = sw_buf_append_str(out, "\"name\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, runner->job);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"pid\":%ld,\"engine_pid\":%ld,\"status\":\"%s\",\"uptime_s\":%.1f,\"restarts\":%u",
                           pid, engine_pid, runner->is_stopping ? "stopping" : "running", uptime_s,
                           page != NULL ? page->restarts : 0);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"events\":%llu,\"events_per_s\":%.1f",
                           (unsigned long long)sw_progress_events_in(runner), job->events_per_s);
    if (rc == SW_OK) rc = print_lag(out, &runner->engine);
    if (rc == SW_OK) rc = print_checkpoints(out, &runner->engine);
    if (rc == SW_OK) rc = sw_buf_append_str(out, ",\"state\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, runner->state_dir);
    return rc == SW_OK ? sw_buf_append(out, "", 1) : rc;
}

static void ps(void *arg, sw_control_request *request, const sw_message *message)
{
    sw_buf members = { 0 };
    (void)message;
    if (print_job(&members, arg) == SW_OK) sw_control_reply(request, (const char *)members.data);
    else sw_control_refuse(request, "out of memory");
    sw_buf_deinit(&members);
}

/* --- checkpoints -------------------------------------------------------------------------------------------------- */

/* The coordinator of a job of which checkpoints are taken; else NULL, and the request is answered. */
static sw_coordinator *coordinator_for(const sw_job_control *job, sw_control_request *request)
{
    sw_coordinator *coordinator = job->runner->engine.coordinator;
    if (coordinator == NULL)
        sw_control_refuse(request, "no checkpoints are taken of job \"%s\": it runs at-most-once", job->runner->job);
    return coordinator;
}

static void on_done(void *arg, uint32_t id, int rc, const sw_error *err)
{
    char members[64];
    if (rc != SW_OK) {
        sw_control_refuse(arg, "the checkpoint failed: %s", err != NULL ? err->text : sw_error_meaning(rc));
        return;
    }
    snprintf(members, sizeof(members), "\"checkpoint\":%u", id);
    sw_control_reply(arg, members);
}

static void take_checkpoint(sw_coordinator *coordinator, const char *savepoint, sw_control_request *request)
{
    if (sw_coordinator_request(coordinator, savepoint, on_done, request) != SW_OK)
        sw_control_refuse(request, "out of memory");
}

static void checkpoint(void *arg, sw_control_request *request, const sw_message *message)
{
    sw_coordinator *coordinator = coordinator_for(arg, request);
    (void)message;
    if (coordinator != NULL) take_checkpoint(coordinator, NULL, request);
}

/* Reads the name of a savepoint to be made; false when it cannot be, and the request is answered. */
static bool take_name(const sw_job_control *job, sw_control_request *request, const sw_message *message,
                      char name[SW_SAVEPOINT_NAME_MAX + 1])
{
    char path[4096];
    if (!sw_message_text(message, "name", name, SW_SAVEPOINT_NAME_MAX + 1)) {
        sw_control_refuse(request, "a savepoint needs a name of at most %d bytes", SW_SAVEPOINT_NAME_MAX);
        return false;
    }
    snprintf(path, sizeof(path), "%s/savepoints/%s.mdb", job->runner->state_dir, name);
    if (!sw_fs_exists(path)) return true;
    sw_control_refuse(request, "there is a savepoint \"%s\" already", name);
    return false;
}

static void savepoint(void *arg, sw_control_request *request, const sw_message *message)
{
    char name[SW_SAVEPOINT_NAME_MAX + 1];
    sw_coordinator *coordinator = coordinator_for(arg, request);
    if (coordinator != NULL && take_name(arg, request, message, name)) take_checkpoint(coordinator, name, request);
}

/* --- stop --------------------------------------------------------------------------------------------------------- */

static void on_end_at_once(evutil_socket_t fd, short what, void *arg)
{
    const sw_job_control *job = arg;
    (void)fd;
    (void)what;
    job->end_at_once();
}

/* The loop writes the reply before it looks at timers. */
static void stop_now(sw_job_control *job, sw_control_request *request)
{
    static const struct timeval now = { 0 };
    sw_control_reply(request, "");
    if (event_base_once(sw_engine_base(&job->runner->engine), -1, EV_TIMEOUT, on_end_at_once, job, &now) != 0)
        job->end_at_once();
}

/* The savepoint is made of the checkpoint that the job stops with. */
static void stop_with_savepoint(sw_job_control *job, sw_control_request *request, const sw_message *message)
{
    char name[SW_SAVEPOINT_NAME_MAX + 1];
    sw_coordinator *coordinator = coordinator_for(job, request);
    if (coordinator == NULL || !take_name(job, request, message, name)) return;
    take_checkpoint(coordinator, name, request);
    sw_runner_stop(job->runner);
}

static void stop(void *arg, sw_control_request *request, const sw_message *message)
{
    sw_job_control *job = arg;
    char mode[32];
    if (!sw_message_text(message, "mode", mode, sizeof(mode))) snprintf(mode, sizeof(mode), "checkpoint");
    if (strcmp(mode, "now") == 0) {
        stop_now(job, request);
    } else if (strcmp(mode, "savepoint") == 0) {
        stop_with_savepoint(job, request, message);
    } else if (strcmp(mode, "drain") == 0) {
        sw_runner_drain(job->runner);
        sw_control_reply(request, "");
    } else if (strcmp(mode, "checkpoint") == 0) {
        sw_runner_stop(job->runner);
        sw_control_reply(request, "");
    } else {
        sw_control_refuse(request, "mode \"%s\": expected \"checkpoint\", \"drain\", \"now\" or \"savepoint\"", mode);
    }
}

/* --- state -------------------------------------------------------------------------------------------------------- */

static void state(void *arg, sw_control_request *request, const sw_message *message)
{
    sw_job_control *job = arg;
    sw_job_state_ask(&job->state, request, message);
}

/* --- the life of it ----------------------------------------------------------------------------------------------- */

void sw_job_control_init(sw_job_control *job, sw_runner *runner, void (*end_at_once)(void))
{
    const sw_supervision *page = runner->config.supervision;
    int64_t now_ns = sw_clock_mono_ns(sw_clock_real());
    *job = (sw_job_control){
        .runner = runner,
        .end_at_once = end_at_once,
        .state.runner = runner,
        .began_ns = page != NULL ? page->began_ns : now_ns,
        .measured_ns = now_ns,
    };
}

/* A job runs well without: what went wrong is a warning. */
static void open_control(sw_job_control *job)
{
    const sw_control_ops ops = { job, ps, stop, checkpoint, savepoint, state };
    sw_runner *runner = job->runner;
    sw_buf path = { 0 };
    sw_error err;
    int rc = sw_buf_printf(&path, "%s/control.sock", runner->state_dir);
    if (rc != SW_OK) sw_error_set(&err, rc, "out of memory");
    if (rc == SW_OK) {
        job->has_made_dir = !sw_fs_is_dir(runner->state_dir);
        rc = sw_fs_mkdirs(runner->state_dir, &err);
    }
    if (rc == SW_OK)
        rc = sw_control_open(&job->control, sw_engine_base(&runner->engine), (const char *)path.data, &ops, &err);
    if (rc != SW_OK) sw_log(SW_LOG_WARN, runner->job, "there is no control socket: %s", err.text);
    sw_buf_deinit(&path);
}

void sw_job_control_tick(sw_job_control *job)
{
    measure(job, sw_clock_mono_ns(sw_clock_real()));
    if (job->is_tried) return;
    job->is_tried = true;
    open_control(job);
}

void sw_job_control_close(sw_job_control *job)
{
    sw_job_state_close(&job->state); /* Its replies still find the socket. */
    sw_control_close(job->control);
    job->control = NULL;
    if (job->has_made_dir) sw_fs_remove(job->runner->state_dir, NULL); /* Stays where something else is in it. */
}
