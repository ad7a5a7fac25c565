#include "state/log_keep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/log_file.h"
#include "state/log_reader.h"

#define POSITION_BYTES_MAX 64u

/* --- registered readers ------------------------------------------------------------------------------------------ */

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

static int join(char *out, const char *a, const char *b, sw_error *err)
{
    int n = snprintf(out, SW_EVLOG_PATH_MAX, "%s/%s", a, b);
    if (n < (int)SW_EVLOG_PATH_MAX) return SW_OK;
    return sw_error_set(err, SW_ELIMIT, "the path %.200s... is too long", a);
}

/* Path of a reader's file, or of the one it is made in ("~" is in no reader's file name). */
static int reader_path(char *out, const char *logs_dir, const char *name, const char *reader, bool is_new,
                       sw_error *err)
{
    sw_buf file = { 0 };
    int rc = sw_evlog_check_name(name, err);
    if (rc != SW_OK) return rc;
    rc = sw_buf_append_str(&file, is_new ? "/readers/~" : "/readers/");
    if (rc == SW_OK) rc = sw_evlog_escape(&file, reader);
    if (rc == SW_OK) rc = sw_buf_append(&file, "", 1);
    int n = rc == SW_OK ? snprintf(out, SW_EVLOG_PATH_MAX, "%s/%s%s", logs_dir, name, (char *)file.data) : 0;
    sw_buf_deinit(&file);
    if (rc != SW_OK) return out_of_memory(err);
    if (n < (int)SW_EVLOG_PATH_MAX) return SW_OK;
    return sw_error_set(err, SW_ELIMIT, "the path %.200s... is too long", logs_dir);
}

int sw_evlog_retain(const char *logs_dir, const char *name, const char *reader, uint64_t number, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX], making[SW_EVLOG_PATH_MAX], text[32];
    sw_file *file = NULL;
    int rc = reader_path(path, logs_dir, name, reader, false, err);
    if (rc == SW_OK) rc = reader_path(making, logs_dir, name, reader, true, err);
    if (rc == SW_OK) rc = sw_file_open_create(&file, making, err);
    if (rc != SW_OK) return rc;
    bool is_new = !sw_fs_exists(path);
    int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
    rc = sw_file_pwrite(file, text, (size_t)n, 0, err);
    if (rc == SW_OK && is_new) rc = sw_file_sync(file, err);
    int closed = sw_file_close(file, rc == SW_OK ? err : NULL);
    if (rc == SW_OK) rc = closed;
    SW_CRASH_POINT("log.reader.rename");
    if (rc == SW_OK) rc = sw_fs_rename(making, path, err);
    SW_CRASH_POINT("log.reader.renamed");
    if (rc != SW_OK || !is_new) return rc;
    *strrchr(path, '/') = '\0';
    return sw_fs_sync_dir(path, err);
}

int sw_evlog_forget(const char *logs_dir, const char *name, const char *reader, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = reader_path(path, logs_dir, name, reader, false, err);
    return rc == SW_OK ? sw_evlog_remove(path, err) : rc;
}

/* A file that holds no number retains everything. */
static int read_number(const char *path, uint64_t *out, sw_error *err)
{
    sw_buf text = { 0 };
    int rc = sw_fs_read_all(path, &text, POSITION_BYTES_MAX, err);
    if (rc == SW_OK) rc = sw_buf_append(&text, "", 1);
    bool is_number = rc == SW_OK && strspn((char *)text.data, "0123456789") + 2 == text.size;
    if (rc == SW_OK || rc == SW_ELIMIT) *out = is_number ? strtoull((char *)text.data, NULL, 10) : 0;
    sw_buf_deinit(&text);
    return rc == SW_ELIMIT ? SW_OK : rc;
}

int sw_evlog_retained(const char *logs_dir, const char *name, const char *reader, uint64_t *out, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = reader_path(path, logs_dir, name, reader, false, err);
    return rc == SW_OK ? read_number(path, out, err) : rc;
}

static int add_reader(sw_evlog_info *info, const char *folder, const char *file, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    if (file[0] == '~') return SW_OK;
    int rc = join(path, folder, file, err);
    uint64_t number = 0;
    if (rc == SW_OK) rc = read_number(path, &number, err);
    if (rc == SW_ENOTFOUND) return SW_OK; /* Forgotten just now. */
    if (rc != SW_OK) return rc;
    char *name = sw_strdup(file);
    if (name == NULL) return out_of_memory(err);
    info->readers[info->reader_count++] = (sw_evlog_held){ name, number };
    return SW_OK;
}

static int list_readers(sw_evlog_info *info, const char *dir, sw_error *err)
{
    char folder[SW_EVLOG_PATH_MAX];
    char **names = NULL;
    size_t count = 0;
    int rc = join(folder, dir, "readers", err);
    if (rc == SW_OK && sw_fs_is_dir(folder)) rc = sw_fs_list(folder, &names, &count, err);
    if (rc == SW_OK && (info->readers = sw_calloc(count + 1, sizeof(*info->readers))) == NULL) rc = out_of_memory(err);
    for (size_t i = 0; rc == SW_OK && i < count; i++) rc = add_reader(info, folder, names[i], err);
    sw_fs_glob_free(names, count);
    return rc;
}

/* --- what there is ----------------------------------------------------------------------------------------------- */

static int segment_size(const char *dir, uint64_t segment, uint64_t *bytes, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_file *file = NULL;
    int rc = sw_evlog_path(path, dir, SW_EVLOG_SEGMENT, segment, err);
    if (rc == SW_OK) rc = sw_file_open_read(&file, path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(file, err);
    sw_file_close(file, NULL);
    if (size < 0) return (int)size;
    *bytes = (uint64_t)size;
    return SW_OK;
}

static int count_bytes(sw_evlog_info *info, const char *dir, sw_error *err)
{
    uint64_t *segments, bytes;
    size_t count;
    int rc = sw_evlog_segments(dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    for (size_t i = 0; rc == SW_OK && i < count; i++) {
        rc = segment_size(dir, segments[i], &bytes, err);
        if (rc == SW_OK) info->bytes += bytes;
    }
    info->segments = count;
    info->first = count > 0 ? segments[0] : 0;
    sw_free(segments);
    return rc;
}

static int read_times(sw_evlog_info *info, sw_evlog_reader *reader, sw_error *err)
{
    sw_evlog_record record;
    if (info->first >= info->committed) return SW_OK;
    int rc = sw_evlog_reader_seek(reader, info->first, err);
    if (rc == SW_OK) rc = sw_evlog_reader_read(reader, &record, err);
    if (rc != SW_OK) return rc;
    info->first_time = record.time;
    rc = sw_evlog_reader_seek(reader, info->committed - 1, err);
    if (rc == SW_OK) rc = sw_evlog_reader_read(reader, &record, err);
    if (rc == SW_OK) info->last_time = record.time;
    return rc;
}

static int read_prepared(sw_evlog_info *info, const char *dir, sw_error *err)
{
    sw_file *file = NULL;
    sw_evlog_end end = { 0 };
    int rc = sw_evlog_end_open(&file, dir, err);
    if (rc != SW_OK) return rc;
    rc = sw_evlog_end_read(file, &end, err);
    sw_file_close(file, NULL);
    info->prepared = end.prepared > info->committed ? end.prepared - info->committed : 0;
    return rc;
}

int sw_evlog_info_init(sw_evlog_info *out, const char *logs_dir, const char *name, sw_error *err)
{
    char dir[SW_EVLOG_PATH_MAX];
    sw_evlog_reader *reader = NULL;
    sw_evlog_info info = { 0 };
    int rc = sw_evlog_reader_open(&reader, logs_dir, name, err);
    if (rc == SW_OK) rc = join(dir, logs_dir, name, err);
    if (rc == SW_OK) rc = count_bytes(&info, dir, err);
    if (rc == SW_OK) info.committed = sw_evlog_reader_committed(reader);
    if (rc == SW_OK) rc = read_prepared(&info, dir, err);
    if (rc == SW_OK) rc = read_times(&info, reader, err);
    if (rc == SW_OK) rc = list_readers(&info, dir, err);
    sw_evlog_reader_close(reader);
    if (rc == SW_OK) *out = info;
    else sw_evlog_info_deinit(&info);
    return rc;
}

void sw_evlog_info_deinit(sw_evlog_info *info)
{
    for (size_t i = 0; i < info->reader_count; i++) sw_free(info->readers[i].reader);
    sw_free(info->readers);
    *info = (sw_evlog_info){ 0 };
}

/* --- retention --------------------------------------------------------------------------------------------------- */

typedef struct trimming {
    const char *dir;           /* of the log */
    const char *name;          /* of the log */
    const sw_evlog_keep *keep; /* what is asked for */
    sw_evlog_trimmed done;     /* what was done */
    const sw_evlog_held *held; /* reader that needs most; NULL: none */
    uint64_t bytes;            /* of all segments that are left */
} trimming;

/* The greatest time in a complete segment: its index says it, or else its records. */
static int greatest_time(const char *dir, uint64_t segment, int64_t *out, sw_error *err)
{
    sw_evlog_cursor cursor = { 0 };
    sw_evlog_record record;
    sw_evlog_mark *marks = NULL;
    size_t count = 0;
    int rc = sw_evlog_cursor_open(&cursor, dir, segment, err);
    if (rc == SW_OK) rc = sw_evlog_marks(dir, segment, cursor.limit, &marks, &count, err);
    int64_t greatest = INT64_MIN;
    if (rc == SW_OK && count > 0) {
        greatest = marks[count - 1].time_max;
        sw_evlog_cursor_jump(&cursor, marks[count - 1].number, marks[count - 1].offset);
    }
    while (rc == SW_OK && (rc = sw_evlog_cursor_next(&cursor, &record, err)) == SW_OK)
        if (record.time > greatest) greatest = record.time;
    sw_free(marks);
    sw_evlog_cursor_deinit(&cursor);
    *out = greatest;
    return rc == SW_EEMPTY ? SW_OK : rc;
}

/* SW_OK: neither rule keeps the oldest segment. SW_EEMPTY: one does. */
static int is_due(const trimming *t, uint64_t segment, uint64_t bytes, sw_error *err)
{
    int64_t greatest;
    if (t->keep->has_bytes && t->bytes - bytes >= t->keep->bytes) return SW_OK;
    if (!t->keep->has_before) return SW_EEMPTY;
    int rc = greatest_time(t->dir, segment, &greatest, err);
    if (rc != SW_OK) return rc;
    return greatest < t->keep->before ? SW_OK : SW_EEMPTY;
}

static int remove_segment(const trimming *t, uint64_t segment, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = sw_evlog_path(path, t->dir, SW_EVLOG_SEGMENT, segment, err);
    SW_CRASH_POINT("log.trim.remove");
    if (rc == SW_OK) rc = sw_evlog_remove(path, err);
    SW_CRASH_POINT("log.trim.removed");
    if (rc == SW_OK) rc = sw_evlog_path(path, t->dir, SW_EVLOG_INDEX, segment, err);
    return rc == SW_OK ? sw_evlog_remove(path, err) : rc;
}

/* Removes the oldest segments; `next` of a segment is the first number that is not in it. */
static int remove_oldest(trimming *t, const uint64_t *segments, size_t count, const sw_evlog_end *end, sw_error *err)
{
    uint64_t bytes;
    int rc = SW_OK;
    for (size_t i = 0; rc == SW_OK && i + 1 < count && segments[i + 1] <= end->segment; i++) {
        if ((rc = segment_size(t->dir, segments[i], &bytes, err)) != SW_OK) return rc;
        rc = is_due(t, segments[i], bytes, err);
        if (rc == SW_EEMPTY) return SW_OK;
        if (rc == SW_OK && !t->keep->is_forced && t->held != NULL && t->held->number < segments[i + 1]) {
            snprintf(t->done.held_by, sizeof(t->done.held_by), "%s", t->held->reader);
            return SW_OK;
        }
        if (rc == SW_OK) rc = remove_segment(t, segments[i], err);
        if (rc != SW_OK) return rc;
        t->bytes -= bytes;
        t->done.bytes += bytes;
        t->done.segments++;
        t->done.first = segments[i + 1];
    }
    return rc;
}

static int trim_locked(void *arg, sw_evlog_end *end, sw_error *err)
{
    trimming *t = arg;
    uint64_t *segments;
    size_t count;
    if (end->seq == 0) return sw_error_set(err, SW_EFORMAT, "event log %s: the file \"end\" is damaged", t->name);
    int rc = sw_evlog_segments(t->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    rc = remove_oldest(t, segments, count, end, err);
    sw_free(segments);
    if (rc == SW_OK && t->done.segments > 0) rc = sw_fs_sync_dir(t->dir, err);
    return rc == SW_OK ? SW_EEMPTY : rc; /* The end stays as it is. */
}

int sw_evlog_trim(const char *logs_dir, const char *name, const sw_evlog_keep *keep, sw_evlog_trimmed *out,
                  sw_error *err)
{
    char dir[SW_EVLOG_PATH_MAX];
    sw_evlog_info info;
    int rc = sw_evlog_info_init(&info, logs_dir, name, err);
    if (rc != SW_OK) return rc;
    trimming t = { .dir = dir, .name = name, .keep = keep, .bytes = info.bytes, .done.first = info.first };
    for (size_t i = 0; i < info.reader_count; i++)
        if (t.held == NULL || info.readers[i].number < t.held->number) t.held = &info.readers[i];
    rc = join(dir, logs_dir, name, err);
    if (rc == SW_OK) rc = sw_evlog_end_change(dir, false, trim_locked, &t, NULL, err);
    if (rc == SW_OK) *out = t.done;
    sw_evlog_info_deinit(&info);
    return rc;
}
