#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/report.h"
#include "cli/text.h"

#define LIVE_FIRST_NS 1000000000LL /* a job that is done by then shows no line */
#define LIVE_EVERY_NS 250000000LL  /* four times a second at most */
#define PLAIN_EVERY_NS 10000000000LL
#define COLUMNS_DEFAULT 80

static const char clear_line[] = "\r\x1b[K";

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static int print_elapsed(sw_buf *out, int64_t seconds)
{
    if (seconds < 60) return sw_buf_printf(out, "%" PRId64 "s", seconds);
    if (seconds < 3600) return sw_buf_printf(out, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    return sw_buf_printf(out, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds / 60 % 60);
}

/* --- what the engine has done ------------------------------------------------------------------------------------- */

uint64_t sw_progress_events_in(const sw_runner *runner)
{
    uint64_t events = 0;
    for (uint32_t c = 0; c < runner->graph.component_count; c++)
        if (runner->graph.components[c].kind == SW_SOURCE) events += sw_runner_totals(runner, c).out;
    return events;
}

static sw_instance totals_of_all(const sw_runner *runner)
{
    sw_instance sum = { 0 };
    for (uint32_t c = 0; c < runner->graph.component_count; c++) {
        const sw_instance one = sw_runner_totals(runner, c);
        sum.late += one.late;
        sum.dropped += one.dropped;
        sum.malformed += one.malformed;
        sum.errors += one.errors;
        sum.dead_letters += one.dead_letters;
        sum.unread += one.unread;
    }
    return sum;
}

static int print_problems(sw_buf *out, const sw_runner *runner)
{
    const sw_instance sum = totals_of_all(runner);
    const struct {
        const char *name;
        uint64_t value;
    } problems[] = {
        { "late", sum.late },     { "dropped", sum.dropped },           { "malformed", sum.malformed },
        { "errors", sum.errors }, { "dead letters", sum.dead_letters }, { "unread", sum.unread },
    };
    char number[SW_TEXT_SIZE];
    int rc = SW_OK;
    for (size_t i = 0; rc == SW_OK && i < sizeof(problems) / sizeof(problems[0]); i++)
        if (problems[i].value > 0)
            rc = sw_buf_printf(out, ", %s %s", problems[i].name, sw_text_number(number, problems[i].value));
    return rc;
}

/* The component that heads the task whose instance was busiest since the last line. */
static int print_busiest(sw_buf *out, sw_progress *progress, int64_t elapsed_ns)
{
    const sw_runner *runner = progress->runner;
    const sw_engine *engine = &runner->engine;
    int64_t most_ns = 0;
    uint32_t busiest = 0;
    for (uint32_t i = 0; i < engine->task_count; i++) {
        int64_t busy_ns = __atomic_load_n(&engine->tasks[i].busy_ns, __ATOMIC_RELAXED);
        if (busy_ns - progress->drawn_busy_ns[i] > most_ns) {
            most_ns = busy_ns - progress->drawn_busy_ns[i];
            busiest = i;
        }
        progress->drawn_busy_ns[i] = busy_ns;
    }
    if (most_ns == 0 || elapsed_ns <= 0) return SW_OK;
    const sw_task *task = &engine->tasks[busiest];
    const char *name = runner->graph.components[runner->graph.tasks[task->plan_task].head].name;
    int percent = (int)(100 * most_ns / elapsed_ns);
    return sw_buf_printf(out, ", busiest %s#%" PRIu32 " %d%%", name, task->number, percent < 100 ? percent : 100);
}

static int print_fullest_queue(sw_buf *out, const sw_runner *runner)
{
    uint64_t fullest = 0;
    for (uint32_t i = 0; i < runner->engine.channel_count; i++) {
        const sw_channel *channel = runner->engine.channels[i];
        if (channel == NULL) continue;
        uint64_t percent = 100 * sw_channel_fill(channel) / sw_channel_queue(channel);
        if (percent > fullest) fullest = percent;
    }
    return fullest > 0 ? sw_buf_printf(out, ", queues %" PRIu64 "%%", fullest) : SW_OK;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

/* "fraud 12s: 1,234,567 events in, 102,880/s, late 3, busiest score#0 87%, queues 40%" */
static int print_line(sw_buf *out, sw_progress *progress, int64_t now_ns)
{
    const sw_runner *runner = progress->runner;
    char events_text[SW_TEXT_SIZE], rate_text[SW_TEXT_SIZE];
    uint64_t events = sw_progress_events_in(runner);
    int64_t since_ns = now_ns - progress->drawn_ns;
    double rate = since_ns > 0 ? (double)(events - progress->drawn_events) * 1e9 / (double)since_ns : 0;
    int rc = sw_buf_printf(out, "%s ", runner->job);
    if (rc == SW_OK) rc = print_elapsed(out, (now_ns - progress->began_ns) / 1000000000);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ": %s events in, %s/s", sw_text_number(events_text, events),
                           sw_text_number(rate_text, (uint64_t)rate));
    if (rc == SW_OK) rc = print_problems(out, runner);
    if (rc == SW_OK) rc = print_busiest(out, progress, since_ns);
    if (rc == SW_OK) rc = print_fullest_queue(out, runner);
    progress->drawn_ns = now_ns;
    progress->drawn_events = events;
    return rc;
}

static void write_all(const sw_buf *text)
{
    if (write(STDERR_FILENO, text->data, text->size) < 0) return; /* Nobody is left to tell. */
}

static size_t columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* The cursor goes back to the first column, so that what the job or the log writes next starts there. */
static int draw_live(sw_buf *out, sw_progress *progress, int64_t now_ns)
{
    int rc = sw_buf_append_str(out, clear_line);
    size_t start = out->size, width = columns() - 1; /* Terminals wrap after the last column. */
    if (rc == SW_OK) rc = print_line(out, progress, now_ns);
    if (rc != SW_OK) return rc;
    if (out->size - start > width) {
        out->size = start + width;
        while (out->size > start && (out->data[out->size] & 0xC0) == 0x80) out->size--;
    }
    progress->is_drawn = true;
    return sw_buf_append_str(out, "\r");
}

static int draw_plain(sw_buf *out, sw_progress *progress, int64_t now_ns)
{
    int rc = sw_buf_append_str(out, "swlua: ");
    if (rc == SW_OK) rc = print_line(out, progress, now_ns);
    return rc == SW_OK ? sw_buf_append_str(out, "\n") : rc;
}

/* --- the life of it ----------------------------------------------------------------------------------------------- */

int sw_progress_init(sw_progress *progress, const sw_runner *runner, sw_progress_mode mode)
{
    bool has_terminal = isatty(STDERR_FILENO) == 1;
    int64_t now_ns = sw_clock_mono_ns(sw_clock_real());
    *progress = (sw_progress){
        .runner = runner,
        .mode = mode,
        .is_live = has_terminal && mode == SW_PROGRESS_AUTO,
        .has_terminal = has_terminal,
        .began_ns = now_ns,
        .drawn_ns = now_ns,
        .drawn_busy_ns = sw_calloc(runner->engine.task_count + 1, sizeof(int64_t)),
    };
    return progress->drawn_busy_ns != NULL ? SW_OK : SW_ENOMEM;
}

void sw_progress_deinit(sw_progress *progress)
{
    sw_free(progress->drawn_busy_ns);
    progress->drawn_busy_ns = NULL;
}

void sw_progress_tick(void *arg)
{
    sw_progress *progress = arg;
    if (progress->mode == SW_PROGRESS_OFF) return;
    int64_t now_ns = sw_clock_mono_ns(sw_clock_real());
    int64_t every_ns = progress->is_live ? LIVE_EVERY_NS : PLAIN_EVERY_NS;
    if (progress->is_live && !progress->is_drawn) every_ns = LIVE_FIRST_NS;
    if (now_ns - progress->drawn_ns < every_ns) return;
    sw_buf line = { 0 };
    int rc = progress->is_live ? draw_live(&line, progress, now_ns) : draw_plain(&line, progress, now_ns);
    if (rc == SW_OK) write_all(&line);
    sw_buf_deinit(&line);
}

void sw_progress_clear(sw_progress *progress)
{
    if (!progress->is_drawn) return;
    progress->is_drawn = false;
    if (write(STDERR_FILENO, clear_line, sizeof(clear_line) - 1) < 0) return; /* The terminal is gone. */
}

int sw_progress_print_counters(sw_buf *out, const sw_runner *runner)
{
    char events_text[SW_TEXT_SIZE], rate_text[SW_TEXT_SIZE];
    uint64_t events = sw_progress_events_in(runner);
    double seconds = (double)(runner->ended_ns - runner->began_ns) / 1e9;
    double rate = seconds > 0 ? (double)events / seconds : 0;
    int rc = sw_buf_printf(out, "%s events in %.2f s, %s/s", sw_text_number(events_text, events), seconds,
                           sw_text_number(rate_text, (uint64_t)rate));
    return rc == SW_OK ? print_problems(out, runner) : rc;
}

void sw_progress_end(sw_progress *progress, int exit_status)
{
    const sw_runner *runner = progress->runner;
    const char *status = sw_report_status(runner, exit_status);
    bool is_stopped = strcmp(status, "stopped") == 0;
    sw_progress_clear(progress);
    if (progress->mode == SW_PROGRESS_OFF) return;
    if (!progress->has_terminal && progress->mode != SW_PROGRESS_PLAIN && !is_stopped) return;
    sw_buf line = { 0 };
    int rc = sw_buf_printf(&line, "swlua: %s %s: ", runner->job, status);
    if (rc == SW_OK) rc = sw_progress_print_counters(&line, runner);
    if (rc == SW_OK) rc = sw_buf_append_str(&line, "\n");
    if (rc == SW_OK) write_all(&line);
    sw_buf_deinit(&line);
}
