/* schema.h -- the fixed layout of a record: which fields, of which type, in which slot.
 *
 *     body of a record row:
 *     [ presence words: 1 bit a field ][ slot 0 ][ slot 1 ] ... [ slot n-1 ][ string bytes ... ]
 *
 * Every slot is 8 bytes: i64 and time as int64_t, f64 as double, bool as 0 or 1, a string as
 * { uint32_t offset from the start of the row, uint32_t length }. A field whose presence bit is 0 is nil.
 * Field i's bit is bit (i % 64) of presence word (i / 64). Fields are in the order of their declaration.
 *
 * Schemas are interned process-wide: the same fields in the same order give the same id in every Lua state and
 * thread, so a row can name its layout by a 16-bit id. Id 0 is no schema: the row's body is a msgpack map.
 *
 * Ownership  The registry owns every schema and never frees one.
 * Threads    sw_schema_intern locks; sw_schema_get is lock-free and may be called from any thread.
 * Limits     SW_SCHEMA_MAX schemas, SW_SCHEMA_FIELDS_MAX fields each. */
#ifndef SW_STATE_SCHEMA_H
#define SW_STATE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SW_SCHEMA_MAX 4096
#define SW_SCHEMA_FIELDS_MAX 1024
#define SW_SCHEMA_NAME_MAX 65535 /* bytes of a field's name */

typedef enum sw_type { SW_TYPE_I64 = 1, SW_TYPE_F64, SW_TYPE_BOOL, SW_TYPE_TIME, SW_TYPE_STRING } sw_type;

typedef struct sw_field {
    char *name;        /* NUL-terminated; may hold any bytes but NUL */
    uint32_t name_len; /* bytes */
    sw_type type;      /* of the slot */
    char *json_key;    /* `"name":` escaped, ready to be copied into JSON output */
    uint32_t json_len; /* bytes of json_key */
} sw_field;

typedef struct sw_schema {
    uint16_t id;             /* 1.. */
    uint16_t count;          /* fields */
    uint16_t presence_words; /* uint64_t words before the slots: (count + 63) / 64, at least 1 */
    uint32_t fixed_size;     /* bytes of presence words and slots */
    sw_field *fields;        /* count of them */
} sw_schema;

/* Finds or makes the schema with these fields. SW_EINVAL for none, too many, a duplicate or overlong name or a bad
 * type; SW_ELIMIT when the registry is full; SW_ENOMEM. */
int sw_schema_intern(const char *const *names, const sw_type *types, size_t count, const sw_schema **out,
                     sw_error *err);

/* The schema of an id that sw_schema_intern gave out; NULL for 0 and unknown ids. */
const sw_schema *sw_schema_get(uint16_t id);

/* Index of the field called name, or -1. */
int sw_schema_find(const sw_schema *schema, const char *name, size_t name_len);

/* "i64", "f64", "bool", "time", "string" -> type, or 0. */
sw_type sw_type_parse(const char *text);
const char *sw_type_name(sw_type type);

#endif
