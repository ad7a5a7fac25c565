#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/pack.h"
#include "state/record.h"

enum { F_I, F_F, F_B, F_T, F_S, FIELDS };

static const sw_schema *all_types(void)
{
    const char *names[] = { "i", "f", "b", "t", "s" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_F64, SW_TYPE_BOOL, SW_TYPE_TIME, SW_TYPE_STRING };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, FIELDS, &schema, NULL), SW_OK);
    return schema;
}

static sw_row *full_row(sw_batch *batch)
{
    sw_record_builder builder;
    assert_int_equal(sw_record_begin(&builder, batch, all_types()), SW_OK);
    sw_record_set_i64(&builder, F_I, INT64_MIN);
    sw_record_set_f64(&builder, F_F, 0.25);
    sw_record_set_bool(&builder, F_B, 8);
    sw_record_set_i64(&builder, F_T, 1700000000123);
    assert_int_equal(sw_record_set_string(&builder, F_S, "a\0b", 3), SW_OK);
    return sw_record_finish(&builder, 99);
}

static void a_finished_row_holds_what_was_set(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    const sw_row *row = full_row(&batch);
    const sw_slot *slots = sw_row_slots(row, all_types());
    assert_int_equal(batch.count, 1);
    assert_int_equal(row->time, 99);
    assert_int_equal(row->schema, all_types()->id);
    assert_int_equal(row->body_len, all_types()->fixed_size + 3);
    assert_int_equal(row->len, sw_row_size(row->body_len, 0));
    assert_int_equal(sw_row_presence(row)[0], 31);
    assert_true(slots[F_I].i == INT64_MIN);
    assert_true(slots[F_F].f == 0.25);
    assert_int_equal(slots[F_B].i, 1);
    assert_true(slots[F_T].i == 1700000000123);
    assert_int_equal(slots[F_S].s.len, 3);
    assert_memory_equal(sw_row_string(row, &slots[F_S]), "a\0b", 3);
    sw_batch_deinit(&batch);
}

static void a_field_never_set_or_set_to_nil_is_absent_and_zero(void **state)
{
    (void)state;
    sw_batch batch;
    sw_record_builder builder;
    sw_batch_init(&batch);
    memset(sw_batch_reserve(&batch, 2000), 0xee, 2000); /* What lay there before must not shine through. */
    assert_int_equal(sw_record_begin(&builder, &batch, all_types()), SW_OK);
    sw_record_set_f64(&builder, F_F, 1);
    sw_record_set_nil(&builder, F_F);
    const sw_row *row = sw_record_finish(&builder, 0);
    assert_int_equal(sw_row_presence(row)[0], 0);
    for (int i = 0; i < FIELDS; i++) assert_int_equal(sw_row_slots(row, all_types())[i].i, 0);
    sw_batch_deinit(&batch);
}

static void strings_may_outgrow_the_batch_and_the_last_value_counts(void **state)
{
    (void)state;
    static char text[100000];
    sw_batch batch;
    sw_record_builder builder;
    sw_batch_init(&batch);
    full_row(&batch);
    memset(text, 'x', sizeof(text));
    assert_int_equal(sw_record_begin(&builder, &batch, all_types()), SW_OK);
    sw_record_set_i64(&builder, F_I, 5);
    for (uint32_t len = 1; len <= sizeof(text); len *= 10) {
        assert_int_equal(sw_record_set_string(&builder, F_S, text, len), SW_OK);
    }
    const sw_row *row = sw_record_finish(&builder, 0);
    const sw_slot *slots = sw_row_slots(row, all_types());
    assert_ptr_equal(row, sw_row_next((const sw_row *)(void *)batch.data));
    assert_int_equal(slots[F_I].i, 5);
    assert_int_equal(slots[F_S].s.len, sizeof(text));
    assert_memory_equal(sw_row_string(row, &slots[F_S]), text, sizeof(text));
    sw_batch_deinit(&batch);
}

static void a_row_not_finished_leaves_no_trace(void **state)
{
    (void)state;
    sw_batch batch;
    sw_record_builder builder;
    sw_batch_init(&batch);
    assert_int_equal(sw_record_begin(&builder, &batch, all_types()), SW_OK);
    sw_record_set_i64(&builder, F_I, 5);
    assert_int_equal(sw_record_set_string(&builder, F_S, NULL, SW_ROW_BYTES_MAX), SW_ELIMIT);
    assert_int_equal(sw_record_set_string(&builder, F_S, NULL, UINT32_MAX), SW_ELIMIT);
    assert_int_equal(batch.count, 0);
    assert_int_equal(batch.size, 0);
    sw_batch_deinit(&batch);
}

static void a_record_becomes_a_map_and_the_same_record_again(void **state)
{
    (void)state;
    sw_batch batch, back;
    sw_buf map = { 0 };
    sw_batch_init(&batch);
    sw_batch_init(&back);
    sw_row *row = full_row(&batch);
    assert_int_equal(sw_pack_from_record(row, all_types(), &map), SW_OK);
    assert_int_equal(sw_pack_check(map.data, map.size, 1, NULL), SW_OK);
    assert_memory_equal(map.data, "\x85\xa1i\xd3\x80", 5);
    assert_int_equal(sw_record_from_pack(map.data, map.size, all_types(), &back, NULL), SW_OK);
    row->time = 0;
    assert_int_equal(back.size, batch.size);
    assert_memory_equal(back.data, batch.data, batch.size);
    sw_buf_deinit(&map);
    sw_batch_deinit(&batch);
    sw_batch_deinit(&back);
}

static void absent_fields_are_left_out_of_the_map_and_nil_is_absent(void **state)
{
    (void)state;
    sw_batch batch;
    sw_record_builder builder;
    sw_buf map = { 0 };
    sw_batch_init(&batch);
    assert_int_equal(sw_record_begin(&builder, &batch, all_types()), SW_OK);
    sw_record_set_bool(&builder, F_B, 0);
    assert_int_equal(sw_pack_from_record(sw_record_finish(&builder, 0), all_types(), &map), SW_OK);
    assert_int_equal(map.size, 4);
    assert_memory_equal(map.data,
                        "\x81\xa1"
                        "b\xc2",
                        4);
    assert_int_equal(sw_record_from_pack((const uint8_t *)"\x81\xa1s\xc0", 4, all_types(), &batch, NULL), SW_OK);
    assert_int_equal(*sw_row_presence(sw_row_next((const sw_row *)(void *)batch.data)), 0);
    sw_buf_deinit(&map);
    sw_batch_deinit(&batch);
}

/* Converts { name: what `write` writes }; the text of the error, "" on success. */
static const char *convert(const char *name, void (*write)(sw_buf *), sw_slot *slot)
{
    static sw_error err;
    sw_buf map = { 0 };
    sw_batch batch;
    sw_batch_init(&batch);
    sw_pack_map(&map, 1);
    sw_pack_str(&map, name, (uint32_t)strlen(name));
    write(&map);
    err.text[0] = '\0';
    int rc = sw_record_from_pack(map.data, map.size, all_types(), &batch, &err);
    assert_int_equal(rc, err.text[0] == '\0' ? SW_OK : SW_ETYPE);
    assert_int_equal(batch.count, rc == SW_OK);
    if (rc == SW_OK) {
        int field = sw_schema_find(all_types(), name, strlen(name));
        *slot = sw_row_slots((const sw_row *)(void *)batch.data, all_types())[field];
    }
    sw_batch_deinit(&batch);
    sw_buf_deinit(&map);
    return err.text;
}

static void w_int(sw_buf *out)
{
    sw_pack_i64(out, -7);
}
static void w_big(sw_buf *out)
{
    sw_pack_u64(out, UINT64_MAX);
}
static void w_integral(sw_buf *out)
{
    sw_pack_f64(out, 3);
}
static void w_fraction(sw_buf *out)
{
    sw_pack_f64(out, 1.5);
}
static void w_huge(sw_buf *out)
{
    sw_pack_f64(out, 0x1p63);
}
static void w_text(sw_buf *out)
{
    sw_pack_str(out, "x", 1);
}
static void w_array(sw_buf *out)
{
    sw_pack_array(out, 0);
}

static void numbers_go_where_no_value_is_lost(void **state)
{
    (void)state;
    sw_slot slot;
    assert_string_equal(convert("i", w_int, &slot), "");
    assert_int_equal(slot.i, -7);
    assert_string_equal(convert("i", w_integral, &slot), "");
    assert_int_equal(slot.i, 3);
    assert_string_equal(convert("f", w_int, &slot), "");
    assert_true(slot.f == -7);
    assert_string_equal(convert("f", w_big, &slot), "");
    assert_true(slot.f == 0x1p64);
    assert_string_equal(convert("t", w_int, &slot), "");
    assert_int_equal(slot.i, -7);
}

static void a_wrong_type_names_field_expected_and_found(void **state)
{
    (void)state;
    sw_slot slot;
    assert_string_equal(convert("i", w_fraction, &slot), "field \"i\": expected i64, found f64 that is no int64");
    assert_string_equal(convert("i", w_huge, &slot), "field \"i\": expected i64, found f64 that is no int64");
    assert_string_equal(convert("i", w_big, &slot), "field \"i\": expected i64, found u64");
    assert_string_equal(convert("i", w_text, &slot), "field \"i\": expected i64, found string");
    assert_string_equal(convert("f", w_text, &slot), "field \"f\": expected f64, found string");
    assert_string_equal(convert("b", w_int, &slot), "field \"b\": expected bool, found i64");
    assert_string_equal(convert("t", w_integral, &slot), "field \"t\": expected time, found f64");
    assert_string_equal(convert("s", w_array, &slot), "field \"s\": expected string, found array");
    assert_string_equal(convert("zz", w_int, &slot),
                        "field \"zz\": expected none of this name in the schema, found i64");
}

static void a_map_cut_anywhere_makes_no_row(void **state)
{
    (void)state;
    sw_batch batch;
    sw_buf map = { 0 };
    sw_batch_init(&batch);
    assert_int_equal(sw_pack_from_record(full_row(&batch), all_types(), &map), SW_OK);
    sw_batch_clear(&batch);
    for (size_t len = 0; len < map.size; len++) {
        assert_int_equal(sw_record_from_pack(map.data, len, all_types(), &batch, NULL), SW_EFORMAT);
    }
    assert_int_equal(sw_pack_nil(&map), SW_OK);
    assert_int_equal(sw_record_from_pack(map.data, map.size, all_types(), &batch, NULL), SW_EFORMAT);
    assert_int_equal(sw_record_from_pack((const uint8_t *)"\x90", 1, all_types(), &batch, NULL), SW_ETYPE);
    assert_int_equal(sw_record_from_pack((const uint8_t *)"\x81\x01\x01", 3, all_types(), &batch, NULL), SW_ETYPE);
    assert_int_equal(batch.count, 0);
    sw_buf_deinit(&map);
    sw_batch_deinit(&batch);
}

static void conversions_survive_every_allocation_failure(void **state)
{
    (void)state;
    static char text[9000];
    for (int n = 0;; n++) {
        size_t live_before = sw_alloc_live();
        sw_batch batch, back;
        sw_record_builder builder;
        sw_buf map = { 0 };
        all_types();
        sw_batch_init(&batch);
        sw_batch_init(&back);
        sw_fault_fail_after(n);
        int rc = sw_record_begin(&builder, &batch, all_types());
        if (rc == SW_OK) rc = sw_record_set_string(&builder, F_S, text, sizeof(text));
        if (rc == SW_OK) rc = sw_pack_from_record(sw_record_finish(&builder, 0), all_types(), &map);
        if (rc != SW_OK) assert_int_equal(map.size, 0);
        if (rc == SW_OK) rc = sw_record_from_pack(map.data, map.size, all_types(), &back, NULL);
        sw_fault_off();
        assert_int_equal(back.count, rc == SW_OK);
        sw_buf_deinit(&map);
        sw_batch_deinit(&batch);
        sw_batch_deinit(&back);
        assert_int_equal(sw_alloc_live(), live_before);
        if (rc == SW_OK) {
            assert_true(n >= 4);
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_row_holds_what_was_set),
        cmocka_unit_test(a_field_never_set_or_set_to_nil_is_absent_and_zero),
        cmocka_unit_test(strings_may_outgrow_the_batch_and_the_last_value_counts),
        cmocka_unit_test(a_row_not_finished_leaves_no_trace),
        cmocka_unit_test(a_record_becomes_a_map_and_the_same_record_again),
        cmocka_unit_test(absent_fields_are_left_out_of_the_map_and_nil_is_absent),
        cmocka_unit_test(numbers_go_where_no_value_is_lost),
        cmocka_unit_test(a_wrong_type_names_field_expected_and_found),
        cmocka_unit_test(a_map_cut_anywhere_makes_no_row),
        cmocka_unit_test(conversions_survive_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
