#include "state/scan.h"

#include "base/alloc.h"
#include "state/merge.h"
#include "state/store.h"

/* One group. */
typedef struct lane {
    sw_merge *merge; /* owned */
    sw_stored at;    /* the entry that comes next in it */
} lane;

struct sw_scan {
    uint32_t component; /* index in the meta */
    uint32_t count;     /* lanes that are not at their end: a heap, the next entry's on top */
    uint32_t made;      /* lanes to be closed */
    sw_stored last;     /* shown last; key_len 0: at the end */
    lane lanes[];       /* room for all groups asked for */
};

/* --- order ------------------------------------------------------------------------------------------------------ */

/* Of stored keys without their place. */
static int compare(const sw_stored *a, const sw_stored *b)
{
    return sw_stored_compare(a->key + SW_STORED_PLACE, a->key_len - SW_STORED_PLACE, b->key + SW_STORED_PLACE,
                             b->key_len - SW_STORED_PLACE);
}

static void sift_down(sw_scan *scan, uint32_t at)
{
    lane moving = scan->lanes[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= scan->count) break;
        if (child + 1 < scan->count && compare(&scan->lanes[child + 1].at, &scan->lanes[child].at) < 0) child++;
        if (compare(&scan->lanes[child].at, &moving.at) >= 0) break;
        scan->lanes[at] = scan->lanes[child];
        at = child;
    }
    scan->lanes[at] = moving;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* Adds the lane of a group, unless that has no entries. */
static int add_lane(sw_scan *scan, const sw_chain *chain, uint32_t id, sw_saved_kind kind, uint32_t group,
                    sw_error *err)
{
    uint8_t from[SW_STORED_PLACE], to[SW_STORED_PLACE];
    lane *added = &scan->lanes[scan->count];
    int rc = sw_merge_open(&added->merge, chain->files, chain->count, err);
    if (rc != SW_OK) return rc;
    sw_stored_place(from, id, kind, group);
    sw_stored_place(to, id, kind, group + 1);
    rc = sw_merge_seek(added->merge, chain->count, from, to, err);
    if (rc == SW_OK) rc = sw_merge_next(added->merge, &added->at, err);
    if (rc == SW_OK) scan->count++;
    else sw_merge_close(added->merge);
    return rc == SW_EEMPTY ? SW_OK : rc;
}

int sw_scan_open(sw_scan **out, const sw_restore *restore, const char *component, sw_saved_kind kind,
                 uint32_t group_first, uint32_t group_end, sw_error *err)
{
    uint32_t id = 0, index = 0;
    SW_ASSERT(kind < SW_SAVED_COMPLETE && group_first <= group_end && group_end <= SW_STORED_GROUP_END);
    int rc = sw_restore_find(restore, component, &index, &id, err);
    if (rc != SW_OK) return rc;
    sw_scan *scan = sw_alloc(sizeof(*scan) + (group_end - group_first) * sizeof(lane));
    if (scan == NULL) return sw_error_set(err, SW_ENOMEM, "cannot read %s: out of memory", component);
    *scan = (sw_scan){ .component = index };
    for (uint32_t group = group_first; rc == SW_OK && group < group_end; group++)
        rc = add_lane(scan, &restore->chain, id, kind, group, err);
    scan->made = scan->count;
    if (rc != SW_OK) {
        sw_scan_close(scan);
        return rc;
    }
    for (uint32_t i = scan->count / 2; i-- > 0;) sift_down(scan, i);
    *out = scan;
    return SW_OK;
}

void sw_scan_close(sw_scan *scan)
{
    if (scan == NULL) return;
    for (uint32_t i = 0; i < scan->made; i++) sw_merge_close(scan->lanes[i].merge);
    sw_free(scan);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Moves the lane on top on; one that is at its end goes behind the heap. */
static int advance(sw_scan *scan, sw_error *err)
{
    lane *top = &scan->lanes[0];
    int rc = sw_merge_next(top->merge, &top->at, err);
    if (rc == SW_EEMPTY) {
        lane ended = *top;
        scan->count--;
        *top = scan->lanes[scan->count];
        scan->lanes[scan->count] = ended;
        rc = SW_OK;
    }
    if (rc == SW_OK && scan->count > 1) sift_down(scan, 0);
    return rc;
}

int sw_scan_next(sw_scan *scan, sw_saved *out, sw_error *err)
{
    scan->last.key_len = 0;
    if (scan->count == 0) return SW_EEMPTY;
    sw_stored stored = scan->lanes[0].at;
    int rc = advance(scan, err);
    if (rc == SW_OK) rc = sw_stored_read(&stored, out, err);
    if (rc != SW_OK) return rc;
    scan->last = stored;
    out->component = scan->component;
    return SW_OK;
}

int sw_scan_compare(const sw_scan *a, const sw_scan *b)
{
    if (a->last.key_len == 0 || b->last.key_len == 0) return (a->last.key_len == 0) - (b->last.key_len == 0);
    return compare(&a->last, &b->last);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

bool sw_restore_file_at(const sw_restore *restore, uint32_t index, sw_restore_file *out)
{
    if (index >= restore->chain.count) return false;
    const sw_checkpoint_file *file = restore->chain.files[index];
    *out = (sw_restore_file){
        .path = file->path,
        .is_full = file->ref.is_full,
        .bytes = file->ref.bytes,
        .entries = file->manifest.entries,
    };
    return true;
}
