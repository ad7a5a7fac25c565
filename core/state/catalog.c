#include "state/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "state/checkpoint_file.h"

#define CAP_FIRST 16u
#define ID_DIGITS 20 /* of 2^64 */

/* --- names ------------------------------------------------------------------------------------------------------ */

void sw_catalog_path(char path[SW_PATH_MAX], const char *dir, uint64_t id, bool is_full, bool is_skipped)
{
    snprintf(path, SW_PATH_MAX, "%s/%" PRIu64 "%s.mdb%s", dir, id, is_full ? ".full" : "",
             is_skipped ? ".skipped" : "");
}

/* Reads a number at the beginning of a name; NULL: there is none. */
static const char *read_id(const char *name, uint64_t *id)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits >= ID_DIGITS) return NULL;
    *id = strtoull(name, NULL, 10);
    return name + digits;
}

/* Is it the name of a checkpoint's file? Others that begin with a number only count as ids. */
static bool read_name(const char *name, sw_catalog_file *file, uint64_t *id_max)
{
    static const char *const ends[] = { ".mdb", ".full.mdb", ".mdb.skipped", ".full.mdb.skipped" };
    uint64_t id = 0;
    const char *rest = read_id(name, &id);
    if (rest == NULL) return false;
    if (id > *id_max) *id_max = id;
    for (int i = 0; i < 4; i++) {
        if (strcmp(rest, ends[i]) != 0) continue;
        *file = (sw_catalog_file){ .id = id, .is_full = i & 1, .is_skipped = i >= 2 };
        return true;
    }
    return false;
}

/* --- what there is ---------------------------------------------------------------------------------------------- */

int sw_catalog_reserve(sw_catalog *catalog, sw_error *err)
{
    if (catalog->count < catalog->cap) return SW_OK;
    uint32_t cap = catalog->cap > 0 ? 2 * catalog->cap : CAP_FIRST;
    sw_catalog_file *files = sw_realloc(catalog->files, cap * sizeof(*files));
    if (files == NULL) return sw_error_set(err, SW_ENOMEM, "cannot list checkpoints: out of memory");
    catalog->files = files;
    catalog->cap = cap;
    return SW_OK;
}

static int compare_files(const void *a, const void *b)
{
    const sw_catalog_file *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    if (x->is_full != y->is_full) return x->is_full ? 1 : -1;
    return (int)x->is_skipped - (int)y->is_skipped;
}

static void note_problem(sw_catalog_file *file, const sw_error *why)
{
    if (file->problem == SW_OK) sw_manifest_deinit(&file->manifest);
    file->problem = why->code;
    snprintf(file->why, sizeof(file->why), "%.*s", SW_CATALOG_WHY - 1, why->text);
}

/* Memory and descriptors that are out say nothing about a file. */
static bool is_of_the_file(int code)
{
    return code != SW_ENOMEM && code != SW_ELIMIT;
}

/* Reads the end of a file. One that vanished has the problem SW_ENOTFOUND. */
static int peek(sw_catalog_file *file, const char *dir, sw_error *err)
{
    char path[SW_PATH_MAX];
    sw_error why;
    if (file->is_skipped) return SW_OK;
    sw_catalog_path(path, dir, file->id, file->is_full, false);
    int rc = sw_checkpoint_file_peek(path, &file->manifest, &file->ref, &why);
    if (rc == SW_OK && (file->ref.id != file->id || file->ref.is_full != file->is_full)) {
        rc = sw_error_set(&why, SW_EFORMAT, "%s holds checkpoint %" PRIu64 ", %s", path, file->ref.id,
                          file->ref.is_full ? "in full" : "its changes");
    }
    if (rc == SW_OK) return SW_OK;
    if (!is_of_the_file(rc)) return sw_error_set(err, rc, "%s", why.text);
    note_problem(file, &why);
    return SW_OK;
}

static int load_names(sw_catalog *catalog, const char *dir, char *const *names, size_t n, sw_error *err)
{
    for (size_t i = 0; i < n; i++) {
        sw_catalog_file file;
        if (!read_name(names[i], &file, &catalog->id_max)) continue;
        int rc = sw_catalog_reserve(catalog, err);
        if (rc == SW_OK) rc = peek(&file, dir, err);
        if (rc != SW_OK) return rc;
        if (file.problem != SW_ENOTFOUND) catalog->files[catalog->count++] = file;
    }
    if (catalog->count > 1) qsort(catalog->files, catalog->count, sizeof(*catalog->files), compare_files);
    return SW_OK;
}

int sw_catalog_load(sw_catalog *out, const char *dir, sw_error *err)
{
    sw_catalog catalog = { 0 };
    char **names = NULL;
    size_t n = 0;
    int rc = sw_fs_list(dir, &names, &n, err);
    if (rc != SW_OK) return rc;
    rc = load_names(&catalog, dir, names, n, err);
    sw_fs_glob_free(names, n);
    if (rc == SW_OK) *out = catalog;
    if (rc != SW_OK) sw_catalog_deinit(&catalog);
    return rc;
}

static void deinit_file(sw_catalog_file *file)
{
    sw_manifest_deinit(&file->manifest);
}

void sw_catalog_deinit(sw_catalog *catalog)
{
    for (uint32_t i = 0; i < catalog->count; i++) deinit_file(&catalog->files[i]);
    sw_free(catalog->files);
    *catalog = (sw_catalog){ 0 };
}

void sw_catalog_forget(sw_catalog *catalog, uint32_t index)
{
    SW_ASSERT(index < catalog->count);
    deinit_file(&catalog->files[index]);
    sw_catalog_file *gone = catalog->files + index;
    memmove(gone, gone + 1, (catalog->count - index - 1) * sizeof(*gone));
    catalog->count--;
}

int sw_catalog_verify(sw_catalog *catalog, const char *dir, sw_error *err)
{
    char path[SW_PATH_MAX];
    for (uint32_t i = 0; i < catalog->count; i++) {
        sw_catalog_file *file = &catalog->files[i];
        sw_error why;
        if (file->is_skipped || file->problem != SW_OK) continue;
        sw_catalog_path(path, dir, file->id, file->is_full, false);
        int rc = sw_checkpoint_file_verify(path, false, &why);
        if (rc == SW_OK) continue;
        if (!is_of_the_file(rc)) return sw_error_set(err, rc, "%s", why.text);
        note_problem(file, &why);
    }
    return SW_OK;
}

sw_catalog_file *sw_catalog_add(sw_catalog *catalog, const sw_file_ref *ref, const sw_manifest *manifest)
{
    SW_ASSERT(catalog->count < catalog->cap);
    sw_catalog_file file = { .id = ref->id, .is_full = ref->is_full, .manifest = *manifest, .ref = *ref };
    uint32_t at = catalog->count++;
    for (; at > 0 && compare_files(&catalog->files[at - 1], &file) > 0; at--)
        catalog->files[at] = catalog->files[at - 1];
    catalog->files[at] = file;
    if (ref->id > catalog->id_max) catalog->id_max = ref->id;
    return &catalog->files[at];
}

sw_catalog_file *sw_catalog_find(const sw_catalog *catalog, uint64_t id, bool is_full)
{
    for (uint32_t i = catalog->count; i-- > 0;) {
        sw_catalog_file *file = &catalog->files[i];
        if (file->id == id && file->is_full == is_full && !file->is_skipped) return file;
    }
    return NULL;
}

/* What is wrong with a file that another one builds on. */
static int check_base(const sw_catalog *catalog, const char *dir, const sw_file_ref *ref, sw_error *err)
{
    char path[SW_PATH_MAX];
    const sw_catalog_file *base = sw_catalog_find(catalog, ref->id, ref->is_full);
    if (base != NULL && base->problem == SW_OK && sw_file_ref_same(&base->ref, ref)) return SW_OK;
    if (base != NULL && base->problem != SW_OK) return sw_error_set(err, base->problem, "%s", base->why);
    sw_catalog_path(path, dir, ref->id, ref->is_full, false);
    if (base == NULL) return sw_error_set(err, SW_ENOTFOUND, "%s is missing", path);
    return sw_error_set(err, SW_EFORMAT, "%s is not the file that it builds on", path);
}

int sw_catalog_check(const sw_catalog *catalog, const char *dir, const sw_catalog_file *file, sw_error *err)
{
    if (file->problem != SW_OK) return sw_error_set(err, file->problem, "%s", file->why);
    int rc = SW_OK;
    for (uint32_t i = file->manifest.chain_count; rc == SW_OK && i-- > 0;)
        rc = check_base(catalog, dir, &file->manifest.chain[i], err);
    return rc;
}

/* --- what stays ------------------------------------------------------------------------------------------------- */

/* The full image that a file stands on. */
static sw_file_ref image_of(const sw_catalog_file *file)
{
    return file->manifest.chain_count > 0 ? file->manifest.chain[0] : file->ref;
}

static void mark(sw_catalog *catalog, sw_catalog_file *file)
{
    file->is_kept = true;
    for (uint32_t i = 0; i < file->manifest.chain_count; i++) {
        const sw_file_ref *ref = &file->manifest.chain[i];
        sw_catalog_find(catalog, ref->id, ref->is_full)->is_kept = true;
    }
}

/* What cannot be used, or was set aside, goes when it is older than `id` and not before. */
static void mark_unusable(sw_catalog *catalog, const char *dir, uint64_t id)
{
    for (uint32_t i = 0; i < catalog->count; i++) {
        sw_catalog_file *file = &catalog->files[i];
        if (file->id >= id && (file->is_skipped || sw_catalog_check(catalog, dir, file, NULL) != SW_OK))
            file->is_kept = true;
    }
}

void sw_catalog_mark(sw_catalog *catalog, const char *dir, uint32_t retain)
{
    uint32_t kept = 0;
    uint64_t oldest = UINT64_MAX; /* of the newest N */
    sw_file_ref image = { 0 };
    bool is_on_one_image = true;
    for (uint32_t i = 0; i < catalog->count; i++) catalog->files[i].is_kept = false;
    for (uint32_t i = catalog->count; i-- > 0 && (kept < retain || is_on_one_image);) {
        sw_catalog_file *file = &catalog->files[i];
        if (file->is_skipped || sw_catalog_check(catalog, dir, file, NULL) != SW_OK) continue;
        sw_file_ref its = image_of(file);
        bool is_on_other = kept > 0 && !sw_file_ref_same(&its, &image);
        if (kept < retain ? file->id == oldest : !is_on_other) continue;
        if (kept == 0) image = its;
        if (kept < retain) oldest = file->id;
        if (is_on_other) is_on_one_image = false;
        mark(catalog, file);
        kept++;
    }
    mark_unusable(catalog, dir, kept > 0 ? oldest : 0);
}

void sw_catalog_sweep(sw_catalog *catalog, const char *dir)
{
    char path[SW_PATH_MAX];
    for (uint32_t i = catalog->count; i-- > 0;) {
        const sw_catalog_file *file = &catalog->files[i];
        if (file->is_kept) continue;
        sw_catalog_path(path, dir, file->id, file->is_full, file->is_skipped);
        SW_CRASH_POINT("checkpoint.before-remove");
        int rc = sw_fs_remove(path, NULL);
        SW_CRASH_POINT("checkpoint.after-remove");
        if (rc == SW_OK || rc == SW_ENOTFOUND) sw_catalog_forget(catalog, i);
    }
}
