/* log_writer.h -- an open event log and how it comes to be at its end; for the log's own modules.
 *
 * Ownership  sw_evlog_close frees all of it.
 * Threads    as log.h. */
#ifndef SW_STATE_LOG_WRITER_H
#define SW_STATE_LOG_WRITER_H

#include "state/log_file.h"

struct sw_evlog {
    /* ---- appending ---- */
    sw_buf pending;         /* records that are not written yet; owned */
    uint64_t next;          /* number of the next record */
    uint64_t offset;        /* of it in the segment */
    uint64_t written;       /* bytes of the segment that are with the operating system */
    int64_t time_max;       /* of the segment's records; INT64_MIN: it has none */
    uint64_t marked;        /* offset of the newest index entry */
    uint64_t segment_bytes; /* see the options */
    bool is_broken;         /* a sync failed: what is on the disk is not known */
    /* ---- files ---- */
    sw_file *segment;       /* being written; owned */
    uint64_t segment_first; /* its number */
    sw_file *index;         /* of the segment; owned */
    sw_buf marks;           /* index entries that are not written yet; owned */
    uint64_t index_size;    /* bytes of the index */
    sw_file *lock;          /* held; owned */
    uint64_t dirty;         /* segments from this number on hold bytes that are not synced */
    bool is_dir_dirty;      /* a segment was made since the folder was synced */
    sw_evlog_end end;       /* as last written or read here */
    /* ---- who it is ---- */
    sw_buf repair; /* see sw_evlog_repair; owned */
    char *name;    /* owned */
    char *dir;     /* its folder; owned */
};

/* Makes a segment that begins with record `number` the one that is written; the one before is complete. */
int sw_evlog_begin_segment(sw_evlog *log, uint64_t number, sw_error *err);

/* Makes log->end true and the files agree with it: finds the end where it is lost, checks what was not synced, cuts
 * off what is behind it, and opens the last segment there. */
int sw_evlog_recover(sw_evlog *log, const sw_evlog_options *options, sw_error *err);

/* Cuts visible records off, from `number` on: nothing is pending. */
int sw_evlog_cut(sw_evlog *log, uint64_t number, sw_error *err);

#endif
