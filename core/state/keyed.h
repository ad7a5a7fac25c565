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
 * Saving: every handing-out stamps `touched` with the store's current epoch; the first one in an epoch lists the entry
 * as dirty. sw_keyed_begin_save begins the next epoch: what is listed is to be saved as it is now (saving.h).
 *
 * The index grows by splitting segments of at most 256 slots, so no single operation pauses for the size of the store.
 *
 * Ownership  The store owns entries, keys and values. An entry's address is valid until it is removed.
 * Threads    One: the instance's worker.
 * Limits     Keys up to 65,535 bytes. */
#ifndef SW_STATE_KEYED_H
#define SW_STATE_KEYED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/schema.h"
#include "state/snapshot.h"

typedef struct sw_keyed sw_keyed;

typedef struct sw_entry {
    uint64_t hash;       /* of the key bytes */
    uint32_t key_len;    /* bytes */
    uint32_t touched;    /* epoch in which it was last handed out */
    int64_t changed_ms;  /* when its key's code last ran, for ttl; the caller sets it */
    uint8_t *bytes;      /* table state at rest: msgpack, owned; NULL when none */
    uint32_t bytes_len;  /* bytes */
    uint32_t live;       /* slot of the live Lua table, kept by the caller; 0 none */
    uint64_t saved_hash; /* of what was saved last; 0: never saved */
    uint32_t dirty_at;   /* place in the list of entries to be saved, from 1; 0: in none */
    uint32_t save_due;   /* the live table is to be given to sw_keyed_save_live before it changes */
    /* then value (value_size bytes), then key */
} sw_entry;

/* Entries that were last found by a whole number in this epoch, for who looks here first: the entry of key `number` is
 * the one in slots[sw_keyed_place(number)] if that has the same number. The next epoch begins with an empty table, so
 * that a save hears of the first time an entry is handed out. */
#define SW_KEYED_RECENT 4096
typedef struct sw_keyed_slot {
    double number; /* NaN, or one of another place: free */
    sw_entry *entry;
} sw_keyed_slot;
typedef struct sw_keyed_recent {
    sw_keyed_slot slots[SW_KEYED_RECENT];
} sw_keyed_recent;

static inline uint32_t sw_keyed_place(int64_t number)
{
    uint32_t low = (uint32_t)number;
    return (low ^ (low >> 12)) & (SW_KEYED_RECENT - 1);
}

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

/* Made when first asked for, and kept up to date from then on; NULL when out of memory. The store owns it. */
sw_keyed_recent *sw_keyed_recent_of(sw_keyed *keyed);
/* Notes the entry of a number's key, if it is a whole number that a double holds with room to spare. */
void sw_keyed_remember(sw_keyed *keyed, double number, sw_entry *entry);

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

/* --- saving ----------------------------------------------------------------------------------------------------- */

/* From now on what is handed out is listed for the next save, under this component index and state version. */
void sw_keyed_track(sw_keyed *keyed, uint32_t component, uint32_t version);
/* At a barrier: what has been touched since the last one is to be saved as it is now. Takes no time. No save may be
 * going on. */
void sw_keyed_begin_save(sw_keyed *keyed);
/* Is a save going on? */
bool sw_keyed_is_saving(const sw_keyed *keyed);
/* Saves up to `max` pending entries. SW_OK: perhaps more to do; SW_ECLOSED: all done, sw_keyed_take_part has them;
 * SW_EEMPTY: *live is an entry whose live table only the caller can encode: sw_keyed_save_live, then again.
 * SW_ENOMEM. */
int sw_keyed_save_some(sw_keyed *keyed, uint32_t max, sw_entry **live);
/* Saves an entry's live table as it was at the barrier; state: msgpack map, NULL: what was saved before stands. */
int sw_keyed_save_live(sw_keyed *keyed, sw_entry *entry, const uint8_t *state, uint32_t len);
/* Moves what was saved to *part, which the caller then owns. */
void sw_keyed_take_part(sw_keyed *keyed, sw_snapshot *part);

/* Adds an entry as it was saved: [version, changed_ms, state]. SW_EFORMAT, SW_ETYPE (err names the field), SW_ENOMEM.
 * is_changed: it differs from what was saved (upgraded), and is to be saved again. */
int sw_keyed_restore(sw_keyed *keyed, const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t len,
                     bool is_changed, sw_error *err);

/* Visits every entry in ascending order of key bytes (allocates the sorted list: not for the record path). fn returning
 * non-zero stops; the entry it is given may be removed inside fn, no other. Returns fn's last value, or SW_ENOMEM. */
int sw_keyed_each(sw_keyed *keyed, int (*fn)(void *arg, sw_entry *entry), void *arg);

/* The first `max` entries, in ascending order of key bytes, whose keys come behind this one (key_len 0: of all). Visits
 * every entry, and keeps no more than `max`: for looking at the store in pages. SW_OK, SW_ENOMEM. */
int sw_keyed_after(sw_keyed *keyed, const uint8_t *key, uint32_t key_len, uint32_t max, sw_entry **out,
                   uint32_t *count);

/* Removes entries with changed_ms < before_ms, looking at no more than max_steps index slots and going on where the
 * last call stopped (call it between batches). Entries that a save still waits for stay. Returns how many went.
 * on_expire (may be NULL) hears of each before it goes, and must not add or remove entries. */
uint64_t sw_keyed_expire(sw_keyed *keyed, int64_t before_ms, uint32_t max_steps,
                         void (*on_expire)(void *arg, sw_entry *entry), void *arg);

#endif
