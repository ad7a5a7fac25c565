#include "cli/report.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/json.h"
#include "run/coordinator.h"

struct sw_report {
    char *path;      /* where the report is to be */
    char *temporary; /* what is written and renamed; NULL: path is written in place */
    sw_file *file;   /* open for writing, where path is written in place */
};

/* --- the text ----------------------------------------------------------------------------------------------------- */

const char *sw_report_status(const sw_runner *runner, int exit_status)
{
    if (exit_status != 0) return "failed";
    return runner->is_stopping ? "stopped" : "finished";
}

/* How long the task instances that a component is in were busy (share of the run, averaged) and blocked (a sum). */
static void measure_component(const sw_runner *runner, uint32_t component, double *busy_ratio, double *blocked_ms)
{
    const sw_engine *engine = &runner->engine;
    const sw_component *c = &runner->graph.components[component];
    int64_t wall_ns = runner->ended_ns - runner->began_ns, busy_ns = 0, blocked_ns = 0;
    for (uint32_t i = 0; i < c->parallelism; i++) {
        const sw_task *task = &engine->tasks[engine->first_task[c->task] + i];
        busy_ns += task->busy_ns;
        blocked_ns += task->blocked_ns;
    }
    *busy_ratio = wall_ns > 0 ? (double)busy_ns / (double)wall_ns / c->parallelism : 0;
    *blocked_ms = (double)blocked_ns / 1e6;
}

static int print_component(sw_buf *out, const sw_runner *runner, uint32_t component)
{
    const sw_instance sum = sw_runner_totals(runner, component);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        { "in", sum.in },
        { "out", sum.out },
        { "late", sum.late },
        { "dropped", sum.dropped },
        { "malformed", sum.malformed },
        { "errors", sum.errors },
        { "dead_letters", sum.dead_letters },
        { "unread", sum.unread },
        { "acked", sum.acked },
        { "replayed", sum.replayed },
    };
    double busy_ratio, blocked_ms;
    int rc = sw_cli_json_string(out, runner->graph.components[component].name);
    if (rc == SW_OK) rc = sw_buf_append_str(out, ":{");
    for (size_t i = 0; rc == SW_OK && i < sizeof(counters) / sizeof(counters[0]); i++)
        rc = sw_buf_printf(out, "\"%s\":%llu,", counters[i].name, (unsigned long long)counters[i].value);
    if (rc != SW_OK) return rc;
    measure_component(runner, component, &busy_ratio, &blocked_ms);
    return sw_buf_printf(out, "\"busy_ratio\":%.3f,\"backpressured_ms\":%.0f}", busy_ratio, blocked_ms);
}

static int print_components(sw_buf *out, const sw_runner *runner)
{
    int rc = sw_buf_append_str(out, "\"components\":{");
    uint32_t count = runner->has_engine ? runner->graph.component_count : 0;
    for (uint32_t c = 0; rc == SW_OK && c < count; c++) {
        rc = sw_buf_append_str(out, c == 0 ? "" : ",\n  ");
        if (rc == SW_OK) rc = print_component(out, runner, c);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "},\n ") : rc;
}

static int print_latency(sw_buf *out, const sw_runner *runner)
{
    sw_histogram *all = sw_alloc(sizeof(*all));
    if (all == NULL) return SW_ENOMEM;
    sw_histogram_init(all);
    for (uint32_t i = 0; runner->has_engine && i < runner->engine.task_count; i++)
        sw_histogram_merge(all, &runner->engine.tasks[i].latency);
    int rc = SW_OK;
    if (sw_histogram_count(all) == 0)
        rc = sw_buf_append_str(out, "\"latency_us\":{\"p50\":null,\"p99\":null,\"p999\":null,\"max\":null},\n ");
    else
        rc = sw_buf_printf(
            out, "\"latency_us\":{\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu},\n ",
            (unsigned long long)sw_histogram_quantile(all, 0.5), (unsigned long long)sw_histogram_quantile(all, 0.99),
            (unsigned long long)sw_histogram_quantile(all, 0.999), (unsigned long long)sw_histogram_max(all));
    sw_free(all);
    return rc;
}

/* An id, or null for 0. */
static int print_id(sw_buf *out, uint64_t id)
{
    if (id == 0) return sw_buf_append_str(out, "null");
    return sw_buf_printf(out, "%llu", (unsigned long long)id);
}

static int print_checkpoints(sw_buf *out, const sw_runner *runner)
{
    sw_coordinator_stats stats = { 0 };
    if (runner->has_engine && runner->engine.coordinator != NULL)
        stats = sw_coordinator_get_stats(runner->engine.coordinator);
    int rc = sw_buf_printf(out, "\"checkpoints\":{\"completed\":%llu,\"failed\":%llu,\"last_id\":",
                           (unsigned long long)stats.completed, (unsigned long long)stats.failed);
    if (rc == SW_OK) rc = print_id(out, stats.last_id);
    if (rc == SW_OK) rc = sw_buf_printf(out, ",\"last_bytes\":%llu,", (unsigned long long)stats.last_bytes);
    if (rc != SW_OK) return rc;
    if (stats.completed == 0) return sw_buf_append_str(out, "\"p50_ms\":null,\"p99_ms\":null},\n ");
    return sw_buf_printf(out, "\"p50_ms\":%.3f,\"p99_ms\":%.3f},\n ", stats.p50_ms, stats.p99_ms);
}

static uint64_t peak_rss_bytes(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}

int sw_report_print(sw_buf *out, const sw_runner *runner, int exit_status)
{
    double seconds = (double)(runner->ended_ns - runner->began_ns) / 1e9;
    int rc = sw_buf_append_str(out, "{\"job\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, runner->job);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"status\":\"%s\",\"seconds\":%.3f,\"restored_from\":",
                           sw_report_status(runner, exit_status), seconds);
    if (rc == SW_OK) rc = print_id(out, sw_runner_restored_from(runner));
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"restarts\":%u,\n ",
                           runner->config.supervision != NULL ? runner->config.supervision->restarts : 0);
    if (rc == SW_OK) rc = print_components(out, runner);
    if (rc == SW_OK) rc = print_checkpoints(out, runner);
    if (rc == SW_OK) rc = print_latency(out, runner);
    if (rc == SW_OK) rc = sw_buf_append_str(out, "\"backpressure\":{\"episodes\":0,\"flips_per_minute\":0},\n ");
    if (rc == SW_OK) rc = sw_buf_printf(out, "\"peak_rss_bytes\":%llu}\n", (unsigned long long)peak_rss_bytes());
    return rc;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

/* Is there something at the path that renaming would replace for good: a pipe, a device, or a link (as /dev/stderr is,
 * also where it leads to a plain file)? */
static bool is_special(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Not kept: a process that is killed is to leave nothing behind. */
static int try_temporary(const sw_report *report, sw_error *err)
{
    sw_file *file;
    int rc = sw_file_open_create(&file, report->temporary, err);
    if (rc == SW_OK) rc = sw_file_close(file, err);
    if (rc == SW_OK) rc = sw_fs_remove(report->temporary, err);
    return rc;
}

static int open_file(sw_report *report, sw_error *err)
{
    if (strcmp(report->path, "-") == 0) {
        report->file = sw_file_from_fd(STDERR_FILENO, "standard error");
        return report->file != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    if (is_special(report->path)) return sw_file_open_create(&report->file, report->path, err);
    sw_buf name = { 0 };
    if (sw_buf_printf(&name, "%s.%ld.part", report->path, (long)getpid()) == SW_OK)
        report->temporary = sw_strdup((const char *)name.data);
    sw_buf_deinit(&name);
    if (report->temporary == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    return try_temporary(report, err);
}

static void free_report(sw_report *report)
{
    sw_free(report->path);
    sw_free(report->temporary);
    sw_free(report);
}

int sw_report_open(sw_report **out, const char *path, sw_error *err)
{
    sw_report *report = sw_calloc(1, sizeof(*report));
    if (report == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    report->path = sw_strdup(path);
    int rc = report->path != NULL ? open_file(report, err) : sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) *out = report;
    else free_report(report);
    return rc;
}

void sw_report_drop(sw_report *report)
{
    if (report == NULL) return;
    sw_file_close(report->file, NULL);
    free_report(report);
}

int sw_report_finish(sw_report *report, const sw_runner *runner, int exit_status, sw_error *err)
{
    sw_buf text = { 0 };
    int rc = sw_report_print(&text, runner, exit_status);
    if (rc != SW_OK) sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK && report->temporary != NULL) rc = sw_file_open_create(&report->file, report->temporary, err);
    if (rc == SW_OK) rc = sw_file_write_all(report->file, text.data, text.size, err);
    int closed = sw_file_close(report->file, rc == SW_OK ? err : NULL);
    if (rc == SW_OK) rc = closed;
    if (rc == SW_OK && report->temporary != NULL) rc = sw_fs_rename(report->temporary, report->path, err);
    if (rc != SW_OK && report->temporary != NULL) sw_fs_remove(report->temporary, NULL);
    sw_buf_deinit(&text);
    free_report(report);
    return rc;
}
