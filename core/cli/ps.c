#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/text.h"

#define REPLY_START "{\"id\":null,\"ok\":true," /* of every reply to a request without id */

enum { OPTION_JSON = 1 };

static const sw_cli_option ps_options[] = {
    { OPTION_JSON, "json", NULL, "a JSON object for each job, one a line" },
    { 0 },
};

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    (void)id;
    (void)value;
    (void)err;
    *(bool *)arg = true;
    return SW_OK;
}

/* --- cells of the table ------------------------------------------------------------------------------------------- */

static const char *number_cell(char out[SW_TEXT_SIZE], const sw_message *reply, const char *name)
{
    double value;
    if (sw_message_number(reply, name, &value)) snprintf(out, SW_TEXT_SIZE, "%.0f", value);
    else snprintf(out, SW_TEXT_SIZE, "-");
    return out;
}

static const char *lag_cell(char out[SW_TEXT_SIZE], const sw_message *reply)
{
    double ms;
    if (!sw_message_number(reply, "watermark_lag_ms", &ms)) return "-";
    if (ms >= 10000) return sw_text_duration(out, ms / 1000);
    snprintf(out, SW_TEXT_SIZE, "%.0fms", ms);
    return out;
}

/* "12, 3s ago" */
static const char *checkpoint_cell(char out[SW_TEXT_SIZE], const sw_message *reply)
{
    char age_text[SW_TEXT_SIZE];
    double id, age_s;
    if (!sw_message_number(reply, "checkpoint", &id) || !sw_message_number(reply, "checkpoint_age_s", &age_s))
        return "-";
    snprintf(out, SW_TEXT_SIZE, "%.0f, %.20s ago", id, sw_text_duration(age_text, age_s));
    return out;
}

static void print_row(const sw_message *reply)
{
    char name[256], pid[SW_TEXT_SIZE], uptime[SW_TEXT_SIZE], rate[SW_TEXT_SIZE], lag[SW_TEXT_SIZE],
        checkpoint[SW_TEXT_SIZE], restarts[SW_TEXT_SIZE];
    double uptime_s = 0;
    if (!sw_message_text(reply, "name", name, sizeof(name))) snprintf(name, sizeof(name), "?");
    sw_message_number(reply, "uptime_s", &uptime_s);
    printf("%-20s %8s %8s %12s %8s %14s %8s\n", name, number_cell(pid, reply, "pid"),
           sw_text_duration(uptime, uptime_s), number_cell(rate, reply, "events_per_s"), lag_cell(lag, reply),
           checkpoint_cell(checkpoint, reply), number_cell(restarts, reply, "restarts"));
}

/* What the job said, without id and ok. */
static void print_json(const sw_client *client)
{
    const char *text = (const char *)client->line.data;
    size_t len = client->line_len, skip = sizeof(REPLY_START) - 1;
    if (len < skip || memcmp(text, REPLY_START, skip) != 0) printf("%.*s\n", (int)len, text);
    else printf("{%.*s\n", (int)(len - skip), text + skip);
}

/* --- the jobs ----------------------------------------------------------------------------------------------------- */

/* Asks the job of a state directory, if one runs there. True when a row was printed. */
static bool show_job(const char *dir, bool is_json, bool is_first)
{
    sw_client client;
    sw_buf path = { 0 };
    sw_error err;
    int rc = sw_buf_printf(&path, "%s/control.sock", dir);
    if (rc == SW_OK) rc = sw_client_open_at(&client, (const char *)path.data, &err);
    sw_buf_deinit(&path);
    if (rc == SW_ENOTFOUND) return false;
    if (rc == SW_OK) {
        rc = sw_client_call(&client, "{\"cmd\":\"ps\"}", false, &err);
        if (rc == SW_OK && is_first && !is_json)
            printf("%-20s %8s %8s %12s %8s %14s %8s\n", "NAME", "PID", "UPTIME", "EVENTS/S", "LAG", "CHECKPOINT",
                   "RESTARTS");
        if (rc == SW_OK && is_json) print_json(&client);
        if (rc == SW_OK && !is_json) print_row(&client.reply);
        sw_client_close(&client);
    }
    if (rc != SW_OK && rc != SW_ECLOSED) fprintf(stderr, "swlua ps: %s: %s\n", dir, err.text);
    return rc == SW_OK;
}

static int show_jobs(const char *root, bool is_json)
{
    struct dirent **names;
    sw_buf dir = { 0 };
    uint32_t shown = 0;
    int count = scandir(root, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        sw_buf_clear(&dir);
        bool is_named = names[i]->d_name[0] != '.' && sw_buf_printf(&dir, "%s/%s", root, names[i]->d_name) == SW_OK;
        if (is_named && show_job((const char *)dir.data, is_json, shown == 0)) shown++;
        free(names[i]);
    }
    if (count >= 0) free(names);
    sw_buf_deinit(&dir);
    if (shown == 0 && !is_json) fprintf(stderr, "swlua ps: no job runs\n");
    return SW_EXIT_OK;
}

static int run_ps(const sw_command *command, int argc, char **argv)
{
    sw_cli_parsed parsed;
    bool is_json = false;
    sw_buf root = { 0 };
    int status;
    if (!sw_command_begin(command, argc, argv, set_option, &is_json, &parsed, &status)) return status;
    if (parsed.rest_count > 0) return sw_command_misused(command, "it takes no arguments");
    if (sw_client_state_root(&root) == SW_OK) status = show_jobs((const char *)root.data, is_json);
    else status = SW_EXIT_FAILED;
    sw_buf_deinit(&root);
    return status;
}

const sw_command sw_command_ps = {
    .name = "ps",
    .arguments = "[--json]",
    .summary = "the jobs that run on this machine",
    .notes =
        "Finds the jobs whose state directory is below $XDG_STATE_HOME/swlua (~/.local/state/swlua). LAG is how far\n"
        "the watermark is behind the clock; EVENTS/S, what the sources took in during the last second.",
    .options = ps_options,
    .run = run_ps,
};
