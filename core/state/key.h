/* key.h -- the canonical bytes of a key: equal keys, equal bytes.
 *
 * A key is nil, a boolean, a number, a string, or a list of these (a key of several fields). Its bytes are msgpack in
 * its shortest form: integers in the smallest integer type; a double with an integral value inside int64/uint64 as
 * that integer (so 1, 1.0 and int64 1 are one key; -0.0 is 0), other doubles as float64; strings as str; a list as an
 * array. NaN is no key. Grouping, state tables and timers know keys only in this form.
 *
 * Key groups: group = hash % SW_KEY_GROUPS; instance = group * parallelism / SW_KEY_GROUPS. The number is fixed,
 * so that state can be shared out again at another parallelism.
 *
 * Threads    Pure functions. */
#ifndef SW_STATE_KEY_H
#define SW_STATE_KEY_H

#include <stdint.h>

#include "base/buf.h"
#include "state/row.h"

#define SW_KEY_GROUPS 128
#define SW_KEY_BYTES_MAX 65535

/* Writers append one value's canonical form to `out`. SW_OK, SW_ENOMEM; sw_key_f64 SW_EINVAL for NaN. */
int sw_key_nil(sw_buf *out);
int sw_key_bool(sw_buf *out, int value);
int sw_key_i64(sw_buf *out, int64_t value);
int sw_key_u64(sw_buf *out, uint64_t value);
int sw_key_f64(sw_buf *out, double value);
int sw_key_str(sw_buf *out, const char *bytes, uint32_t len);
int sw_key_list(sw_buf *out, uint32_t count); /* the header; then write the elements */

/* Replaces `out` by the key made of these fields of an event row: one field gives the value itself, more give a list;
 * an absent field is nil. Rows of both shapes (a record's slots, or top-level entries of the msgpack map, normalised
 * to the canonical form). Names are given for maps, indexes (in the row's schema) are looked up from names and cached
 * in `fields`. SW_ETYPE when a field holds a table or NaN (err names the field); SW_ELIMIT over SW_KEY_BYTES_MAX. */
typedef struct sw_key_fields {
    uint32_t count;         /* fields */
    const char **names;     /* owned by the caller */
    uint32_t *name_lens;    /* bytes */
    uint16_t cached_schema; /* the schema `indexes` are for; 0 none */
    int *indexes;           /* field index in cached_schema, -1 where it lacks the field; caller allocates count ints */
} sw_key_fields;
int sw_key_from_row(sw_key_fields *fields, const sw_row *row, sw_buf *out, sw_error *err);

/* Replaces `out` by the key that this msgpack value is: a scalar, or a list of scalars. SW_ETYPE for any other,
 * SW_EINVAL for NaN, SW_ELIMIT over SW_KEY_BYTES_MAX, SW_EFORMAT, SW_ENOMEM. */
int sw_key_from_pack(const uint8_t *bytes, size_t len, sw_buf *out);

static inline uint32_t sw_key_group(uint64_t hash)
{
    return (uint32_t)(hash % SW_KEY_GROUPS);
}
static inline uint32_t sw_key_instance(uint64_t hash, uint32_t parallelism)
{
    return sw_key_group(hash) * parallelism / SW_KEY_GROUPS;
}

#endif
