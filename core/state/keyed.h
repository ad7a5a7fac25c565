/* keyed.h -- the keyed state of one instance: a hash table from key bytes to a value, off the Lua heap.
 *
 *     index.h: [ hash | entry* ]                    entries: slab.h, addresses stable
 *                        |
 *                        v
 *     [ sw_entry header | value (record state, fixed size) | key bytes ]
 *
 * Two kinds of store. *Record* state: the value is a fixed-size struct inside the entry (presence words and slots as in
 * schema.h, but a string slot is a pointer to a counted string that the entry owns: sw_keyed_set_string). *Table*
 * state: the value is msgpack bytes at rest (`bytes`), and Lua may hold the live table, whose cache slot number it
 * keeps in `live`.
 *
 * Dirty tracking: every handing-out stamps `touched` with the store's current epoch; a checkpoint bumps the epoch,
 * and entries with touched >= its start are the candidates to be written.
 *
 * The index grows by splitting segments of at most 256 slots, so no single operation pauses for the size of the store.
 *
 * Ownership  The store owns entries, keys and values. An entry's address is valid until it is removed.
 * Threads    One: the instance's worker.
 * Limits     Keys up to 65,535 bytes. */
#ifndef SW_STATE_KEYED_H
#define SW_STATE_KEYED_H

#include <stdint.h>

#include "base/error.h"
#include "state/schema.h"

typedef struct sw_keyed sw_keyed;

typedef struct sw_entry {
    uint64_t hash;      /* of the key bytes */
    uint32_t key_len;   /* bytes */
    uint32_t touched;   /* epoch in which it was last handed out */
    int64_t changed_ms; /* when its key's code last ran, for ttl; the caller sets it */
    uint8_t *bytes;     /* table state at rest: msgpack, owned; NULL when none */
    uint32_t bytes_len; /* bytes */
    uint32_t live;      /* slot of the live Lua table, kept by the caller; 0 none */
    /* then value (value_size bytes), then key */
} sw_entry;

typedef struct sw_keyed_string {
    uint32_t len;
    char bytes[];
} sw_keyed_string; /* what a string slot points to */

/* schema: of record state, or NULL for table state. */
int sw_keyed_new(sw_keyed **out, const sw_schema *schema, sw_error *err);
void sw_keyed_free(sw_keyed *keyed);

/* Finds the entry or makes one (value zeroed); stamps it. NULL only when out of memory. */
sw_entry *sw_keyed_get(sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len);
sw_entry *sw_keyed_find(const sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len); /* or NULL */
void sw_keyed_remove(sw_keyed *keyed, sw_entry *entry);

/* Brings the index lines (and then the entries) of these hashes into the cache, ahead of a batch of sw_keyed_get. */
void sw_keyed_prefetch(const sw_keyed *keyed, const uint64_t *hashes, uint32_t count);

const uint8_t *sw_entry_key(const sw_keyed *keyed, const sw_entry *entry);
void *sw_entry_value(const sw_entry *entry); /* record state: presence words, then slots */

/* Table state: replaces the bytes at rest by a copy; len 0: none. SW_OK, SW_ENOMEM (the old ones stay). */
int sw_keyed_set_bytes(sw_keyed *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len);
/* Record state: replaces string field `field` (sets its presence bit); NULL bytes makes it nil. SW_OK, SW_ENOMEM
 * (the old one stays). */
int sw_keyed_set_string(sw_keyed *keyed, sw_entry *entry, uint32_t field, const char *bytes, uint32_t len);

uint64_t sw_keyed_count(const sw_keyed *keyed);
uint64_t sw_keyed_memory(const sw_keyed *keyed); /* bytes held */
uint32_t sw_keyed_epoch(const sw_keyed *keyed);
uint32_t sw_keyed_advance_epoch(sw_keyed *keyed); /* the new epoch */

/* Visits every entry in ascending order of key bytes (allocates the sorted list: not for the record path). fn returning
 * non-zero stops; the entry it is given may be removed inside fn, no other. Returns fn's last value, or SW_ENOMEM. */
int sw_keyed_each(sw_keyed *keyed, int (*fn)(void *arg, sw_entry *entry), void *arg);

/* Removes entries with changed_ms < before_ms, looking at no more than max_steps index slots and going on where the
 * last call stopped (call it between batches). Returns how many went. on_expire (may be NULL) hears of each before it
 * goes, and must not add or remove entries. */
uint64_t sw_keyed_expire(sw_keyed *keyed, int64_t before_ms, uint32_t max_steps,
                         void (*on_expire)(void *arg, sw_entry *entry), void *arg);

#endif
