/* row.h -- one event (or control item) as it lies in a batch: a header, a body, and the encoded key behind it.
 *
 *     [ sw_row header, 48 bytes ][ body: record or msgpack map ][ key bytes ][ padding to 8 ]
 *
 * The body is a record (schema.h) when `schema` is not 0, else one msgpack map. The key is the canonical encoding of
 * key.h, present on rows that travel to a keyed component. Rows hold no pointers: they can be copied with memcpy,
 * between threads, and to disk.
 *
 * Where a job acknowledges events, those in channels end in an anchor (run/ack.h), which is part of `len`.
 *
 * Ownership  A row belongs to the batch or buffer it lies in.
 * Threads    Plain data.
 * Limits     A row is at most SW_ROW_BYTES_MAX. */
#ifndef SW_STATE_ROW_H
#define SW_STATE_ROW_H

#include <stdint.h>
#include <string.h>

#include "state/schema.h"

#define SW_ROW_BYTES_MAX (256u << 20)
#define SW_TIME_MIN INT64_MIN /* the watermark before any event */
#define SW_TIME_MAX INT64_MAX /* the watermark after the last */

typedef enum sw_row_kind {
    SW_ROW_EVENT = 0, /* an event */
    SW_ROW_MALFORMED =
        1, /* input that did not parse: a map { raw, error, where }; only between a source and its task */
    SW_ROW_WATERMARK = 2, /* carries only `wm` */
    SW_ROW_CONTROL = 3,   /* a control item of the coordinator: body is its 64-bit id; closes its batch */
    SW_ROW_END = 4,       /* nothing follows on this channel; closes its batch */
    SW_ROW_IDLE = 5,      /* body is a sw_idle: whether the sender holds watermarks back */
} sw_row_kind;

typedef struct sw_row {
    int64_t time;      /* event time, epoch ms */
    int64_t wm;        /* watermark in force before this row on this channel, epoch ms */
    uint64_t hash;     /* sw_hash of the key bytes; 0 without a key */
    uint32_t len;      /* bytes of the whole row, a multiple of 8 */
    uint32_t body_len; /* bytes of the body, without padding */
    uint32_t key_len;  /* bytes of the key; 0 without */
    uint32_t stamp;    /* engine clock when the event was taken in, us, wrapping: for latency */
    uint16_t schema;   /* layout of the body; 0: msgpack map */
    uint8_t kind;      /* sw_row_kind */
    uint8_t flags;     /* SW_ROW_... below */
    uint32_t reserved; /* 0 */
} sw_row;

#define SW_ROW_ALTERED 1u /* strings were set in place: only inside a task, where Lua has them */
#define SW_ROW_PLAIN 2u   /* a record whose fields are all there, its integers within 2^53; 0 says nothing */
/* What an event descends from, behind its row in a channel. */
typedef struct sw_anchor {
    uint64_t root; /* names a node of run/ack.h; 0: nothing */
    uint64_t edge; /* random bits that stand for this row */
} sw_anchor;

typedef union sw_slot {
    int64_t i; /* i64, time, bool */
    double f;  /* f64 */
    struct {
        uint32_t off, len;
    } s; /* string: offset from the start of the row */
} sw_slot;

static inline uint8_t *sw_row_body(const sw_row *row)
{
    return (uint8_t *)(uintptr_t)(row + 1);
}
static inline uint8_t *sw_row_key(const sw_row *row)
{
    return sw_row_body(row) + row->body_len;
}
static inline sw_row *sw_row_next(const sw_row *row)
{
    return (sw_row *)(uintptr_t)((const uint8_t *)row + row->len);
}
static inline uint32_t sw_row_size(uint32_t body_len, uint32_t key_len)
{
    return (uint32_t)((sizeof(sw_row) + body_len + key_len + 7u) & ~7u);
}
static inline sw_anchor *sw_row_anchor(const sw_row *row)
{
    return (sw_anchor *)(uintptr_t)((const uint8_t *)row + row->len) - 1;
}
static inline uint64_t *sw_row_presence(const sw_row *row)
{
    return (uint64_t *)(uintptr_t)sw_row_body(row);
}
static inline sw_slot *sw_row_slots(const sw_row *row, const sw_schema *schema)
{
    return (sw_slot *)(uintptr_t)(sw_row_body(row) + 8u * schema->presence_words);
}
static inline int sw_row_has(const sw_row *row, unsigned field)
{
    return (int)((sw_row_presence(row)[field / 64] >> (field % 64)) & 1u);
}
static inline const char *sw_row_string(const sw_row *row, const sw_slot *slot)
{
    return (const char *)row + slot->s.off;
}

/* A growable run of rows, one behind the other, each 8-byte aligned. */
typedef struct sw_batch {
    uint8_t *data;  /* owned */
    uint32_t size;  /* bytes used */
    uint32_t cap;   /* bytes allocated */
    uint32_t count; /* rows */
} sw_batch;

void sw_batch_init(sw_batch *batch);
void sw_batch_deinit(sw_batch *batch);

/* Forgets the rows and keeps the memory, unless one huge row made it large. */
void sw_batch_clear(sw_batch *batch);

/* As sw_batch_reserve, where there may be no room yet. */
sw_row *sw_batch_reserve_more(sw_batch *batch, uint32_t len);

/* Room for a row of `len` bytes behind the last one, 8-aligned and not zeroed; it counts once sw_batch_commit is called
 * with its final length (not more than reserved), which commit rounds up to 8 and stores in row->len. Earlier rows
 * may move. NULL when out of memory or over the limit. */
static inline sw_row *sw_batch_reserve(sw_batch *batch, uint32_t len)
{
    if (len > batch->cap - batch->size || len > SW_ROW_BYTES_MAX) return sw_batch_reserve_more(batch, len);
    return (sw_row *)(void *)(batch->data + batch->size); /* size and cap are multiples of 8. */
}

static inline void sw_batch_commit(sw_batch *batch, uint32_t len)
{
    sw_row *row = (sw_row *)(void *)(batch->data + batch->size);
    uint32_t aligned = (len + 7u) & ~7u;
    SW_ASSERT(len >= sizeof(sw_row) && aligned <= batch->cap - batch->size);
    if (aligned != len) memset((uint8_t *)row + len, 0, aligned - len);
    row->len = aligned;
    batch->size += aligned;
    batch->count++;
}

/* Copies a row in; it must not lie in this batch. SW_OK, SW_ENOMEM. */
int sw_batch_append(sw_batch *batch, const sw_row *row);

#endif
