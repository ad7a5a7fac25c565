#include "io/store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "io/segment.h"
#include "io/store_file.h"
#include "state/key.h"
#include "state/pack.h"

#define WRITE_BYTES (256u << 10) /* of changes collected before they are written */
#define APPLY_BYTES (4u << 20)   /* of changes that are applied at once */
#define APPLY_NS 200000000       /* a busy sink applies its changes this often: each time LMDB syncs */
#define KEY_FIELDS_MAX 16u       /* names of options are "key1" to "key16" */
#define DELETED "deleted"
#define DELETED_LEN 7u

typedef struct store_sink {
    sw_sink base;        /* what the engine sees; first */
    char *path;          /* from the root on; owned */
    sw_store_file *file; /* the table; owned */
    sw_key_fields key;   /* names and indexes owned */
    sw_buf key_bytes;    /* of the row at hand */
    sw_buf pending;      /* changes not yet written */
    sw_segment segment;  /* transactional: changes that are not committed yet */
    sw_clock *clock;     /* the engine's */
    int64_t applied_ns;  /* directly: when changes were applied, by the clock that runs on */
    uint64_t applied;    /* transactional: the last checkpoint with changes; 0: none */
} store_sink;

static void free_sink(store_sink *sink)
{
    sw_segment_deinit(&sink->segment);
    if (sink->file != NULL) sw_store_file_unlock(sink->file);
    sw_store_file_close(sink->file);
    for (uint32_t i = 0; i < sink->key.count; i++) sw_free((char *)(uintptr_t)sink->key.names[i]);
    sw_free(sink->key.names);
    sw_free(sink->key.name_lens);
    sw_free(sink->key.indexes);
    sw_buf_deinit(&sink->key_bytes);
    sw_buf_deinit(&sink->pending);
    sw_free(sink->path);
    sw_free(sink);
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static bool is_deleted(const sw_row *row, const sw_schema *schema)
{
    sw_pack_item item;
    if (schema == NULL)
        return sw_pack_find(sw_row_body(row), row->body_len, DELETED, DELETED_LEN, &item) == SW_OK &&
               item.type == SW_PACK_BOOL && item.v.i != 0;
    int field = sw_schema_find(schema, DELETED, DELETED_LEN);
    return field >= 0 && schema->fields[field].type == SW_TYPE_BOOL && sw_row_has(row, (unsigned)field) &&
           sw_row_slots(row, schema)[field].i != 0;
}

static int make_key(store_sink *sink, const sw_row *row, sw_error *err)
{
    int rc = sw_key_from_row(&sink->key, row, &sink->key_bytes, err);
    if (rc == SW_ENOMEM || rc == SW_ETYPE) return rc;
    if (rc == SW_OK && sink->key_bytes.size <= SW_STORE_KEY_MAX) return SW_OK;
    return sw_error_set(err, SW_EFORMAT, "the key of the event is longer than the %u bytes that a store can take",
                        SW_STORE_KEY_MAX);
}

/* Appends one change; on failure nothing of it. */
static int append_change(sw_buf *out, const sw_buf *key, const sw_row *row, const sw_schema *schema)
{
    size_t before = out->size;
    uint32_t head[2] = { (uint32_t)key->size, SW_STORE_REMOVED };
    int rc = sw_buf_append(out, head, sizeof(head));
    if (rc == SW_OK) rc = sw_buf_append(out, key->data, key->size);
    if (rc == SW_OK && !is_deleted(row, schema)) {
        size_t begin = out->size;
        rc = schema != NULL ? sw_pack_from_record(row, schema, out)
                            : sw_buf_append(out, sw_row_body(row), row->body_len);
        uint32_t len = (uint32_t)(out->size - begin);
        if (rc == SW_OK) memcpy(out->data + before + 4, &len, sizeof(len));
    }
    if (rc != SW_OK) out->size = before;
    return rc;
}

static int take(store_sink *sink, const sw_row *row, sw_error *err)
{
    int rc = make_key(sink, row, err);
    if (rc != SW_OK) return rc;
    rc = append_change(&sink->pending, &sink->key_bytes, row, sw_schema_get(row->schema));
    return rc == SW_OK ? rc : sw_error_set(err, rc, "%s: out of memory", sink->path);
}

/* --- applied directly --------------------------------------------------------------------------------------------- */

static int apply(store_sink *sink, sw_error *err)
{
    const sw_store_changes changes = { .data = sink->pending.data, .bytes = sink->pending.size };
    if (sink->pending.size == 0) return SW_OK;
    int rc = sw_store_file_apply(sink->file, &changes, SW_STORE_NO_NOTE, err);
    sw_buf_clear(&sink->pending);
    sink->applied_ns = sw_clock_mono_ns(sink->clock);
    return rc;
}

static int direct_flush(sw_sink *base, sw_error *err)
{
    store_sink *sink = (store_sink *)base;
    if (base->is_busy && sw_clock_mono_ns(sink->clock) - sink->applied_ns < APPLY_NS) return SW_OK;
    return apply(sink, err);
}

static int direct_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    store_sink *sink = (store_sink *)base;
    int rc = take(sink, row, err);
    return rc == SW_OK && sink->pending.size >= APPLY_BYTES ? apply(sink, err) : rc;
}

static int direct_close(sw_sink *base, sw_error *err)
{
    int rc = apply((store_sink *)base, err);
    free_sink((store_sink *)base);
    return rc;
}

/* LMDB has synced what was applied. */
static int direct_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    store_sink *sink = (store_sink *)base;
    const sw_prepared prepared = { .path = sink->path, .checkpoint = checkpoint };
    int rc = apply(sink, err);
    return rc == SW_OK ? sw_prepared_write(&prepared, value, err) : rc;
}

/* --- applied by segments ------------------------------------------------------------------------------------------ */

/* Changes that could not be written stay: the next call tries again. */
static int write_segment(store_sink *sink, sw_error *err)
{
    if (sink->pending.size == 0) return SW_OK;
    int rc = sw_segment_write(&sink->segment, sink->pending.data, sink->pending.size, err);
    if (rc == SW_OK) sw_buf_clear(&sink->pending);
    return rc;
}

static int staged_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    store_sink *sink = (store_sink *)base;
    int rc = take(sink, row, err);
    return rc == SW_OK && sink->pending.size >= WRITE_BYTES ? write_segment(sink, err) : rc;
}

static int staged_flush(sw_sink *base, sw_error *err)
{
    (void)base;
    (void)err;
    return SW_OK;
}

static int staged_close(sw_sink *base, sw_error *err)
{
    (void)err;
    free_sink((store_sink *)base);
    return SW_OK;
}

static int staged_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    store_sink *sink = (store_sink *)base;
    int rc = write_segment(sink, err);
    if (rc != SW_OK) return rc;
    sw_prepared prepared = { .path = sink->path,
                             .offset = sink->applied,
                             .checkpoint = checkpoint,
                             .applied = sink->segment.bytes > 0 ? checkpoint : sink->applied };
    rc = sw_segment_prepare(&sink->segment, &prepared, value, err);
    if (rc == SW_OK) sink->applied = prepared.applied;
    return rc;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static const sw_sink_ops direct_ops = { direct_write, direct_flush, direct_close, direct_prepare };
static const sw_sink_ops staged_ops = { staged_write, staged_flush, staged_close, staged_prepare };

static int read_key_fields(store_sink *sink, const sw_options *options, sw_error *err)
{
    const sw_option *keys = sw_options_find(options, "keys");
    uint32_t count = keys != NULL && keys->number >= 1 ? (uint32_t)keys->number : 0;
    if (count == 0 || count > KEY_FIELDS_MAX)
        return sw_error_set(err, SW_EINVAL, "a store needs 1 to %u key fields", KEY_FIELDS_MAX);
    sink->key.names = sw_calloc(count, sizeof(*sink->key.names));
    sink->key.name_lens = sw_calloc(count, sizeof(*sink->key.name_lens));
    sink->key.indexes = sw_calloc(count, sizeof(*sink->key.indexes));
    if (sink->key.names == NULL || sink->key.name_lens == NULL || sink->key.indexes == NULL)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        char name[8];
        snprintf(name, sizeof(name), "key%u", i + 1);
        const sw_option *field = sw_options_find(options, name);
        if (field == NULL || field->string == NULL) return sw_error_set(err, SW_EINVAL, "a store needs %s", name);
        if ((sink->key.names[i] = sw_strdup(field->string)) == NULL)
            return sw_error_set(err, SW_ENOMEM, "out of memory");
        sink->key.name_lens[i] = (uint32_t)strlen(field->string);
        sink->key.count = i + 1;
    }
    return SW_OK;
}

static int removed(const char *path, uint64_t checkpoint, sw_error *err)
{
    return sw_error_set(err, SW_ESTATE,
                        "%s does not hold what checkpoint %" PRIu64 " put there: it was removed or replaced", path,
                        checkpoint);
}

/* Compares the table with what the checkpoint says of it, and begins there: checkpoints that come are later ones. */
static int continue_table(store_sink *sink, const sw_sink_context *context, bool is_new, sw_error *err)
{
    sw_prepared saved = { 0 };
    uint64_t noted = 0;
    int rc = SW_ENOTFOUND;
    if (context->restored != NULL) rc = sw_prepared_find(context->restored, context->instance, sink->path, &saved, err);
    if (rc == SW_OK) {
        bool is_moved = strcmp(saved.path, sink->path) != 0;
        sink->applied = is_new && is_moved ? 0 : saved.applied;
        sw_prepared_deinit(&saved);
    } else if (rc != SW_ENOTFOUND) {
        return rc;
    }
    if ((rc = sw_store_file_applied(sink->file, &noted, err)) != SW_OK) return rc;
    if (noted < sink->applied) return removed(sink->path, sink->applied, err);
    return noted == sink->applied ? SW_OK : sw_store_file_note(sink->file, sink->applied, err);
}

static int init_sink(store_sink *sink, const sw_options *options, const sw_sink_context *context, const char *path,
                     sw_error *err)
{
    const sw_option *map = sw_options_find(options, "map_bytes");
    size_t map_bytes = map != NULL && map->number >= 1 ? (size_t)map->number : SW_STORE_MAP_BYTES;
    bool is_exact = context->delivery == SW_EXACTLY_ONCE && context->state_dir != NULL;
    sink->base = (sw_sink){ .ops = is_exact ? &staged_ops : &direct_ops, .is_transactional = is_exact };
    sink->clock = context->clock;
    if ((sink->path = sw_fs_absolute(path)) == NULL) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    int rc = read_key_fields(sink, options, err);
    if (rc != SW_OK) return rc;
    if (is_exact && (rc = sw_segment_init(&sink->segment, context, err)) != SW_OK) return rc;
    bool is_new = !sw_fs_exists(sink->path);
    if ((rc = sw_store_file_open(&sink->file, sink->path, map_bytes, err)) != SW_OK) return rc;
    if ((rc = sw_store_file_lock(sink->file, err)) != SW_OK) {
        sw_store_file_close(sink->file);
        sink->file = NULL;
        return rc;
    }
    return continue_table(sink, context, is_new, err);
}

int sw_store_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    const sw_option *path = sw_options_find(options, "path");
    if (path == NULL || path->string == NULL) return sw_error_set(err, SW_EINVAL, "a store needs a path");
    store_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    int rc = init_sink(sink, options, context, path->string, err);
    if (rc != SW_OK) {
        free_sink(sink);
        return rc;
    }
    *out = &sink->base;
    return SW_OK;
}

/* --- prepared values ---------------------------------------------------------------------------------------------- */

static int store_sync(const uint8_t *value, size_t len, sw_error *err)
{
    sw_prepared prepared;
    int rc = sw_prepared_read(value, len, &prepared, err);
    if (rc != SW_OK) return rc;
    rc = sw_prepared_sync(&prepared, err);
    sw_prepared_deinit(&prepared);
    return rc;
}

static int apply_segment(const sw_prepared *p, sw_file *segment, sw_error *err)
{
    sw_store_file *store = NULL;
    uint64_t noted = 0;
    const sw_store_changes changes = { .file = segment, .bytes = p->bytes };
    if (p->offset > 0 && !sw_fs_exists(p->path)) return removed(p->path, p->offset, err);
    int rc = sw_store_file_open(&store, p->path, SW_STORE_MAP_BYTES, err);
    if (rc != SW_OK) return rc;
    rc = sw_store_file_applied(store, &noted, err);
    if (rc == SW_OK && noted < p->offset) rc = removed(p->path, p->offset, err);
    if (rc == SW_OK && noted < p->checkpoint) rc = sw_store_file_apply(store, &changes, p->checkpoint, err);
    sw_store_file_close(store);
    return rc == SW_OK ? sw_prepared_drop(p, err) : rc;
}

/* The segment is gone: it was applied, or else its changes are lost. A table that is not there at all is compared when
 * the sink is opened: it may have moved with the job. */
static int check_applied(const sw_prepared *p, sw_error *err)
{
    sw_store_file *store = NULL;
    uint64_t noted = 0;
    if (!sw_fs_exists(p->path)) return SW_OK;
    int rc = sw_store_file_open(&store, p->path, SW_STORE_MAP_BYTES, err);
    if (rc != SW_OK) return rc;
    rc = sw_store_file_applied(store, &noted, err);
    if (rc == SW_OK && noted < p->checkpoint)
        rc = sw_error_set(err, SW_ESTATE, "%s lacks what checkpoint %" PRIu64 " put there, and %s is gone", p->path,
                          p->checkpoint, p->segment);
    sw_store_file_close(store);
    return rc;
}

static int store_commit(const uint8_t *value, size_t len, sw_error *err)
{
    sw_prepared prepared;
    sw_file *segment = NULL;
    int rc = sw_prepared_read(value, len, &prepared, err);
    if (rc != SW_OK) return rc;
    if (prepared.segment != NULL) {
        rc = sw_prepared_open(&prepared, &segment, err);
        if (rc == SW_OK) {
            rc = apply_segment(&prepared, segment, err);
            sw_file_close(segment, NULL);
        } else if (rc == SW_ENOTFOUND) {
            rc = check_applied(&prepared, err);
        }
    }
    sw_prepared_deinit(&prepared);
    return rc;
}

const sw_sink_commit_ops sw_store_sink_commit_ops = { store_sync, store_commit, NULL };
