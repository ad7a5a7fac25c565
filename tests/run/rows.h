/* rows.h -- rows of tests: an event whose body is one 64-bit number, and what reads them back. */
#ifndef TESTS_RUN_ROWS_H
#define TESTS_RUN_ROWS_H

#include <string.h>

#include "run/channel.h"

typedef struct test_row {
    sw_row row;  /* header */
    uint64_t id; /* the body */
} test_row;

static inline test_row make_row(sw_row_kind kind, uint64_t id)
{
    test_row r = { .row = { .kind = (uint8_t)kind, .body_len = 8, .len = sizeof(test_row) }, .id = id };
    return r;
}

static inline const sw_row *first_row(const sw_batch *batch)
{
    return (const sw_row *)(const void *)batch->data;
}

static inline uint64_t id_of(const sw_row *row)
{
    uint64_t id;
    memcpy(&id, sw_row_body(row), sizeof(id));
    return id;
}

/* Publishes all of the channel and appends its event rows to `out`. */
static inline void take_events(sw_channel *channel, sw_batch *out)
{
    bool is_flushed = false;
    while (!is_flushed) {
        is_flushed = sw_channel_flush(channel);
        for (const sw_batch *batch; (batch = sw_channel_front(channel)) != NULL; sw_channel_pop(channel)) {
            const sw_row *row = first_row(batch);
            for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row))
                if (row->kind == SW_ROW_EVENT) assert_int_equal(sw_batch_append(out, row), SW_OK);
        }
    }
}

#endif
