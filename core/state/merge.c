#include "state/merge.h"

#include <string.h>

#include "base/alloc.h"

struct sw_merge {
    uint32_t count;               /* cursors, newest file first */
    uint32_t size;                /* of the heap */
    uint32_t *heap;               /* indexes of cursors that are not at their end, the next entry's on top */
    uint8_t end[SW_STORED_PLACE]; /* where to stop */
    sw_file_cursor cursors[];     /* one a file */
};

void sw_merge_close(sw_merge *merge)
{
    if (merge == NULL) return;
    for (uint32_t i = 0; i < merge->count; i++) sw_file_cursor_close(&merge->cursors[i]);
    sw_free(merge->heap);
    sw_free(merge);
}

int sw_merge_open(sw_merge **out, sw_checkpoint_file *const *files, uint32_t count, sw_error *err)
{
    sw_merge *merge = sw_alloc(sizeof(*merge) + count * sizeof(sw_file_cursor));
    if (merge == NULL) return sw_error_set(err, SW_ENOMEM, "cannot read a checkpoint: out of memory");
    *merge = (sw_merge){ .heap = sw_alloc(count * sizeof(uint32_t)) };
    int rc = merge->heap != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "cannot read a checkpoint: out of memory");
    for (; rc == SW_OK && merge->count < count; merge->count++) {
        rc = sw_file_cursor_open(&merge->cursors[merge->count], files[merge->count], err);
        if (rc != SW_OK) break;
    }
    if (rc != SW_OK) {
        sw_merge_close(merge);
        return rc;
    }
    *out = merge;
    return SW_OK;
}

/* Is a's entry to come before b's? */
static bool is_before(const sw_merge *merge, uint32_t a, uint32_t b)
{
    const sw_stored *x = &merge->cursors[a].at, *y = &merge->cursors[b].at;
    int order = sw_stored_compare(x->key, x->key_len, y->key, y->key_len);
    return order != 0 ? order < 0 : a < b;
}

static void sift_down(sw_merge *merge, uint32_t at)
{
    uint32_t moving = merge->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= merge->size) break;
        if (child + 1 < merge->size && is_before(merge, merge->heap[child + 1], merge->heap[child])) child++;
        if (!is_before(merge, merge->heap[child], moving)) break;
        merge->heap[at] = merge->heap[child];
        at = child;
    }
    merge->heap[at] = moving;
}

static bool is_at_end(const sw_merge *merge, const sw_file_cursor *cursor)
{
    return cursor->at.key_len == 0 ||
           sw_stored_compare(cursor->at.key, cursor->at.key_len, merge->end, SW_STORED_PLACE) >= 0;
}

int sw_merge_seek(sw_merge *merge, uint32_t files, const uint8_t first[SW_STORED_PLACE],
                  const uint8_t end[SW_STORED_PLACE], sw_error *err)
{
    SW_ASSERT(files <= merge->count);
    memcpy(merge->end, end, SW_STORED_PLACE);
    merge->size = 0;
    for (uint32_t i = 0; i < files; i++) {
        int rc = sw_file_cursor_seek(&merge->cursors[i], first, SW_STORED_PLACE, err);
        if (rc != SW_OK) return rc;
        if (!is_at_end(merge, &merge->cursors[i])) merge->heap[merge->size++] = i;
    }
    for (uint32_t i = merge->size / 2; i-- > 0;) sift_down(merge, i);
    return SW_OK;
}

/* Moves the cursor on top on. */
static int advance(sw_merge *merge, sw_error *err)
{
    sw_file_cursor *cursor = &merge->cursors[merge->heap[0]];
    int rc = sw_file_cursor_next(cursor, err);
    if (rc != SW_OK) return rc;
    if (is_at_end(merge, cursor)) merge->heap[0] = merge->heap[--merge->size];
    if (merge->size > 1) sift_down(merge, 0);
    return SW_OK;
}

int sw_merge_next(sw_merge *merge, sw_stored *out, sw_error *err)
{
    while (merge->size > 0) {
        sw_stored newest = merge->cursors[merge->heap[0]].at;
        int rc = advance(merge, err);
        while (rc == SW_OK && merge->size > 0) {
            const sw_stored *next = &merge->cursors[merge->heap[0]].at;
            if (sw_stored_compare(newest.key, newest.key_len, next->key, next->key_len) != 0) break;
            rc = sw_stored_check_same(&newest, next, err);
            if (rc == SW_OK) rc = advance(merge, err); /* An older one of the same key. */
        }
        if (rc != SW_OK) return rc;
        if (sw_stored_is_removal(&newest)) continue;
        *out = newest;
        return SW_OK;
    }
    return SW_EEMPTY;
}
