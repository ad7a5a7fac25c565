#include "state/log_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/fault.h"

#define SEGMENT_MAGIC "swevlog\1"
#define END_MAGIC "swevend\1"
#define MAGIC_BYTES 8u
#define CHUNK_BYTES (256u << 10) /* of a segment read at once */

static int out_of_memory(sw_error *err, const char *dir)
{
    return sw_error_set(err, SW_ENOMEM, "event log %s: out of memory", dir);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

int sw_evlog_path(char *out, const char *dir, sw_evlog_file_kind kind, uint64_t number, sw_error *err)
{
    int n = 0;
    switch (kind) {
    case SW_EVLOG_SEGMENT: n = snprintf(out, SW_EVLOG_PATH_MAX, "%s/%020" PRIu64 ".log", dir, number); break;
    case SW_EVLOG_INDEX: n = snprintf(out, SW_EVLOG_PATH_MAX, "%s/%020" PRIu64 ".idx", dir, number); break;
    case SW_EVLOG_END: n = snprintf(out, SW_EVLOG_PATH_MAX, "%s/end", dir); break;
    case SW_EVLOG_LOCK: n = snprintf(out, SW_EVLOG_PATH_MAX, "%s/lock", dir); break;
    }
    if (n > 0 && n < (int)SW_EVLOG_PATH_MAX) return SW_OK;
    return sw_error_set(err, SW_ELIMIT, "the path %.200s... is too long", dir);
}

static bool parse_segment(const char *name, uint64_t *number)
{
    uint64_t value = 0;
    if (strlen(name) != 24 || strcmp(name + 20, ".log") != 0) return false;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9') return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    *number = value;
    return true;
}

int sw_evlog_remove(const char *path, sw_error *err)
{
    int rc = sw_fs_remove(path, err);
    return rc == SW_ENOTFOUND ? SW_OK : rc;
}

int sw_evlog_segments(const char *dir, uint64_t **numbers, size_t *count, sw_error *err)
{
    char **names;
    size_t name_count, n = 0;
    int rc = sw_fs_list(dir, &names, &name_count, err);
    if (rc != SW_OK) return rc;
    uint64_t *list = sw_calloc(name_count + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && i < name_count; i++)
        if (parse_segment(names[i], &list[n])) n++; /* In order: the names are of one length. */
    sw_fs_glob_free(names, name_count);
    if (list == NULL) return out_of_memory(err, dir);
    *numbers = list;
    *count = n;
    return SW_OK;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

int sw_evlog_end_open(sw_file **out, const char *dir, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    int rc = sw_evlog_path(path, dir, SW_EVLOG_END, 0, err);
    return rc == SW_OK ? sw_file_open_update(out, path, err) : rc;
}

static bool decode_end(const uint8_t *slot, sw_evlog_end *out)
{
    uint64_t sum;
    memcpy(out, slot, sizeof(*out));
    memcpy(&sum, slot + sizeof(*out), sizeof(sum));
    return memcmp(&out->magic, END_MAGIC, MAGIC_BYTES) == 0 && sum == XXH3_64bits(out, sizeof(*out));
}

int sw_evlog_end_read(sw_file *file, sw_evlog_end *out, sw_error *err)
{
    uint8_t bytes[SW_EVLOG_END_SLOT + SW_EVLOG_END_BYTES] = { 0 };
    sw_evlog_end slots[2];
    ssize_t n = sw_file_pread(file, bytes, sizeof(bytes), 0, err);
    if (n < 0) return (int)n;
    bool is_first = decode_end(bytes, &slots[0]), is_second = decode_end(bytes + SW_EVLOG_END_SLOT, &slots[1]);
    if (!is_first && !is_second) return SW_ENOTFOUND;
    *out = slots[is_second && (!is_first || slots[1].seq > slots[0].seq)];
    return SW_OK;
}

static int write_end(sw_file *file, sw_evlog_end *end, bool is_durable, sw_error *err)
{
    uint8_t slot[SW_EVLOG_END_BYTES];
    memcpy(&end->magic, END_MAGIC, MAGIC_BYTES);
    end->seq++;
    uint64_t sum = XXH3_64bits(end, sizeof(*end));
    memcpy(slot, end, sizeof(*end));
    memcpy(slot + sizeof(*end), &sum, sizeof(sum));
    SW_CRASH_POINT("log.end.write");
    int rc = sw_file_pwrite(file, slot, sizeof(slot), end->seq % 2 * SW_EVLOG_END_SLOT, err);
    SW_CRASH_POINT("log.end.written");
    if (rc == SW_OK && is_durable) rc = sw_file_sync(file, err);
    SW_CRASH_POINT("log.end.synced");
    return rc;
}

int sw_evlog_end_change(const char *dir, bool is_durable, int (*change)(void *arg, sw_evlog_end *end, sw_error *err),
                        void *arg, sw_evlog_end *out, sw_error *err)
{
    sw_file *file = NULL;
    sw_evlog_end end = { 0 };
    int rc = sw_evlog_end_open(&file, dir, err);
    if (rc != SW_OK) return rc;
    rc = sw_file_await_lock(file, err); /* Until it is closed. */
    if (rc == SW_OK) rc = sw_evlog_end_read(file, &end, err);
    if (rc == SW_ENOTFOUND) rc = SW_OK; /* `change` makes the first. */
    if (rc == SW_OK) rc = change(arg, &end, err);
    if (rc == SW_OK) rc = write_end(file, &end, is_durable, err);
    if (rc == SW_EEMPTY) rc = SW_OK;
    sw_file_close(file, NULL);
    if (rc == SW_OK && out != NULL) *out = end;
    return rc;
}

/* --- records ----------------------------------------------------------------------------------------------------- */

int sw_evlog_encode(sw_buf *out, uint64_t number, const sw_evlog_record *record)
{
    int rc = sw_buf_reserve(out, SW_EVLOG_RECORD_HEAD + record->len);
    if (rc != SW_OK) return rc;
    uint8_t *p = out->data + out->size;
    memcpy(p + 8, &record->time, 8);
    memcpy(p + 16, &record->len, 4);
    memcpy(p + 20, &record->flags, 4);
    if (record->len > 0) memcpy(p + SW_EVLOG_RECORD_HEAD, record->body, record->len);
    uint64_t sum = XXH3_64bits_withSeed(p + 8, SW_EVLOG_RECORD_HEAD - 8 + record->len, number);
    memcpy(p, &sum, 8);
    out->size += SW_EVLOG_RECORD_HEAD + record->len;
    return SW_OK;
}

void sw_evlog_cursor_deinit(sw_evlog_cursor *cursor)
{
    sw_file_close(cursor->file, NULL);
    sw_buf_deinit(&cursor->buf);
    *cursor = (sw_evlog_cursor){ 0 };
}

int sw_evlog_cursor_open(sw_evlog_cursor *cursor, const char *dir, uint64_t segment, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    uint8_t head[SW_EVLOG_SEGMENT_HEAD];
    uint64_t number = 0;
    sw_file *file = NULL;
    int rc = sw_evlog_path(path, dir, SW_EVLOG_SEGMENT, segment, err);
    if (rc == SW_OK) rc = sw_file_open_read(&file, path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(file, err);
    ssize_t n = size < 0 ? (ssize_t)size : sw_file_pread(file, head, sizeof(head), 0, err);
    if (n == (ssize_t)sizeof(head)) memcpy(&number, head + MAGIC_BYTES, 8);
    if (n < 0) rc = (int)n;
    else if (n < (ssize_t)sizeof(head) || memcmp(head, SEGMENT_MAGIC, MAGIC_BYTES) != 0 || number != segment)
        rc = sw_error_set(err, SW_EFORMAT, "%s is no segment of an event log", path);
    if (rc != SW_OK) {
        sw_file_close(file, NULL);
        return rc;
    }
    sw_file_close(cursor->file, NULL);
    sw_buf_clear(&cursor->buf);
    cursor->file = file;
    cursor->segment = cursor->number = segment;
    cursor->pos = SW_EVLOG_SEGMENT_HEAD;
    cursor->limit = (uint64_t)size;
    cursor->buf_at = 0;
    return SW_OK;
}

void sw_evlog_cursor_jump(sw_evlog_cursor *cursor, uint64_t number, uint64_t pos)
{
    cursor->number = number;
    cursor->pos = pos;
    sw_buf_clear(&cursor->buf);
}

/* The bytes at pos, at least `need` of them (more are fine); NULL with rc set when that is not possible. */
static const uint8_t *bytes_at(sw_evlog_cursor *c, uint64_t need, int *rc, sw_error *err)
{
    bool is_inside = c->buf.size > 0 && c->pos >= c->buf_at && c->pos + need <= c->buf_at + c->buf.size;
    if (is_inside) return c->buf.data + (c->pos - c->buf_at);
    uint64_t want = need > CHUNK_BYTES ? need : CHUNK_BYTES;
    if (want > c->limit - c->pos) want = c->limit - c->pos;
    sw_buf_clear(&c->buf);
    if ((*rc = sw_buf_reserve(&c->buf, want)) != SW_OK) {
        sw_error_set(err, *rc, "%s: out of memory", sw_file_name(c->file));
        return NULL;
    }
    ssize_t n = sw_file_pread(c->file, c->buf.data, want, c->pos, err);
    if (n < 0) *rc = (int)n;
    if (n < 0) return NULL;
    c->buf.size = (size_t)n;
    c->buf_at = c->pos;
    if ((uint64_t)n >= need) return c->buf.data;
    *rc = sw_error_set(err, SW_EFORMAT, "%s ends at byte %" PRIu64 ", within record %" PRIu64, sw_file_name(c->file),
                       c->pos + (uint64_t)n, c->number);
    return NULL;
}

static int damaged(const sw_evlog_cursor *c, sw_error *err)
{
    return sw_error_set(err, SW_EFORMAT, "%s: record %" PRIu64 " at byte %" PRIu64 " is damaged", sw_file_name(c->file),
                        c->number, c->pos);
}

int sw_evlog_cursor_next(sw_evlog_cursor *c, sw_evlog_record *out, sw_error *err)
{
    uint64_t sum, left = c->limit - c->pos;
    int rc = SW_OK;
    if (c->pos >= c->limit) return SW_EEMPTY;
    if (left < SW_EVLOG_RECORD_HEAD) return damaged(c, err);
    const uint8_t *p = bytes_at(c, SW_EVLOG_RECORD_HEAD, &rc, err);
    if (p == NULL) return rc;
    memcpy(&out->time, p + 8, 8);
    memcpy(&out->len, p + 16, 4);
    memcpy(&out->flags, p + 20, 4);
    if (out->len > SW_EVLOG_BODY_MAX || SW_EVLOG_RECORD_HEAD + (uint64_t)out->len > left) return damaged(c, err);
    uint64_t size = SW_EVLOG_RECORD_HEAD + (uint64_t)out->len;
    if ((p = bytes_at(c, size, &rc, err)) == NULL) return rc;
    memcpy(&sum, p, 8);
    if (sum != XXH3_64bits_withSeed(p + 8, size - 8, c->number)) return damaged(c, err);
    out->number = c->number;
    out->body = p + SW_EVLOG_RECORD_HEAD;
    c->number++;
    c->pos += size;
    return SW_OK;
}

/* --- index ------------------------------------------------------------------------------------------------------- */

int sw_evlog_mark_encode(sw_buf *out, uint64_t segment, const sw_evlog_mark *mark)
{
    uint8_t entry[SW_EVLOG_INDEX_ENTRY];
    memcpy(entry, &mark->number, 8);
    memcpy(entry + 8, &mark->offset, 8);
    memcpy(entry + 16, &mark->time_max, 8);
    uint64_t sum = XXH3_64bits_withSeed(entry, 24, segment);
    memcpy(entry + 24, &sum, 8);
    return sw_buf_append(out, entry, sizeof(entry));
}

int sw_evlog_marks(const char *dir, uint64_t segment, uint64_t limit, sw_evlog_mark **out, size_t *count, sw_error *err)
{
    char path[SW_EVLOG_PATH_MAX];
    sw_buf bytes = { 0 };
    size_t n = 0;
    int rc = sw_evlog_path(path, dir, SW_EVLOG_INDEX, segment, err);
    if (rc == SW_OK && sw_fs_exists(path)) rc = sw_fs_read_all(path, &bytes, SIZE_MAX, err);
    sw_evlog_mark *marks = rc == SW_OK ? sw_calloc(bytes.size / SW_EVLOG_INDEX_ENTRY + 1, sizeof(*marks)) : NULL;
    if (rc == SW_OK && marks == NULL) rc = out_of_memory(err, dir);
    for (const uint8_t *p = bytes.data; rc == SW_OK && (n + 1) * SW_EVLOG_INDEX_ENTRY <= bytes.size; p += 32, n++) {
        uint64_t sum;
        memcpy(&sum, p + 24, 8);
        memcpy(&marks[n].number, p, 8);
        memcpy(&marks[n].offset, p + 8, 8);
        memcpy(&marks[n].time_max, p + 16, 8);
        bool is_behind = n == 0 || (marks[n].offset > marks[n - 1].offset && marks[n].number > marks[n - 1].number);
        if (sum != XXH3_64bits_withSeed(p, 24, segment) || !is_behind || marks[n].offset > limit) break;
    }
    sw_buf_deinit(&bytes);
    if (rc != SW_OK) return rc;
    *out = marks;
    *count = n;
    return SW_OK;
}
