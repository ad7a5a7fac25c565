#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "state/key.h"
#include "state/pack.h"
#include "state/record.h"

static void assert_f64_key_is_i64_key(double value, int64_t same)
{
    sw_buf a = { 0 }, b = { 0 };
    assert_int_equal(sw_key_f64(&a, value), SW_OK);
    assert_int_equal(sw_key_i64(&b, same), SW_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    sw_buf_deinit(&a);
    sw_buf_deinit(&b);
}

static void a_double_with_an_integral_value_is_that_integer(void **state)
{
    (void)state;
    assert_f64_key_is_i64_key(1.0, 1);
    assert_f64_key_is_i64_key(-0.0, 0);
    assert_f64_key_is_i64_key(-33.0, -33);
    assert_f64_key_is_i64_key(0x1p53, INT64_C(1) << 53);
    assert_f64_key_is_i64_key(-0x1p63, INT64_MIN);
    sw_buf a = { 0 }, b = { 0 };
    assert_int_equal(sw_key_f64(&a, 0x1p63), SW_OK);
    assert_int_equal(sw_key_u64(&b, UINT64_C(1) << 63), SW_OK);
    assert_int_equal(a.size, 9);
    assert_memory_equal(a.data, b.data, 9);
    sw_buf_deinit(&a);
    sw_buf_deinit(&b);
}

static void other_doubles_are_float64_and_nan_is_no_key(void **state)
{
    (void)state;
    const double values[] = { 0.5, INFINITY, -INFINITY, 0x1p64, 1e300, 5e-324 };
    sw_buf out = { 0 };
    for (int i = 0; i < 6; i++) {
        sw_buf_clear(&out);
        assert_int_equal(sw_key_f64(&out, values[i]), SW_OK);
        assert_int_equal(out.size, 9);
        assert_int_equal(out.data[0], 0xcb);
    }
    sw_buf_clear(&out);
    assert_int_equal(sw_key_f64(&out, NAN), SW_EINVAL);
    assert_int_equal(out.size, 0);
    sw_buf_deinit(&out);
}

static void every_instance_owns_key_groups_and_every_group_one_instance(void **state)
{
    (void)state;
    for (uint32_t parallelism = 1; parallelism <= SW_KEY_GROUPS; parallelism++) {
        uint32_t last = 0;
        for (uint64_t hash = 0; hash < SW_KEY_GROUPS; hash++) {
            uint32_t instance = sw_key_instance(hash + 5 * SW_KEY_GROUPS, parallelism);
            assert_true(instance == last || instance == last + 1);
            last = instance;
        }
        assert_int_equal(last, parallelism - 1);
    }
}

/* One event in both shapes: { id = 7 (a double in the map), name = "bob", x = x, [t = { }] } */
typedef struct shapes {
    sw_batch batch;       /* holds the record, then the map */
    const sw_row *record; /* in batch */
    const sw_row *map;    /* in batch */
} shapes;

static const sw_schema *event_schema(void)
{
    const char *names[] = { "name", "id", "x", "ok" };
    sw_type types[] = { SW_TYPE_STRING, SW_TYPE_I64, SW_TYPE_F64, SW_TYPE_BOOL };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, 4, &schema, NULL), SW_OK);
    return schema;
}

static void shapes_init(shapes *s, const char *name, uint32_t name_len, double x)
{
    sw_record_builder builder;
    sw_buf map = { 0 };
    sw_batch_init(&s->batch);
    assert_int_equal(sw_record_begin(&builder, &s->batch, event_schema()), SW_OK);
    assert_int_equal(sw_record_set_string(&builder, 0, name, name_len), SW_OK);
    sw_record_set_i64(&builder, 1, 7);
    sw_record_set_f64(&builder, 2, x);
    sw_record_set_bool(&builder, 3, 1);
    sw_record_finish(&builder, 0);
    sw_pack_map(&map, 5);
    sw_pack_str(&map, "t", 1);
    sw_pack_array(&map, 0);
    sw_pack_str(&map, "id", 2);
    sw_pack_f64(&map, 7);
    sw_pack_str(&map, "name", 4);
    sw_pack_str(&map, name, name_len);
    sw_pack_str(&map, "x", 1);
    sw_pack_f64(&map, x);
    sw_pack_str(&map, "ok", 2);
    assert_int_equal(sw_pack_bool(&map, 1), SW_OK);
    sw_row *row = sw_batch_reserve(&s->batch, (uint32_t)(sizeof(sw_row) + map.size));
    memset(row, 0, sizeof(*row));
    memcpy(sw_row_body(row), map.data, map.size);
    row->body_len = (uint32_t)map.size;
    sw_batch_commit(&s->batch, (uint32_t)(sizeof(sw_row) + map.size));
    s->record = (const sw_row *)(void *)s->batch.data;
    s->map = sw_row_next(s->record);
    sw_buf_deinit(&map);
}

/* Asserts that both shapes give this key. */
static void assert_key(const shapes *s, const char **names, uint32_t count, const char *bytes, size_t size)
{
    uint32_t lens[4];
    int indexes[4];
    sw_buf out = { 0 };
    for (uint32_t i = 0; i < count; i++) lens[i] = (uint32_t)strlen(names[i]);
    sw_key_fields fields = { count, names, lens, 0, indexes };
    const sw_row *rows[] = { s->record, s->map, s->record };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sw_key_from_row(&fields, rows[i], &out, NULL), SW_OK);
        assert_int_equal(out.size, size);
        assert_memory_equal(out.data, bytes, size);
    }
    assert_int_equal(fields.cached_schema, event_schema()->id);
    sw_buf_deinit(&out);
}

static void records_and_maps_of_one_event_have_one_key(void **state)
{
    (void)state;
    shapes s;
    const char *id[] = { "id" }, *name[] = { "name" }, *ok[] = { "ok" }, *none[] = { "none" };
    const char *several[] = { "name", "none", "x", "id" };
    shapes_init(&s, "bob", 3, 2.0);
    assert_key(&s, id, 1, "\x07", 1);
    assert_key(&s, name, 1,
               "\xa3"
               "bob",
               4);
    assert_key(&s, ok, 1, "\xc3", 1);
    assert_key(&s, none, 1, "\xc0", 1);
    assert_key(&s, several, 4,
               "\x94\xa3"
               "bob\xc0\x02\x07",
               8);
    sw_batch_deinit(&s.batch);
}

static int key_error(const sw_row *row, const char *name, sw_error *err)
{
    uint32_t len = (uint32_t)strlen(name);
    int index = 0;
    sw_key_fields fields = { 1, &name, &len, 0, &index };
    sw_buf out = { 0 };
    int rc = sw_key_from_row(&fields, row, &out, err);
    sw_buf_deinit(&out);
    return rc;
}

static void whole_numbers_of_records_make_the_bytes_of_whole_numbers(void **state)
{
    static const int64_t values[] = { 0,     1,         127,       128,        129,         255,    256,       257,
                                      65535, 65536,     16777216,  4294967295, 4294967296,  -1,     -32,       -33,
                                      -128,  INT64_MIN, INT64_MAX, 1000000007, 2147483648u, -40000, 305419896, 300 };
    const char *name = "id";
    uint32_t len = 2;
    int index = -1;
    sw_key_fields fields = { 1, &name, &len, 0, &index };
    sw_buf found = { 0 }, expected = { 0 };
    sw_batch batch;
    (void)state;
    sw_batch_init(&batch);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        sw_record_builder builder;
        sw_batch_clear(&batch);
        assert_int_equal(sw_record_begin(&builder, &batch, event_schema()), SW_OK);
        sw_record_set_i64(&builder, 1, values[i]);
        const sw_row *row = sw_record_finish(&builder, 0);
        sw_buf_clear(&expected);
        assert_int_equal(sw_key_i64(&expected, values[i]), SW_OK);
        for (int again = 0; again < 2; again++) { /* The first time the layout is not known yet. */
            assert_int_equal(sw_key_from_row(&fields, row, &found, NULL), SW_OK);
            assert_int_equal(found.size, expected.size);
            assert_memory_equal(found.data, expected.data, expected.size);
        }
    }
    sw_buf_deinit(&found);
    sw_buf_deinit(&expected);
    sw_batch_deinit(&batch);
}

static void nan_and_tables_are_refused_as_keys_by_name(void **state)
{
    (void)state;
    shapes s;
    sw_error err;
    shapes_init(&s, "", 0, NAN);
    assert_int_equal(key_error(s.record, "x", &err), SW_ETYPE);
    assert_string_equal(err.text, "key field \"x\" is NaN");
    assert_int_equal(key_error(s.map, "x", &err), SW_ETYPE);
    assert_string_equal(err.text, "key field \"x\" is NaN");
    assert_int_equal(key_error(s.map, "t", &err), SW_ETYPE);
    assert_string_equal(err.text, "key field \"t\" holds a table");
    sw_batch_deinit(&s.batch);
}

static void a_key_over_the_limit_is_refused_and_one_at_it_is_not(void **state)
{
    (void)state;
    static char text[SW_KEY_BYTES_MAX];
    shapes s;
    sw_error err;
    shapes_init(&s, text, SW_KEY_BYTES_MAX - 3, 0); /* 3 bytes of msgpack head. */
    assert_int_equal(key_error(s.record, "name", &err), SW_OK);
    assert_int_equal(key_error(s.map, "name", &err), SW_OK);
    sw_batch_deinit(&s.batch);
    shapes_init(&s, text, SW_KEY_BYTES_MAX - 2, 0);
    assert_int_equal(key_error(s.record, "name", &err), SW_ELIMIT);
    assert_string_equal(err.text, "key field \"name\" makes a key of 65536 bytes: at most 65535");
    assert_int_equal(key_error(s.map, "name", &err), SW_ELIMIT);
    sw_batch_deinit(&s.batch);
}

static void check_key_from_pack(const char *bytes, size_t len, const char *expected, size_t expected_len)
{
    sw_buf out = { 0 };
    sw_buf_append_str(&out, "from before");
    assert_int_equal(sw_key_from_pack((const uint8_t *)bytes, len, &out), SW_OK);
    assert_int_equal(out.size, expected_len);
    assert_memory_equal(out.data, expected, expected_len);
    sw_buf_deinit(&out);
}

#define CHECK_KEY(bytes, expected) check_key_from_pack(bytes, sizeof(bytes) - 1, expected, sizeof(expected) - 1)

static void a_msgpack_value_becomes_the_canonical_key(void **state)
{
    (void)state;
    CHECK_KEY("\xa2"
              "c1",
              "\xa2"
              "c1");
    CHECK_KEY("\xcb\x40\x45\x00\x00\x00\x00\x00\x00", "\x2a"); /* 42.0 */
    CHECK_KEY("\xc0", "\xc0");
    CHECK_KEY("\x93\xa1"
              "a\xcd\x00\x01\xc3",
              "\x93\xa1"
              "a\x01\xc3");
    CHECK_KEY("\x90", "\x90");
}

static void what_cannot_be_a_key_is_refused(void **state)
{
    sw_buf out = { 0 };
    (void)state;
    assert_int_equal(sw_key_from_pack((const uint8_t *)"\x80", 1, &out), SW_ETYPE);
    assert_int_equal(sw_key_from_pack((const uint8_t *)"\x91\x90", 2, &out), SW_ETYPE);
    assert_int_equal(sw_key_from_pack((const uint8_t *)"\xcb\x7f\xf8\0\0\0\0\0\0", 9, &out), SW_EINVAL);
    assert_int_equal(sw_key_from_pack((const uint8_t *)"\x92\x01", 2, &out), SW_EFORMAT);
    assert_int_equal(sw_key_from_pack((const uint8_t *)"", 0, &out), SW_EFORMAT);
    sw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_double_with_an_integral_value_is_that_integer),
        cmocka_unit_test(other_doubles_are_float64_and_nan_is_no_key),
        cmocka_unit_test(every_instance_owns_key_groups_and_every_group_one_instance),
        cmocka_unit_test(records_and_maps_of_one_event_have_one_key),
        cmocka_unit_test(whole_numbers_of_records_make_the_bytes_of_whole_numbers),
        cmocka_unit_test(nan_and_tables_are_refused_as_keys_by_name),
        cmocka_unit_test(a_msgpack_value_becomes_the_canonical_key),
        cmocka_unit_test(what_cannot_be_a_key_is_refused),
        cmocka_unit_test(a_key_over_the_limit_is_refused_and_one_at_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
