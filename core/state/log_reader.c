#include "state/log_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/watch.h"
#include "state/log_file.h"

struct sw_evlog_reader {
    sw_evlog_cursor cursor; /* in the segment that is read */
    sw_evlog_end end;       /* as last looked at */
    sw_file *end_file;      /* owned */
    int watch;              /* on end_file; -1: not asked for */
    char *name;             /* of the log; owned */
    char dir[];             /* its folder */
};

void sw_evlog_reader_close(sw_evlog_reader *r)
{
    if (r == NULL) return;
    sw_evlog_cursor_deinit(&r->cursor);
    sw_file_close(r->end_file, NULL);
    sw_watch_close(r->watch);
    sw_free(r->name);
    sw_free(r);
}

/* The part of an opened segment that may be read: all of it, unless the committed end is in it. */
static int limit_cursor(sw_evlog_reader *r, sw_error *err)
{
    int64_t size = r->cursor.segment == r->end.segment ? (int64_t)r->end.offset : sw_file_size(r->cursor.file, err);
    if (size < 0) return (int)size;
    r->cursor.limit = (uint64_t)size;
    return SW_OK;
}

static int open_segment(sw_evlog_reader *r, uint64_t segment, sw_error *err)
{
    int rc = sw_evlog_cursor_open(&r->cursor, r->dir, segment, err);
    if (rc == SW_ENOTFOUND)
        return sw_error_set(err, rc, "event log %s: record %" PRIu64 " has been removed by retention", r->name,
                            segment);
    return rc == SW_OK ? limit_cursor(r, err) : rc;
}

int sw_evlog_reader_check(const sw_evlog_reader *r, uint64_t number, uint64_t taken, sw_error *err)
{
    bool is_lost = taken > r->end.taken || r->end.taken - taken > 1; /* Further cuts are not known one by one. */
    if (taken + 1 == r->end.taken) is_lost = number > r->end.taken_at;
    if (!is_lost && number <= r->end.committed) return SW_OK;
    return sw_error_set(err, SW_ESTATE,
                        "event log %s was cut back to record %" PRIu64 ", but records up to %" PRIu64
                        " have been read already",
                        r->name, r->end.taken_at < r->end.committed ? r->end.taken_at : r->end.committed, number);
}

int sw_evlog_reader_refresh(sw_evlog_reader *r, sw_error *err)
{
    uint64_t taken = r->end.taken;
    if (r->watch >= 0) sw_watch_clear(r->watch);
    int rc = sw_evlog_end_read(r->end_file, &r->end, err);
    if (rc == SW_ENOTFOUND) return sw_error_set(err, SW_EFORMAT, "%s is damaged", sw_file_name(r->end_file));
    if (rc != SW_OK) return rc;
    if (r->end.taken != taken) { /* What is buffered may be of the part that was cut. */
        if ((rc = sw_evlog_reader_check(r, r->cursor.number, taken, err)) != SW_OK) return rc;
        sw_evlog_cursor_jump(&r->cursor, r->cursor.number, r->cursor.pos);
    }
    return limit_cursor(r, err);
}

int sw_evlog_reader_fd(sw_evlog_reader *r)
{
    if (r->watch < 0 && sw_watch_open(sw_file_name(r->end_file), &r->watch, NULL) != SW_OK) return -1;
    return r->watch;
}

uint64_t sw_evlog_reader_next(const sw_evlog_reader *r)
{
    return r->cursor.number;
}

uint64_t sw_evlog_reader_committed(const sw_evlog_reader *r)
{
    return r->end.committed;
}

uint64_t sw_evlog_reader_taken(const sw_evlog_reader *r)
{
    return r->end.taken;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static int not_there(const char *name, const char *logs_dir, sw_error *err)
{
    return sw_error_set(err, SW_ENOTFOUND,
                        "there is no event log \"%s\" in %s (a sink makes one, or: swlua log append %s </dev/null)",
                        name, logs_dir, name);
}

static int open_files(sw_evlog_reader *r, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    uint64_t first;
    int rc = sw_evlog_path(path, r->dir, SW_EVLOG_END, 0, err);
    if (rc == SW_OK) rc = sw_file_open_read(&r->end_file, path, err);
    if (rc != SW_OK) return rc;
    rc = sw_evlog_end_read(r->end_file, &r->end, err);
    if (rc == SW_ENOTFOUND)
        return sw_error_set(err, SW_EFORMAT, "%s is damaged: opening the log for writing repairs it", path);
    if (rc == SW_OK) rc = sw_evlog_reader_first(r, &first, err);
    return rc == SW_OK ? sw_evlog_reader_seek(r, first, err) : rc;
}

int sw_evlog_reader_open(sw_evlog_reader **out, const char *logs_dir, const char *name, sw_error *err)
{
    int rc = sw_evlog_check_name(name, err);
    if (rc != SW_OK) return rc;
    size_t size = strlen(logs_dir) + strlen(name) + 2;
    sw_evlog_reader *r = sw_calloc(1, sizeof(*r) + size);
    if (r == NULL) return sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", name);
    snprintf(r->dir, size, "%s/%s", logs_dir, name);
    r->watch = -1;
    r->name = sw_strdup(name);
    rc = r->name != NULL ? open_files(r, err) : sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", name);
    if (rc == SW_ENOTFOUND && r->end_file == NULL) not_there(name, logs_dir, err);
    if (rc != SW_OK) {
        sw_evlog_reader_close(r);
        return rc;
    }
    *out = r;
    return SW_OK;
}

/* --- places ------------------------------------------------------------------------------------------------------ */

int sw_evlog_reader_first(const sw_evlog_reader *r, uint64_t *out, sw_error *err)
{
    uint64_t *segments;
    size_t count;
    int rc = sw_evlog_segments(r->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    if (count > 0) *out = segments[0];
    sw_free(segments);
    return count > 0 ? SW_OK : sw_error_set(err, SW_EFORMAT, "event log %s has no segments", r->name);
}

/* Goes to the last index entry before the record, then from record to record: reading one proves the entry. */
static int seek_in_segment(sw_evlog_reader *r, uint64_t number, sw_error *err)
{
    sw_evlog_mark *marks;
    sw_evlog_record record;
    size_t count;
    int rc = sw_evlog_marks(r->dir, r->cursor.segment, r->cursor.limit, &marks, &count, err);
    if (rc != SW_OK) return rc;
    while (count > 0 && marks[count - 1].number >= number) count--;
    if (count > 0) sw_evlog_cursor_jump(&r->cursor, marks[count - 1].number, marks[count - 1].offset);
    sw_free(marks);
    while (rc == SW_OK && r->cursor.number < number) rc = sw_evlog_cursor_next(&r->cursor, &record, err);
    if (rc != SW_EFORMAT || count == 0) return rc;
    sw_evlog_cursor_jump(&r->cursor, r->cursor.segment, SW_EVLOG_SEGMENT_HEAD); /* The index may be wrong. */
    for (rc = SW_OK; rc == SW_OK && r->cursor.number < number;) rc = sw_evlog_cursor_next(&r->cursor, &record, err);
    return rc;
}

int sw_evlog_reader_seek(sw_evlog_reader *r, uint64_t number, sw_error *err)
{
    uint64_t *segments;
    size_t count, i;
    if (number > r->end.committed)
        return sw_error_set(err, SW_ESTATE, "event log %s ends at record %" PRIu64 ", before %" PRIu64, r->name,
                            r->end.committed, number);
    int rc = sw_evlog_segments(r->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    for (i = count; i > 0 && segments[i - 1] > number; i--) continue;
    uint64_t segment = i > 0 ? segments[i - 1] : 0, first = count > 0 ? segments[0] : 0;
    if (segment > r->end.segment) segment = r->end.segment; /* What follows is not committed. */
    sw_free(segments);
    if (i == 0)
        return sw_error_set(err, SW_ENOTFOUND,
                            "event log %s: record %" PRIu64 " has been removed by retention; the first is %" PRIu64,
                            r->name, number, first);
    rc = open_segment(r, segment, err);
    if (rc == SW_OK) rc = seek_in_segment(r, number, err);
    if (rc == SW_EEMPTY) rc = sw_error_set(err, SW_EFORMAT, "event log %s lacks record %" PRIu64, r->name, number);
    return rc;
}

/* Where the segment's first record of this time may be: the last mark before which all are older. False when the
 * segment is known to end before there is one. */
static bool jump_to_time(sw_evlog_cursor *c, const sw_evlog_mark *marks, size_t count, int64_t time)
{
    bool is_complete = count > 0 && marks[count - 1].offset == c->limit;
    if (is_complete && marks[count - 1].time_max < time) return false;
    while (count > 0 && marks[count - 1].time_max >= time) count--;
    if (count > 0) sw_evlog_cursor_jump(c, marks[count - 1].number, marks[count - 1].offset);
    return true;
}

/* SW_OK: the cursor stands at such a record. SW_EEMPTY: there is none in this segment. */
static int seek_time_in_segment(sw_evlog_reader *r, int64_t time, sw_error *err)
{
    sw_evlog_mark *marks;
    sw_evlog_record record = { .time = INT64_MIN };
    size_t count;
    int rc = sw_evlog_marks(r->dir, r->cursor.segment, r->cursor.limit, &marks, &count, err);
    if (rc != SW_OK) return rc;
    bool is_possible = jump_to_time(&r->cursor, marks, count, time);
    sw_free(marks);
    if (!is_possible) return SW_EEMPTY;
    for (;;) {
        uint64_t number = r->cursor.number, pos = r->cursor.pos;
        if ((rc = sw_evlog_cursor_next(&r->cursor, &record, err)) != SW_OK) return rc;
        if (record.time < time) continue;
        sw_evlog_cursor_jump(&r->cursor, number, pos);
        return SW_OK;
    }
}

int sw_evlog_reader_seek_time(sw_evlog_reader *r, int64_t time, sw_error *err)
{
    uint64_t *segments;
    size_t count;
    int rc = sw_evlog_segments(r->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    rc = SW_EEMPTY;
    for (size_t i = 0; rc == SW_EEMPTY && i < count && segments[i] <= r->end.segment; i++) {
        rc = open_segment(r, segments[i], err);
        if (rc == SW_ENOTFOUND && i + 1 < count) rc = SW_EEMPTY; /* Removed just now: it was too old. */
        else if (rc == SW_OK) rc = seek_time_in_segment(r, time, err);
    }
    sw_free(segments);
    return rc == SW_EEMPTY ? sw_evlog_reader_seek(r, r->end.committed, err) : rc;
}

int sw_evlog_reader_read(sw_evlog_reader *r, sw_evlog_record *out, sw_error *err)
{
    for (;;) {
        int rc = r->cursor.number < r->end.committed ? sw_evlog_cursor_next(&r->cursor, out, err) : SW_EEMPTY;
        if (rc != SW_EEMPTY || r->cursor.number >= r->end.committed) return rc;
        if ((rc = open_segment(r, r->cursor.number, err)) != SW_OK) return rc;
    }
}
