#include "io/mp_read.h"

#include <string.h>

/* The big-endian number of n bytes at p. */
static inline uint64_t big_endian(const uint8_t *p, unsigned n)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (n) {
    case 1: return *p;
    case 2: memcpy(&two, p, 2); return __builtin_bswap16(two);
    case 4: memcpy(&four, p, 4); return __builtin_bswap32(four);
    case 8: memcpy(&eight, p, 8); return __builtin_bswap64(eight);
    default: return 0; /* No number. */
    }
}

static const uint8_t *take_bytes(const uint8_t *p, const uint8_t *end, uint64_t len, sw_mp_kind kind, sw_mp_value *out)
{
    if (len > (uint64_t)(end - p)) return NULL;
    out->kind = kind;
    out->len = (uint32_t)len;
    out->bytes = (const char *)p;
    return p + len;
}

static const uint8_t *take_count(const uint8_t *p, const uint8_t *end, uint64_t count, sw_mp_kind kind,
                                 sw_mp_value *out)
{
    if (count > (uint64_t)(end - p)) return NULL; /* Every element takes a byte at least. */
    out->kind = kind;
    out->len = (uint32_t)count;
    return p;
}

static const uint8_t *take_i64(const uint8_t *p, int64_t value, sw_mp_value *out)
{
    out->kind = SW_MP_KIND_I64;
    out->as.i = value;
    return p;
}

static const uint8_t *take_float(const uint8_t *p, uint64_t bits, unsigned size, sw_mp_value *out)
{
    uint32_t bits32 = (uint32_t)bits;
    float narrow;
    out->kind = SW_MP_KIND_F64;
    if (size == 8) {
        memcpy(&out->as.f, &bits, sizeof(bits));
    } else {
        memcpy(&narrow, &bits32, sizeof(narrow));
        out->as.f = narrow;
    }
    return p;
}

/* Bytes of the number behind type bytes 0xc0 to 0xdf: a length, a count, or the value. */
static const uint8_t argument_size[32] = {
    0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, /* nil .. uint64 */
    1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4, /* int8 .. map32 */
};

/* long: dispatch */
static const uint8_t *read_typed(uint8_t type, const uint8_t *p, const uint8_t *end, sw_mp_value *out)
{
    unsigned size = argument_size[type - 0xc0];
    if ((size_t)(end - p) < size) return NULL;
    uint64_t v = big_endian(p, size);
    p += size;
    switch (type) {
    case 0xc0: out->kind = SW_MP_KIND_NIL; return p;
    case 0xc2:
    case 0xc3:
        out->kind = SW_MP_KIND_BOOL;
        out->as.i = type == 0xc3;
        return p;
    case 0xc4:
    case 0xc5:
    case 0xc6: return take_bytes(p, end, v, SW_MP_KIND_STR, out);
    case 0xc7:
    case 0xc8:
    case 0xc9: return take_bytes(p, end, v + 1, SW_MP_KIND_EXT, out);
    case 0xca:
    case 0xcb: return take_float(p, v, size, out);
    case 0xcc:
    case 0xcd:
    case 0xce: return take_i64(p, (int64_t)v, out);
    case 0xcf:
        if (v <= INT64_MAX) return take_i64(p, (int64_t)v, out);
        out->kind = SW_MP_KIND_U64;
        out->as.u = v;
        return p;
    case 0xd0: return take_i64(p, (int8_t)v, out);
    case 0xd1: return take_i64(p, (int16_t)v, out);
    case 0xd2: return take_i64(p, (int32_t)v, out);
    case 0xd3: return take_i64(p, (int64_t)v, out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8: return take_bytes(p, end, (UINT64_C(1) << (type - 0xd4)) + 1, SW_MP_KIND_EXT, out);
    case 0xd9:
    case 0xda:
    case 0xdb: return take_bytes(p, end, v, SW_MP_KIND_STR, out);
    case 0xdc:
    case 0xdd: return take_count(p, end, v, SW_MP_KIND_ARRAY, out);
    case 0xde:
    case 0xdf: return take_count(p, end, v, SW_MP_KIND_MAP, out);
    default: return NULL; /* 0xc1 is never used. */
    }
}

const uint8_t *sw_mp_read_long(const uint8_t *p, const uint8_t *end, sw_mp_value *out)
{
    if (p >= end) return NULL;
    uint8_t type = *p++;
    if (type < 0x80) return take_i64(p, type, out); /* Not from sw_mp_read. */
    if (type < 0x90) return take_count(p, end, type & 15, SW_MP_KIND_MAP, out);
    if (type < 0xa0) return take_count(p, end, type & 15, SW_MP_KIND_ARRAY, out);
    if (type < 0xc0) return take_bytes(p, end, type & 31, SW_MP_KIND_STR, out);
    if (type >= 0xe0) return take_i64(p, (int8_t)type, out);
    return read_typed(type, p, end, out);
}

/* By a count of values still due, not by recursion: the input may nest as deep as it likes. */
const uint8_t *sw_mp_skip(const uint8_t *p, const uint8_t *end)
{
    sw_mp_value value;
    for (uint64_t due = 1; due > 0; due--) {
        p = sw_mp_read(p, end, &value);
        if (p == NULL) return NULL;
        if (value.kind == SW_MP_KIND_ARRAY) due += value.len;
        if (value.kind == SW_MP_KIND_MAP) due += 2 * (uint64_t)value.len;
    }
    return p;
}

const uint8_t *sw_mp_member(const uint8_t *map, const uint8_t *end, const char *name, size_t *len)
{
    sw_mp_value head = { .len = 0 }, key;
    const uint8_t *p = sw_mp_read(map, end, &head);
    if (p == NULL || head.kind != SW_MP_KIND_MAP) return NULL;
    for (uint32_t i = 0; i < head.len; i++) {
        const uint8_t *value = sw_mp_read(p, end, &key);
        if (value == NULL || (p = sw_mp_skip(value, end)) == NULL) return NULL;
        if (key.kind != SW_MP_KIND_STR || key.len != strlen(name) || memcmp(key.bytes, name, key.len) != 0) continue;
        *len = (size_t)(p - value);
        return value;
    }
    return NULL;
}
