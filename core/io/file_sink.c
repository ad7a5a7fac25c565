/* file_sink.c -- the sink of file.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "io/codec.h"
#include "io/file.h"
#include "io/segment.h"

#define WRITE_BYTES (256u << 10) /* collected before they are written */
#define ROOM_BEHIND 4096u        /* for the event that fills the buffer */
#define PATH_BYTES 4096u         /* of a sink's path and its NUL */
#define TAIL_BYTES 4096u         /* read at once when the last line end is looked for */

typedef struct file_sink {
    sw_sink base;        /* what the engine sees; first */
    char *path;          /* from the root on where checkpoints are taken; owned */
    sw_file *file;       /* the target; owned */
    sw_encoder *encoder; /* owned */
    sw_buf pending;      /* encoded, not yet written */
    sw_segment segment;  /* transactional: rows that are not committed yet */
    uint64_t offset;     /* transactional: where the segment will go in the target */
    bool is_special;     /* the target is a pipe or a device: it has no offsets */
    bool was_written;    /* direct: bytes were written since the last prepare */
} file_sink;

static void free_sink(file_sink *sink)
{
    sw_segment_deinit(&sink->segment);
    sw_encoder_free(sink->encoder);
    sw_buf_deinit(&sink->pending);
    sw_free(sink->path);
    sw_free(sink);
}

/* --- written directly ------------------------------------------------------------------------------------------- */

static int direct_flush(sw_sink *base, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    if (sink->pending.size == 0) return SW_OK;
    SW_CRASH_POINT("file-direct-write");
    int rc = sw_file_write_all(sink->file, sink->pending.data, sink->pending.size, err);
    SW_CRASH_POINT("file-direct-written");
    sw_buf_clear(&sink->pending);
    sink->was_written = true;
    return rc;
}

static int direct_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = sw_encoder_encode(sink->encoder, row, &sink->pending, err);
    if (rc != SW_OK || sink->pending.size < WRITE_BYTES) return rc;
    return direct_flush(base, err);
}

static int direct_close(sw_sink *base, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = direct_flush(base, err);
    int closed = sw_file_close(sink->file, rc == SW_OK ? err : NULL);
    free_sink(sink);
    return rc != SW_OK ? rc : closed;
}

static int direct_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = direct_flush(base, err);
    if (rc != SW_OK || sink->is_special) return rc;
    int64_t size = sw_file_size(sink->file, err);
    if (size < 0) return (int)size;
    const sw_prepared prepared = {
        .path = sink->path, .offset = (uint64_t)size, .checkpoint = checkpoint, .is_direct = sink->was_written
    };
    if ((rc = sw_prepared_write(&prepared, value, err)) == SW_OK) sink->was_written = false;
    return rc;
}

/* --- written by segments ---------------------------------------------------------------------------------------- */

/* Bytes that could not be written stay: the next call tries again. */
static int write_segment(file_sink *sink, sw_error *err)
{
    if (sink->pending.size == 0) return SW_OK;
    int rc = sw_segment_write(&sink->segment, sink->pending.data, sink->pending.size, err);
    if (rc == SW_OK) sw_buf_clear(&sink->pending);
    return rc;
}

static int staged_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = sw_encoder_encode(sink->encoder, row, &sink->pending, err);
    if (rc != SW_OK || sink->pending.size < WRITE_BYTES) return rc;
    return write_segment(sink, err);
}

/* Nobody sees a row before its checkpoint: there is no hurry. */
static int staged_flush(sw_sink *base, sw_error *err)
{
    (void)base;
    (void)err;
    return SW_OK;
}

static int staged_close(sw_sink *base, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = sw_file_close(sink->file, err);
    free_sink(sink);
    return rc;
}

static int staged_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    sw_prepared prepared = { .path = sink->path, .offset = sink->offset, .checkpoint = checkpoint };
    int rc = write_segment(sink, err);
    if (rc == SW_OK) rc = sw_segment_prepare(&sink->segment, &prepared, value, err);
    if (rc == SW_OK) sink->offset += prepared.bytes;
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static const sw_sink_ops direct_ops = { direct_write, direct_flush, direct_close, direct_prepare };
static const sw_sink_ops staged_ops = { staged_write, staged_flush, staged_close, staged_prepare };

/* The path with {instance} replaced. SW_ELIMIT when it does not fit. */
static int expand_path(const char *path, uint32_t instance, char *out, size_t size)
{
    const char *mark = strstr(path, "{instance}");
    int n = mark == NULL
                ? snprintf(out, size, "%s", path)
                : snprintf(out, size, "%.*s%u%s", (int)(mark - path), path, instance, mark + strlen("{instance}"));
    return n >= 0 && (size_t)n < size ? SW_OK : SW_ELIMIT;
}

static int check_folder(const char *path, sw_error *err)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return SW_OK;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (sw_fs_is_dir(folder)) return SW_OK;
    return sw_error_set(err, SW_ENOTFOUND, "cannot create %s: there is no folder %s", path, folder);
}

static bool is_append(const sw_options *options)
{
    const sw_option *mode = sw_options_find(options, "mode");
    return mode != NULL && mode->string != NULL && strcmp(mode->string, "append") == 0;
}

/* The file is locked before it is emptied: it may be another sink's. */
static int begin_staged(file_sink *sink, bool keeps, sw_error *err)
{
    int rc = sw_file_open_update(&sink->file, sink->path, err);
    if (rc != SW_OK || (rc = sw_file_lock(sink->file, err)) != SW_OK) return rc;
    SW_CRASH_POINT("file-empty");
    if (!keeps && (rc = sw_file_truncate(sink->file, 0, err)) != SW_OK) return rc;
    SW_CRASH_POINT("file-emptied");
    int64_t size = sw_file_size(sink->file, err);
    if (size < 0) return (int)size;
    sink->offset = (uint64_t)size;
    return SW_OK;
}

static int begin_direct(file_sink *sink, bool keeps, sw_error *err)
{
    return keeps ? sw_file_open_append(&sink->file, sink->path, err)
                 : sw_file_open_create(&sink->file, sink->path, err);
}

/* Cuts off what stands behind the last line end, but nothing before `end`. */
static int cut_torn_line(sw_file *file, uint64_t end, uint64_t size, sw_error *err)
{
    uint8_t tail[TAIL_BYTES];
    uint64_t keep = size;
    while (keep > end) {
        size_t n = keep - end < TAIL_BYTES ? (size_t)(keep - end) : TAIL_BYTES;
        ssize_t got = sw_file_pread(file, tail, n, keep - n, err);
        if (got < 0) return (int)got;
        const uint8_t *newline = memrchr(tail, '\n', (size_t)got);
        keep -= n;
        if (newline == NULL) continue;
        keep += (uint64_t)(newline + 1 - tail);
        break;
    }
    if (keep == size) return SW_OK;
    SW_CRASH_POINT("file-cut-torn");
    int rc = sw_file_truncate(file, keep, err);
    SW_CRASH_POINT("file-torn-cut");
    return rc;
}

/* Does the file that is there go on where the checkpoint says? *end becomes 0 where the script names a new file. */
static int check_size(const file_sink *sink, const sw_prepared *saved, uint64_t size, uint64_t *end, sw_error *err)
{
    bool is_staged = sink->base.ops == &staged_ops;
    bool is_moved = strcmp(saved->path, sink->path) != 0;
    if (is_moved && size == 0) *end = 0;
    if (is_moved && size != *end)
        return sw_error_set(err, SW_ESTATE,
                            "%s has %" PRIu64 " bytes: it is not the output of the checkpoint (%s, %" PRIu64 " bytes)",
                            sink->path, size, saved->path, *end);
    if (size < *end)
        return sw_error_set(err, SW_ESTATE,
                            "%s has %" PRIu64 " bytes, but at the checkpoint it had %" PRIu64
                            ": it was cut, removed or replaced",
                            sink->path, size, *end);
    if (is_staged && size > *end)
        return sw_error_set(err, SW_ESTATE,
                            "%s has %" PRIu64 " bytes, but at the checkpoint it had %" PRIu64
                            ": somebody else has written to it",
                            sink->path, size, *end);
    return SW_OK;
}

static int continue_file(file_sink *sink, const sw_prepared *saved, sw_error *err)
{
    uint64_t end = saved->offset + saved->bytes;
    if (!sw_fs_exists(sink->path) && end > 0 && strcmp(saved->path, sink->path) == 0)
        return check_size(sink, saved, 0, &end, err);
    int rc = sw_file_open_update(&sink->file, sink->path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(sink->file, err);
    if (size < 0) return (int)size;
    if ((rc = check_size(sink, saved, (uint64_t)size, &end, err)) != SW_OK) return rc;
    sink->offset = end;
    if (sink->base.ops == &staged_ops) return sw_file_lock(sink->file, err);
    rc = cut_torn_line(sink->file, end, (uint64_t)size, err);
    sw_file_close(sink->file, NULL);
    sink->file = NULL;
    return rc == SW_OK ? sw_file_open_append(&sink->file, sink->path, err) : rc;
}

static int open_target(file_sink *sink, const sw_options *options, const sw_sink_context *context, sw_error *err)
{
    sw_prepared saved = { 0 };
    bool has_restored = context->restored != NULL, keeps = is_append(options) || (has_restored && sink->is_special);
    int rc = SW_ENOTFOUND;
    if (has_restored && !sink->is_special)
        rc = sw_prepared_find(context->restored, context->instance, sink->path, &saved, err);
    if (rc == SW_OK) {
        rc = continue_file(sink, &saved, err);
        sw_prepared_deinit(&saved);
    } else if (rc == SW_ENOTFOUND) {
        rc = sink->base.ops == &staged_ops ? begin_staged(sink, keeps, err) : begin_direct(sink, keeps, err);
    }
    if (rc != SW_OK || context->state_dir == NULL || sink->is_special) return rc;
    return sw_fs_sync_names(sink->path, err);
}

static int init_sink(file_sink *sink, const sw_options *options, const sw_sink_context *context, const char *path,
                     sw_error *err)
{
    const sw_option *format = sw_options_find(options, "format");
    bool is_exact = context->delivery == SW_EXACTLY_ONCE && context->state_dir != NULL;
    sink->is_special = sw_fs_is_special(path);
    sink->base.is_transactional = is_exact && !sink->is_special;
    sink->base.ops = sink->base.is_transactional ? &staged_ops : &direct_ops;
    sink->path = context->state_dir != NULL ? sw_fs_absolute(path) : sw_strdup(path);
    if (sink->path == NULL || sw_buf_reserve(&sink->pending, WRITE_BYTES + ROOM_BEHIND) != SW_OK)
        return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    int rc = sw_encoder_new(&sink->encoder, format != NULL ? format->string : "jsonl", err);
    if (rc != SW_OK || (rc = check_folder(path, err)) != SW_OK) return rc;
    return sink->base.is_transactional ? sw_segment_init(&sink->segment, context, err) : SW_OK;
}

int sw_file_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    const sw_option *option = sw_options_find(options, "path");
    char path[PATH_BYTES];
    if (option == NULL || option->string == NULL) return sw_error_set(err, SW_EINVAL, "a file sink needs a path");
    if (expand_path(option->string, context->instance, path, sizeof(path)) != SW_OK)
        return sw_error_set(err, SW_ELIMIT, "the path %s is too long", option->string);
    file_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    int rc = init_sink(sink, options, context, path, err);
    if (rc == SW_OK) rc = open_target(sink, options, context, err);
    if (rc != SW_OK) {
        sw_file_close(sink->file, NULL);
        free_sink(sink);
        return rc;
    }
    *out = &sink->base;
    return SW_OK;
}
