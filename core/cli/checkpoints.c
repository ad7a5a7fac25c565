#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "cli/checkpoint_show.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/json.h"
#include "cli/saved.h"
#include "cli/text.h"

enum { OPTION_JSON = 1, OPTION_SCRIPT };

static const sw_cli_option checkpoints_options[] = {
    { OPTION_JSON, "json", NULL, "list: a JSON object for each, one a line; show: one object" },
    { OPTION_SCRIPT, "script", NULL, "show: prints the text of the script it was taken with, and nothing else" },
    { 0 },
};

typedef struct checkpoints_settings {
    const char *job; /* a name, or a state directory */
    bool is_json;    /* --json */
    bool is_script;  /* --script */
} checkpoints_settings;

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    checkpoints_settings *settings = arg;
    (void)value;
    (void)err;
    if (id == OPTION_JSON) settings->is_json = true;
    else settings->is_script = true;
    return SW_OK;
}

static int fail(const sw_error *err)
{
    fprintf(stderr, "swlua checkpoints: %s\n", err->text);
    return err->code == SW_EFORMAT || err->code == SW_EBUSY ? SW_EXIT_STATE : SW_EXIT_FAILED;
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static double age_s(const sw_checkpoint_entry *entry)
{
    return (double)(sw_clock_wall_ms(sw_clock_real()) - entry->time_ms) / 1000;
}

static int label(char out[SW_SAVEPOINT_NAME_MAX + 1], const sw_checkpoint_entry *entry)
{
    if (entry->name[0] != '\0') return snprintf(out, SW_SAVEPOINT_NAME_MAX + 1, "%s", entry->name);
    return snprintf(out, SW_SAVEPOINT_NAME_MAX + 1, "%" PRIu64, entry->id);
}

static void print_kind(const sw_checkpoint_entry *entry)
{
    if (entry->problem != SW_OK) printf("DAMAGED: %s\n", entry->why);
    else if (entry->name[0] != '\0') printf("savepoint of %" PRIu64, entry->id);
    else fputs(entry->is_full ? "full" : "changes", stdout);
    if (entry->problem == SW_OK) puts(entry->is_finished ? ", finished" : "");
}

static void print_row(const sw_checkpoint_entry *entry, int width)
{
    char id[SW_SAVEPOINT_NAME_MAX + 1], taken[SW_TEXT_SIZE], age[SW_TEXT_SIZE], bytes[SW_TEXT_SIZE],
        changes[SW_TEXT_SIZE];
    bool is_known = entry->files > 0; /* Its manifest could be read. */
    label(id, entry);
    printf("%-*s  %-24s  %7s  %13s  %11s  ", width, id, is_known ? sw_text_time(taken, entry->time_ms) : "-",
           is_known ? sw_text_duration(age, age_s(entry)) : "-", is_known ? sw_text_number(bytes, entry->bytes) : "-",
           is_known ? sw_text_number(changes, entry->changes) : "-");
    if (is_known) printf("%5u  ", entry->files);
    else printf("%5s  ", "-");
    print_kind(entry);
}

static void print_table(const sw_checkpoint_entry *list, uint32_t count)
{
    char id[SW_SAVEPOINT_NAME_MAX + 1];
    int width = (int)strlen("ID");
    for (uint32_t i = 0; i < count; i++) {
        int len = label(id, &list[i]);
        if (len > width) width = len;
    }
    printf("%-*s  %-24s  %7s  %13s  %11s  %5s  %s\n", width, "ID", "TAKEN", "AGE", "BYTES", "ENTRIES", "FILES", "KIND");
    for (uint32_t i = 0; i < count; i++) print_row(&list[i], width);
}

static int print_json_row(sw_buf *out, const sw_checkpoint_entry *entry)
{
    char taken[SW_TEXT_SIZE];
    bool is_known = entry->files > 0;
    int rc = sw_buf_printf(out, "{\"id\":%" PRIu64 ",\"savepoint\":", entry->id);
    if (rc == SW_OK) rc = sw_cli_json_string(out, entry->name[0] != '\0' ? entry->name : NULL);
    if (rc == SW_OK && is_known)
        rc = sw_buf_printf(out,
                           ",\"taken\":\"%s\",\"taken_ms\":%" PRId64 ",\"bytes\":%" PRIu64 ",\"entries\":%" PRIu64
                           ",\"files\":%u,\"full\":%s,\"finished\":%s",
                           sw_text_time(taken, entry->time_ms), entry->time_ms, entry->bytes, entry->changes,
                           entry->files, entry->is_full ? "true" : "false", entry->is_finished ? "true" : "false");
    if (rc == SW_OK) rc = sw_buf_append_str(out, ",\"damage\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, entry->problem != SW_OK ? entry->why : NULL);
    return rc == SW_OK ? sw_buf_append_str(out, "}\n") : rc;
}

static int print_json(const sw_checkpoint_entry *list, uint32_t count, sw_error *err)
{
    sw_buf out = { 0 };
    int rc = SW_OK;
    for (uint32_t i = 0; i < count && rc == SW_OK; i++) rc = print_json_row(&out, &list[i]);
    if (rc == SW_OK) fwrite(out.data, 1, out.size, stdout);
    else sw_error_set(err, rc, "out of memory");
    sw_buf_deinit(&out);
    return rc;
}

static uint32_t count_damaged(const sw_checkpoint_entry *list, uint32_t count)
{
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].problem != SW_OK) damaged++;
    return damaged;
}

static int list_checkpoints(const checkpoints_settings *settings, sw_checkpoints *checkpoints)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    sw_error err;
    int rc = sw_checkpoints_list(checkpoints, false, &list, &count, &err);
    if (rc != SW_OK) return fail(&err);
    uint32_t damaged = count_damaged(list, count);
    if (settings->is_json) rc = print_json(list, count, &err);
    else if (count > 0) print_table(list, count);
    else fprintf(stderr, "swlua checkpoints: there are none in %s\n", settings->job);
    if (damaged > 0) fprintf(stderr, "swlua checkpoints: %u of %u CANNOT BE USED\n", damaged, count);
    sw_free(list);
    return rc == SW_OK ? SW_EXIT_OK : fail(&err);
}

/* --- verify ------------------------------------------------------------------------------------------------------- */

static int verify(const checkpoints_settings *settings, sw_checkpoints *checkpoints)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    char id[SW_SAVEPOINT_NAME_MAX + 1];
    sw_error err;
    (void)settings;
    if (sw_checkpoints_list(checkpoints, true, &list, &count, &err) != SW_OK) return fail(&err);
    for (uint32_t i = 0; i < count; i++) {
        label(id, &list[i]);
        printf("%s: %s\n", id, list[i].problem == SW_OK ? "ok" : list[i].why);
    }
    uint32_t damaged = count_damaged(list, count);
    sw_free(list);
    if (damaged == 0) return SW_EXIT_OK;
    fprintf(stderr, "swlua checkpoints: %u of %u CANNOT BE USED\n", damaged, count);
    return SW_EXIT_STATE;
}

/* --- show --------------------------------------------------------------------------------------------------------- */

static int show(const checkpoints_settings *settings, sw_checkpoints *checkpoints, const char *which)
{
    sw_restore *restore = NULL;
    sw_error err;
    int rc = sw_saved_restore(&restore, checkpoints, which, &err);
    if (rc == SW_OK && settings->is_script) {
        const sw_checkpoint_meta *meta = sw_restore_meta(restore);
        fwrite(meta->script, 1, meta->script_len, stdout);
    } else if (rc == SW_OK) {
        rc = sw_checkpoint_show(restore, which, settings->is_json, &err);
    }
    sw_restore_close(restore);
    return rc == SW_OK ? SW_EXIT_OK : fail(&err);
}

/* --- drop --------------------------------------------------------------------------------------------------------- */

static int drop_in(const char *dir, const char *which, sw_error *err)
{
    const sw_checkpoints_options options = { .retain = UINT32_MAX };
    sw_checkpoints *checkpoints = NULL;
    int rc = sw_checkpoints_open(&checkpoints, dir, &options, err);
    if (rc == SW_OK) rc = sw_checkpoints_drop(checkpoints, which, err);
    sw_checkpoints_close(checkpoints);
    return rc;
}

/* The directory is known to be there. */
static int drop(const checkpoints_settings *settings, const char *which)
{
    sw_buf dir = { 0 };
    sw_error err;
    int rc = sw_client_state_dir(&dir, settings->job);
    if (rc == SW_OK) rc = drop_in((const char *)dir.data, which, &err);
    else sw_error_set(&err, rc, "out of memory");
    sw_buf_deinit(&dir);
    if (rc != SW_OK) return fail(&err);
    printf("dropped %s\n", which);
    return SW_EXIT_OK;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int act(const sw_command *command, const checkpoints_settings *settings, sw_checkpoints *checkpoints,
               const char *verb, const char *which)
{
    static const char *const verbs[] = { "list", "show", "verify", "drop", NULL };
    const char *nearest;
    bool takes_id = strcmp(verb, "show") == 0 || strcmp(verb, "drop") == 0;
    if (takes_id && which == NULL) return sw_command_misused(command, "%s which one? An id or a savepoint", verb);
    if (!takes_id && which != NULL) return sw_command_misused(command, "%s takes no \"%s\"", verb, which);
    if (strcmp(verb, "list") == 0) return list_checkpoints(settings, checkpoints);
    if (strcmp(verb, "verify") == 0) return verify(settings, checkpoints);
    if (strcmp(verb, "show") == 0) return show(settings, checkpoints, which);
    if (strcmp(verb, "drop") == 0) return drop(settings, which);
    if ((nearest = sw_cli_nearest(verb, verbs)) != NULL)
        return sw_command_misused(command, "no \"%s\"; did you mean \"%s\"?", verb, nearest);
    return sw_command_misused(command, "expected list, show, verify or drop, got \"%s\"", verb);
}

static int run_checkpoints(const sw_command *command, int argc, char **argv)
{
    checkpoints_settings settings = { 0 };
    sw_checkpoints *checkpoints = NULL;
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    if (!sw_command_begin(command, argc, argv, set_option, &settings, &parsed, &status)) return status;
    if (parsed.rest_count == 0) return sw_command_misused(command, "of which job? A name or a state directory");
    if (parsed.rest_count > 3) return sw_command_misused(command, "one at a time");
    settings.job = parsed.rest[0];
    if (sw_saved_open(&checkpoints, settings.job, &err) != SW_OK) return fail(&err);
    const char *verb = parsed.rest_count > 1 ? parsed.rest[1] : "list";
    status = act(command, &settings, checkpoints, verb, parsed.rest_count > 2 ? parsed.rest[2] : NULL);
    sw_checkpoints_close(checkpoints);
    return status;
}

const sw_command sw_command_checkpoints = {
    .name = "checkpoints",
    .arguments = "DIR [list | show ID | verify | drop ID]",
    .summary = "what a job has saved",
    .notes =
        "DIR is a state directory, or a job's name. ID is a checkpoint's number or a savepoint's name, for show also\n"
        "\"latest\" or a savepoint's file. list reads only the ends of the files, verify every byte; both may be used\n"
        "beside the running job. drop needs the directory for itself, and refuses what others build on.\n"
        "Exit status: 0 done; 1 there is none, or it cannot be dropped; 4 damaged, or in use by a process.",
    .options = checkpoints_options,
    .run = run_checkpoints,
};
