/* fuzz_json.c -- any bytes as a line of JSON, for libFuzzer.
 *
 * Whatever they are, decoding ends in an event or a malformed row, in place and copied alike; an event's
 * JSON is again an event, and the same one. Build from core/, with the sources of base, state and io: clang
 * -fsanitize=fuzzer,address,undefined. */
#include <stdlib.h>
#include <string.h>

#include "io/codec.h"

#define PADDING 64u

static sw_decoder *new_decoder(const sw_schema *schema)
{
    sw_source_context context = { .component = "fuzz", .count = 1, .schema = schema, .clock = sw_clock_real() };
    sw_decoder *decoder = NULL;
    SW_ASSERT(sw_decoder_new(&decoder, "jsonl", &context, NULL) == SW_OK);
    return decoder;
}

static const sw_row *decode(sw_decoder *decoder, const void *text, size_t len, size_t padding, sw_batch *batch)
{
    sw_piece piece = { text, len, padding, "fuzz", 1 };
    sw_batch_clear(batch);
    SW_ASSERT(sw_decoder_decode(decoder, &piece, batch, NULL) == SW_OK);
    return batch->count > 0 ? (const sw_row *)(void *)batch->data : NULL;
}

/* Decodes, encodes, decodes and encodes: both texts are the same. */
static void check(sw_decoder *decoder, sw_encoder *encoder, const uint8_t *data, size_t size)
{
    static sw_batch batch;
    static sw_buf first, second;
    uint8_t *padded = calloc(1, size + PADDING);
    SW_ASSERT(padded != NULL);
    if (size > 0) memcpy(padded, data, size);
    const sw_row *row = decode(decoder, data, size, 0, &batch);
    int kind = row != NULL ? row->kind : -1;
    row = decode(decoder, padded, size, PADDING, &batch);
    SW_ASSERT((row != NULL ? row->kind : -1) == kind);
    if (kind == SW_ROW_EVENT) {
        sw_buf_clear(&first);
        sw_buf_clear(&second);
        SW_ASSERT(sw_encoder_encode(encoder, row, &first, NULL) == SW_OK);
        row = decode(decoder, first.data, first.size - 1, 0, &batch);
        SW_ASSERT(row != NULL && row->kind == SW_ROW_EVENT);
        SW_ASSERT(sw_encoder_encode(encoder, row, &second, NULL) == SW_OK);
        SW_ASSERT(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    }
    free(padded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "a", "b", "c", "d", "name" };
    static const sw_type types[] = { SW_TYPE_I64, SW_TYPE_F64, SW_TYPE_BOOL, SW_TYPE_STRING, SW_TYPE_STRING };
    static sw_decoder *map, *record;
    static sw_encoder *encoder;
    const sw_schema *schema = NULL;
    if (map == NULL) {
        SW_ASSERT(sw_schema_intern(names, types, 5, &schema, NULL) == SW_OK);
        SW_ASSERT(sw_encoder_new(&encoder, "jsonl", NULL) == SW_OK);
        map = new_decoder(NULL);
        record = new_decoder(schema);
    }
    check(map, encoder, data, size);
    check(record, encoder, data, size);
    return 0;
}
