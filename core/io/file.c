/* file.c -- the source of file.h. */
#include "io/file.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/hash.h"
#include "io/text_source.h"
#include "state/pack.h"

#define HEAD_BYTES 4096u /* at the beginning of a file, by which it is known again */

/* How far a file was read. */
typedef struct progress {
    uint64_t offset;  /* of the next line, in the contents */
    uint64_t lines;   /* given before it */
    uint64_t hash;    /* of the first `hashed` bytes */
    uint32_t hashed;  /* bytes: all up to `offset`, at most HEAD_BYTES */
    bool is_begun;    /* the rest counts */
    bool is_done;     /* read to its end */
    bool is_skipping; /* offset is inside a line that was too long and was given as such */
} progress;

typedef struct file_source {
    sw_source base;      /* what the engine sees; first */
    sw_text_source text; /* bytes to rows */
    char **paths;        /* all that match; owned */
    size_t path_count;   /* of them */
    size_t next;         /* index of the next path of this instance */
    size_t step;         /* instances, which is how far apart their paths are */
    sw_file *file;       /* being read; NULL before the next */
    size_t current;      /* index of its path */
    const char *origin;  /* its path */
    progress *progress;  /* of each path; of the current one without offset, lines and hash; owned */
    uint8_t *head;       /* the first bytes of the current file; HEAD_BYTES, owned */
    uint32_t head_bytes; /* of them that are there */
    sw_buf gone;         /* pairs of the position for files that are done and not there any more */
    uint32_t gone_count; /* of them */
} file_source;

static void source_close(sw_source *base)
{
    file_source *source = (file_source *)base;
    if (source->file != NULL) sw_file_close(source->file, NULL);
    sw_text_source_deinit(&source->text);
    sw_fs_glob_free(source->paths, source->path_count);
    sw_free(source->progress);
    sw_free(source->head);
    sw_buf_deinit(&source->gone);
    sw_free(source);
}

/* Keeps the first bytes of the file for its fingerprint. */
static void keep_head(file_source *source, const uint8_t *bytes, size_t n)
{
    size_t room = HEAD_BYTES - source->head_bytes;
    if (room == 0) return;
    memcpy(source->head + source->head_bytes, bytes, n < room ? n : room);
    source->head_bytes += (uint32_t)(n < room ? n : room);
}

static int replaced(const char *path, sw_error *err)
{
    return sw_error_set(err, SW_ESTATE, "%s was replaced since the checkpoint: its first bytes are others", path);
}

/* Reads the first bytes of a file that was begun and compares them. */
static int check_head(file_source *source, sw_file *file, const char *path, const progress *p, sw_error *err)
{
    source->head_bytes = 0;
    while (source->head_bytes < p->hashed) {
        ssize_t n = sw_file_read(file, source->head + source->head_bytes, p->hashed - source->head_bytes, err);
        if (n < 0) return (int)n;
        if (n == 0) break;
        source->head_bytes += (uint32_t)n;
    }
    bool is_same = source->head_bytes == p->hashed && sw_hash(source->head, p->hashed) == p->hash;
    return is_same ? SW_OK : replaced(path, err);
}

static int resume(file_source *source, const progress *p, sw_error *err)
{
    int rc = check_head(source, source->file, source->origin, p, err);
    if (rc != SW_OK) return rc;
    rc = sw_file_skip_to(source->file, p->offset, err);
    if (rc == SW_ELIMIT) {
        sw_error_prepend(err, "%s was cut: at the checkpoint it had been read to byte %" PRIu64, source->origin,
                         p->offset);
        return sw_error_set(err, SW_ESTATE, "%s", err != NULL ? err->text : "");
    }
    sw_lines_resume(&source->text.lines, p->offset, p->lines, p->is_skipping);
    return rc;
}

static int open_next(file_source *source, sw_error *err)
{
    while (source->next < source->path_count && source->progress[source->next].is_done) source->next += source->step;
    if (source->next >= source->path_count) return SW_ECLOSED;
    source->current = source->next;
    source->origin = source->paths[source->current];
    source->next += source->step;
    source->head_bytes = 0;
    sw_text_source_restart(&source->text);
    int rc = sw_file_open_read(&source->file, source->origin, err);
    progress *p = &source->progress[source->current];
    if (rc == SW_OK && p->is_begun) rc = resume(source, p, err);
    if (rc != SW_OK) { /* Who tries again meets the same. */
        sw_file_close(source->file, NULL);
        source->file = NULL;
        source->origin = NULL;
        source->next = source->current;
        return rc;
    }
    p->is_begun = true;
    return SW_OK;
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
        keep_head(source, to, (size_t)n);
        sw_text_source_added(&source->text, (size_t)n);
        return SW_OK;
    }
    sw_text_source_finish(&source->text);
    int rc = sw_file_close(source->file, err);
    source->file = NULL;
    return rc;
}

/* How far the current file was read. */
static progress current_progress(const file_source *source)
{
    const sw_lines *lines = &source->text.lines;
    uint64_t offset = sw_lines_offset(lines);
    uint32_t hashed = offset < HEAD_BYTES ? (uint32_t)offset : HEAD_BYTES;
    return (progress){ .offset = offset,
                       .lines = lines->number,
                       .hash = sw_hash(source->head, hashed),
                       .hashed = hashed,
                       .is_begun = true,
                       .is_done = source->file == NULL && lines->begin == lines->end,
                       .is_skipping = lines->is_skipping };
}

/* The current file has ended, and its lines were given. */
static void note_done(file_source *source)
{
    if (source->origin == NULL) return;
    source->progress[source->current] = current_progress(source);
    source->origin = NULL;
}

static int source_fill(sw_source *base, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    file_source *source = (file_source *)base;
    uint32_t before = out->count;
    for (;;) {
        int rc = sw_text_source_decode(&source->text, source->origin, out, before + max_rows, err);
        if (rc != SW_OK) return rc;
        if (out->count > before) return SW_OK; /* What is left of the chunk is decoded by the next call. */
        if (source->file != NULL) {
            rc = read_chunk(source, err);
        } else {
            note_done(source);
            rc = open_next(source, err);
        }
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

/* --- position --------------------------------------------------------------------------------------------------- */

static int put_progress(sw_buf *out, const char *path, const progress *p)
{
    int rc = sw_pack_str(out, path, (uint32_t)strlen(path));
    if (rc == SW_OK) rc = sw_pack_array(out, 6);
    if (rc == SW_OK) rc = sw_pack_u64(out, p->offset);
    if (rc == SW_OK) rc = sw_pack_u64(out, p->lines);
    if (rc == SW_OK) rc = sw_pack_bool(out, p->is_done);
    if (rc == SW_OK) rc = sw_pack_bool(out, p->is_skipping);
    if (rc == SW_OK) rc = sw_pack_u64(out, p->hashed);
    if (rc == SW_OK) rc = sw_pack_u64(out, p->hash);
    return rc;
}

static uint32_t begun_count(const file_source *source)
{
    uint32_t count = source->gone_count;
    for (size_t i = source->next % source->step; i < source->path_count; i += source->step)
        count += source->progress[i].is_begun;
    return count;
}

static int source_position(sw_source *base, sw_buf *out, sw_error *err)
{
    file_source *source = (file_source *)base;
    size_t before = out->size;
    int rc = sw_pack_map(out, begun_count(source));
    if (rc == SW_OK) rc = sw_buf_append(out, source->gone.data, source->gone.size);
    for (size_t i = source->next % source->step; i < source->path_count && rc == SW_OK; i += source->step) {
        const progress *p = &source->progress[i];
        progress now;
        if (source->origin != NULL && i == source->current) {
            now = current_progress(source);
            p = &now;
        }
        if (p->is_begun) rc = put_progress(out, source->paths[i], p);
    }
    if (rc == SW_OK) return SW_OK;
    out->size = before;
    return sw_error_set(err, rc, "out of memory");
}

/* Reads the pair at the reader: a path, not ended by NUL, and how far it was read. */
static int read_progress(sw_pack_reader *reader, sw_pack_item *path, progress *out)
{
    sw_pack_item list, item[6];
    bool is_sound = sw_pack_next(reader, path) == SW_OK && path->type == SW_PACK_STR &&
                    sw_pack_next(reader, &list) == SW_OK && list.type == SW_PACK_ARRAY && list.count == 6;
    for (int i = 0; i < 6 && is_sound; i++) {
        bool is_flag = i == 2 || i == 3;
        is_sound = sw_pack_next(reader, &item[i]) == SW_OK &&
                   (is_flag ? item[i].type == SW_PACK_BOOL
                            : item[i].type == SW_PACK_U64 || (item[i].type == SW_PACK_I64 && item[i].v.i >= 0));
    }
    if (!is_sound || item[4].v.u > HEAD_BYTES || item[4].v.u > item[0].v.u) return SW_EFORMAT;
    *out = (progress){ .offset = item[0].v.u,
                       .lines = item[1].v.u,
                       .is_begun = true,
                       .is_done = item[2].v.i != 0,
                       .is_skipping = item[3].v.i != 0,
                       .hashed = (uint32_t)item[4].v.u,
                       .hash = item[5].v.u };
    return SW_OK;
}

/* A file that was begun and that the path does not find: fine if it is done. The first instance remembers it. */
static int restore_gone(file_source *source, const char *path, const progress *p, bool is_first, sw_error *err)
{
    if (!p->is_done && sw_fs_exists(path))
        return sw_error_set(err, SW_ESTATE, "%s was read to byte %" PRIu64 ", and is no part of the input now", path,
                            p->offset);
    if (!p->is_done)
        return sw_error_set(err, SW_ESTATE, "%s is missing, and was read only to byte %" PRIu64, path, p->offset);
    if (!is_first) return SW_OK;
    if (put_progress(&source->gone, path, p) != SW_OK) return sw_error_set(err, SW_ENOMEM, "out of memory");
    source->gone_count++;
    return SW_OK;
}

static int compare_path(const void *key, const void *path)
{
    return strcmp(key, *(char *const *)path);
}

static int restore_file(file_source *source, const sw_pack_item *name, const progress *p, bool is_first, sw_error *err)
{
    char *path = sw_strndup((const char *)name->v.bytes, name->count);
    if (path == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    char **found = source->path_count == 0
                       ? NULL
                       : bsearch(path, source->paths, source->path_count, sizeof(*source->paths), compare_path);
    int rc = SW_OK;
    if (found != NULL) {
        source->progress[found - source->paths] = *p;
    } else {
        rc = restore_gone(source, path, p, is_first, err);
    }
    sw_free(path);
    return rc;
}

static int restore_position(file_source *source, const uint8_t *bytes, size_t len, bool is_first, sw_error *err)
{
    sw_pack_reader reader = { bytes, bytes + len };
    sw_pack_item map, path;
    progress p;
    int rc = sw_pack_next(&reader, &map);
    if (rc != SW_OK || map.type != SW_PACK_MAP) rc = SW_EFORMAT;
    for (uint32_t i = 0; rc == SW_OK && i < map.count; i++) {
        if ((rc = read_progress(&reader, &path, &p)) != SW_OK) break;
        if ((rc = restore_file(source, &path, &p, is_first, err)) != SW_OK) return rc;
    }
    return rc == SW_OK ? rc : sw_error_set(err, SW_EFORMAT, "the position saved in the checkpoint cannot be read");
}

/* Done files are not opened again by fill, so that they were not replaced is seen here. */
static int check_done(file_source *source, sw_error *err)
{
    for (size_t i = source->next; i < source->path_count; i += source->step) {
        sw_file *file = NULL;
        if (!source->progress[i].is_done) continue;
        int rc = sw_file_open_read(&file, source->paths[i], err);
        if (rc == SW_OK) rc = check_head(source, file, source->paths[i], &source->progress[i], err);
        sw_file_close(file, NULL);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

static int restore(file_source *source, const sw_source_context *context, sw_error *err)
{
    const sw_saved_values *saved = context->restored;
    int rc = SW_OK;
    for (uint32_t i = 0; saved != NULL && i < saved->count && rc == SW_OK; i++)
        if (saved->lens[i] > 0)
            rc = restore_position(source, saved->data[i], saved->lens[i], context->instance == 0, err);
    if (rc == SW_OK && saved != NULL) rc = check_done(source, err);
    for (size_t i = 0; saved != NULL && saved->is_finished && i < source->path_count; i++)
        source->progress[i].is_done = false; /* Something may have been added at its end. */
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static bool has_special(const file_source *source)
{
    for (size_t i = source->next; i < source->path_count; i += source->step)
        if (sw_fs_is_special(source->paths[i])) return true;
    return false;
}

/* Finds the files, and how far they were read. */
static int find_files(file_source *source, const char *pattern, const sw_source_context *context, sw_error *err)
{
    int rc = sw_fs_glob(pattern, &source->paths, &source->path_count, err);
    if (rc == SW_ENOTFOUND && context->restored == NULL) return sw_error_set(err, rc, "no file matches %s", pattern);
    if (rc != SW_OK && rc != SW_ENOTFOUND) return rc;
    if ((rc = check_files(source, err)) != SW_OK) return rc;
    source->progress = sw_calloc(source->path_count + 1, sizeof(*source->progress));
    source->head = sw_alloc(HEAD_BYTES);
    if (source->progress == NULL || source->head == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    if ((rc = restore(source, context, err)) != SW_OK) return rc;
    if (source->path_count == 0 && source->gone_count == 0 && context->instance == 0)
        return sw_error_set(err, SW_ENOTFOUND, "no file matches %s", pattern);
    return SW_OK;
}

int sw_file_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err)
{
    static const sw_source_ops ops = { .fill = source_fill, .close = source_close, .position = source_position };
    static const sw_source_ops special_ops = { .fill = source_fill, .close = source_close };
    const sw_option *path = sw_options_find(options, "path");
    if (path == NULL || path->string == NULL) return sw_error_set(err, SW_EINVAL, "a file source needs a path");
    file_source *source = sw_calloc(1, sizeof(*source));
    if (source == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    source->base = (sw_source){ .ops = &ops, .wait_fd = -1 };
    source->next = context->instance;
    source->step = context->count;
    int rc = sw_text_source_init(&source->text, options, context, err);
    if (rc != SW_OK) goto free_source;
    if ((rc = find_files(source, path->string, context, err)) != SW_OK) goto close_source;
    if (has_special(source)) source->base.ops = &special_ops;
    rc = open_next(source, err);
    if (rc != SW_OK && rc != SW_ECLOSED) goto close_source;
    *out = &source->base;
    return SW_OK;

close_source:
    source_close(&source->base);
    return rc;
free_source:
    sw_free(source);
    return rc;
}
