#include "io/file.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "io/text_source.h"

#define WRITE_BYTES (256u << 10) /* collected before they are written */
#define ROOM_BEHIND 4096u        /* for the event that fills the buffer */
#define PATH_BYTES 4096u         /* of a sink's path and its NUL */

/* --- source --------------------------------------------------------------------------------------- */

typedef struct file_source {
    sw_source base;      /* what the engine sees; first */
    sw_text_source text; /* bytes to rows */
    char **paths;        /* all that match; owned */
    size_t path_count;   /* of them */
    size_t next;         /* index of the next path of this instance */
    size_t step;         /* instances, which is how far apart their paths are */
    sw_file *file;       /* being read; NULL before the next */
    const char *origin;  /* its path */
} file_source;

static void source_close(sw_source *base)
{
    file_source *source = (file_source *)base;
    if (source->file != NULL) sw_file_close(source->file, NULL);
    sw_text_source_deinit(&source->text);
    sw_fs_glob_free(source->paths, source->path_count);
    sw_free(source);
}

static int open_next(file_source *source, sw_error *err)
{
    if (source->next >= source->path_count) return SW_ECLOSED;
    source->origin = source->paths[source->next];
    source->next += source->step;
    sw_text_source_restart(&source->text);
    return sw_file_open_read(&source->file, source->origin, err);
}

/* Reads one chunk; at the end of the file says so to the lines and closes it. */
static int read_chunk(file_source *source, sw_error *err)
{
    size_t room;
    uint8_t *to = sw_text_source_room(&source->text, &room);
    if (to == NULL) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", source->origin);
    ssize_t n = sw_file_read(source->file, to, room, err);
    if (n < 0) return (int)n;
    if (n > 0) {
        sw_text_source_added(&source->text, (size_t)n);
        return SW_OK;
    }
    sw_text_source_finish(&source->text);
    int rc = sw_file_close(source->file, err);
    source->file = NULL;
    return rc;
}

static int source_fill(sw_source *base, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    file_source *source = (file_source *)base;
    uint32_t before = out->count;
    for (;;) {
        int rc = sw_text_source_decode(&source->text, source->origin, out, before + max_rows, err);
        if (rc != SW_OK) return rc;
        if (out->count > before) return SW_OK; /* What is left of the chunk is decoded by the next call. */
        rc = source->file != NULL ? read_chunk(source, err) : open_next(source, err);
        if (rc != SW_OK) return rc;
    }
}

/* A pattern may match folders too: that is said now, and not when the first file has been read for an hour. */
static int check_files(const file_source *source, sw_error *err)
{
    for (size_t i = source->next; i < source->path_count; i += source->step)
        if (sw_fs_is_dir(source->paths[i])) return sw_error_set(err, SW_EINVAL, "%s is a directory", source->paths[i]);
    return SW_OK;
}

int sw_file_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err)
{
    static const sw_source_ops ops = { .fill = source_fill, .close = source_close };
    const sw_option *path = sw_options_find(options, "path");
    if (path == NULL || path->string == NULL) return sw_error_set(err, SW_EINVAL, "a file source needs a path");
    file_source *source = sw_calloc(1, sizeof(*source));
    if (source == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    source->base = (sw_source){ .ops = &ops, .wait_fd = -1 };
    source->next = context->instance;
    source->step = context->count;
    int rc = sw_text_source_init(&source->text, options, context, err);
    if (rc != SW_OK) goto free_source;
    rc = sw_fs_glob(path->string, &source->paths, &source->path_count, err);
    if (rc == SW_ENOTFOUND) rc = sw_error_set(err, rc, "no file matches %s", path->string);
    if (rc != SW_OK) goto deinit_text;
    if ((rc = check_files(source, err)) != SW_OK) goto free_paths;
    if (source->next < source->path_count && (rc = open_next(source, err)) != SW_OK) goto free_paths;
    *out = &source->base;
    return SW_OK;

free_paths:
    sw_fs_glob_free(source->paths, source->path_count);
deinit_text:
    sw_text_source_deinit(&source->text);
free_source:
    sw_free(source);
    return rc;
}

/* --- sink ----------------------------------------------------------------------------------------- */

typedef struct file_sink {
    sw_sink base;        /* what the engine sees; first */
    sw_file *file;       /* owned */
    sw_encoder *encoder; /* owned */
    sw_buf pending;      /* encoded, not yet written */
} file_sink;

static int sink_flush(sw_sink *base, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    if (sink->pending.size == 0) return SW_OK;
    int rc = sw_file_write_all(sink->file, sink->pending.data, sink->pending.size, err);
    sw_buf_clear(&sink->pending);
    return rc;
}

static int sink_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = sw_encoder_encode(sink->encoder, row, &sink->pending, err);
    if (rc != SW_OK || sink->pending.size < WRITE_BYTES) return rc;
    return sink_flush(base, err);
}

static int sink_close(sw_sink *base, sw_error *err)
{
    file_sink *sink = (file_sink *)base;
    int rc = sink_flush(base, err);
    int closed = sw_file_close(sink->file, rc == SW_OK ? err : NULL);
    sw_encoder_free(sink->encoder);
    sw_buf_deinit(&sink->pending);
    sw_free(sink);
    return rc != SW_OK ? rc : closed;
}

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

static int open_file(file_sink *sink, const sw_options *options, const char *path, sw_error *err)
{
    const sw_option *mode = sw_options_find(options, "mode");
    bool is_append = mode != NULL && mode->string != NULL && strcmp(mode->string, "append") == 0;
    int rc = check_folder(path, err);
    if (rc != SW_OK) return rc;
    return is_append ? sw_file_open_append(&sink->file, path, err) : sw_file_open_create(&sink->file, path, err);
}

int sw_file_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    static const sw_sink_ops ops = { .write = sink_write, .flush = sink_flush, .close = sink_close };
    const sw_option *option = sw_options_find(options, "path"), *format = sw_options_find(options, "format");
    char path[PATH_BYTES];
    if (option == NULL || option->string == NULL) return sw_error_set(err, SW_EINVAL, "a file sink needs a path");
    if (expand_path(option->string, context->instance, path, sizeof(path)) != SW_OK)
        return sw_error_set(err, SW_ELIMIT, "the path %s is too long", option->string);
    file_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    sink->base.ops = &ops;
    sw_buf_init(&sink->pending);
    int rc = sw_encoder_new(&sink->encoder, format != NULL ? format->string : "jsonl", err);
    if (rc != SW_OK) goto free_sink;
    if ((rc = sw_buf_reserve(&sink->pending, WRITE_BYTES + ROOM_BEHIND)) != SW_OK) {
        sw_error_set(err, rc, "out of memory");
        goto free_encoder;
    }
    if ((rc = open_file(sink, options, path, err)) != SW_OK) goto free_encoder;
    *out = &sink->base;
    return SW_OK;

free_encoder:
    sw_encoder_free(sink->encoder);
    sw_buf_deinit(&sink->pending);
free_sink:
    sw_free(sink);
    return rc;
}
