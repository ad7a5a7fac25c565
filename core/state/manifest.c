#include "state/manifest.h"

#include <string.h>

#include "base/alloc.h"
#include "state/pack.h"

/* [id, time, is_finished, next id, entries, hash low, hash high, job, folder, script's path, script, [component, ...],
 * [file, ...]], where component is [id, name, parallelism, version, has_state] and file is
 * [id, is_full, bytes, hash low, hash high]. */
#define FIELDS 13
#define COMPONENT_FIELDS 5
#define FILE_FIELDS 5
#define DEPTH 3
#define COMPONENTS_MAX 65535u

/* --- encoding --------------------------------------------------------------------------------------------------- */

static bool put_u64(sw_buf *out, uint64_t value)
{
    return sw_pack_u64(out, value) == SW_OK;
}

static bool put_text(sw_buf *out, const char *text)
{
    return sw_pack_str(out, text != NULL ? text : "", text != NULL ? (uint32_t)strlen(text) : 0) == SW_OK;
}

static bool put_script(sw_buf *out, const sw_checkpoint_meta *meta)
{
    return (meta->script != NULL ? sw_pack_str(out, meta->script, meta->script_len) : sw_pack_nil(out)) == SW_OK;
}

static bool put_component(sw_buf *out, const sw_saved_component *component, uint32_t id)
{
    return sw_pack_array(out, COMPONENT_FIELDS) == SW_OK && put_u64(out, id) && put_text(out, component->name) &&
           put_u64(out, component->parallelism) && put_u64(out, component->version) &&
           put_u64(out, component->has_state);
}

static bool put_file(sw_buf *out, const sw_file_ref *file)
{
    return sw_pack_array(out, FILE_FIELDS) == SW_OK && put_u64(out, file->id) && put_u64(out, file->is_full) &&
           put_u64(out, file->bytes) && put_u64(out, file->hash.low) && put_u64(out, file->hash.high);
}

static bool put_manifest(sw_buf *out, const sw_manifest *m)
{
    const sw_checkpoint_meta *meta = &m->meta;
    bool ok = sw_pack_array(out, FIELDS) == SW_OK && put_u64(out, meta->id) &&
              sw_pack_i64(out, meta->time_ms) == SW_OK && put_u64(out, meta->is_finished) &&
              put_u64(out, m->next_component_id) && put_u64(out, m->entries) && put_u64(out, m->script_hash.low) &&
              put_u64(out, m->script_hash.high) && put_text(out, meta->job) && put_text(out, meta->folder) &&
              put_text(out, meta->script_path) && put_script(out, meta) &&
              sw_pack_array(out, meta->component_count) == SW_OK;
    for (uint32_t i = 0; ok && i < meta->component_count; i++)
        ok = put_component(out, &meta->components[i], m->component_ids[i]);
    ok = ok && sw_pack_array(out, m->chain_count) == SW_OK;
    for (uint32_t i = 0; ok && i < m->chain_count; i++) ok = put_file(out, &m->chain[i]);
    return ok;
}

int sw_manifest_encode(const sw_manifest *manifest, sw_buf *out)
{
    size_t size_before = out->size;
    if (put_manifest(out, manifest)) return SW_OK;
    out->size = size_before;
    return SW_ENOMEM;
}

/* --- decoding --------------------------------------------------------------------------------------------------- */

/* Reading stops making sense at the first thing that is not as expected: `rc` keeps it, the rest reads zeros. */
typedef struct decoder {
    sw_pack_reader reader; /* what is left */
    char *text;            /* where the next text goes */
    int rc;                /* SW_OK so far, or SW_EFORMAT, SW_ENOMEM */
} decoder;

static sw_pack_item take(decoder *d, sw_pack_type type)
{
    sw_pack_item item = { .type = type };
    if (d->rc == SW_OK && (sw_pack_next(&d->reader, &item) != SW_OK || item.type != type)) d->rc = SW_EFORMAT;
    if (d->rc != SW_OK) item = (sw_pack_item){ .type = type };
    return item;
}

static uint64_t take_u64(decoder *d, uint64_t max)
{
    sw_pack_item item = { .type = SW_PACK_I64 };
    if (d->rc == SW_OK && sw_pack_next(&d->reader, &item) != SW_OK) d->rc = SW_EFORMAT;
    bool is_whole = item.type == SW_PACK_U64 || (item.type == SW_PACK_I64 && item.v.i >= 0);
    if (!is_whole || item.v.u > max) d->rc = SW_EFORMAT;
    return d->rc == SW_OK ? item.v.u : 0;
}

/* A text takes at least its length and one byte in msgpack, so the copies with their NUL fit where `text` points. */
static const char *keep_text(decoder *d, const sw_pack_item *item)
{
    char *text = d->text;
    if (item->count > 0) memcpy(text, item->v.bytes, item->count);
    text[item->count] = '\0';
    d->text += item->count + 1;
    return text;
}

static const char *take_text(decoder *d)
{
    sw_pack_item item = take(d, SW_PACK_STR);
    return d->rc == SW_OK ? keep_text(d, &item) : "";
}

static void take_script(decoder *d, sw_checkpoint_meta *meta)
{
    sw_pack_item item = { 0 };
    if (d->rc == SW_OK && sw_pack_next(&d->reader, &item) != SW_OK) d->rc = SW_EFORMAT;
    if (d->rc != SW_OK || item.type == SW_PACK_NIL) return;
    if (item.type != SW_PACK_STR) d->rc = SW_EFORMAT;
    if (d->rc != SW_OK) return;
    meta->script_len = item.count;
    meta->script = keep_text(d, &item);
}

static void take_head(decoder *d, sw_manifest *m)
{
    if (take(d, SW_PACK_ARRAY).count != FIELDS) d->rc = SW_EFORMAT;
    m->meta.id = take_u64(d, UINT64_MAX);
    m->meta.time_ms = take(d, SW_PACK_I64).v.i;
    m->meta.is_finished = take_u64(d, 1);
    m->next_component_id = (uint32_t)take_u64(d, COMPONENTS_MAX + 1);
    m->entries = take_u64(d, UINT64_MAX);
    m->script_hash.low = take_u64(d, UINT64_MAX);
    m->script_hash.high = take_u64(d, UINT64_MAX);
    m->meta.job = take_text(d);
    m->meta.folder = take_text(d);
    m->meta.script_path = take_text(d);
    take_script(d, &m->meta);
}

static void take_component(decoder *d, sw_saved_component *out, uint32_t *id, uint32_t id_end)
{
    if (take(d, SW_PACK_ARRAY).count != COMPONENT_FIELDS) d->rc = SW_EFORMAT;
    *id = (uint32_t)take_u64(d, id_end);
    if (*id == id_end) d->rc = SW_EFORMAT;
    out->name = take_text(d);
    out->parallelism = (uint32_t)take_u64(d, UINT32_MAX);
    out->version = (uint32_t)take_u64(d, UINT32_MAX);
    out->has_state = take_u64(d, 1);
}

static void take_file(decoder *d, sw_file_ref *out)
{
    if (take(d, SW_PACK_ARRAY).count != FILE_FIELDS) d->rc = SW_EFORMAT;
    out->id = take_u64(d, UINT64_MAX);
    out->is_full = take_u64(d, 1);
    out->bytes = take_u64(d, INT64_MAX);
    out->hash.low = take_u64(d, UINT64_MAX);
    out->hash.high = take_u64(d, UINT64_MAX);
}

/* The two arrays at the end are counted first, so that one block holds them and the texts. */
static int count_parts(const uint8_t *bytes, size_t len, uint32_t *components, uint32_t *files)
{
    sw_pack_reader reader = { bytes, bytes + len };
    sw_pack_item item;
    if (sw_pack_check(bytes, len, DEPTH, NULL) != SW_OK) return SW_EFORMAT;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count != FIELDS) return SW_EFORMAT;
    for (int i = 0; i < FIELDS - 2; i++)
        if (sw_pack_skip(&reader) != SW_OK) return SW_EFORMAT;
    sw_pack_reader at_components = reader;
    if (sw_pack_next(&at_components, &item) != SW_OK || item.type != SW_PACK_ARRAY) return SW_EFORMAT;
    *components = item.count;
    if (sw_pack_skip(&reader) != SW_OK) return SW_EFORMAT;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY) return SW_EFORMAT;
    *files = item.count;
    return *components <= COMPONENTS_MAX && *files <= SW_CHAIN_MAX ? SW_OK : SW_EFORMAT;
}

static int decode(sw_manifest *m, const uint8_t *bytes, size_t len)
{
    uint32_t components = 0, files = 0;
    int rc = count_parts(bytes, len, &components, &files);
    if (rc != SW_OK) return rc;
    size_t list_bytes = components * sizeof(sw_saved_component), file_bytes = files * sizeof(sw_file_ref);
    uint8_t *block = sw_alloc(list_bytes + file_bytes + components * sizeof(uint32_t) + len);
    if (block == NULL) return SW_ENOMEM;
    sw_saved_component *list = (sw_saved_component *)(void *)block;
    sw_file_ref *chain = (sw_file_ref *)(void *)(block + list_bytes);
    uint32_t *ids = (uint32_t *)(void *)(block + list_bytes + file_bytes);
    decoder d = { { bytes, bytes + len }, (char *)(ids + components), SW_OK };
    *m = (sw_manifest){
        .component_ids = ids,
        .chain = chain,
        .chain_count = files,
        .owned = block,
    };
    m->meta.components = list;
    m->meta.component_count = components;
    take_head(&d, m);
    take(&d, SW_PACK_ARRAY);
    for (uint32_t i = 0; i < components; i++) take_component(&d, &list[i], &ids[i], m->next_component_id);
    take(&d, SW_PACK_ARRAY);
    for (uint32_t i = 0; i < files; i++) take_file(&d, &chain[i]);
    if (d.rc != SW_OK) sw_free(block);
    return d.rc;
}

int sw_manifest_decode(sw_manifest *out, const uint8_t *bytes, size_t len, sw_error *err)
{
    sw_manifest m;
    int rc = decode(&m, bytes, len);
    if (rc == SW_OK) *out = m;
    if (rc == SW_EFORMAT) return sw_error_set(err, rc, "its manifest is malformed");
    if (rc == SW_ENOMEM) return sw_error_set(err, rc, "out of memory");
    return rc;
}

void sw_manifest_deinit(sw_manifest *manifest)
{
    sw_free(manifest->owned);
    *manifest = (sw_manifest){ 0 };
}

int64_t sw_manifest_find(const sw_manifest *manifest, const char *component)
{
    for (uint32_t i = 0; i < manifest->meta.component_count; i++)
        if (strcmp(manifest->meta.components[i].name, component) == 0) return i;
    return -1;
}
