#include "cli/saved.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/control_client.h"
#include "cli/options.h"
#include "io/mp_read.h"
#include "state/pack.h"

#define NAMES_MAX 4096 /* names that are looked at for the nearest */

/* --- finding and opening ------------------------------------------------------------------------------------------ */

/* The name of a state directory that is most like the job's; NULL, or to be freed. */
static char *nearest_job(const char *job)
{
    sw_buf root = { 0 };
    char **names = NULL, *found = NULL;
    size_t count = 0;
    if (strchr(job, '/') == NULL && sw_client_state_root(&root) == SW_OK &&
        sw_fs_list((const char *)root.data, &names, &count, NULL) == SW_OK && count < NAMES_MAX) {
        const char **list = sw_calloc(count + 1, sizeof(*list));
        for (size_t i = 0; list != NULL && i < count; i++) list[i] = names[i];
        const char *nearest = list != NULL ? sw_cli_nearest(job, list) : NULL;
        if (nearest != NULL) found = sw_strdup(nearest);
        sw_free(list);
    }
    sw_fs_glob_free(names, count);
    sw_buf_deinit(&root);
    return found;
}

static int refuse_job(const char *job, const char *dir, sw_error *err)
{
    char *nearest = nearest_job(job);
    int rc = nearest != NULL
                 ? sw_error_set(err, SW_ENOTFOUND, "there is no state directory %s; did you mean \"%s\"?", dir, nearest)
                 : sw_error_set(err, SW_ENOTFOUND, "there is no state directory %s", dir);
    sw_free(nearest);
    return rc;
}

int sw_saved_open(sw_checkpoints **out, const char *job, sw_error *err)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    sw_buf dir = { 0 };
    int rc = sw_client_state_dir(&dir, job);
    if (rc != SW_OK) rc = sw_error_set(err, rc, "out of memory");
    else if (!sw_fs_is_dir((const char *)dir.data)) rc = refuse_job(job, (const char *)dir.data, err);
    else rc = sw_checkpoints_open(out, (const char *)dir.data, &options, err);
    sw_buf_deinit(&dir);
    return rc;
}

static void on_skip(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "swlua: warning: %s\n", text);
}

int sw_saved_restore(sw_restore **out, sw_checkpoints *checkpoints, const char *which, sw_error *err)
{
    return sw_restore_open(out, checkpoints, which, on_skip, NULL, err);
}

const char *sw_saved_name(char out[SW_SAVEPOINT_NAME_MAX + 32], const sw_restore *restore, const char *which)
{
    bool is_number = strspn(which, "0123456789") == strlen(which);
    if (is_number || strcmp(which, "latest") == 0)
        snprintf(out, SW_SAVEPOINT_NAME_MAX + 32, "checkpoint %" PRIu64, sw_restore_meta(restore)->id);
    else snprintf(out, SW_SAVEPOINT_NAME_MAX + 32, "savepoint %.*s", SW_SAVEPOINT_NAME_MAX, which);
    return out;
}

int sw_saved_check_component(const sw_restore *restore, const char *component, sw_error *err)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    const char **names = sw_calloc(meta->component_count + 1, sizeof(*names));
    if (names == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    int rc = SW_ENOTFOUND;
    for (uint32_t i = 0; i < meta->component_count; i++) {
        names[i] = meta->components[i].name;
        if (strcmp(names[i], component) == 0) rc = SW_OK;
    }
    const char *nearest = rc == SW_OK ? NULL : sw_cli_nearest(component, names);
    if (nearest != NULL)
        sw_error_set(err, rc, "checkpoint %" PRIu64 " has no component \"%s\"; did you mean \"%s\"?", meta->id,
                     component, nearest);
    else if (rc != SW_OK) sw_error_set(err, rc, "checkpoint %" PRIu64 " has no component \"%s\"", meta->id, component);
    sw_free(names);
    return rc;
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

int sw_saved_read_keyed(const sw_saved *saved, sw_saved_keyed_value *out, sw_error *err)
{
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count != 3) goto damaged;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_I64) goto damaged;
    out->version = item.v.i;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_I64) goto damaged;
    out->changed_ms = item.v.i;
    out->state = reader.p;
    out->state_len = (uint32_t)(reader.end - reader.p);
    return SW_OK;

damaged:
    return sw_error_set(err, SW_EFORMAT, "a saved entry is damaged");
}

int sw_saved_print_keyed(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err)
{
    sw_saved_keyed_value value;
    int rc = sw_saved_read_keyed(saved, &value, err);
    bool is_exact = true;
    if (rc == SW_OK && sw_buf_append_str(out, "{\"key\":") != SW_OK) rc = out_of_memory(err);
    if (rc == SW_OK) rc = sw_json_encode_value(encoder, saved->key, saved->key_len, out, err);
    if (rc == SW_OK) is_exact = encoder->was_exact;
    if (rc == SW_OK && sw_buf_append_str(out, ",\"state\":") != SW_OK) rc = out_of_memory(err);
    if (rc == SW_OK) rc = sw_json_encode_value(encoder, value.state, value.state_len, out, err);
    is_exact = is_exact && encoder->was_exact;
    if (rc == SW_OK && sw_buf_printf(out, ",\"version\":%" PRId64, value.version) != SW_OK) rc = out_of_memory(err);
    if (rc == SW_OK && sw_buf_printf(out, value.changed_ms != 0 ? ",\"changed_ms\":%" PRId64 : ",\"changed_ms\":null",
                                     value.changed_ms) != SW_OK)
        rc = out_of_memory(err);
    if (rc == SW_OK && !is_exact && sw_buf_append_str(out, ",\"exact\":false") != SW_OK) rc = out_of_memory(err);
    return rc;
}

uint32_t sw_saved_timer_key(const sw_saved *saved)
{
    sw_pack_reader reader = { saved->key, saved->key + saved->key_len };
    if (sw_pack_skip(&reader) != SW_OK || reader.end - reader.p < 2) return 0;
    return (uint32_t)(reader.p - saved->key);
}

/* Behind the key come which clock it is of, has it a name?, and its name. */
int sw_saved_print_timer(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err)
{
    sw_pack_reader value = { saved->value, saved->value + saved->value_len };
    sw_pack_item time;
    sw_buf name = { 0 };
    uint32_t key_len = sw_saved_timer_key(saved), rest = saved->key_len - key_len;
    if (key_len == 0 || sw_pack_next(&value, &time) != SW_OK || time.type != SW_PACK_I64)
        return sw_error_set(err, SW_EFORMAT, "a saved timer is damaged");
    const uint8_t *about = saved->key + key_len;
    int rc = sw_buf_append_str(out, "{\"key\":") == SW_OK ? SW_OK : out_of_memory(err);
    if (rc == SW_OK) rc = sw_json_encode_value(encoder, saved->key, key_len, out, err);
    if (rc == SW_OK && sw_buf_printf(out, ",\"time\":%" PRId64, time.v.i) != SW_OK) rc = out_of_memory(err);
    if (rc == SW_OK && about[1] != 0) {
        if (sw_buf_append_str(out, ",\"name\":") != SW_OK ||
            sw_pack_str(&name, (const char *)about + 2, rest - 2) != SW_OK)
            rc = out_of_memory(err);
        if (rc == SW_OK) rc = sw_json_encode_value(encoder, name.data, name.size, out, err);
    }
    if (rc == SW_OK && sw_buf_printf(out, ",\"clock\":\"%s\"}", about[0] == 0 ? "event" : "processing") != SW_OK)
        rc = out_of_memory(err);
    sw_buf_deinit(&name);
    return rc;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static int print_member(sw_json_encoder *encoder, const char *name, const uint8_t *bytes, size_t len, sw_buf *out,
                        sw_error *err)
{
    if (sw_buf_printf(out, ",\"%s\":", name) != SW_OK) return out_of_memory(err);
    return sw_json_encode_value(encoder, bytes, len, out, err);
}

/* What get_state returned: { version, state }. */
static int print_instance(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err)
{
    static const uint8_t nil[] = { 0xc0 };
    const uint8_t *end = saved->value + saved->value_len;
    size_t len = sizeof(nil), version_len = 0;
    const uint8_t *state = sw_mp_member(saved->value, end, "state", &len);
    const uint8_t *version = sw_mp_member(saved->value, end, "version", &version_len);
    if (version == NULL) return sw_error_set(err, SW_EFORMAT, "a saved state is damaged");
    int rc = print_member(encoder, "state", state != NULL ? state : nil, len, out, err);
    return rc == SW_OK ? print_member(encoder, "version", version, version_len, out, err) : rc;
}

/* [has its input ended?, greatest time seen, watermarks]. */
static int print_task(const sw_saved *saved, sw_buf *out, sw_error *err)
{
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item head, ended, time, wm;
    if (sw_pack_next(&reader, &head) != SW_OK || sw_pack_next(&reader, &ended) != SW_OK ||
        sw_pack_next(&reader, &time) != SW_OK || sw_pack_next(&reader, &wm) != SW_OK)
        return sw_error_set(err, SW_EFORMAT, "a saved value is damaged");
    bool is_time = wm.v.i != SW_TIME_MIN && wm.v.i != SW_TIME_MAX;
    int rc = sw_buf_printf(out, ",\"ended\":%s", ended.v.i != 0 ? "true" : "false");
    if (rc == SW_OK) rc = sw_buf_printf(out, is_time ? ",\"watermark\":%" PRId64 : ",\"watermark\":null", wm.v.i);
    return rc == SW_OK ? SW_OK : out_of_memory(err);
}

int sw_saved_print_part(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err)
{
    switch (saved->kind) {
    case SW_SAVED_INSTANCE: return print_instance(encoder, saved, out, err);
    case SW_SAVED_SOURCE: return print_member(encoder, "position", saved->value, saved->value_len, out, err);
    case SW_SAVED_TASK: return print_task(saved, out, err);
    default: return SW_OK;
    }
}
