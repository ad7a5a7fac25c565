#include "io/codec.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "io/json_decode.h"
#include "io/json_encode.h"
#include "io/json_index.h"
#include "io/mp.h"
#include "io/mp_read.h"

#define LINE_FIELD "line"
#define LINE_FIELD_LEN 4u
#define WHERE_MAX 4200u /* A path and a line number. */

typedef enum format { FORMAT_JSONL, FORMAT_LINES } format;

struct sw_decoder {
    format kind;             /* which format */
    const sw_schema *schema; /* of the rows; NULL: maps */
    const char *time_field;  /* or NULL; the caller's */
    int64_t max_ahead_ms;    /* event times further ahead are malformed; 0: no bound */
    int64_t now_ms;          /* the clock at the last tick */
    sw_clock *clock;         /* the engine's */
    sw_json_decoder *json;   /* of jsonl; owned */
    int line_index;          /* of lines with a schema: the field `line`; -1 without */
    sw_buf padded;           /* copy of a piece without padding */
};

struct sw_encoder {
    format kind;          /* which format */
    sw_json_encoder json; /* of jsonl */
};

static int parse_format(const char *name, format *out, sw_error *err)
{
    if (strcmp(name, "jsonl") == 0) {
        *out = FORMAT_JSONL;
    } else if (strcmp(name, "lines") == 0) {
        *out = FORMAT_LINES;
    } else {
        return sw_error_set(err, SW_EINVAL, "unknown format \"%s\": expected \"jsonl\" or \"lines\"", name);
    }
    return SW_OK;
}

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

/* --- decoding ------------------------------------------------------------------------------------- */

static int check_lines(sw_decoder *d, sw_error *err)
{
    if (d->time_field != NULL)
        return sw_error_set(err, SW_EINVAL, "format \"lines\" has no time field \"%s\": its only field is \"line\"",
                            d->time_field);
    if (d->schema == NULL) return SW_OK;
    d->line_index = sw_schema_find(d->schema, LINE_FIELD, LINE_FIELD_LEN);
    if (d->line_index >= 0 && d->schema->fields[d->line_index].type != SW_TYPE_STRING)
        return sw_error_set(err, SW_EINVAL, "field \"line\" of format \"lines\" is a string, but the schema says %s",
                            sw_type_name(d->schema->fields[d->line_index].type));
    return SW_OK;
}

int sw_decoder_new(sw_decoder **out, const char *name, const sw_source_context *context, sw_error *err)
{
    format kind = FORMAT_JSONL;
    int rc = parse_format(name, &kind, err);
    if (rc != SW_OK) return rc;
    sw_decoder *d = sw_calloc(1, sizeof(*d));
    if (d == NULL) return out_of_memory(err);
    d->kind = kind;
    d->schema = context->schema;
    d->time_field = context->time_field;
    d->max_ahead_ms = context->max_ahead_ms;
    d->clock = context->clock;
    d->line_index = -1;
    if (kind == FORMAT_LINES) {
        rc = check_lines(d, err);
    } else {
        rc = sw_json_decoder_new(&d->json, d->schema, d->time_field, err);
    }
    if (rc != SW_OK) goto free_decoder;
    sw_decoder_tick(d);
    *out = d;
    return SW_OK;

free_decoder:
    sw_decoder_free(d);
    return rc;
}

void sw_decoder_free(sw_decoder *decoder)
{
    if (decoder == NULL) return;
    sw_json_decoder_free(decoder->json);
    sw_buf_deinit(&decoder->padded);
    sw_free(decoder);
}

void sw_decoder_tick(sw_decoder *decoder)
{
    decoder->now_ms = sw_clock_wall_ms(decoder->clock);
}

/* Cuts to the limit, and does not cut a UTF-8 character in two. */
static uint32_t raw_len(const sw_piece *piece)
{
    if (piece->len <= SW_MALFORMED_RAW_MAX) return (uint32_t)piece->len;
    uint32_t len = SW_MALFORMED_RAW_MAX;
    for (int i = 0; i < 3 && ((uint8_t)piece->text[len] & 0xc0) == 0x80; i++) len--;
    return len;
}

int sw_decoder_reject(sw_decoder *d, const sw_piece *piece, const char *reason, sw_batch *out, sw_error *err)
{
    char where[WHERE_MAX];
    int where_len = snprintf(where, sizeof(where), "%s:%" PRIu64, piece->origin, piece->line);
    if (where_len >= (int)sizeof(where)) where_len = (int)sizeof(where) - 1;
    uint32_t raw = raw_len(piece);
    size_t reason_len = strlen(reason);
    uint32_t room = (uint32_t)(sizeof(sw_row) + 64 + raw + reason_len + (size_t)where_len);
    sw_row *row = sw_batch_reserve(out, room);
    if (row == NULL) return out_of_memory(err);
    memset(row, 0, sizeof(*row));
    row->kind = SW_ROW_MALFORMED;
    row->time = d->now_ms;
    uint8_t *p = sw_mp_map_header(sw_row_body(row), 3);
    p = sw_mp_str(p, "raw", 3);
    p = sw_mp_str(p, piece->text, raw);
    p = sw_mp_str(p, "error", 5);
    p = sw_mp_str(p, reason, (uint32_t)reason_len);
    p = sw_mp_str(p, "where", 5);
    p = sw_mp_str(p, where, (uint32_t)where_len);
    row->body_len = (uint32_t)(p - sw_row_body(row));
    sw_batch_commit(out, sw_row_size(row->body_len, 0));
    return SW_OK;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n') return false;
    return true;
}

/* The piece's text where the JSON decoder may read behind it: in place when there is padding and nothing
 * behind the text that could be taken for a part of it. NULL when memory is out. */
static const uint8_t *padded_text(sw_decoder *d, const sw_piece *piece)
{
    if (piece->padding >= SW_JSON_PADDING && (uint8_t)piece->text[piece->len] < ' ')
        return (const uint8_t *)piece->text;
    sw_buf_clear(&d->padded);
    if (sw_buf_reserve(&d->padded, piece->len + SW_JSON_PADDING) != SW_OK) return NULL;
    if (piece->len > 0) memcpy(d->padded.data, piece->text, piece->len);
    memset(d->padded.data + piece->len, 0, SW_JSON_PADDING);
    return d->padded.data;
}

/* Takes the row behind `size` away again. */
static void take_back(sw_batch *out, uint32_t size)
{
    out->size = size;
    out->count--;
}

static int check_ahead(const sw_decoder *d, int64_t time, sw_error *why)
{
    int64_t ahead = 0;
    if (d->max_ahead_ms <= 0) return SW_OK;
    if (!__builtin_sub_overflow(time, d->now_ms, &ahead) && ahead <= d->max_ahead_ms) return SW_OK;
    if (time < 0) return SW_OK; /* The difference overflowed on the other side. */
    return sw_error_set(why, SW_EFORMAT, "time field \"%s\" is more than %" PRId64 " ms ahead of the clock",
                        d->time_field, d->max_ahead_ms);
}

static int decode_json(sw_decoder *d, const sw_piece *piece, sw_batch *out, sw_error *err)
{
    sw_error why;
    uint32_t before = out->size;
    if (is_blank(piece->text, piece->len)) return SW_OK;
    const uint8_t *text = padded_text(d, piece);
    if (text == NULL) return out_of_memory(err);
    int rc = sw_json_decode(d->json, text, piece->len, out, &why);
    if (rc == SW_ENOMEM) return out_of_memory(err);
    if (rc != SW_OK) return sw_decoder_reject(d, piece, why.text, out, err);
    sw_row *row = (sw_row *)(void *)(out->data + before);
    if (d->time_field == NULL) {
        row->time = d->now_ms;
    } else if (check_ahead(d, row->time, &why) != SW_OK) {
        take_back(out, before);
        return sw_decoder_reject(d, piece, why.text, out, err);
    }
    return SW_OK;
}

static size_t decode_plain(sw_decoder *d, const char *text, size_t max_len, sw_batch *out)
{
    uint32_t before = out->size;
    size_t size = sw_json_decode_plain(d->json, (const uint8_t *)text, max_len, out);
    if (size == 0) return 0;
    sw_row *row = (sw_row *)(void *)(out->data + before);
    if (d->time_field == NULL) {
        row->time = d->now_ms;
    } else if (check_ahead(d, row->time, NULL) != SW_OK) {
        take_back(out, before);
        return 0;
    }
    return size;
}

static uint32_t write_line_record(const sw_decoder *d, const sw_piece *piece, sw_row *row)
{
    uint32_t fixed = d->schema->fixed_size;
    memset(sw_row_body(row), 0, fixed);
    row->schema = d->schema->id;
    if (d->line_index < 0) return fixed;
    unsigned at = (unsigned)d->line_index;
    sw_row_presence(row)[at / 64] |= UINT64_C(1) << (at % 64);
    sw_slot *slot = &sw_row_slots(row, d->schema)[at];
    slot->s.off = (uint32_t)(sizeof(*row) + fixed);
    slot->s.len = (uint32_t)piece->len;
    memcpy((uint8_t *)row + slot->s.off, piece->text, piece->len);
    return fixed + (uint32_t)piece->len;
}

static uint32_t write_line_map(const sw_piece *piece, sw_row *row)
{
    uint8_t *p = sw_mp_map_header(sw_row_body(row), 1);
    p = sw_mp_str(p, LINE_FIELD, LINE_FIELD_LEN);
    p = sw_mp_str(p, piece->text, (uint32_t)piece->len);
    return (uint32_t)(p - sw_row_body(row));
}

static int decode_line(sw_decoder *d, const sw_piece *piece, sw_batch *out, sw_error *err)
{
    uint64_t fixed = sizeof(sw_row) + 64 + (d->schema != NULL ? d->schema->fixed_size : 0);
    if (piece->len > SW_ROW_BYTES_MAX - fixed) return sw_decoder_reject(d, piece, "the line is too large", out, err);
    sw_row *row = sw_batch_reserve(out, (uint32_t)(fixed + piece->len));
    if (row == NULL) return out_of_memory(err);
    memset(row, 0, sizeof(*row));
    row->time = d->now_ms;
    row->body_len = d->schema != NULL ? write_line_record(d, piece, row) : write_line_map(piece, row);
    sw_batch_commit(out, sw_row_size(row->body_len, 0));
    return SW_OK;
}

int sw_decoder_decode(sw_decoder *d, const sw_piece *piece, sw_batch *out, sw_error *err)
{
    return d->kind == FORMAT_LINES ? decode_line(d, piece, out, err) : decode_json(d, piece, out, err);
}

void sw_decoder_look_ahead(sw_decoder *d, const char *text, size_t len)
{
    if (d->kind == FORMAT_JSONL) sw_json_look_ahead(d->json, (const uint8_t *)text, len);
}

size_t sw_decoder_decode_plain(sw_decoder *d, const char *text, size_t max_len, sw_batch *out)
{
    return d->kind == FORMAT_JSONL ? decode_plain(d, text, max_len, out) : 0;
}

/* --- encoding ------------------------------------------------------------------------------------- */

int sw_encoder_new(sw_encoder **out, const char *name, sw_error *err)
{
    format kind = FORMAT_JSONL;
    int rc = parse_format(name, &kind, err);
    if (rc != SW_OK) return rc;
    sw_encoder *e = sw_calloc(1, sizeof(*e));
    if (e == NULL) return out_of_memory(err);
    e->kind = kind;
    sw_json_encoder_init(&e->json);
    *out = e;
    return SW_OK;
}

void sw_encoder_free(sw_encoder *encoder)
{
    if (encoder == NULL) return;
    sw_json_encoder_deinit(&encoder->json);
    sw_free(encoder);
}

/* The bytes of the row's field `line`, or NULL when it has none or it is no string. */
static const char *line_of_record(const sw_row *row, uint32_t *len)
{
    const sw_schema *schema = sw_schema_get(row->schema);
    SW_ASSERT(schema != NULL);
    int at = sw_schema_find(schema, LINE_FIELD, LINE_FIELD_LEN);
    if (at < 0 || schema->fields[at].type != SW_TYPE_STRING || !sw_row_has(row, (unsigned)at)) return NULL;
    const sw_slot *slot = &sw_row_slots(row, schema)[at];
    *len = slot->s.len;
    return sw_row_string(row, slot);
}

static const char *line_of_map(const sw_row *row, uint32_t *len)
{
    const uint8_t *p = sw_row_body(row);
    const uint8_t *end = p + row->body_len;
    sw_mp_value v;
    p = sw_mp_read(p, end, &v);
    uint32_t count = p != NULL && v.kind == SW_MP_KIND_MAP ? v.len : 0;
    for (uint32_t i = 0; i < count && p != NULL; i++) {
        p = sw_mp_read(p, end, &v);
        if (p == NULL) return NULL;
        bool is_line = v.kind == SW_MP_KIND_STR && v.len == LINE_FIELD_LEN && memcmp(v.bytes, LINE_FIELD, v.len) == 0;
        const uint8_t *value = p;
        p = sw_mp_skip(p, end);
        if (!is_line || p == NULL) continue;
        sw_mp_read(value, end, &v);
        *len = v.len;
        return v.kind == SW_MP_KIND_STR ? v.bytes : NULL;
    }
    return NULL;
}

static int encode_line(const sw_row *row, sw_buf *out, sw_error *err)
{
    uint32_t len = 0;
    const char *line = row->schema != 0 ? line_of_record(row, &len) : line_of_map(row, &len);
    if (line == NULL) return sw_error_set(err, SW_EFORMAT, "format \"lines\" needs a string in field \"line\"");
    if (memchr(line, '\n', len) != NULL) return sw_error_set(err, SW_EFORMAT, "field \"line\" holds a line break");
    if (sw_buf_reserve(out, (size_t)len + 1) != SW_OK) return out_of_memory(err);
    memcpy(out->data + out->size, line, len);
    out->data[out->size + len] = '\n';
    out->size += (size_t)len + 1;
    return SW_OK;
}

static int encode_json(sw_encoder *e, const sw_row *row, sw_buf *out, sw_error *err)
{
    size_t before = out->size;
    int rc = sw_json_encode(&e->json, row, out, err);
    if (rc != SW_OK) return rc;
    if (sw_buf_append(out, "\n", 1) == SW_OK) return SW_OK;
    out->size = before;
    return out_of_memory(err);
}

int sw_encoder_encode(sw_encoder *e, const sw_row *row, sw_buf *out, sw_error *err)
{
    return e->kind == FORMAT_LINES ? encode_line(row, out, err) : encode_json(e, row, out, err);
}
