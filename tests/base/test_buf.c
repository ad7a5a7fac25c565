#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fault.h"

static void appended_bytes_follow_each_other(void **state)
{
    sw_buf b;
    (void)state;
    sw_buf_init(&b);
    assert_int_equal(sw_buf_append(&b, "a\0b", 3), SW_OK);
    assert_int_equal(sw_buf_append_str(&b, "text"), SW_OK);
    assert_int_equal(sw_buf_append(&b, NULL, 0), SW_OK);
    assert_int_equal(sw_buf_printf(&b, "<%d>", 42), SW_OK);
    assert_int_equal(b.size, 11);
    assert_memory_equal(b.data, "a\0btext<42>", 12); /* printf's NUL stands behind. */
    sw_buf_deinit(&b);
    sw_buf_deinit(&b);
    assert_null(b.data);
}

static void growing_keeps_the_bytes_and_doubles_the_room(void **state)
{
    sw_buf b = { 0 };
    unsigned moves = 0;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        size_t cap = b.cap;
        uint8_t byte = (uint8_t)i;
        assert_int_equal(sw_buf_append(&b, &byte, 1), SW_OK);
        moves += b.cap != cap;
    }
    for (int i = 0; i < 100000; i++) assert_int_equal(b.data[i], (uint8_t)i);
    assert_true(moves <= 12);
    sw_buf_deinit(&b);
}

static void clearing_keeps_the_memory(void **state)
{
    sw_buf b = { 0 };
    (void)state;
    sw_buf_reserve(&b, 1000);
    uint8_t *data = b.data;
    b.size = 1000;
    sw_buf_clear(&b);
    assert_int_equal(sw_buf_reserve(&b, 1000), SW_OK);
    assert_ptr_equal(b.data, data);
    sw_buf_deinit(&b);
}

static void a_size_beyond_memory_is_refused(void **state)
{
    sw_buf b = { 0 };
    (void)state;
    sw_buf_append_str(&b, "kept");
    assert_int_equal(sw_buf_reserve(&b, SIZE_MAX), SW_ENOMEM);
    assert_int_equal(b.size, 4);
    assert_memory_equal(b.data, "kept", 4);
    sw_buf_deinit(&b);
}

static void a_failed_allocation_leaves_the_buffer_as_it_was(void **state)
{
    sw_buf b = { 0 };
    (void)state;
    sw_buf_append_str(&b, "kept");
    sw_fault_fail_after(0);
    int rc = sw_buf_printf(&b, "%1000d", 1);
    sw_fault_off();
    if (sw_fault_hit()) {
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(b.size, 4);
    }
    assert_memory_equal(b.data, "kept", 4);
    sw_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_follow_each_other),
        cmocka_unit_test(growing_keeps_the_bytes_and_doubles_the_room),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(a_size_beyond_memory_is_refused),
        cmocka_unit_test(a_failed_allocation_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
