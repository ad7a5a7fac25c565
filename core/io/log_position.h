/* log_position.h -- which records of an event log are an instance's, and how far it is.
 *
 * Record n belongs to instance n % count. Where a checkpoint is restored with another count, the old instances were at
 * different places: the numbers at which each stood are kept as a *layer*, and a record below the number of the old
 * instance it belonged to is passed over. A layer is dropped when its greatest number is passed; if the count changes
 * again before that, there are two.
 *
 * Format     A position is a msgpack map { next, taken, last, layers = [[number of each old instance], ...] }.
 * Ownership  deinit frees.
 * Threads    one at a time.
 * Limits     SW_LOG_LAYERS_MAX layers. */
#ifndef SW_IO_LOG_POSITION_H
#define SW_IO_LOG_POSITION_H

#include "run/connector.h"

#define SW_LOG_LAYERS_MAX 8u

typedef struct sw_log_layer {
    uint64_t *next; /* owned: by old instance, the first number that it had not read */
    uint64_t max;   /* the greatest of them */
    uint32_t count; /* of old instances */
} sw_log_layer;

typedef struct sw_log_position {
    uint64_t next;                          /* first record not looked at */
    uint64_t taken;                         /* sw_evlog_reader_taken when that was read */
    uint64_t last;                          /* the input ends before this record; UINT64_MAX: it does not */
    uint32_t instance, count;               /* whose it is */
    uint32_t layer_count;                   /* of layers */
    sw_log_layer layers[SW_LOG_LAYERS_MAX]; /* owned */
} sw_log_position;

void sw_log_position_deinit(sw_log_position *position);

/* Is record `number` this instance's to read? */
static inline bool sw_log_position_is_mine(const sw_log_position *p, uint64_t number)
{
    if (p->count > 1 && number % p->count != p->instance) return false;
    for (uint32_t i = 0; i < p->layer_count; i++)
        if (number < p->layers[i].next[number % p->layers[i].count]) return false;
    return true;
}

/* All before `next` has been looked at: drops the layers that say nothing any more. */
void sw_log_position_advance(sw_log_position *position, uint64_t next);

/* Appends it as a map. SW_OK, SW_ENOMEM. */
int sw_log_position_write(const sw_log_position *position, sw_buf *out, sw_error *err);

/* Reads one of its own making, for the instance and count that are set. SW_EFORMAT, SW_ENOMEM. */
int sw_log_position_read(sw_log_position *position, const uint8_t *bytes, size_t len, sw_error *err);

/* The place of instance `instance` of `count` after those of all instances at a checkpoint. SW_EFORMAT, SW_ELIMIT,
 * SW_ENOMEM; the position is to be freed in any case. */
int sw_log_position_restore(sw_log_position *position, const sw_saved_values *saved, uint32_t instance, uint32_t count,
                            sw_error *err);

#endif
