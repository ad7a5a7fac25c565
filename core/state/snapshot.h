/* snapshot.h -- one task's part of a checkpoint: what it saves, as a list of changes in bytes.
 *
 *     keyed store, timers, get_state, position, prepare --put--> [ change | change | ... ] ---> checkpoints.h
 *
 * Two classes of kinds. *Inherited* ones (below SW_SAVED_COMPLETE) are deltas: a checkpoint holds what changed since
 * the one it builds on, and a removal is a change too. *Complete* ones are saved whole at every checkpoint, under
 * (component, kind, instance, key), and say nothing about any other checkpoint; their key is empty but for sinks, where
 * it is the checkpoint at which the value was prepared (8 bytes, big-endian): one that failed leaves its values to the
 * next.
 * Of several changes of one key the last counts.
 *
 * Ownership  A snapshot owns its bytes; put copies key and value in.
 * Threads    One at a time: the task's worker makes it, then it is handed to the thread that writes.
 * Limits     Keys up to 65,535 bytes, values up to 2^32 - 2. */
#ifndef SW_STATE_SNAPSHOT_H
#define SW_STATE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

typedef enum sw_saved_kind {
    SW_SAVED_KEYED = 1,     /* an entry of keyed state: key bytes -> msgpack [version, changed_ms, state map] */
    SW_SAVED_TIMER,         /* a timer: key bytes and its identity -> msgpack of its time */
    SW_SAVED_COMPLETE = 16, /* from here on: complete kinds */
    SW_SAVED_INSTANCE = 16, /* msgpack [version, what get_state returned] */
    SW_SAVED_SOURCE,        /* position of a source in C: its own msgpack */
    SW_SAVED_SINK,          /* what a sink's prepare returned: its own msgpack */
    SW_SAVED_TASK,          /* the task's watermarks, and whether it has ended; under its head component */
} sw_saved_kind;

typedef struct sw_saved {
    uint32_t component;   /* index in the job's graph */
    sw_saved_kind kind;   /* what it is */
    uint32_t group;       /* inherited kinds: the key's group; complete kinds: the instance */
    const uint8_t *key;   /* identity within the group */
    uint32_t key_len;     /* bytes */
    const uint8_t *value; /* NULL: removed */
    uint32_t value_len;   /* bytes */
} sw_saved;

typedef struct sw_snapshot {
    sw_buf bytes;   /* changes, one behind the other */
    uint64_t count; /* changes */
} sw_snapshot;

void sw_snapshot_init(sw_snapshot *snapshot);
void sw_snapshot_deinit(sw_snapshot *snapshot);

/* Appends one change. SW_OK, SW_ENOMEM (nothing was appended). */
int sw_snapshot_put(sw_snapshot *snapshot, const sw_saved *saved);

/* Reads the change at *offset (0 first) and moves *offset behind it; false at the end. */
bool sw_snapshot_next(const sw_snapshot *snapshot, size_t *offset, sw_saved *out);

#endif
