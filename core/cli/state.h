/* state.h -- what the parts of `swlua state` share.
 *
 *     arguments --> sw_state_query --> state_saved.c, state_diff.c: a checkpoint | state_live.c: the running job
 *
 * Ownership  A query owns its key's bytes; the rest points into argv.
 * Threads    the main thread. */
#ifndef SW_CLI_STATE_H
#define SW_CLI_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "cli/control_client.h"
#include "io/json_encode.h"
#include "state/checkpoints.h"

typedef struct sw_state_query {
    const char *job;       /* a name, or a state directory */
    const char *component; /* whose state */
    const char *key_text;  /* as given: JSON; NULL: none */
    const char *at;        /* which checkpoint; NULL: the running job, or else the latest */
    const char *to;        /* diff: the other one; NULL: the latest */
    int64_t instance;      /* only this one; -1: all */
    uint64_t limit;        /* scan: rows; UINT64_MAX: all */
    bool is_timers;        /* scan: timers instead of keys */
    sw_buf key;            /* canonical bytes of the key; owned */
} sw_state_query;

/* Where rows go: a line of JSON each, on standard output. */
typedef struct sw_state_output {
    sw_json_encoder encoder; /* lenient */
    sw_buf line;             /* being made */
    uint64_t rows;           /* written */
} sw_state_output;

void sw_state_output_init(sw_state_output *output);
void sw_state_output_deinit(sw_state_output *output);
/* Writes the line and begins the next. SW_ECLOSED: nobody reads any more. */
int sw_state_output_line(sw_state_output *output);

/* Reads a key as JSON (a word that is no JSON stands for itself) into its canonical bytes. SW_EINVAL, SW_ENOMEM. */
int sw_state_read_key(const char *text, sw_buf *out, sw_error *err);
/* The key that was perhaps meant: the text of a number, or the number of a text. SW_ENOTFOUND: there is none. */
int sw_state_other_key(const sw_buf *key, sw_buf *out);

/* SW_ENOTFOUND, with a text that names the key, where it is not, and the other one if that is there. */
int sw_state_no_key(const sw_state_query *query, const sw_buf *other, const char *where, sw_error *err);

/* All return SW_OK, or a code with a text; SW_ENOTFOUND also for a key that is not there. */
int sw_state_get_saved(const sw_state_query *query, sw_state_output *output, sw_error *err);
int sw_state_scan_saved(const sw_state_query *query, sw_state_output *output, sw_error *err);
/* output->rows tells whether they differ. */
int sw_state_diff(const sw_state_query *query, sw_state_output *output, sw_error *err);

/* Of the job at the other end. */
int sw_state_get_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err);
int sw_state_scan_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err);

#endif
