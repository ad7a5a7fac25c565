/* pack.h -- msgpack: the body of rows without a schema, state at rest, and what keys are made of.
 *
 *     bytes --sw_pack_check--> known to be sound --sw_pack_next, next, ...--> items, in place
 *     values --sw_pack_i64, str, map, ...--> sw_buf
 *
 * The writer takes the shortest form of integers, lengths and counts, byte for byte that of msgpack-c; a double is
 * always a float64. The reader takes every form but extension types, and float32 as double. It never reads outside the
 * bytes it was given, whatever they hold: sw_pack_check serves to refuse bad input early, and to bound its depth.
 *
 * Ownership  Items point into the bytes that are read.
 * Threads    Pure functions on the caller's data.
 * Limits     Depth as given, at most SW_PACK_DEPTH_LIMIT; texts and counts below 2^32. */
#ifndef SW_STATE_PACK_H
#define SW_STATE_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "state/row.h"

#define SW_PACK_DEPTH 24       /* arrays and maps within each other in events and state; a scalar has depth 0 */
#define SW_PACK_DEPTH_LIMIT 64 /* the most that sw_pack_check can be asked for */

typedef enum sw_pack_type {
    SW_PACK_NIL,
    SW_PACK_BOOL,
    SW_PACK_I64,
    SW_PACK_U64, /* only above INT64_MAX */
    SW_PACK_F64,
    SW_PACK_STR,
    SW_PACK_BIN,
    SW_PACK_ARRAY,
    SW_PACK_MAP,
} sw_pack_type;

typedef struct sw_pack_item {
    sw_pack_type type; /* says which of the rest is set */
    uint32_t count;    /* str, bin: bytes; array: elements; map: pairs */
    union {
        int64_t i;            /* bool (0, 1), i64 */
        uint64_t u;           /* u64 */
        double f;             /* f64 */
        const uint8_t *bytes; /* str, bin: the text; array, map: the first element or key */
    } v;
} sw_pack_item;

typedef struct sw_pack_reader {
    const uint8_t *p;   /* next byte */
    const uint8_t *end; /* behind the last */
} sw_pack_reader;

/* "nil", "bool", "i64", "u64", "f64", "string", "binary", "array", "map". */
const char *sw_pack_type_name(sw_pack_type type);

/* SW_OK when the bytes are exactly one value, no deeper than depth_max; SW_EFORMAT, SW_ELIMIT for its depth (err has
 * the offset). */
int sw_pack_check(const uint8_t *bytes, size_t len, unsigned depth_max, sw_error *err);

/* Reads a scalar or the head of an array or map, whose elements follow as items of their own. SW_OK; SW_EEMPTY at the
 * end; SW_EFORMAT (cut short, an extension, or more elements than bytes left), and the reader stays where it was. */
int sw_pack_next(sw_pack_reader *reader, sw_pack_item *item);

/* Goes over one whole value. Codes as sw_pack_next; the reader stays unless SW_OK. */
int sw_pack_skip(sw_pack_reader *reader);

/* The value of the first pair of this map whose key is the string `name`. SW_OK, SW_ENOTFOUND, SW_EFORMAT. */
int sw_pack_find(const uint8_t *map, size_t len, const char *name, uint32_t name_len, sw_pack_item *out);

/* Writers: SW_OK, or SW_ENOMEM with the buffer as it was. */
int sw_pack_nil(sw_buf *out);
int sw_pack_bool(sw_buf *out, int value);
int sw_pack_i64(sw_buf *out, int64_t value);
int sw_pack_u64(sw_buf *out, uint64_t value);
int sw_pack_f64(sw_buf *out, double value);
int sw_pack_str(sw_buf *out, const char *bytes, uint32_t len);
int sw_pack_array(sw_buf *out, uint32_t count); /* the head; then write the elements */
int sw_pack_map(sw_buf *out, uint32_t pairs);   /* the head; then write key, value, key, value */

/* Appends a record row's body as a map: absent fields are left out, the others in the schema's order. SW_OK,
 * SW_ENOMEM. */
int sw_pack_from_record(const sw_row *row, const sw_schema *schema, sw_buf *out);

/* Adds to `out` a record row made from the map, its header zero but for lengths and schema: the caller sets the
 * time. Fields with nil are absent. i64 takes integers and doubles with an integral value, time integers, f64 any
 * number, string str and bin. SW_ETYPE (err names field, expected and found type) for another type or a field that
 * the schema lacks; SW_EFORMAT, SW_ELIMIT, SW_ENOMEM. */
int sw_record_from_pack(const uint8_t *map, size_t len, const sw_schema *schema, sw_batch *out, sw_error *err);

/* The same of what the schema names: other fields are passed over, as a source does. */
int sw_record_of_pack(const uint8_t *map, size_t len, const sw_schema *schema, sw_batch *out, sw_error *err);

#endif
