/* mp_read.h -- msgpack read value by value from memory that need not be trusted.
 *
 * Ownership  A value's bytes lie in the memory that is read.
 * Threads    any. */
#ifndef SW_IO_MP_READ_H
#define SW_IO_MP_READ_H

#include <stddef.h>
#include <stdint.h>

typedef enum sw_mp_kind {
    SW_MP_KIND_NIL,
    SW_MP_KIND_BOOL,
    SW_MP_KIND_I64,
    SW_MP_KIND_U64, /* only what does not fit an int64 */
    SW_MP_KIND_F64,
    SW_MP_KIND_STR, /* str or bin */
    SW_MP_KIND_ARRAY,
    SW_MP_KIND_MAP,
    SW_MP_KIND_EXT,
} sw_mp_kind;

typedef struct sw_mp_value {
    sw_mp_kind kind; /* which of the values below */
    union {
        int64_t i;     /* also 0 / 1 of a bool */
        uint64_t u;    /* beyond int64 */
        double f;      /* float32 widened */
    } as;              /* a number or bool */
    uint32_t len;      /* bytes of a str; elements of an array; members of a map */
    const char *bytes; /* of a str */
} sw_mp_value;

/* As sw_mp_read, for what is neither a small number nor a short string. */
const uint8_t *sw_mp_read_long(const uint8_t *p, const uint8_t *end, sw_mp_value *out);

/* Reads the scalar or header at p; what an array or map holds follows behind it. Returns the end of it, or
 * NULL when it is no msgpack or goes beyond `end`. */
static inline const uint8_t *sw_mp_read(const uint8_t *p, const uint8_t *end, sw_mp_value *out)
{
    if (p < end && *p < 0x80) {
        out->kind = SW_MP_KIND_I64;
        out->as.i = *p;
        return p + 1;
    }
    if (p < end && (*p & 0xe0) == 0xa0 && (*p & 31) < end - p) {
        out->kind = SW_MP_KIND_STR;
        out->len = *p & 31;
        out->bytes = (const char *)p + 1;
        return p + 1 + out->len;
    }
    return sw_mp_read_long(p, end, out);
}

/* The end of the whole value at p; NULL as above. */
const uint8_t *sw_mp_skip(const uint8_t *p, const uint8_t *end);

/* The value of the member with this name of the map at `map`, *len bytes; NULL when there is none. */
const uint8_t *sw_mp_member(const uint8_t *map, const uint8_t *end, const char *name, size_t *len);

#endif
