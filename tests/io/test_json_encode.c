#include "io_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "io/json_encode.h"
#include "io/mp.h"

/* A row whose body is these bytes of msgpack. */
static sw_row *map_row(sw_batch *batch, const void *body, size_t len)
{
    sw_batch_init(batch);
    sw_row *row = sw_batch_reserve(batch, sw_row_size((uint32_t)len, 0));
    assert_non_null(row);
    memset(row, 0, sizeof(*row));
    row->body_len = (uint32_t)len;
    memcpy(sw_row_body(row), body, len);
    sw_batch_commit(batch, sw_row_size((uint32_t)len, 0));
    return row;
}

static void check_map(const void *body, size_t len, const char *expected)
{
    sw_batch batch;
    sw_buf json;
    json_of(map_row(&batch, body, len), &json);
    assert_string_equal((char *)json.data, expected);
    sw_buf_deinit(&json);
    sw_batch_deinit(&batch);
}

#define CHECK_MAP(body, expected) check_map(body, sizeof(body) - 1, expected)

/* The row has no JSON form, the error names what is at fault, and the text before is untouched. */
static void check_refused(const sw_row *row, const char *format, const char *error)
{
    sw_encoder *encoder = NULL;
    sw_error err = { 0 };
    sw_buf out;
    sw_buf_init(&out);
    sw_buf_append_str(&out, "before");
    assert_int_equal(sw_encoder_new(&encoder, format, NULL), SW_OK);
    assert_int_equal(sw_encoder_encode(encoder, row, &out, &err), SW_EFORMAT);
    if (strstr(err.text, error) == NULL) fail_msg("%s", err.text);
    assert_int_equal(out.size, 6);
    sw_encoder_free(encoder);
    sw_buf_deinit(&out);
}

static void check_map_refused(const void *body, size_t len, const char *error)
{
    sw_batch batch;
    check_refused(map_row(&batch, body, len), "jsonl", error);
    sw_batch_deinit(&batch);
}

#define CHECK_REFUSED(body, error) check_map_refused(body, sizeof(body) - 1, error)

static void maps_are_sorted_by_key_bytes_at_every_level(void **state)
{
    (void)state;
    CHECK_MAP("\x80", "{}");
    CHECK_MAP("\x83\xa1"
              "b\x01\xa1"
              "a\x02\xa2"
              "aa\x03",
              "{\"a\":2,\"aa\":3,\"b\":1}");
    CHECK_MAP("\x82\xa1"
              "z\x82\xa1"
              "y\x01\xa1"
              "x\x02\xa1"
              "a\x91\x82\xa1"
              "q\xc3\xa1"
              "p\xc2",
              "{\"a\":[{\"p\":false,\"q\":true}],\"z\":{\"x\":2,\"y\":1}}");
    CHECK_MAP("\x83\xa9"
              "prefix_ab\x01\xa8"
              "prefix_a\x02\xa9"
              "prefix_aa\x03",
              "{\"prefix_a\":2,\"prefix_aa\":3,\"prefix_ab\":1}");
    CHECK_MAP("\x82\xa2\xc3\xa9\x01\xa1z\x02", "{\"z\":2,\"\xc3\xa9\":1}");
}

static void nil_members_are_left_out_and_nil_elements_are_null(void **state)
{
    (void)state;
    CHECK_MAP("\x82\xa1"
              "a\xc0\xa1"
              "b\x92\xc0\x01",
              "{\"b\":[null,1]}");
}

static void every_msgpack_number_has_its_json(void **state)
{
    (void)state;
    CHECK_MAP(
        "\x81\xa1n\x9a\x7f\xff\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
        "{\"n\":[127,-1,255,65535,4294967295,18446744073709551615,-128,-32768,-2147483648,-9223372036854775808]}");
    CHECK_MAP(
        "\x81\xa1n\x93\xca\x3f\xc0\x00\x00\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xcb\x80\x00\x00\x00\x00\x00\x00\x00",
        "{\"n\":[1.5,0.1,-0.0]}");
    CHECK_MAP("\x81\xa1n\x93\xcb\x43\x40\x00\x00\x00\x00\x00\x00\xcb\x43\x50\x00\x00\x00\x00\x00\x00\xcb\xc4\x00\x00"
              "\x00\x00\x00\x00\x00",
              "{\"n\":[9007199254740992,18014398509481984.0,-36893488147419103232.0]}");
}

static void number_keys_are_their_digits_and_bytes_are_text(void **state)
{
    (void)state;
    CHECK_MAP("\x83\x0a\x01\x02\x02\xa1"
              "1\x03",
              "{\"1\":3,\"10\":1,\"2\":2}");
    CHECK_MAP("\x81\xa1"
              "b\xc4\x02hi",
              "{\"b\":\"hi\"}");
}

static void what_has_no_json_form_is_refused_and_named(void **state)
{
    (void)state;
    CHECK_REFUSED("\x81\xa1x\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "field \"x\": NaN");
    CHECK_REFUSED("\x81\xa1x\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "field \"x\": infinity");
    CHECK_REFUSED("\x81\xa1x\x81\xa1y\x91\xa1\xff", "field \"x\": field \"y\": text that is not UTF-8");
    CHECK_REFUSED("\x82\xa1"
                  "a\x01\xa1\xff\x01",
                  "not UTF-8");
    CHECK_REFUSED("\x81\xa1x\xd4\x01\x02", "field \"x\": a msgpack extension");
    CHECK_REFUSED("\x81\xc3\x01", "a key is neither");
    CHECK_REFUSED("\x81\xa1x", "damaged");
    CHECK_REFUSED("\x81\xa5x", "damaged");
    CHECK_REFUSED("\x81\xa1x\xdd\xff\xff\xff\xff", "damaged");
    CHECK_REFUSED("\x81\xa1x\xc1", "damaged");
    CHECK_REFUSED("\x01", "damaged");
}

/* A value as a lenient encoder writes it; is_exact: nothing stands for something else. */
static void check_lenient(const void *bytes, size_t len, const char *expected, bool is_exact)
{
    sw_json_encoder encoder;
    sw_buf out = { 0 };
    sw_json_encoder_init(&encoder);
    assert_int_equal(sw_json_encode_value(&encoder, bytes, len, &out, NULL), is_exact ? SW_OK : SW_EFORMAT);
    sw_buf_clear(&out);
    encoder.is_lenient = true;
    assert_int_equal(sw_json_encode_value(&encoder, bytes, len, &out, NULL), SW_OK);
    assert_int_equal(encoder.was_exact, is_exact);
    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
    sw_json_encoder_deinit(&encoder);
    sw_buf_deinit(&out);
}

#define CHECK_EXACT(bytes, expected) check_lenient(bytes, sizeof(bytes) - 1, expected, true)
#define CHECK_INEXACT(bytes, expected) check_lenient(bytes, sizeof(bytes) - 1, expected, false)

static void a_value_of_any_type_is_written(void **state)
{
    (void)state;
    CHECK_EXACT("\xa2"
                "c1",
                "\"c1\"");
    CHECK_EXACT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
    CHECK_EXACT("\xc0", "null");
    CHECK_EXACT("\x92\xa1"
                "a\x01",
                "[\"a\",1]");
    CHECK_EXACT("\x81\xa1x\x90", "{\"x\":[]}");
}

static void a_lenient_encoder_writes_what_has_no_json_form_as_something_else(void **state)
{
    (void)state;
    CHECK_INEXACT("\xa3\xffxy", "\"\xef\xbf\xbdxy\"");
    CHECK_INEXACT("\xa4\xc3\xa9\xc3\"", "\"\xc3\xa9\xef\xbf\xbd\\\"\""); /* e acute, and half of one */
    CHECK_INEXACT("\x81\xa1\xff\x01", "{\"\xef\xbf\xbd\":1}");
    CHECK_INEXACT("\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "[\"nan\"]");
    CHECK_INEXACT("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", "\"-inf\"");
}

static void more_or_less_than_one_value_is_damaged(void **state)
{
    sw_json_encoder encoder;
    sw_buf out = { 0 };
    (void)state;
    sw_json_encoder_init(&encoder);
    assert_int_equal(sw_json_encode_value(&encoder, (const uint8_t *)"\x01\x02", 2, &out, NULL), SW_EFORMAT);
    assert_int_equal(sw_json_encode_value(&encoder, (const uint8_t *)"", 0, &out, NULL), SW_EFORMAT);
    assert_int_equal(out.size, 0);
    sw_json_encoder_deinit(&encoder);
    sw_buf_deinit(&out);
}

static void deep_nesting_is_refused_and_not_followed(void **state)
{
    enum { DEPTH = 100000 };
    uint8_t *body = malloc(3 + DEPTH + 1);
    (void)state;
    assert_non_null(body);
    memcpy(body, "\x81\xa1x", 3);
    memset(body + 3, 0x91, DEPTH);
    body[3 + DEPTH] = 1;
    check_map_refused(body, 3 + DEPTH + 1, "nested deeper");
    free(body);
}

/* Each byte at each place of strings up to 40 bytes: every block size and tail of the scanner. */
static void strings_are_escaped_at_every_place(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        for (uint32_t len = 1; len <= 40; len += len < 20 ? 1 : 7) {
            for (uint32_t at = 0; at < len; at++) {
                uint8_t body[64] = { 0x81, 0xa1, 'k' };
                char text[40], expected[128], escaped[8];
                memset(text, 'x', len);
                text[at] = (char)c;
                uint8_t *end = sw_mp_str(body + 3, text, len);
                const char *simple = c == '"'    ? "\\\""
                                     : c == '\\' ? "\\\\"
                                     : c == 8    ? "\\b"
                                     : c == 9    ? "\\t"
                                     : c == 10   ? "\\n"
                                     : c == 12   ? "\\f"
                                     : c == 13   ? "\\r"
                                                 : NULL;
                if (simple != NULL) {
                    snprintf(escaped, sizeof(escaped), "%s", simple);
                } else {
                    snprintf(escaped, sizeof(escaped), c < 0x20 ? "\\u%04x" : "%c", c);
                }
                snprintf(expected, sizeof(expected), "{\"k\":\"%.*s%s%.*s\"}", (int)at,
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", escaped, (int)(len - at - 1),
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
                check_map(body, (size_t)(end - body), expected);
            }
        }
    }
}

static void long_strings_of_escapes_come_through(void **state)
{
    enum { LEN = 30000 };
    char *text = malloc(LEN);
    uint8_t *body = malloc(LEN + 16);
    sw_batch batch;
    sw_buf json;
    (void)state;
    assert_non_null(text);
    assert_non_null(body);
    memset(text, 1, LEN);
    memcpy(body, "\x81\xa1k", 3);
    uint8_t *end = sw_mp_str(body + 3, text, LEN);
    json_of(map_row(&batch, body, (size_t)(end - body)), &json);
    assert_int_equal(json.size - 1, 6 * LEN + 8);
    assert_memory_equal(json.data + 5, "\"\\u0001\\u0001", 13);
    sw_buf_deinit(&json);
    sw_batch_deinit(&batch);
    free(body);
    free(text);
}

/* --- records -------------------------------------------------------------------------------------- */

static const sw_schema *schema_of(const char *name, sw_type type)
{
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(&name, &type, 1, &schema, NULL), SW_OK);
    return schema;
}

static sw_row *record_row(sw_batch *batch, const sw_schema *schema, sw_slot slot, const char *text, uint32_t len)
{
    uint32_t size = (uint32_t)sizeof(sw_row) + schema->fixed_size + len;
    sw_batch_init(batch);
    sw_row *row = sw_batch_reserve(batch, size);
    assert_non_null(row);
    memset(row, 0, sizeof(*row));
    row->schema = schema->id;
    row->body_len = schema->fixed_size + len;
    sw_row_presence(row)[0] = 1;
    if (text != NULL) {
        slot.s.off = (uint32_t)sizeof(sw_row) + schema->fixed_size;
        slot.s.len = len;
        memcpy((uint8_t *)row + slot.s.off, text, len);
    }
    sw_row_slots(row, schema)[0] = slot;
    sw_batch_commit(batch, size);
    return row;
}

static void a_records_bad_value_is_refused_and_named(void **state)
{
    sw_batch batch;
    (void)state;
    check_refused(record_row(&batch, schema_of("price", SW_TYPE_F64), (sw_slot){ .f = NAN }, NULL, 0), "jsonl",
                  "field \"price\": NaN");
    sw_batch_deinit(&batch);
    check_refused(record_row(&batch, schema_of("price", SW_TYPE_F64), (sw_slot){ .f = -INFINITY }, NULL, 0), "jsonl",
                  "field \"price\": infinity");
    sw_batch_deinit(&batch);
    check_refused(record_row(&batch, schema_of("name", SW_TYPE_STRING), (sw_slot){ 0 }, "ok\xc3", 3), "jsonl",
                  "field \"name\": text that is not UTF-8");
    sw_batch_deinit(&batch);
}

static void a_field_name_is_escaped(void **state)
{
    sw_batch batch;
    sw_buf json;
    (void)state;
    json_of(record_row(&batch, schema_of("a\"b", SW_TYPE_I64), (sw_slot){ .i = -7 }, NULL, 0), &json);
    assert_string_equal((char *)json.data, "{\"a\\\"b\":-7}");
    sw_buf_deinit(&json);
    sw_batch_deinit(&batch);
}

/* A row of { <a...>: i64, <b...>: string, <c...>: f64 } with names of len bytes, and its JSON. */
static sw_row *row_of_long_names(sw_batch *batch, unsigned len, uint64_t presence, uint32_t text_len, sw_buf *expected)
{
    char names[3][100], *text = malloc(text_len + 1);
    const char *list[] = { names[0], names[1], names[2] };
    const sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING, SW_TYPE_F64 };
    const sw_schema *schema = NULL;
    assert_non_null(text);
    for (int i = 0; i < 3; i++) ((char *)memset(names[i], 'a' + i, len))[len] = 0;
    memset(text, 't', text_len);
    text[text_len] = 0;
    assert_int_equal(sw_schema_intern(list, types, 3, &schema, NULL), SW_OK);
    sw_row *row = record_row(batch, schema, (sw_slot){ .i = 0 }, text, text_len);
    sw_slot *slots = sw_row_slots(row, schema);
    sw_row_presence(row)[0] = presence;
    slots[1] = slots[0];
    slots[0].i = INT64_MIN;
    slots[2].f = -1.7976931348623157e308;
    sw_buf_clear(expected);
    if (presence & 1) sw_buf_printf(expected, ",\"%s\":-9223372036854775808", names[0]);
    if (presence & 2) sw_buf_printf(expected, ",\"%s\":\"%s\"", names[1], text);
    if (presence & 4) sw_buf_printf(expected, ",\"%s\":-1.7976931348623157e+308", names[2]);
    sw_buf_printf(expected, "%s}\n", presence == 0 ? "{" : "");
    expected->data[0] = '{';
    free(text);
    return row;
}

static void records_of_one_schema_behind_another_have_their_own_names(void **state)
{
    sw_encoder *encoder = NULL;
    sw_buf expected;
    (void)state;
    sw_buf_init(&expected);
    assert_int_equal(sw_encoder_new(&encoder, "jsonl", NULL), SW_OK);
    for (unsigned len = 1; len < 80; len++) {
        for (uint64_t presence = 0; presence < 8; presence++) {
            sw_batch batch;
            sw_buf json;
            sw_buf_init(&json); /* Without any room. */
            sw_row *row = row_of_long_names(&batch, len, presence, 40 * len, &expected);
            assert_int_equal(sw_encoder_encode(encoder, row, &json, NULL), SW_OK);
            assert_int_equal(json.size, expected.size);
            assert_memory_equal(json.data, expected.data, json.size);
            sw_buf_deinit(&json);
            sw_batch_deinit(&batch);
        }
    }
    sw_encoder_free(encoder);
    sw_buf_deinit(&expected);
}

/* --- lines ---------------------------------------------------------------------------------------- */

static void encode_line(const sw_row *row, const char *expected, size_t len)
{
    sw_encoder *encoder = NULL;
    sw_buf out;
    sw_buf_init(&out);
    assert_int_equal(sw_encoder_new(&encoder, "lines", NULL), SW_OK);
    assert_int_equal(sw_encoder_encode(encoder, row, &out, NULL), SW_OK);
    assert_int_equal(out.size, len);
    assert_memory_equal(out.data, expected, len);
    sw_encoder_free(encoder);
    sw_buf_deinit(&out);
}

static void lines_come_back_as_they_were(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        { "", 0 },
        { "  ", 2 },
        { "{\"a\":", 5 },
        { "\xff\0\xfe", 3 },
        { "a much longer line than thirty-two bytes", 40 },
    };
    sw_decoder *decoders[] = { decoder_of("lines", NULL, NULL),
                               decoder_of("lines", schema_of("line", SW_TYPE_STRING), NULL) };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int shape = 0; shape < 2; shape++) {
            char expected[64];
            sw_batch batch;
            sw_batch_init(&batch);
            decode_bytes(decoders[shape], cases[i].text, cases[i].len, &batch);
            memcpy(expected, cases[i].text, cases[i].len);
            expected[cases[i].len] = '\n';
            encode_line(first_row(&batch), expected, cases[i].len + 1);
            sw_batch_deinit(&batch);
        }
    }
    sw_decoder_free(decoders[0]);
    sw_decoder_free(decoders[1]);
}

static void lines_need_the_field_line_as_one_line_of_text(void **state)
{
    sw_batch batch;
    (void)state;
    check_refused(map_row(&batch, "\x81\xa1x\x01", 4), "lines", "\"line\"");
    sw_batch_deinit(&batch);
    check_refused(map_row(&batch, "\x81\xa4line\x01", 7), "lines", "\"line\"");
    sw_batch_deinit(&batch);
    check_refused(map_row(&batch,
                          "\x81\xa4line\xa3"
                          "a\nb",
                          10),
                  "lines", "line break");
    sw_batch_deinit(&batch);
    check_refused(record_row(&batch, schema_of("line", SW_TYPE_STRING), (sw_slot){ 0 }, "a\n", 2), "lines",
                  "line break");
    sw_batch_deinit(&batch);
}

/* --- round trips ---------------------------------------------------------------------------------- */

static uint8_t *random_value(sw_rng *rng, uint8_t *p, int depth);

static uint8_t *random_string(sw_rng *rng, uint8_t *p)
{
    static const char *const pieces[] = {
        "a", "\"", "\\", "\n", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80", "0123456789abcdef", "/"
    };
    char text[256];
    uint32_t len = 0;
    for (uint64_t n = sw_rng_below(rng, 8); n > 0; n--) {
        const char *piece = pieces[sw_rng_below(rng, sizeof(pieces) / sizeof(*pieces))];
        memcpy(text + len, piece, strlen(piece));
        len += (uint32_t)strlen(piece);
    }
    return sw_mp_str(p, text, len);
}

static uint8_t *random_number(sw_rng *rng, uint8_t *p)
{
    uint64_t bits = sw_rng_next(rng);
    double value;
    switch (sw_rng_below(rng, 3)) {
    case 0: return sw_mp_i64(p, (int64_t)bits >> sw_rng_below(rng, 64));
    case 1: return sw_mp_u64(p, bits >> sw_rng_below(rng, 64));
    default:
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value) || (fabs(value) <= 9007199254740992.0 && value == trunc(value))) return sw_mp_f64(p, 0.1);
        return sw_mp_f64(p, value);
    }
}

/* Keys in ascending order, so that the row is already what decoding its JSON gives. */
static uint8_t *random_map(sw_rng *rng, uint8_t *p, int depth)
{
    uint32_t count = (uint32_t)sw_rng_below(rng, depth == 0 ? 20 : 4);
    p = sw_mp_map_header(p, count);
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%02u", i);
        p = random_value(rng, sw_mp_str(p, key, 3), depth + 1);
    }
    return p;
}

static uint8_t *random_array(sw_rng *rng, uint8_t *p, int depth)
{
    uint32_t count = (uint32_t)sw_rng_below(rng, 4);
    p = sw_mp_array_header(p, count);
    for (uint32_t i = 0; i < count; i++) p = random_value(rng, p, depth + 1);
    return p;
}

static uint8_t *random_value(sw_rng *rng, uint8_t *p, int depth)
{
    switch (sw_rng_below(rng, depth < 4 ? 5 : 3)) {
    case 0: return random_number(rng, p);
    case 1: return random_string(rng, p);
    case 2: *p++ = sw_rng_below(rng, 2) ? SW_MP_TRUE : SW_MP_FALSE; return p;
    case 3: return random_map(rng, p, depth);
    default: return random_array(rng, p, depth);
    }
}

static void random_maps_come_back_byte_for_byte(void **state)
{
    enum { ROUNDS = 5000 };
    static uint8_t body[1 << 20];
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_rng rng;
    (void)state;
    sw_rng_seed(&rng, 7);
    for (int i = 0; i < ROUNDS; i++) {
        sw_batch in, out;
        sw_buf json;
        size_t len = (size_t)(random_map(&rng, body, 0) - body);
        assert_true(len < sizeof(body));
        json_of(map_row(&in, body, len), &json);
        sw_batch_init(&out);
        decode_bytes(decoder, json.data, json.size - 1, &out);
        assert_int_equal(first_row(&out)->kind, SW_ROW_EVENT);
        assert_int_equal(first_row(&out)->body_len, len);
        assert_memory_equal(sw_row_body(first_row(&out)), body, len);
        sw_buf_deinit(&json);
        sw_batch_deinit(&in);
        sw_batch_deinit(&out);
    }
    sw_decoder_free(decoder);
}

static void random_doubles_of_records_come_back_bit_for_bit(void **state)
{
    enum { ROUNDS = 20000 };
    const sw_schema *schema = schema_of("price", SW_TYPE_F64);
    sw_decoder *decoder = decoder_of("jsonl", schema, NULL);
    sw_rng rng;
    (void)state;
    sw_rng_seed(&rng, 11);
    for (int i = 0; i < ROUNDS; i++) {
        sw_batch in, out;
        sw_buf json;
        uint64_t bits = sw_rng_next(&rng);
        sw_slot slot = { .i = (int64_t)bits };
        if (i % 2 == 0) slot.f = (double)(int64_t)(bits >> 40) / 100; /* Prices, which take the short way. */
        if (!isfinite(slot.f)) continue;
        json_of(record_row(&in, schema, slot, NULL, 0), &json);
        sw_batch_init(&out);
        decode_bytes(decoder, json.data, json.size - 1, &out);
        assert_int_equal(first_row(&out)->kind, SW_ROW_EVENT);
        assert_true(sw_row_slots(first_row(&out), schema)[0].i == slot.i);
        sw_buf_deinit(&json);
        sw_batch_deinit(&in);
        sw_batch_deinit(&out);
    }
    sw_decoder_free(decoder);
}

static void damaged_msgpack_never_harms(void **state)
{
    enum { ROUNDS = 5000 };
    static uint8_t body[1 << 20];
    sw_encoder *encoders[2] = { NULL, NULL };
    sw_rng rng;
    sw_buf out;
    (void)state;
    sw_rng_seed(&rng, 13);
    sw_buf_init(&out);
    assert_int_equal(sw_encoder_new(&encoders[0], "jsonl", NULL), SW_OK);
    assert_int_equal(sw_encoder_new(&encoders[1], "lines", NULL), SW_OK);
    for (int i = 0; i < ROUNDS; i++) {
        sw_batch in;
        size_t len = (size_t)(random_map(&rng, body, 0) - body);
        body[sw_rng_below(&rng, len)] = (uint8_t)sw_rng_next(&rng);
        const sw_row *row = map_row(&in, body, len - sw_rng_below(&rng, len < 3 ? len : 3));
        sw_buf_clear(&out);
        for (int k = 0; k < 2; k++) {
            int rc = sw_encoder_encode(encoders[k], row, &out, NULL);
            assert_true(rc == SW_OK || rc == SW_EFORMAT);
        }
        sw_batch_deinit(&in);
    }
    sw_encoder_free(encoders[0]);
    sw_encoder_free(encoders[1]);
    sw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_sorted_by_key_bytes_at_every_level),
        cmocka_unit_test(nil_members_are_left_out_and_nil_elements_are_null),
        cmocka_unit_test(every_msgpack_number_has_its_json),
        cmocka_unit_test(number_keys_are_their_digits_and_bytes_are_text),
        cmocka_unit_test(what_has_no_json_form_is_refused_and_named),
        cmocka_unit_test(a_value_of_any_type_is_written),
        cmocka_unit_test(a_lenient_encoder_writes_what_has_no_json_form_as_something_else),
        cmocka_unit_test(more_or_less_than_one_value_is_damaged),
        cmocka_unit_test(deep_nesting_is_refused_and_not_followed),
        cmocka_unit_test(strings_are_escaped_at_every_place),
        cmocka_unit_test(long_strings_of_escapes_come_through),
        cmocka_unit_test(a_records_bad_value_is_refused_and_named),
        cmocka_unit_test(a_field_name_is_escaped),
        cmocka_unit_test(records_of_one_schema_behind_another_have_their_own_names),
        cmocka_unit_test(lines_come_back_as_they_were),
        cmocka_unit_test(lines_need_the_field_line_as_one_line_of_text),
        cmocka_unit_test(random_maps_come_back_byte_for_byte),
        cmocka_unit_test(random_doubles_of_records_come_back_bit_for_bit),
        cmocka_unit_test(damaged_msgpack_never_harms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
