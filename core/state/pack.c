#include "state/pack.h"

#include <string.h>

const char *sw_pack_type_name(sw_pack_type type)
{
    static const char *const names[] = { "nil", "bool", "i64", "u64", "f64", "string", "binary", "array", "map" };
    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static inline uint64_t load_be(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) value = value << 8 | p[i];
    return value;
}

static inline void set_unsigned(sw_pack_item *item, uint64_t value)
{
    item->type = value > INT64_MAX ? SW_PACK_U64 : SW_PACK_I64;
    item->v.u = value;
}

static void set_float(sw_pack_item *item, uint64_t bits, unsigned size)
{
    item->type = SW_PACK_F64;
    if (size == 8) {
        memcpy(&item->v.f, &bits, 8);
        return;
    }
    float single;
    uint32_t low = (uint32_t)bits;
    memcpy(&single, &low, 4);
    item->v.f = single;
}

/* Str, bin, array and map, whose body starts at p. Returns the byte behind what the item covers, NULL if it does not
 * fit. */
static inline const uint8_t *set_counted(sw_pack_item *item, sw_pack_type type, uint64_t count, const uint8_t *p,
                                         const uint8_t *end)
{
    uint64_t bytes_min = type == SW_PACK_MAP ? 2 * count : count; /* An element has at least one byte. */
    if (bytes_min > (uint64_t)(end - p)) return NULL;
    item->type = type;
    item->count = (uint32_t)count;
    item->v.bytes = p;
    return type == SW_PACK_STR || type == SW_PACK_BIN ? p + count : p;
}

/* Heads of 0xc0 .. 0xdf: what follows the tag, and how many bytes of it say so. */
typedef enum head_kind { BAD, CONST, UINT, INT, FLOAT, STR, BIN, ARRAY, MAP } head_kind;
static const struct head {
    uint8_t kind; /* head_kind */
    uint8_t size; /* bytes of the number or count behind the tag */
} heads[32] = {
    { CONST, 0 }, { BAD, 0 }, { CONST, 0 }, { CONST, 0 }, { BIN, 1 },   { BIN, 2 },   { BIN, 4 },  { BAD, 0 },
    { BAD, 0 },   { BAD, 0 }, { FLOAT, 4 }, { FLOAT, 8 }, { UINT, 1 },  { UINT, 2 },  { UINT, 4 }, { UINT, 8 },
    { INT, 1 },   { INT, 2 }, { INT, 4 },   { INT, 8 },   { BAD, 0 },   { BAD, 0 },   { BAD, 0 },  { BAD, 0 },
    { BAD, 0 },   { STR, 1 }, { STR, 2 },   { STR, 4 },   { ARRAY, 2 }, { ARRAY, 4 }, { MAP, 2 },  { MAP, 4 },
};

/* Returns the byte behind, NULL if malformed. */
static const uint8_t *read_headed(sw_pack_item *item, uint8_t tag, const uint8_t *p, const uint8_t *end)
{
    struct head head = heads[tag - 0xc0];
    if (head.size > end - p) return NULL;
    uint64_t number = load_be(p, head.size);
    p += head.size;
    switch ((head_kind)head.kind) {
    case CONST:
        item->type = tag == 0xc0 ? SW_PACK_NIL : SW_PACK_BOOL;
        item->v.i = tag == 0xc3;
        return p;
    case UINT: set_unsigned(item, number); return p;
    case INT: {
        unsigned unused = 64 - 8u * head.size;
        item->type = SW_PACK_I64;
        item->v.i = (int64_t)(number << unused) >> unused; /* Extends the sign. */
        return p;
    }
    case FLOAT: set_float(item, number, head.size); return p;
    case STR: return set_counted(item, SW_PACK_STR, number, p, end);
    case BIN: return set_counted(item, SW_PACK_BIN, number, p, end);
    case ARRAY: return set_counted(item, SW_PACK_ARRAY, number, p, end);
    case MAP: return set_counted(item, SW_PACK_MAP, number, p, end);
    case BAD: break;
    }
    return NULL;
}

int sw_pack_next(sw_pack_reader *reader, sw_pack_item *item)
{
    const uint8_t *p = reader->p, *end = reader->end;
    if (p == end) return SW_EEMPTY;
    uint8_t tag = *p++;
    item->count = 0;
    if (tag < 0x80 || tag >= 0xe0) {
        item->type = SW_PACK_I64;
        item->v.i = (int8_t)tag;
    } else if (tag < 0x90) {
        p = set_counted(item, SW_PACK_MAP, tag & 15, p, end);
    } else if (tag < 0xa0) {
        p = set_counted(item, SW_PACK_ARRAY, tag & 15, p, end);
    } else if (tag < 0xc0) {
        p = set_counted(item, SW_PACK_STR, tag & 31, p, end);
    } else {
        p = read_headed(item, tag, p, end);
    }
    if (p == NULL) return SW_EFORMAT;
    reader->p = p;
    return SW_OK;
}

/* Values that follow the head of this item as items of their own. */
static uint64_t elements(const sw_pack_item *item)
{
    if (item->type == SW_PACK_ARRAY) return item->count;
    return item->type == SW_PACK_MAP ? 2 * (uint64_t)item->count : 0;
}

int sw_pack_skip(sw_pack_reader *reader)
{
    sw_pack_reader r = *reader;
    sw_pack_item item;
    if (r.p == r.end) return SW_EEMPTY;
    for (uint64_t pending = 1; pending > 0; pending--) {
        if (sw_pack_next(&r, &item) != SW_OK) return SW_EFORMAT;
        pending += elements(&item);
        if (pending - 1 > (uint64_t)(r.end - r.p)) return SW_EFORMAT; /* Each has at least one byte. */
    }
    *reader = r;
    return SW_OK;
}

int sw_pack_check(const uint8_t *bytes, size_t len, unsigned depth_max, sw_error *err)
{
    sw_pack_reader r = { bytes, bytes + len };
    sw_pack_item item;
    uint64_t left[SW_PACK_DEPTH_LIMIT + 1] = { 1 }; /* values still to come, per depth */
    uint64_t pending = 1;                           /* their sum */
    unsigned depth = 0;
    SW_ASSERT(depth_max <= SW_PACK_DEPTH_LIMIT);
    while (pending > 0) {
        size_t offset = (size_t)(r.p - bytes);
        if (sw_pack_next(&r, &item) != SW_OK) {
            return sw_error_set(err, SW_EFORMAT, "msgpack: %s at byte %zu",
                                offset == len ? "cut short" : "malformed value", offset);
        }
        left[depth]--;
        pending += elements(&item) - 1;
        if (pending > (uint64_t)(r.end - r.p)) {
            return sw_error_set(err, SW_EFORMAT, "msgpack: more elements than bytes at byte %zu", offset);
        }
        if (item.type == SW_PACK_ARRAY || item.type == SW_PACK_MAP) {
            if (depth == depth_max) {
                return sw_error_set(err, SW_ELIMIT, "msgpack: nested deeper than %u at byte %zu", depth_max, offset);
            }
            left[++depth] = elements(&item);
        }
        while (depth > 0 && left[depth] == 0) depth--;
    }
    if (r.p != r.end) {
        return sw_error_set(err, SW_EFORMAT, "msgpack: %zu bytes behind the value", (size_t)(r.end - r.p));
    }
    return SW_OK;
}

int sw_pack_find(const uint8_t *map, size_t len, const char *name, uint32_t name_len, sw_pack_item *out)
{
    sw_pack_reader r = { map, map + len };
    sw_pack_item head, key;
    if (sw_pack_next(&r, &head) != SW_OK || head.type != SW_PACK_MAP) return SW_EFORMAT;
    for (uint32_t i = 0; i < head.count; i++) {
        sw_pack_reader at = r;
        if (sw_pack_next(&at, &key) != SW_OK || sw_pack_skip(&r) != SW_OK) return SW_EFORMAT;
        if (key.type == SW_PACK_STR && key.count == name_len && memcmp(key.v.bytes, name, name_len) == 0) {
            return sw_pack_next(&r, out) == SW_OK ? SW_OK : SW_EFORMAT;
        }
        if (sw_pack_skip(&r) != SW_OK) return SW_EFORMAT;
    }
    return SW_ENOTFOUND;
}

/* A tag and `size` bytes of number, big-endian. */
static inline int put(sw_buf *out, uint8_t tag, uint64_t number, unsigned size)
{
    int rc = sw_buf_reserve(out, 9);
    if (rc != SW_OK) return rc;
    uint8_t *p = out->data + out->size;
    uint64_t big = __builtin_bswap64(size > 0 ? number << (64 - 8 * size) : 0);
    p[0] = tag;
    memcpy(p + 1, &big, 8);
    out->size += 1 + size;
    return SW_OK;
}

int sw_pack_nil(sw_buf *out)
{
    return put(out, 0xc0, 0, 0);
}

int sw_pack_bool(sw_buf *out, int value)
{
    return put(out, value ? 0xc3 : 0xc2, 0, 0);
}

int sw_pack_u64(sw_buf *out, uint64_t value)
{
    if (value < 0x80) return put(out, (uint8_t)value, 0, 0);
    if (value <= UINT8_MAX) return put(out, 0xcc, value, 1);
    if (value <= UINT16_MAX) return put(out, 0xcd, value, 2);
    if (value <= UINT32_MAX) return put(out, 0xce, value, 4);
    return put(out, 0xcf, value, 8);
}

int sw_pack_i64(sw_buf *out, int64_t value)
{
    if (value >= 0) return sw_pack_u64(out, (uint64_t)value);
    if (value >= -32) return put(out, (uint8_t)value, 0, 0);
    if (value >= INT8_MIN) return put(out, 0xd0, (uint64_t)value, 1);
    if (value >= INT16_MIN) return put(out, 0xd1, (uint64_t)value, 2);
    if (value >= INT32_MIN) return put(out, 0xd2, (uint64_t)value, 4);
    return put(out, 0xd3, (uint64_t)value, 8);
}

int sw_pack_f64(sw_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return put(out, 0xcb, bits, 8);
}

int sw_pack_str(sw_buf *out, const char *bytes, uint32_t len)
{
    size_t size_before = out->size;
    int rc = len < 32            ? put(out, (uint8_t)(0xa0 | len), 0, 0)
             : len <= UINT8_MAX  ? put(out, 0xd9, len, 1)
             : len <= UINT16_MAX ? put(out, 0xda, len, 2)
                                 : put(out, 0xdb, len, 4);
    if (rc == SW_OK) rc = sw_buf_append(out, bytes, len);
    if (rc != SW_OK) out->size = size_before;
    return rc;
}

int sw_pack_array(sw_buf *out, uint32_t count)
{
    if (count < 16) return put(out, (uint8_t)(0x90 | count), 0, 0);
    return count <= UINT16_MAX ? put(out, 0xdc, count, 2) : put(out, 0xdd, count, 4);
}

int sw_pack_map(sw_buf *out, uint32_t pairs)
{
    if (pairs < 16) return put(out, (uint8_t)(0x80 | pairs), 0, 0);
    return pairs <= UINT16_MAX ? put(out, 0xde, pairs, 2) : put(out, 0xdf, pairs, 4);
}
