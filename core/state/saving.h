/* saving.h -- which entries of a keyed store are to be saved, and their copies on write. Part of keyed.c.
 *
 *     handed out --note--> dirty list --begin--> pending list --next--> [ part of a snapshot ]
 *                                                     |
 *                        handed out again: saved first, as it was at the barrier
 *
 * At a barrier the lists change places, which takes no time; what is pending is encoded a few entries at a time, and
 * each at the latest before it is handed out again. An entry whose bytes have not changed since it was last saved is
 * left out. A removed entry that was ever saved leaves a removal.
 *
 * An entry is listed in `dirty` if its `touched` is the store's epoch, else in `pending`, at index dirty_at - 1.
 *
 * Ownership  Part of its store.
 * Threads    The store's. */
#ifndef SW_STATE_SAVING_H
#define SW_STATE_SAVING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "state/keyed.h"
#include "state/snapshot.h"

typedef struct sw_entry_list {
    sw_entry **entries; /* owned array; NULL where an entry has been dealt with */
    uint64_t count;     /* used */
    uint64_t cap;       /* allocated */
} sw_entry_list;

typedef struct sw_saving {
    bool is_on;            /* changes are tracked */
    bool is_pending;       /* between begin and the last entry */
    uint32_t component;    /* whose state it is: index in the job's graph */
    uint32_t version;      /* of the shape of the state */
    sw_entry_list dirty;   /* touched since the last barrier */
    sw_entry_list pending; /* to be saved as they were at the barrier */
    uint64_t next;         /* index of the first pending entry not looked at */
    uint64_t due;          /* live tables that the caller has to save before it changes them */
    sw_snapshot removals;  /* since the last barrier */
    sw_snapshot part;      /* being made */
    sw_buf value;          /* scratch */
} sw_saving;

void sw_saving_deinit(sw_saving *saving);

/* Lists an entry that was touched for the first time in this epoch. SW_OK, SW_ENOMEM. */
int sw_saving_note(sw_saving *saving, sw_entry *entry);
/* An entry leaves the store. SW_OK, SW_ENOMEM (its removal could not be noted). */
int sw_saving_forget(sw_saving *saving, sw_entry *entry, const uint8_t *key);

/* Appends an entry with this state (msgpack) to the part, unless it is what was saved last. */
int sw_saving_put(sw_saving *saving, sw_entry *entry, const uint8_t *key, const uint8_t *state, uint32_t len);

#endif
