#include "io_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "io/json_decode.h"

/* Each text, and the event as JSON with sorted keys; or what its error says. */
typedef struct good {
    const char *text, *json;
} good;
typedef struct bad {
    const char *text, *error;
} bad;

static const good good_maps[] = {
    { "{}", "{}" },
    { " { } ", "{}" },
    { "{\"a\":1}", "{\"a\":1}" },
    { "\t{ \"b\" : 2 , \"a\" : [ 1 , 2 ] }\r", "{\"a\":[1,2],\"b\":2}" },
    { "{\"a\":null}", "{}" },
    { "{\"a\":[null]}", "{\"a\":[null]}" },
    { "{\"a\":[],\"b\":{}}", "{\"a\":[],\"b\":{}}" },
    { "{\"a\":[[[]],{}]}", "{\"a\":[[[]],{}]}" },
    { "{\"a\":true,\"b\":false}", "{\"a\":true,\"b\":false}" },
    { "{\"\":\"\"}", "{\"\":\"\"}" },
    { "{\"a\":0}", "{\"a\":0}" },
    { "{\"a\":-0}", "{\"a\":-0.0}" },
    { "{\"a\":-0.0}", "{\"a\":-0.0}" },
    { "{\"a\":0.0}", "{\"a\":0}" },
    { "{\"a\":1.0}", "{\"a\":1}" },
    { "{\"a\":1e3}", "{\"a\":1000}" },
    { "{\"a\":-1.5E+2}", "{\"a\":-150}" },
    { "{\"a\":1.5}", "{\"a\":1.5}" },
    { "{\"a\":0.1}", "{\"a\":0.1}" },
    { "{\"a\":123456789.123456789}", "{\"a\":123456789.12345679}" },
    { "{\"a\":2.2250738585072011e-308}", "{\"a\":2.225073858507201e-308}" },
    { "{\"a\":1e-400}", "{\"a\":0}" },
    { "{\"a\":-1e-400}", "{\"a\":-0.0}" },
    { "{\"a\":1e300}", "{\"a\":1e+300}" },
    { "{\"a\":9007199254740993}", "{\"a\":9007199254740993}" },
    { "{\"a\":9223372036854775807}", "{\"a\":9223372036854775807}" },
    { "{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}" },
    { "{\"a\":9223372036854775808}", "{\"a\":9223372036854775808}" },
    { "{\"a\":18446744073709551615}", "{\"a\":18446744073709551615}" },
    { "{\"a\":1,\"a\":2}", "{\"a\":2}" },
    { "{\"a\":1,\"b\":5,\"a\":null}", "{\"b\":5}" },
    { "{\"a\":null,\"a\":2}", "{\"a\":2}" },
    { "{\"a\":1,\"\\u0061\":2}", "{\"a\":2}" },
    { "{\"x\":{\"a\":1,\"a\":[2]},\"a\":3}", "{\"a\":3,\"x\":{\"a\":[2]}}" },
    { "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{\"a\":\"\\\"\\\\/\\b\\f\\n\\r\\t\"}" },
    { "{\"a\":\"\\u0041\\u00e9\\u20ac\"}", "{\"a\":\"A\xc3\xa9\xe2\x82\xac\"}" },
    { "{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xf0\x9f\x98\x80\"}" },
    { "{\"a\":\"\\u0000x\"}", "{\"a\":\"\\u0000x\"}" },
    { "{\"a\":\"12345678901234\\n\"}", "{\"a\":\"12345678901234\\n\"}" },
    { "{\"a\":\"\xc3\xa9\"}", "{\"a\":\"\xc3\xa9\"}" },
    { "{\"k\\\"q\":1}", "{\"k\\\"q\":1}" },
    { "{\"a\":\"}{][,:\"}", "{\"a\":\"}{][,:\"}" },
};

static const bad bad_texts[] = {
    { "{", "ends before" },
    { "{\"a\"", "ends before" },
    { "{\"a\":", "ends before" },
    { "{\"a\":1", "ends before" },
    { "{\"a\":1,", "ends before" },
    { "{\"a\":{}", "ends before" },
    { "{\"a\":[1", "ends before" },
    { "{\"a\":tr", "ends before" },
    { "{\"a\":\"x", "not closed" },
    { "{\"a\":\"x\\\"}", "not closed" },
    { "{\"a\":1}}", "behind the object" },
    { "{\"a\":1} x", "behind the object" },
    { "{\"a\":1}{\"a\":2}", "behind the object" },
    { "{\"a\":1,}", "expected a key" },
    { "{,}", "expected a key" },
    { "{a:1}", "expected a key" },
    { "{1:1}", "expected a key" },
    { "{\"a\" 1}", "expected ':'" },
    { "{\"a\":1 \"b\":2}", "expected ',' or '}'" },
    { "{\"a\":[1,]}", "JSON value" },
    { "{\"a\":[1}", "expected ',' or ']'" },
    { "{\"a\":{]}", "expected a key" },
    { "[]", "not a JSON object" },
    { "1", "not a JSON object" },
    { "null", "not a JSON object" },
    { "\"a\"", "not a JSON object" },
    { "x", "not a JSON object" },
    { "{\"a\":nul}", "JSON value" },
    { "{\"a\":nulls}", "JSON value" },
    { "{\"a\":True}", "JSON value" },
    { "{\"a\":NaN}", "JSON value" },
    { "{\"a\":+1}", "JSON value" },
    { "{\"a\":.5}", "JSON value" },
    { "{\"a\":'x'}", "JSON value" },
    { "{\"a\":\"x\"y}", "expected ',' or '}'" },
    { "{\"a\":\"\x01\"}", "control character" },
    { "{\"a\":\"\xff\"}", "UTF-8" },
    { "{\"a\":\"\xc3\"}", "UTF-8" },
    { "{\"a\":\"\xed\xa0\x80\"}", "UTF-8" },
    { "{\"a\":\"\xc0\x80\"}", "UTF-8" },
};

/* Where a schema may skip the value without looking so closely. */
static const bad bad_maps[] = {
    { "{\"a\":01}", "begins with 0" },
    { "{\"a\":1.}", "behind its point" },
    { "{\"a\":1e}", "exponent" },
    { "{\"a\":-}", "JSON value" },
    { "{\"a\":1x}", "not a number" },
    { "{\"a\":1.5x}", "not a number" },
    { "{\"a\":0x10}", "not a number" },
    { "{\"a\":1e400}", "too large" },
    { "{\"a\":18446744073709551616}", "beyond 64 bits" },
    { "{\"a\":-9223372036854775809}", "beyond 64 bits" },
    { "{\"a\":100000000000000000000000}", "beyond 64 bits" },
    { "{\"a\":\"\\x\"}", "escape" },
    { "{\"a\":\"\\u12\"}", "escape" },
    { "{\"a\":\"\\u12g4\"}", "escape" },
    { "{\"a\":\"\\ud800\"}", "escape" },
    { "{\"a\":\"\\ud800x\"}", "escape" },
    { "{\"a\":\"\\ud800\\u0041\"}", "escape" },
    { "{\"a\":\"\\udc00\"}", "escape" },
    { "{\"\\ud800\":1}", "escape" },
};

static void check_good(sw_decoder *decoder, const good *c)
{
    sw_batch batch;
    sw_buf json;
    sw_batch_init(&batch);
    decode_bytes(decoder, c->text, strlen(c->text), &batch);
    sw_row *row = first_row(&batch);
    if (row->kind != SW_ROW_EVENT) fail_msg("rejected: %s", c->text);
    json_of(row, &json);
    assert_string_equal((char *)json.data, c->json);
    sw_buf_deinit(&json);
    sw_batch_deinit(&batch);
}

static void check_bad(sw_decoder *decoder, const bad *c)
{
    sw_batch batch;
    uint32_t len = 0;
    char text[256];
    sw_batch_init(&batch);
    decode_bytes(decoder, c->text, strlen(c->text), &batch);
    sw_row *row = first_row(&batch);
    if (row->kind != SW_ROW_MALFORMED) fail_msg("accepted: %s", c->text);
    const char *error = map_string(row, "error", &len);
    snprintf(text, sizeof(text), "%.*s", (int)len, error);
    if (strstr(text, c->error) == NULL) fail_msg("%s: %s", c->text, text);
    const char *raw = map_string(row, "raw", &len);
    assert_int_equal(len, strlen(c->text));
    assert_memory_equal(raw, c->text, len);
    assert_memory_equal(map_string(row, "where", &len), "in.jsonl:7", 10);
    sw_batch_deinit(&batch);
}

static void objects_become_maps(void **state)
{
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    (void)state;
    for (int round = 0; round < 2; round++) /* The second round meets remembered keys. */
        for (size_t i = 0; i < sizeof(good_maps) / sizeof(*good_maps); i++) check_good(decoder, &good_maps[i]);
    sw_decoder_free(decoder);
}

static void text_that_is_no_object_is_malformed_in_either_shape(void **state)
{
    const char *name = "n";
    const sw_type type = SW_TYPE_I64;
    const sw_schema *schema = NULL;
    (void)state;
    assert_int_equal(sw_schema_intern(&name, &type, 1, &schema, NULL), SW_OK);
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_decoder *projected = decoder_of("jsonl", schema, NULL);
    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(*bad_texts); i++) {
        check_bad(decoder, &bad_texts[i]);
        check_bad(projected, &bad_texts[i]);
    }
    for (size_t i = 0; i < sizeof(bad_maps) / sizeof(*bad_maps); i++) check_bad(decoder, &bad_maps[i]);
    sw_decoder_free(projected);
    sw_decoder_free(decoder);
}

static void blank_lines_make_no_row(void **state)
{
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_batch batch;
    (void)state;
    sw_batch_init(&batch);
    decode_bytes(decoder, "", 0, &batch);
    decode_bytes(decoder, " \t\r", 3, &batch);
    assert_int_equal(batch.count, 0);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
}

/* {"a":{"a": ... depth times ... {} } } or with arrays. */
static char *nested(size_t depth, const char *open, const char *close)
{
    size_t open_len = strlen(open), close_len = strlen(close);
    char *text = malloc(depth * (open_len + close_len) + 16);
    char *p = text;
    assert_non_null(text);
    p += snprintf(p, 16, "{\"a\":");
    for (size_t i = 0; i < depth; i++) p = (char *)memcpy(p, open, open_len) + open_len;
    *p++ = '1';
    for (size_t i = 0; i < depth; i++) p = (char *)memcpy(p, close, close_len) + close_len;
    *p++ = '}';
    *p = 0;
    return text;
}

static void nesting_is_bounded(void **state)
{
    static const struct {
        size_t depth;
        bool is_good;
    } cases[] = { { 1, true }, { SW_JSON_DEPTH_MAX - 1, true }, { SW_JSON_DEPTH_MAX, false }, { 100000, false } };
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    (void)state;
    for (int with_arrays = 0; with_arrays < 2; with_arrays++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            sw_batch batch;
            sw_batch_init(&batch);
            char *text = with_arrays ? nested(cases[i].depth, "[", "]") : nested(cases[i].depth, "{\"a\":", "}");
            decode_bytes(decoder, text, strlen(text), &batch);
            assert_int_equal(first_row(&batch)->kind, cases[i].is_good ? SW_ROW_EVENT : SW_ROW_MALFORMED);
            sw_batch_deinit(&batch);
            free(text);
        }
    }
    sw_decoder_free(decoder);
}

static void numbers_take_their_shortest_form(void **state)
{
    static const struct {
        const char *text;
        uint8_t bytes[10];
        uint32_t len;
    } cases[] = {
        { "0", { 0x00 }, 1 },
        { "127", { 0x7f }, 1 },
        { "128", { 0xcc, 0x80 }, 2 },
        { "256", { 0xcd, 0x01, 0x00 }, 3 },
        { "65536", { 0xce, 0, 1, 0, 0 }, 5 },
        { "4294967296", { 0xcf, 0, 0, 0, 1, 0, 0, 0, 0 }, 9 },
        { "18446744073709551615", { 0xcf, 255, 255, 255, 255, 255, 255, 255, 255 }, 9 },
        { "-1", { 0xff }, 1 },
        { "-32", { 0xe0 }, 1 },
        { "-33", { 0xd0, 0xdf }, 2 },
        { "-129", { 0xd1, 0xff, 0x7f }, 3 },
        { "-32769", { 0xd2, 0xff, 0xff, 0x7f, 0xff }, 5 },
        { "-2147483649", { 0xd3, 255, 255, 255, 255, 0x7f, 255, 255, 255 }, 9 },
        { "9007199254740992.0", { 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0 }, 9 },
        { "1.5", { 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0 }, 9 },
        { "-0.0", { 0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0 }, 9 },
        { "18014398509481984.0", { 0xcb, 0x43, 0x50, 0, 0, 0, 0, 0, 0 }, 9 },
        { "[]", { 0x90 }, 1 },
        { "{}", { 0x80 }, 1 },
    };
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[64];
        sw_batch batch;
        sw_batch_init(&batch);
        int len = snprintf(text, sizeof(text), "{\"n\":%s}", cases[i].text);
        decode_bytes(decoder, text, (size_t)len, &batch);
        sw_row *row = first_row(&batch);
        assert_int_equal(row->body_len, 3 + cases[i].len);
        assert_memory_equal(sw_row_body(row), "\x81\xa1n", 3);
        assert_memory_equal(sw_row_body(row) + 3, cases[i].bytes, cases[i].len);
        sw_batch_deinit(&batch);
    }
    sw_decoder_free(decoder);
}

/* Objects of 0 to 300 members pass the limits of the small headers and of the remembered keys. */
static void objects_of_any_size_keep_their_members(void **state)
{
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    (void)state;
    for (int count = 0; count <= 300; count += count < 20 ? 1 : 47) {
        sw_buf text, json;
        sw_batch batch;
        sw_batch_init(&batch);
        sw_buf_init(&text);
        sw_buf_printf(&text, "{\"o\":{");
        for (int i = 0; i < count; i++) sw_buf_printf(&text, "%s\"k%03d\":%d", i > 0 ? "," : "", i, i);
        sw_buf_printf(&text, "},\"p\":[");
        for (int i = 0; i < count; i++) sw_buf_printf(&text, "%s%d", i > 0 ? "," : "", i);
        sw_buf_printf(&text, "]}");
        decode_bytes(decoder, text.data, text.size, &batch);
        json_of(first_row(&batch), &json);
        assert_int_equal(json.size - 1, text.size);
        assert_memory_equal(json.data, text.data, text.size);
        sw_buf_deinit(&json);
        sw_buf_deinit(&text);
        sw_batch_deinit(&batch);
    }
    sw_decoder_free(decoder);
}

/* The keys are more than are remembered, some come three times, and only the last of each stays. */
static void the_last_of_equal_keys_stays_among_many(void **state)
{
    enum { KEYS = 400 };
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_buf text, expected, json;
    sw_batch batch;
    (void)state;
    sw_batch_init(&batch);
    sw_buf_init(&text);
    sw_buf_init(&expected);
    for (int round = 0; round < 3; round++)
        for (int i = round; i < KEYS; i += round + 1)
            sw_buf_printf(&text, "%c\"k%03d\":%d", text.size > 0 ? ',' : '{', i, round);
    sw_buf_printf(&text, "}");
    for (int i = 0; i < KEYS; i++) {
        int last = i >= 2 && (i - 2) % 3 == 0 ? 2 : i % 2 == 1 ? 1 : 0;
        sw_buf_printf(&expected, "%c\"k%03d\":%d", i > 0 ? ',' : '{', i, last);
    }
    sw_buf_printf(&expected, "}");
    decode_bytes(decoder, text.data, text.size, &batch);
    json_of(first_row(&batch), &json);
    assert_string_equal((char *)json.data, (char *)expected.data);
    sw_buf_deinit(&json);
    sw_buf_deinit(&expected);
    sw_buf_deinit(&text);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
}

/* --- records -------------------------------------------------------------------------------------- */

static const sw_schema *record_schema(void)
{
    static const char *const names[] = { "id", "price", "ok", "ts", "name" };
    static const sw_type types[] = { SW_TYPE_I64, SW_TYPE_F64, SW_TYPE_BOOL, SW_TYPE_TIME, SW_TYPE_STRING };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, 5, &schema, NULL), SW_OK);
    return schema;
}

static void records_take_the_fields_of_their_schema(void **state)
{
    static const good cases[] = {
        { "{}", "{}" },
        { "{\"id\":1,\"price\":2.5,\"ok\":true,\"ts\":3,\"name\":\"n\"}",
          "{\"id\":1,\"price\":2.5,\"ok\":true,\"ts\":3,\"name\":\"n\"}" },
        { "{\"name\":\"n\",\"ts\":3,\"id\":1}", "{\"id\":1,\"ts\":3,\"name\":\"n\"}" },
        { "{\"x\":[1,{\"id\":9}],\"id\":1,\"y\":{\"a\":[]},\"z\":null,\"w\":\"\\u0041\",\"v\":-1e9}", "{\"id\":1}" },
        { "{\"id\":null,\"price\":7,\"ok\":false}", "{\"price\":7,\"ok\":false}" },
        { "{\"id\":1,\"id\":2,\"name\":\"a\",\"name\":\"bc\"}", "{\"id\":2,\"name\":\"bc\"}" },
        { "{\"id\":1,\"id\":null}", "{}" },
        { "{\"id\":1.0,\"ts\":1e3}", "{\"id\":1,\"ts\":1000}" },
        { "{\"id\":-0.0,\"price\":-0.0}", "{\"id\":0,\"price\":-0.0}" },
        { "{\"id\":-9223372036854775808}", "{\"id\":-9223372036854775808}" },
        { "{\"id\":9223372036854775807}", "{\"id\":9223372036854775807}" },
        { "{\"id\":999999999999999999}", "{\"id\":999999999999999999}" },
        { "{\"id\":1000000000000000000 }", "{\"id\":1000000000000000000}" },
        { "{\"price\":123456789012345678901234567890}", "{\"price\":1.2345678901234568e+29}" },
        { "{\"price\":18446744073709551615}", "{\"price\":18446744073709551616.0}" },
        { "{\"name\":\"\\ud83d\\ude00\"}", "{\"name\":\"\xf0\x9f\x98\x80\"}" },
        { "{\"n\\u0061me\":\"x\",\"id\":4}", "{\"id\":4,\"name\":\"x\"}" },
        { "{\"idx\":1,\"i\":2,\"id\":3}", "{\"id\":3}" },
    };
    sw_decoder *decoder = decoder_of("jsonl", record_schema(), NULL);
    (void)state;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) check_good(decoder, &cases[i]);
    sw_decoder_free(decoder);
}

static void a_value_of_another_type_than_the_schemas_is_malformed(void **state)
{
    static const bad cases[] = {
        { "{\"id\":\"1\"}", "field \"id\": expected i64, found a string" },
        { "{\"id\":true}", "field \"id\": expected i64, found a bool" },
        { "{\"id\":[1]}", "field \"id\": expected i64, found an array" },
        { "{\"price\":{}}", "field \"price\": expected f64, found an object" },
        { "{\"ok\":1}", "field \"ok\": expected bool, found a number" },
        { "{\"name\":1}", "field \"name\": expected string, found a number" },
        { "{\"id\":1.5}", "field \"id\": not a whole number" },
        { "{\"id\":1e16}", "field \"id\": not a whole number" },
        { "{\"ts\":0.5}", "field \"ts\": not a whole number" },
        { "{\"id\":9223372036854775808}", "beyond 64 bits" },
        { "{\"id\":1e400}", "too large" },
        { "{\"id\":012}", "begins with 0" },
        { "{\"id\":12x}", "not a number" },
        { "{\"name\":\"\\q\"}", "field \"name\": a bad escape" },
        { "{\"x\":[1,2}", "expected ',' or ']'" },
        { "{\"x\":{\"a\"}}", "expected ':'" },
        { "{\"x\":{\"a\":1,}}", "expected a key" },
        { "{\"x\":[nope]}", "JSON value" },
    };
    sw_decoder *decoder = decoder_of("jsonl", record_schema(), NULL);
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) check_bad(decoder, &cases[i]);
    char *deep = nested(100000, "[", "]");
    sw_batch batch;
    sw_batch_init(&batch);
    decode_bytes(decoder, deep, strlen(deep), &batch);
    assert_int_equal(first_row(&batch)->kind, SW_ROW_MALFORMED);
    sw_batch_deinit(&batch);
    free(deep);
    sw_decoder_free(decoder);
}

/* --- time ----------------------------------------------------------------------------------------- */

static void check_time(const sw_schema *schema)
{
    static const struct {
        const char *text;
        int64_t time;
        const char *error;
    } cases[] = {
        { "{\"ts\":1234}", 1234, NULL },
        { "{\"ts\":-5}", -5, NULL },
        { "{\"ts\":1e3}", 1000, NULL },
        { "{\"x\":{\"ts\":9},\"ts\":8}", 8, NULL },
        { "{\"ts\":1,\"ts\":2}", 2, NULL },
        { "{}", 0, "time field \"ts\" is missing" },
        { "{\"x\":{\"ts\":9}}", 0, "time field \"ts\" is missing" },
        { "{\"ts\":null}", 0, "time field \"ts\" is missing" },
        { "{\"ts\":1,\"ts\":null}", 0, "time field \"ts\" is missing" },
        { "{\"ts\":\"1\"}", 0, "ts" },
        { "{\"ts\":1.5}", 0, "whole number" },
        { "{\"ts\":{}}", 0, "ts" },
        { "{\"ts\":18446744073709551615}", 0, "ts" },
    };
    sw_decoder *decoder = decoder_of("jsonl", schema, "ts");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (cases[i].error != NULL) {
            check_bad(decoder, &(bad){ cases[i].text, cases[i].error });
            continue;
        }
        sw_batch batch;
        sw_batch_init(&batch);
        decode_bytes(decoder, cases[i].text, strlen(cases[i].text), &batch);
        assert_int_equal(first_row(&batch)->kind, SW_ROW_EVENT);
        assert_int_equal(first_row(&batch)->time, cases[i].time);
        sw_batch_deinit(&batch);
    }
    sw_decoder_free(decoder);
}

static void event_time_comes_from_the_time_field(void **state)
{
    (void)state;
    check_time(NULL);
    check_time(record_schema());
}

static void a_time_too_far_ahead_of_the_clock_is_malformed(void **state)
{
    sw_clock *clock = sw_clock_virtual_new(1000);
    sw_source_context context = context_of(NULL, "ts");
    sw_decoder *decoder = NULL;
    sw_batch batch;
    (void)state;
    context.clock = clock;
    context.max_ahead_ms = 500;
    sw_batch_init(&batch);
    assert_int_equal(sw_decoder_new(&decoder, "jsonl", &context, NULL), SW_OK);
    decode_bytes(decoder, "{\"ts\":1500}", 11, &batch);
    decode_bytes(decoder, "{\"ts\":1501}", 11, &batch);
    sw_clock_virtual_advance(clock, 1);
    sw_decoder_tick(decoder);
    decode_bytes(decoder, "{\"ts\":1501}", 11, &batch);
    decode_bytes(decoder, "{\"ts\":9223372036854775807}", 26, &batch);
    decode_bytes(decoder, "{\"ts\":-9223372036854775808}", 27, &batch);
    static const uint8_t kinds[] = { SW_ROW_EVENT, SW_ROW_MALFORMED, SW_ROW_EVENT, SW_ROW_MALFORMED, SW_ROW_EVENT };
    assert_int_equal(batch.count, 5);
    const sw_row *row = (const sw_row *)(void *)batch.data;
    for (int i = 0; i < 5; i++, row = sw_row_next(row)) assert_int_equal(row->kind, kinds[i]);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
    sw_clock_free(clock);
}

static void without_a_time_field_the_time_is_the_clocks_at_the_last_tick(void **state)
{
    sw_clock *clock = sw_clock_virtual_new(1000);
    sw_source_context context = context_of(NULL, NULL);
    sw_decoder *decoder = NULL;
    sw_batch batch;
    (void)state;
    context.clock = clock;
    sw_batch_init(&batch);
    assert_int_equal(sw_decoder_new(&decoder, "jsonl", &context, NULL), SW_OK);
    sw_clock_virtual_advance(clock, 77);
    sw_decoder_tick(decoder);
    decode_bytes(decoder, "{\"ts\":5}", 8, &batch);
    assert_int_equal(first_row(&batch)->time, 1077);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
    sw_clock_free(clock);
}

static void a_time_field_must_be_in_the_schema_with_a_type_for_times(void **state)
{
    sw_source_context context = context_of(record_schema(), "when");
    sw_decoder *decoder = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(sw_decoder_new(&decoder, "jsonl", &context, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "lacks the time field \"when\""));
    context.time_field = "name";
    assert_int_equal(sw_decoder_new(&decoder, "jsonl", &context, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "string"));
    assert_int_equal(sw_decoder_new(&decoder, "xml", &context, &err), SW_EINVAL);
    assert_null(decoder);
}

/* --- malformed rows ------------------------------------------------------------------------------- */

static void raw_text_is_cut_between_characters_and_bytes_stay_bytes(void **state)
{
    size_t size = SW_MALFORMED_RAW_MAX + 100;
    char *text = malloc(size);
    sw_decoder *decoder = decoder_of("jsonl", NULL, NULL);
    sw_batch batch;
    uint32_t len = 0;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + SW_MALFORMED_RAW_MAX - 1, "\xe2\x82\xac", 3); /* Its first byte is the last that has room. */
    sw_batch_init(&batch);
    decode_bytes(decoder, text, size, &batch);
    map_string(first_row(&batch), "raw", &len);
    assert_int_equal(len, SW_MALFORMED_RAW_MAX - 1);
    sw_batch_clear(&batch);
    decode_bytes(decoder, "\xff\0\xfe", 3, &batch);
    assert_memory_equal(map_string(first_row(&batch), "raw", &len), "\xff\0\xfe", 3);
    assert_int_equal(len, 3);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
    free(text);
}

/* --- any text ------------------------------------------------------------------------------------- */

static void mutate(sw_rng *rng, char *text, size_t len)
{
    static const char bytes[] = "{}[]:,\"\\ 0-.eEtfnu\x80\xc3\n";
    for (uint64_t n = 1 + sw_rng_below(rng, 3); n > 0; n--)
        text[sw_rng_below(rng, len)] = bytes[sw_rng_below(rng, sizeof(bytes) - 1)];
}

/* Damaged text is accepted or rejected, in place and copied alike, with and without schema; sanitizers
 * watch. What is accepted as a map comes back as the same text from its own JSON. */
static void damaged_text_never_harms(void **state)
{
    static const char text[] =
        "{\"id\":12,\"price\":-1.5e3,\"ok\":true,\"n\":null,\"name\":\"a\\u00e9\\n\",\"x\":[1,{\"y\":[]},\"z\"]}";
    enum { LEN = sizeof(text) - 1, ROUNDS = 20000 };
    sw_decoder *map = decoder_of("jsonl", NULL, NULL);
    sw_decoder *record = decoder_of("jsonl", record_schema(), "id");
    sw_rng rng;
    sw_batch batch;
    (void)state;
    sw_rng_seed(&rng, 42);
    sw_batch_init(&batch);
    for (int i = 0; i < ROUNDS; i++) {
        char damaged[LEN + 64] = { 0 };
        memcpy(damaged, text, LEN);
        mutate(&rng, damaged, LEN);
        size_t len = LEN - sw_rng_below(&rng, 8);
        sw_piece piece = { damaged, len, sizeof(damaged) - len, "x", 1 };
        sw_batch_clear(&batch);
        assert_int_equal(sw_decoder_decode(record, &piece, &batch, NULL), SW_OK);
        sw_batch_clear(&batch);
        assert_int_equal(sw_decoder_decode(map, &piece, &batch, NULL), SW_OK);
        if (batch.count == 0 || first_row(&batch)->kind != SW_ROW_EVENT) continue;
        sw_buf json, again;
        json_of(first_row(&batch), &json);
        sw_batch_clear(&batch);
        decode_bytes(map, json.data, json.size - 1, &batch);
        json_of(first_row(&batch), &again);
        assert_string_equal((char *)again.data, (char *)json.data);
        sw_buf_deinit(&json);
        sw_buf_deinit(&again);
    }
    sw_batch_deinit(&batch);
    sw_decoder_free(record);
    sw_decoder_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_become_maps),
        cmocka_unit_test(text_that_is_no_object_is_malformed_in_either_shape),
        cmocka_unit_test(blank_lines_make_no_row),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(numbers_take_their_shortest_form),
        cmocka_unit_test(objects_of_any_size_keep_their_members),
        cmocka_unit_test(the_last_of_equal_keys_stays_among_many),
        cmocka_unit_test(records_take_the_fields_of_their_schema),
        cmocka_unit_test(a_value_of_another_type_than_the_schemas_is_malformed),
        cmocka_unit_test(event_time_comes_from_the_time_field),
        cmocka_unit_test(a_time_too_far_ahead_of_the_clock_is_malformed),
        cmocka_unit_test(without_a_time_field_the_time_is_the_clocks_at_the_last_tick),
        cmocka_unit_test(a_time_field_must_be_in_the_schema_with_a_type_for_times),
        cmocka_unit_test(raw_text_is_cut_between_characters_and_bytes_stay_bytes),
        cmocka_unit_test(damaged_text_never_harms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
