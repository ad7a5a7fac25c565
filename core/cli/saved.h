/* saved.h -- what commands share that read a state directory: finding and opening it, and the entries of checkpoints as
 * JSON.
 *
 *     JOB (a name, or a state directory) --open--> sw_checkpoints, read-only --> sw_restore --> JSON lines
 *
 * Ownership  As of checkpoints.h.
 * Threads    one at a time. */
#ifndef SW_CLI_SAVED_H
#define SW_CLI_SAVED_H

#include "io/json_encode.h"
#include "state/checkpoints.h"

/* Opens it for reading, beside a running job too. SW_ENOTFOUND: there is none; err names the nearest there is. */
int sw_saved_open(sw_checkpoints **out, const char *job, sw_error *err);

/* Opens a checkpoint as sw_restore_open does, and says on standard error which damaged ones it passed over. */
int sw_saved_restore(sw_restore **out, sw_checkpoints *checkpoints, const char *which, sw_error *err);

/* "checkpoint 12", or "savepoint before-fix" where `which` names one. */
const char *sw_saved_name(char out[SW_SAVEPOINT_NAME_MAX + 32], const sw_restore *restore, const char *which);

/* SW_ENOTFOUND when the checkpoint has no such component; err names the nearest it has. */
int sw_saved_check_component(const sw_restore *restore, const char *component, sw_error *err);

/* A saved entry of keyed state, taken apart. */
typedef struct sw_saved_keyed_value {
    int64_t version;      /* of the shape of the state */
    int64_t changed_ms;   /* when it last changed; 0: nobody knows */
    const uint8_t *state; /* msgpack */
    uint32_t state_len;   /* bytes */
} sw_saved_keyed_value;

/* SW_EFORMAT. */
int sw_saved_read_keyed(const sw_saved *saved, sw_saved_keyed_value *out, sw_error *err);

/* Appends {"key":...,"state":...,"version":n,"changed_ms":...} without the closing brace; "exact":false where something
 * has no JSON form and stands as something else. */
int sw_saved_print_keyed(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err);

/* Appends {"key":...,"time":...,"name":...,"clock":"event"}; a timer without a name has none. */
int sw_saved_print_timer(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err);

/* Bytes of a timer's key that are the key of its state; 0: it is damaged. */
uint32_t sw_saved_timer_key(const sw_saved *saved);

/* Appends members ,"name":value of the line of an instance for a complete kind, but not for sinks, and the end of their
 * input and the watermark of a task. */
int sw_saved_print_part(sw_json_encoder *encoder, const sw_saved *saved, sw_buf *out, sw_error *err);

#endif
