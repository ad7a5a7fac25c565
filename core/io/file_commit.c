/* file_commit.c -- what file.h does with prepared values. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "io/file.h"
#include "io/segment.h"

#define COPY_BYTES (1u << 20) /* copied at once */
#define CUT_NAMES_MAX 10000   /* names tried for what is cut off */

/* --- sync ------------------------------------------------------------------------------------------------------- */

static int sync_target(const char *path, sw_error *err)
{
    sw_file *file = NULL;
    if (!sw_fs_exists(path)) return sw_error_set(err, SW_ESTATE, "%s was removed while it was written", path);
    int rc = sw_file_open_update(&file, path, err);
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("file-direct-sync");
    rc = sw_file_sync(file, err);
    SW_CRASH_POINT("file-direct-synced");
    sw_file_close(file, NULL);
    return rc;
}

static int file_sync(const uint8_t *value, size_t len, sw_error *err)
{
    sw_prepared prepared;
    if (len == 0) return SW_OK;
    int rc = sw_prepared_read(value, len, &prepared, err);
    if (rc != SW_OK) return rc;
    rc = prepared.is_direct ? sync_target(prepared.path, err) : sw_prepared_sync(&prepared, err);
    sw_prepared_deinit(&prepared);
    return rc;
}

/* --- commit ----------------------------------------------------------------------------------------------------- */

/* The size of the file, 0 when there is none, or a negative code. */
static int64_t size_of(const char *path, sw_error *err)
{
    sw_file *file = NULL;
    if (!sw_fs_exists(path)) return 0;
    int rc = sw_file_open_read(&file, path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(file, err);
    sw_file_close(file, NULL);
    return size;
}

/* The segment is gone: it was committed, or else its bytes are lost. A target that is not there at all is no matter of
 * the value's: the output may have moved with the job, and the sink compares when it is opened. */
static int check_committed(const sw_prepared *p, sw_error *err)
{
    if (!sw_fs_exists(p->path)) return SW_OK;
    int64_t size = size_of(p->path, err);
    if (size < 0) return (int)size;
    if ((uint64_t)size >= p->offset + p->bytes) return SW_OK;
    return sw_error_set(err, SW_ESTATE,
                        "%s has %" PRId64 " bytes, but the checkpoint says %" PRIu64
                        ": it was cut or replaced (what it was to be given in %s is gone)",
                        p->path, size, p->offset + p->bytes, p->segment);
}

/* How much of these bytes is written at once: whole lines where there is a line end, so that only they are seen. */
static size_t piece_of(const uint8_t *bytes, size_t n, bool is_last)
{
    const uint8_t *newline = is_last ? NULL : memrchr(bytes, '\n', n);
    return newline == NULL ? n : (size_t)(newline + 1 - bytes);
}

/* Copies `bytes` bytes from their offset in one file to their offset in the other; `hasher` (may be NULL) sees them. */
static int copy(sw_file *from, uint64_t from_offset, sw_file *to, uint64_t to_offset, uint64_t bytes, sw_hasher *hasher,
                sw_error *err)
{
    int rc = SW_OK;
    uint8_t *buf = sw_alloc(COPY_BYTES);
    if (buf == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    while (bytes > 0 && rc == SW_OK) {
        size_t wanted = bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES;
        ssize_t got = sw_file_pread(from, buf, wanted, from_offset, err);
        if (got == 0) rc = sw_error_set(err, SW_EIO, "a file became shorter while it was copied");
        if (got < 0) rc = (int)got;
        if (got <= 0) break;
        size_t n = piece_of(buf, (size_t)got, (uint64_t)got == bytes);
        SW_CRASH_POINT("file-write");
        rc = sw_file_pwrite(to, buf, n, to_offset, err);
        SW_CRASH_POINT("file-written");
        if (hasher != NULL) sw_hasher_add(hasher, buf, n);
        from_offset += n;
        to_offset += n;
        bytes -= n;
    }
    sw_free(buf);
    return rc;
}

static int write_target(const sw_prepared *p, sw_file *segment, sw_file *target, sw_error *err)
{
    int64_t size = sw_file_size(target, err);
    if (size < 0) return (int)size;
    if ((uint64_t)size < p->offset)
        return sw_error_set(err, SW_ESTATE,
                            "%s has %" PRId64 " bytes, but %" PRIu64 " were committed: it was cut or replaced", p->path,
                            size, p->offset);
    SW_CRASH_POINT("file-reserve");
    int rc = sw_file_reserve(target, p->offset, p->bytes, err);
    if (rc != SW_OK) return rc;
    if ((rc = copy(segment, 0, target, p->offset, p->bytes, NULL, err)) != SW_OK) return rc;
    SW_CRASH_POINT("file-sync");
    rc = sw_file_sync(target, err);
    SW_CRASH_POINT("file-synced");
    return rc;
}

static int commit_segment(const sw_prepared *p, sw_file *segment, sw_error *err)
{
    sw_file *target = NULL;
    bool is_new = !sw_fs_exists(p->path);
    if (is_new && p->offset > 0)
        return sw_error_set(err, SW_ESTATE, "%s is gone, and %" PRIu64 " bytes of it were committed", p->path,
                            p->offset);
    int rc = sw_file_open_update(&target, p->path, err);
    if (rc != SW_OK) return rc;
    rc = write_target(p, segment, target, err);
    sw_file_close(target, NULL); /* It is synced. */
    if (rc == SW_OK && is_new) rc = sw_fs_sync_names(p->path, err);
    return rc == SW_OK ? sw_prepared_drop(p, err) : rc;
}

static int file_commit(const uint8_t *value, size_t len, sw_error *err)
{
    sw_prepared prepared;
    sw_file *segment = NULL;
    if (len == 0) return SW_OK;
    int rc = sw_prepared_read(value, len, &prepared, err);
    if (rc != SW_OK) return rc;
    if (prepared.segment != NULL) {
        rc = sw_prepared_open(&prepared, &segment, err);
        if (rc == SW_OK) {
            rc = commit_segment(&prepared, segment, err);
            sw_file_close(segment, NULL);
        } else if (rc == SW_ENOTFOUND) {
            rc = check_committed(&prepared, err);
        }
    }
    sw_prepared_deinit(&prepared);
    return rc;
}

/* --- rewind ----------------------------------------------------------------------------------------------------- */

/* Copies what is behind `end` to a file of its own, synced; *hash is of it. */
static int save_tail(sw_file *target, uint64_t end, uint64_t bytes, const char *to, uint64_t *hash, sw_error *err)
{
    sw_file *file = NULL;
    sw_hasher hasher;
    sw_hasher_init(&hasher);
    int rc = sw_file_open_create(&file, to, err);
    if (rc != SW_OK) return rc;
    rc = copy(target, end, file, 0, bytes, &hasher, err);
    SW_CRASH_POINT("file-cut-sync");
    if (rc == SW_OK) rc = sw_file_sync(file, err);
    sw_file_close(file, NULL);
    *hash = sw_hasher_sum(&hasher).low;
    return rc;
}

/* Is the file of this name a copy already, made by a call that a crash has interrupted? */
static bool is_copy(const char *path, uint64_t bytes, uint64_t hash)
{
    const sw_prepared copied = { .segment = path, .bytes = bytes, .hash = hash };
    sw_file *file = NULL;
    if (sw_prepared_open(&copied, &file, NULL) != SW_OK) return false;
    sw_file_close(file, NULL);
    return true;
}

/* Gives the copy the first name that is free: NAME.cut-ID, NAME.cut-ID.2, ... */
static int name_copy(const char *from, const char *path, uint64_t checkpoint, uint64_t bytes, uint64_t hash,
                     sw_buf *name, sw_error *err)
{
    for (int i = 1; i < CUT_NAMES_MAX; i++) {
        sw_buf_clear(name);
        int rc = sw_buf_printf(name, i == 1 ? "%s.cut-%" PRIu64 : "%s.cut-%" PRIu64 ".%d", path, checkpoint, i);
        if (rc != SW_OK) return sw_error_set(err, rc, "%s: out of memory", path);
        if (is_copy((char *)name->data, bytes, hash)) return sw_fs_remove(from, err);
        if (sw_fs_exists((char *)name->data)) continue;
        SW_CRASH_POINT("file-cut-rename");
        rc = sw_fs_rename(from, (char *)name->data, err);
        SW_CRASH_POINT("file-cut-renamed");
        return rc == SW_OK ? sw_fs_sync_names(path, err) : rc;
    }
    return sw_error_set(err, SW_ELIMIT, "%s: too many files of what was cut off", path);
}

static int cut(const sw_prepared *p, sw_file *target, uint64_t bytes, uint64_t checkpoint, sw_buf *said, sw_error *err)
{
    uint64_t end = p->offset + p->bytes, hash = 0;
    sw_buf copied = { 0 }, name = { 0 };
    int rc = sw_buf_printf(&copied, "%s.cut-tmp", p->path);
    rc = rc == SW_OK ? save_tail(target, end, bytes, (char *)copied.data, &hash, err)
                     : sw_error_set(err, rc, "%s: out of memory", p->path);
    if (rc == SW_OK) rc = name_copy((char *)copied.data, p->path, checkpoint, bytes, hash, &name, err);
    SW_CRASH_POINT("file-cut");
    if (rc == SW_OK) rc = sw_file_truncate(target, end, err);
    SW_CRASH_POINT("file-was-cut");
    if (rc == SW_OK) rc = sw_file_sync(target, err);
    if (rc == SW_OK)
        rc = sw_buf_printf(said,
                           "%s is cut to %" PRIu64 " bytes, those of checkpoint %" PRIu64 "; the %" PRIu64
                           " behind them are kept in %s",
                           p->path, end, checkpoint, bytes, (char *)name.data);
    sw_buf_deinit(&copied);
    sw_buf_deinit(&name);
    return rc;
}

static int rewind_target(const sw_prepared *p, uint64_t checkpoint, sw_buf *said, sw_error *err)
{
    sw_file *target = NULL;
    if (!sw_fs_exists(p->path)) return SW_OK; /* The sink says so when it is opened. */
    int rc = sw_file_open_update(&target, p->path, err);
    if (rc != SW_OK) return rc;
    int64_t size = sw_file_size(target, err);
    uint64_t end = p->offset + p->bytes;
    if (size < 0) {
        rc = (int)size;
    } else if ((uint64_t)size > end) {
        rc = cut(p, target, (uint64_t)size - end, checkpoint, said, err);
    }
    sw_file_close(target, NULL);
    return rc;
}

static int file_rewind(const uint8_t *value, size_t len, uint64_t checkpoint, sw_buf *said, sw_error *err)
{
    sw_prepared prepared;
    if (len == 0) return SW_OK;
    int rc = sw_prepared_read(value, len, &prepared, err);
    if (rc != SW_OK) return rc;
    rc = rewind_target(&prepared, checkpoint, said, err);
    sw_prepared_deinit(&prepared);
    return rc;
}

const sw_sink_commit_ops sw_file_sink_commit_ops = { file_sync, file_commit, file_rewind };
