#include "state/snapshot.h"

#include <string.h>

#define REMOVED UINT32_MAX

typedef struct change_head {
    uint32_t component; /* fields of sw_saved */
    uint16_t kind;
    uint16_t group;
    uint32_t key_len;
    uint32_t value_len; /* REMOVED for a removal */
} change_head;

void sw_snapshot_init(sw_snapshot *snapshot)
{
    sw_buf_init(&snapshot->bytes);
    snapshot->count = 0;
}

void sw_snapshot_deinit(sw_snapshot *snapshot)
{
    sw_buf_deinit(&snapshot->bytes);
    snapshot->count = 0;
}

int sw_snapshot_put(sw_snapshot *snapshot, const sw_saved *saved)
{
    const change_head head = {
        .component = saved->component,
        .kind = (uint16_t)saved->kind,
        .group = (uint16_t)saved->group,
        .key_len = saved->key_len,
        .value_len = saved->value != NULL ? saved->value_len : REMOVED,
    };
    size_t value_len = saved->value != NULL ? saved->value_len : 0;
    int rc = sw_buf_reserve(&snapshot->bytes, sizeof(head) + saved->key_len + value_len);
    if (rc != SW_OK) return rc;
    sw_buf_append(&snapshot->bytes, &head, sizeof(head)); /* Within the reserve: none of these fails. */
    sw_buf_append(&snapshot->bytes, saved->key, saved->key_len);
    sw_buf_append(&snapshot->bytes, saved->value, value_len);
    snapshot->count++;
    return SW_OK;
}

bool sw_snapshot_next(const sw_snapshot *snapshot, size_t *offset, sw_saved *out)
{
    change_head head;
    if (*offset >= snapshot->bytes.size) return false;
    const uint8_t *p = snapshot->bytes.data + *offset;
    memcpy(&head, p, sizeof(head));
    p += sizeof(head);
    *out = (sw_saved){
        .component = head.component,
        .kind = (sw_saved_kind)head.kind,
        .group = head.group,
        .key = p,
        .key_len = head.key_len,
        .value = head.value_len != REMOVED ? p + head.key_len : NULL,
        .value_len = head.value_len != REMOVED ? head.value_len : 0,
    };
    *offset += sizeof(head) + head.key_len + out->value_len;
    return true;
}
