#include "io/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/pack.h"

#define CHECK_BYTES (64u << 10) /* read at once to check a segment */
#define NAME_SHOWN 40u          /* bytes of a component's name that a file's name shows */

static int out_of_memory(const char *what, sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "%s: out of memory", what);
}

/* --- names ----------------------------------------------------------------------------------------------------- */

/* What the names of a component's segments begin with: its own name as far as it can be shown, and the hash that tells
 * it from others. */
static int append_component(sw_buf *out, const char *component)
{
    char shown[NAME_SHOWN + 1];
    size_t len = strlen(component);
    size_t n = len < NAME_SHOWN ? len : NAME_SHOWN;
    for (size_t i = 0; i < n; i++) {
        char c = component[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        shown[i] = is_plain ? c : '_';
    }
    shown[n] = '\0';
    return sw_buf_printf(out, "%s-%016" PRIx64 ".", shown, sw_hash(component, len));
}

/* Does the segment called `name` belong to no living instance but perhaps this one? */
static bool is_left_over(const char *name, const char *component, const sw_sink_context *context)
{
    size_t len = strlen(component);
    if (strncmp(name, component, len) != 0) return false;
    unsigned long instance = strtoul(name + len, NULL, 10);
    return instance == context->instance || (context->instance == 0 && instance >= context->count);
}

static int remove_left_over(const char *folder, const char *component, const sw_sink_context *context, sw_error *err)
{
    char **names = NULL;
    size_t count = 0;
    sw_buf path = { 0 };
    int rc = sw_fs_list(folder, &names, &count, err);
    for (size_t i = 0; i < count && rc == SW_OK; i++) {
        if (!is_left_over(names[i], component, context)) continue;
        sw_buf_clear(&path);
        rc = sw_buf_printf(&path, "%s/%s", folder, names[i]);
        rc = rc == SW_OK ? sw_fs_remove((const char *)path.data, err) : out_of_memory(folder, err);
    }
    sw_buf_deinit(&path);
    sw_fs_glob_free(names, count);
    return rc;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

int sw_segment_init(sw_segment *segment, const sw_sink_context *context, sw_error *err)
{
    sw_buf folder = { 0 }, component = { 0 }, prefix = { 0 };
    int rc;
    memset(segment, 0, sizeof(*segment));
    if (sw_buf_printf(&folder, "%s/sinks", context->state_dir) != SW_OK ||
        append_component(&component, context->component) != SW_OK ||
        sw_buf_printf(&prefix, "%s/%s%u.", (char *)folder.data, (char *)component.data, context->instance) != SW_OK) {
        rc = out_of_memory(context->component, err);
        goto done;
    }
    const char *path = (const char *)folder.data;
    if ((rc = sw_fs_mkdirs(path, err)) != SW_OK || (rc = sw_fs_sync_names(path, err)) != SW_OK) goto done;
    if ((rc = remove_left_over(path, (const char *)component.data, context, err)) != SW_OK) goto done;
    segment->prefix = (char *)prefix.data;
    prefix = (sw_buf){ 0 };

done:
    sw_buf_deinit(&folder);
    sw_buf_deinit(&component);
    sw_buf_deinit(&prefix);
    return rc;
}

/* The path of the present segment, to be freed; NULL when memory is out. */
static char *path_of(const sw_segment *segment)
{
    sw_buf path = { 0 };
    if (sw_buf_printf(&path, "%s%" PRIu64, segment->prefix, segment->number) == SW_OK) return (char *)path.data;
    sw_buf_deinit(&path);
    return NULL;
}

void sw_segment_deinit(sw_segment *segment)
{
    if (segment->file != NULL) {
        char *path = path_of(segment);
        sw_file_close(segment->file, NULL);
        if (path != NULL) (void)sw_fs_remove(path, NULL); /* What stays is removed when the sink is opened again. */
        sw_free(path);
    }
    sw_free(segment->prefix);
    segment->file = NULL;
    segment->prefix = NULL;
}

static int begin(sw_segment *segment, sw_error *err)
{
    char *path = path_of(segment);
    if (path == NULL) return out_of_memory(segment->prefix, err);
    int rc = sw_file_open_create(&segment->file, path, err);
    sw_free(path);
    sw_hasher_init(&segment->hasher);
    return rc;
}

int sw_segment_write(sw_segment *segment, const void *bytes, size_t n, sw_error *err)
{
    int rc = segment->file == NULL ? begin(segment, err) : SW_OK;
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("segment-write");
    if ((rc = sw_file_pwrite(segment->file, bytes, n, segment->bytes, err)) != SW_OK) return rc;
    SW_CRASH_POINT("segment-written");
    sw_hasher_add(&segment->hasher, bytes, n);
    segment->bytes += n;
    return SW_OK;
}

int sw_segment_prepare(sw_segment *segment, sw_prepared *prepared, sw_buf *value, sw_error *err)
{
    prepared->segment = NULL;
    prepared->bytes = prepared->hash = 0;
    if (segment->bytes == 0) return sw_prepared_write(prepared, value, err);
    char *path = path_of(segment);
    if (path == NULL) return out_of_memory(segment->prefix, err);
    prepared->segment = path;
    prepared->bytes = segment->bytes;
    prepared->hash = sw_hasher_sum(&segment->hasher).low;
    int rc = sw_prepared_write(prepared, value, err);
    prepared->segment = NULL;
    sw_free(path);
    if (rc != SW_OK) return rc;
    sw_file_close(segment->file, NULL); /* What could fail here is told by sync. */
    segment->file = NULL;
    segment->bytes = 0;
    segment->number++;
    return SW_OK;
}

/* --- values ---------------------------------------------------------------------------------------------------- */

static int put_text(sw_buf *out, const char *name, const char *text)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    if (rc != SW_OK) return rc;
    return text != NULL ? sw_pack_str(out, text, (uint32_t)strlen(text)) : sw_pack_nil(out);
}

static int put_number(sw_buf *out, const char *name, uint64_t number)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    return rc == SW_OK ? sw_pack_u64(out, number) : rc;
}

static int put_flag(sw_buf *out, const char *name, bool flag)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    return rc == SW_OK ? sw_pack_bool(out, flag) : rc;
}

int sw_prepared_write(const sw_prepared *prepared, sw_buf *value, sw_error *err)
{
    size_t before = value->size;
    int rc = sw_pack_map(value, 8);
    if (rc == SW_OK) rc = put_text(value, "path", prepared->path);
    if (rc == SW_OK) rc = put_text(value, "segment", prepared->segment);
    if (rc == SW_OK) rc = put_number(value, "bytes", prepared->bytes);
    if (rc == SW_OK) rc = put_number(value, "hash", prepared->hash);
    if (rc == SW_OK) rc = put_number(value, "offset", prepared->offset);
    if (rc == SW_OK) rc = put_number(value, "checkpoint", prepared->checkpoint);
    if (rc == SW_OK) rc = put_number(value, "applied", prepared->applied);
    if (rc == SW_OK) rc = put_flag(value, "is_direct", prepared->is_direct);
    if (rc == SW_OK) return SW_OK;
    value->size = before;
    return out_of_memory(prepared->path, err);
}

static bool get_number(const uint8_t *value, size_t len, const char *name, uint64_t *out)
{
    sw_pack_item item;
    if (sw_pack_find(value, len, name, (uint32_t)strlen(name), &item) != SW_OK) return false;
    if (item.type != SW_PACK_U64 && (item.type != SW_PACK_I64 || item.v.i < 0)) return false;
    *out = item.type == SW_PACK_U64 ? item.v.u : (uint64_t)item.v.i;
    return true;
}

static bool get_text(const uint8_t *value, size_t len, const char *name, sw_pack_item *out)
{
    return sw_pack_find(value, len, name, (uint32_t)strlen(name), out) == SW_OK &&
           (out->type == SW_PACK_STR || out->type == SW_PACK_NIL);
}

static bool get_flag(const uint8_t *value, size_t len, const char *name, bool *out)
{
    sw_pack_item item;
    if (sw_pack_find(value, len, name, (uint32_t)strlen(name), &item) != SW_OK) return false;
    *out = item.type == SW_PACK_BOOL && item.v.i != 0;
    return item.type == SW_PACK_BOOL;
}

/* Copies path and segment behind each other, each with a NUL. */
static int copy_texts(sw_prepared *p, const sw_pack_item *path, const sw_pack_item *segment)
{
    size_t segment_len = segment->type == SW_PACK_STR ? segment->count : 0;
    if (sw_buf_reserve(&p->texts, (size_t)path->count + segment_len + 2) != SW_OK) return SW_ENOMEM;
    char *text = (char *)p->texts.data;
    memcpy(text, path->v.bytes, path->count);
    text[path->count] = '\0';
    p->path = text;
    if (segment->type != SW_PACK_STR) return SW_OK;
    text += path->count + 1;
    memcpy(text, segment->v.bytes, segment_len);
    text[segment_len] = '\0';
    p->segment = text;
    return SW_OK;
}

int sw_prepared_read(const uint8_t *value, size_t len, sw_prepared *out, sw_error *err)
{
    sw_prepared p = { 0 };
    sw_pack_item path, segment;
    bool is_sound = get_text(value, len, "path", &path) && get_text(value, len, "segment", &segment) &&
                    path.type == SW_PACK_STR && get_number(value, len, "bytes", &p.bytes) &&
                    get_number(value, len, "hash", &p.hash) && get_number(value, len, "offset", &p.offset) &&
                    get_number(value, len, "checkpoint", &p.checkpoint) &&
                    get_number(value, len, "applied", &p.applied) && get_flag(value, len, "is_direct", &p.is_direct);
    if (!is_sound || (segment.type == SW_PACK_NIL) != (p.bytes == 0))
        return sw_error_set(err, SW_EFORMAT, "what a sink saved in the checkpoint cannot be read");
    if (copy_texts(&p, &path, &segment) != SW_OK) return out_of_memory("what a sink saved in the checkpoint", err);
    *out = p;
    return SW_OK;
}

void sw_prepared_deinit(sw_prepared *prepared)
{
    sw_buf_deinit(&prepared->texts);
}

int sw_prepared_find(const sw_saved_values *saved, uint32_t instance, const char *path, sw_prepared *out, sw_error *err)
{
    sw_prepared best = { 0 };
    bool is_for_path = false;
    for (uint32_t i = 0; i < saved->count; i++) {
        sw_prepared one;
        if (saved->lens[i] == 0) continue;
        int rc = sw_prepared_read(saved->data[i], saved->lens[i], &one, err);
        if (rc != SW_OK) {
            sw_prepared_deinit(&best);
            return rc;
        }
        bool is_same = strcmp(one.path, path) == 0;
        bool is_better = is_same || (!is_for_path && saved->instances[i] == instance);
        sw_prepared_deinit(is_better ? &best : &one);
        if (is_better) best = one;
        is_for_path |= is_same;
    }
    if (best.path == NULL) return SW_ENOTFOUND;
    *out = best;
    return SW_OK;
}

/* --- segments of values ---------------------------------------------------------------------------------------- */

int sw_prepared_sync(const sw_prepared *prepared, sw_error *err)
{
    sw_file *file = NULL;
    if (prepared->segment == NULL) return SW_OK;
    int rc = sw_file_open_read(&file, prepared->segment, err);
    if (rc == SW_ENOTFOUND) return SW_OK;
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("segment-sync");
    rc = sw_file_sync(file, err);
    sw_file_close(file, NULL);
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("segment-synced");
    if ((rc = sw_fs_sync_names(prepared->segment, err)) != SW_OK) return rc;
    SW_CRASH_POINT("segment-name-synced");
    return SW_OK;
}

static int hash_file(sw_file *file, uint64_t *bytes, uint64_t *hash, sw_error *err)
{
    uint8_t *buf = sw_alloc(CHECK_BYTES);
    sw_hasher hasher;
    ssize_t n;
    if (buf == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    *bytes = 0;
    sw_hasher_init(&hasher);
    while ((n = sw_file_pread(file, buf, CHECK_BYTES, *bytes, err)) > 0) {
        sw_hasher_add(&hasher, buf, (size_t)n);
        *bytes += (uint64_t)n;
    }
    sw_free(buf);
    *hash = sw_hasher_sum(&hasher).low;
    return (int)n;
}

int sw_prepared_open(const sw_prepared *prepared, sw_file **out, sw_error *err)
{
    sw_file *file = NULL;
    uint64_t bytes = 0, hash = 0;
    int rc = sw_file_open_read(&file, prepared->segment, err);
    if (rc != SW_OK) return rc;
    rc = hash_file(file, &bytes, &hash, err);
    if (rc == SW_OK && (bytes != prepared->bytes || hash != prepared->hash))
        rc = sw_error_set(err, SW_ENOTFOUND, "%s does not hold what the checkpoint says", prepared->segment);
    if (rc != SW_OK) {
        sw_file_close(file, NULL);
        return rc;
    }
    *out = file;
    return SW_OK;
}

int sw_prepared_drop(const sw_prepared *prepared, sw_error *err)
{
    SW_CRASH_POINT("segment-remove");
    int rc = sw_fs_remove(prepared->segment, err);
    SW_CRASH_POINT("segment-removed");
    return rc;
}
