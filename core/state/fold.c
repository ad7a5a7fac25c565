/* fold.c -- many files into one: folding, savepoints, and the copy of a savepoint that a job goes on from.
 *
 *     chain --merge--> ID.tmp --read back--> publish --> ID.full.mdb | savepoints/NAME.mdb
 *
 * The merge is streamed into the new file, so memory does not grow with the state. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/merge.h"
#include "state/store.h"

#define FOLD_FILES 32u        /* a chain longer than this is folded, */
#define FOLD_BYTES (1u << 20) /* and one whose changes take more than half of the image and than this */

typedef struct folding {
    const sw_chain *chain; /* what is folded */
    sw_merge *merge;       /* over it */
    uint32_t *ids;         /* of components, growing */
    uint32_t count;        /* components */
} folding;

/* --- merging ---------------------------------------------------------------------------------------------------- */

static int copy_range(sw_image *image, sw_merge *merge, uint32_t files, const uint8_t from[SW_STORED_PLACE],
                      const uint8_t to[SW_STORED_PLACE], sw_error *err)
{
    sw_stored stored;
    int rc = sw_merge_seek(merge, files, from, to, err);
    if (rc != SW_OK) return rc;
    while ((rc = sw_merge_next(merge, &stored, err)) == SW_OK) {
        rc = sw_image_copy(image, &stored, err);
        if (rc != SW_OK) return rc;
    }
    return rc == SW_EEMPTY ? SW_OK : rc;
}

/* What components that the newest file does not know have left in older ones stays behind. */
static int fill(void *arg, sw_image *image, sw_error *err)
{
    const folding *f = arg;
    uint8_t from[SW_STORED_PLACE], middle[SW_STORED_PLACE], to[SW_STORED_PLACE];
    for (uint32_t i = 0; i < f->count; i++) {
        sw_stored_place(from, f->ids[i], 0, 0);
        sw_stored_place(middle, f->ids[i], SW_SAVED_COMPLETE, 0);
        sw_stored_place(to, f->ids[i], UINT8_MAX, SW_STORED_GROUP_END);
        int rc = copy_range(image, f->merge, f->chain->count, from, middle, err);
        if (rc == SW_OK) rc = copy_range(image, f->merge, 1, middle, to, err);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

static int compare_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int begin_folding(folding *f, const sw_chain *chain, sw_error *err)
{
    const sw_manifest *manifest = &chain->files[0]->manifest;
    size_t size = manifest->meta.component_count * sizeof(uint32_t);
    *f = (folding){ .chain = chain, .ids = sw_alloc(size), .count = manifest->meta.component_count };
    if (f->ids == NULL) return sw_error_set(err, SW_ENOMEM, "cannot fold: out of memory");
    if (f->count > 0) memcpy(f->ids, manifest->component_ids, size);
    if (f->count > 1) qsort(f->ids, f->count, sizeof(*f->ids), compare_ids);
    return sw_merge_open(&f->merge, chain->files, chain->count, err);
}

static void end_folding(folding *f)
{
    sw_merge_close(f->merge);
    sw_free(f->ids);
}

/* --- a full image ----------------------------------------------------------------------------------------------- */

static sw_image_plan plan_of(const sw_checkpoints *checkpoints, const char *temporary, folding *f)
{
    sw_image_plan plan = {
        .path = temporary,
        .is_unsynced = checkpoints->options.sync_is_unsafe,
        .fill = fill,
        .arg = f,
    };
    for (uint32_t i = 0; i < f->chain->count; i++) plan.bytes += f->chain->files[i]->ref.bytes;
    return plan;
}

static sw_manifest manifest_of(const sw_chain *chain, uint64_t id)
{
    const sw_checkpoint_meta *script = sw_chain_script(chain);
    sw_manifest manifest = chain->files[0]->manifest;
    manifest.chain_count = 0;
    manifest.meta.id = id;
    manifest.meta.script = script != NULL ? script->script : NULL;
    manifest.meta.script_len = script != NULL ? script->script_len : 0;
    return manifest;
}

int sw_store_write_image(const sw_checkpoints *checkpoints, const sw_chain *chain, uint64_t id, const char *dir,
                         const char *path, sw_manifest *written, sw_file_ref *ref, sw_error *err)
{
    char temporary[SW_PATH_MAX + 32];
    folding f;
    const sw_manifest manifest = manifest_of(chain, id);
    snprintf(temporary, sizeof(temporary), "%s/%" PRIu64 ".tmp", dir, id);
    /* The oldest file is the largest part of it, and about what will be needed. */
    int rc = sw_store_check_room(checkpoints, chain->files[chain->count - 1]->ref.bytes, err);
    if (rc != SW_OK) return rc;
    rc = begin_folding(&f, chain, err);
    const sw_image_plan plan = plan_of(checkpoints, temporary, &f);
    if (rc == SW_OK) rc = sw_image_write(&plan, &manifest, written, ref, err);
    end_folding(&f);
    if (rc != SW_OK) return rc;
    SW_CRASH_POINT("fold.before-verify");
    if ((rc = sw_checkpoint_file_verify(temporary, true, err)) != SW_OK) {
        sw_fs_remove(temporary, NULL);
    } else {
        rc = sw_store_publish(checkpoints, dir, temporary, path, err);
    }
    if (rc != SW_OK) sw_manifest_deinit(written);
    return rc;
}

/* --- folding ---------------------------------------------------------------------------------------------------- */

bool sw_checkpoints_should_fold(const sw_checkpoints *checkpoints)
{
    const sw_catalog_file *base = sw_store_base(checkpoints);
    if (base == NULL || base->manifest.chain_count == 0) return false;
    uint64_t changes = base->ref.bytes;
    for (uint32_t i = 1; i < base->manifest.chain_count; i++) changes += base->manifest.chain[i].bytes;
    bool is_large = changes > FOLD_BYTES && changes > base->manifest.chain[0].bytes / 2;
    return is_large || base->manifest.chain_count + 1 > FOLD_FILES;
}

static int fold(sw_checkpoints *checkpoints, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_chain chain;
    sw_manifest written;
    sw_file_ref ref;
    const char *dir = checkpoints->checkpoints;
    uint64_t id = checkpoints->base_id;
    int rc = sw_catalog_reserve(&checkpoints->catalog, err);
    if (rc == SW_OK) rc = sw_chain_open(&chain, dir, id, false, err);
    if (rc != SW_OK) return rc;
    sw_catalog_path(path, dir, id, true, false);
    rc = sw_store_write_image(checkpoints, &chain, id, dir, path, &written, &ref, err);
    sw_chain_close(&chain);
    if (rc != SW_OK) return rc;
    sw_catalog_add(&checkpoints->catalog, &ref, &written);
    checkpoints->base_is_full = true;
    sw_store_retire(checkpoints);
    return SW_OK;
}

int sw_checkpoints_fold(sw_checkpoints *checkpoints, sw_error *err)
{
    int rc = sw_store_check_writable(checkpoints, err);
    if (rc != SW_OK) return rc;
    if (!checkpoints->has_base) return sw_error_set(err, SW_ESTATE, "there is no checkpoint to fold");
    if (checkpoints->base_is_full) return SW_OK;
    rc = fold(checkpoints, err);
    if (rc != SW_OK) sw_error_prepend(err, "cannot fold checkpoint %" PRIu64, checkpoints->base_id);
    return rc;
}

/* --- savepoints ------------------------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(name);
    if (size == 0 || size > SW_SAVEPOINT_NAME_MAX || strspn(name, allowed) != size) return false;
    if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9')) return false;
    if (size >= 4 && strcmp(name + size - 4, ".mdb") == 0) return false; /* It would be taken for a path. */
    return strcmp(name, "latest") != 0 && strcmp(name, "none") != 0;
}

int sw_store_savepoint_path(const sw_checkpoints *checkpoints, const char *name, char path[SW_PATH_MAX], sw_error *err)
{
    if (!is_name(name)) return sw_error_set(err, SW_EINVAL, "\"%.120s\" cannot be the name of a savepoint", name);
    snprintf(path, SW_PATH_MAX, "%.*s/%s.mdb", SW_PATH_MAX - SW_SAVEPOINT_NAME_MAX - 8, checkpoints->savepoints, name);
    return SW_OK;
}

int sw_checkpoints_savepoint(sw_checkpoints *checkpoints, const char *name, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_chain chain;
    sw_manifest written;
    sw_file_ref ref;
    int rc = sw_store_check_writable(checkpoints, err);
    if (rc == SW_OK) rc = sw_store_savepoint_path(checkpoints, name, path, err);
    if (rc != SW_OK) return rc;
    if (sw_fs_exists(path)) return sw_error_set(err, SW_EINVAL, "there is a savepoint %s already", name);
    if (!checkpoints->has_base) return sw_error_set(err, SW_ESTATE, "there is no checkpoint to make a savepoint of");
    rc = sw_chain_open(&chain, checkpoints->checkpoints, checkpoints->base_id, checkpoints->base_is_full, err);
    if (rc != SW_OK) return rc;
    rc = sw_store_write_image(checkpoints, &chain, checkpoints->base_id, checkpoints->savepoints, path, &written, &ref,
                              err);
    sw_chain_close(&chain);
    if (rc == SW_OK) sw_manifest_deinit(&written);
    return rc;
}
