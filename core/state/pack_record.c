/* The conversions of pack.h between record rows and maps. */
#include <stdbool.h>

#include "state/pack.h"
#include "state/record.h"

static int pack_field(const sw_row *row, const sw_field *field, const sw_slot *slot, sw_buf *out)
{
    int rc = sw_pack_str(out, field->name, field->name_len);
    if (rc != SW_OK) return rc;
    switch (field->type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: return sw_pack_i64(out, slot->i);
    case SW_TYPE_F64: return sw_pack_f64(out, slot->f);
    case SW_TYPE_BOOL: return sw_pack_bool(out, slot->i != 0);
    case SW_TYPE_STRING: return sw_pack_str(out, sw_row_string(row, slot), slot->s.len);
    }
    return SW_OK;
}

int sw_pack_from_record(const sw_row *row, const sw_schema *schema, sw_buf *out)
{
    const sw_slot *slots = sw_row_slots(row, schema);
    size_t size_before = out->size;
    uint32_t present = 0;
    SW_ASSERT(row->schema == schema->id);
    for (unsigned i = 0; i < schema->presence_words; i++) {
        present += (uint32_t)__builtin_popcountll(sw_row_presence(row)[i]);
    }
    int rc = sw_pack_map(out, present);
    for (unsigned i = 0; i < schema->count && rc == SW_OK; i++) {
        if (sw_row_has(row, i)) rc = pack_field(row, &schema->fields[i], &slots[i], out);
    }
    if (rc != SW_OK) out->size = size_before;
    return rc;
}

static int is_int64(double value)
{
    return value >= -0x1p63 && value < 0x1p63 && (double)(int64_t)value == value;
}

/* SW_ETYPE (without a text) when the field does not take the item. */
static int set_field(sw_record_builder *builder, uint32_t index, const sw_pack_item *item)
{
    switch (builder->schema->fields[index].type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME:
        if (item->type == SW_PACK_I64) {
            sw_record_set_i64(builder, index, item->v.i);
            return SW_OK;
        }
        if (builder->schema->fields[index].type == SW_TYPE_TIME) return SW_ETYPE;
        if (item->type != SW_PACK_F64 || !is_int64(item->v.f)) return SW_ETYPE;
        sw_record_set_i64(builder, index, (int64_t)item->v.f);
        return SW_OK;
    case SW_TYPE_F64:
        if (item->type != SW_PACK_F64 && item->type != SW_PACK_I64 && item->type != SW_PACK_U64) return SW_ETYPE;
        sw_record_set_f64(builder, index,
                          item->type == SW_PACK_F64   ? item->v.f
                          : item->type == SW_PACK_I64 ? (double)item->v.i
                                                      : (double)item->v.u);
        return SW_OK;
    case SW_TYPE_BOOL:
        if (item->type != SW_PACK_BOOL) return SW_ETYPE;
        sw_record_set_bool(builder, index, item->v.i != 0);
        return SW_OK;
    case SW_TYPE_STRING:
        if (item->type != SW_PACK_STR && item->type != SW_PACK_BIN) return SW_ETYPE;
        return sw_record_set_string(builder, index, item->v.bytes, item->count);
    }
    return SW_ETYPE;
}

/* Finds the field of a key; keys mostly come in the schema's order, so `guess` is tried first. */
static int find_field(const sw_schema *schema, const sw_pack_item *key, uint32_t guess)
{
    if (guess < schema->count) {
        const sw_field *field = &schema->fields[guess];
        if (field->name_len == key->count && memcmp(field->name, key->v.bytes, key->count) == 0) return (int)guess;
    }
    return sw_schema_find(schema, (const char *)key->v.bytes, key->count);
}

/* One pair of the map. *guess is where its key is looked for first, and then the field behind the one found. */
static int take_pair(sw_record_builder *builder, sw_pack_reader *reader, bool skips, uint32_t *guess, sw_error *err)
{
    sw_pack_item key, item;
    if (sw_pack_next(reader, &key) != SW_OK) goto malformed;
    if (key.type != SW_PACK_STR) {
        return sw_error_set(err, SW_ETYPE, "field name: expected string, found %s", sw_pack_type_name(key.type));
    }
    int index = find_field(builder->schema, &key, *guess);
    if (index < 0 && skips) {
        if (sw_pack_skip(reader) != SW_OK) goto malformed;
        return SW_OK;
    }
    if (sw_pack_next(reader, &item) != SW_OK) goto malformed;
    const char *name = (const char *)key.v.bytes, *found = sw_pack_type_name(item.type);
    if (index < 0) {
        return sw_error_set(err, SW_ETYPE, "field \"%.*s\": expected none of this name in the schema, found %s",
                            (int)(key.count < SW_ERROR_TEXT_SIZE ? key.count : SW_ERROR_TEXT_SIZE), name, found);
    }
    *guess = (uint32_t)index + 1;
    const sw_field *field = &builder->schema->fields[index];
    if (item.type == SW_PACK_NIL) {
        sw_record_set_nil(builder, (uint32_t)index);
        return SW_OK;
    }
    int rc = set_field(builder, (uint32_t)index, &item);
    if (rc == SW_OK) return SW_OK;
    if (rc == SW_ETYPE) {
        int fraction = field->type == SW_TYPE_I64 && item.type == SW_PACK_F64;
        return sw_error_set(err, SW_ETYPE, "field \"%s\": expected %s, found %s%s", field->name,
                            sw_type_name(field->type), found, fraction ? " that is no int64" : "");
    }
    return sw_error_set(err, rc, "field \"%s\": %s", field->name, sw_error_meaning(rc));

malformed:
    return sw_error_set(err, SW_EFORMAT, "msgpack: malformed map");
}

static int from_pack(const uint8_t *map, size_t len, const sw_schema *schema, bool skips, sw_batch *out, sw_error *err)
{
    sw_pack_reader reader = { map, map + len };
    sw_pack_item head;
    sw_record_builder builder;
    uint32_t guess = 0;
    if (sw_pack_next(&reader, &head) != SW_OK) return sw_error_set(err, SW_EFORMAT, "msgpack: malformed map");
    if (head.type != SW_PACK_MAP) {
        return sw_error_set(err, SW_ETYPE, "event: expected map, found %s", sw_pack_type_name(head.type));
    }
    int rc = sw_record_begin(&builder, out, schema);
    if (rc != SW_OK) return sw_error_set(err, rc, "out of memory for a row");
    for (uint32_t i = 0; i < head.count; i++) {
        rc = take_pair(&builder, &reader, skips, &guess, err);
        if (rc != SW_OK) return rc;
    }
    if (reader.p != reader.end) return sw_error_set(err, SW_EFORMAT, "msgpack: bytes behind the map");
    sw_record_finish(&builder, 0);
    return SW_OK;
}

int sw_record_from_pack(const uint8_t *map, size_t len, const sw_schema *schema, sw_batch *out, sw_error *err)
{
    return from_pack(map, len, schema, false, out, err);
}

int sw_record_of_pack(const uint8_t *map, size_t len, const sw_schema *schema, sw_batch *out, sw_error *err)
{
    return from_pack(map, len, schema, true, out, err);
}
