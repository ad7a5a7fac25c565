#include "state/checkpoints.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/store.h"

#define NAMES_SIZE 200 /* what is added to the directory's path, at most */
#define MDB_END ".mdb"
#define TEMPORARY_END ".tmp"

/* --- opening and closing ---------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

/* What an interrupted write left. */
static int remove_temporaries(const char *dir, sw_error *err)
{
    char path[SW_PATH_MAX + NAMES_SIZE];
    char **names = NULL;
    size_t n = 0;
    int rc = sw_fs_list(dir, &names, &n, err);
    for (size_t i = 0; rc == SW_OK && i < n; i++) {
        if (!ends_in(names[i], TEMPORARY_END)) continue;
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        rc = sw_fs_remove(path, err);
    }
    sw_fs_glob_free(names, n);
    return rc;
}

static int make_paths(sw_checkpoints *checkpoints, const char *dir, sw_error *err)
{
    size_t size = strlen(dir);
    if (size + NAMES_SIZE > SW_PATH_MAX) return sw_error_set(err, SW_EINVAL, "the path %.80s... is too long", dir);
    memcpy(checkpoints->dir, dir, size + 1);
    snprintf(checkpoints->checkpoints, SW_PATH_MAX, "%.*s/checkpoints", SW_PATH_MAX - NAMES_SIZE, dir);
    snprintf(checkpoints->savepoints, SW_PATH_MAX, "%.*s/savepoints", SW_PATH_MAX - NAMES_SIZE, dir);
    return SW_OK;
}

static int take_lock(sw_checkpoints *checkpoints, sw_error *err)
{
    char path[SW_PATH_MAX + NAMES_SIZE];
    snprintf(path, sizeof(path), "%s/OWNER", checkpoints->dir);
    int rc = sw_fs_lock(&checkpoints->lock, path, err);
    if (rc == SW_EBUSY) sw_error_prepend(err, "the state directory %s is in use", checkpoints->dir);
    return rc;
}

static int open_to_write(sw_checkpoints *checkpoints, sw_error *err)
{
    int rc = sw_fs_mkdirs(checkpoints->dir, err);
    if (rc == SW_OK) rc = take_lock(checkpoints, err);
    if (rc == SW_OK) rc = sw_fs_mkdirs(checkpoints->checkpoints, err);
    if (rc == SW_OK) rc = sw_fs_mkdirs(checkpoints->savepoints, err);
    if (rc == SW_OK) rc = sw_store_load(checkpoints, &checkpoints->catalog, err);
    if (rc == SW_OK) rc = remove_temporaries(checkpoints->checkpoints, err);
    if (rc == SW_OK) rc = remove_temporaries(checkpoints->savepoints, err);
    if (rc == SW_OK) rc = sw_store_read_number(checkpoints->checkpoints, SW_STORE_IDS, &checkpoints->ids_end, err);
    if (rc != SW_OK) return rc;
    checkpoints->next_id = checkpoints->catalog.id_max + 1;
    if (checkpoints->ids_end > checkpoints->next_id) checkpoints->next_id = checkpoints->ids_end;
    return SW_OK;
}

int sw_checkpoints_open(sw_checkpoints **out, const char *dir, const sw_checkpoints_options *options, sw_error *err)
{
    SW_ASSERT(options->retain >= 1 || options->is_read_only);
    sw_checkpoints *checkpoints = sw_calloc(1, sizeof(*checkpoints));
    if (checkpoints == NULL) return sw_error_set(err, SW_ENOMEM, "cannot open %s: out of memory", dir);
    checkpoints->options = *options;
    pthread_mutex_init(&checkpoints->ids_mutex, NULL);
    int rc = make_paths(checkpoints, dir, err);
    if (rc == SW_OK && options->is_read_only) {
        if (!sw_fs_is_dir(checkpoints->checkpoints))
            rc = sw_error_set(err, SW_ENOTFOUND, "%s holds no checkpoints", dir);
    } else if (rc == SW_OK) {
        rc = open_to_write(checkpoints, err);
    }
    if (rc != SW_OK) {
        sw_checkpoints_close(checkpoints);
        return rc;
    }
    *out = checkpoints;
    return SW_OK;
}

void sw_checkpoints_close(sw_checkpoints *checkpoints)
{
    if (checkpoints == NULL) return;
    if (checkpoints->lock != NULL) sw_store_return_ids(checkpoints);
    sw_catalog_deinit(&checkpoints->catalog);
    sw_file_close(checkpoints->lock, NULL);
    pthread_mutex_destroy(&checkpoints->ids_mutex);
    sw_free(checkpoints);
}

int sw_store_check_writable(const sw_checkpoints *checkpoints, sw_error *err)
{
    if (checkpoints->lock != NULL) return SW_OK;
    return sw_error_set(err, SW_ESTATE, "%s was opened for reading only", checkpoints->dir);
}

/* --- what there is ---------------------------------------------------------------------------------------------- */

static bool is_complete(const sw_catalog *catalog, const char *dir)
{
    for (uint32_t i = 0; i < catalog->count; i++) {
        const sw_catalog_file *file = &catalog->files[i];
        if (!file->is_skipped && sw_catalog_check(catalog, dir, file, NULL) == SW_ENOTFOUND) return false;
    }
    return true;
}

int sw_store_load(const sw_checkpoints *checkpoints, sw_catalog *out, sw_error *err)
{
    for (int tries = 1;; tries++) {
        int rc = sw_catalog_load(out, checkpoints->checkpoints, err);
        if (rc != SW_OK || tries == SW_LOAD_TRIES) return rc;
        if (is_complete(out, checkpoints->checkpoints)) return SW_OK;
        sw_catalog_deinit(out);
    }
}

const sw_catalog_file *sw_store_base(const sw_checkpoints *checkpoints)
{
    if (!checkpoints->has_base) return NULL;
    return sw_catalog_find(&checkpoints->catalog, checkpoints->base_id, checkpoints->base_is_full);
}

void sw_store_retire(sw_checkpoints *checkpoints)
{
    sw_catalog_mark(&checkpoints->catalog, checkpoints->checkpoints, checkpoints->options.retain);
    sw_catalog_sweep(&checkpoints->catalog, checkpoints->checkpoints);
}

uint64_t sw_checkpoints_oldest(const sw_checkpoints *checkpoints)
{
    uint64_t oldest = 0;
    for (uint32_t i = 0; i < checkpoints->catalog.count; i++) {
        const sw_catalog_file *file = &checkpoints->catalog.files[i];
        if (!file->is_skipped && (oldest == 0 || file->id < oldest)) oldest = file->id;
    }
    return oldest;
}

static void describe(sw_checkpoint_entry *entry, const sw_manifest *manifest, const sw_file_ref *ref)
{
    entry->id = ref->id;
    entry->time_ms = manifest->meta.time_ms;
    entry->is_finished = manifest->meta.is_finished;
    entry->is_full = ref->is_full;
    entry->bytes = ref->bytes;
    entry->changes = manifest->entries;
    entry->files = manifest->chain_count + 1;
}

static void note_problem(sw_checkpoint_entry *entry, const sw_error *why)
{
    entry->problem = why->code;
    snprintf(entry->why, sizeof(entry->why), "%.*s", (int)sizeof(entry->why) - 1, why->text);
}

static int add_row(sw_buf *rows, const sw_checkpoint_entry *entry, sw_error *err)
{
    if (sw_buf_append(rows, entry, sizeof(*entry)) == SW_OK) return SW_OK;
    return sw_error_set(err, SW_ENOMEM, "cannot list checkpoints: out of memory");
}

/* Adds the checkpoints of the catalog, one row each: of the image if there are both. */
static int list_checkpoints(const sw_checkpoints *checkpoints, const sw_catalog *catalog, sw_buf *rows, sw_error *err)
{
    int rc = SW_OK;
    for (uint32_t i = 0; rc == SW_OK && i < catalog->count; i++) {
        const sw_catalog_file *file = &catalog->files[i];
        sw_checkpoint_entry entry = { .id = file->id, .is_full = file->is_full };
        sw_error why = { 0 };
        if (file->is_skipped) continue;
        const sw_catalog_file *image = sw_catalog_find(catalog, file->id, true);
        if (image != NULL && image != file && image->problem == SW_OK) continue;
        if (image == file && file->problem != SW_OK && sw_catalog_find(catalog, file->id, false) != NULL) continue;
        if (file->problem == SW_OK) describe(&entry, &file->manifest, &file->ref);
        if (sw_catalog_check(catalog, checkpoints->checkpoints, file, &why) != SW_OK) note_problem(&entry, &why);
        rc = add_row(rows, &entry, err);
    }
    return rc;
}

/* Adds a row for savepoints/NAME. */
static int list_savepoint(const sw_checkpoints *checkpoints, const char *name, bool deep, sw_buf *rows, sw_error *err)
{
    char path[SW_PATH_MAX + NAMES_SIZE];
    sw_checkpoint_entry entry = { .is_full = true };
    sw_manifest manifest;
    sw_file_ref ref;
    sw_error why = { 0 };
    size_t size = strlen(name);
    if (!ends_in(name, MDB_END) || size - strlen(MDB_END) > SW_SAVEPOINT_NAME_MAX) return SW_OK;
    memcpy(entry.name, name, size - strlen(MDB_END));
    snprintf(path, sizeof(path), "%s/%s", checkpoints->savepoints, name);
    int rc = sw_checkpoint_file_peek(path, &manifest, &ref, &why);
    if (rc == SW_OK) {
        describe(&entry, &manifest, &ref);
        sw_manifest_deinit(&manifest);
        if (deep) rc = sw_checkpoint_file_verify(path, false, &why);
    }
    if (rc == SW_ENOMEM || rc == SW_ELIMIT) return sw_error_set(err, rc, "%s", why.text);
    if (rc != SW_OK) note_problem(&entry, &why);
    return add_row(rows, &entry, err);
}

static int list_savepoints(const sw_checkpoints *checkpoints, bool deep, sw_buf *rows, sw_error *err)
{
    char **names = NULL;
    size_t n = 0;
    int rc = sw_fs_list(checkpoints->savepoints, &names, &n, err);
    if (rc == SW_ENOTFOUND) return SW_OK; /* Seen by a reader before there was one. */
    for (size_t i = 0; rc == SW_OK && i < n; i++) rc = list_savepoint(checkpoints, names[i], deep, rows, err);
    sw_fs_glob_free(names, n);
    return rc;
}

int sw_checkpoints_list(sw_checkpoints *checkpoints, bool deep, sw_checkpoint_entry **out, uint32_t *count,
                        sw_error *err)
{
    sw_catalog catalog = { 0 };
    sw_buf rows = { 0 };
    int rc = sw_store_load(checkpoints, &catalog, err);
    if (rc != SW_OK) return rc;
    if (deep) rc = sw_catalog_verify(&catalog, checkpoints->checkpoints, err);
    if (rc == SW_OK) rc = list_checkpoints(checkpoints, &catalog, &rows, err);
    if (rc == SW_OK) rc = list_savepoints(checkpoints, deep, &rows, err);
    sw_catalog_deinit(&catalog);
    if (rc != SW_OK) {
        sw_buf_deinit(&rows);
        return rc;
    }
    *count = (uint32_t)(rows.size / sizeof(**out));
    *out = (sw_checkpoint_entry *)(void *)rows.data;
    return SW_OK;
}

/* --- dropping --------------------------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* SW_ESTATE when a checkpoint that stays needs a file of this one. */
static int check_unneeded(const sw_checkpoints *checkpoints, uint64_t id, sw_error *err)
{
    const sw_catalog *catalog = &checkpoints->catalog;
    if (checkpoints->has_base && checkpoints->base_id == id)
        return sw_error_set(err, SW_ESTATE, "the next checkpoint builds on checkpoint %" PRIu64, id);
    for (uint32_t i = 0; i < catalog->count; i++) {
        const sw_catalog_file *file = &catalog->files[i];
        if (file->id == id || file->is_skipped) continue;
        for (uint32_t k = 0; k < file->manifest.chain_count; k++)
            if (file->manifest.chain[k].id == id)
                return sw_error_set(err, SW_ESTATE, "checkpoint %" PRIu64 " builds on checkpoint %" PRIu64, file->id,
                                    id);
    }
    return SW_OK;
}

static int drop_checkpoint(sw_checkpoints *checkpoints, uint64_t id, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_catalog *catalog = &checkpoints->catalog;
    bool found = false;
    int rc = check_unneeded(checkpoints, id, err);
    for (uint32_t i = catalog->count; rc == SW_OK && i-- > 0;) {
        const sw_catalog_file *file = &catalog->files[i];
        if (file->id != id) continue;
        found = true;
        sw_catalog_path(path, checkpoints->checkpoints, id, file->is_full, file->is_skipped);
        SW_CRASH_POINT("drop.before-remove");
        rc = sw_fs_remove(path, err);
        if (rc == SW_OK) sw_catalog_forget(catalog, i);
    }
    if (rc != SW_OK) return rc;
    if (!found) return sw_error_set(err, SW_ENOTFOUND, "there is no checkpoint %" PRIu64, id);
    sw_store_note_newest(checkpoints);
    return sw_store_sync_dir(checkpoints, checkpoints->checkpoints, err);
}

static int drop_savepoint(sw_checkpoints *checkpoints, const char *name, sw_error *err)
{
    char path[SW_PATH_MAX];
    int rc = sw_store_savepoint_path(checkpoints, name, path, err);
    if (rc != SW_OK) return rc;
    if (!sw_fs_exists(path)) return sw_error_set(err, SW_ENOTFOUND, "there is no savepoint %s", name);
    SW_CRASH_POINT("drop.before-remove");
    if ((rc = sw_fs_remove(path, err)) != SW_OK) return rc;
    return sw_store_sync_dir(checkpoints, checkpoints->savepoints, err);
}

int sw_checkpoints_drop(sw_checkpoints *checkpoints, const char *which, sw_error *err)
{
    int rc = sw_store_check_writable(checkpoints, err);
    if (rc != SW_OK) return rc;
    if (!is_number(which)) return drop_savepoint(checkpoints, which, err);
    return drop_checkpoint(checkpoints, strtoull(which, NULL, 10), err);
}
