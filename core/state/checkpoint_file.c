#include "state/checkpoint_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "state/mdb.h"

#define CHUNK (256u << 10)                     /* read at once: fits the second cache */
#define MANIFEST_BYTES_MAX ((uint64_t)1 << 31) /* a script of any size, and no absurd one */

/* --- verifying -------------------------------------------------------------------------------------------------- */

static int damaged(sw_error *err, const char *path, const char *why)
{
    return sw_error_set(err, SW_EFORMAT, "%s is damaged: %s", path, why);
}

static int hash_bytes(sw_file *file, uint64_t bytes, sw_hasher *hasher, uint8_t *chunk, sw_error *err)
{
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
        ssize_t got = sw_file_pread(file, chunk, n, at, err);
        if (got < 0) return (int)got;
        if ((size_t)got < n) return sw_error_set(err, SW_EFORMAT, "it became shorter");
        sw_hasher_add(hasher, chunk, n);
        at += n;
    }
    return SW_OK;
}

int sw_checkpoint_file_hash(sw_file *file, const sw_image_trailer *trailer, sw_hash128 *hash, sw_error *err)
{
    sw_hasher hasher;
    uint8_t *chunk = sw_alloc(CHUNK);
    if (chunk == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    sw_hasher_init(&hasher);
    int rc = hash_bytes(file, trailer->pages_bytes + trailer->manifest_bytes, &hasher, chunk, err);
    sw_hasher_add(&hasher, trailer, offsetof(sw_image_trailer, hash));
    if (rc == SW_OK) *hash = sw_hasher_sum(&hasher);
    sw_free(chunk);
    return rc;
}

/* Reads the trailer; it fits the size of the file. */
static int read_trailer(sw_file *file, const char *path, sw_image_trailer *trailer, sw_error *err)
{
    int64_t size = sw_file_size(file, err);
    if (size < 0) return (int)size;
    if ((uint64_t)size < sizeof(*trailer)) return damaged(err, path, size == 0 ? "it is empty" : "it is cut short");
    uint64_t end = (uint64_t)size - sizeof(*trailer);
    ssize_t got = sw_file_pread(file, trailer, sizeof(*trailer), end, err);
    if (got < 0) return (int)got;
    if (got < (ssize_t)sizeof(*trailer) || trailer->magic != SW_IMAGE_MAGIC)
        return damaged(err, path, "it does not end as a checkpoint does");
    if (trailer->version != SW_IMAGE_VERSION)
        return sw_error_set(err, SW_EFORMAT, "%s has version %llu of the format, and this program reads %u", path,
                            (unsigned long long)trailer->version, SW_IMAGE_VERSION);
    if (trailer->manifest_bytes > MANIFEST_BYTES_MAX || trailer->pages_bytes > end ||
        trailer->manifest_bytes != end - trailer->pages_bytes)
        return damaged(err, path, "its size is not the one it was written with");
    return SW_OK;
}

static int read_manifest(sw_file *file, const char *path, const sw_image_trailer *trailer, sw_manifest *manifest,
                         sw_error *err)
{
    size_t size = (size_t)trailer->manifest_bytes;
    uint8_t *bytes = sw_alloc(size);
    if (bytes == NULL) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    ssize_t got = sw_file_pread(file, bytes, size, trailer->pages_bytes, err);
    int rc = got < 0 ? (int)got : SW_OK;
    if (got >= 0 && ((size_t)got < size || sw_hash(bytes, size) != trailer->manifest_hash))
        rc = damaged(err, path, "the checksum of its manifest differs");
    if (rc == SW_OK && (rc = sw_manifest_decode(manifest, bytes, size, err)) != SW_OK)
        sw_error_prepend(err, "%s", path);
    sw_free(bytes);
    return rc;
}

static int read_end(sw_file *file, const char *path, sw_image_trailer *trailer, sw_manifest *manifest, sw_file_ref *ref,
                    sw_error *err)
{
    int rc = read_trailer(file, path, trailer, err);
    if (rc == SW_OK) rc = read_manifest(file, path, trailer, manifest, err);
    if (rc != SW_OK) return rc;
    *ref = (sw_file_ref){
        .id = manifest->meta.id,
        .is_full = manifest->chain_count == 0,
        .bytes = trailer->pages_bytes + trailer->manifest_bytes + sizeof(*trailer),
        .hash = trailer->hash,
    };
    return SW_OK;
}

static int check_hash(sw_file *file, const char *path, const sw_image_trailer *trailer, sw_error *err)
{
    sw_hash128 hash;
    int rc = sw_checkpoint_file_hash(file, trailer, &hash, err);
    if (rc == SW_EFORMAT || rc == SW_ENOMEM) sw_error_prepend(err, "%s", path);
    if (rc != SW_OK) return rc;
    if (hash.low == trailer->hash.low && hash.high == trailer->hash.high) return SW_OK;
    return damaged(err, path, "its checksum differs");
}

int sw_checkpoint_file_peek(const char *path, sw_manifest *manifest, sw_file_ref *ref, sw_error *err)
{
    sw_file *file = NULL;
    sw_image_trailer trailer;
    int rc = sw_file_open_random(&file, path, false, err);
    if (rc != SW_OK) return rc;
    rc = read_end(file, path, &trailer, manifest, ref, err);
    sw_file_close(file, NULL);
    return rc;
}

int sw_checkpoint_file_verify(const char *path, bool from_disk, sw_error *err)
{
    sw_file *file = NULL;
    sw_image_trailer trailer;
    int rc = sw_file_open_random(&file, path, false, err);
    if (rc != SW_OK) return rc;
    if (from_disk) sw_file_forget_cached(file);
    rc = read_trailer(file, path, &trailer, err);
    if (rc == SW_OK) rc = check_hash(file, path, &trailer, err);
    sw_file_close(file, NULL);
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static int check_identity(sw_checkpoint_file *f, sw_file *verified, sw_error *err)
{
    struct stat ours, theirs;
    int fd = -1;
    int rc = SW_MDB(mdb_env_get_fd(f->env, &fd));
    if (rc != 0) return sw_mdb_fail(err, rc, f->path);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* LMDB opens data files without it. */
    if (fstat(sw_file_fd(verified), &ours) != 0 || fstat(fd, &theirs) != 0)
        return sw_error_errno(err, errno, "%s", f->path);
    if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino && ours.st_size == theirs.st_size) return SW_OK;
    return sw_error_set(err, SW_ENOTFOUND, "%s was replaced while it was being opened", f->path);
}

static int open_table(sw_checkpoint_file *f, sw_error *err)
{
    MDB_txn *txn = NULL;
    int rc = SW_MDB(mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn));
    if (rc != 0) return sw_mdb_fail(err, rc, f->path);
    rc = SW_MDB(mdb_dbi_open(txn, NULL, 0, &f->dbi));
    mdb_txn_abort(txn); /* The main table needs no commit to stay open. */
    return rc == 0 ? SW_OK : sw_mdb_fail(err, rc, f->path);
}

static int open_pages(sw_checkpoint_file *f, sw_file *verified, sw_error *err)
{
    int rc = SW_MDB(mdb_env_create(&f->env));
    if (rc != 0) return sw_mdb_fail(err, rc, f->path);
    rc = SW_MDB(mdb_env_open(f->env, f->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0));
    int code = rc == 0 ? check_identity(f, verified, err) : sw_mdb_fail(err, rc, f->path);
    if (code == SW_OK) code = open_table(f, err);
    if (code != SW_OK) mdb_env_close(f->env); /* LMDB wants this even when open failed. */
    return code;
}

int sw_checkpoint_file_open(sw_checkpoint_file **out, const char *path, sw_error *err)
{
    sw_file *file = NULL;
    sw_image_trailer trailer;
    int rc = SW_ENOMEM;
    sw_checkpoint_file *f = sw_calloc(1, sizeof(*f));
    if (f == NULL) goto fail;
    if ((f->path = sw_strdup(path)) == NULL) goto free_file;
    if ((rc = sw_file_open_random(&file, path, false, err)) != SW_OK) goto free_path;
    if ((rc = read_end(file, path, &trailer, &f->manifest, &f->ref, err)) != SW_OK) goto close_file;
    if ((rc = check_hash(file, path, &trailer, err)) != SW_OK) goto free_manifest;
    if ((rc = open_pages(f, file, err)) != SW_OK) goto free_manifest;
    sw_file_close(file, NULL);
    *out = f;
    return SW_OK;

free_manifest:
    sw_manifest_deinit(&f->manifest);
close_file:
    sw_file_close(file, NULL);
free_path:
    sw_free(f->path);
free_file:
    sw_free(f);
fail:
    return rc != SW_ENOMEM ? rc : sw_error_set(err, rc, "%s: out of memory", path);
}

void sw_checkpoint_file_close(sw_checkpoint_file *file)
{
    if (file == NULL) return;
    mdb_env_close(file->env);
    sw_manifest_deinit(&file->manifest);
    sw_free(file->path);
    sw_free(file);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static sw_stored stored_of(const MDB_val *key, const MDB_val *value)
{
    return (sw_stored){ key->mv_data, key->mv_size, value->mv_data, value->mv_size };
}

int sw_checkpoint_file_get(const sw_checkpoint_file *file, const uint8_t *key, size_t key_len, sw_stored *out,
                           sw_error *err)
{
    MDB_txn *txn = NULL;
    MDB_val name = { key_len, (void *)(uintptr_t)key }, value;
    int rc = SW_MDB(mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn));
    if (rc != 0) return sw_mdb_fail(err, rc, file->path);
    rc = SW_MDB(mdb_get(txn, file->dbi, &name, &value));
    mdb_txn_abort(txn); /* The value stays where it is: nobody writes to the file. */
    if (rc != 0) return sw_mdb_fail(err, rc, file->path);
    *out = (sw_stored){ key, key_len, value.mv_data, value.mv_size };
    return SW_OK;
}

int sw_file_cursor_open(sw_file_cursor *cursor, const sw_checkpoint_file *file, sw_error *err)
{
    *cursor = (sw_file_cursor){ .path = file->path };
    int rc = SW_MDB(mdb_txn_begin(file->env, NULL, MDB_RDONLY, &cursor->txn));
    if (rc != 0) return sw_mdb_fail(err, rc, file->path);
    rc = SW_MDB(mdb_cursor_open(cursor->txn, file->dbi, &cursor->cursor));
    if (rc == 0) return SW_OK;
    mdb_txn_abort(cursor->txn);
    cursor->txn = NULL;
    return sw_mdb_fail(err, rc, file->path);
}

void sw_file_cursor_close(sw_file_cursor *cursor)
{
    if (cursor->txn == NULL) return;
    mdb_cursor_close(cursor->cursor);
    mdb_txn_abort(cursor->txn);
    cursor->txn = NULL;
}

static int move(sw_file_cursor *cursor, MDB_val *key, MDB_cursor_op op, sw_error *err)
{
    MDB_val value;
    int rc = SW_MDB(mdb_cursor_get(cursor->cursor, key, &value, op));
    if (rc == 0) {
        cursor->at = stored_of(key, &value);
        return SW_OK;
    }
    cursor->at = (sw_stored){ 0 };
    return rc == MDB_NOTFOUND ? SW_OK : sw_mdb_fail(err, rc, cursor->path);
}

int sw_file_cursor_seek(sw_file_cursor *cursor, const uint8_t *key, size_t key_len, sw_error *err)
{
    MDB_val from = { key_len, (void *)(uintptr_t)key };
    return move(cursor, &from, MDB_SET_RANGE, err);
}

int sw_file_cursor_next(sw_file_cursor *cursor, sw_error *err)
{
    MDB_val key = { 0, NULL };
    return move(cursor, &key, MDB_NEXT, err);
}
