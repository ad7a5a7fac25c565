#include "state/saving.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "state/key.h"
#include "state/pack.h"

#define LIST_CAP_FIRST 64

void sw_saving_deinit(sw_saving *saving)
{
    sw_free(saving->dirty.entries);
    sw_free(saving->pending.entries);
    sw_snapshot_deinit(&saving->removals);
    sw_snapshot_deinit(&saving->part);
    sw_buf_deinit(&saving->value);
}

int sw_saving_note(sw_saving *saving, sw_entry *entry)
{
    sw_entry_list *list = &saving->dirty;
    if (list->count == list->cap) {
        uint64_t cap = list->cap > 0 ? 2 * list->cap : LIST_CAP_FIRST;
        sw_entry **entries = sw_realloc(list->entries, cap * sizeof(*entries));
        if (entries == NULL) return SW_ENOMEM;
        list->entries = entries;
        list->cap = cap;
    }
    list->entries[list->count++] = entry;
    entry->dirty_at = (uint32_t)list->count;
    return SW_OK;
}

int sw_saving_forget(sw_saving *saving, sw_entry *entry, const uint8_t *key)
{
    if (entry->saved_hash != 0) {
        const sw_saved removed = {
            .component = saving->component,
            .kind = SW_SAVED_KEYED,
            .group = sw_key_group(entry->hash),
            .key = key,
            .key_len = entry->key_len,
        };
        int rc = sw_snapshot_put(&saving->removals, &removed);
        if (rc != SW_OK) return rc;
    }
    if (entry->dirty_at == 0) return SW_OK;
    sw_entry *last = saving->dirty.entries[--saving->dirty.count]; /* It takes the place of the one that goes. */
    saving->dirty.entries[entry->dirty_at - 1] = last;
    last->dirty_at = entry->dirty_at;
    return SW_OK;
}

/* The saved value: [version, changed_ms, state]. */
static int pack_value(sw_saving *saving, const sw_entry *entry, const uint8_t *state, uint32_t len)
{
    sw_buf *value = &saving->value;
    sw_buf_clear(value);
    int rc = sw_pack_array(value, 3);
    if (rc == SW_OK) rc = sw_pack_i64(value, saving->version);
    if (rc == SW_OK) rc = sw_pack_i64(value, entry->changed_ms);
    if (rc == SW_OK) rc = sw_buf_append(value, state, len);
    return rc;
}

int sw_saving_put(sw_saving *saving, sw_entry *entry, const uint8_t *key, const uint8_t *state, uint32_t len)
{
    int rc = pack_value(saving, entry, state, len);
    if (rc != SW_OK) return rc;
    uint64_t hash = sw_hash(saving->value.data, saving->value.size) | 1; /* 0 stands for never. */
    if (hash == entry->saved_hash) return SW_OK;
    const sw_saved saved = {
        .component = saving->component,
        .kind = SW_SAVED_KEYED,
        .group = sw_key_group(entry->hash),
        .key = key,
        .key_len = entry->key_len,
        .value = saving->value.data,
        .value_len = (uint32_t)saving->value.size,
    };
    if ((rc = sw_snapshot_put(&saving->part, &saved)) == SW_OK) entry->saved_hash = hash;
    return rc;
}
