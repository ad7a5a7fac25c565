#include "state/image.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "state/checkpoint_file.h"
#include "state/mdb.h"

#define PAGE 4096u
#define MAP_PAGES_MIN 64u                 /* of the smallest map */
#define NODE_BYTES 16u                    /* LMDB's own per entry, about */
#define MAP_BYTES_MAX ((uint64_t)1 << 46) /* half of a process's addresses */
#define FILE_MODE 0666                    /* less the umask */

struct sw_image {
    MDB_env *env;     /* the file */
    MDB_txn *txn;     /* entries since the last commit; NULL between transactions */
    MDB_dbi dbi;      /* its only table */
    const char *path; /* for messages */
    uint64_t pending; /* bytes put into txn */
    uint64_t entries; /* put in all */
    uint64_t end;     /* bytes of pages, once closed */
};

/* --- entries ---------------------------------------------------------------------------------------------------- */

static int begin_txn(sw_image *image, sw_error *err)
{
    int rc = SW_MDB(mdb_txn_begin(image->env, NULL, 0, &image->txn));
    if (rc != 0) {
        image->txn = NULL;
        return sw_mdb_fail(err, rc, image->path);
    }
    rc = SW_MDB(mdb_dbi_open(image->txn, NULL, 0, &image->dbi));
    return rc == 0 ? SW_OK : sw_mdb_fail(err, rc, image->path);
}

static int commit_txn(sw_image *image, sw_error *err)
{
    SW_CRASH_POINT("image.before-commit");
    int rc = sw_mdb_commit(image->txn);
    image->txn = NULL; /* Gone either way. */
    image->pending = 0;
    if (rc != 0) return sw_mdb_fail(err, rc, image->path);
    SW_CRASH_POINT("image.after-commit");
    return SW_OK;
}

/* Makes room for an entry; value.mv_data is where its bytes go. */
static int put(sw_image *image, MDB_val *key, MDB_val *value, sw_error *err)
{
    if (image->pending >= SW_IMAGE_TXN_BYTES) {
        int rc = commit_txn(image, err);
        if (rc == SW_OK) rc = begin_txn(image, err);
        if (rc != SW_OK) return rc;
    }
    int rc = sw_fault_next(SW_FAULT_MAP)
                 ? MDB_MAP_FULL
                 : SW_MDB(mdb_put(image->txn, image->dbi, key, value, MDB_APPEND | MDB_RESERVE));
    if (rc != 0) return sw_mdb_fail(err, rc, image->path);
    image->pending += key->mv_size + value->mv_size;
    image->entries++;
    return SW_OK;
}

int sw_image_put(sw_image *image, uint32_t component_id, const sw_saved *saved, sw_error *err)
{
    uint8_t bytes[SW_STORED_KEY_MAX];
    MDB_val key = { sw_stored_key(bytes, component_id, saved), bytes };
    MDB_val value = { sw_stored_value_size(saved), NULL };
    int rc = put(image, &key, &value, err);
    if (rc == SW_OK) sw_stored_value(value.mv_data, saved);
    return rc;
}

int sw_image_copy(sw_image *image, const sw_stored *stored, sw_error *err)
{
    MDB_val key = { stored->key_len, (void *)(uintptr_t)stored->key };
    MDB_val value = { stored->value_len, NULL };
    int rc = put(image, &key, &value, err);
    if (rc == SW_OK) memcpy(value.mv_data, stored->value, stored->value_len);
    return rc;
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

static int open_pages(sw_image *image, uint64_t map_bytes, sw_error *err)
{
    int rc = SW_MDB(mdb_env_create(&image->env));
    if (rc != 0) {
        image->env = NULL;
        return sw_mdb_fail(err, rc, image->path);
    }
    SW_ASSERT(mdb_env_get_maxkeysize(image->env) >= SW_STORED_KEY_MAX);
    if ((rc = SW_MDB(mdb_env_set_mapsize(image->env, map_bytes))) == 0)
        rc = SW_MDB(mdb_env_open(image->env, image->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, FILE_MODE));
    return rc == 0 ? begin_txn(image, err) : sw_mdb_fail(err, rc, image->path);
}

/* Where the pages end: what was taken last may never have been written, and is then a gap. */
static int measure_pages(sw_image *image, sw_error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = SW_MDB(mdb_env_info(image->env, &info));
    if (rc == 0) rc = SW_MDB(mdb_env_stat(image->env, &stat));
    if (rc != 0) return sw_mdb_fail(err, rc, image->path);
    image->end = (info.me_last_pgno + 1) * stat.ms_psize;
    return SW_OK;
}

static void close_pages(sw_image *image)
{
    if (image->txn != NULL) mdb_txn_abort(image->txn);
    if (image->env != NULL) mdb_env_close(image->env);
    image->txn = NULL;
    image->env = NULL;
}

static int write_pages(const sw_image_plan *plan, uint64_t map_bytes, sw_image *image, sw_error *err)
{
    *image = (sw_image){ .path = plan->path };
    if (sw_fs_exists(plan->path)) {
        int removed = sw_fs_remove(plan->path, err);
        if (removed != SW_OK) return removed;
    }
    int rc = open_pages(image, map_bytes, err);
    if (rc == SW_OK) rc = plan->fill(plan->arg, image, err);
    if (rc == SW_OK) rc = commit_txn(image, err);
    if (rc == SW_OK) rc = measure_pages(image, err);
    close_pages(image);
    return rc;
}

/* --- the end of the file ---------------------------------------------------------------------------------------- */

/* Writes manifest and trailer behind the pages, and syncs. */
static int seal(const sw_image_plan *plan, uint64_t pages_bytes, const sw_buf *manifest, sw_file_ref *ref,
                sw_error *err)
{
    sw_file *file = NULL;
    sw_image_trailer trailer = {
        .magic = SW_IMAGE_MAGIC,
        .version = SW_IMAGE_VERSION,
        .pages_bytes = pages_bytes,
        .manifest_bytes = manifest->size,
        .manifest_hash = sw_hash(manifest->data, manifest->size),
    };
    int rc = sw_file_open_random(&file, plan->path, true, err);
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("image.before-manifest");
    uint64_t end = pages_bytes + manifest->size;
    if ((rc = sw_file_pwrite(file, manifest->data, manifest->size, pages_bytes, err)) != SW_OK) goto close_file;
    if ((rc = sw_checkpoint_file_hash(file, &trailer, &trailer.hash, err)) != SW_OK) goto close_file;
    SW_CRASH_POINT("image.before-trailer");
    if ((rc = sw_file_pwrite(file, &trailer, sizeof(trailer), end, err)) != SW_OK) goto close_file;
    SW_CRASH_POINT("image.before-sync");
    if (!plan->is_unsynced && (rc = sw_file_sync(file, err)) != SW_OK) goto close_file;
    SW_CRASH_POINT("image.after-sync");
    ref->bytes = end + sizeof(trailer);
    ref->hash = trailer.hash;

close_file:
    sw_file_close(file, NULL);
    return rc;
}

static int write_file(const sw_image_plan *plan, const sw_manifest *manifest, sw_manifest *written, sw_file_ref *ref,
                      sw_error *err)
{
    sw_image image;
    sw_buf bytes = { 0 };
    sw_manifest full = *manifest;
    uint64_t map_bytes = (plan->bytes + plan->count * NODE_BYTES + MAP_PAGES_MIN * PAGE) / PAGE * PAGE * 2;
    int rc = SW_EFULL;
    for (; rc == SW_EFULL && map_bytes <= MAP_BYTES_MAX; map_bytes *= 2) rc = write_pages(plan, map_bytes, &image, err);
    if (rc != SW_OK) return rc;
    full.entries = image.entries;
    if (sw_manifest_encode(&full, &bytes) != SW_OK) {
        rc = sw_error_set(err, SW_ENOMEM, "%s: out of memory", plan->path);
        goto free_bytes;
    }
    if ((rc = sw_manifest_decode(&full, bytes.data, bytes.size, err)) != SW_OK) goto free_bytes;
    *ref = (sw_file_ref){ .id = full.meta.id, .is_full = full.chain_count == 0 };
    if ((rc = seal(plan, image.end, &bytes, ref, err)) != SW_OK) {
        sw_manifest_deinit(&full);
        goto free_bytes;
    }
    *written = full;

free_bytes:
    sw_buf_deinit(&bytes);
    return rc;
}

int sw_image_write(const sw_image_plan *plan, const sw_manifest *manifest, sw_manifest *written, sw_file_ref *ref,
                   sw_error *err)
{
    sw_file_ref made;
    SW_CRASH_POINT("image.before-write");
    int rc = write_file(plan, manifest, written, &made, err);
    if (rc == SW_OK) *ref = made;
    if (rc != SW_OK && sw_fs_exists(plan->path)) sw_fs_remove(plan->path, NULL);
    return rc;
}
