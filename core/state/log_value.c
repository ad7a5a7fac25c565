/* log_value.c -- output to an event log that a checkpoint makes visible: what stands in for it while it is prepared.
 *
 * A value is a map { dir, number, segment, offset, first, cuts }: the committed end that it will be, the first segment
 * with bytes to sync, and how often the log had been cut when it was made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/log_reader.h"
#include "state/log_writer.h"
#include "state/pack.h"

#define CUT_NAMES_MAX 10000 /* logs beside a log that hold what was cut off it at one checkpoint */

typedef struct value {
    char dir[SW_EVLOG_PATH_MAX]; /* of the log */
    uint64_t number;             /* of the first record behind it */
    uint64_t segment;            /* with that record */
    uint64_t offset;             /* of it there */
    uint64_t first;              /* segment with bytes to sync */
    uint64_t cuts;               /* see sw_evlog_end */
} value;

static int put_number(sw_buf *out, const char *name, uint64_t number)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    return rc == SW_OK ? sw_pack_u64(out, number) : rc;
}

int sw_evlog_prepare(sw_evlog *log, sw_buf *out, sw_error *err)
{
    size_t before = out->size;
    int rc = sw_evlog_flush(log, err);
    if (rc != SW_OK) return rc;
    rc = sw_pack_map(out, 6);
    if (rc == SW_OK) rc = sw_pack_str(out, "dir", 3);
    if (rc == SW_OK) rc = sw_pack_str(out, log->dir, (uint32_t)strlen(log->dir));
    if (rc == SW_OK) rc = put_number(out, "number", log->next);
    if (rc == SW_OK) rc = put_number(out, "segment", log->segment_first);
    if (rc == SW_OK) rc = put_number(out, "offset", log->offset);
    if (rc == SW_OK) rc = put_number(out, "first", log->dirty);
    if (rc == SW_OK) rc = put_number(out, "cuts", log->end.cuts);
    if (rc != SW_OK) {
        out->size = before;
        return sw_error_set(err, rc, "event log %s: out of memory", log->name);
    }
    log->dirty = log->segment_first;
    return SW_OK;
}

static int read_number(const uint8_t *bytes, size_t len, const char *name, uint64_t *out)
{
    sw_pack_item item;
    int rc = sw_pack_find(bytes, len, name, (uint32_t)strlen(name), &item);
    if (rc != SW_OK) return rc;
    if (item.type == SW_PACK_I64 && item.v.i >= 0) *out = (uint64_t)item.v.i;
    else if (item.type == SW_PACK_U64) *out = item.v.u;
    else return SW_EFORMAT;
    return SW_OK;
}

static int read_value(const uint8_t *bytes, size_t len, value *out, sw_error *err)
{
    sw_pack_item dir;
    int rc = sw_pack_find(bytes, len, "dir", 3, &dir);
    if (rc == SW_OK && (dir.type != SW_PACK_STR || dir.count >= sizeof(out->dir))) rc = SW_EFORMAT;
    if (rc == SW_OK) snprintf(out->dir, sizeof(out->dir), "%.*s", (int)dir.count, (const char *)dir.v.bytes);
    if (rc == SW_OK) rc = read_number(bytes, len, "number", &out->number);
    if (rc == SW_OK) rc = read_number(bytes, len, "segment", &out->segment);
    if (rc == SW_OK) rc = read_number(bytes, len, "offset", &out->offset);
    if (rc == SW_OK) rc = read_number(bytes, len, "first", &out->first);
    if (rc == SW_OK) rc = read_number(bytes, len, "cuts", &out->cuts);
    return rc == SW_OK ? SW_OK : sw_error_set(err, SW_EFORMAT, "a checkpoint's value of an event log is damaged");
}

/* --- sync and commit --------------------------------------------------------------------------------------------- */

static int is_there(const value *v, const sw_evlog_end *end, sw_error *err)
{
    if (end->cuts == v->cuts || v->number <= end->cut_at) return SW_OK;
    return sw_error_set(err, SW_ESTATE,
                        "event log %s was cut at record %" PRIu64 " since a checkpoint prepared records up to %" PRIu64,
                        v->dir, end->cut_at, v->number);
}

static int protect(void *arg, sw_evlog_end *end, sw_error *err)
{
    const value *v = arg;
    int rc = is_there(v, end, err);
    if (rc != SW_OK) return rc;
    if (end->prepared >= v->number) return SW_EEMPTY;
    end->prepared = v->number;
    return SW_OK;
}

static int sync_segments(const value *v, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    uint64_t *segments;
    size_t count;
    int rc = sw_evlog_segments(v->dir, &segments, &count, err);
    if (rc != SW_OK) return rc;
    for (size_t i = 0; rc == SW_OK && i < count; i++) {
        sw_file *file = NULL;
        if (segments[i] < v->first || segments[i] > v->segment) continue;
        rc = sw_evlog_path(path, v->dir, SW_EVLOG_SEGMENT, segments[i], err);
        if (rc == SW_OK) rc = sw_file_open_update(&file, path, err);
        SW_CRASH_POINT("log.value.sync");
        if (rc == SW_OK) rc = sw_file_sync(file, err);
        SW_CRASH_POINT("log.value.synced");
        sw_file_close(file, NULL);
    }
    sw_free(segments);
    return rc == SW_OK ? sw_fs_sync_dir(v->dir, err) : rc;
}

/* SW_EEMPTY: all that it names is synced already, as when nothing was written since the last one. */
static int is_to_sync(const value *v, sw_error *err)
{
    sw_file *file = NULL;
    sw_evlog_end end = { 0 };
    int rc = sw_evlog_end_open(&file, v->dir, err);
    if (rc != SW_OK) return rc;
    rc = sw_evlog_end_read(file, &end, err);
    sw_file_close(file, NULL);
    if (rc == SW_ENOTFOUND) return SW_OK;
    return rc == SW_OK && end.synced >= v->number && end.committed >= v->number ? SW_EEMPTY : rc;
}

int sw_evlog_sync_value(const uint8_t *bytes, size_t len, sw_error *err)
{
    value v;
    int rc = read_value(bytes, len, &v, err);
    if (rc == SW_OK) rc = is_to_sync(&v, err);
    if (rc == SW_OK) rc = sync_segments(&v, err);
    if (rc == SW_OK || rc == SW_EEMPTY) rc = sw_evlog_end_change(v.dir, true, protect, &v, NULL, err);
    return rc;
}

static int check_size(const value *v, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_file *file = NULL;
    int rc = sw_evlog_path(path, v->dir, SW_EVLOG_SEGMENT, v->segment, err);
    if (rc == SW_OK) rc = sw_file_open_read(&file, path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(file, err);
    sw_file_close(file, NULL);
    if (size < 0) return (int)size;
    if ((uint64_t)size >= v->offset) return SW_OK;
    return sw_error_set(err, SW_ESTATE, "%s ends at byte %" PRId64 ", but a checkpoint has prepared %" PRIu64, path,
                        size, v->offset);
}

static int show(void *arg, sw_evlog_end *end, sw_error *err)
{
    const value *v = arg;
    int rc = is_there(v, end, err);
    if (rc != SW_OK) return rc;
    if (end->committed >= v->number && end->synced >= v->number) return SW_EEMPTY;
    if (end->committed < v->number) {
        if ((rc = check_size(v, err)) != SW_OK) return rc;
        end->committed = v->number;
        end->segment = v->segment;
        end->offset = v->offset;
    }
    if (end->synced < v->number) end->synced = v->number;
    if (end->prepared < v->number) end->prepared = v->number;
    return SW_OK;
}

int sw_evlog_commit_value(const uint8_t *bytes, size_t len, sw_error *err)
{
    value v;
    int rc = read_value(bytes, len, &v, err);
    return rc == SW_OK ? sw_evlog_end_change(v.dir, true, show, &v, NULL, err) : rc;
}

/* --- rewind ------------------------------------------------------------------------------------------------------ */

/* Copies the visible records from `number` on into the log `to`, which begins with that number. */
static int copy_records(sw_evlog_reader *from, sw_evlog *to, uint64_t number, sw_error *err)
{
    sw_evlog_record record;
    int rc = sw_evlog_reader_seek(from, number, err);
    if (rc != SW_OK) return rc;
    while ((rc = sw_evlog_reader_read(from, &record, err)) == SW_OK)
        if ((rc = sw_evlog_append(to, &record, err)) != SW_OK) return rc;
    return rc == SW_EEMPTY ? sw_evlog_publish(to, true, err) : rc;
}

/* An empty log whose first record will have this number. */
static int open_at(sw_evlog **out, const char *logs_dir, const char *name, uint64_t number, sw_error *err)
{
    sw_evlog *log = NULL;
    int rc = sw_evlog_open(&log, logs_dir, name, NULL, err);
    if (rc == SW_OK && number > 0) {
        char path[SW_EVLOG_PATH_MAX];
        uint64_t first = log->segment_first;
        rc = sw_evlog_begin_segment(log, number, err);
        for (int kind = SW_EVLOG_SEGMENT; rc == SW_OK && kind <= SW_EVLOG_INDEX; kind++)
            if ((rc = sw_evlog_path(path, log->dir, (sw_evlog_file_kind)kind, first, err)) == SW_OK)
                rc = sw_evlog_remove(path, err);
        log->next = log->dirty = number;
    }
    if (rc == SW_OK) *out = log;
    else sw_evlog_close(log, NULL);
    return rc;
}

typedef struct rewinding {
    const value *to;                     /* the value that is gone back to */
    const char *logs_dir;                /* where its log is */
    const char *name;                    /* of its log */
    char making[SW_EVLOG_NAME_MAX + 64]; /* name of the copy while it is made */
    char kept[SW_EVLOG_NAME_MAX + 64];   /* and then */
} rewinding;

/* Names that no other cut at this checkpoint has taken. */
static int choose_names(rewinding *r, uint64_t checkpoint, sw_error *err)
{
    char path[2 * SW_EVLOG_PATH_MAX];
    snprintf(r->making, sizeof(r->making), "%s.cut-%" PRIu64 ".new", r->name, checkpoint);
    for (int i = 1; i < CUT_NAMES_MAX; i++) {
        snprintf(r->kept, sizeof(r->kept), i == 1 ? "%s.cut-%" PRIu64 : "%s.cut-%" PRIu64 "-%d", r->name, checkpoint,
                 i);
        snprintf(path, sizeof(path), "%s/%s", r->logs_dir, r->kept);
        if (!sw_fs_exists(path)) return SW_OK;
    }
    return sw_error_set(err, SW_ELIMIT, "event log %s has been cut too often", r->name);
}

static int keep_copy(const rewinding *r, sw_error *err)
{
    char making[2 * SW_EVLOG_PATH_MAX], kept[2 * SW_EVLOG_PATH_MAX];
    sw_evlog_reader *from = NULL;
    sw_evlog *copy = NULL;
    snprintf(making, sizeof(making), "%s/%s", r->logs_dir, r->making);
    snprintf(kept, sizeof(kept), "%s/%s", r->logs_dir, r->kept);
    int rc = sw_fs_remove_tree(making, err); /* What an interrupted attempt left. */
    if (rc == SW_OK) rc = sw_evlog_reader_open(&from, r->logs_dir, r->name, err);
    if (rc == SW_OK) rc = open_at(&copy, r->logs_dir, r->making, r->to->number, err);
    if (rc == SW_OK) rc = copy_records(from, copy, r->to->number, err);
    sw_evlog_reader_close(from);
    int closed = sw_evlog_close(copy, rc == SW_OK ? err : NULL);
    if (rc == SW_OK) rc = closed;
    SW_CRASH_POINT("log.rewind.rename");
    if (rc == SW_OK) rc = sw_fs_rename(making, kept, err);
    SW_CRASH_POINT("log.rewind.renamed");
    return rc == SW_OK ? sw_fs_sync_dir(r->logs_dir, err) : rc;
}

static int rewind_log(rewinding *r, sw_evlog *log, uint64_t checkpoint, sw_buf *said, sw_error *err)
{
    uint64_t end = log->end.committed;
    if (end <= r->to->number) return SW_OK;
    int rc = choose_names(r, checkpoint, err);
    if (rc == SW_OK) rc = keep_copy(r, err);
    if (rc == SW_OK) rc = sw_evlog_cut(log, r->to->number, err);
    if (rc != SW_OK) return rc;
    rc = sw_buf_printf(
        said, "event log %s is cut back to record %" PRIu64 "; its records up to %" PRIu64 " are kept as event log %s",
        r->name, r->to->number, end - 1, r->kept);
    return rc == SW_OK ? SW_OK : sw_error_set(err, rc, "out of memory");
}

int sw_evlog_rewind_value(const uint8_t *bytes, size_t len, uint64_t checkpoint, sw_buf *said, sw_error *err)
{
    static const sw_evlog_options options = { .cuts_prepared = true };
    value v;
    sw_evlog *log = NULL;
    int rc = read_value(bytes, len, &v, err);
    if (rc != SW_OK) return rc;
    char *slash = strrchr(v.dir, '/');
    if (slash == NULL) return sw_error_set(err, SW_EFORMAT, "a checkpoint's value of an event log is damaged");
    *slash = '\0';
    rewinding r = { .to = &v, .logs_dir = v.dir, .name = slash + 1 };
    if ((rc = sw_evlog_open(&log, r.logs_dir, r.name, &options, err)) != SW_OK) return rc;
    rc = rewind_log(&r, log, checkpoint, said, err);
    int closed = sw_evlog_close(log, rc == SW_OK ? err : NULL);
    return rc != SW_OK ? rc : closed;
}
