#include "io/json_keys.h"

#include "base/hash.h"
#include "io/json_text.h"

_Static_assert(SW_JSON_KEYS_MAX < UINT8_MAX, "positions are kept in a byte");

void sw_json_keys_init(sw_json_keys *keys, const sw_schema *schema, const char *time_field)
{
    memset(keys, 0, sizeof(*keys));
    keys->schema = schema;
    keys->time_field = time_field;
}

void sw_json_keys_deinit(sw_json_keys *keys)
{
    sw_buf_deinit(&keys->scratch);
}

static void describe(const sw_json_keys *keys, sw_json_key *key, const uint8_t *bytes, size_t len)
{
    key->bytes = bytes;
    key->len = (uint32_t)len;
    key->field = keys->schema != NULL ? sw_schema_find(keys->schema, (const char *)bytes, len) : -1;
    key->is_time =
        keys->time_field != NULL && strlen(keys->time_field) == len && memcmp(keys->time_field, bytes, len) == 0;
}

/* Only of a key without these can it be told by its bytes in the text, which end at the first bare quote. */
static bool has_quotable(const uint8_t *bytes, size_t len)
{
    return memchr(bytes, '"', len) != NULL || memchr(bytes, '\\', len) != NULL;
}

static void remember(sw_json_keys *keys, const uint8_t *bytes, size_t len, uint8_t *slot)
{
    sw_json_key *key = &keys->list[keys->count];
    memcpy(key->words, bytes, len);
    ((uint8_t *)key->words)[len] = '"';
    key->word_count = (uint32_t)(len / 8 + 1);
    key->last_mask = UINT64_MAX;
    memset((uint8_t *)&key->last_mask + len % 8 + 1, 0, 7 - len % 8);
    key->id = keys->count;
    describe(keys, key, (const uint8_t *)key->words, len);
    *slot = (uint8_t)++keys->count;
}

/* The slot that holds the key, or the empty one where it would be. */
static uint8_t *find_slot(sw_json_keys *keys, const uint8_t *bytes, size_t len, uint64_t hash)
{
    for (size_t at = hash;; at++) {
        uint8_t *slot = &keys->slots[at % SW_JSON_KEY_SLOTS];
        if (*slot == 0) return slot;
        const sw_json_key *key = &keys->list[*slot - 1];
        if (key->len == len && memcmp(key->bytes, bytes, len) == 0) return slot;
    }
}

/* Takes the key at this position; the next time round it is the guess behind the key before it. */
static const sw_json_key *take(sw_json_keys *keys, uint8_t position)
{
    keys->after[keys->last] = position;
    keys->last = position;
    return &keys->list[position - 1];
}

static const sw_json_key *search_plain(sw_json_keys *keys, const uint8_t *bytes, size_t len)
{
    uint64_t hash = sw_hash(bytes, len);
    if (len <= SW_JSON_KEY_BYTES) {
        uint8_t *slot = find_slot(keys, bytes, len, hash);
        if (*slot == 0 && !has_quotable(bytes, len) && keys->count < SW_JSON_KEYS_MAX) remember(keys, bytes, len, slot);
        if (*slot != 0) return take(keys, *slot);
    }
    describe(keys, &keys->other, bytes, len);
    keys->other.id = (uint32_t)hash | SW_JSON_KEY_ID_HASH;
    return &keys->other;
}

const sw_json_key *sw_json_keys_search(sw_json_keys *keys, const uint8_t *text, size_t len, const char **reason)
{
    if (memchr(text, '\\', len) == NULL) return search_plain(keys, text, len);
    sw_buf_clear(&keys->scratch);
    if (sw_buf_reserve(&keys->scratch, len + SW_JSON_COPY_SLACK) != SW_OK) {
        *reason = "out of memory";
        return NULL;
    }
    int64_t size = sw_json_string(keys->scratch.data, text, len);
    if (size < 0) {
        *reason = "a key holds a bad escape";
        return NULL;
    }
    return search_plain(keys, keys->scratch.data, (size_t)size);
}
