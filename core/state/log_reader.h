/* log_reader.h -- reads an event log up to its committed end, also while it is written.
 *
 *     open --seek--> next, next, ... SW_EEMPTY: the end as last looked at --refresh--> next ...
 *
 * Growth     The descriptor of sw_evlog_reader_fd becomes readable when the writer, in whatever process, publishes: it
 *            watches the file `end` (inotify), so nobody polls. Ask for it before the refresh whose SW_EEMPTY one waits
 *            on, or news in between is missed; each refresh clears it.
 * Ownership  close frees the reader; a record's body is valid until the next call.
 * Threads    one at a time.
 * Limits     A watch costs the system some time when it is closed: readers that do not wait do not ask for it. */
#ifndef SW_STATE_LOG_READER_H
#define SW_STATE_LOG_READER_H

#include "state/log.h"

typedef struct sw_evlog_reader sw_evlog_reader;

/* Opens it at its first record. SW_ENOTFOUND: there is no such log; SW_EINVAL: the name; SW_EFORMAT, SW_EIO,
 * SW_ENOMEM. */
int sw_evlog_reader_open(sw_evlog_reader **out, const char *logs_dir, const char *name, sw_error *err);
void sw_evlog_reader_close(sw_evlog_reader *reader);

/* See above; -1 when the system has no more watches: look again now and then. */
int sw_evlog_reader_fd(sw_evlog_reader *reader);

/* Looks where the committed end is now. SW_ESTATE: records that were read already have been taken back. */
int sw_evlog_reader_refresh(sw_evlog_reader *reader, sw_error *err);

/* Numbers: of the next record, the committed end as last looked at, and the first record that there still is. */
uint64_t sw_evlog_reader_next(const sw_evlog_reader *reader);
uint64_t sw_evlog_reader_committed(const sw_evlog_reader *reader);
int sw_evlog_reader_first(const sw_evlog_reader *reader, uint64_t *out, sw_error *err);

/* How often visible records have been taken back: kept with a position, it tells later whether that still stands.
 * `check` compares: SW_ESTATE when records below `number` were taken back since the count was `taken`. */
uint64_t sw_evlog_reader_taken(const sw_evlog_reader *reader);
int sw_evlog_reader_check(const sw_evlog_reader *reader, uint64_t number, uint64_t taken, sw_error *err);

/* Goes to a record, at most the committed end. SW_ENOTFOUND: retention has removed it; SW_ESTATE: it is beyond the
 * end. */
int sw_evlog_reader_seek(sw_evlog_reader *reader, uint64_t number, sw_error *err);

/* Goes to the first record with this time or a later one; where there is none, to the end. */
int sw_evlog_reader_seek_time(sw_evlog_reader *reader, int64_t time, sw_error *err);

/* The next record. SW_EEMPTY; SW_EFORMAT: it is damaged; SW_ENOTFOUND: retention has removed it. */
int sw_evlog_reader_read(sw_evlog_reader *reader, sw_evlog_record *out, sw_error *err);

#endif
