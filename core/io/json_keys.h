/* json_keys.h -- the keys of a stream of JSON objects, in the order in which they tend to come.
 *
 *     keys seen so far:   [ auction ][ bidder ][ price ][ url ]        text: ...,"price": 12...
 *                                        next ----^  its lead, `"price": `, is compared as a few words
 *
 * Objects of one source mostly have the same keys in the same order, written in the same way. So the two keys
 * that followed the last one found most recently are the guesses, and a guess is right when the text behind
 * the brace or comma is the key's lead: all that stood before its value when it was met last, blanks, quotes
 * and colon. A miss goes by hash. Keys beyond SW_JSON_KEYS_MAX, long ones and those that cannot be written
 * without escapes are looked up anew each time.
 *
 * Ownership  sw_json_keys_deinit frees what it holds. A key found is valid until the next is looked up.
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
#define SW_JSON_LEAD_WORDS 8
#define SW_JSON_LEAD_BYTES (SW_JSON_LEAD_WORDS * 8)
#define SW_JSON_KEY_BYTES 55
#define SW_JSON_KEY_PACKED 64          /* room for a key of that size and its header; copied in blocks */
#define SW_JSON_KEY_SLOTS 512          /* of the hash index: a power of two, more than twice SW_JSON_KEYS_MAX */
#define SW_JSON_KEY_ID_HASH (1u << 31) /* set in the id of a key that is not remembered */

typedef struct sw_json_key {
    uint64_t lead[SW_JSON_LEAD_WORDS];  /* the text between brace or comma and value, then zeros */
    uint64_t mask[SW_JSON_LEAD_WORDS];  /* which bytes of it count */
    uint32_t lead_len;                  /* bytes of the lead */
    struct sw_json_key *next[2];        /* the keys that followed it most recently: the guesses */
    const uint8_t *bytes;               /* the key's bytes: in packed, or elsewhere for one that is not remembered */
    uint32_t len;                       /* bytes of the key */
    uint32_t id;                        /* unique; or a hash with SW_JSON_KEY_ID_HASH set */
    int32_t field;                      /* its field in the schema; -1: none */
    sw_type type;                       /* of that field */
    uint32_t slot;                      /* bytes from the start of a row to its slot */
    uint32_t presence;                  /* and to its presence word */
    uint64_t bit;                       /* its bit in there */
    bool is_time;                       /* it is the source's time field */
    uint8_t packed[SW_JSON_KEY_PACKED]; /* a key that is remembered as msgpack */
    uint32_t packed_len;                /* bytes of that */
} sw_json_key;

typedef struct sw_json_keys {
    sw_json_key *last;                      /* the key taken last; list[0] at the start of a text */
    uint32_t count;                         /* keys remembered */
    sw_json_key list[SW_JSON_KEYS_MAX + 1]; /* from 1 in the order first seen; 0 is none and matches nothing */
    uint8_t slots[SW_JSON_KEY_SLOTS];       /* hash -> index in list; 0 none */
    sw_json_key other;                      /* a key that is not remembered */
    sw_buf scratch;                         /* bytes of a key that was written with escapes */
    const sw_schema *schema;                /* its fields; NULL: none */
    const char *time_field;                 /* NUL-terminated, or NULL; the caller's */
} sw_json_keys;

void sw_json_keys_init(sw_json_keys *keys, const sw_schema *schema, const char *time_field);
void sw_json_keys_deinit(sw_json_keys *keys);

/* The way of a miss. NULL with *reason when the key's escapes are wrong or memory is out. */
const sw_json_key *sw_json_keys_search(sw_json_keys *keys, const uint8_t *text, size_t len, const char **reason);

/* Remembers what stands between brace or comma and value where this key, found last, was written without
 * escapes. */
void sw_json_keys_learn(sw_json_keys *keys, const uint8_t *lead, size_t len);

static inline void sw_json_keys_rewind(sw_json_keys *keys)
{
    keys->last = &keys->list[0];
}

/* The part of a match that few leads need. */
bool sw_json_key_matches_long(const sw_json_key *key, const uint8_t *text);

/* Is the key's lead at text, where SW_JSON_LEAD_BYTES can be read? */
static inline __attribute__((always_inline)) bool sw_json_key_matches(const sw_json_key *key, const uint8_t *text)
{
    uint64_t words[2];
    memcpy(words, text, sizeof(words));
    if ((((words[0] ^ key->lead[0]) & key->mask[0]) | ((words[1] ^ key->lead[1]) & key->mask[1])) != 0) return false;
    return key->lead_len <= sizeof(words) || sw_json_key_matches_long(key, text);
}

/* The second guess, which is the first from now on; NULL when it is wrong too. */
sw_json_key *sw_json_keys_guess_again(sw_json_key *last, const uint8_t *text);

/* The key behind `last` whose lead is at text when it is one of the guesses; else NULL, and it is to be
 * searched. */
static inline __attribute__((always_inline)) sw_json_key *sw_json_keys_guess(sw_json_key *last, const uint8_t *text)
{
    sw_json_key *key = last->next[0];
    return sw_json_key_matches(key, text) ? key : sw_json_keys_guess_again(last, text);
}

#endif
