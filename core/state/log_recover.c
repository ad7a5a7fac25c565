/* log_recover.c -- how an event log that was left at any moment is made whole when it is opened for writing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/log_reader.h"
#include "state/log_writer.h"

/* --- finding the end --------------------------------------------------------------------------------------------- */

/* Where the last whole record ends, by reading the segments from `from` on; a segment that has no head, or whose number
 * is not the next, ends it. */
static int scan(const char *dir, const uint64_t *segments, size_t count, sw_evlog_end *end, sw_error *err)
{
    sw_evlog_cursor cursor = { 0 };
    sw_evlog_record record;
    int rc = SW_OK;
    for (size_t i = 0; i < count && rc == SW_OK; i++) {
        if (i > 0 && segments[i] != end->committed) break;
        rc = sw_evlog_cursor_open(&cursor, dir, segments[i], err);
        if (rc != SW_OK) break;
        while ((rc = sw_evlog_cursor_next(&cursor, &record, err)) == SW_OK) continue;
        end->committed = cursor.number;
        end->segment = segments[i];
        end->offset = cursor.pos;
        if (rc == SW_EEMPTY) rc = SW_OK;
    }
    sw_evlog_cursor_deinit(&cursor);
    return rc == SW_EFORMAT ? SW_OK : rc;
}

/* Records that should be there are checked from the segment on in which the first unsynced one is. */
static int verify(sw_evlog *log, const uint64_t *segments, size_t count, sw_error *err)
{
    sw_evlog_end *end = &log->end, found;
    size_t i = count;
    while (i > 0 && segments[i - 1] > end->synced) i--;
    if (i == 0 && count > 0) i = 1; /* Retention went further than syncing did. */
    found = *end;
    found.committed = i > 0 ? segments[i - 1] : 0;
    found.segment = found.committed;
    found.offset = SW_EVLOG_SEGMENT_HEAD;
    int rc = i > 0 ? scan(log->dir, segments + i - 1, count - i + 1, &found, err) : SW_OK;
    if (rc != SW_OK || found.committed >= end->committed) return rc;
    found.taken++;
    found.taken_at = found.committed;
    rc = sw_buf_printf(&log->repair,
                       "event log %s: records %" PRIu64 " to %" PRIu64 " were damaged by a crash and are cut off",
                       log->name, found.committed, end->committed - 1);
    if (rc != SW_OK) return sw_error_set(err, rc, "event log %s: out of memory", log->name);
    if (found.synced > found.committed) found.synced = found.committed;
    found.prepared = found.committed;
    *end = found;
    return SW_OK;
}

/* Bytes of the segment in which the committed end is; -1 when it is not there. */
static int last_segment_size(const sw_evlog *log, int64_t *size, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_file *file = NULL;
    int rc = sw_evlog_path(path, log->dir, SW_EVLOG_SEGMENT, log->end.segment, err);
    if (rc == SW_OK) rc = sw_file_open_read(&file, path, err);
    *size = -1;
    if (rc == SW_ENOTFOUND) return SW_OK;
    if (rc != SW_OK) return rc;
    *size = sw_file_size(file, err);
    sw_file_close(file, NULL);
    return *size < 0 ? (int)*size : SW_OK;
}

/* Without a valid `end` all whole records count as visible: at the making of a log there are none. */
static int rebuild_end(sw_evlog *log, const uint64_t *segments, size_t count, sw_error *err)
{
    log->end = (sw_evlog_end){ .offset = SW_EVLOG_SEGMENT_HEAD };
    if (count == 0) return SW_OK;
    log->end.committed = log->end.segment = segments[0];
    int rc = scan(log->dir, segments, count, &log->end, err);
    if (rc == SW_OK && log->end.committed > 0)
        rc = sw_buf_printf(&log->repair,
                           "event log %s: the file \"end\" was damaged; all records up to %" PRIu64
                           " count as committed",
                           log->name, log->end.committed);
    return rc;
}

static int find_end(sw_evlog *log, const uint64_t *segments, size_t count, bool *is_new, sw_error *err)
{
    sw_file *file = NULL;
    int rc = sw_evlog_end_open(&file, log->dir, err);
    if (rc != SW_OK) return rc;
    rc = sw_evlog_end_read(file, &log->end, err);
    sw_file_close(file, NULL);
    *is_new = rc == SW_ENOTFOUND;
    if (rc == SW_ENOTFOUND) return rebuild_end(log, segments, count, err);
    if (rc != SW_OK) return rc;
    int64_t size;
    if ((rc = last_segment_size(log, &size, err)) != SW_OK) return rc;
    bool is_there = size >= (int64_t)log->end.offset;
    if (log->end.synced >= log->end.committed && is_there) return SW_OK;
    *is_new = !is_there && log->end.offset == SW_EVLOG_SEGMENT_HEAD; /* There is not even the segment. */
    return verify(log, segments, count, err);
}

/* --- cutting ----------------------------------------------------------------------------------------------------- */

static int put_end(void *arg, sw_evlog_end *end, sw_error *err)
{
    const sw_evlog_end *from = arg;
    uint64_t seq = end->seq;
    (void)err;
    *end = *from;
    end->seq = seq;
    return SW_OK;
}

/* Removes the segments behind the end, the newest first. */
static int remove_behind(const sw_evlog *log, const uint64_t *segments, size_t count, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = SW_OK;
    for (size_t i = count; rc == SW_OK && i > 0 && segments[i - 1] > log->end.segment; i--) {
        rc = sw_evlog_path(path, log->dir, SW_EVLOG_SEGMENT, segments[i - 1], err);
        SW_CRASH_POINT("log.cut.remove");
        if (rc == SW_OK) rc = sw_evlog_remove(path, err);
        if (rc == SW_OK) rc = sw_evlog_path(path, log->dir, SW_EVLOG_INDEX, segments[i - 1], err);
        if (rc == SW_OK) rc = sw_evlog_remove(path, err);
        SW_CRASH_POINT("log.cut.removed");
    }
    return rc;
}

static int open_last(sw_evlog *log, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_file_close(log->segment, NULL);
    sw_file_close(log->index, NULL);
    log->segment = log->index = NULL;
    int rc = sw_evlog_path(path, log->dir, SW_EVLOG_SEGMENT, log->end.segment, err);
    if (rc == SW_OK) rc = sw_file_open_update(&log->segment, path, err);
    if (rc == SW_OK) rc = sw_evlog_path(path, log->dir, SW_EVLOG_INDEX, log->end.segment, err);
    if (rc == SW_OK) rc = sw_file_open_update(&log->index, path, err);
    log->segment_first = log->dirty = log->end.segment;
    log->offset = log->written = log->end.offset;
    log->next = log->end.committed;
    return rc;
}

/* Sets what the index lets one know: how much of it holds, and the greatest time so far. */
static int resume_index(sw_evlog *log, sw_error *err)
{
    sw_evlog_cursor cursor = { 0 };
    sw_evlog_mark *marks;
    sw_evlog_record record;
    size_t count;
    int rc = sw_evlog_marks(log->dir, log->segment_first, log->offset, &marks, &count, err);
    if (rc != SW_OK) return rc;
    const sw_evlog_mark start = { log->segment_first, SW_EVLOG_SEGMENT_HEAD, INT64_MIN };
    const sw_evlog_mark last = count > 0 ? marks[count - 1] : start;
    sw_free(marks);
    log->marked = last.offset;
    log->time_max = last.time_max;
    log->index_size = count * SW_EVLOG_INDEX_ENTRY;
    rc = sw_evlog_cursor_open(&cursor, log->dir, log->segment_first, err);
    if (rc == SW_OK) {
        cursor.limit = log->offset;
        sw_evlog_cursor_jump(&cursor, last.number, last.offset);
    }
    while (rc == SW_OK && (rc = sw_evlog_cursor_next(&cursor, &record, err)) == SW_OK)
        if (record.time > log->time_max) log->time_max = record.time;
    sw_evlog_cursor_deinit(&cursor);
    return rc == SW_EEMPTY || rc == SW_EFORMAT ? SW_OK : rc; /* Who reads a damaged record is told; this is a hint. */
}

/* Cuts the last segment and its index to the end. */
static int trim_last(sw_evlog *log, sw_error *err)
{
    int64_t size = sw_file_size(log->segment, err), index_size = sw_file_size(log->index, err);
    int rc = size < 0 ? (int)size : index_size < 0 ? (int)index_size : resume_index(log, err);
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("log.cut.truncate");
    if ((uint64_t)size > log->offset) {
        rc = sw_file_truncate(log->segment, log->offset, err);
        if (rc == SW_OK) rc = sw_file_sync(log->segment, err);
    }
    SW_CRASH_POINT("log.cut.truncated");
    if (rc == SW_OK && (uint64_t)index_size > log->index_size) {
        rc = sw_file_truncate(log->index, log->index_size, err);
        if (rc == SW_OK) rc = sw_file_sync(log->index, err);
    }
    SW_CRASH_POINT("log.cut.done");
    return rc;
}

/* Is anything behind the end? */
static int look_behind(const sw_evlog *log, const uint64_t *segments, size_t count, bool *has_tail, sw_error *err)
{
    int64_t size;
    int rc = last_segment_size(log, &size, err);
    *has_tail = (count > 0 && segments[count - 1] > log->end.segment) || size > (int64_t)log->end.offset;
    return rc;
}

/* First the end says so, then the files are cut: whatever happens in between, opening again goes on from there. */
static int apply_end(sw_evlog *log, const uint64_t *segments, size_t count, sw_error *err)
{
    SW_CRASH_POINT("log.cut.begin");
    log->end.cuts++;
    log->end.cut_at = log->end.prepared = log->end.committed;
    int rc = sw_evlog_end_change(log->dir, true, put_end, &log->end, &log->end, err);
    if (rc == SW_OK) rc = remove_behind(log, segments, count, err);
    if (rc == SW_OK) rc = sw_fs_sync_dir(log->dir, err);
    return rc;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

/* Makes the segment with the end in it from nothing: it holds no record. It is there before the end says so. */
static int make_segment(sw_evlog *log, sw_error *err)
{
    int rc = sw_evlog_begin_segment(log, log->end.segment, err);
    if (rc == SW_OK) rc = sw_file_sync(log->segment, err);
    if (rc == SW_OK) rc = sw_fs_sync_dir(log->dir, err);
    log->next = log->end.committed;
    log->dirty = log->segment_first;
    return rc;
}

static int recover(sw_evlog *log, const uint64_t *segments, size_t count, const sw_evlog_options *options,
                   sw_error *err)
{
    bool is_new = false, has_tail = false;
    int rc = find_end(log, segments, count, &is_new, err);
    if (rc != SW_OK) return rc;
    if (log->end.prepared > log->end.committed && !options->cuts_prepared)
        return sw_error_set(err, SW_ESTATE,
                            "event log %s holds %" PRIu64 " records that a checkpoint of a job has prepared and not "
                            "yet shown: start that job again to finish it",
                            log->name, log->end.prepared - log->end.committed);
    bool is_changed = is_new || log->repair.size > 0;
    if (is_changed && log->end.offset == SW_EVLOG_SEGMENT_HEAD) rc = make_segment(log, err);
    if (rc == SW_OK) rc = look_behind(log, segments, count, &has_tail, err);
    if (rc == SW_OK && (is_changed || has_tail)) rc = apply_end(log, segments, count, err);
    if (rc == SW_OK) rc = open_last(log, err);
    return rc == SW_OK ? trim_last(log, err) : rc;
}

int sw_evlog_recover(sw_evlog *log, const sw_evlog_options *options, sw_error *err)
{
    uint64_t *segments;
    size_t count;
    int rc = sw_evlog_segments(log->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    rc = recover(log, segments, count, options, err);
    sw_free(segments);
    return rc;
}

int sw_evlog_cut(sw_evlog *log, uint64_t number, sw_error *err)
{
    sw_evlog_cursor cursor = { 0 };
    sw_evlog_record record;
    uint64_t *segments;
    size_t count, i;
    int rc = sw_evlog_segments(log->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    for (i = count; i > 1 && segments[i - 1] > number; i--) continue;
    rc = sw_evlog_cursor_open(&cursor, log->dir, segments[i - 1], err);
    while (rc == SW_OK && cursor.number < number) rc = sw_evlog_cursor_next(&cursor, &record, err);
    if (rc == SW_OK) {
        log->end.taken++;
        log->end.taken_at = log->end.committed = number;
        log->end.segment = cursor.segment;
        log->end.offset = cursor.pos;
        if (log->end.synced > number) log->end.synced = number;
        rc = apply_end(log, segments, count, err);
    }
    sw_evlog_cursor_deinit(&cursor);
    sw_free(segments);
    if (rc == SW_OK) rc = open_last(log, err);
    return rc == SW_OK ? trim_last(log, err) : rc;
}
