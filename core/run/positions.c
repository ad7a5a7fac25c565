#include "run/positions.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

void sw_positions_deinit(sw_positions *positions)
{
    for (uint32_t i = 0; i < positions->count; i++) sw_buf_deinit(&positions->list[i].bytes);
    sw_free(positions->list);
    *positions = (sw_positions){ 0 };
}

int sw_positions_add(sw_positions *positions, uint32_t checkpoint, const sw_buf *bytes)
{
    sw_position_at at = { .checkpoint = checkpoint };
    if (positions->count == positions->cap) {
        uint32_t cap = positions->cap > 0 ? 2 * positions->cap : 4;
        sw_position_at *list = sw_realloc(positions->list, cap * sizeof(*list));
        if (list == NULL) return SW_ENOMEM;
        positions->list = list;
        positions->cap = cap;
    }
    if (checkpoint == 0) at.checkpoint = positions->last + 1;
    int rc = sw_buf_append(&at.bytes, bytes->data, bytes->size);
    if (rc != SW_OK) return rc;
    positions->last = at.checkpoint;
    positions->list[positions->count++] = at;
    return SW_OK;
}

const sw_buf *sw_positions_released(sw_positions *positions)
{
    uint32_t oldest = __atomic_load_n(&positions->oldest, __ATOMIC_ACQUIRE), upto = 0;
    if (oldest == positions->oldest_seen) return NULL;
    positions->oldest_seen = oldest;
    while (upto < positions->count && positions->list[upto].checkpoint <= oldest) upto++;
    if (upto == 0) return NULL;
    for (uint32_t i = 0; i + 1 < upto; i++) sw_buf_deinit(&positions->list[i].bytes);
    positions->count -= upto - 1;
    memmove(positions->list, positions->list + (upto - 1), positions->count * sizeof(*positions->list));
    return &positions->list[0].bytes;
}
