/* log_rows.h -- events of an event log to rows, and rows to events of a log.
 *
 *     record { time, map } --sw_log_rows_take--> EVENT row (record or map), or MALFORMED row { raw, error, where }
 *     row --sw_log_rows_give--> record
 *
 * A record's time is the row's, unless the source has a time field. A schema takes the fields that it names and passes
 * over the rest.
 *
 * Ownership  deinit frees; rows go to the caller's batch, a given record's body lies in the caller's buffer or the row.
 * Threads    one at a time. */
#ifndef SW_IO_LOG_ROWS_H
#define SW_IO_LOG_ROWS_H

#include "io/json_encode.h"
#include "run/connector.h"
#include "state/log.h"

typedef struct sw_log_rows {
    const sw_schema *schema; /* of the rows; NULL: maps */
    const char *time_field;  /* that gives event time; NULL: the record's own */
    int64_t max_ahead_ms;    /* see sw_source_context */
    int64_t now_ms;          /* the clock at the last tick */
    sw_clock *clock;         /* the engine's */
    const char *name;        /* of the log, for `where`; the caller's */
    sw_json_encoder json;    /* of `raw` */
} sw_log_rows;

/* The context's schema, time_field and clock, and the name, must outlive it. SW_EINVAL: the schema has no such time
 * field. */
int sw_log_rows_init(sw_log_rows *rows, const char *name, const sw_source_context *context, sw_error *err);
void sw_log_rows_deinit(sw_log_rows *rows);

/* Reads the clock, for all records until the next call. */
void sw_log_rows_tick(sw_log_rows *rows);

/* Appends a row. SW_OK, SW_ENOMEM, SW_ELIMIT. */
int sw_log_rows_take(sw_log_rows *rows, const sw_evlog_record *record, sw_batch *out, sw_error *err);

/* Makes the record of an EVENT or MALFORMED row; the map of a record row is put into `scratch`. SW_OK, SW_ENOMEM. */
int sw_log_rows_give(const sw_row *row, sw_buf *scratch, sw_evlog_record *out, sw_error *err);

#endif
