/* restore.c -- the restoring half of checkpoints.h: which checkpoint, its files, their entries. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/merge.h"
#include "state/store.h"

#define MDB_END ".mdb"

typedef struct skipping {
    void (*on_skip)(void *arg, const char *text); /* may be NULL */
    void *arg;                                    /* of on_skip */
    uint64_t told;                                /* ids from here on were told of */
} skipping;

/* --- chains ----------------------------------------------------------------------------------------------------- */

void sw_chain_close(sw_chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) sw_checkpoint_file_close(chain->files[i]);
    sw_free(chain->files);
    *chain = (sw_chain){ 0 };
}

int sw_chain_open_single(sw_chain *out, const char *path, sw_error *err)
{
    sw_chain chain = { .files = sw_alloc(sizeof(*chain.files)) };
    if (chain.files == NULL) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    int rc = sw_checkpoint_file_open(&chain.files[0], path, err);
    if (rc == SW_OK) chain.count = 1;
    if (rc == SW_OK && chain.files[0]->manifest.chain_count > 0)
        rc = sw_error_set(err, SW_EFORMAT, "%s holds changes only, it is no savepoint", path);
    if (rc != SW_OK) {
        sw_chain_close(&chain);
        return rc;
    }
    *out = chain;
    return SW_OK;
}

static int open_member(sw_chain *chain, const char *dir, const sw_file_ref *ref, bool is_exact, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_catalog_path(path, dir, ref->id, ref->is_full, false);
    int rc = sw_checkpoint_file_open(&chain->files[chain->count], path, err);
    if (rc != SW_OK) return rc;
    const sw_file_ref *found = &chain->files[chain->count++]->ref;
    if (is_exact ? sw_file_ref_same(found, ref) : found->id == ref->id && found->is_full == ref->is_full) return SW_OK;
    return sw_error_set(err, SW_EFORMAT, "%s is not the file that should have this name", path);
}

/* Opens what the newest file builds on, newest first. */
static int open_rest(sw_chain *chain, const char *dir, sw_error *err)
{
    const sw_manifest *manifest = &chain->files[0]->manifest;
    sw_checkpoint_file **files = sw_realloc(chain->files, (manifest->chain_count + 1) * sizeof(*files));
    if (files == NULL) return sw_error_set(err, SW_ENOMEM, "cannot open a checkpoint: out of memory");
    chain->files = files;
    int rc = SW_OK;
    for (uint32_t i = manifest->chain_count; rc == SW_OK && i-- > 0;)
        rc = open_member(chain, dir, &manifest->chain[i], true, err);
    return rc;
}

int sw_chain_open(sw_chain *out, const char *dir, uint64_t id, bool is_full, sw_error *err)
{
    const sw_file_ref newest = { .id = id, .is_full = is_full };
    sw_chain chain = { .files = sw_alloc(sizeof(*chain.files)) };
    if (chain.files == NULL) return sw_error_set(err, SW_ENOMEM, "cannot open a checkpoint: out of memory");
    int rc = open_member(&chain, dir, &newest, false, err);
    if (rc == SW_OK) rc = open_rest(&chain, dir, err);
    if (rc != SW_OK) {
        sw_chain_close(&chain);
        return rc;
    }
    *out = chain;
    return SW_OK;
}

const sw_checkpoint_meta *sw_chain_script(const sw_chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++)
        if (chain->files[i]->manifest.meta.script != NULL) return &chain->files[i]->manifest.meta;
    return NULL;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static bool is_damage(int code)
{
    return code == SW_EFORMAT || code == SW_ENOTFOUND || code == SW_EIO;
}

static void tell(skipping *s, uint64_t id, const char *why)
{
    char text[SW_ERROR_TEXT_SIZE + 64];
    if (id >= s->told || s->on_skip == NULL) return;
    snprintf(text, sizeof(text), "checkpoint %" PRIu64 " cannot be used: %s", id, why);
    s->on_skip(s->arg, text);
}

/* Opens the newest checkpoint that can be opened, of its files the image first. Where a file was retired by another
 * process meanwhile, may_retry says SW_EBUSY: look again. */
static int open_newest(const sw_checkpoints *checkpoints, const sw_catalog *catalog, bool may_retry, sw_chain *chain,
                       skipping *s, sw_error *err)
{
    const char *dir = checkpoints->checkpoints;
    int rc = sw_error_set(err, SW_ENOTFOUND, "there is no checkpoint in %s", dir);
    for (uint32_t i = catalog->count; i-- > 0;) {
        const sw_catalog_file *file = &catalog->files[i];
        sw_error why = { 0 };
        if (file->is_skipped) continue;
        int opened = sw_catalog_check(catalog, dir, file, &why);
        if (opened == SW_OK) opened = sw_chain_open(chain, dir, file->id, file->is_full, &why);
        if (opened == SW_OK) return SW_OK;
        if (opened == SW_ENOTFOUND && may_retry) return SW_EBUSY;
        if (!is_damage(opened)) return sw_error_set(err, opened, "checkpoint %" PRIu64 ": %s", file->id, why.text);
        tell(s, file->id, why.text);
        if (rc == SW_ENOTFOUND)
            rc = sw_error_set(err, SW_EFORMAT, "no checkpoint in %s can be used; checkpoint %" PRIu64 ": %s", dir,
                              file->id, why.text);
    }
    return rc;
}

static uint64_t newest_of(const sw_catalog *catalog)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < catalog->count; i++)
        if (!catalog->files[i].is_skipped) newest = catalog->files[i].id;
    return newest;
}

static int open_latest(const sw_checkpoints *checkpoints, sw_catalog *catalog, sw_chain *chain, skipping *s,
                       sw_error *err)
{
    for (int tries = 1;; tries++) {
        bool may_retry = checkpoints->options.is_read_only && tries < SW_LOAD_TRIES;
        /* Before the directory is read, so that one which is committed meanwhile is not missed. */
        uint64_t noted = 0;
        int rc = sw_store_read_number(checkpoints->checkpoints, SW_STORE_NEWEST, &noted, err);
        if (rc == SW_OK) rc = sw_store_load(checkpoints, catalog, err);
        if (rc != SW_OK) return rc;
        bool is_gone = noted > newest_of(catalog);
        if (is_gone) tell(s, noted, "its file is gone");
        rc = open_newest(checkpoints, catalog, may_retry, chain, s, err);
        if (rc == SW_ENOTFOUND && is_gone)
            rc =
                sw_error_set(err, SW_EFORMAT, "the file of checkpoint %" PRIu64 " is gone, and there is no other in %s",
                             noted, checkpoints->checkpoints);
        if (rc == SW_OK) return SW_OK;
        sw_catalog_deinit(catalog);
        if (rc != SW_EBUSY) return rc;
    }
}

/* Opens the checkpoint with this id, of its files the image first. */
static int open_id(const sw_checkpoints *checkpoints, sw_catalog *catalog, uint64_t id, sw_chain *chain, sw_error *err)
{
    const char *dir = checkpoints->checkpoints;
    int rc = sw_store_load(checkpoints, catalog, err);
    if (rc != SW_OK) return rc;
    rc = sw_error_set(err, SW_ENOTFOUND, "there is no checkpoint %" PRIu64 " in %s", id, dir);
    for (int is_full = 1; is_full >= 0; is_full--) {
        const sw_catalog_file *file = sw_catalog_find(catalog, id, is_full);
        if (file == NULL) continue;
        rc = sw_catalog_check(catalog, dir, file, err);
        if (rc == SW_OK) rc = sw_chain_open(chain, dir, id, is_full, err);
        if (rc == SW_OK) return SW_OK;
        sw_error_prepend(err, "checkpoint %" PRIu64 " cannot be used", id);
        if (rc == SW_ENOTFOUND) rc = SW_EFORMAT; /* It is there, what it builds on is not. */
    }
    sw_catalog_deinit(catalog);
    return rc;
}

static int open_savepoint(const sw_checkpoints *checkpoints, sw_catalog *catalog, const char *which, sw_chain *chain,
                          sw_error *err)
{
    char path[SW_PATH_MAX];
    size_t size = strlen(which), end = strlen(MDB_END);
    bool is_path = strchr(which, '/') != NULL || (size > end && strcmp(which + size - end, MDB_END) == 0);
    int rc = is_path ? SW_OK : sw_store_savepoint_path(checkpoints, which, path, err);
    if (rc == SW_OK) rc = sw_chain_open_single(chain, is_path ? which : path, err);
    if (rc != SW_OK) {
        sw_error_prepend(err, "cannot restore %s", which);
        return rc;
    }
    if ((rc = sw_store_load(checkpoints, catalog, err)) != SW_OK) sw_chain_close(chain);
    return rc;
}

/* --- going on from it ------------------------------------------------------------------------------------------- */

/* Is the file to be set aside when (id, is_full) is what is gone on from? */
static bool is_behind(const sw_catalog_file *file, uint64_t id, bool is_full, bool alone)
{
    if (file->is_skipped) return false;
    if (file->id == id) return file->is_full && !is_full; /* An image that could not be used. */
    return alone || file->id > id;
}

/* Newest first: as long as this is not done, what is left still is a sequence of checkpoints. */
static int set_aside(const sw_checkpoints *checkpoints, sw_catalog *catalog, uint64_t id, bool is_full, bool alone,
                     sw_error *err)
{
    char from[SW_PATH_MAX], to[SW_PATH_MAX];
    const char *dir = checkpoints->checkpoints;
    for (uint32_t i = catalog->count; i-- > 0;) {
        sw_catalog_file *file = &catalog->files[i];
        if (!is_behind(file, id, is_full, alone)) continue;
        sw_catalog_path(from, dir, file->id, file->is_full, false);
        sw_catalog_path(to, dir, file->id, file->is_full, true);
        SW_CRASH_POINT("restore.before-set-aside");
        int rc = sw_fs_rename(from, to, err);
        if (rc != SW_OK) return rc;
        SW_CRASH_POINT("restore.after-set-aside");
        file->is_skipped = true;
        sw_manifest_deinit(&file->manifest);
    }
    return sw_store_sync_dir(checkpoints, dir, err);
}

/* From here on the checkpoints object goes on from this file of the catalog, which it takes over. */
static void adopt(sw_checkpoints *checkpoints, sw_catalog *catalog, uint64_t id, bool is_full)
{
    sw_catalog_deinit(&checkpoints->catalog);
    checkpoints->catalog = *catalog;
    checkpoints->has_base = true;
    checkpoints->base_id = id;
    checkpoints->base_is_full = is_full;
    sw_store_note_newest(checkpoints);
}

static uint64_t id_above(sw_checkpoints *checkpoints, uint64_t id)
{
    pthread_mutex_lock(&checkpoints->ids_mutex);
    if (checkpoints->next_id <= id) checkpoints->next_id = id + 1;
    pthread_mutex_unlock(&checkpoints->ids_mutex);
    return sw_checkpoints_next_id(checkpoints);
}

/* A savepoint may vanish, and its ids are another directory's: it goes on from a copy, under an id of its own. */
static int import(sw_checkpoints *checkpoints, sw_catalog *catalog, const sw_chain *chain, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_manifest written;
    sw_file_ref ref;
    uint64_t id = id_above(checkpoints, chain->files[0]->manifest.meta.id);
    int rc = sw_store_reserve_ids(checkpoints, id, err);
    if (rc == SW_OK) rc = sw_catalog_reserve(catalog, err);
    if (rc != SW_OK) return rc;
    sw_catalog_path(path, checkpoints->checkpoints, id, true, false);
    rc = sw_store_write_image(checkpoints, chain, id, checkpoints->checkpoints, path, &written, &ref, err);
    if (rc != SW_OK) return rc;
    sw_catalog_add(catalog, &ref, &written);
    if ((rc = set_aside(checkpoints, catalog, id, true, true, err)) != SW_OK) return rc;
    adopt(checkpoints, catalog, id, true);
    return SW_OK;
}

static int go_on_from(sw_checkpoints *checkpoints, sw_catalog *catalog, const sw_chain *chain, bool is_savepoint,
                      sw_error *err)
{
    const sw_file_ref *ref = &chain->files[0]->ref;
    checkpoints->has_base = false; /* Should this fail, its file may have been set aside. */
    if (is_savepoint) return import(checkpoints, catalog, chain, err);
    int rc = set_aside(checkpoints, catalog, ref->id, ref->is_full, false, err);
    if (rc == SW_OK) adopt(checkpoints, catalog, ref->id, ref->is_full);
    return rc;
}

static int open_which(sw_checkpoints *checkpoints, const char *which, sw_catalog *catalog, sw_chain *chain, skipping *s,
                      bool *is_savepoint, sw_error *err)
{
    bool is_number = *which != '\0' && strspn(which, "0123456789") == strlen(which);
    *is_savepoint = false;
    if (strcmp(which, "latest") == 0) return open_latest(checkpoints, catalog, chain, s, err);
    if (is_number) return open_id(checkpoints, catalog, strtoull(which, NULL, 10), chain, err);
    *is_savepoint = true;
    return open_savepoint(checkpoints, catalog, which, chain, err);
}

int sw_restore_open(sw_restore **out, sw_checkpoints *checkpoints, const char *which,
                    void (*on_skip)(void *arg, const char *text), void *arg, sw_error *err)
{
    skipping s = { on_skip, arg, UINT64_MAX };
    sw_catalog catalog = { 0 };
    bool is_savepoint;
    sw_restore *restore = sw_calloc(1, sizeof(*restore));
    if (restore == NULL) return sw_error_set(err, SW_ENOMEM, "cannot restore %s: out of memory", which);
    int rc = open_which(checkpoints, which, &catalog, &restore->chain, &s, &is_savepoint, err);
    if (rc != SW_OK) goto free_restore;
    const sw_checkpoint_meta *script = sw_chain_script(&restore->chain);
    restore->meta = restore->chain.files[0]->manifest.meta;
    restore->meta.script = script != NULL ? script->script : "";
    restore->meta.script_len = script != NULL ? script->script_len : 0;
    if (checkpoints->options.is_read_only) {
        sw_catalog_deinit(&catalog);
    } else if ((rc = go_on_from(checkpoints, &catalog, &restore->chain, is_savepoint, err)) != SW_OK) {
        goto close_chain;
    }
    *out = restore;
    return SW_OK;

close_chain:
    sw_catalog_deinit(&catalog);
    sw_chain_close(&restore->chain);
free_restore:
    sw_free(restore);
    return rc;
}

void sw_restore_close(sw_restore *restore)
{
    if (restore == NULL) return;
    sw_chain_close(&restore->chain);
    sw_free(restore);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

const sw_checkpoint_meta *sw_restore_meta(const sw_restore *restore)
{
    return &restore->meta;
}

int sw_restore_find(const sw_restore *restore, const char *component, uint32_t *index, uint32_t *id, sw_error *err)
{
    const sw_manifest *manifest = &restore->chain.files[0]->manifest;
    int64_t found = sw_manifest_find(manifest, component);
    if (found < 0)
        return sw_error_set(err, SW_ENOTFOUND, "checkpoint %" PRIu64 " knows no component %s", restore->meta.id,
                            component);
    *index = (uint32_t)found;
    *id = manifest->component_ids[found];
    return SW_OK;
}

/* Of a complete kind the newest file says all. */
static uint32_t files_of(const sw_restore *restore, sw_saved_kind kind)
{
    return kind < SW_SAVED_COMPLETE ? restore->chain.count : 1;
}

static int read_all(sw_merge *merge, uint32_t index, int (*fn)(void *arg, const sw_saved *saved), void *arg,
                    sw_error *err)
{
    sw_stored stored;
    sw_saved saved;
    int rc;
    while ((rc = sw_merge_next(merge, &stored, err)) == SW_OK) {
        if ((rc = sw_stored_read(&stored, &saved, err)) != SW_OK) return rc;
        saved.component = index;
        if ((rc = fn(arg, &saved)) != 0) return rc;
    }
    return rc == SW_EEMPTY ? SW_OK : rc;
}

static int read_range(const sw_restore *restore, const char *component, sw_saved_kind kind, uint32_t first,
                      uint32_t end, int (*fn)(void *arg, const sw_saved *saved), void *arg, sw_error *err)
{
    uint8_t from[SW_STORED_PLACE], to[SW_STORED_PLACE];
    uint32_t index = 0, id = 0, files = files_of(restore, kind);
    sw_merge *merge = NULL;
    int rc = sw_restore_find(restore, component, &index, &id, err);
    if (rc == SW_OK) rc = sw_merge_open(&merge, restore->chain.files, files, err);
    if (rc != SW_OK) return rc;
    sw_stored_place(from, id, kind, first < SW_STORED_GROUP_END ? first : SW_STORED_GROUP_END);
    sw_stored_place(to, id, kind, end < SW_STORED_GROUP_END ? end : SW_STORED_GROUP_END);
    rc = sw_merge_seek(merge, files, from, to, err);
    if (rc == SW_OK) rc = read_all(merge, index, fn, arg, err);
    sw_merge_close(merge);
    return rc;
}

int sw_restore_each(const sw_restore *restore, const char *component, sw_saved_kind kind, uint32_t group_first,
                    uint32_t group_end, int (*fn)(void *arg, const sw_saved *saved), void *arg, sw_error *err)
{
    SW_ASSERT(kind < SW_SAVED_COMPLETE);
    return read_range(restore, component, kind, group_first, group_end, fn, arg, err);
}

int sw_restore_parts(const sw_restore *restore, const char *component, sw_saved_kind kind,
                     int (*fn)(void *arg, const sw_saved *saved), void *arg, sw_error *err)
{
    SW_ASSERT(kind >= SW_SAVED_COMPLETE);
    return read_range(restore, component, kind, 0, SW_STORED_GROUP_END, fn, arg, err);
}

/* The newest entry under the key, which may say that it is removed. `key` is room for its stored form, and *out points
 * there. */
static int get_stored(const sw_restore *restore, uint32_t id, const sw_saved *wanted, uint8_t key[SW_STORED_KEY_MAX],
                      sw_stored *out, sw_error *err)
{
    size_t key_len = sw_stored_key(key, id, wanted);
    for (uint32_t i = 0; i < files_of(restore, wanted->kind); i++) {
        int rc = sw_checkpoint_file_get(restore->chain.files[i], key, key_len, out, err);
        if (rc != SW_ENOTFOUND) return rc;
    }
    return SW_ENOTFOUND;
}

int sw_restore_get(const sw_restore *restore, const char *component, sw_saved_kind kind, uint32_t group,
                   const uint8_t *key, uint32_t key_len, sw_buf *value, sw_error *err)
{
    const sw_saved wanted = { .kind = kind, .group = group, .key = key, .key_len = key_len };
    uint8_t stored_key[SW_STORED_KEY_MAX];
    uint32_t index = 0, id = 0;
    sw_stored stored;
    sw_saved saved;
    int rc = sw_restore_find(restore, component, &index, &id, err);
    if (rc == SW_OK) rc = get_stored(restore, id, &wanted, stored_key, &stored, err);
    if (rc == SW_OK) rc = sw_stored_read(&stored, &saved, err);
    /* A long key that only shares the hash is another one. */
    if (rc == SW_ENOTFOUND ||
        (rc == SW_OK && (saved.value == NULL || sw_stored_compare(saved.key, saved.key_len, key, key_len) != 0)))
        return sw_error_set(err, SW_ENOTFOUND, "checkpoint %" PRIu64 " has no such key of %s", restore->meta.id,
                            component);
    if (rc != SW_OK) return rc;
    if (sw_buf_append(value, saved.value, saved.value_len) == SW_OK) return SW_OK;
    return sw_error_set(err, SW_ENOMEM, "cannot read an entry of %s: out of memory", component);
}
