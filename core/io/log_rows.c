#include "io/log_rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "state/pack.h"

static int check_time_field(const sw_log_rows *rows, sw_error *err)
{
    if (rows->schema == NULL || rows->time_field == NULL) return SW_OK;
    int index = sw_schema_find(rows->schema, rows->time_field, strlen(rows->time_field));
    if (index < 0) return sw_error_set(err, SW_EINVAL, "the schema lacks the time field \"%s\"", rows->time_field);
    sw_type type = rows->schema->fields[index].type;
    if (type == SW_TYPE_TIME || type == SW_TYPE_I64 || type == SW_TYPE_F64) return SW_OK;
    return sw_error_set(err, SW_EINVAL, "the time field \"%s\" has type %s in the schema: expected time, i64 or f64",
                        rows->time_field, sw_type_name(type));
}

int sw_log_rows_init(sw_log_rows *rows, const char *name, const sw_source_context *context, sw_error *err)
{
    *rows = (sw_log_rows){ .schema = context->schema,
                           .time_field = context->time_field,
                           .max_ahead_ms = context->max_ahead_ms,
                           .clock = context->clock,
                           .name = name };
    sw_json_encoder_init(&rows->json);
    sw_log_rows_tick(rows);
    return check_time_field(rows, err);
}

void sw_log_rows_deinit(sw_log_rows *rows)
{
    sw_json_encoder_deinit(&rows->json);
}

void sw_log_rows_tick(sw_log_rows *rows)
{
    rows->now_ms = sw_clock_wall_ms(rows->clock);
}

/* --- taking ------------------------------------------------------------------------------------------------------ */

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

/* Appends a row whose body is this map. */
static int take_map(const sw_evlog_record *record, sw_row_kind kind, sw_batch *out, sw_error *err)
{
    sw_row *row = sw_batch_reserve(out, sw_row_size(record->len, 0));
    if (row == NULL) return out_of_memory(err);
    memset(row, 0, sizeof(*row));
    row->time = record->time;
    row->kind = (uint8_t)kind;
    row->body_len = record->len;
    if (record->len > 0) memcpy(sw_row_body(row), record->body, record->len);
    sw_batch_commit(out, sw_row_size(record->len, 0));
    return SW_OK;
}

/* The record as JSON, or nothing where it has no such form. */
static int write_raw(sw_log_rows *rows, const sw_evlog_record *record, sw_buf *out, sw_error *err)
{
    sw_batch batch;
    sw_error why;
    sw_batch_init(&batch);
    int rc = take_map(record, SW_ROW_EVENT, &batch, err);
    if (rc == SW_OK && sw_json_encode(&rows->json, (const sw_row *)(const void *)batch.data, out, &why) == SW_ENOMEM)
        rc = out_of_memory(err);
    sw_batch_deinit(&batch);
    return rc;
}

static int put_text(sw_buf *out, const char *name, const char *text, size_t len)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    return rc == SW_OK ? sw_pack_str(out, text, (uint32_t)len) : rc;
}

/* Appends a MALFORMED row. */
static int reject(sw_log_rows *rows, const sw_evlog_record *record, const char *why, sw_batch *out, sw_error *err)
{
    char where[SW_EVLOG_NAME_MAX + 64];
    sw_buf raw = { 0 }, map = { 0 };
    snprintf(where, sizeof(where), "log %s#%" PRIu64, rows->name, record->number);
    int rc = write_raw(rows, record, &raw, err);
    if (rc == SW_OK) {
        rc = sw_pack_map(&map, 3);
        if (rc == SW_OK) rc = put_text(&map, "raw", raw.size > 0 ? (char *)raw.data : "", raw.size);
        if (rc == SW_OK) rc = put_text(&map, "error", why, strlen(why));
        if (rc == SW_OK) rc = put_text(&map, "where", where, strlen(where));
        if (rc != SW_OK) out_of_memory(err);
    }
    const sw_evlog_record malformed = { .time = rows->now_ms, .body = map.data, .len = (uint32_t)map.size };
    if (rc == SW_OK) rc = take_map(&malformed, SW_ROW_MALFORMED, out, err);
    sw_buf_deinit(&raw);
    sw_buf_deinit(&map);
    return rc;
}

/* SW_EFORMAT with the reason when the field is no time. */
static int time_of(const sw_log_rows *rows, const sw_evlog_record *record, int64_t *time, sw_error *why)
{
    sw_pack_item item;
    const char *field = rows->time_field;
    int rc = sw_pack_find(record->body, record->len, field, (uint32_t)strlen(field), &item);
    if (rc != SW_OK || item.type == SW_PACK_NIL)
        return sw_error_set(why, SW_EFORMAT, "time field \"%s\" is missing", field);
    bool is_whole =
        item.type == SW_PACK_F64 && item.v.f > -0x1p53 && item.v.f < 0x1p53 && (double)(int64_t)item.v.f == item.v.f;
    if (item.type == SW_PACK_I64) *time = item.v.i;
    else if (is_whole) *time = (int64_t)item.v.f;
    else if (item.type == SW_PACK_F64 || item.type == SW_PACK_U64)
        return sw_error_set(why, SW_EFORMAT, "time field \"%s\" is not a whole number of milliseconds", field);
    else return sw_error_set(why, SW_EFORMAT, "time field \"%s\" is not a number", field);
    int64_t ahead;
    if (rows->max_ahead_ms > 0 && *time > 0 &&
        (__builtin_sub_overflow(*time, rows->now_ms, &ahead) || ahead > rows->max_ahead_ms))
        return sw_error_set(why, SW_EFORMAT, "time field \"%s\" is more than %" PRId64 " ms ahead of the clock", field,
                            rows->max_ahead_ms);
    return SW_OK;
}

int sw_log_rows_take(sw_log_rows *rows, const sw_evlog_record *record, sw_batch *out, sw_error *err)
{
    sw_error why;
    uint32_t before = out->size;
    int64_t time = record->time;
    if (record->flags & SW_EVLOG_MALFORMED) return take_map(record, SW_ROW_MALFORMED, out, err);
    if (rows->time_field != NULL && time_of(rows, record, &time, &why) != SW_OK)
        return reject(rows, record, why.text, out, err);
    sw_evlog_record event = *record;
    event.time = time;
    if (rows->schema == NULL) return take_map(&event, SW_ROW_EVENT, out, err);
    int rc = sw_record_of_pack(record->body, record->len, rows->schema, out, &why);
    if (rc == SW_ENOMEM) return out_of_memory(err);
    if (rc != SW_OK) return reject(rows, record, why.text, out, err);
    ((sw_row *)(void *)(out->data + before))->time = time;
    return SW_OK;
}

/* --- giving ------------------------------------------------------------------------------------------------------ */

int sw_log_rows_give(const sw_row *row, sw_buf *scratch, sw_evlog_record *out, sw_error *err)
{
    *out = (sw_evlog_record){ .time = row->time,
                              .flags = row->kind == SW_ROW_MALFORMED ? SW_EVLOG_MALFORMED : 0,
                              .body = sw_row_body(row),
                              .len = row->body_len };
    if (row->schema == 0) return SW_OK;
    const sw_schema *schema = sw_schema_get(row->schema);
    SW_ASSERT(schema != NULL);
    sw_buf_clear(scratch);
    if (sw_pack_from_record(row, schema, scratch) != SW_OK) return out_of_memory(err);
    out->body = scratch->data;
    out->len = (uint32_t)scratch->size;
    return SW_OK;
}
