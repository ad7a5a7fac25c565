/* stored.h -- how one change stands in a checkpoint's file: under a key by which all files of a chain sort alike.
 *
 *     key         [component id: 2][kind: 1][group: 1][key: up to 506]             numbers big-endian
 *     long key    [component id: 2][kind: 1][group: 1][first 491 bytes][XXH3-128 of the whole key], 511 in all
 *     value       [form: 1][value]                      or, of a long key,    [form: 1][length: 2][whole key][value]
 *
 * LMDB takes keys of up to 511 bytes. Since no short one has just that many, a long key never meets a short one; two
 * long ones of the same 491 bytes and hash would, so the whole keys are compared wherever two stored keys are taken for
 * the same, and a difference is an error rather than a mix-up.
 *
 * Ownership  Everything is borrowed.
 * Threads    Pure functions.
 * Limits     Long keys that begin with the same 491 bytes are ordered by hash. Component ids up to 65,535; groups and
 *            instances up to 255. */
#ifndef SW_STATE_STORED_H
#define SW_STATE_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "state/snapshot.h"

#define SW_STORED_KEY_MAX 511
#define SW_STORED_PLACE 4        /* bytes before the key's own */
#define SW_STORED_ID_MAX 65535u  /* component id */
#define SW_STORED_GROUP_MAX 255u /* group or instance */
#define SW_STORED_GROUP_END 256u /* behind the last one */

typedef struct sw_stored {
    const uint8_t *key;   /* as above */
    size_t key_len;       /* bytes */
    const uint8_t *value; /* as above */
    size_t value_len;     /* bytes */
} sw_stored;

/* The beginning of all keys of this component, kind and group; with group SW_STORED_GROUP_END, of what comes behind. */
void sw_stored_place(uint8_t out[SW_STORED_PLACE], uint32_t component_id, uint32_t kind, uint32_t group);

/* The key of a change (saved->component is not looked at); its length. */
size_t sw_stored_key(uint8_t out[SW_STORED_KEY_MAX], uint32_t component_id, const sw_saved *saved);

/* The size of the value of a change, and that value. */
size_t sw_stored_value_size(const sw_saved *saved);
void sw_stored_value(uint8_t *out, const sw_saved *saved);

/* Order of stored keys: by bytes, a beginning before what it begins. */
int sw_stored_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* Of two with the same stored key: SW_OK, or SW_EFORMAT when they are long keys that only share a hash. */
int sw_stored_check_same(const sw_stored *a, const sw_stored *b, sw_error *err);

/* The change again, pointing into `stored`; out->component is the component id. SW_EFORMAT. */
int sw_stored_read(const sw_stored *stored, sw_saved *out, sw_error *err);

/* Is it a removal? */
static inline bool sw_stored_is_removal(const sw_stored *stored)
{
    return stored->value_len > 0 && (stored->value[0] & 1) == 0;
}

#endif
