#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "state/row.h"

static sw_row *add_row(sw_batch *batch, int64_t time, const char *body, const char *key)
{
    uint32_t body_len = (uint32_t)strlen(body), key_len = (uint32_t)strlen(key);
    uint32_t len = (uint32_t)sizeof(sw_row) + body_len + key_len;
    sw_row *row = sw_batch_reserve(batch, len);
    if (row == NULL) return NULL;
    memset(row, 0, sizeof(*row));
    row->time = time;
    row->body_len = body_len;
    row->key_len = key_len;
    memcpy(sw_row_body(row), body, body_len);
    memcpy(sw_row_key(row), key, key_len);
    sw_batch_commit(batch, len);
    return row;
}

static void rows_lie_one_behind_the_other_and_aligned(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    for (int i = 0; i < 1000; i++) assert_non_null(add_row(&batch, i, "bodybody" + i % 8, "key"));
    assert_int_equal(batch.count, 1000);
    const sw_row *row = (const sw_row *)(void *)batch.data;
    for (int i = 0; i < 1000; i++, row = sw_row_next(row)) {
        assert_int_equal(row->time, i);
        assert_int_equal((uintptr_t)row % 8, 0);
        assert_int_equal(row->len, sw_row_size(row->body_len, row->key_len));
        assert_memory_equal(sw_row_key(row), "key", 3);
    }
    assert_ptr_equal((const uint8_t *)row, batch.data + batch.size);
    sw_batch_deinit(&batch);
}

static void committing_less_than_was_reserved_gives_the_rest_back(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    sw_row *row = sw_batch_reserve(&batch, 4000);
    memset(row, 0xff, 4000);
    sw_batch_commit(&batch, 51);
    assert_int_equal(batch.size, 56);
    assert_int_equal(((sw_row *)(void *)batch.data)->len, 56);
    for (int i = 51; i < 56; i++) assert_int_equal(batch.data[i], 0);
    sw_batch_deinit(&batch);
}

static void an_appended_row_is_an_equal_copy(void **state)
{
    (void)state;
    sw_batch from, to;
    sw_batch_init(&from);
    sw_batch_init(&to);
    sw_row *row = add_row(&from, 7, "some body", "k");
    assert_int_equal(sw_batch_append(&to, row), SW_OK);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.size, from.size);
    assert_memory_equal(to.data, from.data, from.size);
    sw_batch_deinit(&from);
    sw_batch_deinit(&to);
}

static void a_cleared_batch_keeps_its_memory_unless_it_is_huge(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    add_row(&batch, 1, "x", "");
    uint8_t *data = batch.data;
    sw_batch_clear(&batch);
    assert_int_equal(batch.count, 0);
    assert_int_equal(batch.size, 0);
    assert_ptr_equal(batch.data, data);
    assert_non_null(sw_batch_reserve(&batch, 8u << 20));
    sw_batch_clear(&batch);
    assert_int_equal(batch.cap, 0);
    assert_non_null(add_row(&batch, 1, "x", ""));
    sw_batch_deinit(&batch);
}

static void a_row_over_the_limit_is_refused(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    assert_null(sw_batch_reserve(&batch, SW_ROW_BYTES_MAX + 1));
    assert_null(sw_batch_reserve(&batch, UINT32_MAX));
    assert_int_equal(batch.cap, 0);
    sw_batch_deinit(&batch);
}

static void out_of_memory_leaves_the_batch_as_it_was(void **state)
{
    (void)state;
    sw_batch batch;
    sw_batch_init(&batch);
    size_t live_before = sw_alloc_live();
    sw_fault_fail_after(0);
    assert_null(sw_batch_reserve(&batch, 100));
    sw_fault_off();
    assert_non_null(add_row(&batch, 5, "x", ""));
    sw_fault_fail_after(0);
    sw_row huge = { .len = 1u << 16 };
    assert_int_equal(sw_batch_append(&batch, &huge), SW_ENOMEM);
    sw_fault_off();
    assert_int_equal(batch.count, 1);
    assert_int_equal(((sw_row *)(void *)batch.data)->time, 5);
    sw_batch_deinit(&batch);
    assert_int_equal(sw_alloc_live(), live_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_lie_one_behind_the_other_and_aligned),
        cmocka_unit_test(committing_less_than_was_reserved_gives_the_rest_back),
        cmocka_unit_test(an_appended_row_is_an_equal_copy),
        cmocka_unit_test(a_cleared_batch_keeps_its_memory_unless_it_is_huge),
        cmocka_unit_test(a_row_over_the_limit_is_refused),
        cmocka_unit_test(out_of_memory_leaves_the_batch_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
