#include "state/row.h"

#include "base/alloc.h"
#include "base/error.h"

#define BATCH_CAP_FIRST 4096u
#define BATCH_CAP_KEPT (1u << 20) /* a cleared batch keeps no more than this: 256 rows of 4 KiB */
#define BATCH_CAP_MAX (UINT32_MAX & ~7u)

_Static_assert(sizeof(sw_row) == 48, "Lua declares the same layout");
_Static_assert(sizeof(sw_slot) == 8, "Lua declares the same layout");

void sw_batch_init(sw_batch *batch)
{
    memset(batch, 0, sizeof(*batch));
}

void sw_batch_deinit(sw_batch *batch)
{
    sw_free(batch->data);
    memset(batch, 0, sizeof(*batch));
}

void sw_batch_clear(sw_batch *batch)
{
    if (batch->cap > BATCH_CAP_KEPT) sw_batch_deinit(batch);
    batch->size = 0;
    batch->count = 0;
}

/* Makes cap at least `size`; doubling, so that n rows cost O(n). */
static int batch_grow(sw_batch *batch, uint64_t size)
{
    uint64_t cap = batch->cap > 0 ? batch->cap : BATCH_CAP_FIRST;
    if (size > BATCH_CAP_MAX) return SW_ENOMEM;
    while (cap < size) cap *= 2;
    if (cap > BATCH_CAP_MAX) cap = BATCH_CAP_MAX;
    uint8_t *data = sw_realloc(batch->data, cap);
    if (data == NULL) return SW_ENOMEM;
    batch->data = data;
    batch->cap = (uint32_t)cap;
    return SW_OK;
}

sw_row *sw_batch_reserve_more(sw_batch *batch, uint32_t len)
{
    SW_ASSERT(len >= sizeof(sw_row));
    if (len > SW_ROW_BYTES_MAX) return NULL;
    uint64_t end = (uint64_t)batch->size + ((len + 7u) & ~7u);
    if (end > batch->cap && batch_grow(batch, end) != SW_OK) return NULL;
    return (sw_row *)(void *)(batch->data + batch->size);
}

int sw_batch_append(sw_batch *batch, const sw_row *row)
{
    sw_row *copy = sw_batch_reserve(batch, row->len);
    if (copy == NULL) return SW_ENOMEM;
    memcpy(copy, row, row->len);
    sw_batch_commit(batch, row->len);
    return SW_OK;
}
