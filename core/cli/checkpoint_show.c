#include "cli/checkpoint_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/json.h"
#include "cli/saved.h"
#include "cli/text.h"
#include "state/scan.h"
#include "state/stored.h"

typedef struct kind_name {
    sw_saved_kind kind; /* of entries */
    const char *name;   /* in the table and in JSON */
} kind_name;

static const kind_name kinds[] = {
    { SW_SAVED_KEYED, "keys" },       { SW_SAVED_TIMER, "timers" }, { SW_SAVED_INSTANCE, "instances" },
    { SW_SAVED_SOURCE, "positions" }, { SW_SAVED_SINK, "sinks" },   { SW_SAVED_TASK, "watermarks" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What there is of a kind. */
typedef struct amount {
    uint64_t entries;
    uint64_t bytes; /* of keys and values */
} amount;

static int add_entry(void *arg, const sw_saved *saved)
{
    amount *sum = arg;
    sum->entries++;
    sum->bytes += saved->key_len + saved->value_len;
    return 0;
}

static int measure(const sw_restore *restore, const char *component, amount amounts[KINDS], sw_error *err)
{
    int rc = SW_OK;
    memset(amounts, 0, KINDS * sizeof(*amounts));
    for (size_t k = 0; k < KINDS && rc == SW_OK; k++) {
        if (kinds[k].kind < SW_SAVED_COMPLETE)
            rc =
                sw_restore_each(restore, component, kinds[k].kind, 0, SW_STORED_GROUP_END, add_entry, &amounts[k], err);
        else rc = sw_restore_parts(restore, component, kinds[k].kind, add_entry, &amounts[k], err);
    }
    return rc;
}

/* --- a table ------------------------------------------------------------------------------------------------------ */

static void print_head(const sw_restore *restore, const char *which)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    char name[SW_SAVEPOINT_NAME_MAX + 32], taken[SW_TEXT_SIZE], age[SW_TEXT_SIZE], bytes[SW_TEXT_SIZE];
    double age_s = (double)(sw_clock_wall_ms(sw_clock_real()) - meta->time_ms) / 1000;
    printf("%s of job %s, taken %s (%s ago)%s\n", sw_saved_name(name, restore, which), meta->job,
           sw_text_time(taken, meta->time_ms), sw_text_duration(age, age_s),
           meta->is_finished ? ", its input had ended" : "");
    printf("script %s (%s bytes), run from %s\n\n", meta->script_path[0] != '\0' ? meta->script_path : "unknown",
           sw_text_number(bytes, meta->script_len), meta->folder);
}

static void print_component(const sw_saved_component *component, const amount amounts[KINDS], int width)
{
    char entries[SW_TEXT_SIZE], bytes[SW_TEXT_SIZE];
    bool is_first = true;
    for (size_t k = 0; k < KINDS; k++) {
        if (amounts[k].entries == 0) continue;
        if (is_first) printf("%-*s  %9u  %7u  ", width, component->name, component->parallelism, component->version);
        else printf("%-*s  %9s  %7s  ", width, "", "", "");
        printf("%-10s  %11s  %13s\n", kinds[k].name, sw_text_number(entries, amounts[k].entries),
               sw_text_number(bytes, amounts[k].bytes));
        is_first = false;
    }
    if (is_first)
        printf("%-*s  %9u  %7u  nothing\n", width, component->name, component->parallelism, component->version);
}

static int print_components(const sw_restore *restore, sw_error *err)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    amount amounts[KINDS];
    int width = (int)strlen("COMPONENT"), rc = SW_OK;
    for (uint32_t i = 0; i < meta->component_count; i++) {
        int len = (int)strlen(meta->components[i].name);
        if (len > width) width = len;
    }
    printf("%-*s  %9s  %7s  %-10s  %11s  %13s\n", width, "COMPONENT", "INSTANCES", "VERSION", "SAVED", "ENTRIES",
           "BYTES");
    for (uint32_t i = 0; i < meta->component_count && rc == SW_OK; i++) {
        rc = measure(restore, meta->components[i].name, amounts, err);
        if (rc == SW_OK) print_component(&meta->components[i], amounts, width);
    }
    return rc;
}

static void print_files(const sw_restore *restore)
{
    sw_restore_file file;
    char entries[SW_TEXT_SIZE], bytes[SW_TEXT_SIZE];
    puts("\nFiles, newest first:");
    for (uint32_t i = 0; sw_restore_file_at(restore, i, &file); i++)
        printf("%s  %s entries, %s bytes, %s\n", file.path, sw_text_number(entries, file.entries),
               sw_text_number(bytes, file.bytes), file.is_full ? "full" : "changes");
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static int put_string(sw_buf *out, const char *before, const char *text)
{
    int rc = sw_buf_append_str(out, before);
    return rc == SW_OK ? sw_cli_json_string(out, text) : rc;
}

static int put_component(sw_buf *out, const sw_saved_component *component, const amount amounts[KINDS])
{
    int rc = put_string(out, "{\"name\":", component->name);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"parallelism\":%u,\"version\":%u,\"saved\":{", component->parallelism,
                           component->version);
    bool is_first = true;
    for (size_t k = 0; k < KINDS && rc == SW_OK; k++) {
        if (amounts[k].entries == 0) continue;
        rc = sw_buf_printf(out, "%s\"%s\":{\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", is_first ? "" : ",",
                           kinds[k].name, amounts[k].entries, amounts[k].bytes);
        is_first = false;
    }
    return rc == SW_OK ? sw_buf_append_str(out, "}}") : rc;
}

static int put_components(sw_buf *out, const sw_restore *restore, sw_error *err)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    amount amounts[KINDS];
    int rc = SW_OK;
    for (uint32_t i = 0; i < meta->component_count && rc == SW_OK; i++) {
        rc = measure(restore, meta->components[i].name, amounts, err);
        if (rc == SW_OK && ((i > 0 && sw_buf_append_str(out, ",") != SW_OK) ||
                            put_component(out, &meta->components[i], amounts) != SW_OK))
            rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    return rc;
}

static int put_head(sw_buf *out, const sw_checkpoint_meta *meta)
{
    char taken[SW_TEXT_SIZE];
    int rc =
        sw_buf_printf(out, "{\"id\":%" PRIu64 ",\"taken\":\"%s\",\"taken_ms\":%" PRId64 ",\"finished\":%s", meta->id,
                      sw_text_time(taken, meta->time_ms), meta->time_ms, meta->is_finished ? "true" : "false");
    if (rc == SW_OK) rc = put_string(out, ",\"job\":", meta->job);
    if (rc == SW_OK) rc = put_string(out, ",\"folder\":", meta->folder);
    if (rc == SW_OK) rc = put_string(out, ",\"script\":", meta->script_path);
    return rc == SW_OK ? sw_buf_printf(out, ",\"script_bytes\":%u,\"components\":[", meta->script_len) : rc;
}

static int put_files(sw_buf *out, const sw_restore *restore)
{
    sw_restore_file file;
    int rc = sw_buf_append_str(out, "],\"files\":[");
    for (uint32_t i = 0; rc == SW_OK && sw_restore_file_at(restore, i, &file); i++) {
        rc = put_string(out, i > 0 ? ",{\"path\":" : "{\"path\":", file.path);
        if (rc == SW_OK)
            rc = sw_buf_printf(out, ",\"full\":%s,\"entries\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
                               file.is_full ? "true" : "false", file.entries, file.bytes);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "]}\n") : rc;
}

static int show_json(const sw_restore *restore, sw_error *err)
{
    sw_buf out = { 0 };
    int rc = put_head(&out, sw_restore_meta(restore));
    if (rc != SW_OK) sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) rc = put_components(&out, restore, err);
    if (rc == SW_OK && (rc = put_files(&out, restore)) != SW_OK) sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) fwrite(out.data, 1, out.size, stdout);
    sw_buf_deinit(&out);
    return rc;
}

int sw_checkpoint_show(const sw_restore *restore, const char *which, bool is_json, sw_error *err)
{
    if (is_json) return show_json(restore, err);
    print_head(restore, which);
    int rc = print_components(restore, err);
    if (rc == SW_OK) print_files(restore);
    return rc;
}
