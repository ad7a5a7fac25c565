/* log_keep.c -- `swlua log info` and `swlua log trim`: what a log holds, and for how long. */
#include "state/log_keep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/json.h"
#include "cli/log.h"

#define TIME_BYTES 48

/* --- info -------------------------------------------------------------------------------------------------------- */

/* "2024-05-01T10:00:00.000Z", or the number where there is no such year. */
static const char *iso_time(int64_t ms, char *out)
{
    int64_t second = ms / 1000 - (ms % 1000 < 0);
    time_t seconds = (time_t)second;
    struct tm parts;
    char text[32];
    bool is_year = second > -62135596800 && second < 253402300800 && gmtime_r(&seconds, &parts) != NULL;
    if (is_year && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) > 0)
        snprintf(out, TIME_BYTES, "%s.%03dZ", text, (int)(ms - second * 1000));
    else snprintf(out, TIME_BYTES, "%" PRId64, ms);
    return out;
}

static void print_text(const sw_log_call *call, const sw_evlog_info *info)
{
    char first[TIME_BYTES], last[TIME_BYTES];
    uint64_t records = info->committed - info->first;
    printf("log        %s/%s\nevents     %" PRIu64, sw_log_call_folder(call), call->name, records);
    if (records > 0)
        printf(", #%" PRIu64 " to #%" PRIu64 "\ntimes      %s to %s", info->first, info->committed - 1,
               iso_time(info->first_time, first), iso_time(info->last_time, last));
    printf("\ncommitted  #%" PRIu64 "\nsegments   %" PRIu64 ", %" PRIu64 " bytes\n", info->committed, info->segments,
           info->bytes);
    if (info->prepared > 0) printf("prepared   %" PRIu64 " events wait for a checkpoint of a job\n", info->prepared);
    for (size_t i = 0; i < info->reader_count; i++)
        printf("%s %s from #%" PRIu64 "\n", i == 0 ? "readers   " : "          ", info->readers[i].reader,
               info->readers[i].number);
    if (info->reader_count == 0) puts("readers    none registered");
}

static int print_json(const sw_log_call *call, const sw_evlog_info *info)
{
    sw_buf out = { 0 };
    bool has_times = info->committed > info->first;
    int rc = sw_buf_append_str(&out, "{\"name\":");
    if (rc == SW_OK) rc = sw_cli_json_string(&out, call->name);
    if (rc == SW_OK)
        rc = sw_buf_printf(&out,
                           ",\"first\":%" PRIu64 ",\"committed\":%" PRIu64 ",\"records\":%" PRIu64
                           ",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"prepared\":%" PRIu64,
                           info->first, info->committed, info->committed - info->first, info->segments, info->bytes,
                           info->prepared);
    if (rc == SW_OK && has_times)
        rc = sw_buf_printf(&out, ",\"first_time\":%" PRId64 ",\"last_time\":%" PRId64, info->first_time,
                           info->last_time);
    if (rc == SW_OK) rc = sw_buf_append_str(&out, ",\"readers\":[");
    for (size_t i = 0; rc == SW_OK && i < info->reader_count; i++) {
        rc = sw_buf_append_str(&out, i == 0 ? "{\"name\":" : ",{\"name\":");
        if (rc == SW_OK) rc = sw_cli_json_string(&out, info->readers[i].reader);
        if (rc == SW_OK) rc = sw_buf_printf(&out, ",\"retained\":%" PRIu64 "}", info->readers[i].number);
    }
    if (rc == SW_OK) rc = sw_buf_append_str(&out, "]}");
    if (rc == SW_OK) printf("%.*s\n", (int)out.size, (char *)out.data);
    sw_buf_deinit(&out);
    return rc;
}

static int run_info(const sw_command *command, int argc, char **argv)
{
    sw_log_call call;
    sw_evlog_info info;
    sw_error err;
    int status = SW_EXIT_OK;
    if (!sw_log_call_begin(&call, command, argc, argv, &status)) return status;
    int rc = sw_evlog_info_init(&info, sw_log_call_folder(&call), call.name, &err);
    if (rc != SW_OK) {
        status = sw_log_call_failed(&call, rc, &err);
    } else {
        if (!call.is_json) print_text(&call, &info);
        else if (print_json(&call, &info) != SW_OK) status = SW_EXIT_FAILED;
        sw_evlog_info_deinit(&info);
    }
    sw_log_call_end(&call);
    return status;
}

static const sw_cli_option info_options[] = {
    { SW_LOG_OPTION_JSON, "json", NULL, "as one JSON object" },
    SW_LOG_OPTION_LOGS_ROW,
    { 0 },
};

const sw_command sw_command_log_info = {
    .name = "log info",
    .arguments = "NAME [options]",
    .summary = "prints what an event log holds, and up to where its registered readers need nothing any more",
    .options = info_options,
    .run = run_info,
};

/* --- trim -------------------------------------------------------------------------------------------------------- */

/* SW_EINVAL: an option's value is none. */
static int read_keep(const sw_log_call *call, sw_evlog_keep *keep, sw_error *err)
{
    int64_t age_ms = 0;
    int rc = SW_OK;
    *keep = (sw_evlog_keep){ .is_forced = call->is_forced };
    if (call->keep_size == NULL && call->keep_age == NULL)
        return sw_error_set(err, SW_EINVAL, "keep how much? --keep-size SIZE, --keep-age DURATION, or both");
    if (call->keep_size != NULL) rc = sw_size_parse(call->keep_size, &keep->bytes, err);
    if (rc == SW_OK && call->keep_age != NULL) rc = sw_duration_parse_ms(call->keep_age, &age_ms, err);
    if (rc != SW_OK || age_ms < 0)
        return sw_error_set(err, SW_EINVAL, "%s", rc != SW_OK ? err->text : "a negative age");
    keep->has_bytes = call->keep_size != NULL;
    keep->has_before = call->keep_age != NULL;
    keep->before = sw_clock_wall_ms(sw_clock_real()) - age_ms;
    return SW_OK;
}

static void print_trimmed(const sw_evlog_trimmed *trimmed)
{
    if (trimmed->segments == 0) puts("nothing removed");
    else
        printf("%" PRIu64 " segment%s removed, %" PRIu64 " bytes; the first event is #%" PRIu64 "\n", trimmed->segments,
               trimmed->segments == 1 ? "" : "s", trimmed->bytes, trimmed->first);
    if (trimmed->held_by[0] != '\0')
        printf("more was kept for reader %s; --force removes that too\n", trimmed->held_by);
}

static int run_trim(const sw_command *command, int argc, char **argv)
{
    sw_log_call call;
    sw_evlog_keep keep;
    sw_evlog_trimmed trimmed;
    sw_error err;
    int status = SW_EXIT_OK;
    if (!sw_log_call_begin(&call, command, argc, argv, &status)) return status;
    if (read_keep(&call, &keep, &err) != SW_OK) {
        status = sw_command_misused(command, "%s", err.text);
    } else {
        int rc = sw_evlog_trim(sw_log_call_folder(&call), call.name, &keep, &trimmed, &err);
        if (rc == SW_OK) print_trimmed(&trimmed);
        else status = sw_log_call_failed(&call, rc, &err);
    }
    sw_log_call_end(&call);
    return status;
}

static const sw_cli_option trim_options[] = {
    { SW_LOG_OPTION_KEEP_SIZE, "keep-size", "SIZE", "the newest events of this size stay: 10GiB" },
    { SW_LOG_OPTION_KEEP_AGE, "keep-age", "DURATION", "events younger than this stay: 30d" },
    { SW_LOG_OPTION_FORCE, "force", NULL, "also what registered readers may still ask for" },
    SW_LOG_OPTION_LOGS_ROW,
    { 0 },
};

const sw_command sw_command_log_trim = {
    .name = "log trim",
    .arguments = "NAME --keep-size SIZE | --keep-age DURATION [options]",
    .summary = "removes the oldest events of an event log",
    .notes =
        "Whole segments are removed (64 MiB), the oldest first, while one of the options lets them go: the newest\n"
        "segment always stays. An event's age is that of its time. A log can be trimmed while it is written.",
    .options = trim_options,
    .run = run_trim,
};
