#include "state/record.h"

int sw_record_grow(sw_record_builder *builder, uint32_t len)
{
    uint64_t need = (uint64_t)builder->len + len, cap = 2 * need;
    if (need > SW_ROW_BYTES_MAX) return SW_ELIMIT;
    if (cap > SW_ROW_BYTES_MAX) cap = SW_ROW_BYTES_MAX;
    /* A larger reservation at the same place keeps what the smaller one holds. */
    uint8_t *row = (uint8_t *)sw_batch_reserve(builder->batch, (uint32_t)cap);
    if (row == NULL) return SW_ENOMEM;
    builder->row = row;
    builder->cap = (uint32_t)cap;
    return SW_OK;
}
