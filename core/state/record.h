/* record.h -- building a record row in a batch, field by field, without a copy.
 *
 *     begin --> [ header | presence | slots |          ]  set_i64, set_f64, ... fill slots,
 *               [ header | presence | slots | text text ]  set_string appends behind them --> finish commits
 *
 * For decoders: begin, some set_*, finish; a row begun and not finished leaves no trace in the batch. A field set twice
 * has the last value. Between begin and finish nobody else may touch the batch.
 *
 * Ownership  The row belongs to the batch.
 * Threads    One at a time.
 * Limits     A row of SW_ROW_BYTES_MAX. */
#ifndef SW_STATE_RECORD_H
#define SW_STATE_RECORD_H

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "state/row.h"

#define SW_RECORD_TEXT_ROOM 256u /* bytes reserved for strings at first */

typedef struct sw_record_builder {
    uint8_t *row;            /* the row under construction; moves when strings outgrow the batch */
    uint32_t len;            /* bytes used */
    uint32_t cap;            /* bytes reserved */
    uint32_t slots_off;      /* bytes from the row's start to its slots */
    sw_batch *batch;         /* in which it lies; the caller's */
    const sw_schema *schema; /* its layout */
} sw_record_builder;

/* Makes room for `len` bytes of text beyond those used. SW_OK; SW_ELIMIT for a row too large; SW_ENOMEM. */
int sw_record_grow(sw_record_builder *builder, uint32_t len);

/* SW_OK, SW_ENOMEM. */
static inline int sw_record_begin(sw_record_builder *builder, sw_batch *batch, const sw_schema *schema)
{
    uint32_t fixed = (uint32_t)sizeof(sw_row) + schema->fixed_size;
    uint8_t *row = (uint8_t *)sw_batch_reserve(batch, fixed + SW_RECORD_TEXT_ROOM);
    if (row == NULL) return SW_ENOMEM;
    memset(row, 0, fixed);
    *builder = (sw_record_builder){
        row, fixed, fixed + SW_RECORD_TEXT_ROOM, (uint32_t)sizeof(sw_row) + 8u * schema->presence_words, batch, schema
    };
    return SW_OK;
}

static inline sw_slot *sw_record_slot(const sw_record_builder *builder, uint32_t field)
{
    return (sw_slot *)(void *)(builder->row + builder->slots_off) + field;
}
static inline uint64_t *sw_record_presence(const sw_record_builder *builder, uint32_t field)
{
    return (uint64_t *)(void *)(builder->row + sizeof(sw_row)) + field / 64;
}

/* i64, time and bool (0 or 1) fields. */
static inline void sw_record_set_i64(sw_record_builder *builder, uint32_t field, int64_t value)
{
    sw_record_slot(builder, field)->i = value;
    *sw_record_presence(builder, field) |= (uint64_t)1 << (field % 64);
}
static inline void sw_record_set_bool(sw_record_builder *builder, uint32_t field, int value)
{
    sw_record_set_i64(builder, field, value != 0);
}
static inline void sw_record_set_f64(sw_record_builder *builder, uint32_t field, double value)
{
    sw_record_slot(builder, field)->f = value;
    *sw_record_presence(builder, field) |= (uint64_t)1 << (field % 64);
}
static inline void sw_record_set_nil(sw_record_builder *builder, uint32_t field)
{
    sw_record_slot(builder, field)->i = 0;
    *sw_record_presence(builder, field) &= ~((uint64_t)1 << (field % 64));
}

/* Copies the bytes (NULL is fine when len is 0). SW_OK, SW_ELIMIT, SW_ENOMEM. */
static inline int sw_record_set_string(sw_record_builder *builder, uint32_t field, const void *bytes, uint32_t len)
{
    if (len > builder->cap - builder->len) {
        int rc = sw_record_grow(builder, len);
        if (rc != SW_OK) return rc;
    }
    if (len > 0 && bytes != NULL) memcpy(builder->row + builder->len, bytes, len);
    sw_slot *slot = sw_record_slot(builder, field);
    slot->s.off = builder->len;
    slot->s.len = len;
    builder->len += len;
    *sw_record_presence(builder, field) |= (uint64_t)1 << (field % 64);
    return SW_OK;
}

/* Commits the row: an event with this time, without a key. It is the batch's last. */
static inline sw_row *sw_record_finish(sw_record_builder *builder, int64_t time)
{
    sw_row *row = (sw_row *)(void *)builder->row;
    row->time = time;
    row->body_len = builder->len - (uint32_t)sizeof(sw_row);
    row->schema = builder->schema->id;
    sw_batch_commit(builder->batch, builder->len);
    return row;
}

#endif
