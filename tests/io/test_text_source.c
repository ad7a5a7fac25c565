#include "io_rows.h"

#include <stdio.h>

#include "base/rng.h"
#include "io/text_source.h"

#define PADDING 64u
#define ROWS_MAX 7u /* of one call, so that calls end between lines of a chunk too */

static const sw_schema *schema_of_events(void)
{
    static const char *const names[] = { "id", "price", "ok", "ts", "name" };
    static const sw_type types[] = { SW_TYPE_I64, SW_TYPE_F64, SW_TYPE_BOOL, SW_TYPE_TIME, SW_TYPE_STRING };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, 5, &schema, NULL), SW_OK);
    return schema;
}

/* A clock that stands still: rows made at different times are the same. */
static sw_source_context still_context(sw_clock *clock, const sw_schema *schema, const char *time_field)
{
    sw_source_context context = context_of(schema, time_field);
    context.clock = clock;
    context.max_ahead_ms = time_field != NULL ? 500 : 0;
    return context;
}

static void decode_ready(sw_text_source *text, sw_batch *out)
{
    uint32_t before;
    do {
        before = out->count;
        assert_int_equal(sw_text_source_decode(text, "in", out, before + ROWS_MAX, NULL), SW_OK);
    } while (out->count > before);
}

/* Reads all bytes as a source does, in chunks. */
static void read_together(const sw_source_context *context, double chunk, const sw_buf *bytes, sw_batch *out)
{
    sw_option option = { .name = "chunk_bytes", .kind = SW_OPTION_NUMBER, .number = chunk };
    sw_options options = { &option, 1 };
    sw_text_source text;
    assert_int_equal(sw_text_source_init(&text, &options, context, NULL), SW_OK);
    for (size_t at = 0, room = 0; at < bytes->size; at += room) {
        uint8_t *to = sw_text_source_room(&text, &room);
        assert_non_null(to);
        if (room > bytes->size - at) room = bytes->size - at;
        memcpy(to, bytes->data + at, room);
        sw_text_source_added(&text, room);
        decode_ready(&text, out);
    }
    sw_text_source_finish(&text);
    decode_ready(&text, out);
    sw_text_source_deinit(&text);
}

/* Decodes each line as a text of its own, a line end behind it. */
static void read_one_by_one(const sw_source_context *context, sw_buf *bytes, sw_batch *out)
{
    sw_decoder *decoder = NULL;
    assert_int_equal(sw_buf_reserve(bytes, PADDING + 1), SW_OK);
    memset(bytes->data + bytes->size, '\n', PADDING + 1);
    const char *at = (const char *)bytes->data, *end = at + bytes->size;
    assert_int_equal(sw_decoder_new(&decoder, "jsonl", context, NULL), SW_OK);
    for (uint64_t number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        size_t len = (size_t)(stop - at);
        if (len > 0 && at[len - 1] == '\r') len--;
        sw_piece piece = { at, len, PADDING, "in", number };
        assert_int_equal(sw_decoder_decode(decoder, &piece, out, NULL), SW_OK);
        at = stop + 1;
    }
    sw_decoder_free(decoder);
}

/* What lies behind a row's body is of no account. */
static bool are_same(const sw_batch *a, const sw_batch *b)
{
    const sw_row *row = (const sw_row *)(void *)a->data, *other = (const sw_row *)(void *)b->data;
    if (a->count != b->count || a->size != b->size) return false;
    for (uint32_t i = 0; i < a->count; i++, row = sw_row_next(row), other = sw_row_next(other))
        if (row->len != other->len || memcmp(row, other, sizeof(*row) + row->body_len) != 0) return false;
    return true;
}

static void check_same_rows(const sw_source_context *context, sw_buf *bytes)
{
    static const double chunks[] = { 16, 61, 512, 65536 };
    sw_batch expected, found;
    sw_batch_init(&expected);
    sw_batch_init(&found);
    read_one_by_one(context, bytes, &expected);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
        read_together(context, chunks[i], bytes, &found);
        if (!are_same(&found, &expected))
            fail_msg("%u rows instead of %u, or others, of: %.*s", found.count, expected.count, (int)bytes->size,
                     (const char *)bytes->data);
        sw_batch_clear(&found);
    }
    sw_batch_deinit(&expected);
    sw_batch_deinit(&found);
}

/* As maps and records, with and without time. */
static void check_all(sw_buf *bytes)
{
    sw_clock *clock = sw_clock_virtual_new(1000);
    for (int i = 0; i < 4; i++) {
        const sw_schema *schema = i % 2 == 0 ? NULL : schema_of_events();
        sw_source_context context = still_context(clock, schema, i < 2 ? NULL : "ts");
        check_same_rows(&context, bytes);
    }
    sw_clock_free(clock);
}

static const char *const lines[] = {
    "{\"id\":1,\"price\":2.5,\"ok\":true,\"ts\":3,\"name\":\"a name longer than sixteen bytes\",\"x\":\"\"}",
    "{\"id\":12345678,\"price\":9,\"ok\":false,\"ts\":1234567890123456,\"name\":\"\",\"x\":0}",
    "{\"id\":123456789012345678,\"price\":-1e3,\"ok\":null,\"ts\":1501,\"name\":\"\\u00e9\\n\",\"x\":-1}",
    "{\"id\":-7,\"price\":18446744073709551615,\"ok\":true,\"ts\":1499,\"name\":\"\xc3\xa9\",\"x\":1.5}",
    "{\"id\":1,\"id\":2,\"id\":null,\"id\":3,\"ts\":4}",
    "{\"ts\":5,\"name\":\"b\",\"name\":null,\"x\":[1,{\"id\":9}]}",
    "{\"id\": 1, \"price\": 2.5, \"ts\": 3, \"name\": \"spaced\", \"x\": null}",
    "  {\"id\" : 1 , \"ts\" : 3\t}  ",
    "{\"id\":00,\"ts\":1}",
    "{\"id\":12345678901234567x,\"ts\":1}",
    "{\"id\":1.5,\"ts\":1}",
    "{\"id\":9007199254740993,\"ts\":9223372036854775808}",
    "{\"x\":truth,\"ts\":1}",
    "{\"x\":true,\"y\":false,\"z\":null,\"ts\":1}",
    "{\"name\":\"\\q\",\"ts\":1}",
    "{\"x\":\"\\q\",\"ts\":1}",
    "{\"a key that is so long that its lead does not fit into the words there are\":1,\"ts\":2}",
    "{\"seventeen bytes!!\":1,\"ts\":2}",
    "{\"seventeen bytes!?\":1,\"ts\":2}",
    "{}",
    "",
    " ",
    "[]",
    "{\"id\":1,\"ts\":2} {}",
    "{\"id\":1,\"ts\":2}}",
    "{\"id\":",
    "{\"id\":1,",
    "\"name\":\"x\",\"ts\":1}",
    "{\"id\":12",
    ",\"ts\":1}",
    "{\"ts\":1,\"name\":\"x\"",
    "}",
    "{\"ts\":1,\"x\":\"not closed",
    "{\"ts\":1,\"x\":\"\x01\"}",
    "{\"ts\":1,\"x\":\"\xff\"}",
    "{\"ts\":1,\"x\":\"ends with a backslash\\",
    "\\",
};
enum { LINES = sizeof(lines) / sizeof(*lines) };

/* Every line behind every other, between two that are good. */
static void lines_read_together_are_decoded_as_each_by_itself(void **state)
{
    sw_buf bytes;
    (void)state;
    sw_buf_init(&bytes);
    for (int i = 0; i < LINES; i++) {
        sw_buf_clear(&bytes);
        for (int k = 0; k < LINES; k++)
            sw_buf_printf(&bytes, "%s\n%s%s%s%s", lines[0], lines[i], k % 3 == 0 ? "\r\n" : "\n", lines[k],
                          k == LINES - 1 ? "" : "\n");
        check_all(&bytes);
        sw_buf_clear(&bytes);
        sw_buf_printf(&bytes, "%s\n%s\n%s\n%s\n", lines[0], lines[0], lines[i], lines[0]);
        check_all(&bytes);
    }
    sw_buf_deinit(&bytes);
}

static void damaged_lines_read_together_are_decoded_as_each_by_itself(void **state)
{
    enum { ROUNDS = 3000 };
    static const char marks[] = "{}[]:,\"\\ 0-.eEtfnu\x80\xc3\n\r";
    sw_buf bytes;
    sw_rng rng;
    (void)state;
    sw_rng_seed(&rng, 7);
    sw_buf_init(&bytes);
    for (int round = 0; round < ROUNDS; round++) {
        sw_buf_clear(&bytes);
        for (int i = 0; i < 8; i++) sw_buf_printf(&bytes, "%s\n", lines[sw_rng_below(&rng, 8)]);
        for (uint64_t n = sw_rng_below(&rng, 4); n > 0; n--)
            bytes.data[sw_rng_below(&rng, bytes.size)] = (uint8_t)marks[sw_rng_below(&rng, sizeof(marks) - 1)];
        check_all(&bytes);
    }
    sw_buf_deinit(&bytes);
}

/* What this is for: no one looks for the end of such a line. */
static void a_plain_line_among_those_looked_ahead_at_is_taken_at_once(void **state)
{
    static const char text[] = "{\"id\":1,\"x\":-1.5}\n{\"id\":2,\"x\":-2.5}\r\n{\"id\":3,\"x\":-3.5}\n{\"id\":4";
    enum { LINE = 17, NEXT = LINE + 1, LAST = NEXT + LINE + 2, END = LAST + LINE + 1 };
    const sw_schema *const schemas[] = { NULL, schema_of_events() };
    (void)state;
    for (int i = 0; i < 2; i++) {
        char padded[sizeof(text) + PADDING] = { 0 };
        sw_decoder *decoder = decoder_of("jsonl", schemas[i], NULL);
        sw_piece first = { padded, LINE, sizeof(padded) - LINE, "in", 1 };
        sw_batch batch;
        sw_batch_init(&batch);
        memcpy(padded, text, sizeof(text));
        assert_int_equal(sw_decoder_decode_plain(decoder, padded, 100, &batch), 0);
        sw_decoder_look_ahead(decoder, padded, END);
        assert_int_equal(sw_decoder_decode(decoder, &first, &batch, NULL), SW_OK); /* Now the keys are known. */
        assert_int_equal(sw_decoder_decode_plain(decoder, padded + NEXT, LINE - 1, &batch), 0);
        assert_int_equal(batch.count, 1);
        assert_int_equal(sw_decoder_decode_plain(decoder, padded + NEXT, LINE, &batch), LINE + 2);
        assert_int_equal(sw_decoder_decode_plain(decoder, padded + LAST, LINE, &batch), LINE + 1);
        assert_int_equal(batch.count, 3);
        assert_int_equal(sw_decoder_decode_plain(decoder, padded + END, 100, &batch), 0);
        sw_decoder_look_ahead(decoder, NULL, 0);
        assert_int_equal(sw_decoder_decode_plain(decoder, padded + LAST, LINE, &batch), 0);
        sw_batch_deinit(&batch);
        sw_decoder_free(decoder);
    }
}

static void lines_far_from_one_that_is_wrong_are_taken_at_once_too(void **state)
{
    enum { LINES_TOGETHER = 1000 };
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_buf text;
    sw_batch batch;
    int taken = 0;
    (void)state;
    sw_buf_init(&text);
    sw_batch_init(&batch);
    sw_buf_printf(&text, "{\"id\":\"not closed\n");
    size_t at = text.size, ready;
    for (int i = 0; i < LINES_TOGETHER; i++) sw_buf_printf(&text, "{\"id\":%d,\"name\":\"some name\"}\n", i);
    ready = text.size;
    sw_buf_printf(&text, "%*s", (int)PADDING, "");
    sw_decoder_look_ahead(decoder, (const char *)text.data, ready);
    while (at < ready) {
        const char *line = (const char *)text.data + at;
        size_t size = sw_decoder_decode_plain(decoder, line, 100, &batch);
        taken += size > 0;
        if (size == 0) {
            size = (size_t)(strchr(line, '\n') + 1 - line);
            sw_piece piece = { line, size - 1, text.size - at - size, "in", 1 };
            assert_int_equal(sw_decoder_decode(decoder, &piece, &batch, NULL), SW_OK);
        }
        at += size;
    }
    assert_int_equal(batch.count, LINES_TOGETHER);
    assert_true(taken > LINES_TOGETHER * 9 / 10);
    sw_batch_deinit(&batch);
    sw_buf_deinit(&text);
    sw_decoder_free(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line_among_those_looked_ahead_at_is_taken_at_once),
        cmocka_unit_test(lines_far_from_one_that_is_wrong_are_taken_at_once_too),
        cmocka_unit_test(lines_read_together_are_decoded_as_each_by_itself),
        cmocka_unit_test(damaged_lines_read_together_are_decoded_as_each_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
