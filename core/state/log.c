#include "state/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/log_writer.h"

#define PID_BYTES 24u
#define PENDING_BYTES (256u << 10) /* records collected before they are written */

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_%-.";

/* --- names ------------------------------------------------------------------------------------------------------- */

int sw_evlog_check_name(const char *name, sw_error *err)
{
    size_t len = strlen(name);
    if (len > 0 && len <= SW_EVLOG_NAME_MAX && strspn(name, name_bytes) == len && name[0] != '.' && name[0] != '-')
        return SW_OK;
    return sw_error_set(err, SW_EINVAL,
                        "\"%.200s\" is no name of an event log: letters, digits, \"_\", \"-\", \".\" and \"%%\", at "
                        "most %u, beginning with a letter, digit, \"_\" or \"%%\"",
                        name, SW_EVLOG_NAME_MAX);
}

int sw_evlog_escape(sw_buf *out, const char *text)
{
    int rc = SW_OK;
    for (size_t i = 0; rc == SW_OK && text[i] != '\0'; i++) {
        bool is_plain =
            strchr(name_bytes, text[i]) != NULL && text[i] != '%' && (i > 0 || (text[i] != '.' && text[i] != '-'));
        rc = is_plain ? sw_buf_append(out, &text[i], 1) : sw_buf_printf(out, "%%%02X", (unsigned char)text[i]);
    }
    return rc;
}

/* --- opening and closing ----------------------------------------------------------------------------------------- */

static int out_of_memory(const sw_evlog *log, sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", log->name);
}

/* The text in the lock is the process id of who has it. */
static int busy(const sw_evlog *log, const char *path, sw_error *err)
{
    sw_buf text = { 0 };
    long pid = 0;
    if (sw_fs_read_all(path, &text, PID_BYTES, NULL) == SW_OK && sw_buf_append(&text, "", 1) == SW_OK)
        pid = strtol((const char *)text.data, NULL, 10);
    sw_buf_deinit(&text);
    if (pid == (long)getpid())
        return sw_error_set(err, SW_EBUSY, "event log %s is being written by this process already", log->name);
    return sw_error_set(err, SW_EBUSY, "event log %s is being written by process %ld", log->name, pid);
}

static int take_lock(sw_evlog *log, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = sw_evlog_path(path, log->dir, SW_EVLOG_LOCK, 0, err);
    if (rc == SW_OK) rc = sw_fs_lock(&log->lock, path, err);
    return rc == SW_EBUSY ? busy(log, path, err) : rc;
}

static void free_log(sw_evlog *log)
{
    sw_file_close(log->segment, NULL);
    sw_file_close(log->index, NULL);
    sw_file_close(log->lock, NULL);
    sw_buf_deinit(&log->pending);
    sw_buf_deinit(&log->marks);
    sw_buf_deinit(&log->repair);
    sw_free(log->name);
    sw_free(log->dir);
    sw_free(log);
}

static int make_folders(const sw_evlog *log, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/readers", log->dir);
    if (n >= (int)sizeof(path)) return sw_error_set(err, SW_ELIMIT, "the path %.200s... is too long", log->dir);
    return sw_fs_is_dir(path) ? SW_OK : sw_fs_mkdirs(path, err);
}

int sw_evlog_open(sw_evlog **out, const char *logs_dir, const char *name, const sw_evlog_options *options,
                  sw_error *err)
{
    static const sw_evlog_options defaults;
    int rc = sw_evlog_check_name(name, err);
    if (rc != SW_OK) return rc;
    if (options == NULL) options = &defaults;
    sw_evlog *log = sw_calloc(1, sizeof(*log));
    if (log == NULL) return sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", name);
    size_t size = strlen(logs_dir) + strlen(name) + 2;
    log->segment_bytes = options->segment_bytes != 0 ? options->segment_bytes : SW_EVLOG_SEGMENT_BYTES;
    log->name = sw_strdup(name);
    log->dir = sw_alloc(size);
    if (log->name == NULL || log->dir == NULL) {
        rc = sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", name);
        goto free_log;
    }
    snprintf(log->dir, size, "%s/%s", logs_dir, name);
    if ((rc = make_folders(log, err)) != SW_OK) goto free_log;
    if ((rc = take_lock(log, err)) != SW_OK) goto free_log;
    if ((rc = sw_evlog_recover(log, options, err)) != SW_OK) goto free_log;
    *out = log;
    return SW_OK;

free_log:
    free_log(log);
    return rc;
}

int sw_evlog_close(sw_evlog *log, sw_error *err)
{
    if (log == NULL) return SW_OK;
    int rc = log->is_broken ? SW_OK : sw_evlog_flush(log, err);
    free_log(log);
    return rc;
}

const char *sw_evlog_repair(const sw_evlog *log)
{
    return log->repair.size > 0 ? (const char *)log->repair.data : "";
}

uint64_t sw_evlog_next(const sw_evlog *log)
{
    return log->next;
}

/* --- appending --------------------------------------------------------------------------------------------------- */

static int broken(const sw_evlog *log, sw_error *err)
{
    return sw_error_set(err, SW_EIO, "event log %s: a sync has failed; it takes no more until it is opened again",
                        log->name);
}

/* Notes where the next record will be. */
static int mark(sw_evlog *log, sw_error *err)
{
    const sw_evlog_mark here = { log->next, log->offset, log->time_max };
    if (sw_evlog_mark_encode(&log->marks, log->segment_first, &here) != SW_OK) return out_of_memory(log, err);
    log->marked = log->offset;
    return SW_OK;
}

/* What could not be written, for want of room perhaps, stays, and the next call writes it to the same place. */
int sw_evlog_flush(sw_evlog *log, sw_error *err)
{
    int rc = SW_OK;
    if (log->is_broken) return broken(log, err);
    if (log->pending.size > 0) {
        SW_CRASH_POINT("log.segment.write");
        rc = sw_file_pwrite(log->segment, log->pending.data, log->pending.size, log->written, err);
        SW_CRASH_POINT("log.segment.written");
        if (rc != SW_OK) return rc;
        log->written = log->offset;
        sw_buf_clear(&log->pending);
    }
    if (log->marks.size == 0) return SW_OK;
    rc = sw_file_pwrite(log->index, log->marks.data, log->marks.size, log->index_size, err);
    SW_CRASH_POINT("log.index.written");
    if (rc != SW_OK) return rc;
    log->index_size += log->marks.size;
    sw_buf_clear(&log->marks);
    return SW_OK;
}

static int write_segment_head(sw_file *segment, sw_file *index, uint64_t number, sw_error *err)
{
    uint8_t head[SW_EVLOG_SEGMENT_HEAD] = "swevlog\1";
    memcpy(head + 8, &number, 8);
    SW_CRASH_POINT("log.segment.made");
    int rc = sw_file_truncate(segment, 0, err);
    if (rc == SW_OK) rc = sw_file_pwrite(segment, head, sizeof(head), 0, err);
    if (rc == SW_OK) rc = sw_file_truncate(index, 0, err);
    SW_CRASH_POINT("log.segment.headed");
    return rc;
}

int sw_evlog_begin_segment(sw_evlog *log, uint64_t number, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_file *segment = NULL, *index = NULL;
    int rc = sw_evlog_path(path, log->dir, SW_EVLOG_SEGMENT, number, err);
    if (rc == SW_OK) rc = sw_file_open_update(&segment, path, err);
    if (rc == SW_OK) rc = sw_evlog_path(path, log->dir, SW_EVLOG_INDEX, number, err);
    if (rc == SW_OK) rc = sw_file_open_update(&index, path, err);
    if (rc == SW_OK) rc = write_segment_head(segment, index, number, err);
    if (rc != SW_OK) {
        sw_file_close(segment, NULL);
        sw_file_close(index, NULL);
        return rc;
    }
    sw_file_close(log->segment, NULL);
    sw_file_close(log->index, NULL);
    log->segment = segment;
    log->index = index;
    log->segment_first = number;
    log->offset = log->written = log->marked = SW_EVLOG_SEGMENT_HEAD;
    log->time_max = INT64_MIN;
    log->index_size = 0;
    log->is_dir_dirty = true;
    return SW_OK;
}

/* The segment has its size: its index gets a last entry, and the next one begins. */
static int roll(sw_evlog *log, sw_error *err)
{
    int rc = log->marked != log->offset ? mark(log, err) : SW_OK;
    if (rc == SW_OK) rc = sw_evlog_flush(log, err);
    return rc == SW_OK ? sw_evlog_begin_segment(log, log->next, err) : rc;
}

int sw_evlog_append(sw_evlog *log, const sw_evlog_record *record, sw_error *err)
{
    int rc = SW_OK;
    if (log->is_broken) return broken(log, err);
    if (record->len > SW_EVLOG_BODY_MAX)
        return sw_error_set(err, SW_ELIMIT, "event log %s: an event of %u bytes is too large", log->name, record->len);
    if (log->offset >= log->segment_bytes && log->offset > SW_EVLOG_SEGMENT_HEAD) rc = roll(log, err);
    if (rc == SW_OK && log->offset - log->marked >= SW_EVLOG_INDEX_EVERY) rc = mark(log, err);
    if (rc == SW_OK && log->pending.size >= PENDING_BYTES) rc = sw_evlog_flush(log, err);
    if (rc != SW_OK) return rc;
    if (sw_evlog_encode(&log->pending, log->next, record) != SW_OK) return out_of_memory(log, err);
    log->offset += SW_EVLOG_RECORD_HEAD + record->len;
    log->next++;
    if (record->time > log->time_max) log->time_max = record->time;
    return SW_OK;
}

/* --- publishing -------------------------------------------------------------------------------------------------- */

/* What is not synced lies in the segments from `dirty` on. */
static int sync_files(sw_evlog *log, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    uint64_t *segments = NULL;
    size_t count = 0;
    sw_file *file = NULL;
    int rc = log->dirty != log->segment_first ? sw_evlog_segments(log->dir, &segments, &count, err) : SW_OK;
    for (size_t i = 0; rc == SW_OK && i < count; i++) {
        if (segments[i] < log->dirty || segments[i] >= log->segment_first) continue;
        if ((rc = sw_evlog_path(path, log->dir, SW_EVLOG_SEGMENT, segments[i], err)) != SW_OK) break;
        if ((rc = sw_file_open_update(&file, path, err)) != SW_OK) break;
        rc = sw_file_sync(file, err);
        sw_file_close(file, NULL);
    }
    sw_free(segments);
    SW_CRASH_POINT("log.segment.sync");
    if (rc == SW_OK) rc = sw_file_sync(log->segment, err);
    SW_CRASH_POINT("log.segment.synced");
    if (rc == SW_OK && log->is_dir_dirty) rc = sw_fs_sync_dir(log->dir, err);
    SW_CRASH_POINT("log.dir.synced");
    log->is_broken = rc != SW_OK; /* After a failed fsync nobody knows what is on the disk. */
    if (rc != SW_OK) return rc;
    log->dirty = log->segment_first;
    log->is_dir_dirty = false;
    return SW_OK;
}

static int move_end(void *arg, sw_evlog_end *end, sw_error *err)
{
    sw_evlog *log = arg;
    (void)err;
    bool is_synced = log->end.synced == log->next;
    if (end->committed == log->next && (!is_synced || end->synced == log->next)) return SW_EEMPTY;
    end->committed = log->next;
    end->segment = log->segment_first;
    end->offset = log->offset;
    if (is_synced) end->synced = log->next;
    if (end->prepared < end->committed) end->prepared = end->committed;
    return SW_OK;
}

int sw_evlog_publish(sw_evlog *log, bool is_durable, sw_error *err)
{
    int rc = sw_evlog_flush(log, err);
    if (rc == SW_OK && is_durable) rc = sync_files(log, err);
    if (rc != SW_OK) return rc;
    if (is_durable) log->end.synced = log->next;
    return sw_evlog_end_change(log->dir, is_durable, move_end, log, &log->end, err);
}
