/* log.h -- the embedded event log: durable, numbered events in a folder; one writer, any readers.
 *
 *     append --> [ segment | segment | segment ... committed | not yet visible ] --log_reader.h--> records
 *                                                     ^ publish
 *
 * Each event has a number, from 0 on, without gaps. Readers, in this process or another, see those below the
 * *committed end*, which publish moves; what is behind it does not exist for them. log_file.h has the format and the
 * argument why it survives crashes; log_keep.h has retention.
 *
 * Durable    A published record survives the death of the process. It survives a loss of power once publish(durable)
 *            or sync has returned SW_OK.
 * Ownership  close frees the log, whatever it returns.
 * Threads    One at a time for an open log; the functions on values: any thread, also while the log is open.
 * Limits     SW_EVLOG_BODY_MAX bytes an event; names of SW_EVLOG_NAME_MAX bytes. One writer: a lock on LOGS/NAME/lock,
 *            held until close. Local file systems only. */
#ifndef SW_STATE_LOG_H
#define SW_STATE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "state/row.h"

#define SW_EVLOG_BODY_MAX SW_ROW_BYTES_MAX
#define SW_EVLOG_NAME_MAX 200u
#define SW_EVLOG_SEGMENT_BYTES (64u << 20) /* a segment ends with the first record at or beyond this size */

#define SW_EVLOG_MALFORMED 1u /* flag: the body is that of a MALFORMED row */

typedef struct sw_evlog sw_evlog;

typedef struct sw_evlog_record {
    uint64_t number;     /* its place in the log; append sets it */
    int64_t time;        /* event time, epoch ms */
    const uint8_t *body; /* a msgpack map; borrowed */
    uint32_t len;        /* bytes of body */
    uint32_t flags;      /* SW_EVLOG_... */
} sw_evlog_record;

typedef struct sw_evlog_options {
    uint64_t segment_bytes; /* 0: SW_EVLOG_SEGMENT_BYTES */
    bool cuts_prepared;     /* cut off what a checkpoint prepared and did not show: the log is the opener's own */
} sw_evlog_options;

/* What is wrong with a log's name (letters, digits, '.', '_', '-' and '%', beginning with none of '.', '-'): SW_OK or
 * SW_EINVAL. */
int sw_evlog_check_name(const char *name, sw_error *err);

/* Appends a name made of any text: what a name cannot hold becomes "%XX". */
int sw_evlog_escape(sw_buf *out, const char *text);

/* Opens a log for writing behind its committed end, made if need be. SW_EBUSY: another process writes it (err has its
 * id); SW_ESTATE: a checkpoint of a job has prepared records that are not shown yet, and cuts_prepared is not set;
 * SW_EINVAL: the name; SW_EFORMAT, SW_EIO, SW_ENOSPC, SW_ENOMEM. */
int sw_evlog_open(sw_evlog **out, const char *logs_dir, const char *name, const sw_evlog_options *options,
                  sw_error *err);
int sw_evlog_close(sw_evlog *log, sw_error *err);

/* A sentence about visible records that were found damaged at opening and cut off; "" when there were none. */
const char *sw_evlog_repair(const sw_evlog *log);

/* Number of the next record. */
uint64_t sw_evlog_next(const sw_evlog *log);

/* Adds a record in memory; its number is what sw_evlog_next was. Codes as open, SW_ELIMIT for its size. Here
 * and in what follows a failure loses nothing, and the call may be repeated when there is room again; but after a sync
 * that failed nobody knows what is on the disk, and all calls but close are SW_EIO. */
int sw_evlog_append(sw_evlog *log, const sw_evlog_record *record, sw_error *err);

/* Hands all of it to the operating system. */
int sw_evlog_flush(sw_evlog *log, sw_error *err);

/* Flushes, syncs if is_durable, and makes all of it visible. */
int sw_evlog_publish(sw_evlog *log, bool is_durable, sw_error *err);

/* --- output that a checkpoint makes visible ---------------------------------------------------------------------- */

/* Flushes and appends a value (a msgpack map) that stands for all records so far. No fsync. */
int sw_evlog_prepare(sw_evlog *log, sw_buf *value, sw_error *err);

/* Makes the records of a value durable, and protects them from other writers. SW_ESTATE: they were cut off since. */
int sw_evlog_sync_value(const uint8_t *value, size_t len, sw_error *err);

/* Makes them visible, durably. May be repeated. Codes as above. */
int sw_evlog_commit_value(const uint8_t *value, size_t len, sw_error *err);

/* Takes back the visible records behind the value: they become a log NAME.cut-CHECKPOINT of the same numbers; a
 * sentence that names both is appended to `said`. Takes the writer's lock: SW_EBUSY. */
int sw_evlog_rewind_value(const uint8_t *value, size_t len, uint64_t checkpoint, sw_buf *said, sw_error *err);

#endif
