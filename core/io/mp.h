/* mp.h -- msgpack written at a pointer, for codecs that have reserved the room beforehand.
 *
 * Every value takes its shortest form, as key.h and the rest of the engine expect of msgpack.
 *
 * Threads    pure functions.
 * Limits     a number or header is at most SW_MP_HEADER_MAX bytes. */
#ifndef SW_IO_MP_H
#define SW_IO_MP_H

#include <stdint.h>
#include <string.h>

#define SW_MP_HEADER_MAX 9

#define SW_MP_NIL 0xc0
#define SW_MP_FALSE 0xc2
#define SW_MP_TRUE 0xc3

/* A type byte and the low `bytes` bytes of value, big-endian. */
static inline uint8_t *sw_mp_tagged(uint8_t *p, uint8_t type, uint64_t value, unsigned bytes)
{
    uint64_t big = __builtin_bswap64(value << (64 - 8 * bytes));
    *p++ = type;
    memcpy(p, &big, bytes);
    return p + bytes;
}

/* Writes to SW_MP_HEADER_MAX bytes, however few it takes. */
static inline uint8_t *sw_mp_u64(uint8_t *p, uint64_t v)
{
    if (v < 0x80) {
        *p++ = (uint8_t)v;
        return p;
    }
    unsigned log2 = (v > UINT8_MAX) + (v > UINT16_MAX) + (v > UINT32_MAX), bytes = 1u << log2;
    uint64_t big = __builtin_bswap64(v << (64 - 8 * bytes));
    *p++ = (uint8_t)(0xcc + log2);
    memcpy(p, &big, sizeof(big));
    return p + bytes;
}

static inline uint8_t *sw_mp_i64(uint8_t *p, int64_t v)
{
    if (v >= 0) return sw_mp_u64(p, (uint64_t)v);
    if (v >= -32) {
        *p++ = (uint8_t)v;
        return p;
    }
    if (v >= INT8_MIN) return sw_mp_tagged(p, 0xd0, (uint64_t)v, 1);
    if (v >= INT16_MIN) return sw_mp_tagged(p, 0xd1, (uint64_t)v, 2);
    if (v >= INT32_MIN) return sw_mp_tagged(p, 0xd2, (uint64_t)v, 4);
    return sw_mp_tagged(p, 0xd3, (uint64_t)v, 8);
}

static inline uint8_t *sw_mp_f64(uint8_t *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return sw_mp_tagged(p, 0xcb, bits, 8);
}

static inline unsigned sw_mp_str_header_size(uint64_t len)
{
    return len < 32 ? 1 : len <= UINT8_MAX ? 2 : len <= UINT16_MAX ? 3 : 5;
}

static inline uint8_t *sw_mp_str_header(uint8_t *p, uint32_t len)
{
    if (len < 32) {
        *p++ = (uint8_t)(0xa0 | len);
        return p;
    }
    if (len <= UINT8_MAX) return sw_mp_tagged(p, 0xd9, len, 1);
    if (len <= UINT16_MAX) return sw_mp_tagged(p, 0xda, len, 2);
    return sw_mp_tagged(p, 0xdb, len, 4);
}

static inline uint8_t *sw_mp_str(uint8_t *p, const void *bytes, uint32_t len)
{
    p = sw_mp_str_header(p, len);
    memcpy(p, bytes, len);
    return p + len;
}

static inline unsigned sw_mp_count_header_size(uint32_t count)
{
    return count < 16 ? 1 : count <= UINT16_MAX ? 3 : 5;
}

/* Headers of count members or elements. */
static inline uint8_t *sw_mp_map_header(uint8_t *p, uint32_t count)
{
    if (count < 16) {
        *p++ = (uint8_t)(0x80 | count);
        return p;
    }
    if (count <= UINT16_MAX) return sw_mp_tagged(p, 0xde, count, 2);
    return sw_mp_tagged(p, 0xdf, count, 4);
}

static inline uint8_t *sw_mp_array_header(uint8_t *p, uint32_t count)
{
    if (count < 16) {
        *p++ = (uint8_t)(0x90 | count);
        return p;
    }
    if (count <= UINT16_MAX) return sw_mp_tagged(p, 0xdc, count, 2);
    return sw_mp_tagged(p, 0xdd, count, 4);
}

#endif
