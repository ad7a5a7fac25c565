/* log_keep.h -- what an event log holds, for whom, and for how long.
 *
 *     [ segment | segment | segment ... ]   trim removes whole segments at the old end
 *                 ^ least number that a registered reader may still ask for
 *
 * A reader that comes back (a job that restores a checkpoint) registers under a name and says below which number it
 * will never ask again. trim does not go beyond the least of those numbers, unless forced. The segment with the
 * committed end always stays.
 *
 * Crash      A reader's first number is synced, later ones replace it atomically and are not: after a loss of power it
 *            may be an older one, which keeps more; one that cannot be read keeps everything. Segments are removed
 *            oldest first.
 * Ownership  sw_evlog_info is freed by its deinit.
 * Threads    any, also while the log is written: trim holds the lock of `end`, not the writer's.
 * Limits     as log.h. */
#ifndef SW_STATE_LOG_KEEP_H
#define SW_STATE_LOG_KEEP_H

#include "state/log.h"

/* Registers the reader, or moves its number. The name may be any text. */
int sw_evlog_retain(const char *logs_dir, const char *name, const char *reader, uint64_t number, sw_error *err);

/* Ends a registration; one that is not there is fine. */
int sw_evlog_forget(const char *logs_dir, const char *name, const char *reader, sw_error *err);

/* The number of a registered reader. SW_ENOTFOUND (no text): it is not registered. */
int sw_evlog_retained(const char *logs_dir, const char *name, const char *reader, uint64_t *out, sw_error *err);

typedef struct sw_evlog_held {
    char *reader;    /* name, escaped (sw_evlog_escape) */
    uint64_t number; /* below it nothing is needed */
} sw_evlog_held;

typedef struct sw_evlog_info {
    uint64_t first;         /* number of the first record that there still is */
    uint64_t committed;     /* the committed end: records are first .. committed - 1 */
    uint64_t prepared;      /* records behind it that a checkpoint has prepared */
    uint64_t segments;      /* files */
    uint64_t bytes;         /* of all segments, what is not visible included */
    int64_t first_time;     /* of the first record; without records not set */
    int64_t last_time;      /* of the last visible one; not set either */
    sw_evlog_held *readers; /* registered ones, by name; owned */
    size_t reader_count;    /* of them */
} sw_evlog_info;

int sw_evlog_info_init(sw_evlog_info *out, const char *logs_dir, const char *name, sw_error *err);
void sw_evlog_info_deinit(sw_evlog_info *info);

typedef struct sw_evlog_keep {
    bool has_bytes;  /* whether bytes counts */
    bool has_before; /* whether before_ms counts */
    bool is_forced;  /* goes beyond what registered readers retain */
    uint64_t bytes;  /* a segment goes when those behind it have at least so many */
    int64_t before;  /* a segment goes when all its events have times before this, epoch ms */
} sw_evlog_keep;

typedef struct sw_evlog_trimmed {
    uint64_t segments;                    /* removed */
    uint64_t bytes;                       /* in them */
    uint64_t first;                       /* number of the first record now */
    char held_by[SW_EVLOG_NAME_MAX + 64]; /* reader for whose sake more was kept than asked for; "" */
} sw_evlog_trimmed;

/* Removes the oldest segments while one of the rules lets them go. SW_ENOTFOUND: no such log. */
int sw_evlog_trim(const char *logs_dir, const char *name, const sw_evlog_keep *keep, sw_evlog_trimmed *out,
                  sw_error *err);

#endif
