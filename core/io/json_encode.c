#include "io/json_encode.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/num.h"
#include "io/json_decode.h"
#include "io/json_index.h"
#include "io/json_write.h"
#include "io/mp_read.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for a byte that is part of no character */
#define INSERTION_MAX 32           /* Maps up to this size are sorted by insertion: quick when nearly sorted. */

/* A member of a map being written. */
typedef struct member {
    uint64_t prefix;      /* first bytes of the key, big-endian: decides most comparisons */
    const char *key;      /* its bytes; NULL: they are in the encoder's numbers */
    const uint8_t *value; /* msgpack */
    uint32_t key_len;     /* bytes */
    uint32_t number;      /* where in numbers */
} member;

void sw_json_encoder_init(sw_json_encoder *encoder)
{
    sw_buf_init(&encoder->members);
    sw_buf_init(&encoder->numbers);
    sw_buf_init(&encoder->leads);
    encoder->schema = 0;
    encoder->is_lenient = false;
}

void sw_json_encoder_deinit(sw_json_encoder *encoder)
{
    sw_buf_deinit(&encoder->members);
    sw_buf_deinit(&encoder->numbers);
    sw_buf_deinit(&encoder->leads);
}

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

static int damaged(sw_error *err)
{
    return sw_error_set(err, SW_EFORMAT, "damaged msgpack");
}

static int put(sw_buf *out, const char *text, size_t len, sw_error *err)
{
    return sw_buf_append(out, text, len) == SW_OK ? SW_OK : out_of_memory(err);
}

static int put_i64(sw_buf *out, int64_t value, sw_error *err)
{
    if (sw_buf_reserve(out, SW_NUM_TEXT_SIZE) != SW_OK) return out_of_memory(err);
    out->size += sw_num_format_i64((char *)out->data + out->size, value);
    return SW_OK;
}

/* --- records -------------------------------------------------------------------------------------- */

#define LEAD_BYTES 32u

/* A field's key with the comma before it, to be copied in whole blocks. */
typedef struct lead {
    char text[LEAD_BYTES]; /* `,"name":`, or its beginning */
    const char *key;       /* the whole, without comma; the schema's */
    uint32_t len;          /* bytes with the comma */
} lead;

static int learn_schema(sw_json_encoder *e, const sw_schema *schema, sw_error *err)
{
    sw_buf_clear(&e->leads);
    if (sw_buf_reserve(&e->leads, schema->count * sizeof(lead)) != SW_OK) return out_of_memory(err);
    lead *leads = (lead *)(void *)e->leads.data;
    e->room = 2 + LEAD_BYTES; /* The braces, and what the last block may overwrite. */
    for (unsigned i = 0; i < schema->count; i++) {
        const sw_field *field = &schema->fields[i];
        leads[i] = (lead){ .text = ",", .key = field->json_key, .len = field->json_len + 1 };
        memcpy(leads[i].text + 1, field->json_key, field->json_len < LEAD_BYTES ? field->json_len : LEAD_BYTES - 1);
        e->room += leads[i].len + SW_JSON_NUMBER_SIZE;
    }
    e->schema = schema->id;
    return SW_OK;
}

static inline uint8_t *put_lead(uint8_t *p, const lead *l)
{
    memcpy(p, l->text, LEAD_BYTES / 2);
    if (l->len > LEAD_BYTES / 2) memcpy(p + LEAD_BYTES / 2, l->text + LEAD_BYTES / 2, LEAD_BYTES / 2);
    if (l->len > LEAD_BYTES) memcpy(p + 1, l->key, l->len - 1);
    return p + l->len;
}

static inline int make_room(const sw_json_encoder *e, sw_buf *out, sw_error *err)
{
    if (e->room <= out->cap - out->size || sw_buf_reserve(out, e->room) == SW_OK) return SW_OK;
    return out_of_memory(err);
}

/* Appends a value, for whose number there is room. */
static inline int put_slot(sw_buf *out, const sw_row *row, sw_type type, const sw_slot *slot, sw_error *err)
{
    char *p = (char *)out->data + out->size;
    switch (type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: out->size += sw_num_format_i64(p, slot->i); return SW_OK;
    case SW_TYPE_F64:
        if (!isfinite(slot->f)) return sw_json_write_double(out, slot->f, err);
        out->size += sw_json_format_double(p, slot->f);
        return SW_OK;
    case SW_TYPE_BOOL: return slot->i != 0 ? put(out, "true", 4, err) : put(out, "false", 5, err);
    case SW_TYPE_STRING: return sw_json_write_string(out, sw_row_string(row, slot), slot->s.len, err);
    }
    SW_ASSERT(!"a field has one of the types");
    return SW_EINVAL;
}

static int encode_record(sw_json_encoder *e, const sw_row *row, sw_buf *out, sw_error *err)
{
    const sw_schema *schema = sw_schema_get(row->schema);
    SW_ASSERT(schema != NULL);
    int rc = SW_OK;
    if (e->schema != schema->id && (rc = learn_schema(e, schema, err)) != SW_OK) return rc;
    if ((rc = make_room(e, out, err)) != SW_OK) return rc;
    const sw_slot *slots = sw_row_slots(row, schema);
    const lead *leads = (const lead *)(const void *)e->leads.data;
    size_t start = out->size;
    for (unsigned i = 0; i < schema->count; i++) {
        if (!sw_row_has(row, i)) continue;
        out->size = (size_t)(put_lead(out->data + out->size, &leads[i]) - out->data);
        sw_type type = schema->fields[i].type;
        rc = put_slot(out, row, type, &slots[i], err);
        if (rc == SW_OK && type == SW_TYPE_STRING) rc = make_room(e, out, err);
        if (rc != SW_OK) {
            sw_error_prepend(err, "field \"%s\"", schema->fields[i].name);
            return rc;
        }
    }
    if (out->size == start) out->size++;
    out->data[start] = '{'; /* In place of the first comma. */
    out->data[out->size++] = '}';
    return SW_OK;
}

/* --- maps ----------------------------------------------------------------------------------------- */

static int put_value(sw_json_encoder *e, const uint8_t **p, const uint8_t *end, int depth, sw_buf *out, sw_error *err);

static inline const char *key_of(const sw_json_encoder *e, const member *m)
{
    return m->key != NULL ? m->key : (const char *)e->numbers.data + m->number;
}

static uint64_t prefix_of(const char *key, uint32_t len)
{
    uint64_t prefix;
    if (len < 8) return __builtin_bswap64(sw_load_short(key, len));
    memcpy(&prefix, key, 8);
    return __builtin_bswap64(prefix);
}

static inline int compare_keys(const sw_json_encoder *e, const member *a, const member *b)
{
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    uint32_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(key_of(e, a), key_of(e, b), shorter);
    if (order != 0) return order;
    return a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}

static int compare_members(const void *a, const void *b, void *e)
{
    return compare_keys(e, a, b);
}

static void sort_members(sw_json_encoder *e, member *list, size_t count)
{
    if (count > INSERTION_MAX) {
        qsort_r(list, count, sizeof(*list), compare_members, e);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(e, &list[i - 1], &list[i]) <= 0) continue;
        member moved = list[i];
        size_t at = i;
        for (; at > 0 && compare_keys(e, &list[at - 1], &moved) > 0; at--) list[at] = list[at - 1];
        list[at] = moved;
    }
}

/* A key that is a number: its text goes to the encoder's numbers. */
static int read_number_key(sw_json_encoder *e, const sw_mp_value *key, member *m, sw_error *err)
{
    if (sw_buf_reserve(&e->numbers, SW_NUM_TEXT_SIZE) != SW_OK) return out_of_memory(err);
    char *text = (char *)e->numbers.data + e->numbers.size;
    m->key = NULL;
    m->number = (uint32_t)e->numbers.size;
    switch (key->kind) {
    case SW_MP_KIND_I64: m->key_len = (uint32_t)sw_num_format_i64(text, key->as.i); break;
    case SW_MP_KIND_U64: m->key_len = (uint32_t)sw_num_format_u64(text, key->as.u); break;
    case SW_MP_KIND_F64: m->key_len = (uint32_t)sw_num_format_double(text, key->as.f); break;
    default: return sw_error_set(err, SW_EFORMAT, "a key is neither a string nor a number");
    }
    e->numbers.size += SW_NUM_TEXT_SIZE;
    m->prefix = prefix_of(text, m->key_len);
    return SW_OK;
}

static inline int read_key(sw_json_encoder *e, const sw_mp_value *key, member *m, sw_error *err)
{
    if (key->kind != SW_MP_KIND_STR) return read_number_key(e, key, m, err);
    m->key = key->bytes;
    m->key_len = key->len;
    m->prefix = prefix_of(m->key, m->key_len);
    return SW_OK;
}

/* Puts the map's members on the stack, except those that are nil, and *p behind the map. Returns how many,
 * or a negative code. */
static int64_t collect(sw_json_encoder *e, const uint8_t **p, const uint8_t *end, uint32_t count, sw_error *err)
{
    int64_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        sw_mp_value key;
        if (sw_buf_reserve(&e->members, sizeof(member)) != SW_OK) return out_of_memory(err);
        member *m = (member *)(void *)(e->members.data + e->members.size);
        m->value = sw_mp_read(*p, end, &key);
        if (m->value == NULL) return damaged(err);
        int rc = read_key(e, &key, m, err);
        if (rc != SW_OK) return rc;
        *p = sw_mp_skip(m->value, end);
        if (*p == NULL) return damaged(err);
        if (*m->value == 0xc0) continue;
        e->members.size += sizeof(member);
        kept++;
    }
    return kept;
}

/* Appends text of a lenient encoder that is not UTF-8, without quotes. */
static int put_repaired(sw_buf *repaired, const char *text, size_t len)
{
    int rc = SW_OK;
    for (size_t at = 0; at < len && rc == SW_OK;) {
        size_t n = 1;
        while (n <= 4 && at + n <= len && !sw_utf8_is_valid(text + at, n)) n++;
        bool is_character = n <= 4 && at + n <= len;
        rc = is_character ? sw_buf_append(repaired, text + at, n) : sw_buf_append_str(repaired, REPLACEMENT);
        at += is_character ? n : 1;
    }
    return rc;
}

/* Appends a text that was refused, if the encoder is lenient. `before`: 0, or that of a member whose key this is. */
static int put_refused(sw_json_encoder *e, char before, const char *text, size_t len, sw_buf *out, sw_error *err)
{
    sw_buf repaired = { 0 };
    if (!e->is_lenient) return SW_EFORMAT;
    e->was_exact = false;
    int rc = put_repaired(&repaired, text, len);
    if (rc != SW_OK) rc = out_of_memory(err);
    else if (before != 0) rc = sw_json_write_key(out, before, (const char *)repaired.data, repaired.size, err);
    else rc = sw_json_write_string(out, (const char *)repaired.data, repaired.size, err);
    sw_buf_deinit(&repaired);
    return rc;
}

static int put_text(sw_json_encoder *e, const char *text, size_t len, sw_buf *out, sw_error *err)
{
    size_t size = out->size;
    int rc = sw_json_write_string(out, text, len, err);
    if (rc != SW_EFORMAT) return rc;
    out->size = size;
    return put_refused(e, 0, text, len, out, err);
}

static int put_key(sw_json_encoder *e, char before, const char *text, size_t len, sw_buf *out, sw_error *err)
{
    size_t size = out->size;
    int rc = sw_json_write_key(out, before, text, len, err);
    if (rc != SW_EFORMAT) return rc;
    out->size = size;
    return put_refused(e, before, text, len, out, err);
}

static int put_double(sw_json_encoder *e, double value, sw_buf *out, sw_error *err)
{
    char text[SW_NUM_TEXT_SIZE];
    if (isfinite(value) || !e->is_lenient) return sw_json_write_double(out, value, err);
    e->was_exact = false;
    return sw_json_write_string(out, text, sw_num_format_double(text, value), err);
}

/* The member at this place of the stack, which moves while nested maps are written. */
static inline const member *member_at(const sw_json_encoder *e, size_t place)
{
    return (const member *)(const void *)(e->members.data + place);
}

static int put_member(sw_json_encoder *e, size_t place, char before, const uint8_t *end, int depth, sw_buf *out,
                      sw_error *err)
{
    const member *m = member_at(e, place);
    const uint8_t *value = m->value;
    int rc = put_key(e, before, key_of(e, m), m->key_len, out, err);
    if (rc != SW_OK) {
        sw_error_prepend(err, "a key");
        return rc;
    }
    rc = put_value(e, &value, end, depth, out, err);
    if (rc == SW_OK) return SW_OK;
    m = member_at(e, place);
    sw_error_prepend(err, "field \"%.*s\"", (int)m->key_len, key_of(e, m));
    return rc;
}

static int put_map(sw_json_encoder *e, const uint8_t **p, const uint8_t *end, uint32_t count, int depth, sw_buf *out,
                   sw_error *err)
{
    size_t base = e->members.size;
    size_t numbers = e->numbers.size;
    int64_t kept = collect(e, p, end, count, err);
    if (kept < 0) return (int)kept;
    if (kept == 0) return put(out, "{}", 2, err);
    sort_members(e, (member *)(void *)(e->members.data + base), (size_t)kept);
    size_t stop = e->members.size;
    char before = '{';
    for (size_t place = base; place < stop; place += sizeof(member)) {
        int rc = put_member(e, place, before, end, depth, out, err);
        if (rc != SW_OK) return rc;
        before = ',';
    }
    e->members.size = base;
    e->numbers.size = numbers;
    return put(out, "}", 1, err);
}

static int put_array(sw_json_encoder *e, const uint8_t **p, const uint8_t *end, uint32_t count, int depth, sw_buf *out,
                     sw_error *err)
{
    int rc = put(out, "[", 1, err);
    for (uint32_t i = 0; i < count && rc == SW_OK; i++) {
        if (i > 0) rc = put(out, ",", 1, err);
        if (rc == SW_OK) rc = put_value(e, p, end, depth, out, err);
    }
    return rc == SW_OK ? put(out, "]", 1, err) : rc;
}

static int put_u64(sw_buf *out, uint64_t value, sw_error *err)
{
    if (sw_buf_reserve(out, SW_NUM_TEXT_SIZE) != SW_OK) return out_of_memory(err);
    out->size += sw_num_format_u64((char *)out->data + out->size, value);
    return SW_OK;
}

/* Writes the value at *p, which stands in a map or array at this depth, and puts *p behind it. */
static int put_value(sw_json_encoder *e, const uint8_t **p, const uint8_t *end, int depth, sw_buf *out, sw_error *err)
{
    sw_mp_value v;
    *p = sw_mp_read(*p, end, &v);
    if (*p == NULL) return damaged(err);
    if ((v.kind == SW_MP_KIND_MAP || v.kind == SW_MP_KIND_ARRAY) && depth == SW_JSON_DEPTH_MAX)
        return sw_error_set(err, SW_EFORMAT, "nested deeper than %d", SW_JSON_DEPTH_MAX);
    switch (v.kind) {
    case SW_MP_KIND_NIL: return put(out, "null", 4, err);
    case SW_MP_KIND_BOOL: return v.as.i != 0 ? put(out, "true", 4, err) : put(out, "false", 5, err);
    case SW_MP_KIND_I64: return put_i64(out, v.as.i, err);
    case SW_MP_KIND_U64: return put_u64(out, v.as.u, err);
    case SW_MP_KIND_F64: return put_double(e, v.as.f, out, err);
    case SW_MP_KIND_STR: return put_text(e, v.bytes, v.len, out, err);
    case SW_MP_KIND_ARRAY: return put_array(e, p, end, v.len, depth + 1, out, err);
    case SW_MP_KIND_MAP: return put_map(e, p, end, v.len, depth + 1, out, err);
    case SW_MP_KIND_EXT: return sw_error_set(err, SW_EFORMAT, "a msgpack extension has no JSON form");
    }
    return damaged(err);
}

static int encode_map(sw_json_encoder *e, const sw_row *row, sw_buf *out, sw_error *err)
{
    const uint8_t *p = sw_row_body(row);
    const uint8_t *end = p + row->body_len;
    sw_mp_value v;
    p = sw_mp_read(p, end, &v);
    if (p == NULL || v.kind != SW_MP_KIND_MAP) return damaged(err);
    e->members.size = e->numbers.size = 0; /* What an event that failed has left. */
    return put_map(e, &p, end, v.len, 1, out, err);
}

int sw_json_encode(sw_json_encoder *encoder, const sw_row *row, sw_buf *out, sw_error *err)
{
    size_t before = out->size;
    int rc = row->schema != 0 ? encode_record(encoder, row, out, err) : encode_map(encoder, row, out, err);
    if (rc != SW_OK) out->size = before;
    return rc;
}

int sw_json_encode_value(sw_json_encoder *encoder, const uint8_t *bytes, size_t len, sw_buf *out, sw_error *err)
{
    const uint8_t *p = bytes;
    size_t before = out->size;
    encoder->members.size = encoder->numbers.size = 0; /* What a value that failed has left. */
    encoder->was_exact = true;
    int rc = put_value(encoder, &p, bytes + len, 0, out, err);
    if (rc == SW_OK && p != bytes + len) rc = damaged(err);
    if (rc != SW_OK) out->size = before;
    return rc;
}
