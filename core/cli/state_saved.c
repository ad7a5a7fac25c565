/* state_saved.c -- `swlua state get` and `scan` of a checkpoint. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "cli/saved.h"
#include "cli/state.h"
#include "cli/text.h"
#include "io/mp_read.h"
#include "state/key.h"
#include "state/pack.h"
#include "state/scan.h"

/* A checkpoint that is asked. */
typedef struct source {
    const sw_state_query *query; /* borrowed */
    sw_state_output *output;     /* borrowed */
    sw_checkpoints *checkpoints; /* owned */
    sw_restore *restore;         /* owned */
    uint32_t timers;             /* of the key asked for, printed so far */
    sw_error *err;               /* borrowed */
} source;

static int put(source *s, const char *text)
{
    if (sw_buf_append_str(&s->output->line, text) == SW_OK) return SW_OK;
    return sw_error_set(s->err, SW_ENOMEM, "out of memory");
}

static int put_value(source *s, const char *name, const uint8_t *bytes, size_t len)
{
    int rc = put(s, name);
    return rc == SW_OK ? sw_json_encode_value(&s->output->encoder, bytes, len, &s->output->line, s->err) : rc;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static uint32_t parallelism_of(const source *s)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(s->restore);
    for (uint32_t i = 0; i < meta->component_count; i++)
        if (strcmp(meta->components[i].name, s->query->component) == 0) return meta->components[i].parallelism;
    return 0;
}

static int check_instance(const source *s)
{
    uint32_t parallelism = parallelism_of(s);
    if (s->query->instance < (int64_t)parallelism) return SW_OK;
    return sw_error_set(s->err, SW_ENOTFOUND, "%s had %u instance%s then, numbered from 0", s->query->component,
                        parallelism, parallelism == 1 ? "" : "s");
}

/* Says what is being read where nobody asked for it by name. */
static void say_which(const source *s)
{
    char taken[SW_TEXT_SIZE], age[SW_TEXT_SIZE];
    const sw_checkpoint_meta *meta = sw_restore_meta(s->restore);
    if (s->query->at != NULL) return;
    fprintf(stderr, "swlua state: of checkpoint %" PRIu64 ", taken %s (%s ago)\n", meta->id,
            sw_text_time(taken, meta->time_ms),
            sw_text_duration(age, (double)(sw_clock_wall_ms(sw_clock_real()) - meta->time_ms) / 1000));
}

static int open_source(source *s)
{
    const char *which = s->query->at != NULL ? s->query->at : "latest";
    int rc = sw_saved_open(&s->checkpoints, s->query->job, s->err);
    if (rc == SW_OK) rc = sw_saved_restore(&s->restore, s->checkpoints, which, s->err);
    if (rc == SW_OK) rc = sw_saved_check_component(s->restore, s->query->component, s->err);
    if (rc == SW_OK) rc = check_instance(s);
    if (rc == SW_OK) say_which(s);
    return rc;
}

static void close_source(source *s)
{
    sw_restore_close(s->restore);
    sw_checkpoints_close(s->checkpoints);
}

/* --- one key ------------------------------------------------------------------------------------------------------ */

/* Adds a timer of the key asked for to the line, behind what is there. */
static int add_timer(void *arg, const sw_saved *saved)
{
    source *s = arg;
    const sw_buf *key = &s->query->key;
    if (sw_saved_timer_key(saved) != key->size || memcmp(saved->key, key->data, key->size) != 0) return SW_OK;
    int rc = put(s, s->timers++ > 0 ? "," : ",\"timers\":[");
    return rc == SW_OK ? sw_saved_print_timer(&s->output->encoder, saved, &s->output->line, s->err) : rc;
}

static int no_such_key(source *s)
{
    char where[SW_SAVEPOINT_NAME_MAX + 32];
    sw_buf other = { 0 }, unused = { 0 };
    int rc = sw_state_other_key(&s->query->key, &other);
    if (rc == SW_OK)
        rc = sw_restore_get(s->restore, s->query->component, SW_SAVED_KEYED,
                            sw_key_group(sw_hash(other.data, other.size)), other.data, (uint32_t)other.size, &unused,
                            NULL);
    sw_saved_name(where, s->restore, s->query->at != NULL ? s->query->at : "latest");
    rc = sw_state_no_key(s->query, rc == SW_OK ? &other : NULL, where, s->err);
    sw_buf_deinit(&other);
    sw_buf_deinit(&unused);
    return rc;
}

/* What is kept under the key, without the end of the line. */
static int put_key_state(source *s, uint32_t group)
{
    const sw_buf *key = &s->query->key;
    sw_buf value = { 0 };
    int rc = sw_restore_get(s->restore, s->query->component, SW_SAVED_KEYED, group, key->data, (uint32_t)key->size,
                            &value, s->err);
    const sw_saved saved = {
        .key = key->data,
        .key_len = (uint32_t)key->size,
        .value = value.data,
        .value_len = (uint32_t)value.size,
    };
    if (rc == SW_OK) rc = sw_saved_print_keyed(&s->output->encoder, &saved, &s->output->line, s->err);
    sw_buf_deinit(&value);
    return rc;
}

static int get_key(source *s)
{
    const sw_buf *key = &s->query->key;
    uint32_t group = sw_key_group(sw_hash(key->data, key->size));
    int rc = put_key_state(s, group);
    bool is_kept = rc == SW_OK;
    if (rc == SW_ENOTFOUND) rc = put_value(s, "{\"key\":", key->data, key->size); /* It may have timers. */
    if (rc == SW_OK)
        rc = sw_restore_each(s->restore, s->query->component, SW_SAVED_TIMER, group, group + 1, add_timer, s, s->err);
    if (rc == SW_OK && !is_kept && s->timers == 0) return no_such_key(s);
    if (rc == SW_OK) rc = put(s, s->timers > 0 ? "]}" : "}");
    return rc == SW_OK ? sw_state_output_line(s->output) : rc;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

/* The instance whose line is being made. */
typedef struct instance_line {
    source *s;
    uint32_t instance; /* its number */
    bool has_sinks;    /* a value of a sink has been put */
} instance_line;

static int put_part(void *arg, const sw_saved *saved)
{
    instance_line *of = arg;
    sw_state_output *output = of->s->output;
    if (saved->group != of->instance) return SW_OK;
    return sw_saved_print_part(&output->encoder, saved, &output->line, of->s->err);
}

/* [type, value], where the value of a sink in Lua is { value = ... }. */
static int put_sink(void *arg, const sw_saved *saved)
{
    instance_line *of = arg;
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    size_t len = 0;
    if (saved->group != of->instance) return SW_OK;
    if (sw_pack_next(&reader, &item) != SW_OK) return sw_error_set(of->s->err, SW_EFORMAT, "a saved value is damaged");
    const uint8_t *type = reader.p;
    if (sw_pack_skip(&reader) != SW_OK) return sw_error_set(of->s->err, SW_EFORMAT, "a saved value is damaged");
    const uint8_t *inner = sw_mp_member(reader.p, reader.end, "value", &len);
    bool is_lua = reader.p - type == 4 && memcmp(type, "\xa3lua", 4) == 0;
    int rc =
        put_value(of->s, of->has_sinks ? ",{\"sink\":" : ",\"sinks\":[{\"sink\":", type, (size_t)(reader.p - type));
    of->has_sinks = true;
    if (rc == SW_OK && is_lua && inner == NULL) rc = put(of->s, ",\"value\":null");
    else if (rc == SW_OK && is_lua) rc = put_value(of->s, ",\"value\":", inner, len);
    else if (rc == SW_OK) rc = put_value(of->s, ",\"value\":", reader.p, (size_t)(reader.end - reader.p));
    return rc == SW_OK ? put(of->s, "}") : rc;
}

static int put_instance(instance_line *of)
{
    source *s = of->s;
    const char *component = s->query->component;
    if (sw_buf_printf(&s->output->line, "{\"instance\":%u", of->instance) != SW_OK)
        return sw_error_set(s->err, SW_ENOMEM, "out of memory");
    int rc = sw_restore_parts(s->restore, component, SW_SAVED_INSTANCE, put_part, of, s->err);
    if (rc == SW_OK) rc = sw_restore_parts(s->restore, component, SW_SAVED_SOURCE, put_part, of, s->err);
    if (rc == SW_OK) rc = sw_restore_parts(s->restore, component, SW_SAVED_SINK, put_sink, of, s->err);
    if (rc == SW_OK && of->has_sinks) rc = put(s, "]");
    if (rc == SW_OK) rc = sw_restore_parts(s->restore, component, SW_SAVED_TASK, put_part, of, s->err);
    if (rc == SW_OK) rc = put(s, "}");
    return rc == SW_OK ? sw_state_output_line(s->output) : rc;
}

static int get_instances(source *s)
{
    uint32_t count = parallelism_of(s);
    int rc = SW_OK;
    for (uint32_t i = 0; i < count && rc == SW_OK; i++) {
        instance_line of = { .s = s, .instance = i };
        if (s->query->instance < 0 || s->query->instance == (int64_t)i) rc = put_instance(&of);
    }
    return rc;
}

int sw_state_get_saved(const sw_state_query *query, sw_state_output *output, sw_error *err)
{
    source s = { .query = query, .output = output, .err = err };
    int rc = open_source(&s);
    if (rc == SW_OK) rc = query->key_text != NULL ? get_key(&s) : get_instances(&s);
    close_source(&s);
    return rc;
}

/* --- all keys ----------------------------------------------------------------------------------------------------- */

static int print_row(source *s, const sw_saved *saved)
{
    sw_json_encoder *encoder = &s->output->encoder;
    sw_buf *line = &s->output->line;
    if (s->query->is_timers) return sw_saved_print_timer(encoder, saved, line, s->err);
    int rc = sw_saved_print_keyed(encoder, saved, line, s->err);
    return rc == SW_OK ? put(s, "}") : rc;
}

static int scan(source *s)
{
    uint32_t parallelism = parallelism_of(s), first = 0, end = SW_KEY_GROUPS;
    sw_scan *scanned = NULL;
    sw_saved saved;
    if (s->query->instance >= 0) {
        first = ((uint32_t)s->query->instance * SW_KEY_GROUPS + parallelism - 1) / parallelism;
        end = (((uint32_t)s->query->instance + 1) * SW_KEY_GROUPS + parallelism - 1) / parallelism;
    }
    int rc = sw_scan_open(&scanned, s->restore, s->query->component,
                          s->query->is_timers ? SW_SAVED_TIMER : SW_SAVED_KEYED, first, end, s->err);
    while (rc == SW_OK && s->output->rows < s->query->limit && (rc = sw_scan_next(scanned, &saved, s->err)) == SW_OK) {
        rc = print_row(s, &saved);
        if (rc == SW_OK) rc = sw_state_output_line(s->output);
    }
    sw_scan_close(scanned);
    if (rc == SW_EEMPTY && s->output->rows == 0)
        fprintf(stderr, "swlua state: %s has no %s in checkpoint %" PRIu64 "\n", s->query->component,
                s->query->is_timers ? "timers" : "keys", sw_restore_meta(s->restore)->id);
    return rc == SW_EEMPTY ? SW_OK : rc;
}

int sw_state_scan_saved(const sw_state_query *query, sw_state_output *output, sw_error *err)
{
    source s = { .query = query, .output = output, .err = err };
    int rc = open_source(&s);
    if (rc == SW_OK) rc = scan(&s);
    close_source(&s);
    return rc;
}
