/* commit.c -- a checkpoint from the changes of all tasks.
 *
 *     snapshots --sort by stored key--> changes --put--> ID.tmp --publish--> ID.mdb
 *
 * Changes are sorted as 40 bytes each, not moved: three words that begin the stored key, and where the change is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "state/store.h"

#define KEY_WORDS 3
#define OVERFLOW_FROM 1500u  /* longer values have pages of their own, */
#define OVERFLOW_EXTRA 4096u /* of which the last is half empty on average */

typedef struct change {
    uint64_t word[KEY_WORDS]; /* first bytes of the stored key, as big-endian numbers, padded with zeros */
    uint64_t offset;          /* in its snapshot */
    uint32_t snapshot;        /* index */
} change;

typedef struct changes {
    change *list;                        /* sorted by stored key, then age */
    uint64_t count;                      /* changes */
    uint64_t bytes;                      /* of keys and values */
    const sw_snapshot *const *snapshots; /* where they are */
    const uint32_t *component_ids;       /* by index in the job's graph */
    bool is_full;                        /* removals need no mark */
} changes;

/* --- sorting ---------------------------------------------------------------------------------------------------- */

static sw_saved saved_of(const changes *all, const change *c)
{
    sw_saved saved = { 0 };
    size_t offset = c->offset;
    (void)sw_snapshot_next(all->snapshots[c->snapshot], &offset, &saved);
    return saved;
}

static uint64_t load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return __builtin_bswap64(word);
}

static void set_words(change *c, uint32_t component_id, const sw_saved *saved)
{
    uint8_t begin[KEY_WORDS * 8] = { 0 };
    size_t room = sizeof(begin) - SW_STORED_PLACE;
    sw_stored_place(begin, component_id, saved->kind, saved->group);
    if (saved->key_len > 0) memcpy(begin + SW_STORED_PLACE, saved->key, saved->key_len < room ? saved->key_len : room);
    for (int i = 0; i < KEY_WORDS; i++) c->word[i] = load_word(begin + 8 * i);
}

/* Order by the stored key alone. */
static int compare_keys(const changes *all, const change *a, const change *b)
{
    for (int i = 0; i < KEY_WORDS; i++)
        if (a->word[i] != b->word[i]) return a->word[i] < b->word[i] ? -1 : 1;
    uint8_t first[SW_STORED_KEY_MAX], second[SW_STORED_KEY_MAX];
    sw_saved x = saved_of(all, a), y = saved_of(all, b);
    if (x.key_len < SW_STORED_KEY_MAX - SW_STORED_PLACE && y.key_len < SW_STORED_KEY_MAX - SW_STORED_PLACE)
        return sw_stored_compare(x.key, x.key_len, y.key, y.key_len);
    size_t first_len = sw_stored_key(first, all->component_ids[x.component], &x);
    size_t second_len = sw_stored_key(second, all->component_ids[y.component], &y);
    return sw_stored_compare(first, first_len, second, second_len);
}

static int compare_changes(const void *a, const void *b, void *all)
{
    const change *x = a, *y = b;
    int order = compare_keys(all, x, y);
    if (order != 0) return order;
    if (x->snapshot != y->snapshot) return x->snapshot < y->snapshot ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int check_change(const sw_saved *saved, const sw_checkpoint_meta *meta, sw_error *err)
{
    if (saved->component < meta->component_count && saved->group <= SW_STORED_GROUP_MAX && saved->kind > 0 &&
        saved->kind <= UINT8_MAX && saved->key_len <= UINT16_MAX)
        return SW_OK;
    return sw_error_set(err, SW_EINVAL, "a change of component %u, kind %u, group %u cannot be saved", saved->component,
                        (unsigned)saved->kind, saved->group);
}

static int add_changes(changes *all, uint32_t snapshot, const sw_checkpoint_meta *meta, sw_error *err)
{
    sw_saved saved;
    size_t offset = 0, at = 0;
    for (; sw_snapshot_next(all->snapshots[snapshot], &offset, &saved); at = offset) {
        int rc = check_change(&saved, meta, err);
        if (rc != SW_OK) return rc;
        change *c = &all->list[all->count++];
        c->snapshot = snapshot;
        c->offset = at;
        set_words(c, all->component_ids[saved.component], &saved);
        all->bytes += saved.key_len + saved.value_len + (saved.value_len > OVERFLOW_FROM ? OVERFLOW_EXTRA : 0);
    }
    return SW_OK;
}

static int collect(changes *all, const sw_checkpoint_meta *meta, uint32_t snapshot_count, sw_error *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < snapshot_count; i++) total += all->snapshots[i]->count;
    all->list = sw_alloc(total * sizeof(*all->list));
    if (all->list == NULL) return sw_error_set(err, SW_ENOMEM, "cannot sort %" PRIu64 " changes: out of memory", total);
    for (uint32_t i = 0; i < snapshot_count; i++) {
        int rc = add_changes(all, i, meta, err);
        if (rc != SW_OK) return rc;
    }
    qsort_r(all->list, all->count, sizeof(*all->list), compare_changes, all);
    return SW_OK;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Does a later change of the same key follow? SW_ELIMIT when two long keys cannot be told apart. */
static int is_superseded(const changes *all, uint64_t i, const sw_saved *saved, bool *out, sw_error *err)
{
    *out = i + 1 < all->count && compare_keys(all, &all->list[i], &all->list[i + 1]) == 0;
    if (!*out) return SW_OK;
    sw_saved later = saved_of(all, &all->list[i + 1]);
    if (sw_stored_compare(saved->key, saved->key_len, later.key, later.key_len) == 0) return SW_OK;
    return sw_error_set(err, SW_ELIMIT, "two different keys of %u and %u bytes have the same hash", saved->key_len,
                        later.key_len);
}

static int fill(void *arg, sw_image *image, sw_error *err)
{
    const changes *all = arg;
    for (uint64_t i = 0; i < all->count; i++) {
        sw_saved saved = saved_of(all, &all->list[i]);
        bool superseded;
        int rc = is_superseded(all, i, &saved, &superseded, err);
        if (rc != SW_OK) return rc;
        if (superseded) continue;
        if (saved.value == NULL && (all->is_full || saved.kind >= SW_SAVED_COMPLETE)) continue;
        rc = sw_image_put(image, all->component_ids[saved.component], &saved, err);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

/* --- the manifest ----------------------------------------------------------------------------------------------- */

/* The parts of a manifest that are put together here. */
typedef struct draft {
    sw_manifest manifest; /* borrows from the rest */
    uint32_t *ids;        /* of components */
    sw_file_ref *chain;   /* of files it builds on */
} draft;

static int assign_ids(draft *d, const sw_manifest *base, sw_error *err)
{
    const sw_checkpoint_meta *meta = &d->manifest.meta;
    uint32_t next = base != NULL ? base->next_component_id : 0;
    for (uint32_t i = 0; i < meta->component_count; i++) {
        int64_t known = base != NULL ? sw_manifest_find(base, meta->components[i].name) : -1;
        if (known < 0 && next >= SW_STORED_ID_MAX)
            return sw_error_set(err, SW_ELIMIT, "no more than %u components can be saved", SW_STORED_ID_MAX);
        d->ids[i] = known >= 0 ? base->component_ids[known] : next++;
    }
    d->manifest.next_component_id = next;
    return SW_OK;
}

static void set_chain(draft *d, const sw_catalog_file *base)
{
    uint32_t count = base->manifest.chain_count;
    if (count > 0) memcpy(d->chain, base->manifest.chain, count * sizeof(*d->chain));
    d->chain[count] = base->ref;
    d->manifest.chain_count = count + 1;
}

static void free_draft(draft *d)
{
    sw_free(d->ids);
    sw_free(d->chain);
}

static int make_draft(draft *d, const sw_checkpoint_meta *meta, const sw_catalog_file *base, sw_error *err)
{
    uint32_t files = base != NULL ? base->manifest.chain_count + 1 : 0;
    *d = (draft){ .ids = sw_alloc(meta->component_count * sizeof(uint32_t)),
                  .chain = sw_alloc(files * sizeof(sw_file_ref)) };
    if (d->ids == NULL || d->chain == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    d->manifest = (sw_manifest){ .meta = *meta, .component_ids = d->ids, .chain = d->chain };
    d->manifest.script_hash = sw_hash128_of(meta->script, meta->script_len);
    if (base == NULL) return assign_ids(d, NULL, err);
    set_chain(d, base);
    const sw_hash128 *then = &base->manifest.script_hash, *now = &d->manifest.script_hash;
    if (then->low == now->low && then->high == now->high) d->manifest.meta.script = NULL;
    return assign_ids(d, &base->manifest, err);
}

/* --- committing ------------------------------------------------------------------------------------------------- */

static int write_file(sw_checkpoints *checkpoints, const sw_manifest *manifest, changes *all, sw_manifest *written,
                      sw_file_ref *ref, sw_error *err)
{
    char temporary[SW_PATH_MAX + 32], path[SW_PATH_MAX];
    snprintf(temporary, sizeof(temporary), "%s/%" PRIu64 ".tmp", checkpoints->checkpoints, manifest->meta.id);
    sw_catalog_path(path, checkpoints->checkpoints, manifest->meta.id, all->is_full, false);
    const sw_image_plan plan = {
        .path = temporary,
        .bytes = all->bytes,
        .count = all->count,
        .is_unsynced = checkpoints->options.sync_is_unsafe,
        .fill = fill,
        .arg = all,
    };
    int rc = sw_store_check_room(checkpoints, all->bytes, err);
    if (rc == SW_OK) rc = sw_image_write(&plan, manifest, written, ref, err);
    if (rc != SW_OK) return rc;
    rc = sw_store_publish(checkpoints, checkpoints->checkpoints, temporary, path, err);
    if (rc != SW_OK) sw_manifest_deinit(written);
    return rc;
}

static int commit(sw_checkpoints *checkpoints, const sw_checkpoint_meta *meta, const sw_snapshot *const *snapshots,
                  uint32_t count, uint64_t *bytes, sw_error *err)
{
    const sw_catalog_file *base = sw_store_base(checkpoints);
    SW_ASSERT(base != NULL || !checkpoints->has_base); /* Else changes would be taken for everything. */
    draft d;
    sw_manifest written;
    sw_file_ref ref;
    changes all = { .snapshots = snapshots, .is_full = base == NULL };
    int rc = make_draft(&d, meta, base, err);
    if (rc != SW_OK) goto free_parts;
    all.component_ids = d.ids;
    if ((rc = collect(&all, meta, count, err)) != SW_OK) goto free_parts;
    if ((rc = sw_catalog_reserve(&checkpoints->catalog, err)) != SW_OK) goto free_parts;
    if ((rc = write_file(checkpoints, &d.manifest, &all, &written, &ref, err)) != SW_OK) goto free_parts;
    sw_catalog_add(&checkpoints->catalog, &ref, &written);
    checkpoints->has_base = true;
    checkpoints->base_id = ref.id;
    checkpoints->base_is_full = ref.is_full;
    *bytes = ref.bytes;

free_parts:
    sw_free(all.list);
    free_draft(&d);
    return rc;
}

/* A chain that grows for ever could one day not be opened at once. */
static int bound_chain(sw_checkpoints *checkpoints, sw_error *err)
{
    const sw_catalog_file *base = sw_store_base(checkpoints);
    if (base == NULL || base->manifest.chain_count + 1 < SW_CHAIN_MAX) return SW_OK;
    return sw_checkpoints_fold(checkpoints, err);
}

int sw_checkpoints_commit(sw_checkpoints *checkpoints, const sw_checkpoint_meta *meta,
                          const sw_snapshot *const *snapshots, uint32_t count, uint64_t *bytes, sw_error *err)
{
    int rc = sw_store_check_writable(checkpoints, err);
    if (rc == SW_OK && meta->id <= checkpoints->catalog.id_max)
        rc = sw_error_set(err, SW_EINVAL, "its id is not above %" PRIu64, checkpoints->catalog.id_max);
    if (rc == SW_OK) rc = sw_store_reserve_ids(checkpoints, meta->id, err);
    if (rc == SW_OK) rc = bound_chain(checkpoints, err);
    if (rc == SW_OK) rc = commit(checkpoints, meta, snapshots, count, bytes, err);
    if (rc != SW_OK) return rc;
    sw_store_note_newest(checkpoints);
    sw_store_retire(checkpoints);
    return SW_OK;
}
