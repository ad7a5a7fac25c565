#include "run/positions.h"

#include <stdbool.h>
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
    int rc = sw_buf_append(&at.bytes, bytes->data, bytes->size);
    if (rc == SW_OK) positions->list[positions->count++] = at;
    return rc;
}

const sw_buf *sw_positions_released(sw_positions *positions)
{
    uint32_t oldest = __atomic_load_n(&positions->oldest, __ATOMIC_ACQUIRE), older = 0;
    if (oldest == positions->oldest_seen) return NULL;
    positions->oldest_seen = oldest;
    while (older < positions->count && positions->list[older].checkpoint < oldest) older++;
    for (uint32_t i = 0; i < older; i++) sw_buf_deinit(&positions->list[i].bytes);
    positions->count -= older;
    if (older > 0) memmove(positions->list, positions->list + older, positions->count * sizeof(*positions->list));
    bool is_known = positions->count > 0 && positions->list[0].checkpoint == oldest;
    return is_known ? &positions->list[0].bytes : NULL;
}
