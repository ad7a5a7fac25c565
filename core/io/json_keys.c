#include "io/json_keys.h"

#include "base/hash.h"
#include "io/json_text.h"
#include "io/mp.h"
#include "state/row.h"

_Static_assert(SW_JSON_KEYS_MAX < UINT8_MAX, "indexes are kept in a byte");

/* The lead of a key that has none to be known by: no text that has passed the scan begins like this. */
static const uint8_t no_lead[] = { 0xff };

static void set_lead(sw_json_key *key, const uint8_t *lead, size_t len)
{
    memset(key->lead, 0, sizeof(key->lead));
    memset(key->mask, 0, sizeof(key->mask));
    memcpy(key->lead, lead, len);
    memset(key->mask, 0xff, len);
    key->lead_len = (uint32_t)len;
}

/* Makes list[index] a key without lead and without guesses. */
static sw_json_key *begin_key(sw_json_keys *keys, uint32_t index)
{
    sw_json_key *key = &keys->list[index];
    set_lead(key, no_lead, sizeof(no_lead));
    key->next[0] = key->next[1] = &keys->list[0];
    return key;
}

void sw_json_keys_init(sw_json_keys *keys, const sw_schema *schema, const char *time_field)
{
    memset(keys, 0, sizeof(*keys));
    keys->schema = schema;
    keys->time_field = time_field;
    begin_key(keys, 0);
    sw_json_keys_rewind(keys);
}

void sw_json_keys_deinit(sw_json_keys *keys)
{
    sw_buf_deinit(&keys->scratch);
}

bool sw_json_key_matches_long(const sw_json_key *key, const uint8_t *text)
{
    uint64_t words[SW_JSON_LEAD_WORDS], found = 0;
    memcpy(words, text, sizeof(words));
    for (int i = 2; i < SW_JSON_LEAD_WORDS; i++) found |= (words[i] ^ key->lead[i]) & key->mask[i];
    return found == 0;
}

sw_json_key *sw_json_keys_guess_again(sw_json_key *last, const uint8_t *text)
{
    sw_json_key *key = last->next[1];
    if (!sw_json_key_matches(key, text)) return NULL;
    last->next[1] = last->next[0];
    last->next[0] = key;
    return key;
}

static void find_field(const sw_schema *schema, sw_json_key *key)
{
    uint32_t at = (uint32_t)key->field;
    key->type = schema->fields[at].type;
    key->presence = (uint32_t)sizeof(sw_row) + 8 * (at / 64);
    key->bit = UINT64_C(1) << (at % 64);
    key->slot = (uint32_t)sizeof(sw_row) + 8 * (schema->presence_words + at);
}

static void describe(const sw_json_keys *keys, sw_json_key *key, const uint8_t *bytes, size_t len)
{
    key->bytes = bytes;
    key->len = (uint32_t)len;
    key->field = keys->schema != NULL ? sw_schema_find(keys->schema, (const char *)bytes, len) : -1;
    if (key->field >= 0) find_field(keys->schema, key);
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
    *slot = (uint8_t)++keys->count;
    sw_json_key *key = begin_key(keys, keys->count);
    uint8_t *own = sw_mp_str_header(key->packed, (uint32_t)len);
    memcpy(own, bytes, len);
    key->packed_len = (uint32_t)(own + len - key->packed);
    key->id = keys->count - 1;
    describe(keys, key, own, len);
}

/* The slot that holds the key, or the empty one where it would be. */
static uint8_t *find_slot(sw_json_keys *keys, const uint8_t *bytes, size_t len, uint64_t hash)
{
    for (size_t at = hash;; at++) {
        uint8_t *slot = &keys->slots[at % SW_JSON_KEY_SLOTS];
        if (*slot == 0) return slot;
        const sw_json_key *key = &keys->list[*slot];
        if (key->len == len && memcmp(key->bytes, bytes, len) == 0) return slot;
    }
}

/* The next time round this key is the first guess behind the one before it. */
static sw_json_key *take(sw_json_keys *keys, sw_json_key *key)
{
    sw_json_key *last = keys->last;
    if (last->next[0] != key) {
        last->next[1] = last->next[0];
        last->next[0] = key;
    }
    keys->last = key;
    return key;
}

static const sw_json_key *search_plain(sw_json_keys *keys, const uint8_t *bytes, size_t len)
{
    uint64_t hash = sw_hash(bytes, len);
    if (len <= SW_JSON_KEY_BYTES) {
        uint8_t *slot = find_slot(keys, bytes, len, hash);
        if (*slot == 0 && !has_quotable(bytes, len) && keys->count < SW_JSON_KEYS_MAX) remember(keys, bytes, len, slot);
        if (*slot != 0) return take(keys, &keys->list[*slot]);
    }
    describe(keys, &keys->other, bytes, len);
    keys->other.id = (uint32_t)hash | SW_JSON_KEY_ID_HASH;
    return &keys->other;
}

/* A lead with a line break in it is none: a match must not lead from one line into the next. */
void sw_json_keys_learn(sw_json_keys *keys, const uint8_t *lead, size_t len)
{
    if (len > SW_JSON_LEAD_BYTES || memchr(lead, '\\', len) != NULL) return;
    for (size_t i = 0; i < len; i++)
        if (lead[i] < ' ') return;
    set_lead(keys->last, lead, len);
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
