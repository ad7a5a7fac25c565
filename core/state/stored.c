#include "state/stored.h"

#include <string.h>

#include "base/hash.h"

#define LONG_KEY_KEPT (SW_STORED_KEY_MAX - SW_STORED_PLACE - sizeof(sw_hash128))
#define SHORT_KEY_MAX (SW_STORED_KEY_MAX - SW_STORED_PLACE - 1u)

/* Forms of a value: bits. */
#define FORM_HAS_VALUE 1 /* Else a removal. */
#define FORM_HAS_KEY 2   /* The whole key comes first. */

static void put_big_endian(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) out[i] = (uint8_t)value;
}

void sw_stored_place(uint8_t out[SW_STORED_PLACE], uint32_t component_id, uint32_t kind, uint32_t group)
{
    put_big_endian(out, ((uint64_t)component_id << 16) + (kind << 8) + group, SW_STORED_PLACE);
}

size_t sw_stored_key(uint8_t out[SW_STORED_KEY_MAX], uint32_t component_id, const sw_saved *saved)
{
    sw_stored_place(out, component_id, saved->kind, saved->group);
    uint8_t *p = out + SW_STORED_PLACE;
    if (saved->key_len <= SHORT_KEY_MAX) {
        if (saved->key_len > 0) memcpy(p, saved->key, saved->key_len);
        return SW_STORED_PLACE + saved->key_len;
    }
    memcpy(p, saved->key, LONG_KEY_KEPT);
    sw_hash128 hash = sw_hash128_of(saved->key, saved->key_len);
    put_big_endian(p + LONG_KEY_KEPT, hash.high, 8);
    put_big_endian(p + LONG_KEY_KEPT + 8, hash.low, 8);
    return SW_STORED_KEY_MAX;
}

size_t sw_stored_value_size(const sw_saved *saved)
{
    size_t value = saved->value != NULL ? saved->value_len : 0;
    return 1 + (saved->key_len > SHORT_KEY_MAX ? 2 + (size_t)saved->key_len : 0) + value;
}

void sw_stored_value(uint8_t *out, const sw_saved *saved)
{
    bool is_long = saved->key_len > SHORT_KEY_MAX;
    *out++ = (uint8_t)((saved->value != NULL ? FORM_HAS_VALUE : 0) | (is_long ? FORM_HAS_KEY : 0));
    if (is_long) {
        put_big_endian(out, saved->key_len, 2);
        memcpy(out + 2, saved->key, saved->key_len);
        out += 2 + saved->key_len;
    }
    if (saved->value != NULL && saved->value_len > 0) memcpy(out, saved->value, saved->value_len);
}

int sw_stored_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int order = len > 0 ? memcmp(a, b, len) : 0; /* No key may be NULL. */
    if (order != 0) return order;
    return (a_len > b_len) - (a_len < b_len);
}

int sw_stored_check_same(const sw_stored *a, const sw_stored *b, sw_error *err)
{
    sw_saved first, second;
    if (a->key_len < SW_STORED_KEY_MAX) return SW_OK;
    int rc = sw_stored_read(a, &first, err);
    if (rc == SW_OK) rc = sw_stored_read(b, &second, err);
    if (rc != SW_OK) return rc;
    if (first.key_len == second.key_len && memcmp(first.key, second.key, first.key_len) == 0) return SW_OK;
    return sw_error_set(err, SW_EFORMAT, "two different keys of %u and %u bytes have the same hash", first.key_len,
                        second.key_len);
}

int sw_stored_read(const sw_stored *stored, sw_saved *out, sw_error *err)
{
    const uint8_t *key = stored->key, *value = stored->value, *end = value + stored->value_len;
    bool is_long = stored->key_len == SW_STORED_KEY_MAX;
    if (stored->key_len < SW_STORED_PLACE || value == end) goto malformed;
    uint8_t form = *value++;
    *out = (sw_saved){
        .component = (uint32_t)key[0] << 8 | key[1],
        .kind = (sw_saved_kind)key[2],
        .group = key[3],
        .key = key + SW_STORED_PLACE,
        .key_len = (uint32_t)(stored->key_len - SW_STORED_PLACE),
    };
    if (is_long != ((form & FORM_HAS_KEY) != 0)) goto malformed;
    if (is_long) {
        if (end - value < 2) goto malformed;
        out->key_len = (uint32_t)value[0] << 8 | value[1];
        out->key = value + 2;
        if ((size_t)(end - out->key) < out->key_len) goto malformed;
        value = out->key + out->key_len;
    }
    if (form & FORM_HAS_VALUE) {
        out->value = value;
        out->value_len = (uint32_t)(end - value);
    }
    return SW_OK;

malformed:
    return sw_error_set(err, SW_EFORMAT, "a stored entry is malformed");
}
