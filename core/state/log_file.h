/* log_file.h -- the files of an event log, byte by byte; for the log's own modules.
 *
 *     LOGS/NAME/00000000000000000000.log   a segment: events, one behind the other; named by its first number
 *               00000000000000000000.idx   where in it some numbers and times are: a hint
 *               end                        up to where readers may read
 *               lock                       held by the writer; its process id
 *               readers/READER             the number up to which a reader needs nothing any more, as text
 *
 * Format     Integers are little-endian.
 *            segment  "swevlog\1", u64 number of its first record; then records:
 *            record   u64 XXH3 (seed: the record's number) of all that follows, i64 time, u32 bytes of the body, u32
 *                     flags, body
 *            index    entries u64 number, u64 offset in the segment, i64 greatest time of the records before it in the
 *                     segment, u64 XXH3 (seed: number of the segment) of those; the last entry of a segment that is
 *                     full is its end
 *            end      two slots, at 0 and at 512: the twelve u64 of sw_evlog_end, in order, and their XXH3; the valid
 *                     one with the greater `seq` counts
 *
 * Crash      A record is visible when `end` says so, and `end` is written behind the record: a reader looks at nothing
 *            beyond. A slot is written while the other one stays as it was, so that one is valid whenever the writing
 *            is cut short. Below `synced` everything was synced before `end` was written and synced. Between `synced`
 *            and `committed` a loss of power may tear; opening for writing checks those records and cuts at the first
 *            that is not whole. What lies beyond `committed` at opening was never seen by anybody: it is cut. An
 *            index is a hint: it may end early or be missing, what is behind a cut in it is cut too and synced, and a
 *            wrong place does not go unnoticed, since the hash of a record depends on its number.
 *
 * Ownership  A cursor's record lies in its buffer, valid until its next call.
 * Threads    one at a time for each object; sw_evlog_end_change excludes other threads and processes.
 * Limits     SW_EVLOG_BODY_MAX bytes an event, 2^64 - 1 events. */
#ifndef SW_STATE_LOG_FILE_H
#define SW_STATE_LOG_FILE_H

#include "base/fs.h"
#include "state/log.h"

#define SW_EVLOG_PATH_MAX 4096u       /* of any file of a log, with its NUL */
#define SW_EVLOG_SEGMENT_HEAD 16u     /* bytes before the first record */
#define SW_EVLOG_RECORD_HEAD 24u      /* bytes before a body */
#define SW_EVLOG_INDEX_EVERY 65536u   /* bytes of a segment between index entries */
#define SW_EVLOG_INDEX_ENTRY 32u      /* bytes of one */
#define SW_EVLOG_END_BYTES (13u * 8u) /* of a slot */
#define SW_EVLOG_END_SLOT 512u        /* where the second one is: in a sector of its own */

typedef struct sw_evlog_end {
    uint64_t magic;     /* "swevend\1" */
    uint64_t seq;       /* grows with each change */
    uint64_t committed; /* records below are visible */
    uint64_t segment;   /* number of the segment in which the record `committed` is or will be */
    uint64_t offset;    /* of that record there */
    uint64_t synced;    /* records below survive a loss of power */
    uint64_t prepared;  /* records below may belong to a durable checkpoint that has not shown them yet */
    uint64_t cuts;      /* how often records were cut off the end of the files, ... */
    uint64_t cut_at;    /* ... the last time from this number on */
    uint64_t taken;     /* how often visible records were among them, ... */
    uint64_t taken_at;  /* ... the last time from this number on */
    uint64_t reserved;  /* 0 */
} sw_evlog_end;

typedef enum sw_evlog_file_kind { SW_EVLOG_SEGMENT, SW_EVLOG_INDEX, SW_EVLOG_END, SW_EVLOG_LOCK } sw_evlog_file_kind;

/* The path of a file of the log in folder `dir`; the number matters for segments and indexes. SW_ELIMIT. */
int sw_evlog_path(char *out, const char *dir, sw_evlog_file_kind kind, uint64_t number, sw_error *err);

/* Removes a file; one that is not there is fine. */
int sw_evlog_remove(const char *path, sw_error *err);

/* Numbers of the log's segments, ascending, to be freed with sw_free; *count may be 0. */
int sw_evlog_segments(const char *dir, uint64_t **numbers, size_t *count, sw_error *err);

/* Opens the file `end`, made if need be. */
int sw_evlog_end_open(sw_file **out, const char *dir, sw_error *err);

/* Reads it. SW_ENOTFOUND (no text): no slot is valid. */
int sw_evlog_end_read(sw_file *file, sw_evlog_end *out, sw_error *err);

/* Reads it, lets `change` work on it, and writes the other slot (and syncs it, if is_durable), under a lock. `change`
 * returns SW_OK, SW_EEMPTY (leave it as it is: SW_OK), or a code that is passed on. *out is then what holds. */
int sw_evlog_end_change(const char *dir, bool is_durable, int (*change)(void *arg, sw_evlog_end *end, sw_error *err),
                        void *arg, sw_evlog_end *out, sw_error *err);

/* Appends the bytes of a record. SW_OK, SW_ENOMEM. */
int sw_evlog_encode(sw_buf *out, uint64_t number, const sw_evlog_record *record);

/* --- reading a segment ------------------------------------------------------------------------------------------- */

typedef struct sw_evlog_cursor {
    sw_file *file;    /* the segment; owned */
    uint64_t segment; /* its number */
    uint64_t number;  /* of the next record */
    uint64_t pos;     /* where that is in the file */
    uint64_t limit;   /* nothing from here on is read */
    sw_buf buf;       /* bytes of the file; owned */
    uint64_t buf_at;  /* where in the file they begin */
} sw_evlog_cursor;

/* Opens a segment at its first record, with the limit at the file's size. SW_ENOTFOUND; SW_EFORMAT: no segment. The
 * cursor keeps its buffer from one to the next; all zeros at first. */
int sw_evlog_cursor_open(sw_evlog_cursor *cursor, const char *dir, uint64_t segment, sw_error *err);
void sw_evlog_cursor_deinit(sw_evlog_cursor *cursor);

/* Goes to record `number`, which lies at or behind `pos`. */
void sw_evlog_cursor_jump(sw_evlog_cursor *cursor, uint64_t number, uint64_t pos);

/* The next record; SW_EEMPTY at the limit; SW_EFORMAT where there is no whole record before the limit. */
int sw_evlog_cursor_next(sw_evlog_cursor *cursor, sw_evlog_record *out, sw_error *err);

/* --- the index of a segment -------------------------------------------------------------------------------------- */

typedef struct sw_evlog_mark {
    uint64_t number;  /* of a record */
    uint64_t offset;  /* where it is in the segment */
    int64_t time_max; /* of the records before it in the segment; INT64_MIN: there is none */
} sw_evlog_mark;

int sw_evlog_mark_encode(sw_buf *out, uint64_t segment, const sw_evlog_mark *mark);

/* The valid entries of a segment's index up to the first that is not or is beyond `limit` in the segment; an array to
 * be freed with sw_free. A missing index has none. */
int sw_evlog_marks(const char *dir, uint64_t segment, uint64_t limit, sw_evlog_mark **out, size_t *count,
                   sw_error *err);

#endif
