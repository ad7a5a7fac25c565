/* io_rows.h -- what the tests of core/io share: decoders and encoders at work on literal text.
 *
 * Ownership  Each helper says who frees.
 * Threads    One. */
#ifndef SW_TESTS_IO_ROWS_H
#define SW_TESTS_IO_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "io/codec.h"
#include "io/mp_read.h"

/* Context of instance 0 of 1 with the real clock. */
static inline sw_source_context context_of(const sw_schema *schema, const char *time_field)
{
    return (sw_source_context){
        .component = "in", .count = 1, .schema = schema, .time_field = time_field, .clock = sw_clock_real()
    };
}

static inline sw_decoder *decoder_of(const char *format, const sw_schema *schema, const char *time_field)
{
    sw_source_context context = context_of(schema, time_field);
    sw_decoder *decoder = NULL;
    assert_int_equal(sw_decoder_new(&decoder, format, &context, NULL), SW_OK);
    return decoder;
}

/* Decodes len bytes without padding, as line 7 of "in.jsonl". */
static inline void decode_bytes(sw_decoder *decoder, const void *text, size_t len, sw_batch *out)
{
    sw_piece piece = { text, len, 0, "in.jsonl", 7 };
    assert_int_equal(sw_decoder_decode(decoder, &piece, out, NULL), SW_OK);
}

static inline sw_row *first_row(const sw_batch *batch)
{
    assert_int_equal(batch->count, 1);
    return (sw_row *)(void *)batch->data;
}

/* The string at this key of a row's map; its length in *len. */
static inline const char *map_string(const sw_row *row, const char *key, uint32_t *len)
{
    const uint8_t *p = sw_row_body(row);
    const uint8_t *end = p + row->body_len;
    sw_mp_value v;
    p = sw_mp_read(p, end, &v);
    assert_non_null(p);
    for (uint32_t i = v.len; i > 0; i--) {
        p = sw_mp_read(p, end, &v);
        assert_non_null(p);
        bool is_it = v.len == strlen(key) && memcmp(v.bytes, key, v.len) == 0;
        p = sw_mp_read(p, end, &v);
        assert_non_null(p);
        if (!is_it) continue;
        *len = v.len;
        return v.bytes;
    }
    fail_msg("no key %s", key);
    return NULL;
}

/* The row as a line of JSON without its newline, ended by NUL; free it with sw_buf_deinit. */
static inline void json_of(const sw_row *row, sw_buf *out)
{
    sw_encoder *encoder = NULL;
    sw_error err = { 0 };
    sw_buf_init(out);
    assert_int_equal(sw_encoder_new(&encoder, "jsonl", &err), SW_OK);
    if (sw_encoder_encode(encoder, row, out, &err) != SW_OK) fail_msg("%s", err.text);
    sw_encoder_free(encoder);
    assert_true(out->size > 0 && out->data[out->size - 1] == '\n');
    out->data[out->size - 1] = 0;
}

#endif
