/* json_keys.h -- the keys of a stream of JSON objects, in the order in which they tend to come.
 *
 *     keys seen so far:   [ auction ][ bidder ][ price ][ url ]        text: ..."price": 12...
 *                                        next ----^  compared first, as a few words
 *
 * Objects of one source mostly have the same keys in the same order, so the key behind the last one found
 * is the first guess (the key that followed the one before it last time), and costs one or two word
 * compares. A miss goes by hash. Keys beyond SW_JSON_KEYS_MAX, long ones and those that cannot be written
 * without escapes are looked up anew each time.
 *
 * Ownership  sw_json_keys_free frees it. A key found is valid until the next is looked up.
 * Threads    one at a time.
 * Limits     SW_JSON_KEYS_MAX remembered keys of up to SW_JSON_KEY_BYTES bytes. */
#ifndef SW_IO_JSON_KEYS_H
#define SW_IO_JSON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "state/schema.h"

#define SW_JSON_KEYS_MAX 192
#define SW_JSON_KEY_WORDS 7
#define SW_JSON_KEY_BYTES (SW_JSON_KEY_WORDS * 8 - 1)
#define SW_JSON_KEY_SLOTS 512          /* of the hash index: a power of two, more than twice SW_JSON_KEYS_MAX */
#define SW_JSON_KEY_ID_HASH (1u << 31) /* set in the id of a key that is not remembered */

typedef struct sw_json_key {
    uint64_t words[SW_JSON_KEY_WORDS]; /* the key and its closing quote, then zeros */
    uint64_t last_mask;                /* which bytes of the last word count */
    const uint8_t *bytes;              /* the key's bytes: words, or elsewhere for one that is not remembered */
    uint32_t word_count;               /* words in use */
    uint32_t len;                      /* bytes of the key */
    uint32_t id;                       /* position, unique; or a hash with SW_JSON_KEY_ID_HASH set */
    int32_t field;                     /* its field in the schema; -1: none */
    bool is_time;                      /* it is the source's time field */
} sw_json_key;

typedef struct sw_json_keys {
    uint32_t last;                       /* position + 1 of the key taken last; 0 at the start of a text */
    uint8_t after[SW_JSON_KEYS_MAX + 1]; /* by `last`: position + 1 of the key that followed it last time; 0 none */
    uint32_t count;                      /* keys remembered */
    sw_json_key list[SW_JSON_KEYS_MAX];  /* in the order first seen */
    uint8_t slots[SW_JSON_KEY_SLOTS];    /* hash -> position + 1; 0 none */
    sw_json_key other;                   /* a key that is not remembered */
    sw_buf scratch;                      /* bytes of a key that was written with escapes */
    const sw_schema *schema;             /* its fields; NULL: none */
    const char *time_field;              /* NUL-terminated, or NULL; the caller's */
} sw_json_keys;

void sw_json_keys_init(sw_json_keys *keys, const sw_schema *schema, const char *time_field);
void sw_json_keys_deinit(sw_json_keys *keys);

/* The way of a miss. NULL with *reason when the key's escapes are wrong or memory is out. */
const sw_json_key *sw_json_keys_search(sw_json_keys *keys, const uint8_t *text, size_t len, const char **reason);

static inline bool sw_json_key_matches(const sw_json_key *key, const uint8_t *text)
{
    uint32_t last = key->word_count - 1;
    uint64_t word;
    for (uint32_t i = 0; i < last; i++, text += 8) {
        memcpy(&word, text, 8);
        if (word != key->words[i]) return false;
    }
    memcpy(&word, text, 8);
    return ((word ^ key->words[last]) & key->last_mask) == 0;
}

/* The guess, when it is the key whose first byte is at text (64 bytes can be read there); else NULL, and it
 * is to be searched. That the closing quote is compared too makes a match exact. */
static inline const sw_json_key *sw_json_keys_guess(sw_json_keys *keys, const uint8_t *text)
{
    uint32_t position = keys->after[keys->last];
    if (position == 0) return NULL;
    const sw_json_key *key = &keys->list[position - 1];
    if (!sw_json_key_matches(key, text)) return NULL;
    keys->last = position;
    return key;
}

#endif
