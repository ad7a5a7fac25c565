#include "state/key.h"

#include <math.h>
#include <stdbool.h>

#include "state/pack.h"

int sw_key_nil(sw_buf *out)
{
    return sw_pack_nil(out);
}

int sw_key_bool(sw_buf *out, int value)
{
    return sw_pack_bool(out, value);
}

int sw_key_i64(sw_buf *out, int64_t value)
{
    return sw_pack_i64(out, value);
}

int sw_key_u64(sw_buf *out, uint64_t value)
{
    return sw_pack_u64(out, value);
}

int sw_key_f64(sw_buf *out, double value)
{
    if (isnan(value)) return SW_EINVAL;
    if (value == trunc(value)) { /* Comparing first keeps the casts defined; -0.0 becomes 0. */
        if (value >= -0x1p63 && value < 0x1p63) return sw_pack_i64(out, (int64_t)value);
        if (value >= 0x1p63 && value < 0x1p64) return sw_pack_u64(out, (uint64_t)value);
    }
    return sw_pack_f64(out, value);
}

int sw_key_str(sw_buf *out, const char *bytes, uint32_t len)
{
    return sw_pack_str(out, bytes, len);
}

int sw_key_list(sw_buf *out, uint32_t count)
{
    return sw_pack_array(out, count);
}

static int key_from_slot(const sw_row *row, const sw_schema *schema, int index, sw_buf *out)
{
    if (index < 0 || !sw_row_has(row, (unsigned)index)) return sw_key_nil(out);
    const sw_slot *slot = &sw_row_slots(row, schema)[index];
    switch (schema->fields[index].type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: return sw_key_i64(out, slot->i);
    case SW_TYPE_F64: return sw_key_f64(out, slot->f);
    case SW_TYPE_BOOL: return sw_key_bool(out, slot->i != 0);
    case SW_TYPE_STRING: return sw_key_str(out, sw_row_string(row, slot), slot->s.len);
    }
    return SW_ETYPE;
}

static int key_from_item(const sw_pack_item *item, sw_buf *out)
{
    switch (item->type) {
    case SW_PACK_NIL: return sw_key_nil(out);
    case SW_PACK_BOOL: return sw_key_bool(out, item->v.i != 0);
    case SW_PACK_I64: return sw_key_i64(out, item->v.i);
    case SW_PACK_U64: return sw_key_u64(out, item->v.u);
    case SW_PACK_F64: return sw_key_f64(out, item->v.f);
    case SW_PACK_STR:
    case SW_PACK_BIN: return sw_key_str(out, (const char *)item->v.bytes, item->count);
    case SW_PACK_ARRAY:
    case SW_PACK_MAP: return SW_ETYPE;
    }
    return SW_ETYPE;
}

static void cache_indexes(sw_key_fields *fields, const sw_schema *schema)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        fields->indexes[i] = sw_schema_find(schema, fields->names[i], fields->name_lens[i]);
    }
    fields->cached_schema = schema->id;
}

static int key_from_field(const sw_key_fields *fields, uint32_t i, const sw_row *row, const sw_schema *schema,
                          sw_buf *out)
{
    sw_pack_item item;
    if (schema != NULL) return key_from_slot(row, schema, fields->indexes[i], out);
    int rc = sw_pack_find(sw_row_body(row), row->body_len, fields->names[i], fields->name_lens[i], &item);
    if (rc == SW_ENOTFOUND) return sw_key_nil(out);
    return rc == SW_OK ? key_from_item(&item, out) : rc;
}

static int key_error(const sw_key_fields *fields, uint32_t i, int rc, sw_error *err)
{
    int name_len = (int)fields->name_lens[i];
    switch (rc) {
    case SW_EINVAL: return sw_error_set(err, SW_ETYPE, "key field \"%.*s\" is NaN", name_len, fields->names[i]);
    case SW_ETYPE: return sw_error_set(err, SW_ETYPE, "key field \"%.*s\" holds a table", name_len, fields->names[i]);
    default: return sw_error_set(err, rc, "key field \"%.*s\": %s", name_len, fields->names[i], sw_error_meaning(rc));
    }
}

/* The usual key: a single whole number of a record whose layout is known, from 128 to 2^32 - 1: its five bytes or fewer
 * are written where the buffer has room from an earlier key. False for every other. */
static inline bool quick_key(const sw_key_fields *fields, const sw_row *row, const sw_schema *schema, sw_buf *out)
{
    if (fields->count != 1 || schema == NULL || fields->cached_schema != row->schema || out->cap < 8) return false;
    int index = fields->indexes[0];
    if (index < 0 || schema->fields[index].type != SW_TYPE_I64 || !sw_row_has(row, (unsigned)index)) return false;
    uint64_t value = (uint64_t)sw_row_slots(row, schema)[index].i;
    if (value - 128 > UINT32_MAX - 128) return false;
    uint8_t *p = out->data;
    unsigned bytes = value < 256 ? 1 : value < 65536 ? 2 : 4;
    *p = (uint8_t)(bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : 0xce);
    uint32_t big_endian = __builtin_bswap32((uint32_t)value << (32 - 8 * bytes));
    memcpy(p + 1, &big_endian, 4);
    out->size = 1 + bytes;
    return true;
}

int sw_key_from_row(sw_key_fields *fields, const sw_row *row, sw_buf *out, sw_error *err)
{
    const sw_schema *schema = sw_schema_get(row->schema);
    SW_ASSERT(fields->count > 0);
    SW_ASSERT(schema != NULL || row->schema == 0);
    if (quick_key(fields, row, schema, out)) return SW_OK;
    if (schema != NULL && fields->cached_schema != row->schema) cache_indexes(fields, schema);
    sw_buf_clear(out);
    if (fields->count > 1 && sw_key_list(out, fields->count) != SW_OK) {
        return sw_error_set(err, SW_ENOMEM, "out of memory for a key");
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        int rc = key_from_field(fields, i, row, schema, out);
        if (rc != SW_OK) return key_error(fields, i, rc, err);
        if (out->size > SW_KEY_BYTES_MAX) {
            return sw_error_set(err, SW_ELIMIT, "key field \"%.*s\" makes a key of %zu bytes: at most %d",
                                (int)fields->name_lens[i], fields->names[i], out->size, SW_KEY_BYTES_MAX);
        }
    }
    return SW_OK;
}

int sw_key_from_pack(const uint8_t *bytes, size_t len, sw_buf *out)
{
    sw_pack_reader reader = { bytes, bytes + len };
    sw_pack_item item;
    sw_buf_clear(out);
    if (sw_pack_next(&reader, &item) != SW_OK) return SW_EFORMAT;
    uint32_t count = item.type == SW_PACK_ARRAY ? item.count : 1;
    int rc = item.type == SW_PACK_ARRAY ? sw_key_list(out, count) : SW_OK;
    for (uint32_t i = 0; i < count && rc == SW_OK; i++) {
        if (out->size > 0 && sw_pack_next(&reader, &item) != SW_OK) return SW_EFORMAT;
        rc = key_from_item(&item, out);
    }
    return rc == SW_OK && out->size > SW_KEY_BYTES_MAX ? SW_ELIMIT : rc;
}
